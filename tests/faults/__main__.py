"""``python -m tests.faults [WORD ...]``: try every case, or those whose kind or name holds a word; print the table."""

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults import sound
from tests.faults.case import ENDINGS, Forks, tried
from tests.faults.cases import CASES


def main(words: list[str]) -> int:
    """The number of cases that did not end well."""
    chosen = [case for case in CASES if not words or any(word in str(case) for word in words)]
    endings: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as scratch, Forks(Path(scratch)) as forks:
        folder = Path(scratch) / "sound"
        folder.mkdir()
        sound.make(folder, forks)
        for case in chosen:
            ending, shown = tried(case, folder, forks)
            endings[case.kind][ending] += 1
            if ending != ENDINGS[0] or len(chosen) == 1:
                print(f"--- {case}: {ending}\n$ soft-labels {' '.join(case.command)}\nwanted: {case.says}")
                print(shown, flush=True)
    print(table(endings))
    return sum(count for found in endings.values() for ending, count in found.items() if ending != ENDINGS[0])


def table(endings: dict[str, Counter[str]]) -> str:
    """Kind, tried, and how many ended how; a row of sums at the end."""
    total: Counter[str] = sum(endings.values(), Counter())
    lines: list[tuple[str, ...]] = [("kind", "tried", *ENDINGS)]
    lines += [
        (kind, str(found.total()), *(str(found[ending]) for ending in ENDINGS))
        for kind, found in [*endings.items(), ("all", total)]
    ]
    return "\n".join(" | ".join(cell.ljust(14) for cell in line) for line in lines)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
