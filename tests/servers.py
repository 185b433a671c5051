"""Storages that many processes share, each with what serves it, for tests and benchmarks."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mysql import LACKS_MYSQL, MySQL
from tests.postgres import Postgres, answers, free_port

SERVERS: dict[str, type[Postgres | MySQL]] = {"postgresql": Postgres, "mysql": MySQL}
STORAGES = ("journal", "sqlite", *SERVERS, "grpc")
SERVED_HERE = tuple(name for name in STORAGES if name != "mysql" or not LACKS_MYSQL)


@contextmanager
def served(name: str, folder: Path) -> Iterator[str]:
    """The address of an empty storage; ``grpc`` stands before PostgreSQL."""
    if name in {"journal", "sqlite"}:
        yield {"journal": f"journal:{folder}/studies", "sqlite": f"sqlite:///{folder}/studies.db"}[name]
    elif name in SERVERS:
        with SERVERS[name]() as server:
            yield server.url
    else:
        with Postgres() as server, proxied(server.url) as address:
            yield address


@contextmanager
def proxied(url: str) -> Iterator[str]:
    """The address of ``soft-labels storage`` before a database."""
    port = free_port()
    code = "import sys; from soft_labels.commands.storage import run_storage; run_storage(sys.argv)"
    with subprocess.Popen([sys.executable, "-c", code, f"--storage={url}", f"--port={port}"]) as server:
        try:
            answers(port)
            yield f"grpc://localhost:{port}"
        finally:
            server.terminate()
