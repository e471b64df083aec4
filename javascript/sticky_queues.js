// Keeps a tab's queue moving while a job runs, and what depends on its jobs fresh as they come along.
(function () {
    "use strict";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const press = (id) => root().querySelector(`#${id}`)?.click();
    const queues = {
        sticky_merge: "sticky_merge_refresh",
        sticky_neglora: "sticky_neglora_refresh",
        sticky_untitled: "sticky_untitled_show",
    };
    const hosts = ["refresh_sd_model_checkpoint", "forge_refresh_checkpoint"];
    // A gallery that is sent anew is up to a megabyte: not at every picture.
    const PAUSE = 4000;
    const seen = {};

    function refresh(tab) {
        press(queues[tab]);
        if (tab === "sticky_merge" && !root().querySelector("#sticky_merge_pinned")) hosts.forEach(press);
    }

    function look(tab) {
        const queue = root().querySelector(`#${tab}_queue .sticky-jobs`);
        if (!queue) return;
        const { active, finished } = queue.dataset;
        const first = !(tab in seen);
        if (first && queue.offsetParent === null) return;
        if (first) {
            seen[tab] = { finished: finished, at: 0 };
            // The page's lists are as old as the WebUI's start: files may have come since.
            press(queues[tab]);
        }
        if (finished !== seen[tab].finished && (active === "0" || Date.now() - seen[tab].at >= PAUSE)) {
            seen[tab] = { finished: finished, at: Date.now() };
            refresh(tab);
        }
        // The first look asks once: a job may be running since before the page was loaded.
        if (first || active === "1") press(`${tab}_poll`);
    }

    setInterval(() => Object.keys(queues).forEach(look), 1000);
})();
