import math

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from soft_labels.training.population.rules import TrainingRules
from soft_labels.training.spec import RunSpec

EPOCHS = 24


class Scripted(LightningModule):
    """Logs given validation losses, an epoch each, and notes the learning rate of each epoch."""

    def __init__(self, losses: list[float], spec: RunSpec) -> None:
        super().__init__()
        self.losses, self.spec = losses, spec
        self.weight = nn.Parameter(torch.zeros(()))
        self.rates: list[float] = []

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.spec.lr)
        if self.spec.scheduler == "none":
            return optimizer
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.spec.plateau_factor, patience=self.spec.plateau_patience
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"}}

    def on_train_epoch_start(self) -> None:
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.weight * batch.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/loss", self.losses[self.current_epoch])


def by_lightning(losses: list[float], spec: RunSpec, tmp_path: object) -> tuple[list[float], int]:
    """Learning rate of each epoch, and the best epoch."""
    model = Scripted(losses, spec)
    checkpoint = ModelCheckpoint(str(tmp_path), monitor="val/loss", filename="{epoch}")
    trainer = Trainer(
        accelerator="cpu", max_epochs=spec.max_epochs, logger=False, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
        callbacks=[EarlyStopping("val/loss", patience=spec.patience, min_delta=spec.min_delta), checkpoint],
    )  # fmt: skip
    loader: DataLoader[Tensor] = DataLoader(torch.ones(1, 1))  # type: ignore[arg-type]
    trainer.fit(model, loader, loader)
    best = torch.load(checkpoint.best_model_path, weights_only=True)["epoch"]
    return model.rates, int(best)


def by_vectors(losses: list[list[float]], specs: list[RunSpec]) -> list[tuple[list[float], int]]:
    """The same of all runs together."""
    rules = TrainingRules(specs)
    rates: list[list[float]] = [[] for _ in specs]
    ended = np.zeros(len(specs), dtype=bool)
    best = np.zeros(len(specs), dtype=int)
    for epoch in range(EPOCHS):
        for run in np.flatnonzero(~ended):
            rates[run].append(float(rules.lr[run]))
        rules.step(epoch, np.array([curve[epoch] for curve in losses], dtype=np.float32))
        best = np.where(ended, best, rules.best_epoch)
        ended |= rules.stopped | (epoch + 1 >= np.array([spec.max_epochs for spec in specs]))
    return [(rate, int(epoch)) for rate, epoch in zip(rates, best, strict=True)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The 'val_dataloader' does not have many workers")
def test_rules_of_many_runs_are_those_of_lightning_and_torch_for_each(tmp_path_factory: pytest.TempPathFactory) -> None:
    generator = np.random.default_rng(0)
    losses, specs = [], []
    for number in range(12):
        steps = generator.choice([-0.2, -0.05, -5e-5, 0.0, 0.03], EPOCHS, p=[0.2, 0.2, 0.2, 0.2, 0.2])
        losses.append((2 + np.cumsum(steps)).tolist())
        specs.append(
            RunSpec(
                scheduler="plateau" if number % 3 else "none", plateau_patience=number % 4, patience=3 + number % 3,
                plateau_factor=0.5 if number % 2 else 0.1, lr=1e-3 if number % 5 else 2e-8,
                max_epochs=EPOCHS - number % 2,
            )
        )  # fmt: skip
    losses[5][6] = math.inf
    together = by_vectors(losses, specs)
    for curve, spec, (rates, best) in zip(losses, specs, together, strict=True):
        theirs, their_best = by_lightning(curve, spec, tmp_path_factory.mktemp("run"))
        assert rates == pytest.approx(theirs)
        assert best == their_best
    lengths = {len(rates) for rates, _ in together}
    assert min(lengths) < EPOCHS - 1, "some runs must stop early"
    assert any(len(set(rates)) > 2 for rates, _ in together), "some runs must be cut twice"
