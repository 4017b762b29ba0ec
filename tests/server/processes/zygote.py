"""Starts `confide` again and again without importing it again: a third of a second each instead of two.

Reads one JSON object a line: `{"arguments", "environment", "directory", "out", "err"}`. For each it forks a process
that is in every way what the console script starts (its own session, environment, directory, output files; what it
runs is `server.cli.main`) and answers `{"pid"}`. When one has ended it says `{"pid", "code"}`, the code negative for
a signal. The console script itself is started by the tests of `test_stopping.py` and `test_demo_command.py`.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import traceback

ANSWERS = int(sys.argv[1]) if __name__ == "__main__" else -1
_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    import server.cli.app  # noqa: PLC0415 - before the first fork, and nothing before that

    # What each command imports when it is run, and what it imports when it fails.
    for module in {
        "server.cli.expected",
        "server.cli.advice",
        *(each.module for each in server.cli.app.COMMANDS.values()),
    }:
        importlib.import_module(module)
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    say(ready=True)
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                start(order, program(order["run"]) if "run" in order else server.cli.app.main)


def program(name):
    """One of the tests' own programs, `module:function`."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def start(order, run) -> None:
    pid = os.fork()
    if pid:
        say(pid=pid)
        return
    code = 1
    try:
        become(order)
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter would do with what nobody caught
        sys.excepthook(*sys.exc_info()) if sys.excepthook is not sys.__excepthook__ else traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def become(order) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(ANSWERS)
    # A test run that is itself killed leaves nothing behind.
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.setsid()
    os.chdir(order["directory"])
    for descriptor, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["confide", *order["arguments"]]


def reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        say(pid=pid, code=os.waitstatus_to_exitcode(status))


def say(**what) -> None:
    os.write(ANSWERS, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
