"""The command line: a thin dispatcher, so that help and mistakes answer before anything heavy is imported."""

import importlib
import os
import sys
from argparse import ArgumentError
from typing import NoReturn

from soft_labels.errors import SoftLabelsError

MISTAKE = 2
COMMANDS = {
    "fit": ("cli", "run_lightning", "train one head (Lightning CLI)"),
    "validate": ("cli", "run_lightning", "metrics of a checkpoint on the validation split"),
    "test": ("cli", "run_lightning", "metrics of a checkpoint on the test split"),
    "predict": ("cli", "run_lightning", "predicted distributions of a checkpoint, as a CSV file"),
    "compare": ("compare", "run_compare", "train soft and hard heads on the same split and print both"),
    "sweep": ("sweep.command", "run_sweep", "search for the best settings of each target with Optuna"),
    "storage": ("sweep.serve", "run_storage", "serve a database of studies to many workers over gRPC"),
    "reproduce": ("experiment.command", "run_reproduce", "a whole experiment: search, choose, repeat, judge, report"),
    "report": ("report.command", "run_report", "the tables and figures of an experiment, as one page"),
    "cluster": ("cluster", "run_cluster", "slurm: job arrays of many workers, printed or handed to sbatch"),
    "embed": ("embed_command", "run_embed", "encode a data set's inputs once and keep the embeddings"),
    "data": ("data_commands", "run_data", "stats: describe annotations; fetch: download a data set"),
}


def usage() -> str:
    """The help page."""
    rows = "\n".join(f"  {name:<10}{text}" for name, (_, _, text) in COMMANDS.items())
    return f"""usage: soft-labels COMMAND [options]

Train classifiers on what annotators really said: a distribution, not one label.

commands:
{rows}

Every command lists its options with --help; those that train print their whole configuration with
--print_config. Start here:

  soft-labels compare --config configs/quickstart.yaml
  tensorboard --logdir lightning_logs

Exit codes: 0 done, 2 a mistake that you can mend, 75 a service that was asked for embeddings answers
later: run the same command again.
"""


def main() -> NoReturn:
    """Run a command; what a person can mend is one line on stderr and the error's exit code, mostly 2."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(usage())  # noqa: T201
        sys.exit(0 if arguments else MISTAKE)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("soft-labels"))  # noqa: T201
        sys.exit(0)
    if arguments[0] not in COMMANDS:
        sys.exit(_fail(f"unknown command {arguments[0]!r}; choose one of {', '.join(COMMANDS)}"))
    module, function, _ = COMMANDS[arguments[0]]
    try:
        getattr(importlib.import_module(f"soft_labels.{module}"), function)(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as stopped:
        sys.exit(_signalled(stopped))
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        mendable = _mendable(error)
        if mendable is None:
            raise
        sys.exit(_fail(*mendable))
    sys.exit(0)


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
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", MISTAKE
    return (_without_internals(str(error)), MISTAKE) if isinstance(error, ArgumentError) else None


def _without_internals(message: str) -> str:
    """The parser's message without the types it tried and the settings it was given, which may be long or private."""
    hidden = ("Does not validate against", "Subtypes:", "Errors:", "- Expected a <class 'NoneType'>", "Given value")
    lines = [line for line in message.splitlines() if line.strip() and not line.strip().startswith(hidden)]
    return "\n".join(lines) + f"\nsoft-labels {sys.argv[1]} --help lists the options."


def _fail(message: str, code: int = MISTAKE) -> int:
    """Say what went wrong, or what is not there yet."""
    sys.stderr.write(f"soft-labels: {'error' if code == MISTAKE else 'not yet'}: {message}\n")
    return code


if __name__ == "__main__":
    main()
