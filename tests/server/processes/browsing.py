"""Real Chromium, and what holds of every page that it shows."""

import json
import shutil
from importlib.resources import files

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
# axe-core as a plain file: the package around it is not imported.
AXE = files("axe_playwright_python") / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_FAULTS = """() => {
  const faults = [], all = (selector) => [...document.querySelectorAll(selector)];
  const say = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`scrolls sideways by ${document.documentElement.scrollWidth - innerWidth}`);
  if (document.documentElement.lang !== "en" || !document.title.trim()) faults.push("has no language or title");
  if (all("h1").length !== 1 || all("main").length !== 1) faults.push("has not one heading and one main part");
  const named = (element) => element.labels?.length || element.getAttribute("aria-label");
  for (const each of all("input:not([type=hidden]), select, textarea")) if (!named(each)) say("no label", each);
  for (const each of all("a[href], button, summary")) if (!each.textContent.trim()) say("no name", each);
  for (const each of all("[aria-describedby], [aria-labelledby]"))
    for (const id of `${each.getAttribute("aria-describedby") ?? ""} ${each.getAttribute("aria-labelledby") ?? ""}`.split(" ").filter(Boolean))
      if (!document.getElementById(id)) say(`points at ${id}, which is not there`, each);
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) faults.push(`two have the id ${id}`);
  let level = 0;
  for (const each of all("h1, h2, h3, h4")) {
    const own = Number(each.tagName[1]);
    if (level && own > level + 1) say("a level is left out before", each);
    level = own;
  }
  return faults;
}"""  # noqa: E501 - JavaScript, as short as it gets


class Watched:
    """A page of a browser that keeps what should not have happened."""

    def __init__(self, page, origin):
        self.page = page
        self.wrong = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("request", lambda request: self._asked(request.url, origin))

    def _said(self, kind, text):
        # A page with another status than 200 is told on the console too.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.wrong.append(text)

    def _asked(self, url, origin):
        if not url.startswith((f"{origin}/", "blob:", "data:")):
            self.wrong.append(f"asked elsewhere: {url}")

    async def faults(self):
        """What is wrong with the page that is open; needs scripts."""
        return [*self.wrong, *await self.page.evaluate(_FAULTS), *await self._axe()]

    async def _axe(self):
        session = await self.page.context.new_cdp_session(self.page)
        frame = (await session.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        # A world of its own, so that the page keeps its policy.
        world = (await session.send("Page.createIsolatedWorld", {"frameId": frame}))["executionContextId"]
        await session.send("Runtime.evaluate", {"expression": AXE.read_text(), "contextId": world})
        run = (
            f"axe.run(document, {{runOnly: {json.dumps(_RULES)}}}).then((found) => JSON.stringify(found.violations))"
        )
        told = await session.send(
            "Runtime.evaluate",
            {"expression": run, "awaitPromise": True, "returnByValue": True, "contextId": world},
        )
        await session.detach()
        return [f"axe: {each['id']}: {each['nodes'][0]['html']}" for each in json.loads(told["result"]["value"])]
