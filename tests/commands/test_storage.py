import socket
import subprocess
import sys
from pathlib import Path

import pytest

from soft_labels.commands.storage import serve
from soft_labels.errors import SweepError
from tests.postgres import Postgres, free_port


def test_a_journal_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="gRPC server keeps no journal"):
        serve(f"journal:{tmp_path}/studies", "localhost", free_port())


def test_sqlite_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="SQLite must not be changed by several workers"):
        serve(f"sqlite:///{tmp_path}/studies.db", "localhost", free_port())


@pytest.mark.slow
def test_a_port_that_is_taken_is_named() -> None:
    with Postgres() as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "soft_labels", "storage", "--storage", server.url, "--host=127.0.0.1"]
        done = subprocess.run([*command, f"--port={port}"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}; choose a free port" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
