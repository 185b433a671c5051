"""Reading a long table: this reader, pandas and bare DuckDB, and the memory that each wants for it.

Each reads the same CSV in a process of its own and counts the labels of every item; this reader also keeps texts,
annotators and every annotation, and checks all that it promises. Run it as ``python -m tests.benchmarks.read_table``;
several ``--rows`` show what a row more costs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.resident import resident_mib

PEOPLE = 5_000
MEBIBYTE = 2**20


class Cost(NamedTuple):
    """What one reading took: seconds, and MiB above what the process had before."""

    wall: float
    cpu: float
    peak: float
    kept: float


def write(path: Path, rows: int, items: int) -> None:
    """A long table in no order of items: texts of some 60 characters, five labels, annotators who never repeat."""
    import duckdb

    columns = (
        f"'i' || r % {items} AS item, 'w' || (r // {items} * 7 + r % {items}) % {PEOPLE} AS annotator, "
        f"'This is item ' || r % {items} || ', of which people think one thing or another' AS text, "
        "hash(r) % 5 AS label"
    )
    with duckdb.connect(config={"memory_limit": "1GB", "preserve_insertion_order": "false"}) as database:
        database.execute(f"COPY (SELECT {columns} FROM range({rows}) t(r)) TO '{path}'")  # noqa: S608


def ours(path: Path) -> object:
    """This reader."""
    from soft_labels.annotations.table.read import read_table
    from soft_labels.annotations.table.settings import TableSettings

    return read_table(path, TableSettings(text_column="text", annotator_column="annotator", label_column="label"))


def with_pandas(path: Path) -> object:
    """pandas: read and count."""
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.groupby(["item", "label"]).size().unstack(fill_value=0)


def with_duckdb(path: Path) -> object:
    """DuckDB: read and count."""
    import duckdb

    query = f"SELECT item, label, count(*) AS n FROM read_csv('{path}', all_varchar = true) GROUP BY ALL"  # noqa: S608
    return duckdb.execute(query).fetchnumpy()


WAYS: dict[str, Callable[[Path], object]] = {"soft-labels": ours, "pandas": with_pandas, "duckdb": with_duckdb}


def read_once(way: str, path: Path) -> Cost:
    """Read in this process, imports first."""
    WAYS[way](path.with_name("few.csv"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before, wall, cpu = resident_mib("VmRSS"), time.perf_counter(), time.process_time()
    kept = WAYS[way](path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost = Cost(wall, cpu, resident_mib("VmHWM") - before, resident_mib("VmRSS") - before)
    del kept
    return cost


def main() -> None:
    """Print seconds, ratios and peak memory of each size, and what a row more costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.path:
        print(*read_once(arguments.ways[0], arguments.path))
        return
    peaks: dict[str, list[float]] = {way: [] for way in arguments.ways}
    for rows in arguments.rows:
        for way, cost in _compare(rows, arguments).items():
            peaks[way].append(cost.peak)
    for way, (first, *_, last) in peaks.items() if len(arguments.rows) > 1 else ():
        more = (last - first) * MEBIBYTE / (arguments.rows[-1] - arguments.rows[0])
        print(f"{way:<12}{more:6.1f} bytes of peak memory for each row more")


def _compare(rows: int, arguments: argparse.Namespace) -> dict[str, Cost]:
    """Every way over a table of one size."""
    with tempfile.TemporaryDirectory(prefix="soft-labels-read-") as folder:
        path = Path(folder) / "long.csv"
        write(path, rows, min(arguments.items, rows // 5))
        write(path.with_name("few.csv"), 20, 4)
        size = path.stat().st_size / MEBIBYTE
        print(f"{rows:,} rows, {size:,.0f} MiB; best of {arguments.repeats}; memory is above imports", flush=True)
        best = {way: min(_measure(way, path) for _ in range(arguments.repeats))
                for way in arguments.ways}  # fmt: skip
    for way, cost in best.items():
        _tell(way, cost, rows, best)
    return best


def _tell(way: str, cost: Cost, rows: int, best: dict[str, Cost]) -> None:
    """One line of the comparison."""
    ratios = ", ".join(f"{cost.cpu / other.cpu:.2f} x {name}" for name, other in best.items() if name != way)
    a_row = cost.peak * MEBIBYTE / rows
    print(
        f"{way:<12}{cost.wall:7.2f} s, {cost.cpu:7.2f} s of CPU ({ratios or 'alone'}), peak {cost.peak:6.0f} MiB, "
        f"{a_row:5.0f} bytes a row, {cost.kept:5.0f} MiB afterwards",
        flush=True,
    )


def _measure(way: str, path: Path) -> Cost:
    """One reading in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.read_table", "--ways", way, f"--path={path}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(*map(float, done.stdout.split()))


if __name__ == "__main__":
    main()
