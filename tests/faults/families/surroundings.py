"""What the system refuses: files too large, read-only folders, closed and full outputs, locks; small disks besides."""

import os
from pathlib import Path

from tests.faults.case import Case
from tests.faults.damage import writing
from tests.faults.sound import CHECKPOINT, FIT

KIND = "files too large, read-only, outputs, locks"
TOO_LARGE = "File too large.*ulimit -f"
OF_SQLITE = "new.db: disk I/O error.*see to it"  # SQLite says no more of it
COMMANDS: dict[str, tuple[str, ...]] = {
    "embed": ("embed", "--config", "data.yaml", "--data.store=new"),
    "fit": FIT,
    "compare": ("compare", "--config", "data.yaml", "--seeds=1"),
    "sweep": ("sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--out", "new"),
    "sweep on a journal": (
        "sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--out", "new", "--storage", "journal:new.journal",
    ),
    "sweep on SQLite": (
        "sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--out", "new", "--storage", "sqlite:///new.db",
    ),
    "reproduce": ("reproduce", "--config", "experiment.yaml", "--out", "new"),
    "predict": ("predict", "--config", "data.yaml", f"--ckpt_path={CHECKPOINT}"),
    "test": ("test", "--config", "data.yaml", f"--ckpt_path={CHECKPOINT}"),
    "report": ("report", "out", "--out", "new"),
    "data init": ("data", "init", "table.csv", "--yes", "--out", "new.yaml"),
}  # fmt: skip


def cases() -> list[Case]:
    """All of the kind."""
    large = [
        Case(KIND, f"{name}, files of {size} bytes at most", command, OF_SQLITE if "SQLite" in name else TOO_LARGE,
             limits={"RLIMIT_FSIZE": size})
        for name, command in COMMANDS.items()
        for size in (0, 100)
    ]  # fmt: skip
    outputs = [
        Case(KIND, f"{name}, {what}", command, says, output=what)
        for name, command in {**COMMANDS, "help": ("--help",), "help of fit": ("fit", "--help"),
                              "configuration": (*FIT, "--print_config"), "stats": ("data", "stats", "--config",
                              "plain.yaml"), "slurm": ("cluster", "slurm", "--config", "jobs.yaml")}.items()
        for what, says in (("full", "standard output: No space left"), ("closed", "standard output is closed"))
        if what == "closed" or name in {"compare", "sweep", "report", "predict", "help", "help of fit", "stats",
                                        "configuration", "slurm", "embed"}
    ]  # fmt: skip
    locks = [
        Case(KIND, f"{name}, locks that the file system does not know ({number})", command, "lock|file system",
             flock=number)
        for name in ("embed", "sweep", "sweep on a journal", "reproduce")
        for number in ("ENOLCK", "EOPNOTSUPP", "EIO")
        for command in (COMMANDS[name],)
        if name in {"embed", "reproduce"} or number == "ENOLCK"
    ]  # fmt: skip
    return [*large, *outputs, *locks, *_places()]


def _blocked(name: str) -> "Case":
    """A file stands where a folder must be made."""
    command = COMMANDS[name]
    return Case(KIND, f"{name}, a file where its folder goes", command, "new", writing("new", "mine"))


def _places() -> list[Case]:
    """Results that cannot go where they must."""
    blocked = [_blocked(name) for name in ("embed", "sweep", "reproduce", "report")]

    def logs_are_a_file(folder: Path) -> None:
        (folder / "lightning_logs").write_text("mine")

    def no_such_place(folder: Path) -> None:
        (folder / "new").symlink_to(folder / "gone" / "far")

    return [
        *blocked,
        Case(KIND, "fit, its logs are a file", FIT, "lightning_logs", logs_are_a_file),
        Case(KIND, "compare, its logs are a file", COMMANDS["compare"], "lightning_logs", logs_are_a_file),
        Case(KIND, "predict, its logs are a file", COMMANDS["predict"], "lightning_logs", logs_are_a_file),
        Case(KIND, "report, a link that leads nowhere", COMMANDS["report"], "new", no_such_place),
        Case(KIND, "fit, below a device", (*FIT, f"--trainer.default_root_dir={os.devnull}/x"), "/dev/null"),
        Case(KIND, "embed, below a device", (*COMMANDS["embed"][:-1], f"--data.store={os.devnull}/x"), "/dev/null"),
        Case(KIND, "fit, a name too long", (*FIT, f"--trainer.default_root_dir={'x' * 300}"), "too long"),
        Case(KIND, "report, a name too long", ("report", "out", "--out", "x" * 300), "too long"),
        Case(KIND, "sweep, a name too long", (*COMMANDS["sweep"][:-1], "x" * 300), "too long"),
    ]  # fmt: skip
