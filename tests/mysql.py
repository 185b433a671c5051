"""A MariaDB server of its own on loopback, where its programs are installed; root runs it as nobody, as it should."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.postgres import PASSWORD, answers, free_port

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # where the server is, and where not everybody looks
_TABLES, _SERVER = (shutil.which(name, path=_PATH) for name in ("mariadb-install-db", "mariadbd"))
LACKS_MYSQL = "" if _TABLES and _SERVER else "no MariaDB here: wanted mariadbd, as of the package mariadb-server"
_DATABASE = f"""\
CREATE DATABASE IF NOT EXISTS studies;
CREATE USER IF NOT EXISTS me@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON studies.* TO me@'127.0.0.1';
"""


class MySQL:
    """A server in a folder of its own, made when entered and removed when left; it keeps its port when restarted."""

    def __enter__(self) -> "MySQL":
        assert _TABLES, LACKS_MYSQL
        self.folder = Path(tempfile.mkdtemp(prefix="mysql-"))  # any user can reach it, unlike pytest's folders
        self._user = "nobody" if os.geteuid() == 0 else None
        (self.folder / "begin.sql").write_text(_DATABASE, encoding="utf-8")
        if self._user:
            shutil.chown(self.folder, self._user)
        made = self._process(_TABLES, "--auth-root-authentication-method=normal", "--skip-test-db").wait()
        assert made == 0, (self.folder / "output").read_text(encoding="utf-8")
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start and wait until it answers."""
        assert _SERVER, LACKS_MYSQL
        where = ("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder}/socket")
        self._server = self._process(_SERVER, *where, f"--init-file={self.folder}/begin.sql")
        answers(self.port)

    def stop(self) -> None:
        """Stop as if the power had failed."""
        self._server.kill()
        self._server.wait()

    @property
    def url(self) -> str:
        """What ``--storage`` takes."""
        return f"mysql+pymysql://me:{PASSWORD}@127.0.0.1:{self.port}/studies"

    def _process(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of the server's programs, without the machine's own settings."""
        command = [program, "--no-defaults", f"--datadir={self.folder}/data", *arguments]
        with (self.folder / "output").open("a") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, user=self._user, cwd="/")
