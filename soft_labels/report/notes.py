"""What stands below the tables: what was measured on what, and how."""

import math
from collections.abc import Sequence

from soft_labels.metrics import METRICS
from soft_labels.report.content import Row
from soft_labels.report.evidence import Evidence, unseeded
from soft_labels.report.formats import count, listed
from soft_labels.report.paper import PAPER
from soft_labels.report.views import ALPHA, View
from soft_labels.trust.groups import LEAST_ITEMS

DATASETS = (
    "Measured on all items. Entropy of the annotations divided by log C; mean ± standard deviation over items. Tied "
    "items have no single majority class."
)
HYPERPARAMETERS = (
    "Chosen by the lowest validation loss of each arm's own search, never by test. A validation loss is counted as its "
    "arm's own loss and target say and does not compare across arms. Epochs count from 1."
)
SAMPLERS = (
    "Measured on the validation split, each arm by its own loss; test plays no part. Above the lowest: the distance to "
    "the best trial of any sampler on the same data set and arm."
)
OVERLAP = (
    "Redrawn splits share items, so their results are not independent and the plain t-test and Wilcoxon p-values are "
    "too small; the corrected t-test widens the variance by test / train items (Nadeau and Bengio 2003)."
)
FURTHER = "Mean ± sample standard deviation (n - 1); not tested."
# What readers must know of a metric; a metric without an entry is named by its label alone.
_MEANINGS = {
    "kl": "KL is D(annotations || model), natural logarithm; lower is better.",
    "entropy_corr": "Entropy correlation: Pearson's, over all test items, between the entropy of the annotations and "
    "that of the model; higher is better.",
}


def measured_on(evidence: Evidence, view: View) -> str:
    """What a view's tables were measured on."""
    encoders = {one.name: one.index.encoder for one in evidence.sets}
    parts = [f"{name}: {_test_sizes(view, name)}, {view.repeated(name)}, {encoders[name]}" for name in view.repeats]
    return " ".join([f"Measured on the test split. {'; '.join(parts)}.", *_without_seeds(evidence, view)])


def _without_seeds(evidence: Evidence, view: View) -> list[str]:
    """Which arms do not vary with the seed, and what that means for their spread and tests."""
    runs = next(iter(view.repeats.values())).records
    solved = [arm for arm in view.arms if unseeded(runs[arm])]
    ensembles = [arm for arm, form in evidence.arms.items() if form.ensemble]
    once = (
        "so that nothing can be paired and tested here; its interval allows for items and for the seeds of "
        f"{view.baseline}"
    )
    each = "one run a split" if view.name == "redrawn" else f"one run, {once}"
    said = [f"{listed(solved)} {'has' if len(solved) == 1 else 'have'} no seed: {each}."] if solved else []
    if ensembles and view.name == "fixed":
        said.append(f"{listed(ensembles)}: one model of all seeds, {once}; how it varies with its own is not known.")
    elif ensembles:
        said.append(f"{listed(ensembles)}: not here, since each split has one seed.")
    return said


def _test_sizes(view: View, dataset: str) -> str:
    """The number of test items."""
    sizes = sorted({len(judged.majority_label) for judged in view.repeats[dataset].judged[view.baseline]})
    return count(sizes[0], "item") if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} items"


def other_encoder(evidence: Evidence) -> list[str]:
    """Whether the paper's numbers can be expected: nothing to say where the encoder is the paper's."""
    names = [
        one.name for one in evidence.sets if one.name in PAPER and PAPER[one.name].encoder not in one.index.encoder
    ]
    if not names:
        return []
    return [f"The encoder of {listed(names)} is not the paper's: the numbers are not expected to equal the paper's."]


def results(evidence: Evidence, view: View) -> str:
    """How Table 3 is to be read."""
    drawn = {f"majority class, ties to {record.data['tie']}" for one in evidence.sets for record in one.best.values()}
    read = (
        f"Accuracy against the {listed(sorted(drawn))}. KL is D(annotations || model), natural logarithm. Mean ± "
        "sample standard deviation (n - 1)."
    )
    if not view.compared:
        return read
    return (
        f"{read} p: against {view.baseline}, {t_test(view)}, not adjusted for the number of tests. Significant: p "
        f"below {ALPHA} after Holm's method; in brackets whether the arm is better or worse than {view.baseline}. "
        "Bold: the best mean."
    )


def tests(view: View) -> str:
    """How the table of tests is to be read."""
    drawn = "seeds and test items" if view.name == "fixed" else "splits, widened for the items that they share"
    made = sum(not math.isnan(one.holm_p) for one in view.comparisons)
    undefined = " that could be made" if made < len(view.comparisons) else ""
    return (
        f"Interval: 95%, t-based, over {drawn}. Better or worse is said where Holm's p is below {ALPHA} and the "
        f"interval leaves out 0. Holm: {t_test(view)}, adjusted over the {count(made, 'test')} of "
        f"this table{undefined}. Wilcoxon: exact signed-rank test. d_z: mean of the "
        "differences divided by their standard deviation. Accuracy is a share here, not percent."
    )


def alignment(view: View, metrics: Sequence[str]) -> str:
    """How Table 4 is to be read."""
    words = [_MEANINGS.get(name, f"{METRICS[name].title}; {direction(name)} is better.") for name in metrics]
    change = (
        f"Change: (arm - {view.baseline}) / {view.baseline} of the means, not given where {view.baseline} is not above "
        "0; the last row of an arm is the mean of its changes."
    )
    paper = ["The paper's changes are computed from its Table 4 in the same way."]
    return " ".join([*words, change, *(paper if PAPER.keys() & view.repeats.keys() else [])])


def direction(metric: str) -> str:
    """Which way a metric is better.

    Example:
        >>> direction("kl")
        'lower'
    """
    return "higher" if METRICS[metric].higher_is_better else "lower"


def derived(evidence: Evidence) -> list[str]:
    """Which arms have no heads of their own."""
    words = [f"{name} has {form.source}" for name, form in evidence.arms.items() if form.derived_from is not None]
    return [f"Nothing was searched or trained for an arm that is derived: {'; '.join(words)}."] if words else []


def t_test(view: View) -> str:
    """Which t-test a view's p-values are of."""
    return "paired t-test" if view.name == "fixed" else "paired t-test corrected for splits that share items"


YARDSTICKS = (
    "KL in nats of two answers that look at no item, and of a perfect model, which is still charged because annotators "
    "are finite (range over Dirichlet mixtures of different sizes). Ceiling: the entropy correlation of a perfect "
    "model, over the same mixtures, and from halves of the annotators. Entropy error of a constant: of one entropy for "
    "all items, often better than any model's."
)
MEANING = (
    "In brackets 95% intervals. KL = overconfidence + vagueness. Achieved: 0% at the class marginal, 100% at the floor."
    " Worth: as many annotators, drawn anew, predict the others as well as the model does. Saved: annotations an item "
    "that the model saves beside one annotator. Without brackets: some runs stand at an end of what could be measured. "
    "Sets: prediction sets that are to hold 90% of the annotators' answers; "
    "share held and mean number of classes. Reliability error: mean gap of predicted probability and annotators' share."
)
PEERS = (
    "Means under the names of their authors: DistCE, EntCE and RankCS (Baan et al. 2022), Manhattan and Wasserstein "
    "distance (LeWiDi 2025, the latter for ordered classes), PO-JSD and soft accuracy (Kurniawan et al. 2025). DistCE "
    "is total variation and half the Manhattan distance, soft accuracy is 1 - DistCE, and EntCE is the entropy error."
)
SLICES = (
    "In brackets 95% intervals over seeds and items. Slices by entropy or majority class are chosen by the annotators "
    "who also judge: read a slice against the same slice of another arm."
)
GROUPS = (
    "The item's distribution from the annotations of one group alone, for items that someone of it annotated; in "
    "brackets 95% intervals over seeds and items, for a perfect model the range over mixtures. The fewer annotations, "
    "the higher is KL and the lower are entropy correlation and soft accuracy, whatever the model. Distance: squared, "
    "from the group's distribution, estimated without that bias over items with two annotations of the group, so that "
    "by chance it may fall below 0. Less that from the others: over items with two annotations of both sides; below 0 "
    "the head is nearer to this group, and where the interval holds 0 nothing is told apart. Intervals are not "
    "adjusted for the number of groups. Annotators were not drawn at random into groups: what goes with a group may "
    "be the cause. The table's CSV file has every arm."
)
LEAKAGE = (
    "Alike: the same input but for case, punctuation and blanks; near duplicates by words and pairs of words (cosine "
    "of at least 0.9); pairs with the same first text. Found in texts and in equal pictures."
)
TIES = (
    "The same predictions, judged by four rules. What a hard head would have learnt under another rule is not told by "
    "its predictions."
)
CLAIMS = (
    "What is left of the paper's claims when the hard head gets one temperature, fitted to the annotators of the "
    "validation items. Survives: better also beside that. Holds: no loss was found. Tests are adjusted by Holm's "
    "method over this table; nothing is called better or worse where the interval holds 0."
)


def few_items(rows: Sequence[Row]) -> list[str]:
    """Which groups of annotators are counted and not judged.

    Args:
        rows: Of the table of groups.
    """
    few = {f"{row['group']} ({row['annotators_by']}, {row['dataset']})" for row in rows if row["kl"] is None}
    return [f"Not judged, fewer than {LEAST_ITEMS} test items: {listed(sorted(few))}."] if few else []


def added(arms: Sequence[str]) -> list[str]:
    """Which arms the report added.

    Args:
        arms: Their names.
    """
    if not arms:
        return []
    what = "is no arm" if len(arms) == 1 else "are no arms"
    how = "derived by this report: one temperature, fitted to the annotators of the validation items"
    return [f"{listed(arms)} {what} of the experiment but {how}."]
