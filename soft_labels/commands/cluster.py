"""``soft-labels cluster slurm``: job arrays of equal workers, printed or handed to SLURM."""

import re
import shlex
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser

from soft_labels.errors import ConfigError
from soft_labels.files import write_text

Setting = str | int | list[str] | None
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# A value, not a $VARIABLE, after NAME_PASSWORD=, ?password= and their like, in a header, or before the @ of an address.
_SECRET = re.compile(
    r"""[A-Z_]*(?:PASSWORD|SECRET|TOKEN|KEY)=["']?[^\s"'$]|[?&](?i:password|secret|token|key)=[^\s"'$]"""
    r"""|(?i:bearer)\s+[^\s"'$]|://[^\s/@:]*:[^\s/@$][^\s/@]*@"""
)
# What a worker does before its command.
_BEGINNING = r"""
# SC1091: the environment is on the cluster alone.
# shellcheck disable=SC1091
set -eo pipefail
# A worker is a job of its own. With these Lightning takes it for a rank of a larger one: it stops logging, asks SLURM
# for another start, and goes on from checkpoints of other workers. Without them it recommends srun, which sets them
# for the tasks that it starts.
unset SLURM_NTASKS SLURM_PROCID
export PYTHONWARNINGS="ignore:The \`srun\` command is available${PYTHONWARNINGS:+,$PYTHONWARNINGS}"
echo "worker $SLURM_ARRAY_TASK_ID of $SLURM_JOB_NAME on $(uname -n), requeued ${SLURM_RESTART_COUNT:-0} times"
"""


@dataclass(frozen=True)
class Resources:
    """What SLURM gives to each worker.

    Args:
        partition: Where it runs; the cluster's default if not given.
        account: Who pays.
        time: The longest that it may run, in quotes: "04:00:00". YAML reads some times as numbers.
        nodes: Nodes of each worker.
        tasks: What its srun starts on each node.
        gpus: GPUs of a node.
        cpus: CPU cores of a task.
        memory: Memory of a node, as 32G.
        extra: Further options of sbatch, as --constraint=a100.
    """

    partition: str | None = None
    account: str | None = None
    time: str | None = None
    nodes: int = 1
    tasks: int = 1
    gpus: int = 0
    cpus: int = 1
    memory: str | None = None
    extra: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        counts = {"nodes": self.nodes, "tasks": self.tasks, "cpus": self.cpus, "gpus": self.gpus + 1}
        for name, count in counts.items():
            if count < 1:
                raise ConfigError(
                    f"wanted {name} from {int(name != 'gpus')} up for each worker, got {getattr(self, name)}"
                )

    @property
    def options(self) -> list[str]:
        """Options of sbatch."""
        named = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "nodes": self.nodes,
            "ntasks": self.nodes * self.tasks,
            "ntasks-per-node": self.tasks,
            "gres": f"gpu:{self.gpus}" if self.gpus else None,
            "cpus-per-task": self.cpus,
            "mem": self.memory,
        }
        return [_option(name, value) for name, value in named.items() if value is not None] + self.extra


@dataclass(frozen=True)
class Job:
    """An array of equal workers that all run one command.

    Args:
        name: The job's name, and that of its script and logs.
        command: Lines of shell. A worker that is killed runs them again from the start.
        workers: How many workers.
        at_once: How many of them may run at the same time; all if not given. The rest takes over where workers reach
            their time limit, and leaves at once where nothing is left to do.
        after: The job that must have ended before.
        resources: Where this job differs from the common resources.
    """

    name: str
    command: str
    workers: int = 1
    at_once: int | None = None
    after: str | None = None
    resources: dict[str, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"wanted a job's name of letters, digits, '-', '_' and '.', got {self.name!r}")
        if min(self.workers, self.workers if self.at_once is None else self.at_once) < 1:
            raise ConfigError(f"job {self.name}: wanted at least 1 worker, got {self.workers}, at once {self.at_once}")

    @property
    def array(self) -> str:
        """The task numbers, as sbatch wants them."""
        return f"0-{self.workers - 1}" + (f"%{self.at_once}" if self.at_once else "")


@dataclass(frozen=True)
class SlurmJobs:
    """Job arrays and what they wait for.

    Args:
        jobs: The jobs, in any order.
        resources: What each worker gets; a job may differ.
        environment: Lines of shell that every job begins with.
        folder: Where scripts and logs go.
    """

    jobs: list[Job]
    resources: Resources = field(default_factory=Resources)
    environment: list[str] = field(default_factory=list)
    folder: Path = Path("lightning_logs/slurm")

    def __post_init__(self) -> None:
        if not self.jobs:
            raise ConfigError("wanted at least one job, got none; name them under jobs, as configs/cluster/slurm.yaml")
        names = [job.name for job in self.jobs]
        if len(set(names)) < len(names):
            raise ConfigError(f"wanted a name of its own for each job, got {', '.join(names)}")
        for job in self.jobs:
            if job.after not in {None, *names}:
                raise ConfigError(f"job {job.name} is after {job.after}, which is none of {', '.join(names)}")

    def in_order(self) -> list[Job]:
        """The jobs, each behind the one that it waits for.

        Raises:
            ConfigError: Jobs wait for each other.
        """
        jobs = {job.name: job for job in self.jobs}
        graph = {job.name: [job.after] if job.after else [] for job in self.jobs}
        try:
            return [jobs[name] for name in TopologicalSorter(graph).static_order()]
        except CycleError as error:
            raise ConfigError(
                f"jobs wait for each other, change one's after: {', '.join(dict.fromkeys(error.args[1]))}"
            ) from None

    def path(self, job: Job) -> Path:
        """Where a job's script is written."""
        return self.folder / f"{job.name}.sh"

    def script(self, job: Job) -> str:
        """A job's script; what it waits for is said when it is handed in.

        Raises:
            ConfigError: A resource is none or holds a line break, or the script would hold a password or a key.
        """
        options = [
            _option("job-name", job.name),
            _option("array", job.array),
            _option("output", self.folder / f"{job.name}-%A_%a.log"),
            "--open-mode=append",  # a worker that was requeued goes on in its log
            "--requeue",
            *self._resources_of(job).options,
        ]
        _check_one_line_each(job, options)
        directives = "\n".join(f"#SBATCH {option}" for option in options)
        lines = "\n".join([*self.environment, job.command.rstrip()])
        text = f"#!/usr/bin/env bash\n{directives}{_BEGINNING}{lines}\n"
        if _SECRET.search(text):
            raise ConfigError(
                f"job {job.name}: its script would hold a password or a key; export it before you submit, "
                "and write $VARIABLE in its place"
            )
        return text

    def _resources_of(self, job: Job) -> Resources:
        """The common resources with a job's own on top."""
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(Resources)
        try:
            return Resources(**parser.parse_object({**asdict(self.resources), **job.resources}).as_dict())
        except ArgumentError as error:
            raise ConfigError(f"resources of job {job.name}: {error}") from error


def _check_one_line_each(job: Job, options: list[str]) -> None:
    """An option with a line break would end sbatch's comment, and the rest of it would be run."""
    broken = [option for option in options if not option.isprintable()]
    if broken:
        raise ConfigError(
            f"job {job.name}: wanted each option of sbatch on one line, without control characters, got {broken[0]!r}"
        )


def _option(name: str, value: object) -> str:
    """An option of sbatch, quoted where it must be."""
    return f"--{name}={shlex.quote(str(value))}"


def show(jobs: SlurmJobs) -> str:
    """The scripts one after another, each with how it is handed in.

    Args:
        jobs: The jobs.
    """
    scripts = [f"# {jobs.path(job)}{_waiting(job)}\n{jobs.script(job)}" for job in jobs.in_order()]
    return "\n".join([*scripts, "# Next: the same command with --submit"])


def _waiting(job: Job) -> str:
    """What a job waits for."""
    return f", handed in with --dependency=afterany:ID where ID is that of {job.after}" if job.after else ""


def submit(jobs: SlurmJobs) -> dict[str, str]:
    """Write the scripts and hand them to sbatch.

    A job waits with ``afterany`` until every worker of the job before it has ended. A worker that is preempted and
    requeued has not ended. One that failed, was cancelled or ran out of time has, and must not hold up the chain: the
    others did its share, and each command sees for itself what is left to do.

    Args:
        jobs: The jobs.

    Returns:
        SLURM's id of each job by its name, in the order in which they were handed in.

    Raises:
        ConfigError: There is no sbatch, or it refuses a job.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise ConfigError("no sbatch on the PATH; run this where SLURM's commands are, or leave out --submit")
    ordered = jobs.in_order()
    scripts = {jobs.path(job): jobs.script(job) for job in ordered}  # mistakes show before anything is written
    for path, text in scripts.items():
        write_text(path, text)
    ids: dict[str, str] = {}
    for job in ordered:
        wait = [f"--dependency=afterany:{ids[job.after]}"] if job.after else []
        ids[job.name] = _handed_in([sbatch, "--parsable", *wait, str(jobs.path(job))], job, ids)
    return ids


def _handed_in(command: list[str], job: Job, before: dict[str, str]) -> str:
    """SLURM's id of a job."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # sbatch and our own script
    if done.returncode:
        undo = f"; before it were handed in: scancel {' '.join(before.values())}" if before else ""
        raise ConfigError(f"sbatch refused job {job.name}: {done.stderr.strip()}{undo}")
    return done.stdout.strip().partition(";")[0]  # with several clusters it is ID;CLUSTER


def run_cluster(arguments: list[str]) -> None:
    """``soft-labels cluster slurm --config FILE [--submit]``."""
    parser = ArgumentParser(
        prog="soft-labels cluster",
        description="Start many equal workers on a cluster.",
        epilog="Start here: soft-labels cluster slurm --config configs/cluster/slurm.yaml",
        exit_on_error=False,
    )
    slurm = ArgumentParser(
        description="Print the scripts of job arrays for SLURM, or hand them to sbatch.",
        epilog="configs/cluster/slurm.yaml is an example. A worker that is killed or requeued runs its command again.",
        exit_on_error=False,
    )
    slurm.add_argument("-c", "--config", action="config", help="the jobs, as configs/cluster/slurm.yaml")
    slurm.add_class_arguments(SlurmJobs, as_group=False)
    slurm.add_argument("--submit", action="store_true", help="write the scripts and hand them to sbatch")
    parser.add_subcommands().add_subcommand("slurm", slurm, help="job arrays for SLURM")
    chosen = parser.instantiate_classes(parser.parse_args(arguments[1:])).slurm
    jobs = SlurmJobs(chosen.jobs, chosen.resources, chosen.environment, chosen.folder)
    print(_submitted(jobs) if chosen.submit else show(jobs))  # noqa: T201


def _submitted(jobs: SlurmJobs) -> str:
    """Hand the jobs in, and say which they are and what to do next."""
    ids = submit(jobs)
    width = max(map(len, ids))
    lines = [f"{name:<{width}}  {ids[name]}" for name in ids]
    return "\n".join(
        [*lines, f"Next: squeue --me; logs are in {jobs.folder}; to end all: scancel {' '.join(ids.values())}"]
    )
