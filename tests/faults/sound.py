"""A folder in which everything is right: data, a trained head, studies, an experiment; each case spoils a copy."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from safetensors.numpy import save_file

from tests.faults.case import Forks

CLASSES = ("no", "maybe", "yes")
ITEMS = 30
UIDS = [f"c{item:02d}" for item in range(ITEMS)]
CHECKPOINT = "run/checkpoints/best.ckpt"
FIT = ("fit", "--config", "data.yaml")


def make(folder: Path, forks: Forks) -> Path:
    """Write the folder, its results by the real commands."""
    write(folder)
    commands = (
        FIT,
        ("sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--study", "s", "--out", "sweep",
         "--storage", "journal:studies.journal"),
        ("sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--study", "s", "--out", "sweep",
         "--storage", "sqlite:///studies.db"),
        ("reproduce", "--config", "experiment.yaml", "--out", "out"),
        ("data", "stats", "--config", "plain.yaml", "--json"),
        ("embed", "--config", "pictures.yaml", "--data.store", "elsewhere"),
    )  # fmt: skip
    for command in commands:
        done = forks.run(folder, *command, seconds=600.0, learn=True)
        assert done.code == 0, done.err
    (run,) = (folder / "lightning_logs" / "table").iterdir()
    shutil.move(run, folder / "run")
    for gone in ("lightning_logs", "elsewhere"):
        shutil.rmtree(folder / gone)
    return folder


def write(folder: Path) -> None:
    """Write the data and configurations alone."""
    _write_data(folder)
    _write_configurations(folder)


def rows() -> list[list[str]]:
    """The table: an item, its text, an annotator, a label; five annotators an item."""
    return [
        [uid, f"text {item}", f"a{annotator}", CLASSES[(item + (annotator > 2 + item % 2)) % 3]]
        for item, uid in enumerate(UIDS)
        for annotator in range(5)
    ]


def _write_data(folder: Path) -> None:
    """The table, pictures and vectors of its items."""
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["item", "text", "who", "label"], *rows()])
    with (folder / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        pictures = [[uid, f"pictures/{uid}.png", who, label] for uid, _, who, label in rows()]
        csv.writer(file).writerows([["item", "picture", "who", "label"], *pictures])
    (folder / "pictures").mkdir()
    numbers = np.random.default_rng(0)
    for uid in UIDS:
        pixels = numbers.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{uid}.png")
    vectors = numbers.standard_normal((ITEMS, 4)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    save_file({"vectors": vectors}, folder / "vectors.safetensors")
    (folder / "uids.txt").write_text("\n".join(UIDS), encoding="utf-8")
    lines = [json.dumps({"uid": uid, "vector": row.tolist()}) for uid, row in zip(UIDS, vectors, strict=True)]
    (folder / "vectors.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _write_configurations(folder: Path) -> None:
    """The configurations that the cases overlay."""
    encoder = {"class_path": "tests.toys.SeededEncoder", "init_args": {"width": 4}}
    table = {"path": "table.csv", "annotator_column": "who", "label_column": "label", "class_names": [*CLASSES]}
    trainer = {
        "accelerator": "cpu", "max_epochs": 2, "enable_progress_bar": False, "enable_model_summary": False,
        "default_root_dir": ".",
    }  # fmt: skip
    model = {"hidden_width": 4}
    files: dict[str, Any] = {
        "data": {
            "data": _table({**table, "text_column": "text", "encoder": encoder, "store": "store"}),
            "model": model,
            "trainer": trainer,
        },
        "plain": {"data": _table({**table, "text_column": "text", "store": "store"}), "model": model,
                  "trainer": trainer},
        "pictures": {
            "data": _table(
                {
                    **table,
                    "path": "pictures.csv",
                    "image_column": "picture",
                    "store": "store",
                    "encoder": {"class_path": "tests.toys.PixelEncoder"},
                }
            ),
            "model": model,
            "trainer": trainer,
        },
        "grid": {"space": {"model.lr": {"categorical": [0.1, 0.01]}}, "sampler": "grid"},
        "experiment": {
            "experiment": {
                "name": "tiny", "datasets": [["data.yaml"]], "sweeps": {"grid": "grid.yaml"}, "seeds": 2,
            }
        },
        "jobs": {"jobs": [{"name": "embed", "command": "soft-labels embed --config data.yaml"}]},
    }  # fmt: skip
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _table(settings: dict[str, Any]) -> dict[str, Any]:
    """The data of a configuration."""
    return {"class_path": "soft_labels.data.TableDataModule", "init_args": settings}
