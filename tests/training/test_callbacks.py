"""What a run leaves behind, read back from its real files."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from soft_labels.commands.fit import SoftLabelCLI
from soft_labels.distributions import entropy
from tests.boards import curves_of, line_of, runs_below
from tests.boards import events as read

EPOCHS = 4
SOLVED = "--model.head=logistic"


def options(folder: Path) -> list[str]:
    return [
        "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", f"--data.store={folder / 'store'}",
        "--model.hidden_width=32", "--model.lr=1e-3", "--trainer.accelerator=cpu", f"--trainer.max_epochs={EPOCHS}",
        f"--trainer.default_root_dir={folder}", "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SoftLabelCLI:
    return SoftLabelCLI(["fit", *options(tmp_path_factory.mktemp("run"))])


@pytest.fixture(scope="module")
def events(run: SoftLabelCLI) -> EventAccumulator:
    return read(Path(str(run.trainer.log_dir)))


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("quantity", ["loss", "accuracy", "kl", "entropy_corr"])
def test_curves_have_one_point_an_epoch(events: EventAccumulator, split: str, quantity: str) -> None:
    points = events.Scalars(f"{split}/{quantity}")
    assert [point.step for point in points] == list(range(EPOCHS))
    assert all(np.isfinite(point.value) for point in points)


def test_the_splits_of_one_quantity_share_a_chart(events: EventAccumulator) -> None:
    (layout,) = events.Tensors("custom_scalars__config__")
    parsed = layout_pb2.Layout.FromString(layout.tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for chart in parsed.category[0].chart}
    assert charts["kl"] == ["train/kl", "val/kl", "test/kl"]
    assert set(charts) == {"loss", "accuracy", "kl", "entropy_corr"}
    assert {tag for tags in charts.values() for tag in tags} == set(events.Tags()["scalars"])


def test_settings_stand_with_the_best_epochs_metrics(run: SoftLabelCLI, events: EventAccumulator) -> None:
    shown = line_of(Path(str(run.trainer.log_dir)))
    assert (shown["target"], shown["dataset"]) == ("soft", "seeded")
    assert shown["lr"] == pytest.approx(1e-3)
    losses = [point.value for point in events.Scalars("val/loss")]
    best = int(np.argmin(losses))
    assert shown["best/epoch"] == best
    assert shown["best/val/loss"] == pytest.approx(min(losses))
    assert shown["best/test/kl"] == pytest.approx(events.Scalars("test/kl")[best].value)


@pytest.mark.slow
@pytest.mark.parametrize("option", [SOLVED, "--trainer.max_epochs=1"])
def test_a_run_of_one_epoch_has_no_curves_but_its_final_numbers(tmp_path: Path, option: str) -> None:
    of_mlp = ("--model.hidden_width", "--model.lr")
    shared = [one for one in options(tmp_path) if not (option == SOLVED and one.startswith(of_mlp))]
    SoftLabelCLI(["fit", *shared, option])
    (folder,) = tmp_path.glob("lightning_logs/seeded/*")
    assert curves_of(folder) == {}
    assert line_of(folder)["best/epoch"] == 0
    assert 0 < float(str(line_of(folder)["best/val/kl"])) < 1
    assert set(read(folder).Tags()["images"]) == {"test/items", "test/entropy"}


@pytest.mark.parametrize("tag", ["test/items", "test/entropy"])
def test_figures_are_pictures_with_something_in_them(events: EventAccumulator, tag: str) -> None:
    (picture,) = events.Images(tag)
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)).convert("L"))
    assert min(pixels.shape) >= 400
    assert pixels.std() > 10


def test_the_split_is_written_by_uid(run: SoftLabelCLI) -> None:
    written = json.loads((Path(str(run.trainer.log_dir)) / "split.json").read_text())
    parts = [written[name] for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [139, 31, 30]
    assert sorted(uid for part in parts for uid in part) == list(run.datamodule.dataset.data.uids)
    assert written["drawn_with"]["seed"] == 0


def test_the_checkpoint_is_the_epoch_with_the_lowest_validation_loss(
    run: SoftLabelCLI, events: EventAccumulator
) -> None:
    checkpoint = torch.load(Path(str(run.trainer.log_dir)) / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == int(np.argmin([point.value for point in events.Scalars("val/loss")]))


@pytest.mark.slow
def test_predictions_are_written_by_uid(run: SoftLabelCLI, tmp_path: Path) -> None:
    checkpoint = Path(str(run.trainer.log_dir)) / "checkpoints" / "best.ckpt"
    cli = SoftLabelCLI(["predict", *options(tmp_path), f"--ckpt_path={checkpoint}"])
    (path,) = tmp_path.glob("lightning_logs/seeded/*/predictions.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["uid"] for row in rows] == list(cli.datamodule.dataset.data.uids)
    split_of = cli.datamodule.dataset.part_of()
    assert all(row["split"] == split_of[row["uid"]] for row in rows)
    pred_dist = torch.tensor([[float(row[f"p_{name}"]) for name in ("low", "middle", "high")] for row in rows])
    torch.testing.assert_close(pred_dist.sum(dim=1), torch.ones(len(rows)))
    written = torch.tensor([float(row["entropy_nats"]) for row in rows])
    torch.testing.assert_close(written, entropy(pred_dist), atol=1e-5, rtol=0)
    with torch.inference_mode():
        expected = cli.model.cpu()(cli.datamodule.embedded.features[torch.arange(len(rows))]).softmax(dim=-1)
    torch.testing.assert_close(pred_dist, expected, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_validate_and_test_write_their_metrics(run: SoftLabelCLI, tmp_path: Path) -> None:
    checkpoint = Path(str(run.trainer.log_dir)) / "checkpoints" / "best.ckpt"
    SoftLabelCLI(["validate", *options(tmp_path), f"--ckpt_path={checkpoint}"])
    (path,) = tmp_path.glob("lightning_logs/seeded/*/val_metrics.json")
    written = json.loads(path.read_text())
    assert written["metrics"]["val/loss"] == pytest.approx(line_of(Path(str(run.trainer.log_dir)))["best/val/loss"])
    assert written["data"]["split"]["stratified_by"] == "majority class"
    assert written["data"]["tie"] == "lowest"
    assert not list(tmp_path.glob("lightning_logs/seeded/*/config.yaml")), "only fit writes a configuration"
    for run_below in runs_below(tmp_path):
        assert curves_of(run_below) == {}, "what is evaluated once is no curve"
