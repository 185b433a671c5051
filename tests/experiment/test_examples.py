from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, rel_entr
from scipy.stats import entropy

from soft_labels.data.dataset import Dataset
from soft_labels.experiment.examples import choose_examples
from soft_labels.metrics import Judged
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder: Path = tmp_path_factory.mktemp("examples")
    return SeededData(200, encoder=SeededEncoder(), store=folder / "store").dataset


def shares(dataset: Dataset) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = dataset.data.label_counts.numpy()
    dist: NDArray[np.float64] = counts / counts.sum(1, keepdims=True)
    return dist


def said(dataset: Dataset, noise: float, seed: int) -> Judged:
    """A head whose logits of the test items are the annotations' with some noise."""
    rows = dataset.rows("test")
    exact = torch.from_numpy(np.log(shares(dataset)[rows] + 0.05)).float()
    logits = exact + noise * torch.randn(exact.shape, generator=torch.Generator().manual_seed(seed))
    return Judged(logits, *dataset.observed.take(rows)[1:])


@pytest.fixture(scope="module")
def judged(dataset: Dataset) -> dict[str, Judged]:
    return {"base": said(dataset, 1, 0), "other": said(dataset, 0.5, 1)}


def by_closeness(dataset: Dataset, judged: dict[str, Judged]) -> list[str]:
    """Uids where both heads name the majority class, by how much lower the second one's KL is."""
    rows = dataset.rows("test").tolist()
    labels = dataset.observed.majority_label[rows].numpy()
    logits = [one.logits.double().numpy() for one in judged.values()]
    right = np.all([each.argmax(1) == labels for each in logits], axis=0)
    kl = [rel_entr(shares(dataset)[rows], np.exp(log_softmax(each, 1))).sum(1) for each in logits]
    places = sorted(np.flatnonzero(right), key=lambda place: float(kl[0][place] - kl[1][place]))
    return [dataset.data.uids[rows[place]] for place in places]


def test_items_spread_from_agreement_to_disagreement(dataset: Dataset, judged: dict[str, Judged]) -> None:
    in_order = np.sort(entropy(shares(dataset), axis=1))
    spread = choose_examples(dataset, judged, keep_texts=True).spread
    wanted = [in_order[round(step * 199)] for step in (0.02, 0.25, 0.5, 0.75, 0.98)]
    assert wanted[0] < wanted[2] < wanted[4]
    assert [entropy(item.label_dist) for item in spread] == pytest.approx(wanted, abs=1e-3)
    for item in spread:
        own = shares(dataset)[dataset.data.uids.index(item.uid)]
        assert item.label_dist == pytest.approx(own.tolist(), abs=1e-4)
        assert item.pred_dist == {}


def test_heads_that_agree_are_shown_where_they_differ_most_and_by_the_median(
    dataset: Dataset, judged: dict[str, Judged]
) -> None:
    examples, agreeing = choose_examples(dataset, judged, keep_texts=True), by_closeness(dataset, judged)
    assert len(agreeing) > 10
    assert examples.same_class is not None
    assert examples.median is not None
    assert examples.same_class.uid == agreeing[-1]
    assert examples.median.uid == agreeing[round((len(agreeing) - 1) / 2)]
    place = [dataset.data.uids[row] for row in dataset.rows("test").tolist()].index(agreeing[-1])
    for arm, one in judged.items():
        wanted = np.exp(log_softmax(one.logits[place].double().numpy()))
        assert examples.same_class.pred_dist[arm] == pytest.approx(wanted.tolist(), abs=1e-4)


def test_the_order_of_the_arms_decides_which_comes_closer(dataset: Dataset, judged: dict[str, Judged]) -> None:
    swapped = dict(reversed(judged.items()))
    examples = choose_examples(dataset, swapped, keep_texts=True)
    assert examples.same_class is not None
    assert examples.same_class.uid == by_closeness(dataset, judged)[0]


@pytest.mark.parametrize("keep", [True, False])
def test_texts_are_kept_where_they_may_be(dataset: Dataset, judged: dict[str, Judged], keep: bool) -> None:
    for item in choose_examples(dataset, judged, keep_texts=keep).spread:
        number = int(item.uid.removeprefix("item-"))
        assert item.text == (f"text {number}" if keep else None)


def test_one_head_alone_is_compared_with_none(dataset: Dataset, judged: dict[str, Judged]) -> None:
    examples = choose_examples(dataset, {"base": judged["base"]}, keep_texts=True)
    assert (examples.same_class, examples.median) == (None, None)
    assert len(examples.spread) == 5


def test_heads_that_agree_nowhere_are_not_shown(dataset: Dataset, judged: dict[str, Judged]) -> None:
    wrong = judged["base"]._replace(logits=-judged["base"].label_dist)
    examples = choose_examples(dataset, {"base": wrong, "other": judged["other"]}, keep_texts=True)
    assert (examples.same_class, examples.median) == (None, None)
