import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.distributions import entropy, label_distribution, majority_label, normalized_entropy
from soft_labels.errors import ConfigError, DataError


def records(root: Path, subset: str) -> list[dict[str, Any]]:
    text = (root / "chaosnli" / "chaosNLI_v1.0" / f"chaosNLI_{subset}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def root(tiny_chaosnli_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_chaosnli_root, tmp_path / "root"))


@pytest.fixture
def snli(root: Path) -> Path:
    return root / "chaosnli" / "chaosNLI_v1.0" / "chaosNLI_snli.jsonl"


def test_each_item_is_what_its_line_says(tiny_chaosnli_root: Path) -> None:
    data = read_chaosnli(tiny_chaosnli_root)
    assert data.uids == tuple(sorted(data.uids))
    assert (data.name, len(data), data.modality) == ("chaosnli", 48, "text_pair")
    assert data.class_names == ("entailment", "neutral", "contradiction")
    rows = dict(zip(data.uids, zip(data.inputs, data.label_counts.tolist(), strict=True), strict=True))
    for record in records(tiny_chaosnli_root, "snli") + records(tiny_chaosnli_root, "mnli_m"):
        example = record["example"]
        assert rows[record["uid"]] == ((example["premise"], example["hypothesis"]), record["label_count"])


def test_items_that_share_a_premise_form_a_group(tiny_chaosnli_root: Path) -> None:
    data = read_chaosnli(tiny_chaosnli_root)
    assert data.groups is not None
    assert set(Counter(data.groups).values()) == {2}


def test_each_item_says_which_part_it_is_of(tiny_chaosnli_root: Path) -> None:
    data = read_chaosnli(tiny_chaosnli_root)
    assert data.about["source"] == tuple(uid.partition("-")[0] for uid in data.uids)


def test_one_subset_has_its_own_name(tiny_chaosnli_root: Path) -> None:
    data = read_chaosnli(tiny_chaosnli_root, ["mnli_m"])
    assert (data.name, len(data)) == ("chaosnli-mnli_m", 24)
    with pytest.raises(ConfigError, match="no subset"):
        read_chaosnli(tiny_chaosnli_root, [])


@pytest.mark.parametrize("below", ["chaosnli", "chaosnli/chaosNLI_v1.0"])
def test_the_root_may_lie_further_down(tiny_chaosnli_root: Path, below: str) -> None:
    assert read_chaosnli(tiny_chaosnli_root / below).uids == read_chaosnli(tiny_chaosnli_root).uids


def test_row_order_does_not_matter(root: Path, snli: Path) -> None:
    before = read_chaosnli(root)
    snli.write_text("".join(reversed(snli.read_text().splitlines(keepends=True))))
    after = read_chaosnli(root)
    assert after.uids == before.uids
    assert torch.equal(after.label_counts, before.label_counts)


def test_a_missing_file_names_the_places_and_the_cure(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_chaosnli(tmp_path)
    name = "chaosNLI_snli.jsonl"
    for place in (f"chaosnli/chaosNLI_v1.0/{name}", f"chaosNLI_v1.0/{name}", name):
        assert f"{tmp_path / place}\n" in str(caught.value)
    assert "data.root" in str(caught.value)
    assert "soft-labels data fetch chaosnli --root DIR" in str(caught.value)


def test_a_truncated_file_names_its_last_line(root: Path, snli: Path) -> None:
    snli.write_bytes(snli.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"chaosNLI_snli\.jsonl, line 24: wanted one JSON object"):
        read_chaosnli(root)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label_count": [50, 50]}, r"wanted 3 counts .* got label_count \[50, 50\]"),
        ({"label_count": [-1, 50, 51]}, "not negative"),
        ({"label_count": [0, 0, 0]}, "all zero"),
        ({"label_count": [1.5, 50, 51]}, "whole numbers"),
        ({"label_count": None}, "wanted a list label_count"),
        ({"label_count": [1, 2, 3], "label_counter": {"e": 3, "n": 2, "c": 1}}, "contradicts label_counter"),
        ({"example": None}, "wanted a text 'premise', got None"),
        ({"uid": " "}, "wanted a text 'uid'"),
    ],
)
def test_a_malformed_line_is_named(root: Path, snli: Path, change: dict[str, object], words: str) -> None:
    lines = snli.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    snli.write_text("\n".join(lines))
    with pytest.raises(DataError, match=rf"chaosNLI_snli\.jsonl, line 3: .*{words}"):
        read_chaosnli(root)


def test_a_line_that_is_no_object_is_named(root: Path, snli: Path) -> None:
    snli.write_text("[1, 2]\n")
    with pytest.raises(DataError, match="line 1: wanted one JSON object"):
        read_chaosnli(root)


def test_a_uid_in_both_files_is_refused(root: Path, snli: Path) -> None:
    shutil.copy(snli, snli.with_name("chaosNLI_mnli_m.jsonl"))
    with pytest.raises(DataError, match="occurs more than once"):
        read_chaosnli(root)


def test_the_real_set(shared_data: Path) -> None:
    data = read_chaosnli(shared_data)
    assert len(data) == 3113
    assert set(data.label_counts.sum(1).tolist()) == {100}
    entropies = normalized_entropy(label_distribution(data.label_counts))
    assert round(entropies.mean().item(), 3) == 0.592
    assert round(entropies.std(correction=0).item(), 3) == 0.208
    shares = torch.bincount(majority_label(data.label_counts)) / 3113
    assert [round(share, 3) for share in shares.tolist()] == [0.375, 0.449, 0.176]
    sizes = Counter(data.groups)
    assert sum(size for size in sizes.values() if size > 1) == 941


def test_the_real_sets_own_entropy_is_ours_in_bits(shared_data: Path) -> None:
    data = read_chaosnli(shared_data)
    theirs = {record["uid"]: record["entropy"] for part in ("snli", "mnli_m") for record in records(shared_data, part)}
    ours = entropy(label_distribution(data.label_counts)) / math.log(2)
    torch.testing.assert_close(ours, torch.tensor([theirs[uid] for uid in data.uids], dtype=torch.float64))


def test_a_line_nested_without_end_is_named(root: Path, snli: Path) -> None:
    lines = snli.read_bytes().splitlines()
    snli.write_bytes(b"\n".join([*lines[:6], b'{"uid":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]))
    with pytest.raises(DataError, match=r"chaosNLI_snli\.jsonl, line 7: wanted one JSON object"):
        read_chaosnli(root)
