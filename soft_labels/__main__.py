"""The command line: a thin dispatcher, so that help and mistakes answer before anything heavy is imported."""

import importlib
import io
import os
import re
import sys
from argparse import ArgumentError
from pathlib import Path
from typing import Any, NoReturn

from soft_labels.commands.interrupted import forget, words
from soft_labels.errors import SoftLabelsError, did_you_mean, in_words
from soft_labels.progress import set_quiet

MISTAKE = 2
_QUIET = "--quiet"
_DENIED = re.compile(r"Importing '((\w+)[\w.]*)' is not allowed, denied by .* to allow it\.")
COMMANDS = {
    "quickstart": ("compare", "run_quickstart", "compare on the embedded data: nothing to download or to write"),
    "fit": ("fit", "run_lightning", "train one head (Lightning CLI)"),
    "validate": ("fit", "run_lightning", "metrics of a checkpoint on the validation split"),
    "test": ("fit", "run_lightning", "metrics of a checkpoint on the test split"),
    "predict": ("predict", "run_predict", "distributions of new items by an exported head, or of a checkpoint"),
    "export": ("export", "run_export", "a run's head as a folder that travels, with its numbers"),
    "compare": ("compare", "run_compare", "train the heads of each arm and print them side by side"),
    "budget": ("budget", "run_budget_command", "how many annotators an item are enough, for each arm"),
    "sweep": ("sweep", "run_sweep", "search for the best settings of each arm with Optuna"),
    "storage": ("storage", "run_storage", "serve a database of studies to many workers over gRPC"),
    "reproduce": ("reproduce", "run_reproduce", "a whole experiment: search, choose, repeat, judge, report"),
    "report": ("report", "run_report", "the tables and figures of an experiment, as one page"),
    "cluster": ("cluster", "run_cluster", "slurm: job arrays of many workers, printed or handed to sbatch"),
    "embed": ("embed", "run_embed", "encode a data set's inputs once and keep the embeddings"),
    "data": ("data", "run_data", "init: a configuration of your file; stats; fetch: download"),
    "runs": ("runs", "run_runs", "list: what lies in lightning_logs; clean: what of it may go"),
    "configs": ("configs", "run_configs", "list, show or copy configurations that come with the package"),
    "completion": ("completion", "run_completion", "what bash, zsh or fish must read to complete commands"),
}


def usage() -> str:
    """The help page."""
    rows = "\n".join(f"  {name:<11}{text}" for name, (_, _, text) in COMMANDS.items())
    return f"""usage: soft-labels COMMAND [options]

Train classifiers on what annotators really said: a distribution, not one label.

commands:
{rows}

Every command says with --help what a person sets first, and lists every option
with --help-all; those that train print their whole configuration with
--print_config. --quiet leaves progress and notes out: results and warnings stay.
Start here:

  soft-labels quickstart                            the embedded data
  soft-labels data init ratings.csv --out my.yaml   your own annotations
  soft-labels reproduce --config my.yaml            an experiment, its report

Exit codes: 0 done, 2 a mistake that you can mend, 75 a service that was asked
for embeddings answers later: run the same command again.
"""


class _Output(io.FileIO):
    """Standard output that remembers a refusal, which some libraries ignore, and takes nothing more after it."""

    refused: OSError | None = None

    def write(self, content: Any) -> int:
        """Write, unless it was refused before."""
        if self.refused is None:
            try:
                return super().write(content)
            except OSError as error:
                error.filename = "standard output"
                self.refused = error
                raise
        return memoryview(content).nbytes


def main() -> NoReturn:
    """Run a command; what a person can mend is one line on stderr and the error's exit code, mostly 2."""
    if sys.stderr is None:  # closed; the next file that is opened must not take its place
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 # for as long as Python runs
    if sys.stdout is None:
        sys.exit(_fail("standard output is closed; send it to a file, or to /dev/null"))
    if sys.stdout is sys.__stdout__:
        sys.stdout = _watched(sys.__stdout__)
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(_interrupted(130))
    except SystemExit as stopped:
        code = _signalled(stopped)
        sys.exit(_interrupted(code) if code in {130, 143} else code)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.exit(141)
    except Exception as error:
        mendable = _mendable(error)
        if mendable is None:
            raise
        sys.exit(_fail(*mendable))
    sys.exit(0)


def _watched(output: io.TextIOWrapper) -> io.TextIOWrapper:
    """Standard output in its own encoding and buffering, through :class:`_Output`."""
    buffer = io.BufferedWriter(_Output(output.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        buffer,
        encoding=output.encoding,
        errors=output.errors,
        line_buffering=output.line_buffering,
        write_through=output.write_through,
    )


def _run(arguments: list[str]) -> None:
    """Dispatch; what was printed has left when this ends."""
    try:
        _dispatch(arguments)
    except SystemExit:
        _flush()
        raise
    _flush()


def _flush() -> None:
    """Send what was printed; raise what was refused, also if it was refused to a library that ignored it."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output) and raw.refused is not None:
        raise raw.refused


def _dispatch(arguments: list[str]) -> None:
    """Answer by itself, or import the command and run it."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may follow
        from soft_labels.commands.completion import complete

        complete(COMMANDS)
    forget()
    set_quiet(_QUIET in arguments)
    arguments = [argument for argument in arguments if argument != _QUIET]
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(usage())  # noqa: T201
        sys.exit(0 if arguments else MISTAKE)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("soft-labels"))  # noqa: T201
        return
    if arguments[0] not in COMMANDS:
        hint = did_you_mean(arguments[0], COMMANDS)
        sys.exit(_fail(f"unknown command {arguments[0]!r}; choose one of {', '.join(COMMANDS)}{hint}"))
    from soft_labels.commands.configs import resolved
    from soft_labels.commands.configurations import guard
    from soft_labels.commands.early import check
    from soft_labels.commands.help import page
    from soft_labels.commands.output import switched

    if {"-h", "--help"} & set(arguments) and (text := page(arguments[0])):
        print(text)  # noqa: T201
        return
    arguments = ["--help" if argument == "--help-all" else argument for argument in arguments]
    arguments = resolved(switched(arguments))
    guard(arguments)
    check(arguments)
    module, function, _ = COMMANDS[arguments[0]]
    getattr(importlib.import_module(f"soft_labels.commands.{module}"), function)(arguments)


def _interrupted(code: int | str | None) -> int | str | None:
    """Say what is kept of the work, and how it goes on."""
    command = next((argument for argument in sys.argv[1:] if argument != _QUIET), "")
    sys.stderr.write(f"soft-labels: interrupted: {words(command)}\n")
    return code


def _signalled(stopped: SystemExit) -> int | str | None:
    """The exit code: Lightning ends a fit with 0 when it is told to terminate, and with 1 when it is interrupted."""
    if type(stopped).__name__ == "SIGTERMException":
        return 143
    return 130 if isinstance(stopped.__context__, KeyboardInterrupt) else stopped.code


def _mendable(error: BaseException) -> tuple[str, int] | None:
    """What to tell the person and the exit code, unless it is a bug; the parser wraps what a constructor raises."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SoftLabelsError):
            return str(cause), cause.exit_code
        cause = cause.__cause__
    if isinstance(error, OSError) and (said := in_words(error)) is not None:
        return said, MISTAKE
    if isinstance(error, MemoryError):
        return f"memory ran out: {error}; choose smaller settings, or a machine with more of it", MISTAKE
    return (_without_internals(str(error)), MISTAKE) if isinstance(error, ArgumentError) else None


def _without_internals(message: str) -> str:
    """The parser's message without the types it tried and the settings it was given, which may be long or private."""
    hidden = ("Does not validate against", "Subtypes:", "Errors:", "- Expected a <class 'NoneType'>", "Given value")
    message = _DENIED.sub(
        r"\1 is code of a package that is neither this project's nor one of its libraries'. If you trust it, type the "
        r"class path as an option, or set SOFT_LABELS_TRUST=\2",
        message,
    )
    lines = [line for line in message.splitlines() if line.strip() and not line.strip().startswith(hidden)]
    from soft_labels.commands.hints import hint

    told = "\n".join(lines)
    command = sys.argv[1]
    return f"{told}{hint(message, command)}\nsoft-labels {command} --help-all lists the options."


def _fail(message: str, code: int = MISTAKE) -> int:
    """Say what went wrong, or what is not there yet."""
    sys.stderr.write(f"soft-labels: {'error' if code == MISTAKE else 'not yet'}: {message}\n")
    return code


if __name__ == "__main__":
    main()
