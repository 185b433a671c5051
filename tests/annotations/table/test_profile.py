from collections.abc import Mapping, Sequence

import pytest

from soft_labels.annotations.table.profile import Column, determines, distinct, profile
from tests.annotations.table.conftest import MakeWork

Cells = Mapping[str, Sequence[str | None]]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("exampleText", "example_text"),
        ("data.reviewBody", "review_body"),
        ("Answer.sentiment-label", "sentiment_label"),
        ("results[0]", "results"),
        ("results[*].Value (1)", "value_1"),
        ("_id", "id"),
    ],
)
def test_the_word_of_a_column(name: str, word: str) -> None:
    assert Column(name, "scalar", 0, 0).word == word


def test_single_values_are_counted_after_cleaning(make_work: MakeWork) -> None:
    columns: Cells = {
        "score": [" 1", "1.0", "2", None, " "],
        "text": ["two words", "three more words", "one", "one", ""],
        "file": ["a.jpg", "b.PNG", "b.PNG", None, None],
        "empty": [None, None, "", " ", None],
    }
    found = profile(make_work("records", columns), list(columns))
    score, text, file, empty = (found[name] for name in columns)
    assert (score.kind, score.filled, score.distinct, dict(score.values)) == ("scalar", 3, 2, {"1": 2, "2": 1})
    assert (score.whole, score.length, score.prose) == (True, 1.0, 0.0)
    assert (text.whole, text.length) == (False, (9 + 16 + 3 + 3) / 4)
    assert text.prose == pytest.approx(2 / 3)  # of the different values
    assert (file.image, text.image) == (True, False)
    assert (empty.filled, empty.distinct, dict(empty.values), empty.whole, empty.image) == (0, 0, {}, False, False)


def test_many_different_values_are_not_listed(make_work: MakeWork) -> None:
    columns = {"few": [str(n % 60) for n in range(61)], "many": [str(n) for n in range(61)]}
    found = profile(make_work("records", columns), list(columns))
    assert (found["few"].distinct, len(found["few"].values)) == (60, 60)
    assert (found["many"].distinct, len(found["many"].values)) == (61, 0)


def test_lists_and_dictionaries_are_known_by_what_they_hold(make_work: MakeWork) -> None:
    columns: Cells = {
        "labels": ['["no", "yes"]', '["no"]', "[]"],
        "parted": ["0,1,1", "1,1,0", "0;0"],
        "annotators": ["a1,a2", "a3,a4", "a5,a6"],
        "words": ["up,down", "left,right", "in,out"],
        "chosen": ['{"choices": ["no", "yes"]}', '[{"rating": 4}]', None],
        "answers": ['{"a1": "no", "a2": "no"}', '{"a2": "yes"}', '{"a2": null}'],
        "responses": ['[{"value": "no", "user": 1}]', '[{"value": "yes", "status": "draft"}]', "[]"],
    }
    found = profile(make_work("records", columns), list(columns))
    kinds = {name: (one.kind, one.json) for name, one in found.items()}
    assert kinds == {
        "labels": ("list", True),
        "parted": ("list", False),
        "annotators": ("list", False),
        "words": ("scalar", False),
        "chosen": ("list", True),
        "answers": ("pairs", True),
        "responses": ("records", True),
    }
    assert (dict(found["labels"].sizes), found["labels"].parts) == ({2: 1, 1: 1, 0: 1}, ("no", "yes"))
    assert dict(found["parted"].sizes) == {3: 2, 2: 1}
    assert set(found["chosen"].parts) == {"no", "yes", "4"}
    assert (found["answers"].keys, found["answers"].parts) == (("a2", "a1"), ("no", "yes"))
    assert set(found["responses"].keys) == {"value", "user", "status"}


def test_records_that_all_rows_share_are_looked_into(make_work: MakeWork) -> None:
    columns = {"data": ['{"text": "Thanks a lot", "meta": {"lang": "en"}}', '{"text": "Go"}'], "label": ["0", "1"]}
    found = profile(make_work("records", columns), list(columns))
    assert list(found) == ["data", "data.text", "data.meta", "label"]
    assert (found["data"].kind, found["data.text"].filled, found["data.text"].prose) == ("struct", 2, 0.5)
    assert (found["data.meta"].kind, found["data.meta"].filled) == ("pairs", 1)


def test_what_determines_what(make_work: MakeWork) -> None:
    columns: Cells = {
        "item": ["1", "1.0", "2", "2", None],
        "text": ["x", " x", "y", "", "z"],
        "label": ["0", "1", "1", "0", "0"],
        "who": ["a", "b", "a", "b", "a"],
    }
    work = make_work("records", columns)
    assert determines(work, ["item"], "text", list(columns))  # blanks around a text and blank cells are no difference
    assert not determines(work, ["item"], "label", list(columns))
    assert not determines(work, ["who"], "label", list(columns))
    assert determines(work, ["item", "who"], "label", list(columns))
    assert distinct(work, ["item"], list(columns)) == 3
    assert distinct(work, ["item", "label"], list(columns)) == 5
