"""Seconds of ``fit`` against a bare PyTorch loop that trains the same head with the same metrics each epoch.

Four ways to train one head are timed in turn in one process, each repetition one of each:

- bare: a plain loop over tensor slices, torch's default Adam, every metric of every split once an epoch;
- fused: the same loop with the fused Adam that ``fit`` uses;
- ours: ``fit`` as the command line runs it, with logger, checkpoints, early stopping and closing figures;
- naive: a Trainer with a per-item collating loader that updates and logs its metrics at every step.

Run it as ``python -m tests.benchmarks.fit_overhead``; ratios are to the bare loops of the same repetition.
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from soft_labels import distributions
from soft_labels.commands.fit import SoftLabelCLI
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.metrics import core_metrics
from soft_labels.training.heads import MLPHead
from tests.toys import SeededData, SeededEncoder

WIDTH, CLASSES, HIDDEN, DROPOUT, LR = 384, 3, 256, 0.2, 1e-4
EVALUATED: tuple[SplitName, ...] = ("val", "test")


def bare(data: EmbeddedDataset, epochs: int, batch_size: int, fused: bool) -> None:
    """The plain loop."""
    head = MLPHead(data.embedding_dim, CLASSES, HIDDEN, DROPOUT, seed=0)
    head.set_feature_statistics(*data.feature_statistics)
    optimizer = torch.optim.Adam(head.parameters(), lr=LR, fused=fused)
    everything = torch.arange(len(data.dataset.data))
    features, (_, dist, label, _) = data.features[everything], data.dataset.observed
    train = data.dataset.rows("train")
    evaluated = [(features[rows], dist[rows], label[rows]) for rows in map(data.dataset.rows, EVALUATED)]
    for _ in range(epochs):
        order = train[torch.randperm(len(train))]
        x, p, y = features[order], dist[order], label[order]
        outputs = []
        for part in (slice(start, start + batch_size) for start in range(0, len(order), batch_size)):
            hidden = torch.nn.functional.gelu(head.hidden((x[part] - head.feature_mean) / head.feature_scale))
            logits = head.output(torch.nn.functional.dropout(hidden, DROPOUT))
            loss = distributions.soft_cross_entropy(p[part], logits).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            outputs.append(logits.detach())
        metrics(torch.cat(outputs), p, y)
        with torch.inference_mode():
            for x_eval, p_eval, y_eval in evaluated:
                metrics(head(x_eval), p_eval, y_eval)


def metrics(logits: Tensor, dist: Tensor, label: Tensor) -> tuple[float, ...]:
    """Loss, accuracy, KL and entropy correlation of one split."""
    pair = torch.stack([distributions.entropy(dist), distributions.entropy_from_logits(logits)]).double()
    return (
        distributions.soft_cross_entropy(dist, logits).mean().item(),
        (logits.argmax(dim=1) == label).double().mean().item(),
        distributions.kl_divergence(dist, logits).mean().item(),
        torch.corrcoef(pair)[0, 1].item(),
    )


def ours(store: Path, logs: Path, items: int, epochs: int, batch_size: int, width: int = WIDTH) -> Callable[[], None]:
    """``fit`` as the command line sets it up; the returned call is what is timed."""
    settings = {
        "data": "tests.toys.SeededData", "data.items": items, "data.store": store,
        "data.encoder": "tests.toys.SeededEncoder", "data.encoder.width": width, "data.batch_size": batch_size,
        "model.lr": LR,
        "trainer.max_epochs": epochs, "trainer.default_root_dir": logs, "early_stopping.patience": epochs,
        "trainer.enable_progress_bar": "false", "trainer.enable_model_summary": "false",
    }  # fmt: skip
    cli = SoftLabelCLI([f"--{key}={value}" for key, value in settings.items()], run=False)
    return lambda: cli.trainer.fit(cli.model, datamodule=cli.datamodule)


class NaiveModule(LightningModule):
    """The usual first draft: metrics updated and logged at every step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = MLPHead(width, CLASSES, HIDDEN, DROPOUT, seed=0)
        self.train_metrics, self.val_metrics = core_metrics("train/"), core_metrics("val/")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """One step."""
        features, dist, label = batch
        logits: Tensor = self.head(features)
        loss = distributions.soft_cross_entropy(dist, logits).mean()
        self.train_metrics(logits=logits, label_dist=dist, majority_label=label)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """One evaluation step."""
        features, dist, label = batch
        self.val_metrics.update(logits=self.head(features), label_dist=dist, majority_label=label)
        self.log_dict(self.val_metrics)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=LR)


def naive(data: EmbeddedDataset, logs: Path, epochs: int, batch_size: int) -> None:
    """A Trainer with torch's own loaders."""

    def loader(part: SplitName, shuffle: bool) -> DataLoader[tuple[Tensor, ...]]:
        rows = data.dataset.rows(part)
        _, dist, label, _ = data.dataset.observed
        return DataLoader(TensorDataset(data.features[rows], dist[rows], label[rows]), batch_size, shuffle)

    trainer = Trainer(
        max_epochs=epochs, logger=TensorBoardLogger(logs), num_sanity_val_steps=0, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(NaiveModule(data.embedding_dim), loader("train", shuffle=True), loader("val", shuffle=False))


def seconds(call: Callable[[], None]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(taken: list[float], base: list[float]) -> str:
    """Median and range of the ratios, repetition by repetition."""
    ratios = [own / other for own, other in zip(taken, base, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def hush() -> None:
    """Leave out what Lightning says at every start."""
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def main() -> None:
    """Time the three in turn and print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2860, help="70%% of them train")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    hush()
    seed_everything(0, verbose=False)
    size = (options.items, options.epochs, options.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        store, logs = Path(folder) / "store", Path(folder)
        data = SeededData(items=options.items, encoder=SeededEncoder(WIDTH), store=store).embedded
        ours(store, logs, options.items, 1, options.batch_size)()  # warm-up: imports and first files
        times: dict[str, list[float]] = {"bare": [], "fused": [], "ours": [], "naive": []}
        for _ in range(options.repetitions):
            times["bare"].append(seconds(lambda: bare(data, *size[1:], fused=False)))
            times["fused"].append(seconds(lambda: bare(data, *size[1:], fused=True)))
            times["ours"].append(seconds(ours(store, logs, *size)))
            times["naive"].append(seconds(lambda: naive(data, logs, *size[1:])))
    print(f"{options.items} items of {WIDTH}, head {HIDDEN}, batch {options.batch_size}, {options.epochs} epochs")
    print(f"{torch.get_num_threads()} threads, {options.repetitions} repetitions in turn")
    for name, taken in times.items():
        to_each = ", ".join(f"to {base} {ratio(taken, times[base])}" for base in ("bare", "fused"))
        print(f"{name:>6}: median {statistics.median(taken):6.2f} s, ratio {to_each}")


if __name__ == "__main__":
    main()
