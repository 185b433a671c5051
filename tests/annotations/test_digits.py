import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.datasets import load_digits

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.digits import POOLS, _draw_pairs, make_blended_digits
from soft_labels.errors import DataError


@pytest.fixture(scope="module")
def digits() -> AnnotatedData:
    return make_blended_digits()


@pytest.mark.slow
def test_shapes_and_names(digits: AnnotatedData) -> None:
    assert (digits.name, digits.modality, len(digits), digits.num_classes) == ("blended-digits", "image", 3000, 10)
    assert (digits.uids[0], digits.uids[-1]) == ("digits-00000", "digits-02999")
    for image in digits.inputs:
        assert isinstance(image, np.ndarray)
        assert image.dtype == np.uint8
        assert image.shape == (64, 64, 3)


def test_annotators_are_as_many_as_asked(digits: AnnotatedData) -> None:
    annotations = digits.label_counts.sum(1)
    assert (annotations.min().item(), annotations.max().item()) == (5, 50)


def test_true_distributions_are_blends_of_two_classes_with_lapses(digits: AnnotatedData) -> None:
    assert digits.true_dist is not None
    torch.testing.assert_close(digits.true_dist.sum(1), torch.ones(3000, dtype=torch.float64))
    ranked = digits.true_dist.sort(1, descending=True).values
    torch.testing.assert_close(ranked[:, 2:], torch.full((3000, 8), 0.005, dtype=torch.float64))
    assert (ranked[:, 0] >= 0.5 * 0.95 + 0.005 - 1e-12).all()
    plain = torch.isclose(ranked[:, 0], torch.tensor(0.955, dtype=torch.float64))
    assert int(plain.sum()) == 760


def test_annotations_are_drawn_from_the_true_distributions(digits: AnnotatedData) -> None:
    assert digits.true_dist is not None
    ranked = digits.true_dist.argsort(1, descending=True)
    drawn = digits.label_counts.gather(1, ranked).sum(0)
    sizes = digits.label_counts.sum(1, keepdim=True)
    expected = (sizes * digits.true_dist.gather(1, ranked)).sum(0)
    assert scipy.stats.chisquare(drawn.numpy(), expected.numpy()).pvalue > 0.001


def test_no_handwritten_digit_stands_in_two_pools_and_pairs_differ_in_class() -> None:
    target = load_digits().target
    pool = np.arange(2000) % POOLS
    first, second, weight = _draw_pairs(target, pool, np.random.default_rng(0))
    plain = weight == 1
    np.testing.assert_array_equal(first[plain], second[plain])
    assert (target[first[~plain]] != target[second[~plain]]).all()
    pools_of: dict[int, set[int]] = {}
    for digit, number in zip(np.concatenate([first, second]).tolist(), np.tile(pool, 2).tolist(), strict=True):
        pools_of.setdefault(digit, set()).add(number)
    assert max(map(len, pools_of.values())) == 1
    assert len(pools_of) > 1000


def test_a_plain_item_shows_its_digit() -> None:
    data = make_blended_digits(POOLS)
    base = load_digits()
    image = data.inputs[0]
    assert isinstance(image, np.ndarray)
    assert data.true_dist is not None
    small = image[:, :, 0].reshape(8, 8, 8, 8).mean((1, 3)) * 16 / 255
    nearest = int(np.abs(base.images - small).sum((1, 2)).argmin())
    assert base.target[nearest] == int(data.true_dist[0].argmax())


@pytest.mark.slow
def test_the_seed_decides_everything(digits: AnnotatedData) -> None:
    again, other = make_blended_digits(), make_blended_digits(seed=1)
    assert again.label_counts.equal(digits.label_counts)
    np.testing.assert_array_equal(np.stack(list(again.inputs)), np.stack(list(digits.inputs)))  # type: ignore[arg-type]
    assert not other.label_counts.equal(digits.label_counts)


def test_too_few_items_and_impossible_annotators_are_refused() -> None:
    with pytest.raises(DataError, match="wanted at least 40 blended digits, one a pool, got 39"):
        make_blended_digits(39)
    with pytest.raises(DataError, match=r"got \(6, 5\)"):
        make_blended_digits(POOLS, annotators=(6, 5))
