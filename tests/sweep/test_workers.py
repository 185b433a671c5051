"""Real workers, started by the real command, some of them killed; real servers, one restarted in the middle.

``SOFT_LABELS_FULL=1`` makes it the whole thing: the 108 points of a grid, 4 workers, 3 of them killed and replaced.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages._cached_storage import _CachedStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from soft_labels.sweep import open_storage
from soft_labels.sweep.claims import JoinedStudy
from soft_labels.sweep.workers import Heartbeat, Watch
from tests.conftest import REPOSITORY, RunCli
from tests.postgres import PASSWORD, Postgres
from tests.servers import proxied
from tests.sweep.conftest import MakeOptions

FULL = "SOFT_LABELS_FULL" in os.environ
WORKERS, KILLS = (4, 3) if FULL else (2, 1)
RATES = [10 ** -(1 + k / 9) for k in range(27 if FULL else 6)]
SPACE = {
    "model.lr": {"categorical": RATES},
    "model.weight_decay": {"categorical": [0.0, 1e-2]},
    "data.batch_size": {"categorical": [8, 16]},
}
POINTS = len(RATES) * 4


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, toy_options: tuple[str, ...]) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.write_text(yaml.safe_dump({"space": SPACE}, sort_keys=False), encoding="utf-8")
    return (*toy_options, f"--sweep={path}", "--targets=soft")


@pytest.fixture(scope="module")
def alone(run_cli: RunCli, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The best configuration that one process finds."""
    out = tmp_path_factory.mktemp("alone")
    assert run_cli("sweep", *options, f"--out={out}").code == 0
    return settings(out)


def settings(out: Path) -> str:
    """The best configuration without the lines that say where it comes from."""
    return (out / "best-soft.yaml").read_text(encoding="utf-8").partition("\n")[2]


class Crew:
    """Workers of one study, and the study as the test sees it."""

    def __init__(self, command: list[str], logs: Path, stack: ExitStack) -> None:
        self.command, self.logs, self.stack = command, logs, stack
        self.alive: list[subprocess.Popen[str]] = []
        self.started = 0

    def start(self) -> None:
        self.started += 1
        log = self.stack.enter_context((self.logs / f"worker-{self.started}.log").open("w", encoding="utf-8"))
        self.alive.append(
            self.stack.enter_context(
                subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY)
            )
        )

    def kill_one(self) -> None:
        victim = self.alive.pop(secrets.randbelow(len(self.alive)))
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL

    def codes(self) -> list[int]:
        return [worker.wait(timeout=300) for worker in self.alive]


@contextmanager
def crew(command: list[str], logs: Path) -> Iterator[Crew]:
    """Workers that are gone when the block ends, however it does."""
    with ExitStack() as stack:
        workers = Crew(command, logs, stack)
        try:
            yield workers
        finally:
            for worker in workers.alive:
                worker.kill()


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def study_at(address: str, name: str) -> Iterator[Study]:
    """The study, once a worker has made it; connections are closed in the end."""
    backend = open_storage(address).backend
    try:
        wait_for(lambda: name in optuna.get_all_study_names(backend))
        yield optuna.load_study(study_name=name, storage=backend)
    finally:
        if isinstance(backend, _CachedStorage):
            backend._backend.engine.dispose()


def busy(study: Study) -> int:
    """How many workers train."""
    return len({trial.user_attrs["worker"] for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING])})


def search_with_deaths(
    address: str, options: tuple[str, ...], folder: Path, restart: Callable[[], None]
) -> list[FrozenTrial]:
    """Run the search with many workers, kill some while they train, and check what each left."""
    command = [
        sys.executable, "-m", "soft_labels", "sweep", *options, f"--storage={address}", f"--study={folder.name}",
        f"--out={folder}/out", "--sweep.grace=4", "--sweep.batch=3", "--sweep.pruner=tests.sweep.slow.SlowPruner",
    ]  # fmt: skip
    with crew(command, folder) as workers:
        for _ in range(WORKERS):
            workers.start()
        with study_at(address, f"seeded-{folder.name}-soft") as study:
            for _ in range(KILLS):
                wait_for(lambda: busy(study) == len(workers.alive))
                workers.kill_one()
                workers.start()
            restart()
            assert workers.codes() == [0] * WORKERS
            return study.trials


@pytest.mark.parametrize("name", ["journal", "sqlite", "postgresql", "grpc"])
def test_each_point_is_completed_once_whoever_is_killed_and_whatever_is_restarted(
    name: str, options: tuple[str, ...], alone: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def restart() -> None:
        if name in {"postgresql", "grpc"}:
            server.stop()
            time.sleep(1)
            server.start()

    with ExitStack() as stack:
        address = {"journal": f"journal:{tmp_path}/studies", "sqlite": f"sqlite:///{tmp_path}/studies.db"}.get(name, "")
        if not address:
            server: Postgres = request.getfixturevalue("postgres")
            address = server.url if name == "postgresql" else stack.enter_context(proxied(server.url))
        trials = search_with_deaths(address, options, tmp_path, restart)
    states = Counter(trial.state for trial in trials)
    points = {tuple(trial.params.values()) for trial in trials if trial.state == TrialState.COMPLETE}
    assert len(points) == states[TrialState.COMPLETE] == POINTS
    assert states.keys() == {TrialState.COMPLETE, TrialState.FAIL}
    assert states[TrialState.FAIL] >= KILLS, "the test wants workers that are killed while they train"
    assert settings(tmp_path / "out") == alone
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".ckpt"]
    assert not [path for path in left if PASSWORD.encode() in path.read_bytes()]


def test_a_silent_worker_is_noticed_after_some_looks_and_a_beating_one_never(make_options: MakeOptions) -> None:
    sweep, storage = make_options(batch=6).sweep, open_storage()
    joined = JoinedStudy(optuna.create_study(storage=storage.backend), sweep, storage, "one")
    joined.claim()
    watch = Watch(joined, looks=3)
    with Heartbeat([joined.study], "one", seconds=0.001).beating():
        for _ in range(8):
            before = joined.study.user_attrs
            wait_for(lambda: joined.study.user_attrs != before)  # noqa: B023
            watch.look()
    assert busy(joined.study) == 1
    watch = Watch(joined, looks=3)
    for _ in range(3):
        watch.look()
    assert busy(joined.study) == 1
    watch.look()
    assert busy(joined.study) == 0
    assert len(joined.claim()) == 6
