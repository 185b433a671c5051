"""A stand-in for SLURM where the real one cannot show it: several nodes, and what sbatch was told.

Its ``sbatch`` takes job arrays, and :meth:`FakeSlurm.run` runs them on this machine. Chains, preemption and refusals
are tested on a real SLURM.
"""

import json
import stat
import subprocess
import sys
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

    def run(self) -> dict[str, list[int]]:
        """Run every job in the order in which it was handed in; exit codes of its workers by job."""
        return {job["options"]["job-name"]: self._run_array(job) for job in self.jobs()}

    def _run_array(self, job: dict[str, Any]) -> list[int]:
        """Run a job's workers one after another."""
        first, last = map(int, job["options"]["array"].split("-"))
        return [self._start(job, task).wait() for task in range(first, last + 1)]

    def _start(self, job: dict[str, Any], task: int) -> subprocess.Popen[bytes]:
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
        }  # fmt: skip
        log = Path(job["folder"]) / options["output"].replace("%A", number).replace("%a", str(task))
        with log.open("ab" if options.get("open-mode") == "append" else "wb") as output:
            return subprocess.Popen(
                ["/bin/bash", str(script)], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                cwd=job["folder"], env={**job["environment"], **variables},
            )  # fmt: skip
