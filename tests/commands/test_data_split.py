import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from soft_labels.commands.data_split import SplitAndPictures
from soft_labels.data import TableDataModule
from soft_labels.encoders import TimmEncoder
from tests.conftest import RunCli


def written(folder: Path, parts: str, image: bool = False) -> Path:
    rows = [f"i{number},{f'{number}.png' if image else f'text {number}'},{number % 2},{part}"
            for number, part in enumerate(parts.split(" "))]  # fmt: skip
    path = folder / "t.csv"
    path.write_text("\n".join(["item,shown,label,part", *rows]) + "\n", encoding="utf-8")
    return path


def module(path: Path, **settings: Any) -> TableDataModule:
    return TableDataModule(path, label_column="label", split_column="part", **settings)


def test_what_a_given_split_leaves_out_is_told_and_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = module(written(tmp_path, "train train dev dev test test  "), text_column="shown")
    found = SplitAndPictures(data, data.read().sorted_by_uid())
    assert found.as_json()["split"]["items"] == {"train": 2, "val": 2, "test": 2}
    assert found.as_json()["split_notes"][0] == (
        "t: 2 items are in no part of column 'part' and are left out, the first is 'i6'"
    )
    assert found.as_json()["pictures"] is None
    assert any(line.startswith("split: t: 2 items are in no part") for line in found.in_words())
    assert caplog.messages == []
    assert logging.getLogger("soft_labels.data.given").propagate


def test_data_that_cannot_be_split_are_described_all_the_same(tmp_path: Path) -> None:
    data = module(written(tmp_path, "train train odd odd"), text_column="shown")
    found = SplitAndPictures(data, data.read().sorted_by_uid()).as_json()
    assert found["split"] is None
    assert "cannot be split: column 'part': wanted train" in found["split_notes"][0]


def test_what_becomes_of_pictures_is_counted(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.full((4, 4), 40_000, dtype=np.uint16) if number < 2 else np.zeros((4, 4, 4), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    path = written(tmp_path, "train train dev test", image=True)
    encoder = TimmEncoder("packaged:efficientnet_lite0", background="black")
    data = module(path, image_column="shown", encoder=encoder)
    found = SplitAndPictures(data, data.read().sorted_by_uid())
    assert found.as_json()["pictures"] == {
        "I;16 scaled from 0..65535 to 8 bits": 2, "transparency on black": 2,
    }  # fmt: skip
    assert "pictures: 2 transparency on black" in found.in_words()
    (tmp_path / "3.png").write_bytes(b"no picture")
    (said,) = SplitAndPictures(data, data.read()).as_json()["pictures"]
    assert "cannot be encoded: cannot read image" in said


@pytest.mark.slow
def test_the_command_prints_it(run_cli: RunCli, tmp_path: Path) -> None:
    path = written(tmp_path, "train train dev dev test test")
    options = ["--data=soft_labels.data.TableDataModule", f"--data.path={path}", "--data.text_column=shown",
               "--data.label_column=label", "--data.split_column=part"]  # fmt: skip
    (entry,) = json.loads(run_cli("data", "stats", *options, "--json").out)["datasets"]
    assert entry["split"]["classes"]["val"] == {"0": 1, "1": 1}
    told = run_cli("data", "stats", *options, f"--figure={tmp_path}/f.png")
    assert (told.code, told.err) == (0, "")
    assert "t:   val 2: 0 1, 1 1" in told.out
