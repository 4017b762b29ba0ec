"""The real SDKs, unmodified, as processes of their own; and the browser's, in real Chromium."""

import asyncio
import contextlib
import json
import shutil
import socket
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import uvicorn

from customers.collection.events import EventType
from tests.server.processes.browsing import CHROMIUM

PLACE = Path(__file__).with_name("sdks")
_NODE = shutil.which("node")
_MODULES = PLACE / "node_modules"
_FETCH = "scripts/sdks fetches it"
_SECONDS = 60

SDKS = {
    "segment_python.py": "segment.analytics",
    "rudder_python.py": "rudderstack.analytics",
    "segment_node.mjs": "@segment/analytics-node",
    "rudder_node.mjs": "@rudderstack/rudder-sdk-node",
}
BROWSER_SDK = _MODULES / "@segment" / "analytics-next" / "dist" / "umd" / "index.js"

# What every SDK's script sends once, whatever the SDK adds to it.
SENT = Counter({kind: 2 if kind is EventType.TRACK else 1 for kind in EventType})


def missing(script):
    """Why a script cannot be run here; None where it can."""
    needed = SDKS[script]
    if script.endswith(".py"):
        try:
            return None if find_spec(needed) else f"{needed} is not installed"
        except ModuleNotFoundError:
            return f"{needed} is not installed"
    if _NODE is None:
        return "there is no node on this machine"
    return None if (_MODULES / needed).is_dir() else f"{needed} is not there: {_FETCH}"


def missing_for_the_browser():
    """Why the browser's SDK cannot be run here; None where it can."""
    if CHROMIUM is None:
        return "there is no Chromium on this machine"
    return None if BROWSER_SDK.is_file() else f"@segment/analytics-next is not there: {_FETCH}"


async def run_sdk(script, url, key, person, more=0):
    """Run one to its end; what it says that it could not deliver."""
    program = sys.executable if script.endswith(".py") else _NODE
    process = await asyncio.create_subprocess_exec(
        program, script, url, key, person, str(more), cwd=PLACE,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), _SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return json.loads(out.decode().splitlines()[-1])["failed"]


async def until(holds, seconds=15.0):
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - it holds in a browser or a library, which sets no event
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def serving(app):
    """An application on a port of this machine's for the length of a block; gives its origin."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve([listening]))
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def shop_page():
    """A page of another origin with the browser's SDK in it; gives its origin."""

    async def app(scope, receive, send):
        script = scope["path"] == "/sdk/index.js"
        body = (BROWSER_SDK if script else PLACE / "page.html").read_bytes()
        kind = b"text/javascript" if script else b"text/html; charset=utf-8"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    async with serving(app) as origin:
        yield origin


LOAD = """async ([url, writeKey, person, strategy]) => {
  const failed = [];
  const options = strategy ? { integrations: { "Segment.io": { deliveryStrategy: strategy } } } : {};
  const analytics = AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL: url }, options);
  const [instance] = await analytics;
  instance.on("error", (error) => failed.push(String(error.reason ?? error.code)));
  instance.on("delivery_failure", (context) => failed.push(String(context)));
  window.analytics = instance;
  window.failed = failed;
  await instance.track("Cart Opened");  // before anybody is known
  await instance.identify(person, { plan: "gold", size: 3 });
  await instance.track("Product Viewed", { sku: "a-1", price: 12.5 });
  await instance.page("Shop", "Home");
  await instance.screen("Shop", "Start");
  await instance.group("company-7", { name: "Somewhere" });
  await instance.alias(person, `before-${person}`);
}"""
