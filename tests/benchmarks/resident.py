"""Resident memory of this process; imports nothing, so that what is measured is what was measured."""

from pathlib import Path


def resident_mib(field: str) -> float:
    """A memory field of this process (``VmRSS``, ``VmHWM``), MiB; nan where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
