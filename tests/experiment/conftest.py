from pathlib import Path

import pytest
import yaml

GRID = {
    "space": {
        "model.lr": {"categorical": [1e-2, 1e-3]},
        "data.batch_size": {"categorical": [8, 16]},
        "trainer.max_epochs": {"categorical": [2, 4]},
    },
    "sampler": "grid",
}
RANDOM = {**GRID, "sampler": {"class_path": "optuna.samplers.RandomSampler"}, "trials": 3}


@pytest.fixture
def tiny_experiment(tmp_path: Path) -> Path:
    """The configuration of an experiment that takes a second; its store lies beside it."""
    data = {
        "class_path": "tests.toys.SeededData",
        "init_args": {
            "items": 120,
            "store": str(tmp_path / "store"),
            "encoder": {"class_path": "tests.toys.SeededEncoder", "init_args": {"width": 8}},
        },
    }
    files = {
        "data": {"data": data, "model": {"hidden_width": 16}},
        "grid": GRID,
        "random": RANDOM,
        "experiment": {
            "experiment": {
                "name": "tiny",
                "datasets": [[str(tmp_path / "data.yaml")]],
                "sweeps": {name: str(tmp_path / f"{name}.yaml") for name in ("grid", "random")},
                "seeds": 3,
            }
        },
    }
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path / "experiment.yaml"
