"""A real SLURM of this machine alone, from Debian's packages slurm-wlm and munge, without systemd or cgroups."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import started
from tests.postgres import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
# Two partitions: jobs of ``high`` preempt those of ``gpu``, which are queued again. A core a job, as many as there are.
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={port}
SlurmdPort={node_port}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=2
MinJobAge=900
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster of one node.

    Args:
        environment: What its commands must find.
    """

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints; empty where it fails, as for jobs that are forgotten."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """A job's state, or a task's as ``7_0``: PENDING, RUNNING, COMPLETED, FAILED, ..."""
        lines = self.ask("scontrol", "--oneliner", "show", "job", job).splitlines()
        return ",".join(sorted({line.partition("JobState=")[2].split()[0] for line in lines}))

    def wait(self, holds: Callable[[], bool], seconds: float = 300.0) -> None:
        """Wait for something; an AssertionError with the queue after a while."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.ask("squeue") + self.ask("scontrol", "show", "job")
            time.sleep(0.1)


def missing() -> str | None:
    """Why there can be no SLURM here; ``None`` where there can."""
    absent = [name for name in DAEMONS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"{', '.join(absent)} is not installed (Debian: slurm-wlm, munge)"
    return "SLURM's daemons want root" if os.getuid() else None


_PATH = f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}"


@contextmanager
def running(cpus: int) -> Iterator[Slurm]:
    """A cluster for the time of the block; its daemons are ended by their processes.

    Args:
        cpus: Cores that it says the node has.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))  # sockets want short names
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        host = socket.gethostname().partition(".")[0]
        text = CONFIGURATION.format(host=host, folder=folder, port=free_port(), node_port=free_port(), cpus=cpus)
        (folder / "slurm.conf").write_text(text, encoding="utf-8")
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        configuration = ("-D", "-f", f"{folder}/slurm.conf")
        environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": f"{folder}/slurm.conf"}
        slurm = Slurm(environment)
        commands = (
            ("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge),
            ("slurmctld", *configuration),
            ("slurmd", *configuration),
        )
        for command in commands:
            with (folder / f"{command[0]}.out").open("wb") as output:
                stack.enter_context(started(*command, env=environment, stdout=output, stderr=subprocess.STDOUT))
            if command[0] == "munged":
                slurm.wait((folder / "munge.socket").exists, 30)
        slurm.wait(lambda: slurm.ask("sinfo", "--noheader", "--format=%T", "--partition=gpu") == "idle", 60)
        yield slurm
