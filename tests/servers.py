"""Storages that many processes share, each with what serves it, for tests and benchmarks."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.postgres import Postgres, free_port

STORAGES = ("journal", "sqlite", "postgresql", "grpc")


@contextmanager
def served(name: str, folder: Path) -> Iterator[str]:
    """The address of an empty storage; ``grpc`` stands before PostgreSQL."""
    if name in {"journal", "sqlite"}:
        yield {"journal": f"journal:{folder}/studies", "sqlite": f"sqlite:///{folder}/studies.db"}[name]
    elif name == "postgresql":
        with Postgres() as server:
            yield server.url
    else:
        with Postgres() as server, proxied(server.url) as address:
            yield address


@contextmanager
def proxied(url: str) -> Iterator[str]:
    """The address of ``soft-labels storage`` before a database."""
    port = free_port()
    code = "import sys; from soft_labels.sweep.serve import run_storage; run_storage(sys.argv)"
    with subprocess.Popen([sys.executable, "-c", code, f"--storage={url}", f"--port={port}"]) as server:
        try:
            answers(port)
            yield f"grpc://localhost:{port}"
        finally:
            server.terminate()


@retry(retry=retry_if_exception_type(OSError), stop=stop_after_delay(60), wait=wait_fixed(0.1))
def answers(port: int) -> None:
    """Wait until somebody listens on a port of loopback."""
    socket.create_connection(("127.0.0.1", port)).close()
