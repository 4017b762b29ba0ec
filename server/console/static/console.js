// Comfort only: everything works without this file.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  for (const each of document.querySelectorAll("[data-script]")) each.hidden = false;

  const stated = one("[data-purpose]");
  const summary = stated && stated.querySelector("summary");
  const close = (back) => {
    if (!stated || !stated.open) return;
    stated.open = false;
    if (back) summary.focus();
  };

  const open = () => {
    stated.open = true;
    stated.querySelector("select").focus();
  };

  const search = () => {
    const details = one("details.conditions");
    const input = one("form.search input:not([type=hidden])");
    if (!input) return;
    if (details) details.open = true;
    input.focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close(true);
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "p" && stated) open();
    else if (event.key === "/" && one("form.search")) search();
    else if (event.key === "o" && one("a[rel=next]")) one("a[rel=next]").click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (stated && !stated.contains(event.target)) close(false);
  });

  const told = one("#problem") || one("#verification");
  if (told) told.focus();

  if (navigator.clipboard) {
    for (const each of document.querySelectorAll("[data-copy]")) {
      each.hidden = false;
      const said = each.firstChild;
      each.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(each.dataset.copy).textContent);
        said.textContent = "Copied";
        setTimeout(() => { said.textContent = "Copy"; }, 2000);
      });
    }
  }
  const all = one("[data-all]");
  if (all) {
    const boxes = () => [...document.querySelectorAll(".pick input")];
    all.hidden = false;
    all.addEventListener("click", () => {
      const on = boxes().some((each) => !each.checked);
      for (const each of boxes()) each.checked = on;
    });
  }

  // An export's page shows how far it is.
  const live = one("[data-live=running]");
  if (!live) return;
  const look = async () => {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.querySelector("[data-live]");
      if (!answer.ok || !found) return location.reload();
      one("[data-live]").replaceWith(document.importNode(found, true));
      document.title = page.title;
      if (found.dataset.live !== "running") return;
    } catch {
      // The server may be restarting; the next look will tell.
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
})();
