// The live preview of the negative that will really be used, and the "CFG 20" button. Server side: lib_sticky/api/routes.py.
(function () {
    "use strict";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const find = (selector) => root().querySelector(selector);
    const box = (id) => find(`#${id} textarea, #${id} input[type=text], #${id} input[type=number]`);
    const text = (id) => box(id)?.value ?? "";

    function choice(id) {
        const chosen = find(`#${id} input[type=radio]:checked`);
        return chosen ? chosen.value : undefined;
    }

    // Radio values are labels in some Gradio versions and positions in others; the server takes both.
    function fields(prefix) {
        const placement = choice(`${prefix}_placement`);
        const values = { terms: text(`${prefix}_terms`), start: Number(text(`${prefix}_start`)), stop: Number(text(`${prefix}_stop`)) };
        if (placement !== undefined) values.placement = placement;
        return values;
    }

    function show(target, answer, ticked) {
        target.replaceChildren();
        target.classList.add("sticky-preview");
        const line = (kind, words) => {
            const element = document.createElement("div");
            element.className = kind;
            element.textContent = words;
            target.appendChild(element);
        };
        if (answer.error) {
            line("sticky-warning", answer.error);
            return;
        }
        line("sticky-count", ticked ? "Negative that will be used:" : "Negative that would be used, if this were ticked:");
        line("sticky-negative", answer.negative || "(empty)");
        if (answer.tokens !== null) {
            const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
            line("sticky-count", `${many(answer.tokens, "token")} in ${many(answer.chunks, "chunk")} of 75`);
        }
        answer.warnings.forEach((words) => line("sticky-warning", words));
    }

    async function preview(tab) {
        const prefix = find(`#script_${tab}_sticky_preview`) ? `script_${tab}_sticky` : `${tab}_sticky`;
        const target = find(`#${prefix}_preview`);
        if (!target) return;
        const body = {
            prompt: text(`${tab}_prompt`),
            negative_prompt: text(`${tab}_neg_prompt`),
            cfg_scale: Number(text(`${tab}_cfg_scale`)) || 7,
            sticky: fields(prefix),
        };
        const tick = find(`#${prefix}_enabled input[type=checkbox]`);
        const ticked = tick === null || tick.checked;
        const key = JSON.stringify([body, ticked]);
        if (target.dataset.key === key) return;
        target.dataset.key = key;
        try {
            const answer = await fetch("sticky/v1/preview", {
                method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
            });
            const found = await answer.json();
            if (target.dataset.key === key) show(target, answer.ok ? found : { error: found.detail }, ticked);
        } catch (error) {
            target.dataset.key = "";
        }
    }

    function set(id, value) {
        root().querySelectorAll(`#${id} input`).forEach((input) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        });
    }

    document.addEventListener("click", (event) => {
        const button = event.target.closest?.("[id$=_sticky_cfg20]");
        if (!button) return;
        const tab = button.id.includes("img2img") ? "img2img" : "txt2img";
        set(`${tab}_cfg_scale`, 20);
        set(`${tab}_steps`, 28);
    });

    // One timer for both tabs: Gradio has no event that fires for every way a prompt can change (typing, styles, pasting).
    setInterval(() => {
        if (document.hidden) return;
        ["txt2img", "img2img"].forEach((tab) => {
            const target = find(`[id$=${tab}_sticky_preview]`);
            if (target && target.offsetParent !== null) preview(tab);
        });
    }, 600);
})();
