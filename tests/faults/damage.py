"""Ways to spoil a file that a program wrote, whatever it holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import torch

Damage = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One bit in the middle of what is kept."""
    content = bytearray(path.read_bytes())
    content[_place_of_values(path) if path.suffix == ".parquet" else len(content) // 3] ^= 1
    path.write_bytes(bytes(content))


def _place_of_values(path: Path) -> int:
    """A byte within a table's largest column: much of a small file is what nobody reads."""
    with duckdb.connect() as database:  # the connection that all share would keep the rest of its answer
        column = database.execute(
            "SELECT coalesce(dictionary_page_offset, data_page_offset), total_compressed_size FROM parquet_metadata(?) "
            "ORDER BY total_compressed_size DESC LIMIT 1",
            [str(path)],
        ).fetchone()
    assert column is not None
    start, size = column
    return int(start + 2 * size // 3)


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(3_000))


def zeroed(path: Path) -> None:
    """What some file systems leave after a power cut: the length, and no content."""
    path.write_bytes(bytes(path.stat().st_size))


def other_text(path: Path) -> None:
    path.write_text("uid,p_no\nc00,0.5\n", encoding="utf-8")


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unreadable(path: Path) -> None:
    """A link that leads to itself: root reads what has no permission, but not this."""
    path.unlink()
    path.symlink_to(path.name)


def one_digit(path: Path) -> None:
    """One number changed, in a file that is whole otherwise."""
    if path.suffix in {".jsonl", ".json"}:
        text = path.read_text(encoding="utf-8")
        place = next(place for place in range(len(text) // 2, len(text)) if text[place] in "12345678")
        path.write_text(f"{text[:place]}{int(text[place]) + 1}{text[place + 1 :]}", encoding="utf-8")
        return
    frame = pl.read_parquet(path)
    name = "label_counts" if "label_counts" in frame.columns else frame.columns[-1]
    values = frame[name].to_list()
    innermost = values[-1][0] if isinstance(values[-1][0], list) else values[-1]
    innermost[0] += 1
    _rewrite(path, frame.with_columns(pl.Series(name, values, dtype=frame.schema[name])))


def _rewrite(path: Path, frame: pl.DataFrame) -> None:
    """Another table in a Parquet file, with what the file says of itself."""
    told = pl.read_parquet_metadata(path)
    frame.write_parquet(path, metadata={name: value for name, value in told.items() if name != "ARROW:schema"})


def other_schema(path: Path) -> None:
    if path.suffix in {".jsonl", ".json"}:
        text = path.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in ([text] if path.suffix == ".json" else text.splitlines())]
        path.write_text("\n".join(json.dumps({**line, "schema": 77}) for line in lines), encoding="utf-8")
        return
    _rewrite(path, pl.read_parquet(path).rename({"uid": "item"}))


def rows_swapped(path: Path) -> None:
    """Of a table; the order of lines says nothing."""
    _rewrite(path, pl.read_parquet(path).reverse())


OF_ANY_FILE: tuple[Damage, ...] = (cut, halved, emptied, flipped, noise, zeroed, other_text)


def of_checkpoint(change: Callable[[dict[str, Any]], object]) -> Damage:
    """A checkpoint whose content was changed and saved again, its digest left as it was."""

    def damage(path: Path) -> None:
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, path)

    return damage


def replaced(old: str, new: str) -> Damage:
    """A text in which one thing stands for another."""

    def damage(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{path.name} holds no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return damage


def of_file(name: str, damage: Damage) -> Damage:
    """The damage of a file below the folder; a pattern stands for the first that it names."""

    def spoil(folder: Path) -> None:
        paths = sorted(path for path in folder.glob(name) if not path.name.startswith("."))
        assert paths, f"nothing is called {name}"
        damage(paths[0])

    return spoil


def writing(name: str, content: str | bytes) -> Damage:
    """A file of its own below the folder."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def each(*spoils: Damage) -> Damage:
    """One after the other."""

    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil
