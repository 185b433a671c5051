"""Every arm against the baseline, metric by metric, on the fixed split and over redrawn splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from soft_labels.metrics import METRICS, core_names
from soft_labels.report.evidence import Evidence, Repeats, item_values
from soft_labels.report.formats import count
from soft_labels.report.paired import Floats, PairedComparison, holm, paired_comparison, unpaired
from soft_labels.trust.intervals import correlation_values, seed_interval, split_interval

ALPHA = 0.05
Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """One arm against the baseline by one metric on one data set.

    Args:
        dataset: The data set.
        arm: The arm.
        baseline: What it is compared with.
        metric: The metric's name.
        values: ``[S]`` of the arm.
        base: ``[S]`` of the baseline.
        test: The paired statistics.
        interval: 95% interval of the mean of arm - baseline: over seeds and items on the fixed split, over splits and
            what they share where they are redrawn.
        holm_p: The corrected t-test's p-value, adjusted over its family of tests; nan where pairs cannot be tested.
    """

    dataset: str
    arm: str
    baseline: str
    metric: str
    values: Floats
    base: Floats
    test: PairedComparison
    interval: tuple[float, float]
    holm_p: float

    @property
    def relative_change(self) -> float:
        """(arm - baseline) / baseline of the means; nan where the baseline is not above 0."""
        base = self.base.mean()
        return float((self.values.mean() - base) / base) if base > 0 else float("nan")

    @property
    def better_by(self) -> float:
        """How far the arm's mean is on the better side of the baseline's; nan where it is not defined."""
        difference = self.test.mean_difference
        return difference if METRICS[self.metric].higher_is_better else -difference

    @property
    def pairs_better(self) -> int:
        """Pairs in which the arm is the better one."""
        return self.test.higher if METRICS[self.metric].higher_is_better else self.test.lower

    @property
    def ahead(self) -> str | None:
        """The arm with the better mean; ``None`` where they are equal or not defined."""
        if self.better_by > 0:
            return self.arm
        return self.baseline if self.better_by < 0 else None

    @property
    def verdict(self) -> Verdict:
        """What the adjusted test and the interval both say of the arm; without either there is no finding."""
        if not (self.holm_p < ALPHA and (self.interval[0] > 0 or self.interval[1] < 0)):  # nan is neither
            return "open"
        return "better" if self.ahead == self.arm else "worse"


@dataclass(frozen=True)
class View:
    """All comparisons of one way to repeat.

    Args:
        name: ``fixed`` or ``redrawn``.
        title: In words.
        baseline: The arm that all others are compared with.
        compared: The others; an ensemble of seeds is not among them where each split has one seed.
        repeats: By data set.
        comparisons: Data set by data set, arm by arm, metric by metric.
        paper: By name of an arm, the paper's arm that it is.
    """

    name: Literal["fixed", "redrawn"]
    title: str
    baseline: str
    compared: Sequence[str]
    repeats: Mapping[str, Repeats]
    comparisons: Sequence[Comparison]
    paper: Mapping[str, str]

    @property
    def arms(self) -> list[str]:
        """All arms, the baseline first."""
        return [self.baseline, *self.compared]

    def of(self, metric: str, arm: str) -> list[Comparison]:
        """One metric and one arm on every data set."""
        return [one for one in self.comparisons if one.metric == metric and one.arm == arm]

    def at(self, dataset: str, metric: str) -> dict[str, Comparison]:
        """One metric on one data set, by arm."""
        return {one.arm: one for one in self.comparisons if one.metric == metric and one.dataset == dataset}

    def best(self, dataset: str, metric: str) -> str | None:
        """The arm whose mean is better than that of all others; ``None`` where there is no such arm."""
        gains = {self.baseline: 0.0, **{arm: one.better_by for arm, one in self.at(dataset, metric).items()}}
        ranked = sorted((arm for arm in gains if not np.isnan(gains[arm])), key=lambda arm: -gains[arm])
        return ranked[0] if len(ranked) > 1 and gains[ranked[0]] > gains[ranked[1]] else None

    def further(self, dataset: str) -> list[str]:
        """Names of the metrics of a data set that are shown and not tested."""
        return [name for name in self.repeats[dataset].metrics() if name not in core_names()]

    def repeated(self, dataset: str) -> str:
        """How often a data set was repeated, in words."""
        return count(len(self.repeats[dataset]), "seed" if self.name == "fixed" else "redrawn split")


def make_views(evidence: Evidence) -> list[View]:
    """The fixed view, and the redrawn view where any data set has it."""
    fixed = {one.name: one.fixed for one in evidence.sets}
    redrawn = {one.name: one.redrawn for one in evidence.sets if one.redrawn is not None}
    views = [_view(evidence, "fixed", "seeds on one split", fixed)]
    return [*views, _view(evidence, "redrawn", "redrawn splits", redrawn)] if redrawn else views


def _view(evidence: Evidence, name: Literal["fixed", "redrawn"], title: str, repeats: Mapping[str, Repeats]) -> View:
    """Every arm by every tested metric on every data set, with p-values adjusted over all of them."""
    base = evidence.baseline
    compared = [arm for arm in evidence.compared if all(arm in one.records for one in repeats.values())]
    pairs = [(data, arm, base) for data in repeats for arm in compared]
    return View(name, title, base, compared, repeats, compare_pairs(repeats, pairs), evidence.paper_arms)


def compare_pairs(repeats: Mapping[str, Repeats], pairs: Sequence[tuple[str, str, str]]) -> list[Comparison]:
    """Arms against others by every tested metric, with p-values adjusted over all of them as one family.

    Args:
        repeats: By data set.
        pairs: Data set, arm, and what it is compared with.
    """
    cases = [(*pair, metric) for pair in pairs for metric in core_names()]
    tests = [_test(repeats[data], arm, base, metric) for data, arm, base, metric in cases]
    adjusted = holm(np.array([test.corrected_t_p for test in tests]))
    return [
        Comparison(
            dataset=data,
            arm=arm,
            baseline=base,
            metric=metric,
            values=repeats[data].metric(arm, metric),
            base=repeats[data].metric(base, metric),
            test=test,
            interval=_interval(repeats[data], arm, base, metric),
            holm_p=float(holm_p),
        )
        for (data, arm, base, metric), test, holm_p in zip(cases, tests, adjusted, strict=True)
    ]


def _test(repeats: Repeats, arm: str, base: str, metric: str) -> PairedComparison:
    """The paired statistics of one metric; an arm that is one model cannot be paired with seeds."""
    values = repeats.metric(arm, metric), repeats.metric(base, metric)
    if {arm, base} & repeats.single:
        return unpaired(*values)
    return paired_comparison(*values, repeats.overlap)


def _interval(repeats: Repeats, arm: str, base: str, metric: str) -> tuple[float, float]:
    """The interval of one metric's difference."""
    if not repeats.same_items:
        found = split_interval(repeats.metric(arm, metric) - repeats.metric(base, metric), repeats.overlap)
        return found.low, found.high
    with np.errstate(invalid="ignore"):  # two infinite values
        difference = _by_item(repeats, arm, metric) - _by_item(repeats, base, metric)
    if np.isnan(difference).any():  # not defined for some seed, as a correlation with a constant
        return float("nan"), float("nan")
    found = seed_interval(difference)
    return found.low, found.high


def _by_item(repeats: Repeats, arm: str, metric: str) -> Floats:
    """``[S, N]`` values whose mean over items is each seed's metric."""
    values = np.stack([item_values(metric, one) for one in repeats.judged[arm]])
    return correlation_values(values[:, 1], values[0, 0]) if values.shape[1] == 2 else values[:, 0]
