"""Several processes encode one data set: the real command, the plain ``ddp`` strategy, gloo on the CPU."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.datamodules import TableDataModule
from soft_labels.embeddings import EmbeddingStore, content_keys, stage
from soft_labels.encoders.base import Encoder, EncoderInput, texts_of

if TYPE_CHECKING:
    from tests.conftest import RunCli

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = 45  # of the table, in 12 batches of 4


class PaddedEncoder(Encoder):
    """A text's vector depends on the longest text of its batch; each process notes down the batches it encoded.

    Args:
        notes: Folder of the notes.
        dies: The rank that kills itself before its third batch. Every batch is stored at once then, and takes a while.
        batch_size: Texts a batch.
    """

    modality = "text"

    def __init__(self, notes: Path, dies: int | None = None, batch_size: int = 4) -> None:
        super().__init__(batch_size)
        self.notes = notes
        self.dies = dies
        self.batches = 0
        if dies is not None:
            stage.FLUSH_ROWS = 1

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "padded"}

    def length(self, item: EncoderInput) -> int:
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        return texts_of(items)

    def forward(self, batch: list[str]) -> Tensor:
        if self.dies is not None:
            time.sleep(0.2)
        if self.dies == rank() and self.batches == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        self.batches += 1
        self.notes.mkdir(parents=True, exist_ok=True)
        with (self.notes / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(batch) + "\n")
        widest = max(map(len, batch))
        return torch.tensor([[len(text), sum(text.encode()), 1 / widest] for text in batch])


class OtherOnTheSecond(TableDataModule):
    """A table whose texts are other ones for the second process, as if its node had an old file."""

    def read(self) -> AnnotatedData:
        data = super().read()
        return dataclasses.replace(data, inputs=[f"{text} (old)" for text in data.inputs]) if rank() else data


def rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def options(table: Path, store: Path, notes: Path, *more: str) -> list[str]:
    encoder = [f"--data.encoder={__name__}.PaddedEncoder", f"--data.encoder.notes={notes}"]
    data = [f"--config={REPOSITORY}/configs/data/table.yaml", f"--data.path={table}", f"--data.store={store}"]
    return ["embed", *data, *encoder, "--trainer.accelerator=cpu", *more]


def start(processes: int, arguments: list[str]) -> "subprocess.Popen[str]":
    devices = [f"--trainer.devices={processes}", "--trainer.strategy=ddp"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "soft_labels", *arguments, *devices]
    return subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return checksum(out)


def checksum(out: str) -> str:
    (line,) = (line for line in out.splitlines() if line.startswith("checksum "))
    return line


def store_of(root: Path) -> EmbeddingStore:
    return EmbeddingStore(root, PaddedEncoder(root))


def stored_rows(root: Path) -> int:
    return sum(shard.rows for shard in store_of(root).shards())


def encoded(*notes: Path) -> list[list[str]]:
    """The texts that each process encoded."""
    files = [file for folder in notes for file in folder.glob("*.jsonl")]
    return [[text for line in file.read_text().splitlines() for text in json.loads(line)] for file in files]


def assert_each_text_once(*notes: Path) -> None:
    texts = [text for share in encoded(*notes) for text in share]
    assert len(texts) == len(set(texts)) == TEXTS


@pytest.fixture(scope="module")
def alone(run_cli: "RunCli", tiny_table: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checksum that a single process gives."""
    folder = tmp_path_factory.mktemp("alone")
    result = run_cli(*options(tiny_table, folder / "store", folder / "notes"))
    assert result.code == 0, result.err
    assert_each_text_once(folder / "notes")
    return checksum(result.out)


def test_the_numbers_depend_on_the_batches(run_cli: "RunCli", tiny_table: Path, tmp_path: Path, alone: str) -> None:
    result = run_cli(*options(tiny_table, tmp_path / "store", tmp_path, "--data.encoder.batch_size=3"))
    assert checksum(result.out) != alone


def test_four_processes_share_the_work_and_give_the_checksum_of_one(
    tiny_table: Path, tmp_path: Path, alone: str
) -> None:
    assert finish(start(4, options(tiny_table, tmp_path / "store", tmp_path / "notes"))) == alone
    assert_each_text_once(tmp_path / "notes")
    assert sorted(map(len, encoded(tmp_path / "notes"))) == [9, 12, 12, 12]


def test_two_jobs_of_two_processes_at_once_encode_each_text_once(tiny_table: Path, tmp_path: Path, alone: str) -> None:
    notes = [tmp_path / "one", tmp_path / "two"]
    jobs = [start(2, options(tiny_table, tmp_path / "store", folder)) for folder in notes]
    assert [finish(job) for job in jobs] == [alone, alone]
    assert_each_text_once(*notes)


@pytest.mark.parametrize("dies", [0, 1])
def test_a_job_that_lost_a_process_goes_on_where_it_was(
    run_cli: "RunCli", tiny_table: Path, tmp_path: Path, alone: str, dies: int
) -> None:
    job = start(2, options(tiny_table, tmp_path / "store", tmp_path / "killed", f"--data.encoder.dies={dies}"))
    _, err = job.communicate(timeout=240)  # until the last of them has closed its stderr
    assert job.returncode != 0
    assert dies == 1 or "another process of this job ended" in err  # Lightning may kill the first without a word
    stored = stored_rows(tmp_path / "store")
    assert 0 < stored < TEXTS

    resumed = run_cli(*options(tiny_table, tmp_path / "store", tmp_path / "resumed"))
    assert f"{TEXTS} distinct inputs, {stored} found" in resumed.err
    assert checksum(resumed.out) == alone
    assert [len(share) for share in encoded(tmp_path / "resumed")] == [TEXTS - stored]


def test_a_process_that_read_other_data_stores_no_text_under_the_key_of_another(
    tiny_table: Path, tmp_path: Path
) -> None:
    arguments = options(tiny_table, tmp_path / "store", tmp_path / "notes", f"--data={__name__}.OtherOnTheSecond")
    job = start(2, arguments)
    _, err = job.communicate(timeout=240)
    assert job.returncode != 0
    assert "read other inputs than the others; give every node the same data" in err
    noted = {content_keys([text])[0]: text for share in encoded(tmp_path / "notes") for text in share}
    for shard in store_of(tmp_path / "store").shards():
        lengths = shard.read(np.arange(shard.rows))[:, 0].tolist()
        assert lengths == [len(noted[key]) for key in shard.keys]


def test_several_devices_for_a_hosted_encoder_are_refused(run_cli: "RunCli", tiny_table: Path, tmp_path: Path) -> None:
    config = f"--config={REPOSITORY}/configs/data/table.yaml"
    hosted = ["--data.encoder=soft_labels.encoders.OpenAIEncoder", f"--data.store={tmp_path}"]
    devices = ["--trainer.accelerator=cpu", "--trainer.devices=2"]
    result = run_cli("embed", config, f"--data.path={tiny_table}", *hosted, *devices)
    assert result.code == 2
    assert "computed by a service, where 2 processes are no faster; set --trainer.devices=1" in result.err


def test_devices_that_are_not_there_are_one_message(run_cli: "RunCli", tiny_table: Path, tmp_path: Path) -> None:
    result = run_cli(*options(tiny_table, tmp_path / "store", tmp_path, "--trainer.strategy=unheard"))
    assert result.code == 2
    assert "wanted devices to encode on" in result.err
    assert "unheard" in result.err
