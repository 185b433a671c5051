"""How the arms of an experiment are drawn: the same in every figure."""

from collections.abc import Collection, Mapping
from functools import partial

from matplotlib.axes import Axes

from soft_labels.palette import ARMS, Look, look
from soft_labels.report.content import Key
from soft_labels.report.evidence import Evidence


def looks(evidence: Evidence) -> dict[str, Look]:
    """How each arm is drawn, by name; those that the report added come last and leave the others their looks.

    Args:
        evidence: The experiment.
    """
    return {arm: look(place) for place, arm in enumerate([*evidence.arms, *evidence.added])}


def distinct(evidence: Evidence) -> dict[str, Look]:
    """The arms that a plane of lines can hold: the first ones, of which each has a colour of its own.

    Args:
        evidence: The experiment.
    """
    return dict(list(looks(evidence).items())[: len(ARMS)])


def left_out(evidence: Evidence, known: Collection[str] | None = None) -> str:
    """How many arms a plane of lines has no colours for; nothing where it holds all.

    Args:
        evidence: The experiment.
        known: The arms that have something to draw; all by default.
    """
    there = looks(evidence) if known is None else known
    others = len(looks(evidence).keys() & set(there) - distinct(evidence).keys())
    return f" {others} more {'arm is' if others == 1 else 'arms are'} in the tables alone." if others else ""


def line_keys(shown: Mapping[str, Look]) -> list[Key]:
    """What the lines of arms mean, an entry each."""
    return [Key(arm, partial(_sign, one)) for arm, one in shown.items()]


def _sign(one: Look, axes: Axes) -> None:
    """A line with its marker."""
    axes.plot([0.05, 0.95], [0.5, 0.5], color=one.colour.light, linestyle=one.line)
    axes.plot([0.5], [0.5], color=one.colour.light, marker=one.marker)
