import ctypes
import resource
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from soft_labels.data.batches import epoch_seed
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.heads import MLPHead
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.population import PopulationEngine
from soft_labels.training.population.engine import give_back
from soft_labels.training.spec import Engine, Job, RunResult, RunSpec
from tests.toys import SeededData, SeededEncoder

pytestmark = pytest.mark.slow

WIDTH, CLASSES = 16, 3
QUICK = RunSpec(hidden_width=32, lr=1e-2, batch_size=8, max_epochs=12, patience=3, plateau_patience=1, dropout=0.3)
DIFFERENT = (
    QUICK,
    replace(QUICK, target="hard"),
    replace(QUICK, lr=3e-3, weight_decay=1e-2),
    replace(QUICK, scheduler="plateau"),
    replace(QUICK, scheduler="plateau", plateau_patience=0, plateau_factor=0.1),
    replace(QUICK, seed=5, target="hard", dropout=0.0),
    replace(QUICK, seed=5, dropout=0.6),
    replace(QUICK, batch_size=19, hidden_width=8),
    replace(QUICK, max_epochs=4, lr=1e-4),
    replace(QUICK, standardize=False),
)
GRID = tuple(
    replace(QUICK, target=target, scheduler=scheduler, max_epochs=epochs, lr=lr, plateau_patience=0, patience=4)
    for target in ("soft", "hard")
    for scheduler in ("none", "plateau")
    for epochs in (4, 8, 16)
    for lr in (1e-2, 1e-4)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(items=150, encoder=SeededEncoder(WIDTH), store=tmp_path_factory.mktemp("store")).embedded


def assert_same_runs(ours: Sequence[RunResult], theirs: Sequence[RunResult], atol: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.spec == other.spec
        assert (one.ending, one.best_epoch) == (other.ending, other.best_epoch), one.spec
        assert one.curve.keys() == other.curve.keys()
        assert one.curve["lr"] == pytest.approx(other.curve["lr"])
        for name, values in one.curve.items():
            np.testing.assert_allclose(values, other.curve[name], atol=atol, err_msg=f"{name} of {one.spec}")
        assert (one.state is None) == (other.state is None)
        for name, tensor in (one.state or {}).items():
            assert other.state is not None
            torch.testing.assert_close(tensor, other.state[name], atol=50 * atol, rtol=0)


@pytest.mark.parametrize("spec", DIFFERENT, ids=str)
def test_a_member_among_others_follows_the_lightning_engine_alone(data: EmbeddedDataset, spec: RunSpec) -> None:
    neighbours = [spec, *(one for one in DIFFERENT if one != spec)]
    together = PopulationEngine(accelerator="cpu").train(data, neighbours, monitor_test=True, keep_heads=True)
    alone = LightningEngine(accelerator="cpu").train(data, [spec], monitor_test=True, keep_heads=True)
    assert_same_runs(together[:1], alone, atol=2e-5)


@pytest.mark.parametrize("engine", [PopulationEngine, LightningEngine])
def test_an_engine_prunes_what_it_is_told_to_and_nothing_else(data: EmbeddedDataset, engine: type[Engine]) -> None:
    specs = [QUICK, replace(QUICK, max_epochs=5), replace(QUICK, target="hard")]
    seen: list[tuple[int, int]] = []

    def after_epoch(run: int, epoch: int, loss: float) -> bool:
        seen.append((run, epoch))
        return run == 1 and epoch == 2

    pruned = engine().train(data, specs, after_epoch=after_epoch)
    whole = engine().train(data, specs)
    assert [result.ending == "pruned" for result in pruned] == [False, True, False]
    assert len(pruned[1].curve["val/loss"]) == 3
    assert pruned[1].curve["val/loss"] == whole[1].curve["val/loss"][:3]
    assert_same_runs([pruned[0], pruned[2]], [whole[0], whole[2]], atol=0)
    epochs = [len(result.curve["lr"]) for result in pruned]
    assert sorted(seen) == [(run, epoch) for run, count in enumerate(epochs) for epoch in range(count)]


def test_runs_that_share_their_past_are_those_that_do_not(data: EmbeddedDataset) -> None:
    sharing, alone = PopulationEngine(accelerator="cpu"), PopulationEngine(accelerator="cpu", share=False)
    assert_same_runs(sharing.train(data, GRID, keep_heads=True), alone.train(data, GRID, keep_heads=True), atol=1e-6)
    assert sharing.work.asked == alone.work.asked == alone.work.done
    assert sharing.work.done < 0.7 * alone.work.done


def test_plateau_twins_part_at_the_first_cut_and_not_before(data: EmbeddedDataset) -> None:
    plain = replace(QUICK, patience=12)
    plateau = replace(plain, scheduler="plateau", plateau_patience=0)
    engine = PopulationEngine(accelerator="cpu")
    one, twin = engine.train(data, [plain, plateau])
    rates = twin.curve["lr"]
    cut = next(epoch for epoch, rate in enumerate(rates) if rate < plain.lr)
    assert one.curve["val/loss"][:cut] == twin.curve["val/loss"][:cut]
    assert one.curve["val/loss"][cut:] != twin.curve["val/loss"][cut:]
    steps = -(-len(data.dataset.split.train) // plain.batch_size)
    assert engine.work.done == steps * (len(one.curve["lr"]) + len(rates) - cut)


@pytest.mark.parametrize(("chunk", "workers"), [(1, 1), (3, 2), (100, 1)])
def test_neighbours_chunks_and_workers_change_nothing(data: EmbeddedDataset, chunk: int, workers: int) -> None:
    usual = PopulationEngine(accelerator="cpu").train(data, DIFFERENT)
    dealt_otherwise = PopulationEngine(accelerator="cpu", chunk=chunk, workers=workers).train(data, DIFFERENT)
    assert_same_runs(dealt_otherwise, usual, atol=1e-6)


def double_precision(data: EmbeddedDataset, spec: RunSpec) -> list[float]:
    """Validation losses of the spec by autograd in float64."""
    head = MLPHead(WIDTH, CLASSES, spec.hidden_width, spec.dropout, spec.seed)
    head.set_feature_statistics(*data.feature_statistics)
    head.double()
    optimizer = torch.optim.Adam(head.parameters(), lr=spec.lr, weight_decay=spec.weight_decay)
    features = data.features[torch.arange(len(data.dataset.data))].double()
    dist = data.dataset.observed.label_dist.double()
    train, val = data.dataset.rows("train"), data.dataset.rows("val")
    losses = []
    for epoch in range(spec.max_epochs):
        order = train[torch.randperm(len(train), generator=seeded(spec.seed, epoch, "order"))]
        masks = seeded(spec.seed, epoch, "dropout")
        for rows in torch.split(order, spec.batch_size):
            mask = head.dropout_mask(len(rows), masks)
            optimizer.zero_grad()
            F.cross_entropy(head(features[rows], None if mask is None else mask.double()), dist[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(head(features[val]), dist[val]).item())
    return losses


def seeded(seed: int, epoch: int, draw: str) -> torch.Generator:
    return torch.Generator().manual_seed(epoch_seed(seed, epoch, draw))  # type: ignore[arg-type]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_members_differ_from_double_precision_by_rounding_only(data: EmbeddedDataset, dropout: float) -> None:
    spec = replace(QUICK, dropout=dropout, weight_decay=1e-3, patience=12, lr=1e-3)
    (result,) = PopulationEngine(accelerator="cpu").train(data, [spec])
    np.testing.assert_allclose(result.curve["val/loss"], double_precision(data, spec), atol=2e-6)


def test_a_set_that_stays_on_disk_trains_the_same(data: EmbeddedDataset, tmp_path: Path) -> None:
    on_disk = SeededData(items=150, encoder=SeededEncoder(WIDTH), store=tmp_path, memory_limit_mb=0).embedded
    engine = PopulationEngine(accelerator="cpu")
    assert_same_runs(engine.train(on_disk, DIFFERENT[:3]), engine.train(data, DIFFERENT[:3]), atol=0)
    assert not on_disk.features.in_memory


def test_a_program_holds_no_more_heads_than_its_memory(data: EmbeddedDataset) -> None:
    specs = [replace(QUICK, hidden_width=2048, lr=1e-3 + 1e-6 * number, max_epochs=1) for number in range(9)]
    numbers = 2048 * (WIDTH + 1) + CLASSES * 2049
    engine = PopulationEngine(accelerator="cpu", memory_mb=2)
    sizes = [len(program) for program in engine.programs([Job(data, spec) for spec in specs])]
    assert max(sizes) * numbers * 16 <= 2 * 2**20 < (max(sizes) + 1) * numbers * 16
    assert sum(sizes) == len(specs)


def test_on_a_cpu_programs_are_small_and_even_on_any_number_of_workers(data: EmbeddedDataset) -> None:
    narrow = [replace(QUICK, lr=1e-3 + 1e-6 * number) for number in range(28)]
    wide = [replace(spec, hidden_width=40_000) for spec in narrow]

    def sizes(specs: list[RunSpec], workers: int = 1, chunk: int | None = None) -> list[int]:
        engine = PopulationEngine(accelerator="cpu", workers=workers, chunk=chunk)
        return [len(program) for program in engine.programs([Job(data, spec) for spec in specs])]

    assert sizes(narrow) == sizes(narrow, workers=16) == [7, 7, 7, 7]
    assert sizes(wide) == [3] * 8 + [2] * 2
    assert sizes(narrow[:3]) == [1, 1, 1]
    assert sizes(narrow, chunk=10) == [10, 9, 9]


def test_an_engine_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        PopulationEngine(chunk=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_started_together_gives_what_each_gives_alone(data: EmbeddedDataset, workers: int) -> None:
    engine = PopulationEngine(accelerator="cpu", workers=workers, chunk=2)
    other = data.redrawn(7)
    with engine.at_work() as start:
        assert torch.get_num_threads() == 1
        both = [start([[Job(on, spec)] for spec in DIFFERENT[:4]]) for on in (data, other)]
        found = [dict(one) for one in reversed(both)]
    for on, results in zip((other, data), found, strict=True):
        own = [results[place] for place in range(4)]
        assert_same_runs(own, engine.train(on, DIFFERENT[:4]), atol=0)


def test_runs_of_splits_and_of_fewer_annotators_share_programs_and_change_nothing(data: EmbeddedDataset) -> None:
    specs = [
        *DIFFERENT,
        replace(QUICK, target="sampled", seed=1),
        replace(QUICK, target="repeated", scheduler="plateau", plateau_patience=0, max_epochs=4),
        replace(QUICK, target="smoothed", smoothing=0.2, dropout=0.3),
    ]
    sets = [data, data.redrawn(3), data.redrawn(4), data.drawn(2, 0)]
    jobs = [Job(one, spec) for one in sets for spec in specs]
    engine = PopulationEngine(accelerator="cpu", workers=1)
    plan = engine.programs(jobs)
    assert sorted(place for program in plan for place in program) == list(range(len(jobs)))
    assert len(plan) < len(engine.programs(jobs[: len(specs)])) * len(sets), "programs go over several data sets"
    with engine.at_work() as start:
        found = list(
            start([[jobs[place] for place in program] for program in plan], monitor_test=True, keep_heads=True)
        )
    assert [place for place, _ in found] == list(range(len(jobs)))
    result_of = dict(zip(chain.from_iterable(plan), (result for _, result in found), strict=True))
    for place, one in enumerate(sets):
        own = [result_of[place * len(specs) + run] for run in range(len(specs))]
        assert_same_runs(own, engine.train(one, specs, monitor_test=True, keep_heads=True), atol=0)


def test_data_of_other_shapes_train_in_programs_of_their_own(data: EmbeddedDataset, tmp_path: Path) -> None:
    narrow = SeededData(items=150, encoder=SeededEncoder(WIDTH - 1), store=tmp_path).embedded
    fewer = SeededData(items=140, encoder=SeededEncoder(WIDTH), store=tmp_path).embedded
    jobs = [Job(one, QUICK) for one in (data, narrow, fewer, data.redrawn(1))]
    plan = PopulationEngine(accelerator="cpu", chunk=8).programs(jobs)
    assert sorted(map(sorted, plan)) == [[0, 3], [1], [2]]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="a C library other than glibc")
def test_memory_that_work_has_left_is_given_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()

    pieces = [bytearray(b"x" * 50_000) for _ in range(4_000)]
    kept = pieces[::50]  # so that no arena is free as a whole
    del pieces
    before = resident()
    give_back()
    assert before - resident() > 100_000_000
    assert all(len(piece) == 50_000 for piece in kept)


def test_what_nobody_waits_for_is_given_up(data: EmbeddedDataset) -> None:
    engine, queued = PopulationEngine(accelerator="cpu", workers=1), []

    def interrupted() -> None:
        with engine.at_work() as start:
            start([[Job(data, replace(QUICK, max_epochs=10**6, patience=10**6))]])
            queued.append(start([[Job(data, RunSpec(head="logistic"))]]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(CancelledError):
        next(queued[0])
