"""Evidence to report: which sections hold which tables and figures."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from soft_labels.experiment.budget import Budget
from soft_labels.report.arm_figures import effect_figure, entropy_scatter, reliability_figure
from soft_labels.report.budget_figure import budget_figure
from soft_labels.report.chart_figures import entropy_figure, loss_figure
from soft_labels.report.content import Figure, Report, Section, Table
from soft_labels.report.evidence import Evidence
from soft_labels.report.formats import listed
from soft_labels.report.item_figures import median_figure, same_class_figure, spread_figure
from soft_labels.report.ladder import ladder_figure
from soft_labels.report.paper import CITATION, DISAGREEMENTS, PAPER
from soft_labels.report.reading import (
    across_sentences,
    further_sentences,
    metric_sentences,
    paper_sentences,
    scope_sentence,
    setting_sentence,
)
from soft_labels.report.summary import Summary, summarise
from soft_labels.report.tables import dataset_table, hyperparameter_table, sampler_table
from soft_labels.report.view_tables import alignment_table, further_table, result_table, test_table
from soft_labels.report.views import View, make_views
from soft_labels.runs.record import RunRecord

Part = TypeVar("Part", Table, Figure, Table | Figure)
_NAMED = 4  # arms of a title
_VIEW_TITLES = {"fixed": "Fixed split, many seeds", "redrawn": "Redrawn splits"}


def build_report(evidence: Evidence, budgets: Mapping[str, Budget]) -> Report:
    """The whole report; it depends on nothing but what it is given.

    Args:
        evidence: The records that an experiment names.
        budgets: By data set, what heads reach that learn from a few annotators of each item; none where none were made.
    """
    views, summary = make_views(evidence), summarise(evidence)
    sections = [
        Section("Effects", [setting_sentence(evidence)], _present([effect_figure(evidence, views)])),
        Section(
            "Entropies and probabilities",
            parts=[entropy_scatter(evidence, summary), reliability_figure(evidence, summary)],
        ),
        *_budget_section(evidence, budgets),
        Section("Training", parts=[loss_figure(evidence)]),
        Section(
            "Single items",
            parts=_present([same_class_figure(evidence), median_figure(evidence), spread_figure(evidence)]),
        ),
        Section("Reading", _reading(views)),
        Section(
            "Data and search",
            parts=_present(
                [
                    entropy_figure(evidence),
                    dataset_table(evidence),
                    hyperparameter_table(evidence),
                    sampler_table(evidence),
                ]
            ),
        ),
        *(Section(_VIEW_TITLES[view.name], [scope_sentence(view)], _view_tables(evidence, view)) for view in views),
        *_paper_section(evidence),
        Section("How these runs were made", _making(evidence)),
    ]
    return Report(_title(evidence), _lead(summary), ladder_figure(evidence, summary), sections)


def _title(evidence: Evidence) -> str:
    """What is compared with what; many arms are counted."""
    arms = listed(evidence.compared) if len(evidence.compared) <= _NAMED else f"{len(evidence.compared)} arms"
    compared = f"{arms} against {evidence.baseline}" if evidence.compared else evidence.baseline
    return f"{compared[:1].upper()}{compared[1:]}: {evidence.name}"


def _budget_section(evidence: Evidence, budgets: Mapping[str, Budget]) -> list[Section]:
    """How many annotators are enough, where it was tried."""
    figure = budget_figure(evidence, budgets)
    return [] if figure is None else [Section("Annotators", parts=[figure])]


def _lead(summary: Summary) -> list[str]:
    """What a reader should take away, a sentence a data set."""
    return [one.name for one in summary.sets]


def _reading(views: list[View]) -> list[str]:
    """The short version: what was done, what each view shows, and how far it goes."""
    return [
        *(
            f"{_VIEW_TITLES[view.name]}. {sentence}"
            for view in views
            for sentence in [*metric_sentences(view), *further_sentences(view)]
        ),
        *across_sentences(views),
        *paper_sentences(views[0]),
    ]


def _view_tables(evidence: Evidence, view: View) -> list[Table]:
    """Tables 3 and 4, the tests in full and further metrics."""
    make = (result_table, test_table, alignment_table, further_table)
    return _present([table(evidence, view) for table in make])


def _present(parts: Sequence[Part | None]) -> list[Part]:
    """The tables and figures that have something to show."""
    return [part for part in parts if part is not None]


def _paper_section(evidence: Evidence) -> list[Section]:
    """The paper and where its numbers disagree, if any data set is the paper's."""
    if not any(one.name in PAPER for one in evidence.sets):
        return []
    source = f"The columns headed by paper are from {CITATION}; its standard deviations are over 10 seeds."
    return [Section("The paper's numbers", [source, *DISAGREEMENTS])]


def _making(evidence: Evidence) -> list[str]:
    """Versions behind the runs, and how the splits were drawn, as the records say it."""
    records = [record for one in evidence.sets for runs in one.fixed.records.values() for record in runs]
    engines = sorted({record.engine for record in records})
    splits = [f"{one.name}: {_split_in_words(next(iter(one.best.values())))}" for one in evidence.sets]
    made_by = sorted({json.dumps(record.environment, sort_keys=True) for record in records})
    return [
        f"Engine of the repeats: {listed(engines)}. Fixed splits: {'; '.join(splits)}.",
        *(f"Made with {_environment_in_words(text)}." for text in made_by),
        "This page is a function of the run records: soft-labels report writes the same bytes from the same records.",
    ]


def _split_in_words(record: RunRecord) -> str:
    """How a split was drawn."""
    split = record.data["split"]
    if "given" in split:
        return "given, not drawn"
    ratios = "/".join(f"{ratio:g}" for ratio in split["ratios"])
    by = f"{split['stratified_by']}, ties to {record.data['tie']}"
    return f"train/val/test {ratios}, stratified by {by}, seed {split['seed']}"


def _environment_in_words(text: str) -> str:
    """Versions and machine."""
    values = json.loads(text)
    machine = values.pop("machine")
    versions = ", ".join(f"{name} {version}" for name, version in values.items() if version)
    return f"{versions}, on {machine['system']}, {machine['accelerator'] or 'CPU'}"
