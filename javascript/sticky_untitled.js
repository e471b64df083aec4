// The gallery of the untitled tab: unblurs and shows what is clicked, hands votes to the server, sends settings on.
// Server side: lib_sticky/webui/untitled_tab.py, `act`.
(function () {
    "use strict";

    const TAB = "sticky_untitled";
    const HIRES = "Denoising strength: 0.7, Hires upscale: 1.5, Hires upscaler: Latent";
    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const find = (selector) => root().querySelector(selector);
    const text = (id) => find(`#${id} textarea, #${id} input`)?.value ?? "";

    // Gradio takes a value up a moment after the event that tells of it, and reads it a moment after a click.
    const SETTLED = 150;
    let pending = [], sending = false;

    function fill(id, value) {
        const box = find(`#${id} textarea, #${id} input`);
        box.value = value;
        box.dispatchEvent(new Event("input", { bubbles: true }));
    }

    function tell(act) {
        pending.push(act);
        if (!sending) send();
    }

    function send() {
        sending = true;
        fill(`${TAB}_acting`, JSON.stringify(pending));
        pending = [];
        setTimeout(() => {
            find(`#${TAB}_act`).click();
            setTimeout(() => {
                sending = false;
                if (pending.length) send();
            }, SETTLED);
        }, SETTLED);
    }

    function vote(button) {
        const figure = button.closest("figure");
        const withdrawn = button.getAttribute("aria-pressed") === "true";
        const keep = withdrawn ? null : button.dataset.vote === "keep";
        // Equal pixels get one vote, whichever presets made them.
        root().querySelectorAll(`#${TAB}_gallery figure[data-sha256="${figure.dataset.sha256}"] [data-vote]`)
            .forEach((each) => each.setAttribute("aria-pressed", String(!withdrawn && each.dataset.vote === button.dataset.vote)));
        tell({ sha256: figure.dataset.sha256, keep: keep });
    }

    function show(figure) {
        figure.classList.add("sticky-seen");
        tell({ show: figure.dataset.name });
    }

    // The prompts of the page go along, so that they stay as they were typed.
    function sendSettings(hires) {
        const infotext = text(`${TAB}_infotext`).trim();
        if (!infotext) return;
        const negative = text("txt2img_neg_prompt");
        const settings = infotext.split("\n").pop();
        const lines = [text("txt2img_prompt"), negative && `Negative prompt: ${negative}`, hires ? `${settings}, ${HIRES}` : settings];
        fill(`${TAB}_sent_text`, lines.filter(Boolean).join("\n"));
        setTimeout(() => find(`#${TAB}_sent`).click(), SETTLED);
    }

    document.addEventListener("click", (event) => {
        const target = event.target;
        if (target.closest?.(`#${TAB}_send, #${TAB}_send_hires`)) return sendSettings(Boolean(target.closest(`#${TAB}_send_hires`)));
        if (!target.closest?.(`#${TAB}_gallery`)) return;
        const button = target.closest("[data-vote]");
        if (button) vote(button);
        else if (target.closest(".sticky-veil")) show(target.closest("figure"));
    });

    document.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.target.closest?.(`#${TAB}_gallery .sticky-veil`)) show(event.target.closest("figure"));
    });

    document.addEventListener("change", (event) => {
        if (event.target.closest?.(`#${TAB}_blur`)) {
            find(`#${TAB}_gallery .sticky-drawn`)?.classList.toggle("sticky-blurred", event.target.checked);
        }
    });
})();
