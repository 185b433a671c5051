"""``soft-labels storage``: stand between many workers and one database, which then has few connections to keep."""

import warnings

from jsonargparse import ArgumentParser
from jsonargparse.typing import SecretStr

from soft_labels.errors import SweepError


def run_storage(arguments: list[str]) -> None:
    """``soft-labels storage --storage URL [--host HOST] [--port PORT]``."""
    parser = ArgumentParser(
        prog="soft-labels storage",
        description="Serve a database to workers that are started with --storage grpc://HOST:PORT.",
        epilog="There is no password and no encryption: let it listen in a network that you trust only.",
        exit_on_error=False,
    )
    parser.add_argument("--storage", type=SecretStr, required=True, help="a database URL, as for soft-labels sweep")
    parser.add_argument("--host", type=str, default="localhost", help="the name or address to listen on")
    parser.add_argument("--port", type=int, default=13000, help="the port to listen on")
    options = parser.parse_args(arguments[1:])
    serve(options.storage.get_secret_value(), options.host, options.port)


def serve(address: str, host: str, port: int) -> None:
    """Serve a storage until interrupted.

    Args:
        address: A database URL, see :func:`~soft_labels.sweep.shared.storage.open_storage`.
        host: The name or address to listen on.
        port: The port to listen on.

    Raises:
        SweepError: The storage cannot be opened or served, or the port is not free.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import JournalStorage, run_grpc_proxy_server

    from soft_labels.sweep.shared.storage import is_sqlite, open_storage

    backend = open_storage(address).backend
    if isinstance(backend, JournalStorage) or is_sqlite(address):
        raise SweepError(
            "wanted the URL of a database server: Optuna's gRPC server keeps no journal (optuna/optuna#6084), and "
            "SQLite must not be changed by several workers at once"
        )
    print(f"workers may be started with --storage grpc://{host}:{port}", flush=True)  # noqa: T201
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            run_grpc_proxy_server(backend, host=host, port=port)
        except RuntimeError as error:
            raise SweepError(f"cannot listen on {host}:{port}; choose a free port with --port") from error
