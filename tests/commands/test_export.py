"""A run becomes a head that travels: the same probabilities elsewhere, without the data."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch

from tests.conftest import REPOSITORY, RunCli

ALONE = """
import sys, numpy, soft_labels
head = soft_labels.load(sys.argv[1])
numpy.save(sys.argv[2], head.predict([line.rstrip("\\n") for line in open(sys.argv[3])]).distributions)
"""


def process(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Another process, in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def exported(
    run_cli: RunCli, quick: tuple[str, ...], toy_text: str, tiny_table: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, pl.DataFrame, list[str]]:
    """An exported head, what the run itself predicts for the items, and their texts; the data are gone."""
    root = tmp_path_factory.mktemp("exported")
    shutil.copy(tiny_table, root / "comments.csv")
    options = [
        "--data=TableDataModule", f"--data.path={root}/comments.csv", "--data.label_column=label",
        "--data.text_column=text", "--data.annotator_column=annotator", f"--data.encoder={toy_text}",
        f"--data.store={root}/store", f"--trainer.default_root_dir={root}", "--model.calibration=temperature", *quick,
    ]  # fmt: skip
    assert run_cli("fit", *options).code == 0
    (run,) = (root / "lightning_logs" / "comments").iterdir()
    made = run_cli("export", run, f"--out={root}/head", "--onnx")
    assert made.code == 0, made.err
    assert f"next: soft-labels predict {root}/head TABLE" in made.out
    named = f"--ckpt_path={run}/checkpoints/best.ckpt"
    assert run_cli("predict", f"--config={run}/config.yaml", named, "--format=parquet").code == 0
    (file,) = (root / "lightning_logs").rglob("predictions.parquet")
    predicted = pl.read_parquet(file)
    texts = dict(pl.read_csv(root / "comments.csv").select("item", "text").iter_rows())
    head = tmp_path_factory.mktemp("elsewhere") / "head"
    shutil.move(root / "head", head)
    shutil.rmtree(root)
    return head, predicted, [texts[uid] for uid in predicted["uid"]]


def probabilities(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(pl.col("^p_.*$")).to_numpy()


@pytest.mark.slow
def test_another_process_without_the_data_gives_the_same_probabilities(
    exported: tuple[Path, pl.DataFrame, list[str]], tmp_path: Path
) -> None:
    head, of_run, texts = exported
    table = pl.DataFrame({"item": of_run["uid"], "text": texts})
    table.write_csv(tmp_path / "new.csv")
    done = process("-m", "soft_labels", "predict", head, "new.csv", "--out", "out.parquet", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "45 predicted distributions in out.parquet\n"
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.columns == [name for name in of_run.columns if name != "split"]
    assert found["uid"].to_list() == of_run["uid"].to_list()
    np.testing.assert_allclose(probabilities(found), probabilities(of_run), atol=1e-6)
    np.testing.assert_allclose(found["entropy_nats"], of_run["entropy_nats"], atol=1e-6)
    (tmp_path / "texts").write_text("\n".join(texts))
    alone = process("-c", ALONE, head, "found.npy", "texts", folder=tmp_path)
    assert alone.returncode == 0, alone.stderr
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), probabilities(of_run), atol=1e-6)


@pytest.mark.slow
def test_onnx_gives_the_same_probabilities_as_the_run(
    exported: tuple[Path, pl.DataFrame, list[str]], toy_text: str
) -> None:
    from tests.conftest import ToyTextEncoder

    head, of_run, texts = exported
    session = onnxruntime.InferenceSession(head / "model.onnx")
    (found,) = session.run(["probabilities"], {"features": ToyTextEncoder().forward(texts).numpy()})
    np.testing.assert_allclose(found, probabilities(of_run), atol=1e-6)


@pytest.mark.slow
def test_the_folder_tells_nothing_of_the_training_data(
    exported: tuple[Path, pl.DataFrame, list[str]], tmp_path: Path
) -> None:
    head, of_run, texts = exported
    content = b"".join(path.read_bytes() for path in head.iterdir())
    for secret in (*texts, str(tmp_path.parent), "comments.csv"):
        assert secret.encode() not in content, secret
    words = set(re.findall(r"[\w-]+", "".join(path.read_text() for path in head.glob("*.[mj]*"))))
    assert "safetensors" in words
    assert not words & set(of_run["uid"])  # in weights two letters stand by chance
    card = (head / "README.md").read_text()
    config = json.loads((head / "config.json").read_text())
    assert f"| kl | {config['report']['kl']:.3f} |" in card
    assert config["encoder"]["init_args"] == {"width": 6, "spoil": None, "batch_size": 16}
    assert config["columns"] == {"uid_column": "item", "text_column": "text"}


@pytest.mark.slow
def test_a_head_of_a_sweep_or_an_experiment_is_exported_by_its_checkpoint(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path}/out").code == 0
    best = tmp_path / "out" / "best-seeded-hard.ckpt"
    made = run_cli("export", best, f"--out={tmp_path}/head")
    assert made.code == 0, made.err
    settings = json.loads((tmp_path / "head" / "config.json").read_text())
    assert settings["spec"]["target"] == "hard"
    state = torch.load(best, weights_only=True)["state_dict"]
    import soft_labels

    own = soft_labels.load(tmp_path / "head").network.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in own)


def test_what_is_no_run_is_told(run_cli: RunCli, tmp_path: Path) -> None:
    refused = run_cli("export", tmp_path / "best-soft.ckpt", f"--out={tmp_path}/head")
    assert refused.code == 2
    assert "best-soft.yaml; give a folder that fit made, a best-ARM.ckpt beside its best-ARM.yaml" in refused.err
    assert "Traceback" not in refused.err
    assert list(tmp_path.iterdir()) == []
