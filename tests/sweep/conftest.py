from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.runs import EpochHook, RunResult, RunSpec
from soft_labels.sweep import SweepOptions, parse_sweep
from tests.toys import SeededData, SeededEncoder

MakeOptions = Callable[..., SweepOptions]
SPACE = {"model.lr": {"categorical": [1e-3, 1e-2, 0.1]}, "data.batch_size": {"categorical": [8, 16]}}


class ByFormula:
    """An engine whose validation loss is written down below, so that a search costs nothing."""

    name = "formula"

    def __init__(self) -> None:
        self.trained: list[RunSpec] = []

    def parts(self, datamodule: AnnotationDataModule, specs: Sequence[RunSpec]) -> list[list[int]]:
        return [list(range(len(specs)))]

    def train(
        self,
        datamodule: AnnotationDataModule,
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunResult]:
        self.trained.extend(specs)
        return [self.run(position, spec, after_epoch) for position, spec in enumerate(specs)]

    def run(self, position: int, spec: RunSpec, after_epoch: EpochHook | None) -> RunResult:
        losses: list[float] = []
        for epoch in range(spec.max_epochs):
            losses.append(self.loss(spec, epoch))
            if after_epoch is not None and after_epoch(position, epoch, losses[-1]):
                return RunResult(spec, self.curve(losses), epoch, "pruned", None)
        return RunResult(spec, self.curve(losses), spec.max_epochs - 1, "max_epochs", None)

    @staticmethod
    def loss(spec: RunSpec, epoch: int) -> float:
        return 1 + (spec.lr - 0.01) ** 2 + spec.dropout / 10 + spec.batch_size / 1000 - epoch / 100

    @staticmethod
    def curve(losses: list[float]) -> dict[str, list[float]]:
        return {"lr": [0.1] * len(losses), "val/loss": losses}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep-data") / "store"


@pytest.fixture(scope="session")
def datamodule(store: Path) -> AnnotationDataModule:
    return SeededData(80, encoder=SeededEncoder(), store=store)


@pytest.fixture(scope="session")
def toy_options(store: Path) -> tuple[str, ...]:
    """Options of ``fit`` on small data."""
    return (
        "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=80",
        f"--data.store={store}", "--trainer.accelerator=cpu", "--trainer.max_epochs=3", "--model.hidden_width=8",
    )  # fmt: skip


@pytest.fixture
def make_options(toy_options: tuple[str, ...], tmp_path: Path) -> MakeOptions:
    """Parses the options of a sweep whose file holds the given settings."""

    def make(*arguments: str, space: Any = SPACE, **settings: Any) -> SweepOptions:
        path = tmp_path / "search.yaml"
        path.write_text(yaml.safe_dump({"space": space, **settings}, sort_keys=False), encoding="utf-8")
        return parse_sweep([*toy_options, f"--sweep={path}", *arguments])

    return make
