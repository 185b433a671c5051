import socket
from pathlib import Path

import pytest

from soft_labels.errors import SweepError
from soft_labels.sweep.serve import serve
from tests.postgres import free_port


def test_a_journal_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="gRPC server keeps no journal"):
        serve(f"journal:{tmp_path}/studies", "localhost", free_port())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(SweepError, match=f"cannot listen on 127.0.0.1:{port}; choose a free port"),
    ):
        serve(f"sqlite:///{tmp_path}/studies.db", "127.0.0.1", port)
