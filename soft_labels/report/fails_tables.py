"""Where heads fail: metrics by slices of items and of annotators, without items that stand in train, by tie rule."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from soft_labels.report import notes
from soft_labels.report.columns import ends_column, integer, text
from soft_labels.report.content import Row, Table
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.paired import Floats
from soft_labels.report.summary_file import ends, kept
from soft_labels.trust.groups import agreement, annotator_groups
from soft_labels.trust.intervals import Interval
from soft_labels.trust.leakage import in_train, leakage
from soft_labels.trust.slices import Slice, annotator_numbers, by_slice, column_names, entropy_bins, majority_classes
from soft_labels.trust.ties import tie_sensitivity

_SHOWN = ("kl", "overconfidence", "entropy_corr", "accuracy")
_RULES = ("lowest", "highest", "random", "drop")


def slice_table(evidence: Evidence) -> Table:
    """The pair of arms that sentences name, by entropy, class, annotators and the user's columns.

    Args:
        evidence: The records that an experiment names.
    """
    return Table(
        name="slices",
        title="Where heads fail: slices of the test items, fixed split",
        rows=[row for one in evidence.sets for row in _slice_rows(one, evidence.pair)],
        columns=[
            text("Data set", "dataset"),
            text("Sliced by", "sliced_by"),
            text("Slice", "slice"),
            integer("Items", "items"),
            text("Arm", "arm"),
            ends_column("KL", "kl", 3),
            ends_column("Overconfidence", "overconfidence", 3),
            ends_column("Entropy corr.", "entropy_corr", 2),
            ends_column("Accuracy %", "accuracy", 1, scale=100),
        ],
        notes=[notes.SLICES],
    )


def group_table(evidence: Evidence) -> Table | None:
    """Every arm against each group of annotators; nothing where nothing is known about the annotators.

    Args:
        evidence: The records that an experiment names.
    """
    rows = [row for one in evidence.sets for row in _group_rows(one, [*evidence.arms, *evidence.added])]
    if not rows:
        return None
    return Table(
        name="annotator-groups",
        title="Whom the heads agree with: groups of annotators, fixed split",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            text("Annotators by", "annotators_by"),
            text("Group", "group"),
            integer("Items", "items"),
            integer("Annotations", "annotations"),
            text("Arm", "arm"),
            ends_column("Distance", "distance", 3),
            ends_column("less that from the others", "beside_others", 3, signed=True),
            ends_column("KL", "kl", 3),
            ends_column("KL perfect model", "floor", 3),
            ends_column("Soft accuracy", "soft_accuracy", 3),
            ends_column("Entropy corr.", "entropy_corr", 2),
        ],
        notes=[notes.GROUPS, *notes.few_items(rows)],
        shown=[row for row in rows if row["arm"] in evidence.pair],
    )


def leakage_table(evidence: Evidence) -> Table | None:
    """Metrics with and without test items that have their like in train; nothing where the records do not tell.

    Args:
        evidence: The records that an experiment names.
    """
    rows = [row for one in evidence.sets for row in _leakage_rows(one, evidence.pair)]
    if not rows:
        return None
    return Table(
        name="leakage",
        title="Test items that have their like in train, fixed split",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            text("Alike", "kind"),
            integer("Test items", "items"),
            integer("In train", "leaking"),
            text("Arm", "arm"),
            ends_column("KL of all", "kl", 3),
            ends_column("KL without them", "kl_without", 3),
            ends_column("Entropy corr. of all", "entropy_corr", 2),
            ends_column("Entropy corr. without", "entropy_corr_without", 2),
        ],
        notes=[notes.LEAKAGE],
    )


def tie_table(evidence: Evidence) -> Table | None:
    """Accuracy under each rule for ties; nothing where no majority is tied.

    Args:
        evidence: The records that an experiment names.
    """
    rows = [row for one in evidence.sets for row in _tie_rows(one, evidence.pair)]
    if not rows:
        return None
    titles = {"lowest": "First of the tied", "highest": "Last", "random": "By lot", "drop": "Without tied items"}
    return Table(
        name="ties",
        title="Accuracy % by the rule for tied majorities, fixed split",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            integer("Test items", "items"),
            integer("Tied", "tied"),
            text("Arm", "arm"),
            *(ends_column(title, rule, 1, scale=100) for rule, title in titles.items()),
        ],
        notes=[notes.TIES],
    )


def _log_pred(one: SetEvidence, arm: str) -> Floats:
    """``[S, N, C]`` predictions for the test items."""
    found: Floats = np.stack([judged.logits.log_softmax(-1).numpy() for judged in one.fixed.judged[arm]])
    return found


def _counts(one: SetEvidence) -> Floats:
    """``[N, C]`` of the test items."""
    return one.fixed.counts[0].test


def _majority(one: SetEvidence, arm: str) -> Floats:
    """``[N]`` majority classes by the data's own rule for ties."""
    found: Floats = one.fixed.judged[arm][0].majority_label.numpy()
    return found


def _slices(one: SetEvidence, arm: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Names of the slices of every item, by what it is sliced by."""
    counts = _counts(one)
    yield "entropy of annotations", entropy_bins(counts)
    yield "majority class", majority_classes(counts, one.index.class_names, _majority(one, arm))
    if len(set(numbers := annotator_numbers(counts))) > 1:
        yield "annotators", numbers
    for name, values in one.observed["test"].about.items():
        yield name, column_names(values)


def _slice_rows(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Every slice of one data set, arm beside arm."""
    found: dict[str, dict[str, Mapping[str, Slice]]] = {}
    for arm in arms:
        for sliced_by, names in _slices(one, arm):
            slices = by_slice(_counts(one), _log_pred(one, arm), names, majority=_majority(one, arm))
            found.setdefault(sliced_by, {})[arm] = {each.name: each for each in slices}
    return [
        _row(
            one,
            {"sliced_by": sliced_by, "slice": name, "items": by_arm[arm][name].items},
            arm,
            _ends(by_arm[arm][name]),
        )
        for sliced_by, by_arm in found.items()
        for name in sorted(by_arm[arms[0]])
        for arm in arms
    ]


def _group_rows(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Every group of annotators of one data set, arm beside arm."""
    parts = [one.observed[part].by_group for part in ("test", "train", "val")]
    groups = [
        (column, group)
        for column, counts in parts[0].items()
        for group in annotator_groups(
            counts, {name: np.concatenate([part[column][name] for part in parts[1:]]) for name in counts}
        )
    ]
    return [
        _row(
            one,
            {
                "annotators_by": column,
                "group": group.name,
                "items": group.items,
                "annotations": _count(group.annotations),
            },
            arm,
            {**_of("floor", group.floor), **_all_of(agreement(group, _log_pred(one, arm)))},
        )
        for column, group in groups
        for arm in arms
    ]


def _leakage_rows(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Every kind of likeness of one data set, arm beside arm."""
    test, train = one.observed["test"], one.observed["train"]
    marks = {kind: in_train(groups, train.duplicates[kind]) for kind, groups in test.duplicates.items()}
    return [
        _row(
            one,
            {"kind": found.kind.replace("_", " "), "items": found.items, "leaking": found.leaking},
            arm,
            {**_ends(found.every), **_ends(found.without, "_without")},
        )
        for arm in arms
        for found in leakage(_counts(one), _log_pred(one, arm), marks, majority=_majority(one, arm))
    ]


def _tie_rows(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """One data set, arm by arm."""
    found = {arm: tie_sensitivity(_counts(one), _log_pred(one, arm)) for arm in arms}
    return [
        _row(
            one, {"items": ties.items, "tied": ties.tied}, arm, _all_of({rule: getattr(ties, rule) for rule in _RULES})
        )
        for arm, ties in found.items()
        if ties.tied
    ]


def _row(one: SetEvidence, told: Row, arm: str, values: Row) -> Row:
    """What an arm reaches on some of a data set."""
    return {"dataset": one.name, **told, "arm": arm, **values}


def _ends(one: Slice | None, ending: str = "") -> Row:
    """The metrics that are shown of a slice; nothing where it has no items."""
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    return _all_of({f"{name}{ending}": nothing if one is None else one.values[name] for name in _SHOWN})


def _count(annotations: float) -> int | float | None:
    """A number of annotations, which weights may make no whole one."""
    return int(annotations) if annotations.is_integer() else kept(annotations)


def _all_of(found: Mapping[str, Interval]) -> Row:
    """Intervals as values of a row."""
    return {key: value for name, one in found.items() for key, value in _of(name, one).items()}


def _of(name: str, found: Interval) -> Row:
    """An interval as values of a row."""
    return {**ends(name, found.value, found.low, found.high)}
