"""Several processes encode one data set: the real command, the plain ``ddp`` strategy, gloo on the CPU.

A second node is a second launch on this machine. ``SOFT_LABELS_FULL=1`` also kills a node, and has torchrun start them.
"""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import TableDataModule
from soft_labels.embeddings import EmbeddingStore, content_keys, stage
from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from tests.postgres import free_port

if TYPE_CHECKING:
    from tests.conftest import RunCli

pytestmark = pytest.mark.slow
FULL = pytest.mark.skipif("SOFT_LABELS_FULL" not in os.environ, reason="SOFT_LABELS_FULL=1 runs it")
REPOSITORY = Path(__file__).resolve().parents[2]
Process = subprocess.Popen[str]
TEXTS = 45  # of the table, in 12 batches of 4


class PaddedEncoder(Encoder):
    """A text's vector depends on the longest text of its batch; each process notes down the batches it encoded.

    Args:
        notes: Folder of the notes.
        dies: The rank that kills itself before its third batch. Every batch is stored at once then, and takes a while.
        spoilt: The ranks that give numbers that are not finite.
        batch_size: Texts a batch.
    """

    modality = "text"

    def __init__(self, notes: Path, dies: int | None = None, spoilt: Sequence[int] = (), batch_size: int = 4) -> None:
        super().__init__(batch_size)
        self.notes = notes
        self.spoilt = spoilt
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
        widest = 0.0 if rank() in self.spoilt else max(map(len, batch))
        return torch.tensor([[len(text), sum(text.encode()), 1.0] for text in batch]) / torch.tensor([1, 1, widest])


LAUNCHED: list[Process] = []


class OtherOnTheSecond(TableDataModule):
    """A table whose texts are other ones for the second process, as if its node had an old file."""

    def read(self) -> AnnotatedData:
        data = super().read()
        return dataclasses.replace(data, inputs=[f"{text!s} (old)" for text in data.inputs]) if rank() else data


def rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def options(table: Path, store: Path, notes: Path, *more: str) -> list[str]:
    encoder = [f"--data.encoder={__name__}.PaddedEncoder", f"--data.encoder.notes={notes}"]
    data = [f"--config={REPOSITORY}/configs/data/table.yaml", f"--data.path={table}", f"--data.store={store}"]
    return ["embed", *data, *encoder, "--trainer.accelerator=cpu", *more]


def start(processes: int, arguments: list[str], nodes: int = 1, **environment: str) -> Process:
    devices = [f"--trainer.devices={processes}", f"--trainer.num_nodes={nodes}", "--trainer.strategy=ddp"]
    return launch(["-m", "soft_labels", *arguments, *devices], **environment)


def launch(python: list[str], **environment: str) -> Process:
    """A command in a process group of its own, which is gone when the test ends."""
    job = subprocess.Popen(
        [sys.executable, *python], cwd=REPOSITORY, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    LAUNCHED.append(job)
    return job


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """End what a test that failed has left."""
    yield
    while LAUNCHED:
        with LAUNCHED.pop() as job, suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)


def start_nodes(arguments: list[str]) -> list[Process]:
    """Two nodes of two processes each."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [start(2, arguments, nodes=2, NODE_RANK=str(node), **address) for node in range(2)]


def finish(process: Process) -> str:
    """What a job that worked wrote to stdout."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


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


def test_two_nodes_of_two_processes_share_the_work_and_give_the_checksum_of_one(
    tiny_table: Path, tmp_path: Path, alone: str
) -> None:
    first, second = map(finish, start_nodes(options(tiny_table, tmp_path / "store", tmp_path / "notes")))
    assert (checksum(first), second) == (alone, "")
    assert_each_text_once(tmp_path / "notes")
    assert sorted(map(len, encoded(tmp_path / "notes"))) == [9, 12, 12, 12]


def test_two_jobs_of_two_processes_at_once_encode_each_text_once(tiny_table: Path, tmp_path: Path, alone: str) -> None:
    notes = [tmp_path / "one", tmp_path / "two"]
    jobs = [start(2, options(tiny_table, tmp_path / "store", folder)) for folder in notes]
    assert [checksum(finish(job)) for job in jobs] == [alone, alone]
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
    assert "read other inputs than the others; give every node the same data" in refused(job)
    noted = {content_keys([text])[0]: text for share in encoded(tmp_path / "notes") for text in share}
    for shard in store_of(tmp_path / "store").shards():
        lengths = shard.read(np.arange(shard.rows))[:, 0].tolist()
        assert lengths == [len(noted[key]) for key in shard.keys]


def refused(job: Process) -> str:
    """The one message of a job that does not work."""
    out, err = job.communicate(timeout=240)
    assert (job.returncode, out, err.count("error:")) == (2, "", 1), err
    assert "Traceback" not in err
    return err.partition("soft-labels: error: ")[2]


@pytest.mark.parametrize("spoilt", [[0, 1], pytest.param([1], marks=FULL)])
def test_embeddings_that_are_not_finite_are_one_message_of_all_processes(
    run_cli: "RunCli", tiny_table: Path, tmp_path: Path, alone: str, spoilt: list[int]
) -> None:
    arguments = options(tiny_table, tmp_path / "store", tmp_path / "notes")
    assert "not finite" in refused(start(2, [*arguments, f"--data.encoder.spoilt={spoilt}"]))
    assert [path.name for path in (tmp_path / "store").rglob(".*")] == [".lock"]
    assert checksum(run_cli(*arguments).out) == alone


@FULL
@pytest.mark.parametrize("lost", [0, 1])
def test_nodes_go_on_where_they_were_after_one_of_them_was_lost(
    tiny_table: Path, tmp_path: Path, alone: str, lost: int
) -> None:
    slowly = options(tiny_table, tmp_path / "store", tmp_path / "killed", "--data.encoder.dies=9")  # which is nobody
    nodes = start_nodes(slowly)
    while not list((tmp_path / "store").rglob("*.safetensors")):
        assert nodes[lost].poll() is None
        time.sleep(0.02)
    os.killpg(nodes[lost].pid, signal.SIGKILL)
    _, err = nodes[1 - lost].communicate(timeout=240)
    nodes[lost].communicate()
    assert nodes[1 - lost].returncode == 2
    assert "another process of this job ended" in err
    stored = stored_rows(tmp_path / "store")
    assert 0 < stored < TEXTS

    again = start_nodes(options(tiny_table, tmp_path / "store", tmp_path / "again"))
    assert [checksum(finish(again[0])), finish(again[1])] == [alone, ""]
    assert sum(map(len, encoded(tmp_path / "again"))) == TEXTS - stored


@FULL
def test_torchrun_may_start_the_processes(tiny_table: Path, tmp_path: Path, alone: str) -> None:
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=2", "--master_addr=127.0.0.1"]
    arguments = options(tiny_table, tmp_path / "store", tmp_path / "notes")
    devices = ["--trainer.devices=2", "--trainer.num_nodes=2", "--trainer.strategy=ddp"]
    port = f"--master_port={free_port()}"
    nodes = [
        launch([*torchrun, port, f"--node_rank={node}", "-m", "soft_labels", *arguments, *devices]) for node in range(2)
    ]
    assert [checksum(finish(nodes[0])), finish(nodes[1])] == [alone, ""]
    assert_each_text_once(tmp_path / "notes")


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


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "ddp_notebook"])
def test_a_strategy_of_notebooks_is_one_message(
    run_cli: "RunCli", tiny_table: Path, tmp_path: Path, strategy: str
) -> None:
    result = run_cli(*options(tiny_table, tmp_path / "store", tmp_path, f"--trainer.strategy={strategy}"))
    assert (result.code, result.out) == (2, "")
    assert f"--trainer.strategy={strategy} is there for notebooks; set --trainer.strategy=ddp" in result.err


def test_a_port_that_is_taken_is_one_message(tiny_table: Path, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = options(tiny_table, tmp_path / "store", tmp_path)
        message = refused(start(1, arguments, nodes=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port))
    assert "the processes did not meet" in message
    assert "MASTER_PORT" in message


def test_processes_of_a_cluster_that_are_not_those_asked_for_are_one_message(
    run_cli: "RunCli", tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"NTASKS": 4, "NTASKS_PER_NODE": 4, "NNODES": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0}
    for name, number in numbers.items():
        monkeypatch.setenv(f"SLURM_{name}", str(number))
    devices = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    result = run_cli(*options(tiny_table, tmp_path / "store", tmp_path, *devices))
    assert (result.code, result.out) == (2, "")
    assert "Set `devices=4`" in result.err
