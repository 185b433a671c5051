"""What the numbers say in plain sentences; each sentence is made by a rule, whichever target is ahead."""

import math

import numpy as np

from soft_labels.metric_names import LABELS
from soft_labels.report.evidence import TARGETS, Evidence
from soft_labels.report.formats import NOT_DEFINED, count, listed, number, percent
from soft_labels.report.paper import PAPER
from soft_labels.report.views import ALPHA, METRICS, Comparison, Verdict, View

_WORDS = {
    "accuracy": ("Accuracy", "higher", "lower"),
    "kl": ("KL to the annotators (lower is better)", "lower", "higher"),
    "entropy_corr": ("Entropy correlation", "higher", "lower"),
}


def setting_sentence(evidence: Evidence) -> str:
    """What was done."""
    names = listed([one.name for one in evidence.sets])
    return (
        "Two heads that differ in their target alone were trained on the same features and splits: the soft head on "
        "the distribution of the annotations, the hard head on their majority class. Each target had its own search "
        f"and was chosen by its own validation loss. Data: {names}."
    )


def metric_sentences(view: View) -> list[str]:
    """What one view shows, metric by metric."""
    return [_metric_sentence(view, metric) for metric in ("kl", "entropy_corr", "accuracy")]


def further_sentences(view: View) -> list[str]:
    """How many of the further metrics are lower for soft, and which are not."""
    higher = {dataset: _higher_for_soft(view, dataset) for dataset in view.repeats}
    total = sum(len(view.further(dataset)) for dataset in view.repeats)
    if not total:
        return []
    lower = total - sum(map(len, higher.values()))
    exceptions = [f"{listed(names)} on {dataset}" for dataset, names in higher.items() if names]
    but = f"; not lower: {'; '.join(exceptions)}" if exceptions else ""
    return [f"Further metrics (lower is better, not tested): lower for soft in {lower} of {total} means{but}."]


def _higher_for_soft(view: View, dataset: str) -> list[str]:
    """The further metrics whose mean is not lower for soft."""
    repeats = view.repeats[dataset]
    means = {name: [repeats.metric(target, name).mean() for target in TARGETS] for name in view.further(dataset)}
    return [LABELS[name].partition(",")[0] for name, (hard, soft) in means.items() if not soft < hard]


def scope_sentence(view: View) -> str:
    """What one view supports."""
    return _fixed_scope(view) if view.name == "fixed" else _redrawn_scope(view)


def _metric_sentence(view: View, metric: str) -> str:
    """On which data sets soft is better, worse, or not told apart."""
    comparisons = view.of(metric)
    title, better, worse = _WORDS[metric]
    ahead = sum(comparison.ahead == "soft" for comparison in comparisons)
    groups: dict[Verdict, str] = {
        "better": f"{better} for soft",
        "worse": f"{worse} for soft",
        "open": "not told apart",
    }
    found = {verdict: [one.dataset for one in comparisons if one.verdict == verdict] for verdict in groups}
    told = "; ".join(f"{words} on {listed(found[verdict])}" for verdict, words in groups.items() if found[verdict])
    sets = count(len(comparisons), "data set")
    return f"{title}: soft has the better mean on {ahead} of {sets}. Tested at {ALPHA} (Holm): {told}." + _size(
        comparisons
    )


def _size(comparisons: list[Comparison]) -> str:
    """The differences, and for the metrics of Table 4 their mean relative to hard."""
    if comparisons[0].metric == "accuracy":
        points = [number(100 * one.test.mean_difference, 2, signed=True) for one in comparisons]
        return f" Soft less hard, percentage points: {', '.join(points)}."
    differences = ", ".join(number(one.test.mean_difference, signed=True) for one in comparisons)
    changes = [one.relative_change for one in comparisons]
    known = [change for change in changes if math.isfinite(change)]
    if not known:
        return f" Soft less hard: {differences}."
    each = ", ".join(percent(change) for change in changes)
    left_out = f" (left out where hard is not above 0: {NOT_DEFINED})" if len(known) < len(changes) else ""
    return f" Soft less hard: {differences}; relative to hard: {each}, mean {percent(float(np.mean(known)))}{left_out}."


def _fixed_scope(view: View) -> str:
    """What repeats on one split can say."""
    counts = listed(sorted({view.repeated(dataset) for dataset in view.repeats}))
    return (
        f"What this supports: {counts} on one split vary initial weights, order and dropout while the items stay. "
        "Small p-values here speak of that split alone. The interval also allows for which items the test split drew; "
        "neither speaks of other training items."
    )


def _redrawn_scope(view: View) -> str:
    """What repeats on redrawn splits can say."""
    counts = listed(sorted({view.repeated(dataset) for dataset in view.repeats}))
    return (
        f"What this supports: {counts} also vary which items are learned from and judged on, so this is the evidence "
        "for other samples of the same data. The hyperparameters were chosen on the fixed split and kept, so that some "
        "items that helped to choose stand in other test splits. Splits share items, which the corrected t-test allows "
        "for."
    )


_ONE_VIEW = (
    "This experiment has no redrawn splits: everything here is about one split of each data set, and nothing shows how "
    "the result would change with other items."
)


def across_sentences(views: list[View]) -> list[str]:
    """Where the two views agree, and how much larger the spread over splits is."""
    if len(views) == 1:
        return [_ONE_VIEW]
    fixed, redrawn = views
    before = {(one.dataset, one.metric): one for one in fixed.comparisons}
    changed = [_changed(before[one.dataset, one.metric], one) for one in redrawn.comparisons]
    differing = [words for words in changed if words]
    verdicts = f"The views differ on {'; '.join(differing)}." if differing else "Both views come to the same verdicts."
    missing = [dataset for dataset in fixed.repeats if dataset not in redrawn.repeats]
    alone = [f"Splits were not redrawn for {listed(missing)}."] if missing else []
    return [verdicts, *alone, f"Standard deviation of KL over splits and over seeds: {_spreads(before, redrawn)}."]


def _changed(fixed: Comparison, redrawn: Comparison) -> str:
    """How a verdict differs between the views; nothing where it does not."""
    words: dict[Verdict, str] = {"better": "soft better", "worse": "soft worse", "open": "not told apart"}
    if fixed.verdict == redrawn.verdict:
        return ""
    what = {"accuracy": "accuracy", "kl": "KL", "entropy_corr": "entropy correlation"}[fixed.metric]
    return f"{what}, {fixed.dataset} ({words[fixed.verdict]} on the fixed split, {words[redrawn.verdict]} over splits)"


def _spreads(fixed: dict[tuple[str, str], Comparison], redrawn: View) -> str:
    """Spread over splits beside spread over seeds."""
    return "; ".join(
        f"{one.dataset}, soft {_sd(one, 'soft')} and {_sd(fixed[one.dataset, 'kl'], 'soft')}, "
        f"hard {_sd(one, 'hard')} and {_sd(fixed[one.dataset, 'kl'], 'hard')}"
        for one in redrawn.of("kl")
    )


def _sd(comparison: Comparison, target: str) -> str:
    """Sample standard deviation of a metric."""
    values = getattr(comparison, target)
    return number(float(values.std(ddof=1)), 4) if len(values) > 1 else NOT_DEFINED


def paper_sentences(view: View) -> list[str]:
    """Which of the paper's signs our means share, on the paper's data sets."""
    shared = [one for one in view.comparisons if one.dataset in PAPER and one.metric in METRICS[1:]]
    if not shared:
        return []
    same = sum((one.ahead == "soft") == _paper_ahead(one) for one in shared)
    differences = f"{same} of {len(shared)} differences in KL and entropy correlation"
    return [f"Beside the paper: on its own data sets, {differences} point the way the paper's do."]


def _paper_ahead(comparison: Comparison) -> bool:
    """Whether soft is the better one in the paper."""
    arms = PAPER[comparison.dataset].arms
    soft, hard = (arms[target].mean(comparison.metric) for target in ("soft", "hard"))
    return soft < hard if comparison.metric == "kl" else soft > hard
