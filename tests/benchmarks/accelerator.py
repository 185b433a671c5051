"""What an accelerator is worth, and that it computes the same as a CPU: the population, ``fit`` and ``embed``.

Each pair is timed in turn in one process after a round that warms both, and the largest difference of what they
computed stands beside the ratio. Devices draw dropout from streams of their own, so training is timed with it and
compared without. The CPU uses all of torch's threads. The encoder is a BERT of MiniLM's size with
random weights. Run it as ``python -m tests.benchmarks.accelerator``; without an accelerator it shows only that it runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
from soft_labels.embeddings.features import open_features
from soft_labels.encoders import TransformerEncoder
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunResult, RunSpec
from soft_labels.training.trainer import device_of
from tests.benchmarks.encoder_throughput import texts
from tests.benchmarks.fit_overhead import hush
from tests.benchmarks.population_speed import paper_grid
from tests.encoders.tiny_bert import make_tiny_bert
from tests.toys import SeededData, SeededEncoder

DEVICES = ("cpu", "auto")
MINILM: dict[str, Any] = {
    "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
    "max_position_embeddings": 512, "initializer_range": 0.02,
}  # fmt: skip


def in_turn(call: Callable[[str], object], amount: int, unit: str, repetitions: int) -> None:
    """Time a call on the CPU and on the accelerator; prints amounts a second and the ratio."""
    taken: list[list[float]] = [[], []]
    for _ in range(repetitions):
        for device, seconds in zip(DEVICES, taken, strict=True):
            start = time.perf_counter()
            call(device)
            seconds.append(time.perf_counter() - start)
    for device, seconds in zip(DEVICES, taken, strict=True):
        print(f"  {device_of(device).type}: {amount / statistics.median(seconds):,.1f} {unit} a second")
    ratios = [cpu / other for cpu, other in zip(*taken, strict=True)]
    print(f"  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) over {repetitions} rounds")


def undropped(specs: list[RunSpec]) -> list[RunSpec]:
    """The same without dropout."""
    return [replace(spec, dropout=0.0) for spec in specs]


def best_kl(results: list[RunResult]) -> Tensor:
    """Validation KL of each run's best epoch, nats."""
    return torch.tensor([result.curve["val/kl"][result.best_epoch] for result in results])


def trained(
    engine: type[LightningEngine] | type[PopulationEngine], data: EmbeddedDataset, specs: list[RunSpec]
) -> Callable[[str], Tensor]:
    """A call that trains the specs on a device."""
    return lambda device: best_kl(engine(accelerator=device).train(data, specs))


def embedded(folder: Path, sentences: list[str], size: dict[str, Any]) -> Callable[[str], Tensor]:
    """A call that embeds the sentences on a device, into a store of its own."""
    model = make_tiny_bert(folder / "model", classifier=False, **size)
    keys = content_keys(sentences)

    def embed(device: str) -> Tensor:
        encoder = TransformerEncoder(str(model), device=device_of(device).type, batch_size=64)
        store = EmbeddingStore(Path(tempfile.mkdtemp(dir=folder)), encoder)
        encode_missing(sentences, keys, encoder, store)
        return open_features(store, [keys], "benchmark")[torch.arange(len(keys))]

    return embed


def main() -> None:
    """Time all three and print what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=3_000, help="items to train on, and texts to embed")
    parser.add_argument("--width", type=int, default=384, help="numbers an item")
    parser.add_argument("--seeds", type=int, default=5, help="of the paper's grid of 216 runs")
    parser.add_argument("--epochs", type=int, default=20, help="most epochs a run")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    hush()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else device_of("auto").type
    print(f"{name} and {torch.get_num_threads()} threads of the CPU, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        data = SeededData(items=options.items, encoder=SeededEncoder(options.width), store=store).embedded
        grid = [replace(spec, seed=seed) for seed in range(options.seeds) for spec in paper_grid(options.epochs)]
        pair = [
            RunSpec(target=target, max_epochs=options.epochs, patience=options.epochs) for target in ("soft", "hard")
        ]
        source, sentences = texts(options.items)
        embed = embedded(Path(folder), sentences, MINILM)
        for name, call, exact, amount, unit in (
            ("population", trained(PopulationEngine, data, grid), trained(PopulationEngine, data, undropped(grid)),
             len(grid), "runs"),
            ("fit", trained(LightningEngine, data, pair), trained(LightningEngine, data, undropped(pair)),
             len(pair), "runs"),
            (f"embed, {source}", embed, embed, len(sentences), "texts"),
        ):  # fmt: skip
            print(f"{name}: {amount:,} {unit}")
            cpu, other = (exact(device) for device in DEVICES)
            in_turn(call, amount, unit, options.repetitions)
            print(f"  largest difference of a number {(cpu - other).abs().max().item():.1e}", flush=True)


if __name__ == "__main__":
    main()
