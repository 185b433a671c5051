"""A process that has imported everything forks a child for each command line, so that a case costs no start.

What there is to import it learns from the children that make the sound folder. It reads one request a line on its
standard input, a JSON object, and answers with one. What a child prints is in it; its time, the size of its files and
its memory may be limited.
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
from collections.abc import Callable
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
    began = time.monotonic()
    pipes = {name: os.pipe() for name in ("out", "err")}  # files might be those that may not grow
    learnt = Path(request["logs"]) / "modules"
    child = os.fork()
    if not child:
        _run(request, [writes for _, writes in pipes.values()], learnt)
    for reads, writes in pipes.values():
        os.close(writes)
        os.set_blocking(reads, False)
    said = {name: bytearray() for name in pipes}

    def drain() -> None:
        for name, (reads, _) in pipes.items():
            _drain(reads, said[name])

    code = _wait(child, began + request["seconds"], drain)
    for reads, _ in pipes.values():
        os.close(reads)
    if learnt.exists():
        for module in learnt.read_text().split():
            with suppress(Exception):
                import_module(module)
    printed = {name: content.decode(errors="replace") for name, content in said.items()}
    return {"code": code, **printed, "seconds": time.monotonic() - began}


def _drain(pipe: int, said: bytearray) -> None:
    """Take what a child has printed so far."""
    with suppress(BlockingIOError):
        while content := os.read(pipe, 65_536):
            said += content


def _wait(child: int, deadline: float, meanwhile: Callable[[], object]) -> int:
    """The child's exit code, 128 and more for a signal that ended it; it and its children are gone afterwards."""
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        meanwhile()
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return HUNG
        time.sleep(0.005)
    meanwhile()
    code = os.waitstatus_to_exitcode(ended[1])
    return 128 - code if code < 0 else code


def _run(request: dict[str, Any], pipes: list[int], learnt: Path) -> NoReturn:
    """What the child does; it never returns to the server."""
    code = 1
    try:
        os.setsid()
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        _redirect(pipes, request["output"])
        if request["flock"]:
            fcntl.flock = partial(_refuse, getattr(errno, request["flock"]))
        for name, value in request["limits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it from its start
        if request["prepare"]:
            module, _, name = request["prepare"].rpartition(".")
            getattr(import_module(module), name)()
        code = _command(request["arguments"])
        if request["learn"]:
            learnt.write_text("\n".join(sys.modules))
    except BaseException:  # the case must see it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _refuse(number: int, handle: int, operation: int) -> NoReturn:
    """What a file system without locks answers; no local one is so."""
    raise OSError(number, os.strerror(number))


def _redirect(pipes: list[int], output: str) -> None:
    """Standard input is empty; output and errors go to the pipes, through streams as new as a program's own."""
    for number, handle in enumerate([os.open(os.devnull, os.O_RDONLY), *pipes]):
        os.dup2(handle, number)
        os.close(handle)
    if output == "closed":
        os.close(1)
        sys.stdout = sys.__stdout__ = None  # type: ignore[misc] # as Python has it then
    else:
        if output == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(  # type: ignore[misc]
            open(1, "wb", closefd=False), encoding="utf-8"  # noqa: SIM115
        )  # fmt: skip
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
