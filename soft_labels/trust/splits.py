"""One report over redrawn splits from the reports of each."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from soft_labels.errors import DataError
from soft_labels.trust.inputs import Floats
from soft_labels.trust.intervals import split_interval
from soft_labels.trust.report import TrustReport

_RANGES = ("floor", "ceiling")  # ends over mixtures, not of an interval


def over_splits(reports: Sequence[TrustReport], overlap: float) -> TrustReport:
    """Means over redrawn splits of the same items, with intervals that allow for what splits share.

    Args:
        reports: One a split, of one seed each.
        overlap: Items in test divided by items in train.

    Returns:
        The same fields; yardsticks are averaged too, and intervals are over splits. Worth and annotations saved have
        none where a split stands at an end of its ladder.

    Raises:
        DataError: There are no reports.

    Source: Nadeau and Bengio (2003), section 3.
    """
    if not reports:
        raise DataError("wanted the report of at least one split, got none; give one a split")
    found: dict[str, Any] = {
        field.name: _mean([getattr(one, field.name) for one in reports]) for field in fields(TrustReport)
    }
    for name in found:
        if f"{name}_low" in found and name not in _RANGES:
            found |= _ends(name, _table([getattr(one, name) for one in reports]), overlap)
    found |= _reaches(reports)
    if found["worth_reach"] != "within":
        found |= {"worth_low": math.nan, "worth_high": math.nan}
    for end in ("prior_saved_low", "prior_saved_high"):
        told = zip(found[end], found["prior_reach"], strict=True)
        found[end] = tuple(value if reach == "within" else math.nan for value, reach in told)
    notes = dict.fromkeys(note for one in reports for note in one.notes)
    found["notes"] = tuple(note for note in notes if not note.startswith("one seed:"))
    number = min((one.prior_annotators for one in reports), key=len)
    found |= {"items": round(found["items"]), "seeds": len(reports), "prior_annotators": number}
    return TrustReport(**found)


def _reaches(reports: Sequence[TrustReport]) -> dict[str, Any]:
    """Whether worth and what is saved lie within their ladders: at an end if one split is."""
    worth = {one.worth_reach for one in reports}
    places = zip(*(one.prior_reach for one in reports), strict=False)
    ends = [next((end for end in ("above", "below") if end in place), "within") for place in places]
    return {"worth_reach": worth.pop() if len(worth) == 1 else "mixed", "prior_reach": tuple(ends)}


def _table(values: Sequence[Any]) -> Floats:
    """``[S, K]`` values that all splits have, ``[S, 1]`` of a single number."""
    rows = [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values]
    return np.stack([row[: min(map(len, rows))] for row in rows])


def _mean(values: Sequence[Any]) -> Any:
    """Mean of numbers, or of tuples place by place; words are left to the caller."""
    if isinstance(values[0], str) or (isinstance(values[0], tuple) and any(isinstance(one, str) for one in values[0])):
        return None
    means = _table(values).mean(0).tolist()
    return tuple(means) if isinstance(values[0], tuple) else means[0]


def _ends(name: str, table: Floats, overlap: float) -> dict[str, Any]:
    """Both ends of an interval, of a number or of each of several."""
    intervals = [split_interval(column, overlap) for column in table.T]
    low, high = tuple(one.low for one in intervals), tuple(one.high for one in intervals)
    several = name == "prior_saved"
    return {f"{name}_low": low if several else low[0], f"{name}_high": high if several else high[0]}
