"""What the commands wrote themselves, damaged: checkpoints, records, predictions, indexes, splits, embeddings."""

import json
import math
import os
from pathlib import Path
from typing import Any

import torch

from tests.faults.case import Case, Outcome
from tests.faults.damage import (
    OF_ANY_FILE,
    Damage,
    a_folder,
    cut,
    each,
    emptied,
    flipped,
    gone,
    noise,
    of_checkpoint,
    of_file,
    one_digit,
    other_schema,
    replaced,
    rows_swapped,
    unreadable,
)
from tests.faults.sound import CHECKPOINT, FIT

GIVEN = (f"--ckpt_path={CHECKPOINT}",)
TEST = ("test", "--config", "data.yaml", *GIVEN)
REPRODUCE = ("reproduce", "--config", "experiment.yaml", "--out", "out")
REPORT = ("report", "out")


class Exploit:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("made",)


def _weight(value: float) -> Damage:
    """One weight is another; the digest stays."""
    return of_checkpoint(lambda content: content["state_dict"]["head.output.weight"].view(-1)[0].fill_(value))


def _bit_of_a_weight(path: Path) -> None:
    """One bit of what is stored of a weight."""
    weight = torch.load(path, weights_only=True)["state_dict"]["head.output.weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight) + 2] ^= 64
    path.write_bytes(bytes(content))


def _without(key: str) -> Damage:
    return of_checkpoint(lambda content: content.pop(key))


def _pickled(path: Path) -> None:
    torch.save({"state_dict": Exploit()}, path)


CHECKPOINTS: dict[str, tuple[Damage, str]] = {
    "one bit of a weight": (_bit_of_a_weight, "is damaged"),
    "another weight": (_weight(2.0), "is damaged"),
    "a weight that is no number": (_weight(math.nan), "is damaged|not finite"),
    "without weights": (_without("state_dict"), "not a checkpoint"),
    "without settings": (_without("hyper_parameters"), "not a checkpoint"),
    "without the data's identity": (_without("data_identity"), "not a checkpoint"),
    "without a digest": (_without("digest"), "is damaged"),
    "without a schema": (_without("schema"), "wanted a checkpoint of schema"),
    "of an older schema": (of_checkpoint(lambda content: content.update(schema=1)), "wanted a checkpoint of schema"),
    "of a schema of tomorrow": (
        of_checkpoint(lambda content: content.update(schema=99)), "wanted a checkpoint of schema",
    ),
    "of other settings": (
        of_checkpoint(lambda content: content["hyper_parameters"].update(hidden_width=8)), "is damaged",
    ),
    "of another epoch": (of_checkpoint(lambda content: content.update(epoch=7)), "is damaged"),
    "of another program": (lambda path: torch.save({"model": torch.ones(3)}, path), "not a checkpoint"),
    "a tensor": (lambda path: torch.save(torch.ones(3), path), "not a checkpoint"),
    "with code": (_pickled, "no file to be trusted"),
}  # fmt: skip


def _checkpoints() -> list[Case]:
    """Every command that takes one, and every damage for ``test``."""
    kind = "checkpoints"
    damages = [(damage.__name__, damage, "best.ckpt") for damage in (*OF_ANY_FILE, gone, a_folder, unreadable)
               if damage is not flipped]  # fmt: skip
    damages += [(name, damage, says) for name, (damage, says) in CHECKPOINTS.items()]
    cases = [Case(kind, f"test, {name}", TEST, says, of_file(CHECKPOINT, damage)) for name, damage, says in damages]
    cases += [
        Case(kind, f"{command}, {name}", (command, "--config", "data.yaml", *GIVEN), says, of_file(CHECKPOINT, damage))
        for command in ("fit", "predict", "validate")
        for name, damage, says in damages
        if name in {"cut", "emptied", "one bit of a weight", "with code"}
    ]
    changed = of_file("table.csv", replaced("text 3,", "text 33,"))
    return [
        *cases,
        Case(kind, "of other texts", TEST, "text|other data|identity", changed),
        Case(kind, "of another encoder", (*TEST, "--data.encoder.width=5"), "encoder|width|embed"),
        Case(kind, "of another split", (*TEST, "--data.split_seed=5"), "split"),
        Case(kind, "of another target", (*TEST, "--model.target=hard"), "model.target is soft in the checkpoint"),
        Case(kind, "of no name", ("test", "--config", "data.yaml"), "test wants --ckpt_path"),
        Case(kind, "to go on with, other settings", (*FIT, *GIVEN, "--model.hidden_width=9"), "hidden_width"),
        Case(kind, "to go on with, its epochs done", (*FIT, *GIVEN, "--trainer.max_epochs=1"), None, None, _as_before),
        Case(kind, "of a sweep, to go on with", (*FIT, "--ckpt_path=out/best-table-soft.ckpt"), "search or an exp"),
    ]  # fmt: skip


def _as_before(outcome: Outcome, folder: Path) -> None:
    """The best epoch is the one that it was."""
    epoch = torch.load(folder / CHECKPOINT, weights_only=True)["epoch"]
    assert f"best epoch {epoch} by val/loss" in outcome.err


def _experiment_ran(outcome: Outcome, folder: Path) -> None:
    """What was lost is there again."""
    assert json.loads((folder / "out" / "experiment.json").read_text())["schema"], "an index"
    assert (folder / "out" / "report" / "report.md").stat().st_size > 1_000


FILES = {"records": "out/records/*.jsonl", "predictions": "out/records/[!o]*.parquet",
         "observed": "out/records/observed-*.parquet"}  # fmt: skip


def _records() -> list[Case]:
    """Records, predictions and what was observed, before a report and before the experiment goes on."""
    kind = "records, predictions, index"
    cases = []
    for name, pattern in FILES.items():
        damages = [*OF_ANY_FILE, one_digit, other_schema, *([] if name == "records" else [rows_swapped])]
        for damage in damages:
            says = r"\.jsonl" if name == "records" else r"\.parquet"
            wrong = f"{name}, {damage.__name__}"
            cases.append(Case(kind, f"report of {wrong}", REPORT, says, of_file(pattern, damage)))
            if damage in {cut, emptied, flipped, one_digit}:
                cases.append(Case(kind, f"reproduce over {wrong}", REPRODUCE, says, of_file(pattern, damage)))
    cases += [
        Case(kind, f"index, {damage.__name__}", REPORT, "experiment.json", of_file("out/experiment.json", damage))
        for damage in (*OF_ANY_FILE, one_digit, other_schema, gone, a_folder, unreadable)
    ]
    return [
        *cases,
        Case(kind, "predictions gone", REPORT, "parquet", of_file(FILES["predictions"], gone)),
        Case(kind, "records gone, reproduce", REPRODUCE, None, of_file(FILES["records"], gone), _experiment_ran),
        Case(kind, "index gone, reproduce", REPRODUCE, None, of_file("out/experiment.json", gone), _experiment_ran),
        Case(kind, "report gone, reproduce", REPRODUCE, None, of_file("out/report/report.md", gone), _experiment_ran),
        Case(kind, "other seeds in the folder", (*REPRODUCE, "--experiment.seeds=3"), None, None, _experiment_ran),
        Case(kind, "report of a run", ("report", "run"), "experiment.json"),
        Case(kind, "report of nothing", ("report", "nowhere"), "nowhere"),
        Case(kind, "report of a file", ("report", "table.csv"), "table.csv"),
        Case(kind, "report into a file", (*REPORT, "--out", "table.csv"), "table.csv"),
    ]  # fmt: skip


def _stored_again(outcome: Outcome, folder: Path) -> None:
    """The embeddings are there again."""
    assert list(folder.glob("store/*/*.safetensors"))


def _splits() -> list[Case]:
    """The split that a run keeps is for reading; a run goes on by what it draws."""
    kind = "splits and stores"
    shard = "store/*/*.safetensors"
    shards = [
        Case(kind, f"shard, {damage.__name__}", FIT, "safetensors", of_file(shard, damage))
        for damage in (*OF_ANY_FILE, a_folder, unreadable)
    ]
    return [
        *shards,
        Case(kind, "shard gone", FIT, None, of_file(shard, gone), _stored_again),
        *(
            Case(kind, f"split.json, {damage.__name__}", (*FIT, *GIVEN, "--trainer.max_epochs=3"), None,
                 of_file("run/split.json", damage), _goes_on)
            for damage in (emptied, noise)
        ),
        Case(kind, "store read-only for its files", FIT, "safetensors", each(of_file(shard, a_folder))),
    ]  # fmt: skip


def _goes_on(outcome: Outcome, folder: Path) -> None:
    """The split is written anew, whole."""
    assert json.loads((folder / "run" / "split.json").read_text())["train"]


def cases() -> list[Case]:
    """All kinds."""
    return [*_checkpoints(), *_records(), *_splits()]
