from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from soft_labels.annotations.table.profile import profile
from soft_labels.annotations.table.roles import fill
from soft_labels.annotations.table.settings import Guess
from soft_labels.annotations.table.source import FILE
from soft_labels.errors import DataError
from tests.annotations.table.conftest import MakeWork

Cells = Mapping[str, Sequence[str | None]]
TEXT: Cells = {"text": ["Thanks a lot", "Thanks a lot", "Send it now", "Send it now"]}
REST: Cells = {"annotator": list("abab"), "label": ["no", "yes", "yes", "yes"]}
LONG: Cells = {"item": list("1122"), **TEXT, **REST}


def guessed(make_work: MakeWork, cells: Cells, **given: Any) -> Guess:
    work, guess = make_work("records", cells), Guess(Path("t.csv"), dict(given))
    fill(work, guess, profile(work, list(cells)), list(cells))
    return guess


def test_a_plain_table_is_guessed_without_doubt(make_work: MakeWork) -> None:
    guess = guessed(make_work, LONG)
    assert guess.settings == {
        "annotator_column": "annotator", "form": "long", "label_column": "label", "text_column": "text",
        "uid_column": "item",
    }  # fmt: skip
    assert (guess.notes, guess.doubts) == ([], [])


def test_given_settings_stay(make_work: MakeWork) -> None:
    given = {"uid_column": None, "text_column": "item", "annotator_column": "label", "label_column": "annotator"}
    assert guessed(make_work, LONG, **given).settings == {**given, "form": "long"}


@pytest.mark.parametrize(
    ("more", "uid", "said"),
    [
        ({"id": list("1234"), "item": list("1122")}, "item", "id numbers the rows, not the items"),
        ({"id": list("1234")}, None, "id numbers the rows: rows of the same text are taken for one item"),
        ({}, None, "no column names the item: rows of the same text are taken for one item"),
    ],
)
def test_the_id_decides_the_text_and_no_more(more: Cells, uid: str | None, said: str, make_work: MakeWork) -> None:
    guess = guessed(make_work, {**more, **TEXT, **REST})
    assert guess.settings["uid_column"] == uid
    assert len([words for words in [*guess.notes, *guess.doubts] if said in words]) == 1


def test_two_columns_make_one_id(make_work: MakeWork) -> None:
    cells = {
        "post_id": list("11112222"), "reply_id": list("11221122"),
        "text": [text for text in ("One a", "Two b", "Three c", "Four d") for _ in range(2)],
        "annotator": list("abababab"), "label": list("01110100"),
    }  # fmt: skip
    assert guessed(make_work, cells).settings["uid_column"] == ["post_id", "reply_id"]


def test_a_pair_of_texts_forms_groups_by_the_first(make_work: MakeWork) -> None:
    cells = {"id": list("1122"), "premise": ["It is so"] * 4, "hypothesis": TEXT["text"], **REST}
    guess = guessed(make_work, cells)
    names = ("text_column", "second_text_column", "group_column", "uid_column")
    assert [guess.settings[name] for name in names] == ["premise", "hypothesis", "premise", "id"]


def test_an_image_is_shown_where_no_text_is(make_work: MakeWork) -> None:
    guess = guessed(make_work, {"photo": ["a.png", "a.png", "b.png", "b.png"], **REST})
    assert (guess.settings["image_column"], guess.settings["uid_column"]) == ("photo", "photo")
    assert "photo names the item: each picture is one" in guess.notes
    assert "text_column" not in guess.settings


def test_pictures_in_cells_and_rows_without_one_name_no_item(make_work: MakeWork) -> None:
    address = "data:image/png;base64," + "iVBORw0KGgo" * 20
    for photos in ([address] * 4, ["a.png", "a.png", "b.png", ""]):
        guess = guessed(make_work, {"photo": photos, **REST})
        assert (guess.settings["image_column"], guess.settings["uid_column"]) == ("photo", None)


def test_another_text_is_named(make_work: MakeWork) -> None:
    remarks = ["It is so long a remark", "As long a remark as that", "And one more such remark", "A last remark of all"]
    guess = guessed(make_work, {**LONG, "remark": remarks})
    assert guess.settings["text_column"] == "text"
    assert guess.doubts == ["text is taken for the text; remark hold texts too (second_text_column or text_template)"]


def test_rows_that_stand_for_several_annotations(make_work: MakeWork) -> None:
    cells = {"item": list("1122"), **TEXT, "label": list("abab"), "votes": list("3254")}
    assert guessed(make_work, cells).settings["count_column"] == "votes"
    assert "count_column" not in guessed(make_work, {**cells, "label": list("aaab")}).settings


def test_a_file_is_an_annotator_where_nothing_else_is(make_work: MakeWork) -> None:
    cells = {FILE: list("abab"), "item": list("1122"), **TEXT, "label": REST["label"]}
    guess = guessed(make_work, cells)
    assert guess.settings["annotator_column"] == FILE
    assert guess.doubts == [f"each {FILE} is taken for one annotator (annotator_column)"]


def test_blank_labels_and_ratings_are_said(make_work: MakeWork) -> None:
    cells = {"item": list("112233"), "text": ["A b", "A b", "C d", "C d", "E f", "E f"], "annotator": list("ababab")}
    guess = guessed(make_work, {**cells, "rating": ["1", "2", "3", None, "1", "3"]})
    assert (guess.settings["missing"], guess.settings["ordinal"]) == ("drop", True)
    assert guess.doubts == [
        "1 of 6 rows have no rating: they are left out (missing: drop)",
        "the classes are taken for ordered (ordinal)",
    ]
    numbers = guessed(make_work, {**cells, "label": list("123112")})
    assert "ordinal" not in numbers.settings
    assert numbers.doubts == ["the classes are numbers: if they are ratings, set ordinal: true"]


def test_a_table_without_text_or_image_is_refused(make_work: MakeWork) -> None:
    words = r"t\.csv: no column looks like a text or an image among item, annotator, label; .*--data\.text_column=NAME"
    with pytest.raises(DataError, match=words):
        guessed(make_work, {"item": list("1122"), **REST})
