"""What stands below the tables: what was measured on what, and how."""

from soft_labels.report.evidence import Evidence
from soft_labels.report.formats import count, listed
from soft_labels.report.paper import PAPER
from soft_labels.report.views import ALPHA, View

DATASETS = (
    "Measured on all items. Entropy of the annotations divided by log C; mean ± standard deviation over items. Tied "
    "items have no single majority class."
)
HYPERPARAMETERS = (
    "Chosen by the lowest validation loss of each target's own search, never by test. Validation losses are "
    "cross-entropies with each target's own labels, nats, and do not compare across targets. Epochs count from 1."
)
SAMPLERS = (
    "Measured on the validation split, nats; test plays no part. Above the lowest: the distance to the best trial of "
    "any sampler on the same data set and target."
)
OVERLAP = (
    "Redrawn splits share items, so their results are not independent and the plain t-test and Wilcoxon p-values are "
    "too small; the corrected t-test widens the variance by test / train items (Nadeau and Bengio 2003)."
)
_ALIGNMENT = (
    "KL is D(annotations || model), natural logarithm; lower is better. Entropy correlation: Pearson's, over all test "
    "items, between the entropy of the annotations and that of the model; higher is better. Change: (soft - hard) / "
    "hard of the means, not given where hard is not above 0; the last row is the mean of the changes."
)
FURTHER = "Mean ± sample standard deviation (n - 1); not tested."


def measured_on(evidence: Evidence, view: View) -> str:
    """What a view's tables were measured on."""
    encoders = {one.name: one.part.encoder for one in evidence.sets}
    parts = [f"{name}: {_test_sizes(view, name)}, {view.repeated(name)}, {encoders[name]}" for name in view.repeats]
    return f"Measured on the test split. {'; '.join(parts)}."


def _test_sizes(view: View, dataset: str) -> str:
    """The number of test items."""
    sizes = sorted({len(scores.uids) for scores in view.repeats[dataset].items["soft"]})
    return count(sizes[0], "item") if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} items"


def other_encoder(evidence: Evidence) -> list[str]:
    """Whether the paper's numbers can be expected: nothing to say where the encoder is the paper's."""
    names = [one.name for one in evidence.sets if one.name in PAPER and PAPER[one.name].encoder not in one.part.encoder]
    if not names:
        return []
    return [f"The encoder of {listed(names)} is not the paper's: the numbers are not expected to equal the paper's."]


def results(evidence: Evidence, view: View) -> str:
    """How Table 3 is to be read."""
    majority = listed(sorted({one.best["soft"].data["split"]["stratified_by"] for one in evidence.sets}))
    return (
        f"Accuracy against the {majority}. KL is D(annotations || model), natural logarithm. Mean ± sample standard "
        f"deviation (n - 1). p: {t_test(view)}, not adjusted for the number of tests. Significant: p "
        f"below {ALPHA} after Holm's method; in brackets whether soft is better or worse. Bold: the better mean."
    )


def tests(view: View) -> str:
    """How the table of tests is to be read."""
    drawn = "seeds and test items" if view.name == "fixed" else "splits and the test items of each"
    return (
        f"Interval: bootstrap over {drawn}, the same draws for both targets. Holm: {t_test(view)}, adjusted over the "
        f"{count(len(view.comparisons), 'test')} of this table. Wilcoxon: exact signed-rank test. d_z: mean of the "
        "differences divided by their standard deviation. Accuracy is a share here, not percent."
    )


def alignment(view: View) -> str:
    """How Table 4 is to be read."""
    if not PAPER.keys() & view.repeats.keys():
        return _ALIGNMENT
    return f"{_ALIGNMENT} The paper's changes are computed from its Table 4 in the same way."


def t_test(view: View) -> str:
    """Which t-test a view's p-values are of."""
    return "paired t-test" if view.name == "fixed" else "paired t-test corrected for splits that share items"
