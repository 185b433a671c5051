"""Peak memory of one epoch over many stored embeddings: ``python -m tests.benchmarks.memory --items 100000``.

A toy encoder writes the embeddings through the real stage and store; then a fresh process fits one head for one epoch
through the real data module and Trainer. What is printed is that process's peak of resident memory, in which the
interpreter, the libraries and any pages of mapped files all count.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import AnnotationDataModule
from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from tests.benchmarks.resident import resident_mib

MEBIBYTE = 2**20
EPOCH_BATCH = 256


class WaveEncoder(Encoder):
    """Text ``item 17`` becomes sin(17 f) at D fixed frequencies f."""

    modality = "text"

    def __init__(self, width: int) -> None:
        super().__init__(batch_size=4096)
        self.width = width

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "wave", "width": self.width}

    def length(self, item: EncoderInput) -> int:
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> Tensor:
        return torch.tensor([float(text.split()[1]) for text in texts_of(items)])

    def forward(self, batch: Tensor) -> Tensor:
        return torch.sin(batch[:, None] * torch.linspace(0.1, 3.0, self.width))


class NumberedTexts(AnnotationDataModule):
    """Texts ``item 0``, ``item 1``, ..., each with ten annotations of three classes."""

    def __init__(self, items: int, encoder: Encoder, store: Path) -> None:
        super().__init__(encoder=encoder, store=store, batch_size=EPOCH_BATCH)
        self.items = items

    def read(self) -> AnnotatedData:
        counts = np.random.default_rng(0).multinomial(10, [0.5, 0.3, 0.2], self.items)
        return AnnotatedData(
            name="numbered",
            uids=tuple(f"{number:08d}" for number in range(self.items)),
            inputs=[f"item {number}" for number in range(self.items)],
            label_counts=torch.from_numpy(counts).double(),
            class_names=("a", "b", "c"),
            modality="text",
        )


def encode(data: NumberedTexts) -> None:
    """Fill the store."""
    data.prepare_data()
    print(f"encoded: {data.encoded}")


def fit(data: NumberedTexts) -> None:
    """One epoch of one head, and what it took."""
    from lightning import Trainer

    from soft_labels.training.module import SoftLabelModule

    print(f"resident before the data are read: {resident_mib('VmRSS'):,.0f} MiB")
    module = SoftLabelModule(num_classes=data.num_classes, embedding_dim=data.embedding_dim)
    print(f"peak when the features are open: {resident_mib('VmHWM'):,.0f} MiB")
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.perf_counter()
    trainer.fit(module, datamodule=data)
    features = data.embedded.features
    print(f"one epoch in {time.perf_counter() - start:.0f} s: {trainer.global_step:,} steps of {EPOCH_BATCH}")
    print(f"features: {len(features):,} items of {features.dim} numbers, ", end="")
    print("in memory" if features.in_memory else "read from disk as they are asked for")
    print(f"peak resident memory: {resident_mib('VmHWM'):,.0f} MiB (VmHWM), {_max_rss_mib():,.0f} MiB (ru_maxrss)")


def _max_rss_mib() -> float:
    """The peak by getrusage, MiB; macOS counts bytes, Linux KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEBIBYTE if sys.platform == "darwin" else peak / 1024


def main() -> None:
    """Encode in one process, fit in another, delete the store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384, help="numbers an embedding")
    parser.add_argument("--phase", choices=("encode", "fit"), help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phase is not None:
        data = NumberedTexts(arguments.items, WaveEncoder(arguments.width), arguments.store)
        {"encode": encode, "fit": fit}[arguments.phase](data)
        return
    with tempfile.TemporaryDirectory(prefix="soft-labels-memory-") as folder:
        for phase in ("encode", "fit"):
            settings = [f"--items={arguments.items}", f"--width={arguments.width}", f"--store={folder}"]
            subprocess.run([sys.executable, "-m", "tests.benchmarks.memory", f"--phase={phase}", *settings], check=True)


if __name__ == "__main__":
    main()
