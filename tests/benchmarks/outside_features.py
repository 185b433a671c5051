"""``soft-labels compare`` over redrawn splits, beside a bare PyTorch head on the same features and splits.

Settings are chosen by the soft target's validation loss on a split that is none of those judged; the test parts are
read once. Run it with the options that describe data to ``fit``::

    python -m tests.benchmarks.outside_features --config configs/data/chaosnli.yaml \
        --config configs/encoder/vectors.yaml --data.encoder.path roberta_base.parquet --data.encoder.missing drop
"""

import argparse
import itertools
import tempfile
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from soft_labels.commands.compare import compare
from soft_labels.commands.fit import parse_datamodule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.experiment.arms import DEFAULT_ARMS, DEFAULT_BASELINE, read_arms
from soft_labels.metrics import all_metrics
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import CONFIG_KEYS, RunSpec

SEARCH_SPLIT = 100
SEEDS = 2
SHOWN = ("kl", "entropy_corr", "accuracy")
ARMS = read_arms(DEFAULT_ARMS, DEFAULT_BASELINE)
BASE = RunSpec(target="soft", batch_size=32, max_epochs=60, patience=8)


def grid() -> list[RunSpec]:
    """What the search tries."""
    rates, dropouts, decays = (1e-4, 3e-4, 1e-3, 3e-3), (0.2, 0.5, 0.8), (0.0, 1e-3, 1e-2, 3e-2)
    return [
        replace(BASE, lr=lr, dropout=dropout, weight_decay=decay, seed=seed)
        for lr, dropout, decay, seed in itertools.product(rates, dropouts, decays, range(SEEDS))
    ]


def searched(data: EmbeddedDataset) -> tuple[RunSpec, float]:
    """The settings of the lowest validation loss, mean over seeds, and that loss."""
    losses: dict[RunSpec, list[float]] = {}
    for result in PopulationEngine().train(data.redrawn(SEARCH_SPLIT), grid()):
        losses.setdefault(replace(result.spec, seed=0), []).append(result.curve["val/loss"][result.best_epoch])
    best = min(losses, key=lambda spec: float(np.mean(losses[spec])))
    return best, float(np.mean(losses[best]))


def compared(options: list[str], spec: RunSpec, split_seed: int) -> dict[str, dict[str, float]]:
    """Test metrics of both arms by ``soft-labels compare`` on one split."""
    settings = [
        f"--{CONFIG_KEYS[name]}={value}"
        for name, value in spec.settings().items()
        if name not in {"target", "seed"} and value is not None
    ]
    with tempfile.TemporaryDirectory() as folder:
        place = f"--trainer.default_root_dir={folder}"
        found = compare([*options, *settings, place, f"--data.split_seed={split_seed}"], ARMS, seeds=1).metrics
    return {arm: {name: float(values[name][0]) for name in SHOWN} for arm, values in found.items()}


def bare(data: EmbeddedDataset, spec: RunSpec) -> dict[str, float]:
    """Test metrics of a soft head as one would write it by hand: two layers, Adam, the best epoch by validation."""
    rows: dict[SplitName, Tensor] = {part: data.dataset.rows(part) for part in ("train", "val", "test")}
    features = {part: torch.cat(list(data.features.batches(own.numpy()))) for part, own in rows.items()}
    mean, std = features["train"].mean(0), features["train"].std(0, correction=0)
    features = {part: (own - mean) / std.where(std > 0, 1.0) for part, own in features.items()}
    dist = {part: data.dataset.observed.label_dist[own] for part, own in rows.items()}
    torch.manual_seed(spec.seed)
    head = nn.Sequential(
        nn.Linear(features["train"].shape[1], spec.hidden_width), nn.GELU(), nn.Dropout(spec.dropout),
        nn.Linear(spec.hidden_width, dist["train"].shape[1]),
    )  # fmt: skip
    optimizer = torch.optim.Adam(head.parameters(), lr=spec.lr, weight_decay=spec.weight_decay)
    best, since, state = float("inf"), 0, head.state_dict()
    for _ in range(spec.max_epochs):
        head.train()
        for batch in torch.split(torch.randperm(len(rows["train"])), spec.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(features["train"][batch]), dist["train"][batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        head.eval()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(head(features["val"]), dist["val"]).item()
        since += 1
        if loss < best:
            best, since, state = loss, 0, {name: each.clone() for name, each in head.state_dict().items()}
        if since >= spec.patience:
            break
    head.load_state_dict(state)
    metrics = all_metrics(data.ordinal)
    with torch.no_grad():
        logits = head(features["test"])
    metrics.update(
        logits=logits, label_dist=dist["test"], majority_label=data.dataset.observed.majority_label[rows["test"]]
    )
    values = metrics.compute()
    return {name: float(values[name]) for name in SHOWN}


def main() -> None:
    """Search, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--splits", type=int, default=8, help="how many redrawn splits are judged")
    arguments, options = parser.parse_known_args()
    data = parse_datamodule(options, "outside_features", "Heads on features over redrawn splits.").embedded
    spec, loss = searched(data)
    print(f"{data.name}, {len(data.dataset.data):,} items, {data.embedding_dim:,} features: {spec}")
    print(f"validation loss {loss:.4f} on split seed {SEARCH_SPLIT}")
    found: dict[str, list[dict[str, float]]] = {"soft": [], "hard": [], "bare soft": []}
    for split_seed in range(arguments.splits):
        for arm, values in compared(options, spec, split_seed).items():
            found[arm].append(values)
        found["bare soft"].append(bare(data.redrawn(split_seed), spec))
    for who, rows in found.items():
        for name in SHOWN:
            judged = np.array([row[name] for row in rows])
            spread = judged.std(ddof=min(1, len(rows) - 1))
            print(f"{who:>9} {name:<12} {judged.mean():.4f} +- {spread:.4f} over {len(rows)} split(s)")


if __name__ == "__main__":
    main()
