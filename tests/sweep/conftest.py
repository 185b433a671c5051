from collections.abc import Sequence
from pathlib import Path

import pytest

from soft_labels.data import AnnotationDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.training.spec import Engine, EpochHook, Job, RunResult, RunSpec
from tests.toys import SeededData, SeededEncoder


class ByFormula(Engine):
    """An engine whose validation loss is written down below, so that a search costs nothing."""

    name = "formula"

    def __init__(self) -> None:
        self.trained: list[RunSpec] = []

    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        return [[list(range(len(jobs)))]]

    def train(
        self,
        data: EmbeddedDataset,
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
def datamodule(toy_store: Path) -> AnnotationDataModule:
    return SeededData(80, encoder=SeededEncoder(), store=toy_store)
