"""Reading a long table of a million rows: this reader, pandas and bare DuckDB, and the memory of each.

Each reads the same CSV in a process of its own and counts the labels of every item; this reader also keeps texts,
annotators and every annotation, and checks all that it promises. Run it as ``python -m tests.benchmarks.read_table``.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.resident import resident_mib


def write(path: Path, rows: int) -> None:
    """A long table: five annotations an item, texts of some 60 characters."""
    generator = np.random.default_rng(0)
    labels, people = generator.integers(0, 5, rows), generator.integers(0, 2000, rows)
    with path.open("w", encoding="utf-8") as file:
        file.write("item,annotator,text,label\n")
        for row in range(rows):
            item = row // 5
            text = f"This is item {item}, of which people think one thing or another"
            file.write(f'i{item},w{people[row]}-{row % 5},"{text}",{labels[row]}\n')


def ours(path: Path) -> float:
    """This reader."""
    from soft_labels.annotations.table.read import read_table
    from soft_labels.annotations.table.settings import TableSettings

    data = read_table(path, TableSettings(text_column="text", annotator_column="annotator", label_column="label"))
    return float(data.label_counts.sum())


def with_pandas(path: Path) -> float:
    """pandas: read and count."""
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    counts = table.groupby(["item", "label"]).size().unstack(fill_value=0)
    return float(counts.to_numpy().sum())


def with_duckdb(path: Path) -> float:
    """DuckDB: read and count."""
    import duckdb

    query = f"SELECT item, label, count(*) AS n FROM read_csv('{path}', all_varchar = true) GROUP BY ALL"  # noqa: S608
    return float(duckdb.execute(query).fetchnumpy()["n"].sum())


WAYS: dict[str, Callable[[Path], float]] = {"soft-labels": ours, "pandas": with_pandas, "duckdb": with_duckdb}


def main() -> None:
    """Print seconds, ratios and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=list(WAYS), help="read once, in this process")
    parser.add_argument("--path", type=Path)
    arguments = parser.parse_args()
    if arguments.way:
        WAYS[arguments.way](arguments.path.with_name("few.csv"))  # imports are not measured
        before, wall, cpu = resident_mib("VmHWM"), time.perf_counter(), time.process_time()
        WAYS[arguments.way](arguments.path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(wall, cpu, resident_mib("VmHWM"), before)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.csv"
        write(path, arguments.rows)
        write(path.with_name("few.csv"), 20)
        print(f"{arguments.rows:,} rows, {path.stat().st_size / 2**20:.0f} MiB; best of {arguments.repeats}")
        best = {way: min(_measure(way, path) for _ in range(arguments.repeats)) for way in WAYS}
    for way, (wall, cpu, peak, before) in best.items():
        ratios = ", ".join(f"{cpu / other:.2f} x {name}" for name, (_, other, *_) in best.items() if name != way)
        print(
            f"{way:<12}{wall:6.2f} s, {cpu:6.2f} s of CPU ({ratios}), peak {peak:5.0f} MiB, {before:4.0f} of it before"
        )


def _measure(way: str, path: Path) -> tuple[float, float, float, float]:
    """Wall seconds, CPU seconds, peak memory (VmHWM, MiB) of one reading and what imports took of it."""
    command = [sys.executable, "-m", "tests.benchmarks.read_table", f"--way={way}", f"--path={path}"]
    wall, cpu, peak, before = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(wall), float(cpu), float(peak), float(before)


if __name__ == "__main__":
    main()
