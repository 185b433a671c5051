"""A process that has imported everything forks a child for each command line, so that a case costs no start.

What there is to import it learns from the children that make the sound folder. It reads one request a line on its
standard input, a JSON object, and answers with one. Everything that a child prints goes to files; its time, the size of
its files and its memory may be limited.
"""

import errno
import fcntl
import gc
import io
import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

HUNG = -1
"""The code of a child that was still at work at the end of its time."""


def serve() -> None:
    """Answer requests until there are none."""
    from soft_labels.__main__ import COMMANDS

    for command, _, _ in COMMANDS.values():
        import_module(f"soft_labels.commands.{command}")
    gc.disable()  # it would touch, and so copy, every page in each child
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a module prints when it is imported is no answer
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()
    os._exit(0)  # to put away all that was imported takes a second


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command line in a child; what it returned and printed, and the seconds it took."""
    logs = Path(request["logs"])
    began = time.monotonic()
    child = os.fork()
    if not child:
        _run(request, logs)
    code = _wait(child, began + request["seconds"])
    if request["learn"]:
        for module in (logs / "modules").read_text().split():
            with suppress(Exception):
                import_module(module)
    out, err = ((logs / name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr"))
    return {"code": code, "out": out, "err": err, "seconds": time.monotonic() - began}


def _wait(child: int, deadline: float) -> int:
    """The child's exit code, 128 and more for a signal that ended it; it and its children are gone afterwards."""
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return HUNG
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(ended[1])
    return 128 - code if code < 0 else code


def _run(request: dict[str, Any], logs: Path) -> NoReturn:
    """What the child does; it never returns to the server."""
    code = 1
    try:
        os.setsid()
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        _redirect(logs, request["output"])
        if request["flock"]:
            fcntl.flock = partial(_refuse, getattr(errno, request["flock"]))  # type: ignore[assignment]
        for name, value in request["limits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it from its start
        if request["prepare"]:
            module, _, name = request["prepare"].rpartition(".")
            getattr(import_module(module), name)()
        code = _command(request["arguments"])
        if request["learn"]:
            (logs / "modules").write_text("\n".join(sys.modules))
    except BaseException:  # the case must see it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _refuse(number: int, handle: int, operation: int) -> NoReturn:
    """What a file system without locks answers; no local one is so."""
    raise OSError(number, os.strerror(number))


def _redirect(logs: Path, output: str) -> None:
    """Standard input is empty; output and errors go to files, through streams as new as a program's own."""
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        handle = os.open(logs / name, flags | (os.O_CREAT if flags else 0))
        os.dup2(handle, number)
        os.close(handle)
    (logs / "stdout").touch()
    if output == "closed":
        os.close(1)
        sys.stdout = sys.__stdout__ = None  # type: ignore[assignment, misc] # as Python has it then
    else:
        if output == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(open(1, "wb", closefd=False), encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
        open(2, "wb", closefd=False), encoding="utf-8", line_buffering=True  # noqa: SIM115
    )  # fmt: skip


def _command(arguments: list[str]) -> int:
    """Run a command line as ``soft-labels`` does."""
    from soft_labels.__main__ import main

    sys.argv = ["__main__.py", *arguments]
    try:
        main()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)


if __name__ == "__main__":
    serve()
