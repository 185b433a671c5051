from soft_labels.annotations.table.answers import make_answers, spelled
from tests.annotations.table.conftest import MakeWork

CELLS = {"uid": ["b", "a", "b"], "annotator": [" ann", "bea", "ann"], "label": ["yes", '["no", "yes"]', " yes "]}


def test_what_is_written_differently_has_one_number(make_work: MakeWork) -> None:
    work = make_work("rows", CELLS, annotator_column="who")
    make_answers(work, "label", "annotator")
    assert work.rows("SELECT item, uid FROM items ORDER BY item") == [(0, "a"), (1, "b")]
    assert work.rows("SELECT raw, who FROM people ORDER BY raw") == [(" ann", 0), ("ann", 0), ("bea", 1)]
    assert work.rows("SELECT place, item, who FROM given ORDER BY place") == [(0, 1, 0), (1, 0, 1), (2, 1, 0)]


def test_answers_show_names_and_all_their_labels(make_work: MakeWork) -> None:
    work = make_work("rows", CELLS, annotator_column="who")
    make_answers(work, "label", "annotator")
    assert work.rows('SELECT "#row", uid, annotator, labels, n FROM answers ORDER BY 1') == [
        (1, "b", "ann", ["yes"], 1), (2, "a", "bea", ["no", "yes"], 1), (3, "b", "ann", ["yes"], 1),
    ]  # fmt: skip
    assert work.rows(f"SELECT place FROM given WHERE {spelled('len(labels) > 1')}") == [(1,)]  # noqa: S608


def test_an_answer_without_an_annotator_or_a_label_stays(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["a", "a"], "annotator": [None, "x"], "label": ["0", None]})
    make_answers(work, "label", "annotator")
    assert work.rows("SELECT annotator, labels FROM answers ORDER BY place") == [(None, ["0"]), ("x", [None])]


def test_answers_about_items_that_are_left_out_are_none(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["a", "b"], "label": ["0", "1"]})
    work.run("CREATE TABLE unfolded AS SELECT * FROM rows")
    work.run("DELETE FROM rows WHERE uid = 'a'")
    make_answers(work, "label", source="unfolded")
    assert work.rows("SELECT uid, labels FROM answers") == [("b", ["1"])]
