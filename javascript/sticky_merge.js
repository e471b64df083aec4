// Keeps the merge tab's queue moving while a merge runs, and the page's lists of checkpoints fresh after one.
(function () {
    "use strict";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const press = (id) => root().querySelector(`#${id}`)?.click();
    const refreshers = ["sticky_merge_refresh", "refresh_sd_model_checkpoint", "forge_refresh_checkpoint"];

    let seen = null;

    setInterval(() => {
        const queue = root().querySelector("#sticky_merge_queue .sticky-jobs");
        if (!queue) return;
        const { active, finished } = queue.dataset;
        const first = seen === null;
        if (first && queue.offsetParent === null) return;
        if (!first && finished !== seen) refreshers.forEach(press);
        seen = finished;
        // The first look asks once: a merge may be running since before the page was loaded.
        if (first || active === "1") press("sticky_merge_poll");
    }, 1000);
})();
