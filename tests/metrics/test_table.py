"""The table, and the collections that are made from it: by themselves and over two processes."""

import warnings
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torchmetrics import MetricCollection

from soft_labels.distributions import kl_divergence, label_distribution, majority_label
from soft_labels.metrics import METRICS, Judged, Metric, all_metrics, core_metrics, core_names, values_of
from soft_labels.metrics.table import core_values, defined_for

Batch = dict[str, Tensor]


def random_batch(num_items: int) -> Batch:
    generator = torch.Generator().manual_seed(num_items)
    counts = torch.randint(0, 5, (num_items, 4), generator=generator).float()
    counts[:, 0] += 1
    return {
        "logits": torch.randn(num_items, 4, generator=generator),
        "label_dist": label_distribution(counts),
        "majority_label": majority_label(counts),
    }


def part(batch: Batch, start: int, stop: int) -> Batch:
    return {name: tensor[start:stop] for name, tensor in batch.items()}


def computed(metrics: MetricCollection, *batches: Batch) -> dict[str, float]:
    for batch in batches:
        metrics.update(**batch)
    return {key: value.item() for key, value in metrics.compute().items()}


CORE = ("accuracy", "kl", "entropy_corr")
FURTHER = ("js", "tv", "soft_ce", "brier", "entropy_error")
ORDINAL = ("wasserstein", "rps")


def test_keys_are_the_listed_ones() -> None:
    assert set(core_metrics().keys()) == {"accuracy", "kl", "entropy_corr"} == set(CORE)
    assert core_names() == CORE
    assert set(all_metrics(ordinal=False).keys()) == {*CORE, "soft_ce", "js", "tv", "brier", "entropy_error"}
    assert set(all_metrics(ordinal=True).keys()) == {*CORE, *FURTHER, "wasserstein", "rps"}
    assert set(all_metrics(ordinal=False, true_dist=True).keys()) == {*CORE, *FURTHER, "kl_to_true"}
    assert list(METRICS) == [*CORE, *FURTHER, *ORDINAL, "kl_to_true"]
    assert {name for name, row in METRICS.items() if row.needs_order} == set(ORDINAL)


@pytest.mark.parametrize("ordinal", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_collections_and_values_have_the_keys_that_are_defined(ordinal: bool, known: bool) -> None:
    judged = random_judged((2, 9))
    if not known:
        judged = judged._replace(true_dist=None)
    wanted = set(defined_for(ordinal, known))
    assert set(all_metrics(ordinal, known).keys()) == wanted
    assert values_of(judged, ordinal).keys() == wanted
    assert set(METRICS) - wanted == {*(() if ordinal else ORDINAL), *(() if known else ["kl_to_true"])}


def random_judged(shape: tuple[int, ...]) -> Judged:
    """Logits of this leading shape, and items of its last dimension."""
    batch = random_batch(shape[-1])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(*shape, 4, generator=generator)
    true_dist = torch.rand(shape[-1], 4, generator=generator).softmax(-1)
    return Judged(logits, batch["label_dist"], batch["majority_label"], true_dist)


def taken(judged: Judged, start: int, stop: int) -> Judged:
    return Judged(*(None if part is None else part[start:stop] for part in judged))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", METRICS)
def test_torchmetrics_over_odd_batches_give_the_value_of_the_row(name: str) -> None:
    judged, metric = random_judged((53,)), METRICS[name].new()
    for start, stop in pairwise([0, 1, 20, 20, 33, 53]):
        logits, dist, label, true = taken(judged, start, stop)
        everything = {"logits": logits, "label_dist": dist, "majority_label": label, "true_dist": true}
        metric.update(**metric._filter_kwargs(**everything))
    value = METRICS[name].value(judged.precise())
    assert value.shape == ()
    assert metric.compute().item() == pytest.approx(value.item(), rel=1e-12)
    assert metric.higher_is_better == METRICS[name].higher_is_better


def test_collections_give_the_values_of_the_rows() -> None:
    judged = random_judged((31,))
    batch = {name: tensor for name, tensor in judged._asdict().items() if tensor is not None}
    values = {name: value.item() for name, value in values_of(judged, ordinal=True).items()}
    collected = computed(all_metrics(ordinal=True, true_dist=True), part(batch, 0, 17), part(batch, 17, 31))
    assert collected == pytest.approx(values, rel=1e-12)
    core = {name: value.item() for name, value in core_values(judged).items()}
    assert core == {name: values[name] for name in core_names()}


@pytest.mark.parametrize("name", METRICS)
def test_leading_dimensions_broadcast(name: str) -> None:
    judged, row = random_judged((3, 2, 11)).precise(), METRICS[name]
    together = row.value(judged)
    assert together.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            alone = row.value(judged._replace(logits=judged.logits[i, j]))
            assert together[i, j].item() == pytest.approx(alone.item(), rel=1e-12)


@pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.correlates is None])
def test_a_mean_is_the_mean_of_its_items(name: str) -> None:
    judged, row = random_judged((2, 7)).precise(), METRICS[name]
    assert row.items(judged).shape == (2, 7)
    torch.testing.assert_close(row.items(judged).double().mean(-1), row.value(judged), rtol=1e-12, atol=0)


def test_a_row_that_is_added_is_collected_and_valued(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest_gap(dist: Tensor, logits: Tensor) -> Tensor:
        return (dist - logits.softmax(-1)).abs().amax(-1)

    monkeypatch.setitem(METRICS, "gap", Metric("largest gap", divergence=largest_gap, core=True))
    judged = random_judged((23,))
    batch = {"logits": judged.logits, "label_dist": judged.label_dist, "majority_label": judged.majority_label}
    wanted = largest_gap(judged.label_dist.double(), judged.logits.double()).mean().item()
    assert core_names()[-1] == "gap"
    assert computed(core_metrics("val/"), part(batch, 0, 9), part(batch, 9, 23))["val/gap"] == pytest.approx(wanted)
    assert computed(all_metrics(ordinal=False), batch)["gap"] == pytest.approx(wanted)
    assert values_of(judged, ordinal=False)["gap"].item() == pytest.approx(wanted)
    assert core_values(judged)["gap"].item() == pytest.approx(wanted)


def test_what_a_row_lacks_is_an_error_in_words() -> None:
    judged = random_judged((5,))
    with pytest.raises(ValueError, match="entropy correlation is no mean over items"):
        METRICS["entropy_corr"].items(judged)
    with pytest.raises(ValueError, match="KL to generator wants the generating distribution, got none"):
        METRICS["kl_to_true"].value(judged._replace(true_dist=None))
    with pytest.raises(ValueError, match="odd has neither a divergence nor a torchmetrics metric"):
        Metric("odd", of_items=lambda judged: judged.majority_label).new()


def test_titles_carry_units() -> None:
    assert METRICS["kl"].title == "KL to annotators, nats"
    assert METRICS["tv"].title == "total variation"


def test_values_are_computed_in_double_precision() -> None:
    judged = random_judged((40,))
    wanted = kl_divergence(judged.label_dist.double(), judged.logits.double()).mean()
    assert values_of(judged, ordinal=False)["kl"] == wanted
    assert {value.dtype for value in values_of(judged, ordinal=True).values()} == {torch.float64}


def test_the_prefix_stands_before_every_key() -> None:
    values = computed(core_metrics(prefix="val/"), random_batch(9))
    assert set(values) == {"val/accuracy", "val/kl", "val/entropy_corr"}


def test_keyword_arguments_reach_the_metric_that_wants_them() -> None:
    batch = random_batch(30)
    values = computed(all_metrics(ordinal=True), batch)
    hits = batch["logits"].argmax(1) == batch["majority_label"]
    assert values["accuracy"] == pytest.approx(hits.double().mean().item())
    assert values["kl"] < values["soft_ce"]


def test_a_first_batch_without_disagreement_does_not_tie_kl_to_soft_ce() -> None:
    agreed = random_batch(8)
    agreed["label_dist"] = torch.nn.functional.one_hot(agreed["majority_label"], 4).float()
    values = computed(all_metrics(ordinal=False), agreed, random_batch(8))
    assert values["soft_ce"] - values["kl"] > 0.1


def test_reset_starts_every_metric_anew() -> None:
    metrics = all_metrics(ordinal=True)
    computed(metrics, random_batch(20))
    metrics.reset()
    assert computed(metrics, random_batch(9)) == computed(all_metrics(ordinal=True), random_batch(9))


def rank_part(rank: int, batch: Batch) -> list[Batch]:
    """Rank 0: 23 items in batches of 16 and 7; rank 1: 8 items in one batch."""
    return [part(batch, 0, 16), part(batch, 16, 23)] if rank == 0 else [part(batch, 23, 31)]


def compute_on_two(rank: int, meeting: str, given: MetricCollection, batch: Batch, out: str) -> None:
    """One process: values of uneven parts, of a second epoch, and of items that lie on rank 0 alone."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    try:
        uneven = computed(given, *rank_part(rank, batch))
        given.reset()
        again = computed(given, *rank_part(rank, batch))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            alone = computed(all_metrics(ordinal=True), *([batch] if rank == 0 else []))
        torch.save({"uneven": uneven, "again": again, "alone": alone}, f"{out}.{rank}")
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    batch = random_batch(31)
    wanted = computed(all_metrics(ordinal=True), batch)
    # Given from here, the states lie in memory that both processes share: updates in place would count twice.
    arguments = (str(tmp_path / "meeting"), all_metrics(ordinal=True), batch, str(tmp_path / "values"))
    spawn(compute_on_two, arguments, nprocs=2)  # type: ignore[no-untyped-call]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"values.{rank}", weights_only=True)
        assert set(found) == {"uneven", "again", "alone"}
        for values in found.values():
            assert values == pytest.approx(wanted, rel=1e-12)
