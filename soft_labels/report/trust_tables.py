"""What the numbers mean, as tables: yardsticks of the data, each arm between them, peers' metrics, claims."""

from collections.abc import Sequence
from typing import Literal

from soft_labels.metrics import METRICS
from soft_labels.report import notes
from soft_labels.report.claims import Claim
from soft_labels.report.columns import as_float, decimal, ends_column, integer, p_column, text
from soft_labels.report.content import Column, Row, Table
from soft_labels.report.formats import NOT_DEFINED, number
from soft_labels.report.summary import ArmSummary, SetSummary, Summary
from soft_labels.report.summary_file import ends, kept, kept_p
from soft_labels.trust.report import TrustReport

ViewName = Literal["fixed", "redrawn"]
_TITLES: dict[ViewName, str] = {"fixed": "fixed split", "redrawn": "redrawn splits"}
_PEERS = {
    "dist_ce": "DistCE", "ent_ce": "EntCE", "rank_cs": "RankCS", "manhattan": "Manhattan", "wasserstein": "Wasserstein",
    "po_jsd": "PO-JSD", "soft_accuracy": "Soft accuracy",
}  # fmt: skip
_MEANING = (
    "kl", "overconfidence", "vagueness", "share_of_achievable", "entropy_corr", "accuracy", "worth", "set_share",
    "set_size", "reliability_error",
)  # fmt: skip


def yardstick_table(summary: Summary) -> Table:
    """What each data set allows, whatever the model.

    Args:
        summary: What is told.
    """
    return Table(
        name="yardsticks",
        title="What the data allow, whatever the model",
        rows=[_yardstick_row(one, view, trust) for one in summary.sets for view, trust in _views(_first(one)).items()],
        columns=[
            text("Data set", "dataset"),
            text("On", "view"),
            integer("Test items", "items"),
            decimal("Annotators an item", "annotators", 1),
            decimal("KL uniform", "uniform", 3),
            decimal("KL class marginal", "marginal", 3),
            ends_column("KL perfect model", "floor", 3),
            _range_column("Entropy corr. perfect model", "ceiling"),
            decimal("from halves", "ceiling_split_half", 2),
            decimal("Entropy error of a constant", "constant_entropy_error", 3),
        ],
        notes=[notes.YARDSTICKS],
    )


def _first(one: SetSummary) -> ArmSummary:
    """Any arm knows the yardsticks."""
    return next(iter(one.arms.values()))


def _views(arm: ArmSummary) -> dict[ViewName, TrustReport]:
    """An arm's reports by view."""
    return {"fixed": arm.fixed} if arm.redrawn is None else {"fixed": arm.fixed, "redrawn": arm.redrawn}


def _yardstick_row(one: SetSummary, view: ViewName, trust: TrustReport) -> Row:
    """One data set."""
    names = ("annotators", "uniform", "marginal", "floor", "floor_low", "floor_high", "ceiling_low", "ceiling_high",
             "ceiling_split_half")  # fmt: skip
    values: Row = {name: kept(getattr(trust, name)) for name in names}
    constant = {"constant_entropy_error": kept(trust.ent_ce_constant)}
    return {"dataset": one.name, "view": _TITLES[view], "items": trust.items, **values, **constant}


def _range_column(title: str, name: str) -> Column:
    """Both ends of a range without a middle."""

    def cell(row: Row) -> str:
        low, high = (number(as_float(row[f"{name}_{end}"]), 2) for end in ("low", "high"))
        return low if low == high else f"{low} to {high}"

    return Column(title, cell)


def meaning_table(summary: Summary, view: ViewName) -> Table | None:
    """Every arm between the yardsticks; nothing where the view has no arm.

    Args:
        summary: What is told.
        view: Which.
    """
    rows = [
        _meaning_row(one, arm, trust)
        for one in summary.sets
        for arm in one.arms.values()
        if (trust := _views(arm).get(view)) is not None
    ]
    if not rows:
        return None
    return Table(
        name=f"meaning-{view}",
        title=f"What the numbers mean, {_TITLES[view]}",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            text("Arm", "arm"),
            ends_column("KL", "kl", 3),
            ends_column("Overconfidence", "overconfidence", 3),
            ends_column("Vagueness", "vagueness", 3),
            ends_column("Achieved %", "share_of_achievable", 0, scale=100),
            ends_column("Entropy corr.", "entropy_corr", 2),
            ends_column("Accuracy %", "accuracy", 1, scale=100),
            _worth_column(),
            _saved_column(),
            ends_column("Sets hold %", "set_share", 0, scale=100),
            ends_column("Set size", "set_size", 2),
            ends_column("Reliability error", "reliability_error", 3),
        ],
        notes=[notes.MEANING, *notes.added(_added(summary))],
    )


def _added(summary: Summary) -> list[str]:
    """Names of the arms that the report added."""
    return [name for name, arm in summary.sets[0].arms.items() if arm.added]


def _meaning_row(one: SetSummary, arm: ArmSummary, trust: TrustReport) -> Row:
    """One arm."""
    row: Row = {"dataset": one.name, "arm": arm.name, "added": int(arm.added), "runs": trust.seeds}
    for name in _MEANING:
        row |= ends(name, getattr(trust, name), getattr(trust, f"{name}_low"), getattr(trust, f"{name}_high"))
    saved = (trust.prior_saved, trust.prior_saved_low, trust.prior_saved_high)
    first = [values[0] for values in saved] if trust.prior_saved else [float("nan")] * 3
    reach = trust.prior_reach[0] if trust.prior_reach else "unknown"
    return {**row, **ends("saved", *first), "saved_reach": reach, "worth_reach": trust.worth_reach}


def _worth_column() -> Column:
    """Worth in annotators; beyond the ladder it is said so."""
    inner = ends_column("Worth", "worth", 1)

    def cell(row: Row) -> str:
        words = {"below": "below 0", "above": f"above {number(as_float(row['worth']), 0)}", "unknown": NOT_DEFINED}
        return words.get(str(row["worth_reach"]), inner.cell(row))

    return Column("Worth", cell)


def _saved_column() -> Column:
    """Annotations saved; what could be measured may end there."""
    inner, words = ends_column("Saved", "saved", 1), {"above": "at least ", "below": "at most "}
    return Column("Saved", lambda row: words.get(str(row["saved_reach"]), "") + inner.cell(row))


def peer_table(summary: Summary) -> Table:
    """Other authors' metrics under their own names, on the fixed split.

    Args:
        summary: What is told.
    """
    shown = {
        name: title
        for name, title in _PEERS.items()
        if any(kept(getattr(arm.fixed, name)) is not None for one in summary.sets for arm in one.arms.values())
    }
    return Table(
        name="peers",
        title="Metrics of other authors, fixed split",
        rows=[_peer_row(one, arm, list(shown)) for one in summary.sets for arm in one.arms.values()],
        columns=[
            text("Data set", "dataset"),
            text("Arm", "arm"),
            *(ends_column(title, name, 3) for name, title in shown.items()),
        ],
        notes=[notes.PEERS, *notes.added(_added(summary))],
    )


def _peer_row(one: SetSummary, arm: ArmSummary, names: Sequence[str]) -> Row:
    """One arm."""
    row: Row = {"dataset": one.name, "arm": arm.name}
    for name in names:
        row |= ends(name, *(getattr(arm.fixed, f"{name}{end}") for end in ("", "_low", "_high")))
    return row


def claim_table(summary: Summary, view: ViewName) -> Table | None:
    """The paper's claims without and with a temperature; nothing where they do not apply.

    Args:
        summary: What is told.
        view: Which.
    """
    claims = [claim for one in summary.sets for claim in one.claims.get(view, [])]
    if not claims:
        return None
    soft, hard, after = claims[0].plain.arm, claims[0].plain.baseline, claims[0].tempered.baseline
    return Table(
        name=f"claims-{view}",
        title=f"The paper's claims beside one temperature, {_TITLES[view]}",
        rows=[_claim_row(claim) for claim in claims],
        columns=[
            text("Data set", "dataset"),
            text("Metric", "metric"),
            ends_column(f"{soft} - {hard}", "plain", 3, signed=True),
            p_column("Holm p", "plain_p"),
            ends_column(f"{soft} - {after}", "tempered", 3, signed=True),
            p_column("Holm p", "tempered_p"),
            text("Claim", "outcome"),
        ],
        notes=[notes.CLAIMS],
    )


def _claim_row(claim: Claim) -> Row:
    """One claim."""
    row: Row = {"dataset": claim.dataset, "metric": METRICS[claim.metric].title}
    for name, one in (("plain", claim.plain), ("tempered", claim.tempered)):
        row |= {**ends(name, one.test.mean_difference, *one.interval), f"{name}_p": kept_p(one.holm_p)}
    return {**row, "outcome": claim.outcome}
