"""Figures of single items."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from soft_labels.report.content import Figure
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.item_figures import median_figure, same_class_figure, spread_figure
from soft_labels.report.page import svg_file
from tests.report.toy_experiment import PAIR, ToySet, write_experiment


def evidence_of(folder: Path, toy: ToySet) -> Evidence:
    write_experiment(folder, [replace(toy, seeds=1, splits=0)])
    return load_evidence(folder)


def words_of(figure: Figure) -> list[str]:
    root = ET.fromstring(svg_file(figure))  # noqa: S314
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_an_item_without_a_text_shows_its_uid_alone(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, ToySet(text=None))
    words = words_of(spread_figure(evidence))
    uids = [item.uid for item in evidence.sets[0].index.examples.spread]
    expected = {"chaosnli", *uids, *evidence.sets[0].index.class_names}
    assert {word for word in words if not word.startswith(("0.", "1."))} == expected


def test_long_texts_are_cut_and_control_characters_left_out(tmp_path: Path) -> None:
    words = words_of(spread_figure(evidence_of(tmp_path, ToySet(text="Dear\x00 all,\x0b\n<please>  read " * 30))))
    told = [word for word in words if "read" in word]
    assert len(told) == 6 * 4
    assert told[3].endswith("…")
    assert "<please>" in " ".join(told)
    assert max(map(len, told)) <= 48


def test_bars_are_as_long_as_shares(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, ToySet())
    figure = spread_figure(evidence)
    root = ET.fromstring(svg_file(figure))  # noqa: S314
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("fill")]
    widths = [float(bar.get("width", "nan")) for bar in bars]
    shares = [share for item in evidence.sets[0].index.examples.spread for share in item.label_dist]
    assert widths == pytest.approx([130 * share for share in shares], abs=0.06)


def test_both_heads_stand_beside_the_annotators_with_their_kl(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, ToySet())
    item = evidence.sets[0].index.examples.same_class
    assert item is not None
    kl = [
        sum(p * math.log(p / q) for p, q in zip(item.label_dist, item.pred_dist[target], strict=True))
        for target in ("hard", "soft")
    ]
    figure = same_class_figure(evidence)
    assert f"KL to the annotators: hard {kl[0]:.3f}, soft {kl[1]:.3f}" in words_of(figure)
    assert figure.body.count('fill="url(#figure2-') == 3 + 3 * 3  # the legend and three classes
    assert "annotators" in figure.description
    assert "hard head" in figure.description


def test_a_data_set_without_such_an_item_says_so(tmp_path: Path) -> None:
    figure = median_figure(evidence_of(tmp_path, ToySet("popquorn")))
    assert "popquorn: no such item" in words_of(figure)


def test_a_title_names_the_heads_that_are_shown(tmp_path: Path) -> None:
    assert median_figure(evidence_of(tmp_path, ToySet())).title == "Figure 5. Annotators, hard head and soft head"


def test_one_arm_alone_has_no_head_to_set_beside(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], {"hard": PAIR["hard"]})
    figure = same_class_figure(load_evidence(tmp_path))
    assert "chaosnli: no such item" in words_of(figure)
    assert "head" not in figure.body
