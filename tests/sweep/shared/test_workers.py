"""Real workers, started by the real command, some of them killed; real servers, one restarted in the middle.

``SOFT_LABELS_FULL=1`` makes it the whole thing: the 108 points of a grid, 4 workers, 3 of them killed and replaced, on
every storage. Otherwise it is 16 points, 2 workers and 1 death, on a journal and on PostgreSQL.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
import pytest
import yaml
from filelock import FileLock
from optuna.storages._cached_storage import _CachedStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from soft_labels.runs.record import RunRecord
from soft_labels.runs.store import RecordStore
from soft_labels.sweep import open_storage
from soft_labels.sweep.shared.claims import JoinedStudy
from soft_labels.sweep.shared.workers import Heartbeat, Watch
from tests.conftest import REPOSITORY, MakeOptions, RunCli
from tests.mysql import LACKS_MYSQL, MySQL
from tests.postgres import PASSWORD, Postgres
from tests.servers import STORAGES, proxied, served
from tests.sweep.slow import FREE, HOLD

pytestmark = pytest.mark.slow
FULL = "SOFT_LABELS_FULL" in os.environ
GRACE = 6  # seconds; a busy machine may keep a worker silent for some
WORKERS, KILLS = (4, 3) if FULL else (2, 1)
RATES = [10 ** -(1 + k / 9) for k in range(27 if FULL else 4)]
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
    return (*toy_options, f"--sweep={path}", "--only=soft")


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
    """Workers of one study that can be held, and stopped while they are; they are held from the beginning.

    Args:
        command: What starts a worker.
        folder: Where logs go.
        rule: Options of what ends trials.
    """

    def __init__(self, command: list[str], folder: Path, rule: tuple[str, ...]) -> None:
        self.folder = folder / "crew"
        self.folder.mkdir()
        (self.folder / HOLD).touch()
        pruner = f"--sweep.pruner.folder={self.folder}"
        self.command = [*command, "--sweep.pruner=tests.sweep.slow.SlowPruner", pruner, *rule]
        self.alive: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.alive.append(subprocess.Popen(self.command, stdout=log, stderr=log, cwd=REPOSITORY))

    def hold(self) -> None:
        """Let workers wait; those that do say so anew."""
        for path in self._said():
            path.unlink()
        (self.folder / HOLD).touch()
        self.wait_until_held()

    def wait_until_held(self) -> None:
        """Wait for those that live."""
        wait_for(lambda: {worker.pid for worker in self.alive} <= set(self._held()))

    def free(self, name: str) -> None:
        """Let one worker go on."""
        (self.folder / name).with_suffix(FREE).touch()

    def release(self) -> None:
        (self.folder / HOLD).unlink()

    def name(self, worker: subprocess.Popen[bytes]) -> str:
        """The name of a held worker."""
        return self._held()[worker.pid]

    def codes(self) -> list[int]:
        return [worker.wait(timeout=300) for worker in self.alive]

    def _said(self) -> list[Path]:
        """Files of held workers."""
        return [path for path in self.folder.iterdir() if path.name not in {HOLD, "log"} and path.suffix != FREE]

    def _held(self) -> dict[int, str]:
        """Names of held workers by process; a file without its end of line is still being written."""
        texts = {path.name: path.read_text(encoding="utf-8") for path in self._said()}
        return {int(text): name for name, text in texts.items() if text.endswith("\n")}


@contextmanager
def crew(command: list[str], folder: Path, rule: tuple[str, ...] = ()) -> Iterator[Crew]:
    """Workers that are gone when the block ends, however it does."""
    workers = Crew(command, folder, rule)
    try:
        yield workers
    finally:
        for worker in workers.alive:
            worker.kill()
            worker.wait()


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


def running(study: Study, worker: str) -> set[int]:
    """Numbers of the trials that a worker trains."""
    trials = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    return {trial.number for trial in trials if trial.user_attrs["worker"] == worker}


def numbers(trials: list[FrozenTrial], state: TrialState) -> set[int]:
    return {trial.number for trial in trials if trial.state == state}


def command(address: str, options: tuple[str, ...], folder: Path, batch: int) -> list[str]:
    """What starts a worker."""
    return [
        sys.executable, "-m", "soft_labels", "sweep", *options, f"--storage={address}", f"--study={folder.name}",
        f"--out={folder}/out", f"--sweep.grace={GRACE}", f"--sweep.batch={batch}",
    ]  # fmt: skip


def kill_one(workers: Crew, study: Study) -> set[int]:
    """Kill a held worker and start another one; the numbers of the trials that it leaves."""
    victim = secrets.choice(workers.alive)
    victim.send_signal(signal.SIGSTOP)
    left = running(study, workers.name(victim))
    assert left, "the test wants workers that are killed while they train"
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    workers.alive.remove(victim)
    workers.start()
    return left


def search_with_deaths(
    address: str, options: tuple[str, ...], folder: Path, restart: Callable[[], None]
) -> tuple[list[FrozenTrial], set[int]]:
    """The trials of a search by many workers, and the numbers of those that killed workers left."""
    left: set[int] = set()
    with crew(command(address, options, folder, batch=3), folder) as workers:
        for _ in range(WORKERS):
            workers.start()
        with study_at(address, f"seeded-{folder.name}-soft") as study:
            for _ in range(KILLS):
                workers.hold()
                left |= kill_one(workers, study)
                before = len(numbers(study.get_trials(deepcopy=False), TrialState.COMPLETE))
                workers.release()
                wait_for(lambda: len(numbers(study.get_trials(deepcopy=False), TrialState.COMPLETE)) > before)  # noqa: B023
            restart()
            assert workers.codes() == [0] * WORKERS
            return study.trials, left


def check_trials(trials: list[FrozenTrial], left: set[int], locked: bool) -> None:
    """Each point is completed once, and what failed is what killed workers left.

    Without a lock, two workers may start a point at once, and the later trial is given up.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    points = {tuple(trial.params.values()): trial.number for trial in complete}
    assert len(points) == len(complete) == POINTS
    failed = numbers(trials, TrialState.FAIL)
    assert len(failed) + POINTS == len(trials)
    assert left <= failed
    assert failed == left or not locked
    for number in left:
        assert points[tuple(trials[number].params.values())] > number
    for number in failed - left:
        earlier = [trial.params for trial in trials[:number]]
        assert trials[number].params in earlier


@pytest.mark.parametrize("name", STORAGES if FULL else ["journal", "postgresql"])
def test_each_point_is_completed_once_whoever_is_killed_and_whatever_is_restarted(
    name: str, options: tuple[str, ...], alone: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def restart() -> None:
        if not locked:
            server.stop()
            time.sleep(1)
            server.start()

    if name == "mysql" and LACKS_MYSQL:
        pytest.skip(LACKS_MYSQL)
    locked = name in {"journal", "sqlite"}
    with ExitStack() as stack:
        if locked:
            address = stack.enter_context(served(name, tmp_path))
        else:
            mysql = name == "mysql"
            server = stack.enter_context(MySQL()) if mysql else request.getfixturevalue("postgres")
            address = stack.enter_context(proxied(server.url)) if name == "grpc" else server.url
        trials, left = search_with_deaths(address, options, tmp_path, restart)
    check_trials(trials, left, locked)
    assert settings(tmp_path / "out") == alone
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".ckpt"]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_a_worker_that_froze_keeps_nobody_from_its_trials_and_ends_well_when_it_thaws(
    options: tuple[str, ...], alone: str, tmp_path: Path
) -> None:
    address = f"journal:{tmp_path}/studies"
    one_by_one = command(address, options, tmp_path, batch=1)  # so that both workers' parts hold the same runs
    with crew(one_by_one, tmp_path) as workers, ExitStack() as stack:
        workers.start()
        workers.hold()
        study = stack.enter_context(study_at(address, f"seeded-{tmp_path.name}-soft"))
        (frozen,) = workers.alive
        with FileLock(tmp_path / "studies.writes.lock"):  # so that it does not freeze while it has the lock
            frozen.send_signal(signal.SIGSTOP)
        left = running(study, workers.name(frozen))
        workers.start()
        workers.release()
        assert workers.alive[1].wait(timeout=120) == 0
        assert left
        check_trials(study.trials, left, locked=True)
        frozen.send_signal(signal.SIGCONT)
        assert workers.codes() == [0, 0]
        check_trials(study.trials, left, locked=True)
    assert settings(tmp_path / "out") == alone


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, toy_options: tuple[str, ...]) -> tuple[str, ...]:
    """Options of a grid of 36 points, most of them bad: learning rates of every size."""
    path = tmp_path_factory.mktemp("wide") / "wide.yaml"
    rates = {"model.lr": {"categorical": [10 ** (k / 2 - 5) for k in range(9)]}}
    path.write_text(yaml.safe_dump({"space": {**SPACE, **rates}}, sort_keys=False), encoding="utf-8")
    return (*toy_options, f"--sweep={path}", "--only=soft", "--trainer.max_epochs=6")


@pytest.fixture(scope="module")
def unpruned(run_cli: RunCli, wide: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The best configuration of the wide grid."""
    out = tmp_path_factory.mktemp("unpruned")
    assert run_cli("sweep", *wide, f"--out={out}").code == 0
    return settings(out)


def check_pruned(trials: list[FrozenTrial], records: Mapping[str, RunRecord]) -> None:
    """Each point is finished once, and what the storage knows of each trial is what its record says."""
    finished = [trial for trial in trials if trial.state in {TrialState.COMPLETE, TrialState.PRUNED}]
    assert len({tuple(trial.params.values()) for trial in finished}) == len(finished) == 36
    assert len(finished) + len(numbers(trials, TrialState.FAIL)) == len(trials)
    for trial in finished:
        record = records[trial.user_attrs["run"]]
        losses = record.curve["val/loss"]
        assert trial.intermediate_values == dict(enumerate(losses))
        assert (record.ending == "pruned") == (trial.state == TrialState.PRUNED)
        assert trial.value == (losses[-1] if record.ending == "pruned" else record.value)


@pytest.mark.parametrize("name", ["journal", "postgresql"])
def test_trials_are_pruned_by_what_another_worker_saw_and_the_best_is_found(
    name: str, wide: tuple[str, ...], unpruned: str, postgres: Postgres, tmp_path: Path
) -> None:
    address = postgres.url if name == "postgresql" else f"journal:{tmp_path}/studies"
    rule = (
        "--sweep.pruner.rule=optuna.pruners.PercentilePruner", "--sweep.pruner.rule.percentile=25",
        "--sweep.pruner.rule.n_startup_trials=4", "--sweep.pruner.rule.n_warmup_steps=2",
    )  # fmt: skip
    with crew(command(address, wide, tmp_path, batch=12), tmp_path, rule) as workers, ExitStack() as stack:
        workers.start()
        workers.start()
        workers.wait_until_held()
        study = stack.enter_context(study_at(address, f"seeded-{tmp_path.name}-soft"))
        claims = {name: running(study, name) for name in map(workers.name, workers.alive)}
        first, second = sorted(claims, key=lambda name: len(claims[name]), reverse=True)  # it may have two batches
        workers.free(first)
        wait_for(lambda: not claims[first] & numbers(study.get_trials(deepcopy=False), TrialState.RUNNING))
        workers.release()
        assert workers.codes() == [0, 0]
        trials = study.trials
    check_pruned(trials, RecordStore(tmp_path / "out" / "records").read())
    pruned = numbers(trials, TrialState.PRUNED)
    assert pruned & claims[second], "their worker had completed nothing, so that only the other's trials could end them"
    assert min(len(trials[number].intermediate_values) for number in pruned) == 3
    chosen = (tmp_path / "out" / "best-soft.yaml").read_text(encoding="utf-8").partition("\n")[0]
    (best,) = (trial for trial in trials if trial.user_attrs.get("run", "no run") in chosen)
    assert best.state == TrialState.COMPLETE
    assert settings(tmp_path / "out") == unpruned


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
    assert len(running(joined.study, "one")) == 6
    watch = Watch(joined, looks=3)
    for _ in range(3):
        watch.look()
    assert len(running(joined.study, "one")) == 6
    watch.look()
    assert not running(joined.study, "one")
    assert len(joined.claim()) == 6
