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

    // The fields that decide what can be written as text; absent where the panel does not have them.
    function strengths(prefix) {
        const names = ["twoscale", "gate", "clamp"].filter((name) => box(`${prefix}_${name}`));
        return Object.fromEntries(names.map((name) => [name, Number(text(`${prefix}_${name}`))]));
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

    const prefixOf = (tab) => (find(`#script_${tab}_sticky_preview`) ? `script_${tab}_sticky` : `${tab}_sticky`);

    function asked(tab, sticky) {
        return {
            prompt: text(`${tab}_prompt`),
            negative_prompt: text(`${tab}_neg_prompt`),
            cfg_scale: Number(text(`${tab}_cfg_scale`)) || 7,
            sticky: sticky,
        };
    }

    const post = (route, body) => fetch(`sticky/v1/${route}`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });

    async function preview(tab) {
        const prefix = prefixOf(tab);
        const target = find(`#${prefix}_preview`);
        if (!target) return;
        const body = asked(tab, fields(prefix));
        const tick = find(`#${prefix}_enabled input[type=checkbox]`);
        const ticked = tick === null || tick.checked;
        const key = JSON.stringify([body, ticked]);
        if (target.dataset.key === key) return;
        target.dataset.key = key;
        try {
            const answer = await post("preview", body);
            const found = await answer.json();
            if (target.dataset.key === key) show(target, answer.ok ? found : { error: found.detail }, ticked);
        } catch (error) {
            target.dataset.key = "";
        }
    }

    // Writes what the extension would do into the prompt boxes, and turns it off.
    async function expand(tab) {
        const prefix = prefixOf(tab);
        const say = (words) => { find(`#${prefix}_expand_said`).textContent = words; };
        const answer = await post("expand", asked(tab, { ...fields(prefix), ...strengths(prefix) })).catch(() => null);
        if (!answer) return say("The WebUI did not answer; nothing was changed.");
        const found = await answer.json();
        if (!answer.ok) return say(found.detail);
        set(`${tab}_prompt`, found.prompt);
        set(`${tab}_neg_prompt`, found.negative_prompt);
        if ("twoscale" in found.sticky) set(`${prefix}_twoscale`, found.sticky.twoscale);
        const tick = find(`#${prefix}_enabled input[type=checkbox]`);
        if (tick?.checked) tick.click();
        say(["Written into the prompt boxes; Sticky is off.", ...found.notes].join(" "));
    }

    function set(id, value) {
        root().querySelectorAll(`#${id} textarea, #${id} input`).forEach((input) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        });
    }

    document.addEventListener("click", (event) => {
        const asking = event.target.closest?.("[id$=_sticky_expand]");
        if (asking) expand(asking.id.includes("img2img") ? "img2img" : "txt2img");
        const button = event.target.closest?.("[id$=_sticky_cfg20]");
        if (!button) return;
        const tab = button.id.includes("img2img") ? "img2img" : "txt2img";
        set(`${tab}_cfg_scale`, 20);
        set(`${tab}_steps`, 28);
    });

    // What the newest picture's infotext says of its CFG scale, where that was measured.
    function feels(tab) {
        const target = find(`#${prefixOf(tab)}_feels`);
        if (!target) return;
        const found = find(`#html_info_${tab}`)?.textContent.match(/Sticky feels like CFG: ([\d.]+)/);
        const words = found ? `Feels like CFG ${found[1]}: so far would it push without a negative.` : "";
        if (target.textContent !== words) target.textContent = words;
    }

    // A comparison is asked for by the Compare button's own answer; Generate then makes it in place of the page's job.
    const generated = new Set();

    function comparison(tab) {
        const prefix = prefixOf(tab);
        const said = find(`#${prefix}_compare_said .sticky-compare`);
        const { job, state } = said?.dataset ?? {};
        if (!job) return;
        if (state === "queued" && !generated.has(job)) {
            generated.add(job);
            find(`#${tab}_generate`)?.click();
        } else if (state === "queued" || state === "running") {
            find(`#${prefix}_compare_poll`)?.click();
        }
    }

    setInterval(() => ["txt2img", "img2img"].forEach(comparison), 1000);

    // One timer for both tabs: Gradio has no event that fires for every way a prompt can change (typing, styles, pasting).
    setInterval(() => {
        if (document.hidden) return;
        ["txt2img", "img2img"].forEach((tab) => {
            const target = find(`[id$=${tab}_sticky_preview]`);
            if (target && target.offsetParent !== null) preview(tab);
            feels(tab);
        });
    }, 600);
})();
