"""Vectors that were computed elsewhere: files that are damaged, or that do not say what they seem to."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests.faults.case import Case
from tests.faults.damage import OF_ANY_FILE, Damage, a_folder, cut, gone, of_file, writing
from tests.faults.sound import ITEMS, UIDS

KIND = "vector files"
EMBED = ("embed", "--config", "plain.yaml", "--data.encoder=soft_labels.encoders.VectorFileEncoder")
NPY = (*EMBED, "--data.encoder.path=vectors.npy", "--data.encoder.uids=uids.txt")
TENSORS = (*EMBED, "--data.encoder.path=vectors.safetensors", "--data.encoder.uids=uids.txt")
LINES = (*EMBED, "--data.encoder.path=vectors.jsonl")


class Exploit:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (Path("made"),)


def saved(array: Any, **options: Any) -> Damage:
    """Another array in the .npy file."""
    return lambda folder: np.save(folder / "vectors.npy", array, **options)


def header(shape: str, dtype: str = "<f4") -> Damage:
    """An .npy file whose header promises something."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return writing("vectors.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))


def tensors(changed: Callable[[dict[str, Any]], object]) -> Damage:
    """A safetensors file with another header."""

    def spoil(folder: Path) -> None:
        content = (folder / "vectors.safetensors").read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        told = json.loads(content[8 : 8 + size])
        changed(told)
        text = json.dumps(told).encode()
        (folder / "vectors.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return spoil


def lines(row: int, value: object) -> Damage:
    """One line of the JSON lines with another vector."""

    def spoil(folder: Path) -> None:
        path = folder / "vectors.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()]
        found[row]["vector"] = value
        path.write_text("\n".join(map(json.dumps, found)))

    return spoil


ROWS = np.ones((ITEMS, 4), np.float32)
ARRAYS: dict[str, tuple[Damage, str]] = {
    "a header of 7 TiB": (header(f"({ITEMS}, 64000000000)"), "vectors.npy"),
    "a header of 2**62 rows": (header("(4611686018427387904, 4)"), "vectors.npy"),
    "a header of rows below zero": (header("(-30, 4)"), "vectors.npy"),
    "a header that is no dictionary": (writing("vectors.npy", b"\x93NUMPY\x01\x00\x05\x00hello"), "vectors.npy"),
    "a header nested deeply": (header("(" * 5_000 + ")" * 5_000), "vectors.npy"),
    "a header longer than the file": (writing("vectors.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), "vectors.npy"),
    "a version of tomorrow": (writing("vectors.npy", b"\x93NUMPY\x09\x00" + bytes(80)), "vectors.npy"),
    "pickled objects": (saved(np.array([Exploit()] * ITEMS), allow_pickle=True), "would run code"),
    "no number": (saved(np.where(np.arange(ITEMS)[:, None] == 7, np.nan, ROWS)), "finite|nan"),
    "without end": (saved(np.where(np.arange(ITEMS)[:, None] == 7, np.inf, ROWS)), "finite|inf"),
    "too large for float32": (saved(np.full((ITEMS, 4), 1e300)), "finite|float32"),
    "complex numbers": (saved(ROWS.astype(complex)), "wanted an array of numbers"),
    "words": (saved(np.full((ITEMS, 4), "x")), "wanted an array of numbers|numbers"),
    "dates": (saved(np.zeros((ITEMS, 4), "datetime64[s]")), "wanted an array of numbers|numbers"),
    "three axes": (saved(np.ones((ITEMS, 4, 1))), "wanted an array of numbers"),
    "no columns": (saved(np.ones((ITEMS, 0))), "numbers|0"),
    "no rows": (saved(np.ones((0, 4))), "rows|numbers|uids"),
    "a row too few": (saved(ROWS[1:]), "rows|uids|29"),
    "a row too many": (saved(np.ones((ITEMS + 1, 4))), "rows|uids|31"),
    "fields": (saved(np.zeros((ITEMS,), [("a", "f4"), ("b", "f4")])), "numbers|column"),
}
NAMES: dict[str, tuple[str | bytes, str]] = {
    "a uid twice": ("\n".join(["c00", *UIDS[:-1]]), "c00"),
    "a uid too few": ("\n".join(UIDS[1:]), "29|rows|uids"),
    "no uids": ("", "uids"),
    "other uids": ("\n".join(f"x{uid}" for uid in UIDS), "uid|row"),
    "one other uid": ("\n".join([*UIDS[:-1], "c99"]), "c29|row"),
    "uids that are no text": (b"\xff\xfe\x00\xd8" * 30, "uids.txt"),
    "a blank uid": ("\n".join([*UIDS[:-1], ""]), "uid|29"),
}
HEADERS: dict[str, tuple[Damage, str]] = {
    "safetensors of another length": (tensors(lambda told: told["vectors"].update(data_offsets=[0, 4])), "safetensors"),
    "safetensors beyond the file": (
        tensors(lambda told: told["vectors"].update(shape=[ITEMS, 10**12], data_offsets=[0, 4 * ITEMS * 10**12])),
        "safetensors",
    ),
    "safetensors of another type": (tensors(lambda told: told["vectors"].update(dtype="F99")), "safetensors"),
    "safetensors that are no header": (
        writing("vectors.safetensors", struct.pack("<Q", 2**60) + b"{}"), "vectors.safetensors",
    ),
    "safetensors of no number": (
        lambda folder: save_file({"vectors": ROWS * np.nan}, folder / "vectors.safetensors"), "finite|nan",
    ),
    "safetensors of nothing": (lambda folder: save_file({}, folder / "vectors.safetensors"), "safetensors"),
    "two tensors": (
        lambda folder: save_file({"a": ROWS, "b": ROWS}, folder / "vectors.safetensors"), "2 |columns|rows",
    ),
}  # fmt: skip
ROWS_OF_LINES: dict[str, tuple[Damage, str]] = {
    "a vector of another length": (lines(7, [1.0]), "c07"),
    "a vector of words": (lines(7, ["a", "b", "c", "d"]), "c07|numbers"),
    "a vector that is missing": (lines(7, None), "c07|vector"),
    "a vector that is a number": (lines(7, 5), "c07|vector|length"),
    "a vector with a hole": (lines(7, [1, None, 2, 3]), "c07|numbers|finite"),
    "a vector nested": (lines(7, [[1, 2], [3, 4]]), "c07|numbers|vector"),
    "an integer of 400 digits": (lines(7, [10**400, 1, 2, 3]), "c07|finite|numbers|jsonl"),
}


def cases() -> list[Case]:
    """All of the kind."""
    damaged = [
        Case(KIND, f"{file}, {damage.__name__}", command, file, of_file(file, damage))
        for file, command, damages in (
            ("vectors.npy", NPY, (*OF_ANY_FILE[:3], *OF_ANY_FILE[4:], gone, a_folder)),
            ("vectors.safetensors", TENSORS, (*OF_ANY_FILE[:3], *OF_ANY_FILE[4:], gone)),
            ("vectors.jsonl", LINES, (cut, *OF_ANY_FILE[2:3], *OF_ANY_FILE[4:], gone)),
        )
        for damage in damages
    ]
    odd = [
        Case(KIND, name, command, says, spoil)
        for table, command in ((ARRAYS, NPY), (HEADERS, TENSORS), (ROWS_OF_LINES, LINES))
        for name, (spoil, says) in table.items()
    ]
    names = [Case(KIND, name, NPY, says, writing("uids.txt", content)) for name, (content, says) in NAMES.items()]
    return [*damaged, *odd, *names]
