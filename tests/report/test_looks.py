"""Every figure draws an arm in the same way."""

from pathlib import Path

from matplotlib.figure import Figure

from soft_labels.palette import ARMS, look
from soft_labels.report.evidence import load_evidence
from soft_labels.report.looks import distinct, left_out, line_keys, looks
from tests.report.toy_experiment import ToySet, many_arms, write_experiment


def test_arms_that_the_report_adds_leave_the_others_their_looks(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0, items=8)], many_arms(7))
    evidence = load_evidence(tmp_path)
    found = looks(evidence)
    assert list(found) == [*evidence.arms, *evidence.added]
    assert [found[arm] for arm in evidence.arms] == [look(place) for place in range(7)]
    assert list(distinct(evidence)) == list(evidence.arms)[: len(ARMS)]


def test_only_arms_that_have_something_to_draw_are_said_to_be_in_the_tables_alone(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0, items=8)], many_arms(7))
    evidence = load_evidence(tmp_path)
    assert left_out(evidence) == f" {len(looks(evidence)) - len(ARMS)} more arms are in the tables alone."
    assert left_out(evidence, ["arm-0", "arm-6"]) == " 1 more arm is in the tables alone."
    assert left_out(evidence, ["arm-0", "arm-1"]) == ""


def test_a_key_shows_line_and_marker_of_its_arm() -> None:
    (key,) = line_keys({"soft": look(1)})
    axes = Figure().subplots()
    key.draw(axes)
    assert key.label == "soft"
    assert [line.get_marker() for line in axes.lines] == ["None", look(1).marker]
    assert {line.get_color() for line in axes.lines} == {look(1).colour.light}
