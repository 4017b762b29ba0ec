"""The logs: one JSON object a line, from a closed vocabulary, and no personal value in any of them."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route as Path

from schema.errors import ErrorCode
from server.logs import Event, JsonFormatter, configure, describe, log
from server.telemetry import Method, Route

CANARY = "anna.canary@example.org"


@pytest.fixture
def lines():
    """Logging as the server configures it, into memory; what it was before is put back."""
    root = logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict]  # noqa: C416 - a copy, while loggers are made
    before = (list(root.handlers), root.level, sys.excepthook, sys.unraisablehook, threading.excepthook)
    levels = {name: logging.getLogger(name).level for name in names}
    stream = io.StringIO()
    configure("INFO", stream)

    def read() -> list[dict]:
        text = stream.getvalue()
        assert "canary" not in text.lower()
        return [json.loads(line) for line in text.splitlines()]

    read.text = stream.getvalue
    yield read
    root.handlers[:], root.level, sys.excepthook, sys.unraisablehook, threading.excepthook = before
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def fail(error, cause=None):
    raise error from cause


def test_a_line_is_one_json_object(lines):
    log(Event.REQUEST, route=Route.GRAPHQL, method=Method.POST, status=200, duration_ms=1.5, code=ErrorCode.TIMEOUT)
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "request",
        "route": "/graphql",
        "method": "POST",
        "status": 200,
        "duration_ms": 1.5,
        "code": "TIMEOUT",
    }


def test_a_field_of_another_form_or_name_is_not_written(lines):
    log(
        Event.READY,
        route=f"/{CANARY}",
        check=CANARY,
        address=CANARY,
        version=CANARY,
        trace=CANARY,
        status=CANARY,
        code=CANARY,
        email=CANARY,
    )
    (line,) = lines()
    assert {name for name, value in line.items() if value == "?"} == {
        "route", "check", "address", "version", "trace", "status", "code"
    }  # fmt: skip
    assert "email" not in line


def test_an_exception_is_its_type_and_place_and_never_its_text(lines):
    with pytest.raises(ValueError, match="canary") as raised:
        fail(ValueError(CANARY), cause=KeyError(CANARY))
    raised.value.add_note(CANARY)
    log(Event.REQUEST_FAILED, logging.ERROR, error=raised.value)
    (line,) = lines()
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["causes"] == ["KeyError"]
    assert line["error"]["at"][-1].startswith("server/test_logs.py:")


def test_what_libraries_log_keeps_its_place_and_loses_its_text(lines):
    root = logging.getLogger()
    # Without pytest's own handlers, which do not survive the wrong format below.
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler.formatter, JsonFormatter)]
    for name in ("pymongo.command", "httpx", "somebody", f"of {CANARY}"):
        library = logging.getLogger(name)
        library.error("found %s", CANARY)
        library.error(f"found {CANARY}")
        library.error("wrong %d %s", CANARY)
        library.error({"who": CANARY})
        try:
            fail(OSError(CANARY))
        except OSError:
            library.exception("failed for %s", CANARY, stack_info=True)
    found = lines()
    assert len(found) == 20
    assert {line["event"] for line in found} == {"library"}
    assert {line["logger"] for line in found} == {"pymongo.command", "httpx", "somebody", "other"}
    assert found[4]["error"]["type"] == "OSError"


def test_the_control_a_usual_formatter_would_have_written_it(lines):
    usual = logging.StreamHandler(stream := io.StringIO())
    logging.getLogger().addHandler(usual)
    logging.getLogger("somebody").error("found %s", CANARY)
    assert CANARY in stream.getvalue()
    assert lines()


def test_a_record_that_cannot_be_written_is_not_repeated_on_stderr(lines, capsys):
    class Broken(logging.Filter):
        def filter(self, record):
            record.created = "never"
            return True

    handler = logging.getLogger().handlers[0]
    handler.addFilter(Broken())
    logging.getLogger("somebody").error("found %s", CANARY)
    assert lines()[0]["error"] == {"type": "LogError"}
    assert capsys.readouterr().err == ""


def test_a_warning_is_told_by_its_place(lines):
    import warnings  # noqa: PLC0415 - only here

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"deprecated for {CANARY}", UserWarning, stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"


def test_debug_does_not_make_drivers_narrate(lines):
    configure("DEBUG", io.StringIO())
    assert not logging.getLogger("pymongo.command").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
    assert logging.getLogger("confide").isEnabledFor(logging.DEBUG)


async def test_the_access_log_has_no_query_no_foreign_path_and_no_address(lines):
    async def answer(request):
        if request.url.path == "/graphql":
            return PlainTextResponse("ok")
        raise RuntimeError(CANARY)

    app = Starlette(routes=[Path("/{path:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{base}/graphql?query={CANARY}", headers={"referer": CANARY, "authorization": CANARY})
        await client.delete(f"{base}/{CANARY}")
        await client.get(f"{base}/{CANARY}")
    server.should_exit = True
    await running
    requests = [line for line in lines() if line["event"] == "request"]
    assert [(line["route"], line["method"], line["status"]) for line in requests] == [
        ("/graphql", "GET", 200),
        ("other", "OTHER", 405),
        ("other", "GET", 500),
    ]
    assert "127.0.0.1" not in json.dumps(requests)
    texts = [line.get("text") for line in lines()]
    assert "Started server process" in texts
    (failed,) = [line for line in lines() if line.get("text") == "Exception in ASGI application"]
    assert failed["error"]["type"] == "RuntimeError"


PROGRAM = f"""
import asyncio, gc, sys, threading
if {{configured}}:
    from server.logs import configure
    configure()
def fail(): raise ValueError("{CANARY}")
class Left:
    def __del__(self): fail()
Left(); gc.collect()
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def main():
    async def lost(): fail()
    task = asyncio.ensure_future(lost()); await asyncio.sleep(0); del task; gc.collect()
asyncio.run(main())
fail()
"""


@pytest.mark.parametrize("configured", [True, False])
def test_an_exception_nobody_caught_is_logged_like_any_other(configured):
    code = PROGRAM.format(configured=configured)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert (CANARY in ended.stderr) is not configured  # the control: Python's own hooks print it
    if configured:
        found = [json.loads(line) for line in ended.stderr.splitlines()]
        assert [line["error"]["type"] for line in found] == ["ValueError"] * 4


def test_a_class_with_a_strange_name_is_an_exception():
    strange = type(CANARY, (Exception,), {})
    assert describe(strange()) == {"type": "Exception", "at": []}
