import json
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.errors import ConfigError
from soft_labels.heads.export import head_of_run
from soft_labels.training.best import read_checkpoint
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.predict import predict
from soft_labels.training.spec import RunSpec
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[SeededData, dict[str, Any]]:
    """Data, and the checkpoint of a head that was trained on them."""
    from soft_labels.runs.checkpoints import save_checkpoint

    root = tmp_path_factory.mktemp("made")
    data = SeededData(120, encoder=SeededEncoder(), store=root / "store")
    (result,) = LightningEngine("cpu").train(data.embedded, [RunSpec(max_epochs=2, hidden_width=8)], keep_heads=True)
    save_checkpoint(data.embedded, result, root / "best.ckpt", "temperature")
    return data, read_checkpoint(root / "best.ckpt")


@pytest.mark.slow
def test_the_head_of_a_run_is_that_of_its_checkpoint(made: tuple[SeededData, dict[str, Any]], tmp_path: Path) -> None:
    data, checkpoint = made
    head = head_of_run(data, checkpoint)
    texts = data.dataset.data.inputs
    logits = predict(head.network, data.embedded.features, torch.arange(120))
    assert torch.equal(torch.from_numpy(head.predict(texts).distributions), logits.softmax(-1))
    assert head.settings.calibration == "temperature"
    assert head.settings.ordinal
    assert head.report["items"] == 18
    written = "".join(file.read_text(errors="replace") for file in head.save(tmp_path / "head").iterdir())
    assert "item-0" not in written
    assert "text 1" not in written
    assert str(tmp_path.parent) not in written
    assert json.loads((tmp_path / "head" / "config.json").read_text())["trained_on"]["dataset"] == "seeded"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [({"split_seed": 1}, "trained on another split"), ({"name": "other"}, "trained on another dataset")],
)
def test_a_checkpoint_of_other_data_is_refused(
    made: tuple[SeededData, dict[str, Any]], settings: dict[str, Any], words: str
) -> None:
    data, checkpoint = made
    other = SeededData(120, encoder=SeededEncoder(), store=data.store, **settings)
    with pytest.raises(ConfigError, match=words):
        head_of_run(other, checkpoint)
