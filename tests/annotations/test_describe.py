import io
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image
from rich.console import Console

from soft_labels.annotations.annotators import Reading
from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.cifar10h import CLASS_NAMES, read_cifar10h
from soft_labels.annotations.describe import DataStats, as_json, entropy_figure, print_stats, save_figure, summarise
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.errors import ConfigError


def make(name: str = "toy", class_names: tuple[str, ...] = ("no", "yes", "maybe")) -> AnnotatedData:
    counts = torch.zeros(4, len(class_names), dtype=torch.float64)
    counts[:, :3] = torch.tensor([[3, 1, 0], [2, 2, 0], [0, 0, 5], [1, 1, 1]])
    return AnnotatedData(name, tuple("abcd"), ["t"] * 4, counts, class_names, "text")


def printed(stats: list[DataStats], width: int = 80) -> str:
    out = io.StringIO()
    print_stats(stats, Console(file=out, width=width))
    return out.getvalue()


def test_summary_agrees_with_scipy() -> None:
    data = make()
    stats = summarise(data)
    entropies = scipy.stats.entropy(data.label_counts.numpy(), axis=1) / np.log(3)
    assert stats.entropy_mean == pytest.approx(entropies.mean())
    assert stats.entropy_std == pytest.approx(entropies.std())
    assert (stats.annotations_min, stats.annotations_mean, stats.annotations_max) == (3, 4, 5)
    assert (stats.items, stats.class_names, stats.ties, stats.tie_share) == (4, ("no", "yes", "maybe"), 2, 0.5)


def test_majority_shares_follow_the_tie_policy() -> None:
    assert summarise(make(), "lowest").majority_shares == (0.75, 0, 0.25)
    assert summarise(make(), "highest").majority_shares == (0.25, 0.25, 0.5)


def test_the_table_says_what_the_summary_holds() -> None:
    text = printed([summarise(make(), "highest")])
    for words in (
        "toy",
        "4.0 (3-5)",
        "0.536 +- 0.358",
        "2 (50.0%)",
        "no: 0.250",
        "maybe: 0.500",
        "tie policy: highest",
    ):
        assert words in text


def test_the_table_fits_80_columns_and_keeps_names_whole() -> None:
    names = ("cifar10h-hard", "data [bold]")
    text = printed([summarise(make(name, CLASS_NAMES)) for name in names])
    assert max(map(len, text.splitlines())) <= 80
    for words in (*names, *(f"{name}: " for name in CLASS_NAMES)):
        assert words in text


@pytest.mark.slow
def test_the_figure_has_one_panel_a_data_set() -> None:
    entropies = torch.tensor([0.0, 0.5, 0.52, 1.0])
    figure = entropy_figure([(f"set {index}", entropies) for index in range(4)])
    assert [panel.get_title() for panel in figure.axes] == [f"set {index} (4)" for index in range(4)]
    for panel in figure.axes:
        assert panel.get_xlim() == (0, 1)
        heights = [bar.get_height() for bar in panel.patches]  # type: ignore[attr-defined]
        assert (len(heights), heights[0], heights[10], heights[-1], sum(heights)) == (20, 1, 2, 1, 4)


def test_a_figure_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one data set"):
        entropy_figure([])


def test_a_figure_is_saved_in_the_format_of_its_suffix(tmp_path: Path) -> None:
    figure = entropy_figure([("toy", torch.tensor([0.2, 0.4]))])
    path = tmp_path / "new" / "entropy.png"
    save_figure(figure, path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (480, 390))
    assert list(path.parent.iterdir()) == [path]


def test_an_unknown_figure_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in one of .*\.png"):
        save_figure(entropy_figure([("toy", torch.tensor([0.2]))]), tmp_path / "entropy.docx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_real_sets_give_the_papers_table(shared_data: Path) -> None:
    sets = [read_chaosnli(shared_data), read_popquorn(shared_data), read_cifar10h(shared_data)]
    text = printed([summarise(data) for data in sets])
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if "+-" in line and "%" in line}
    assert rows == {
        "chaosnli": "3 3,113 100 0.592 +- 0.208 28 (0.9%)",
        "popquorn": "5 3,718 6.7 (3-8) 0.601 +- 0.183 701 (18.9%)",
        "cifar10h-hard": "10 1,103 51.1 (47-60) 0.243 +- 0.163 3 (0.3%)",
    }


def test_the_same_numbers_as_json_with_what_looks_odd() -> None:
    data = AnnotatedData(
        "toy", tuple("abcd"), ["same", " same ", "x", "y"], torch.tensor([[3.0, 1], [2, 2], [0, 5], [4, 0]]),
        ("no", "yes"), "text", reading=Reading(20, {"no value in column 'label'": 3}, ("a note",), ("a warning",)),
    )  # fmt: skip
    (entry,) = as_json([summarise(data)])["datasets"]
    assert entry["classes"] == [
        {"name": "no", "annotations": 9, "majority_items": 3},
        {"name": "yes", "annotations": 8, "majority_items": 1},
    ]
    assert (entry["items"], entry["annotations"], entry["rows_read"], entry["rows_dropped"]) == (4, 17, 20, 3)
    assert (entry["duplicates"], entry["annotators"], entry["notes"]) == (2, None, ["a note"])
    assert entry["warnings"][0] == "a warning"
    assert any("yes (1)" in warning for warning in entry["warnings"])
    assert any("2 items have an input that another uid has too" in warning for warning in entry["warnings"])
    text = printed([summarise(data)], 200)
    for words in ("20 rows read (a note)", "3 left out: no value in column 'label'", "warning: a warning", "alpha"):
        assert words in text
