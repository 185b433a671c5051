from pathlib import Path

import numpy as np
import pytest

from soft_labels.annotations.duplicates import duplicate_groups, same_inputs

LONG = "The committee met on Tuesday to discuss the new budget for the public library and its opening hours"


def partners(groups: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(groups == number).tolist()) for number in range(1, groups.max(initial=0) + 1)]


def test_texts_are_the_same_but_for_case_blanks_and_punctuation() -> None:
    groups = duplicate_groups(["A man, a dog.", "Rain", "a man  a DOG", "Rain again", "rain!"])
    assert partners(groups["same_input"]) == [{0, 2}, {1, 4}]
    assert groups["same_input"][3] == 0
    assert groups.keys() == {"same_input", "near_duplicate"}


def test_a_near_copy_is_found_and_a_likeness_is_none() -> None:
    generator = np.random.default_rng(0)
    words = [f"word{number}" for number in range(400)]
    others = [" ".join(generator.choice(words, 15)) for _ in range(300)]
    texts = [LONG, *others, f"{LONG} today", LONG.upper(), " ".join(LONG.split()[:6])]
    groups = duplicate_groups(texts)
    assert partners(groups["near_duplicate"]) == [{0, 301, 302}]
    assert partners(groups["same_input"]) == [{0, 302}]


def test_near_copies_are_those_of_a_slow_loop() -> None:
    """Cosines of words and pairs of words, weighted by hand."""
    generator = np.random.default_rng(1)
    base = [generator.choice([f"w{number}" for number in range(60)], 12).tolist() for _ in range(20)]
    copies = [[*one[:-1], "changed"] for one in base[:10]]
    texts = [" ".join(one) for one in (*base, *copies)]
    terms = [
        one.split() + [" ".join(pair) for pair in zip(one.split(), one.split()[1:], strict=False)] for one in texts
    ]
    often: dict[str, int] = {}
    for own in terms:
        for term in set(own):
            often[term] = often.get(term, 0) + 1
    rows = [
        {term: own.count(term) * (np.log((1 + len(texts)) / (1 + often[term])) + 1) for term in set(own)}
        for own in terms
    ]

    def cosine(one: dict[str, float], other: dict[str, float]) -> float:
        dot = sum(value * other.get(term, 0.0) for term, value in one.items())
        return float(dot / np.sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values())))

    near = {
        (first, second)
        for first in range(len(texts))
        for second in range(first)
        if cosine(rows[first], rows[second]) >= 0.9
    }
    groups = duplicate_groups(texts)["near_duplicate"]
    found = {(a, b) for a in range(len(texts)) for b in range(a) if groups[a] == groups[b] != 0}
    assert found == near


def test_pairs_share_a_first_text_or_all() -> None:
    groups = duplicate_groups([("A dog runs.", "It moves"), ("a dog runs", "It sleeps"), ("A dog runs", "it moves!")])
    assert partners(groups["same_first_text"]) == [{0, 1, 2}]
    assert partners(groups["same_input"]) == [{0, 2}]


def test_images_are_compared_by_content(tmp_path: Path) -> None:
    one, other = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert partners(same_inputs([one, other, one.copy()])) == [{0, 2}]
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "missing.png")]
    for path, content in zip(paths, (b"same", b"same", b"else"), strict=False):
        path.write_bytes(content)
    assert partners(same_inputs(paths)) == [{0, 1}]
    assert duplicate_groups(paths).keys() == {"same_input"}


@pytest.mark.parametrize("texts", [["", "  "], ["!!", "??"], ["a"]])
def test_texts_without_words_are_no_copies_unless_they_are_equal(texts: list[str]) -> None:
    groups = duplicate_groups(texts)
    assert not groups["same_input"].any()
    assert not groups["near_duplicate"].any()
