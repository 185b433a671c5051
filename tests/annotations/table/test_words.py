import re

import pytest

from soft_labels.annotations.table.words import (
    ANNOTATOR,
    COUNTS,
    DERIVED,
    LABEL,
    NUMBER_OF,
    RATING,
    UID,
    WEAK_UID,
    is_number,
    is_person,
    is_uid,
)


@pytest.mark.parametrize("name", ["id", "HITId", "item_id", "itemID", "meta.id", "Tweet Id", "question", "_input_hash"])
def test_names_of_ids(name: str) -> None:
    assert is_uid(name)


@pytest.mark.parametrize("name", ["annotator_id", "label", "title", "idea", "id.text_length", ""])
def test_names_of_no_ids(name: str) -> None:
    assert not is_uid(name)


def test_a_number_has_digits_alone() -> None:
    assert all(map(is_number, ["3", "-1.50", "+2", "007"]))
    assert not any(map(is_number, ["", " 1", "1.", ".5", "1e3", "1,5", "nan", "2 - agree"]))


def test_a_person_is_a_letter_or_a_stem_with_a_number_or_letter() -> None:
    assert all(
        map(
            is_person,
            ["a", "A1", "ann-2", "rater_10", "Worker B", "label1", "annotator.3", "w1021", "ann@x.org", "5f3a9c"],
        )
    )
    assert not any(
        map(
            is_person,
            ["1", "annotator", "rater_1000000", "text", "text1", "annotator_id", "annotators", "ratings", "facade"],
        )
    )


@pytest.mark.parametrize(
    ("pattern", "known", "unknown"),
    [
        (UID, ["hit_id", "image", "row_no"], ["worker_id", "ids_of_all"]),
        (WEAK_UID, ["article_id", "page_no"], ["idle", "keyword"]),
        (ANNOTATOR, ["annotator", "worker_id", "labeller", "the_judge"], ["user_text", "judgement", "reviewers"]),
        (LABEL, ["label", "judgments", "judgements", "label_value", "tags"], ["labels_of_all", "my_label", "text"]),
        (COUNTS, ["label_counts", "votes", "tally", "tallies"], ["label", "annotations"]),
        (NUMBER_OF, ["n", "num_votes", "n_annotators"], ["number", "label_n"]),
        (DERIVED, ["gold_label", "label_majority", "created", "true"], ["goldfish", "update", "candidate", "model"]),
        (RATING, ["rating", "score", "toxicity_level", "politeness"], ["label", "sentiment"]),
    ],
)  # fmt: skip
def test_words_are_known_as_wholes(pattern: re.Pattern[str], known: list[str], unknown: list[str]) -> None:
    assert [word for word in [*known, *unknown] if pattern.search(word)] == known
