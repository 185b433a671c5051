"""The collections, by themselves and over two processes."""

import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torchmetrics import MetricCollection

from soft_labels.distributions import label_distribution, majority_label
from soft_labels.metrics import CORE, FURTHER, ORDINAL, all_metrics, core_metrics

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


def test_keys_are_the_listed_ones() -> None:
    assert set(core_metrics().keys()) == {"accuracy", "kl", "entropy_corr"} == set(CORE)
    assert set(all_metrics(ordinal=False).keys()) == {*CORE, "soft_ce", "js", "tv", "brier", "entropy_error"}
    assert set(all_metrics(ordinal=True).keys()) == {*CORE, *FURTHER, "wasserstein", "rps"}
    assert set(ORDINAL) == {"wasserstein", "rps"}


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
