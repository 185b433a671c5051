"""Figures of single items."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle

from soft_labels.report.content import Figure
from soft_labels.report.drawing import TOLD, Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.item_figures import median_figure, same_class_figure, spread_figure
from tests.report.toy_experiment import PAIR, ToySet, write_experiment


def evidence_of(folder: Path, toy: ToySet) -> Evidence:
    write_experiment(folder, [replace(toy, seeds=1, splits=0, items=20)])
    return load_evidence(folder)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return evidence_of(tmp_path_factory.mktemp("items"), ToySet())


def bars(figure: Figure) -> list[float]:
    """Lengths of all bars of the first panel."""
    axes = next(one for one in Drawing(figure).canvas.axes if one.get_gid() == "panel0")
    return [one.get_width() for one in axes.patches if isinstance(one, Rectangle)]


def test_an_item_without_a_text_shows_its_uid_alone(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, ToySet(text=None))
    panels = spread_figure(evidence).panels
    assert [panel.title for panel in panels] == [
        f"chaosnli: {item.uid}" for item in evidence.sets[0].index.examples.spread
    ]
    assert [panel.told for panel in panels] == [[]] * 6


def test_long_texts_are_cut_and_control_characters_left_out(tmp_path: Path) -> None:
    text = "Dear\x00 all,\x0b\n<please>  read " * 30
    told = spread_figure(evidence_of(tmp_path, ToySet(text=text))).panels[0].told
    assert len(told) == 4
    assert told[3].endswith("…")
    assert "<please>" in " ".join(told)
    assert max(map(len, told)) <= TOLD


def test_bars_are_as_long_as_shares(evidence: Evidence) -> None:
    figure, items = spread_figure(evidence), evidence.sets[0].index.examples.spread
    assert bars(figure) == items[0].label_dist
    assert [row["share"] for row in figure.rows] == [share for item in items for share in item.label_dist]


def test_both_heads_stand_beside_the_annotators_with_their_kl(evidence: Evidence) -> None:
    item = evidence.sets[0].index.examples.same_class
    assert item is not None
    kl = [
        sum(p * math.log(p / q) for p, q in zip(item.label_dist, item.pred_dist[target], strict=True) if p)
        for target in ("hard", "soft")
    ]
    figure = same_class_figure(evidence)
    assert figure is not None
    assert figure.panels[0].told[-1] == f"KL to the annotators: hard {kl[0]:.3f}, soft {kl[1]:.3f}"
    assert [key.label for key in figure.keys] == ["annotators", "hard head", "soft head"]
    assert bars(figure) == [*item.label_dist, *item.pred_dist["hard"], *item.pred_dist["soft"]]
    assert {(row["of"], row["share"]) for row in figure.rows} >= {("soft", item.pred_dist["soft"][0])}
    assert "hard head" in figure.description


def test_a_data_set_without_such_an_item_says_so(tmp_path: Path) -> None:
    sets = [replace(toy, seeds=1, splits=0, items=20) for toy in (ToySet(), ToySet("popquorn"))]
    write_experiment(tmp_path, sets)
    figure = median_figure(load_evidence(tmp_path))
    assert figure is not None
    assert figure.caption.endswith("No such item in popquorn.")
    assert len(figure.panels) == 1


def test_one_arm_alone_has_no_head_to_set_beside(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0, items=20)], {"hard": PAIR["hard"]})
    evidence = load_evidence(tmp_path)
    assert same_class_figure(evidence) is None
    assert median_figure(evidence) is None


def test_that_rare_classes_are_not_drawn_is_said_where_there_are_many(evidence: Evidence, tmp_path: Path) -> None:
    assert "Of more than 5 classes" not in spread_figure(evidence).caption
    many = evidence_of(tmp_path, ToySet("many", class_names=tuple("abcdefg")))
    assert "Of more than 5 classes" in spread_figure(many).caption
