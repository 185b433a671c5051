"""What the numbers say in plain sentences; each sentence is made by a rule, whichever arm is ahead."""

from soft_labels.metrics import METRICS
from soft_labels.report.evidence import Evidence
from soft_labels.report.formats import NOT_DEFINED, listed, number
from soft_labels.report.paired import Floats
from soft_labels.report.paper import paper_pair
from soft_labels.report.views import Comparison, Verdict, View

_MOST_NAMED = 6  # verdicts


def setting_sentence(evidence: Evidence) -> str:
    """What was done."""
    names = listed([one.name for one in evidence.sets])
    compared = f" All are compared with {evidence.baseline}." if evidence.compared else ""
    return (
        f"Heads were trained on the same features and splits; they differ in what their arm sets: "
        f"{'; '.join(_arm_in_words(evidence, name) for name in evidence.arms)}. Each arm that trains had its own "
        f"search and was chosen by its own validation loss.{compared} Data: {names}."
    )


def _arm_in_words(evidence: Evidence, name: str) -> str:
    """What an arm is."""
    form = evidence.arms[name]
    if form.derived_from is not None:
        return f"{name} ({form.source})"
    return f"{name} ({', '.join(f'{key} {value}' for key, value in form.overlay.items()) or 'nothing of its own'})"


def scope_sentence(view: View) -> str:
    """What one view supports."""
    return _fixed_scope(view) if view.name == "fixed" else _redrawn_scope(view)


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
    missing = [dataset for dataset in fixed.repeats if dataset not in redrawn.repeats]
    alone = [f"Splits were not redrawn for {listed(missing)}."] if missing else []
    spreads = f"Standard deviation of KL over splits and over seeds: {_spreads(fixed, redrawn)}."
    return [*([_verdicts(fixed, redrawn)] if fixed.compared else []), *alone, spreads]


def _verdicts(fixed: View, redrawn: View) -> str:
    """Where the verdicts of the two views differ."""
    before = {(one.dataset, one.arm, one.metric): one for one in fixed.comparisons}
    changed = [_changed(before[one.dataset, one.arm, one.metric], one) for one in redrawn.comparisons]
    differing = [words for words in changed if words]
    if len(differing) > _MOST_NAMED:
        where = "hollow in one row of a pair of the forest plot, filled in the other"
        return f"The views differ on {len(differing)} of {len(changed)} verdicts: {where}."
    return f"The views differ on {'; '.join(differing)}." if differing else "Both views come to the same verdicts."


def _changed(fixed: Comparison, redrawn: Comparison) -> str:
    """How a verdict differs between the views; nothing where it does not."""
    arm = fixed.arm
    words: dict[Verdict, str] = {"better": f"{arm} better", "worse": f"{arm} worse", "open": "not told apart"}
    if fixed.verdict == redrawn.verdict:
        return ""
    told = f"{words[fixed.verdict]} on the fixed split, {words[redrawn.verdict]} over splits"
    return f"{METRICS[fixed.metric].label}, {arm} on {fixed.dataset} ({told})"


def _spreads(fixed: View, redrawn: View) -> str:
    """Spread over splits beside spread over seeds."""
    return "; ".join(
        f"{dataset}, "
        + ", ".join(
            f"{arm} {_sd(repeats.metric(arm, 'kl'))} and {_sd(fixed.repeats[dataset].metric(arm, 'kl'))}"
            for arm in redrawn.arms[:2]
        )
        for dataset, repeats in redrawn.repeats.items()
    )


def _sd(values: Floats) -> str:
    """Sample standard deviation of a metric."""
    return number(float(values.std(ddof=1)), 4) if len(values) > 1 else NOT_DEFINED


def paper_sentences(view: View) -> list[str]:
    """Which of the paper's signs our means share, on the paper's data sets and arms."""
    papers = [(one, _paper_ahead(view, one)) for one in view.comparisons]
    shared = [one.ahead == ahead for one, ahead in papers if ahead is not None]
    if not shared:
        return []
    differences = f"{sum(shared)} of {len(shared)} differences in KL and entropy correlation"
    return [f"Beside the paper: on its own data sets, {differences} point the way the paper's do."]


def _paper_ahead(view: View, comparison: Comparison) -> str | None:
    """Which arm is the better one in the paper; ``None`` where its Table 4 does not say."""
    pair = paper_pair(comparison.dataset, *map(view.paper.get, (comparison.arm, comparison.baseline)))
    ours, base = (one.mean(comparison.metric) for one in pair) if pair else (None, None)
    if ours is None or base is None:
        return None
    higher = ours > base
    return comparison.arm if higher == METRICS[comparison.metric].higher_is_better else comparison.baseline
