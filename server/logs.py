"""The server's logs: one JSON object a line, from a closed set of events and fields.

A log line must never hold a personal value, so nothing free is written. Our own lines are made by `log`, whose
fields have forms. Lines of libraries keep their logger and place, and their text only where it is one of a few
known constants: a driver's message may repeat a command, an HTTP client's a URL. An exception is its type and where
it was raised; its text stays inside.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO, TypedDict, Unpack

from schema.errors import ErrorCode
from server.telemetry.vocabulary import Method, Route, method_of, route_of

_LOGGER = "confide"
_FRAMES: Final = 12
_CAUSES: Final = 5


class Event(StrEnum):
    """What can be logged."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    REQUEST = "request"
    REQUEST_FAILED = "request_failed"
    ACCESS_REFUSED = "access_refused"
    CHECK_FAILED = "check_failed"
    ENGINE_LOST = "engine_lost"
    CONNECTION_LOST = "connection_lost"
    CONNECTION_RESTORED = "connection_restored"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    LEASE_TAKEN = "lease_taken"
    LEASE_LOST = "lease_lost"
    POLICY_LOADED = "policy_loaded"
    POLICY_REFUSED = "policy_refused"
    REVOCATIONS_LOADED = "revocations_loaded"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    KEYS_ROTATED = "keys_rotated"
    ERASURE_RESUMED = "erasure_resumed"
    ERASURE_DONE = "erasure_done"
    JOB_FAILED = "job_failed"
    PRIVACY_REQUEST_DUE = "privacy_request_due"
    RETENTION_SWEPT = "retention_swept"
    BREAK_GLASS = "break_glass"
    WITNESS_UNREACHABLE = "witness_unreachable"
    WITNESS_LACKING = "witness_lacking"
    WITNESS_CONTRADICTS = "witness_contradicts"
    LIBRARY = "library"
    EXCEPTION = "exception"


class Fields(TypedDict, total=False):
    """What a line may say beside its event. A value that has not its field's form is written as `?`."""

    route: Route
    method: Method
    status: int
    duration_ms: float
    code: ErrorCode
    check: str
    count: int
    address: str
    version: str
    trace: str
    attempt: int


def _word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z]+(_[a-z]+){0,3}", value) is not None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "route": lambda value: isinstance(value, Route),
    "method": lambda value: isinstance(value, Method),
    "status": _number,
    "duration_ms": _number,
    "code": lambda value: isinstance(value, ErrorCode),
    "check": _word,
    "count": _number,
    "address": lambda value: re.fullmatch(r"[0-9a-f.:\[\]]+|localhost:\d+", str(value)) is not None,
    "version": lambda value: re.fullmatch(r"[0-9a-f]{16}|\d+(\.\d+){1,3}[0-9a-z.+-]{0,16}", str(value)) is not None,
    "trace": lambda value: re.fullmatch(r"[0-9a-f]{32}", str(value)) is not None,
    "attempt": _number,
}

# Texts of libraries that are constants, and worth reading: the record's own template, never with its arguments.
_KNOWN_TEXTS: Final = frozenset(
    {
        "Started server process [%d]",
        "Waiting for application startup.",
        "Application startup complete.",
        "Application startup failed. Exiting.",
        "Shutting down",
        "Waiting for connections to close. (CTRL+C to force quit)",
        "Waiting for background tasks to complete. (CTRL+C to force quit)",
        "Waiting for application shutdown.",
        "Application shutdown complete.",
        "Finished server process [%d]",
        "Exception in ASGI application\n",
        "Invalid HTTP request received.",
        "Exceeded concurrency limit.",
        "Task exception was never retrieved",
    }
)


def log(
    event: Event, level: int = logging.INFO, *, error: BaseException | None = None, **fields: Unpack[Fields]
) -> None:
    """Write one line.

    Args:
        event: What happened.
        level: A level of `logging`.
        error: What caused it; its type and place are written, never its text.
        fields: More about it, each in its field's form.
    """
    logger = logging.getLogger(_LOGGER)
    if logger.isEnabledFor(level):
        information = (type(error), error, error.__traceback__) if error is not None else None
        logger.log(level, event.value, exc_info=information, extra={"confide": (event, fields)})


class JsonFormatter(logging.Formatter):
    """Makes the line of a record, of ours or of a library's."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower() if record.levelname in logging.getLevelNamesMapping() else "other",
        }
        ours = getattr(record, "confide", None)
        if record.name == _LOGGER and ours is not None:
            event, fields = ours
            line |= {"event": event.value, **_fields(fields)}
        elif record.name == "uvicorn.access":
            line |= _access(record)
        else:
            line |= _library(record)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = describe(error)
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; when one cannot be made, it says so without repeating the record, as logging's own would."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        del record
        try:
            self.stream.write('{"level":"error","event":"exception","error":{"type":"LogError"}}\n')
        except (OSError, ValueError):
            return


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process through the formatter, and every uncaught exception into the log.

    Called once, at the start of the process. uvicorn is to be run with `log_config=None`, so that its loggers,
    which propagate, are formatted here too.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Below this they narrate every request and command.
    for name in ("httpx", "httpcore", "pymongo", "asyncio", "opentelemetry", "urllib3", "botocore", "boto3"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda raised: _uncaught(raised.exc_type, raised.exc_value, raised.exc_traceback)
    threading.excepthook = lambda raised: _uncaught(raised.exc_type, raised.exc_value, raised.exc_traceback)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as its type, where it was raised, and the types of what caused it. Never its text."""
    causes = [_type(cause) for cause in _causes(error)]
    return {"type": _type(error), "at": _places(error.__traceback__), **({"causes": causes} if causes else {})}


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause, left = error.__cause__ or error.__context__, _CAUSES
    while cause is not None and left:
        yield cause
        cause, left = cause.__cause__ or cause.__context__, left - 1


def _type(error: BaseException) -> str:
    """The class's name where it is a plain identifier; a class made at run time could be called anything."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,120}", name) else "Exception"


def _places(trace: TracebackType | None) -> list[str]:
    """The innermost frames, outermost first, as `file:line function`."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)[-_FRAMES:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(path: str) -> str:
    """The last two parts of a path: enough to find the file, and nothing about the machine."""
    return "/".join(PurePath(path).parts[-2:])


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if _FORMS[name](value) else "?"
        for name, value in fields.items()
        if name in _FORMS and value is not None
    }


def _access(record: logging.LogRecord) -> dict[str, Any]:
    """Uvicorn's access line, without the client's address and with a route for the path."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    match arguments:
        case (_, str() as method, str() as path, _, int() as status):
            return {
                "event": Event.REQUEST.value,
                "route": route_of(path).value,
                "method": method_of(method).value,
                "status": status,
            }
        case _:
            return {"event": Event.REQUEST.value}


def _library(record: logging.LogRecord) -> dict[str, Any]:
    """A library's line: who and where; the text only when it is one of the known constants."""
    name = record.name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,80}", record.name) else "other"
    line = {"event": Event.LIBRARY.value, "logger": name, "at": f"{_short(record.pathname)}:{record.lineno}"}
    if isinstance(record.msg, str) and record.msg in _KNOWN_TEXTS:
        line["text"] = record.msg.removesuffix("\n").removesuffix(" [%d]")
    return line


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    shown = error if error is not None else kind()
    if shown.__traceback__ is None:
        shown = shown.with_traceback(trace)
    log(Event.EXCEPTION, logging.ERROR, error=shown)
