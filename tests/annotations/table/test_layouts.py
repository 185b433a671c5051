"""Each form of table becomes one row an annotation: who, which label, and how many it stands for."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from soft_labels.annotations.table.layouts import make_annotations, roles_of, settle_uids
from soft_labels.annotations.table.rows import Work
from soft_labels.errors import DataError
from tests.annotations.table.conftest import MakeWork

Cells = Mapping[str, Sequence[str | None]]
NONE: dict[str, Any] = {"label_column": None}
COUNTS: dict[str, Any] = {"form": "counts", **NONE, "count_columns": ["no", "yes"]}
ONE_HOT: dict[str, Any] = {**COUNTS, "form": "one_hot", "annotator_column": "who"}
FORMS: dict[str, tuple[Cells, dict[str, Any], list[tuple[str, str | None, str, float]]]] = {
    "long": (
        {"uid": ["1", "1"], "annotator": ["a ", "b"], "label": ["no", " 1.0"]},
        {"annotator_column": "who"},
        [("1", "a", "no", 1.0), ("1", "b", "1", 1.0)],
    ),
    "long with counts": (
        {"uid": ["1", "1", "2"], "label": ["no", "yes", "no"], "n": ["2", "0", "1.5"]},
        {"count_column": "votes"},
        [("1", None, "no", 2.0), ("2", None, "no", 1.5)],
    ),
    "counts": (
        {"uid": ["1", "2"], "count_0": ["3", None], "count_1": ["1", "2"]},
        COUNTS,
        [("1", None, "0", 3.0), ("1", None, "1", 1.0), ("2", None, "1", 2.0)],
    ),
    "wide": (
        {"uid": ["1", "2"], "label_0": ["no", None], "label_1": ["yes", "no"]},
        {"form": "wide", **NONE, "label_columns": ["ann", "bea"]},
        [("1", "ann", "no", 1.0), ("1", "bea", "yes", 1.0), ("2", "bea", "no", 1.0)],
    ),
    "one_hot": (
        {"uid": ["1", "1"], "annotator": ["a", "b"], "count_0": ["1", "False"], "count_1": [None, "x"]},
        ONE_HOT,
        [("1", "a", "0", 1.0), ("1", "b", "1", 1.0)],
    ),
    "list": (
        {"uid": ["1", "2"], "label": ["0,1", "[1]"], "annotator": ["a,b", "['a']"]},
        {"form": "list", "annotator_column": "who"},
        [("1", "a", "0", 1.0), ("1", "b", "1", 1.0), ("2", "a", "1", 1.0)],
    ),
    "by_annotator": (
        {"uid": ["1", "2"], "label": ['{"a": "no", "b": "yes"}', "{'a': 'no'}"]},
        {"form": "by_annotator"},
        [("1", "a", "no", 1.0), ("1", "b", "yes", 1.0), ("2", "a", "no", 1.0)],
    ),
    "by_label": (
        {"uid": ["1", "2"], "label": ['{"no": 2, "yes": 1}', '{"yes": 3, "no": 0}']},
        {"form": "by_label"},
        [("1", None, "no", 2.0), ("1", None, "yes", 1.0), ("2", None, "yes", 3.0)],
    ),
    "by_label, a list": (
        {"uid": ["1", "2"], "label": ["[2, 1]", "[0, 3]"]},
        {"form": "by_label"},
        [("1", None, "0", 2.0), ("1", None, "1", 1.0), ("2", None, "1", 3.0)],
    ),
}


def annotations(work: Work) -> list[tuple[Any, ...]]:
    make_annotations(work)
    named = "annotations JOIN items USING (item) LEFT JOIN (SELECT DISTINCT who, annotator FROM people) USING (who)"
    return work.rows(f"SELECT uid, annotator, label, n FROM {named} ORDER BY ALL")  # noqa: S608


@pytest.mark.parametrize("form", FORMS)
def test_a_form_becomes_annotations(form: str, make_work: MakeWork) -> None:
    cells, settings, wanted = FORMS[form]
    assert annotations(make_work("rows", cells, **settings)) == wanted


def test_blank_counts_are_said(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["1"], "count_0": [None], "count_1": ["2"]}, **COUNTS)
    make_annotations(work)
    assert work.notes == ["1 blank counts are 0"]


def test_several_labels_share_one_annotation(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["1", "2"], "label": ['["a", "b", "a"]', '["b"]']}, several="share")
    assert annotations(work) == [("1", None, "a", 0.5), ("1", None, "b", 0.5), ("2", None, "b", 1.0)]
    assert work.notes == ["1 answers of several labels (several: share)"]


def test_labels_in_a_cell_are_parted(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["1", "2"], "label": ["a # b", "b"]}, label_separator="#", several="each")
    assert annotations(work) == [("1", None, "a", 1.0), ("1", None, "b", 1.0), ("2", None, "b", 1.0)]
    work = make_work("rows", {"uid": ["1", "2"], "label": ["a,b#c", '["c", "c"]']}, form="list", label_separator="#")
    assert annotations(work) == [("1", None, "a,b", 1.0), ("1", None, "c", 1.0), *[("2", None, "c", 1.0)] * 2]


def test_what_label_studio_wraps_is_its_content(make_work: MakeWork) -> None:
    work = make_work(
        "rows", {"uid": list("123"), "label": ['{"choices": ["a", "b"]}', '[{"rating": 4}]', "a"]}, several="share"
    )
    assert annotations(work) == [
        ("1", None, "a", 0.5),
        ("1", None, "b", 0.5),
        ("2", None, "4", 1.0),
        ("3", None, "a", 1.0),
    ]


def test_any_value_but_false_marks_a_class_where_marks_are_filled_cells(make_work: MakeWork) -> None:
    cells = {"uid": ["1", "2"], "annotator": ["a", "b"], "count_0": ["no", " "], "count_1": ["False", "0"]}
    work = make_work("rows", cells, **ONE_HOT, marks="filled")
    assert annotations(work) == [("1", "a", "0", 1.0), ("2", "b", "1", 1.0)]
    with pytest.raises(DataError, match=r"wants 0 or 1, got 'odd'; .*marks: filled if any value marks a class"):
        make_annotations(make_work("rows", {**cells, "count_0": ["odd", None]}, **ONE_HOT))


def test_lists_without_a_label_are_missing(make_work: MakeWork) -> None:
    cells = {"uid": ["1", "2"], "label": ["[]", "[0]"]}
    with pytest.raises(DataError, match=r"row 1 .*: no annotation; .*missing: drop"):
        make_annotations(make_work("rows", cells, form="list"))
    work = make_work("rows", cells, form="list", missing="drop")
    assert annotations(work) == [("2", None, "0", 1.0)]
    assert work.dropped == {"no annotation": 1}


def test_labels_are_left_out_by_a_list_beside_them(make_work: MakeWork) -> None:
    cells = {
        "uid": ["1", "2"],
        "label": ["[0, 1]", "[1]"],
        "annotator": ["a,b", "a"],
        "where_0": ['["sent", "draft"]'] * 2,
    }
    settings: dict[str, Any] = {"form": "list", "annotator_column": "who", "where": {"state": "sent"}}
    work = make_work("rows", {**cells, "where_0": ['["sent", "draft"]', '["sent"]']}, **settings)
    work.beside.append(("where_0", "state", "sent"))
    assert annotations(work) == [("1", "a", "0", 1.0), ("2", "a", "1", 1.0)]
    assert work.dropped == {"state is not sent": 1}
    work = make_work("rows", cells, **settings)
    work.beside.append(("where_0", "state", "sent"))
    with pytest.raises(DataError, match=r"row 2 .*: column 'label' has 1 labels but 'state' 2 values"):
        make_annotations(work)


def test_labels_are_renamed_before_they_are_ignored(make_work: MakeWork) -> None:
    work = make_work(
        "rows", {"uid": list("1234"), "label": ["n", "yes", "?", "NA"]},
        rename_labels={"n": "no", "?": "NA"}, ignore_labels=["NA", "skip"],
    )  # fmt: skip
    assert annotations(work) == [("1", None, "no", 1.0), ("2", None, "yes", 1.0)]
    assert work.dropped == {"label 'NA' is ignored": 2}
    assert work.warnings == ["ignore_labels names labels that do not occur: skip"]


@pytest.mark.parametrize(
    ("cells", "settings", "words"),
    [
        (
            {"uid": ["1", "1"], "annotator": ["a", " a"], "label": ["0", "1"]},
            {"annotator_column": "who"},
            r"t\.csv, row 2 .*: annotator 'a' labels item '1' again; .*repeats: first, last or all",
        ),
        ({"uid": ["1"], "count_0": ["nan"], "count_1": ["1"]}, COUNTS, "column 'no' wants a finite count .* got 'nan'"),
        ({"uid": ["1"], "label": [None]}, {}, "no value in column 'label'; .*missing: drop"),
        ({"uid": ["1"], "label": ["x"]}, {"ignore_labels": ["x"]}, r"no row is left \(1 rows: label 'x' is ignored\)"),
    ],
)  # fmt: skip
def test_what_is_no_annotation_is_refused(
    cells: Cells, settings: dict[str, Any], words: str, make_work: MakeWork
) -> None:
    with pytest.raises(DataError, match=words):
        make_annotations(make_work("rows", cells, **settings))


@pytest.mark.parametrize(
    ("repeats", "kept", "dropped"),
    [
        ("first", ["3", "1"], {"a uid again (repeats: first)": 1}),
        ("last", ["5", "1"], {"a uid again (repeats: last)": 1}),
        ("all", ["3", "5", "1"], {}),
    ],
)
def test_a_uid_again_where_a_row_says_all(
    repeats: str, kept: list[str], dropped: dict[str, int], make_work: MakeWork
) -> None:
    cells = {"uid": ["1", "1", "2"], "count_0": ["3", "5", "1"], "count_1": ["0", "0", "1"]}
    work = make_work("rows", cells, **COUNTS, repeats=repeats)
    settle_uids(work)
    assert [count for (count,) in work.rows('SELECT count_0 FROM rows ORDER BY "#row"')] == kept
    assert work.dropped == dropped


def test_a_uid_again_is_refused_but_where_rows_are_annotations(make_work: MakeWork) -> None:
    settle_uids(make_work("rows", {"uid": ["1", "1"], "label": ["0", "1"]}))
    work = make_work("rows", {"uid": ["1", "1"], "label": ["0,1", "1"]}, form="list")
    with pytest.raises(DataError, match=r"row 2 .*: uid '1' occurs again; uids must be unique"):
        settle_uids(work)


def test_roles_are_numbered_where_they_are_many(make_work: MakeWork) -> None:
    cells = {"uid": ["1"]}
    long = make_work("rows", cells, annotator_column="who", group_column="post", about_annotators=["age", "job"])
    assert roles_of(long) == {
        "grp": "post", "annotator": "who", "label": "label", "annotator_about_0": "age", "annotator_about_1": "job",
    }  # fmt: skip
