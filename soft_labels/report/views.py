"""Soft against hard, metric by metric, on the fixed split and over redrawn splits."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from soft_labels.metric_names import HIGHER_IS_BETTER, LABELS
from soft_labels.objectives import Target
from soft_labels.report.evidence import Evidence, Repeats
from soft_labels.report.formats import count
from soft_labels.stats import (
    Floats,
    PairedComparison,
    bootstrap_interval,
    correlation_difference,
    holm,
    mean_difference,
    paired_comparison,
)

ALPHA = 0.05
METRICS = ("accuracy", "kl", "entropy_corr")
Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """One metric on one data set.

    Args:
        dataset: The data set.
        metric: The metric's name.
        soft: ``[S]`` values of the soft heads.
        hard: ``[S]`` values of the hard heads.
        test: The paired statistics.
        interval: 95% bootstrap interval of the mean of soft - hard over seeds and items.
        holm_p: The corrected t-test's p-value, adjusted over the view's family of tests.
    """

    dataset: str
    metric: str
    soft: Floats
    hard: Floats
    test: PairedComparison
    interval: tuple[float, float]
    holm_p: float

    @property
    def relative_change(self) -> float:
        """(soft - hard) / hard of the means; nan where hard is not above 0."""
        hard = self.hard.mean()
        return float((self.soft.mean() - hard) / hard) if hard > 0 else float("nan")

    @property
    def ahead(self) -> Target | None:
        """The target with the better mean; ``None`` where they are equal or not defined."""
        better_by = self.test.mean_difference * (1 if self.metric in HIGHER_IS_BETTER else -1)
        if better_by > 0:
            return "soft"
        return "hard" if better_by < 0 else None

    @property
    def verdict(self) -> Verdict:
        """What the adjusted test says of soft."""
        if not self.holm_p < ALPHA:  # nan is no finding either
            return "open"
        return "better" if self.ahead == "soft" else "worse"


@dataclass(frozen=True)
class View:
    """All comparisons of one way to repeat.

    Args:
        name: ``fixed`` or ``redrawn``.
        title: In words.
        repeats: By data set.
        comparisons: Data set by data set, in the order of :data:`METRICS`.
    """

    name: Literal["fixed", "redrawn"]
    title: str
    repeats: dict[str, Repeats]
    comparisons: list[Comparison]

    def of(self, metric: str) -> list[Comparison]:
        """One metric on every data set."""
        return [comparison for comparison in self.comparisons if comparison.metric == metric]

    def further(self, dataset: str) -> list[str]:
        """Names of the metrics of a data set that are not the paper's, all lower for the better."""
        there = self.repeats[dataset].metrics()
        return [name for name in LABELS if name in there and name not in METRICS]

    def repeated(self, dataset: str) -> str:
        """How often a data set was repeated, in words."""
        return count(len(self.repeats[dataset]), "seed" if self.name == "fixed" else "redrawn split")


def make_views(evidence: Evidence) -> list[View]:
    """The fixed view, and the redrawn view where any data set has it."""
    fixed = {one.name: one.fixed for one in evidence.sets}
    redrawn = {one.name: one.redrawn for one in evidence.sets if one.redrawn is not None}
    views = [View("fixed", "seeds on one split", fixed, _comparisons(fixed))]
    if redrawn:
        views.append(View("redrawn", "redrawn splits", redrawn, _comparisons(redrawn)))
    return views


def _comparisons(repeats: dict[str, Repeats]) -> list[Comparison]:
    """Every metric on every data set, with p-values adjusted over all of them."""
    pairs = [(dataset, metric) for dataset in repeats for metric in METRICS]
    tests = [_test(repeats[dataset], metric) for dataset, metric in pairs]
    adjusted = holm(np.array([test.corrected_t_p for test in tests]))
    return [
        Comparison(
            dataset=dataset,
            metric=metric,
            soft=repeats[dataset].metric("soft", metric),
            hard=repeats[dataset].metric("hard", metric),
            test=test,
            interval=_interval(repeats[dataset], metric),
            holm_p=float(holm_p),
        )
        for (dataset, metric), test, holm_p in zip(pairs, tests, adjusted, strict=True)
    ]


def _test(repeats: Repeats, metric: str) -> PairedComparison:
    """The paired statistics of one metric."""
    return paired_comparison(repeats.metric("soft", metric), repeats.metric("hard", metric), repeats.overlap)


def _interval(repeats: Repeats, metric: str) -> tuple[float, float]:
    """The bootstrap interval of one metric, from its values on each test item."""
    pairs = zip(repeats.items["soft"], repeats.items["hard"], strict=True)
    if metric == "entropy_corr":
        triples = [np.stack([soft.pred_entropy, hard.pred_entropy, soft.label_entropy]) for soft, hard in pairs]
        return bootstrap_interval(correlation_difference, triples, same_items=repeats.same_items)
    of_item = {"accuracy": "correct", "kl": "kl"}[metric]
    values = [np.stack([getattr(soft, of_item), getattr(hard, of_item)]).astype(np.float64) for soft, hard in pairs]
    return bootstrap_interval(mean_difference, values, same_items=repeats.same_items)
