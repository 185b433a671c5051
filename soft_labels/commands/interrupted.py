"""What is said after Ctrl-C: what of the work is kept, and how it goes on."""

from pathlib import Path

_AGAIN = "run the same command again to go on"
_IN = {
    "fit": "nothing is kept: no epoch was complete; run the same command again",
    "compare": "the heads that were trained lie in {folder}, but compare starts anew; reproduce would go on",
    "budget": f"runs that ended are kept in {{folder}}; {_AGAIN}",
    "sweep": f"runs that ended are kept in {{folder}}; {_AGAIN}",
    "reproduce": f"runs that ended are kept in {{folder}}; {_AGAIN}",
    "embed": f"what was encoded is kept in {{folder}}; {_AGAIN}",
    "data": f"what was downloaded is kept in {{folder}}; {_AGAIN}",
}
_NOTHING = "nothing was written; run the same command again"
_kept: list[Path] = []


def keeps(folder: Path) -> None:
    """Note where a command that begins its work keeps what it has done.

    Args:
        folder: Of the run, the search, the experiment, the embeddings or the downloads.
    """
    _kept[:] = [folder]


def forget() -> None:
    """Nothing is at work."""
    _kept.clear()


def words(command: str) -> str:
    """What is kept of a command that was interrupted, and what to do.

    Args:
        command: Its name.
    """
    known = _IN.get("compare" if command == "quickstart" else command)
    if known is None or not _kept:
        return _NOTHING
    checkpoint = _kept[0] / "checkpoints" / "best.ckpt"
    if command == "fit" and checkpoint.is_file():
        return f"the best epoch so far is kept; to go on from it, add --ckpt_path={checkpoint} to the same command"
    return known.format(folder=_kept[0])
