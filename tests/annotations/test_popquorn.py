import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import torch

from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.distributions import has_tie, label_distribution, majority_label, normalized_entropy
from soft_labels.errors import DataError

FILE = Path("popquorn", "dataset", "politeness_rating", "raw_data.csv")
HEADER = ["instance_id", "user_id", "text", "politeness"]


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(root: Path, rows: list[list[str]]) -> Path:
    (root / FILE).parent.mkdir(parents=True)
    with (root / FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return root


def test_ratings_are_counted_by_item(tiny_popquorn_root: Path) -> None:
    data = read_popquorn(tiny_popquorn_root)
    wanted: dict[str, Counter[float]] = defaultdict(Counter)
    texts = {}
    for row in rows_of(tiny_popquorn_root):
        wanted[row["instance_id"]][float(row["politeness"])] += 1
        texts[row["instance_id"]] = row["text"]
    assert data.uids == tuple(sorted(wanted))
    assert list(data.inputs) == [texts[uid] for uid in data.uids]
    assert data.label_counts.tolist() == [[wanted[uid][rating] for rating in range(1, 6)] for uid in data.uids]


def test_classes_are_the_ordered_scale(tiny_popquorn_root: Path) -> None:
    data = read_popquorn(tiny_popquorn_root)
    assert data.class_names == ("1 (not polite at all)", "2", "3", "4", "5 (very polite)")
    assert (data.name, data.modality, data.ordinal) == ("popquorn", "text", True)


def test_whole_numbers_may_be_written_either_way(tmp_path: Path) -> None:
    data = read_popquorn(write(tmp_path, [["7", "u1", "hi", "5"], ["7", "u2", "hi", "5.0"], ["7", "u3", "hi", "1.0"]]))
    assert data.label_counts.tolist() == [[1, 0, 0, 0, 2]]


def test_what_the_file_says_of_its_annotators_is_kept(tmp_path: Path, tiny_popquorn_root: Path) -> None:
    write(tmp_path, [["7", "u1", "hi", "5", "Woman", ""], ["7", "u2", "hi", "1", "Man", "35-39"]])
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    (tmp_path / FILE).write_text("\n".join([lines[0] + ",gender,age", *lines[1:]]), encoding="utf-8")
    told = read_popquorn(tmp_path).annotations
    assert told is not None
    assert (told.annotators, told.about) == (("u1", "u2"), {"gender": ("Woman", "Man"), "age": (None, "35-39")})
    empty = read_popquorn(tiny_popquorn_root).annotations
    assert empty is not None
    assert all(set(values) == {None} for values in empty.about.values())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["0", "u2", "hi", "6.0"], "row 2 .*label '6' is none of the classes 1, 2, 3, 4, 5"),
        (["0", "u2", "hi", "2.5"], "row 2 .*label '2.5' is none"),
        (["0", "u2", "hi", ""], "row 2 .*no value in column 'politeness'"),
        (["0", "u1", "hi", "2"], "row 2 .*annotator 'u1' labels item '0' again"),
        (["0", "u2", "hello", "2"], "row 2 .*item '0' has another input"),
    ],
)
def test_a_bad_rating_is_named(tmp_path: Path, row: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_popquorn(write(tmp_path, [["0", "u1", "hi", "3.0"], row]))


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="soft-labels data fetch popquorn --root DIR"):
        read_popquorn(tmp_path)


def test_the_real_set(shared_data: Path) -> None:
    data = read_popquorn(shared_data)
    assert len(data) == 3718
    annotations = data.label_counts.sum(1)
    assert [f(annotations).item() for f in (torch.sum, torch.min, torch.max)] == [25042, 3, 8]
    entropies = normalized_entropy(label_distribution(data.label_counts))
    assert round(entropies.mean().item(), 3) == 0.601
    assert round(entropies.std(correction=0).item(), 3) == 0.183
    shares = torch.bincount(majority_label(data.label_counts)) / 3718
    assert [round(share, 3) for share in shares.tolist()] == [0.131, 0.119, 0.350, 0.220, 0.180]
    assert round(has_tie(data.label_counts).double().mean().item(), 3) == 0.189
