import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soft_labels.annotations.base import Items
from soft_labels.embeddings import FeatureSource, StageReport, features_alike, known_rows
from soft_labels.encoders import SeveralEncoders, TimmEncoder
from soft_labels.encoders.hosted import Usage
from soft_labels.errors import ConfigError

if TYPE_CHECKING:
    from tests.embeddings.conftest import ToyEncoder

PAIRS = Items(("1", "2", "3"), [("a", "x"), ("b", "x"), ("c", "a")], "text_pair")


def source(root: Path, encoder: Any) -> FeatureSource:
    return FeatureSource(encoder, root, "u_v_absdiff_product", "\n")


def test_features_of_several_are_those_of_each_side_by_side(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    first, second = toy(width=2, name="first"), toy(width=3, name="second")
    both = source(tmp_path, SeveralEncoders([first, second]))
    encoded = both.encode(PAIRS)
    assert (encoded.report.inputs, encoded.report.encoded) == (8, 8)
    rows = both.open(encoded, "pairs")[torch.arange(3)]
    alone = [source(tmp_path, each) for each in (first, second)]
    apart = [each.open(each.encode(PAIRS), "pairs")[torch.arange(3)] for each in alone]
    assert rows.shape == (3, 20)
    assert torch.equal(rows, torch.cat(apart, dim=1))
    assert [len(texts) for texts in second.encoded] == [4]
    assert both.folders == " + ".join(each.folders for each in alone)


def test_a_plan_says_what_each_lacks(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    first, second = toy(name="first"), toy(name="second")
    source(tmp_path, first).encode(PAIRS)
    plans = source(tmp_path, SeveralEncoders([first, second])).plans(PAIRS)
    assert [(plan.inputs, plan.missing) for plan in plans] == [(4, 0), (4, 4)]


def test_items_that_one_leaves_out_are_named(toy: "type[ToyEncoder]", caplog: pytest.LogCaptureFixture) -> None:
    class Knows(toy):  # type: ignore[misc, valid-type]
        known: tuple[str, ...] = ()

        def without_row(self, uids: tuple[str, ...]) -> NDArray[np.bool_]:
            return np.array([uid not in self.known for uid in uids])

    caplog.set_level(logging.INFO, "soft_labels")
    odd, small = Knows(name="odd"), Knows(name="small")
    odd.known, small.known = ("1", "3", "5"), ("1", "2", "3")
    assert known_rows(("1", "2", "3", "4"), SeveralEncoders([odd, small]), "data") == [0, 2]
    assert [message.partition(" left out")[0] for message in caplog.messages] == [
        "data: 2 of 4 items", "data: 1 of 4 items",
    ]  # fmt: skip
    assert known_rows(("1", "2"), toy(), "data") == [0, 1]


def test_what_several_did_is_the_sum(toy: "type[ToyEncoder]") -> None:
    free, paid = StageReport(5, 2, 3, 1.0), StageReport(5, 5, 0, 0.5, Usage(tokens=7))
    assert free + free == StageReport(10, 4, 6, 2.0)
    assert free + paid == StageReport(10, 7, 3, 1.5, Usage(tokens=7))
    both = (paid + paid).usage
    assert both is not None
    assert both.tokens == 14


def test_the_separator_counts_only_where_it_is_used(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    pairs = Items(("a", "b"), [("one", "two"), ("three", "four")], "text_pair")
    plain, odd = (FeatureSource(toy(), tmp_path, separator=mark) for mark in ("\n", "|"))
    assert plain.identity(pairs) == odd.identity(pairs)
    assert plain.pairing("text") == "none"
    joined = [FeatureSource(toy(), tmp_path, "one_text", mark) for mark in ("\n", "|")]
    assert joined[0].identity(pairs) != joined[1].identity(pairs)


@pytest.mark.parametrize("modality", ["text", "text_pair"])
def test_an_encoder_of_another_modality_is_refused(modality: Any, tmp_path: Path) -> None:
    source = FeatureSource(TimmEncoder(), tmp_path)
    with pytest.raises(ConfigError, match=r"mine holds text but TimmEncoder reads image; choose another data\.encoder"):
        source.check("mine", modality)
    source.check("mine", "image")


def test_a_text_encoder_is_refused_for_images(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    with pytest.raises(ConfigError, match="mine holds image but ToyEncoder reads text"):
        FeatureSource(toy(), tmp_path).check("mine", "image")


def test_features_are_alike_whatever_items_have_their_vectors_where() -> None:
    made_by = {
        "encoder": "several",
        "0.weights": "sha256:1",
        "1.vectors": "sha256:2",
        "1.uid_column": "id",
        "uids": None,
    }
    assert features_alike(made_by) == {"encoder": "several", "0.weights": "sha256:1"}
