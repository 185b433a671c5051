"""A stand-in for SLURM: its ``sbatch`` takes job arrays, and :meth:`FakeSlurm.run` runs them on this machine."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Like the real one it keeps a copy of the script, the environment and the folder, and prints an id.
SBATCH = """#!{python}
import json, os, shlex, sys
from pathlib import Path

queue = Path({queue!r})
*arguments, script = sys.argv[1:]
text = Path(script).read_text()
lines = iter(text.splitlines())
header = []
for line in lines:
    if not line.startswith("#"):
        break
    if line.startswith("#SBATCH "):
        header += shlex.split(line.removeprefix("#SBATCH "))
options = dict(each.removeprefix("--").partition("=")[::2] for each in [*header, *arguments])
job = len(list(queue.glob("*.json"))) + 101
awaited = options.get("dependency", "").rpartition(":")[2]
if options.get("partition") == "closed":
    sys.exit("sbatch: error: invalid partition specified: closed")
if awaited and not (queue / f"{{awaited}}.json").exists():
    sys.exit("sbatch: error: Job dependency problem")
content = dict(id=job, options=options, script=text, environment=dict(os.environ), folder=os.getcwd())
(queue / f"{{job}}.json").write_text(json.dumps(content))
print(f"{{job}};cluster" if "parsable" in options else f"Submitted batch job {{job}}")
"""


# Like the real one it starts a command's tasks on all nodes of the job, each with its numbers.
SRUN = """#!{python}
import os, subprocess, sys
from itertools import dropwhile

command = list(dropwhile(lambda each: each.startswith("--"), sys.argv[1:]))
nodes, tasks = (int(os.environ[name]) for name in ("SLURM_NNODES", "SLURM_NTASKS_PER_NODE"))
numbers = [
    dict(SLURM_NTASKS=nodes * tasks, SLURM_PROCID=node * tasks + task, SLURM_NODEID=node, SLURM_LOCALID=task)
    for node in range(nodes)
    for task in range(tasks)
]
started = [subprocess.Popen(command, env=os.environ | {{name: str(n) for name, n in each.items()}}) for each in numbers]
sys.exit(max(task.wait() for task in started))
"""


@dataclass(frozen=True)
class Preemption:
    """One task is killed once, as soon as ``when`` is true."""

    job: str
    task: int
    when: Callable[[], bool]


class FakeSlurm:
    """A cluster with one node.

    Args:
        folder: An empty folder for its commands and its queue.
    """

    def __init__(self, folder: Path) -> None:
        self.commands = folder / "bin"
        self.queue = folder / "queue"
        self.commands.mkdir()
        self.queue.mkdir()
        self._command("sbatch", SBATCH.format(python=sys.executable, queue=str(self.queue)))
        self._command("srun", SRUN.format(python=sys.executable))

    def _command(self, name: str, text: str) -> None:
        path = self.commands / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def jobs(self) -> list[dict[str, Any]]:
        """What was handed in, in that order."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.queue.glob("*.json"))]

    def run(self, preemption: Preemption | None = None) -> dict[str, list[int]]:
        """Run every job in the order of the dependencies; exit codes of its tasks by job, of those that could start."""
        codes: dict[str, list[int]] = {}
        names: dict[str, str] = {}
        for job in self.jobs():
            name = names[str(job["id"])] = job["options"]["job-name"]
            kind, _, awaited = job["options"].get("dependency", "").partition(":")
            before = codes.get(names.get(awaited, ""), [] if not kind else None)
            if before is not None and (kind != "afterok" or not any(before)):
                codes[name] = self._run_array(job, preemption)
        return codes

    def _run_array(self, job: dict[str, Any], preemption: Preemption | None) -> list[int]:
        tasks, _, at_once = job["options"]["array"].partition("%")
        first, last = map(int, tasks.split("-"))
        with ThreadPoolExecutor(int(at_once or last - first + 1)) as pool:
            return list(pool.map(lambda task: self._run_task(job, task, preemption), range(first, last + 1)))

    def _run_task(self, job: dict[str, Any], task: int, preemption: Preemption | None) -> int:
        chosen = preemption is not None and (preemption.job, preemption.task) == (job["options"]["job-name"], task)
        process = self._start(job, task, restarts=0)
        if not chosen:
            return process.wait()
        assert preemption is not None
        while not preemption.when():
            assert process.poll() is None, "the task ended before it could be preempted"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        return self._start(job, task, restarts=1).wait() if "requeue" in job["options"] else code

    def _start(self, job: dict[str, Any], task: int, restarts: int) -> subprocess.Popen[bytes]:
        """Start a task in a process group of its own."""
        options, number = job["options"], str(job["id"])
        script = self.queue / f"{number}_{task}.sh"
        script.write_text(job["script"], encoding="utf-8")
        variables = {
            "SLURM_JOB_ID": str(1000 + task), "SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_JOB_NAME": options["job-name"], "SLURM_NTASKS": options["ntasks"], "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NNODES": options["nodes"],
            "SLURM_NTASKS_PER_NODE": options["ntasks-per-node"], "SLURM_NODELIST": "127.0.0.1",
            "SLURM_CPUS_PER_TASK": options["cpus-per-task"],
            **({"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}),
        }  # fmt: skip
        log = Path(job["folder"]) / options["output"].replace("%A", number).replace("%a", str(task))
        with log.open("ab" if options.get("open-mode") == "append" else "wb") as output:
            return subprocess.Popen(
                ["/bin/bash", str(script)], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                cwd=job["folder"], env={**job["environment"], **variables},
            )  # fmt: skip
