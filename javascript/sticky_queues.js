// Keeps a tab's queue moving while a job runs, and what depends on its jobs fresh after each.
(function () {
    "use strict";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const press = (id) => root().querySelector(`#${id}`)?.click();
    const queues = {
        sticky_merge: ["sticky_merge_refresh", "refresh_sd_model_checkpoint", "forge_refresh_checkpoint"],
        sticky_untitled: ["sticky_untitled_show"],
    };
    const seen = {};

    function look(tab, refreshers) {
        const queue = root().querySelector(`#${tab}_queue .sticky-jobs`);
        if (!queue) return;
        const { active, finished } = queue.dataset;
        const first = !(tab in seen);
        if (first && queue.offsetParent === null) return;
        if (!first && finished !== seen[tab]) refreshers.forEach(press);
        seen[tab] = finished;
        // The first look asks once: a job may be running since before the page was loaded.
        if (first || active === "1") press(`${tab}_poll`);
    }

    setInterval(() => Object.entries(queues).forEach(([tab, refreshers]) => look(tab, refreshers)), 1000);
})();
