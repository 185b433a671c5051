"""Evidence to report: which sections hold which tables and figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from soft_labels.experiment.budget import Budget
from soft_labels.report.arm_figures import effect_figure, entropy_scatter, reliability_figure
from soft_labels.report.budget_figure import budget_figure
from soft_labels.report.chart_figures import entropy_figure, loss_figure
from soft_labels.report.content import Figure, Report, Section, Table
from soft_labels.report.evidence import Evidence
from soft_labels.report.fails_tables import group_table, leakage_table, slice_table, tie_table
from soft_labels.report.formats import listed
from soft_labels.report.item_figures import median_figure, same_class_figure, spread_figure
from soft_labels.report.ladder import ladder_figure
from soft_labels.report.paper import CITATION, DISAGREEMENTS, PAPER
from soft_labels.report.reading import (
    across_sentences,
    paper_sentences,
    scope_sentence,
    setting_sentence,
)
from soft_labels.report.sentences import claim_sentences, set_sentence
from soft_labels.report.summary import Summary
from soft_labels.report.summary_file import summary_json
from soft_labels.report.tables import dataset_table, hyperparameter_table, sampler_table
from soft_labels.report.trust_tables import ViewName, claim_table, meaning_table, peer_table, yardstick_table
from soft_labels.report.view_tables import alignment_table, further_table, result_table, test_table
from soft_labels.report.views import View
from soft_labels.runs.record import RunRecord

_NAMED = 4  # arms of a title
_VIEW_TITLES: dict[ViewName, str] = {"fixed": "Fixed split, many seeds", "redrawn": "Redrawn splits"}
# The paper's figures 1 to 5, by the names that they have here.
_OF_THE_PAPER = ("spread", "same_class", "histogram", "training", "median")


_FAILING = (slice_table, group_table, leakage_table, tie_table)


def build_report(evidence: Evidence, views: Sequence[View], summary: Summary, budgets: Mapping[str, Budget]) -> Report:
    """The whole report; it depends on nothing but what it is given.

    Args:
        evidence: The records that an experiment names.
        views: Of the evidence.
        summary: What its numbers mean.
        budgets: By data set, what heads reach that learn from a few annotators of each item; none where none were made.
    """
    picture = ladder_figure(evidence, summary)
    pictures = _pictures(evidence, summary, budgets)
    numbers = {figure.name: place for place, figure in enumerate([picture, *_figures(pictures)], start=1)}
    sections = [
        *pictures,
        Section("What the numbers mean", parts=_meaning_tables(summary)),
        Section("Where heads fail", parts=_present([table(evidence) for table in _FAILING])),
        Section("Seeds and splits", _reading(views)),
        _main_tables(evidence, views, numbers),
        *(Section(_VIEW_TITLES[view.name], [scope_sentence(view)], _view_tables(evidence, view)) for view in views),
        *_search_section(evidence),
        Section("How these runs were made", _making(evidence)),
    ]
    lead = [set_sentence(summary, one) for one in summary.sets]
    return Report(_title(evidence), lead, picture, _once(sections), summary_json(summary))


def _once(sections: Sequence[Section]) -> list[Section]:
    """The same with each note below the first table that has it, and a pointer to that below the others."""
    under: dict[str, str] = {}
    return [
        replace(one, parts=[_noted(part, under) if isinstance(part, Table) else part for part in one.parts])
        for one in sections
    ]


def _noted(table: Table, under: dict[str, str]) -> Table:
    """A table without the notes that stand below others, which are written down by note."""
    elsewhere = list(dict.fromkeys(under[note] for note in table.notes if note in under))
    fresh = [note for note in table.notes if note not in under]
    under |= dict.fromkeys(fresh, table.title)
    pointer = [f"More to know stands below: {'; '.join(elsewhere)}."] if elsewhere else []
    return replace(table, notes=[*fresh, *pointer])


def _title(evidence: Evidence) -> str:
    """What is compared with what; many arms are counted."""
    arms = listed(evidence.compared) if len(evidence.compared) <= _NAMED else f"{len(evidence.compared)} arms"
    compared = f"{arms} against {evidence.baseline}" if evidence.compared else evidence.baseline
    return f"{compared[:1].upper()}{compared[1:]}: {evidence.name}"


def _pictures(evidence: Evidence, summary: Summary, budgets: Mapping[str, Budget]) -> list[Section]:
    """Every figure after the first, under a heading for each question."""
    found: dict[str, tuple[Sequence[str], Sequence[Figure | None]]] = {
        "Effects": (
            [*claim_sentences(summary), setting_sentence(evidence)],
            [effect_figure(evidence, summary)],
        ),
        "Entropies and probabilities": (
            [],
            [entropy_scatter(evidence, summary), reliability_figure(evidence, summary)],
        ),
        "How many annotators": ([], [budget_figure(evidence, budgets)]),
        "Training": ([], [loss_figure(evidence)]),
        "Single items": ([], [same_class_figure(evidence), median_figure(evidence), spread_figure(evidence)]),
        "How much annotators disagree": ([], [entropy_figure(evidence)]),
    }
    shown = {title: (words, _present(figures)) for title, (words, figures) in found.items()}
    return [Section(title, words, figures) for title, (words, figures) in shown.items() if figures]


def _figures(sections: Sequence[Section]) -> list[Figure]:
    """The figures of some sections."""
    return [part for section in sections for part in section.parts if isinstance(part, Figure)]


def _meaning_tables(summary: Summary) -> list[Table]:
    """Yardsticks, every arm between them, what is left of the paper's claims, and the metrics of peers."""
    return _present(
        [
            yardstick_table(summary),
            *(meaning_table(summary, view) for view in _VIEW_TITLES),
            *(claim_table(summary, view) for view in _VIEW_TITLES),
            peer_table(summary),
        ]
    )


def _reading(views: Sequence[View]) -> list[str]:
    """How far the views agree, with each other and with the paper."""
    return [*across_sentences(list(views)), *paper_sentences(views[0])]


def _main_tables(evidence: Evidence, views: Sequence[View], numbers: Mapping[str, int]) -> Section:
    """Tables 1 to 4, with the paper's numbers beside ours where the data are the paper's."""
    of_views = [table(evidence, view) for table in (result_table, alignment_table) for view in views]
    tables = _present([dataset_table(evidence), hyperparameter_table(evidence), *of_views])
    if not any(one.name in PAPER for one in evidence.sets):
        return Section("Tables", parts=tables)
    source = f"The columns headed by paper are from {CITATION}; its standard deviations are over 10 seeds."
    where = [f"its Figure {place} is Figure {numbers[name]}" for place, name in _numbered_of_paper(numbers)]
    figures = [f"The paper's figures, drawn from these runs: {listed(where)}."] if where else []
    return Section("Beside the paper", [source, *figures, *DISAGREEMENTS], tables)


def _numbered_of_paper(numbers: Mapping[str, int]) -> list[tuple[int, str]]:
    """The paper's figures that this report has."""
    return [(place, name) for place, name in enumerate(_OF_THE_PAPER, start=1) if name in numbers]


def _view_tables(evidence: Evidence, view: View) -> list[Table]:
    """The tests in full and further metrics."""
    return _present([test_table(evidence, view), further_table(evidence, view)])


def _search_section(evidence: Evidence) -> list[Section]:
    """What each sampler found, where there was a search."""
    table = sampler_table(evidence)
    return [] if table is None else [Section("Search", parts=[table])]


Part = TypeVar("Part", Table, Figure)


def _present(parts: Sequence[Part | None]) -> list[Part]:
    """Those that have something to show."""
    return [part for part in parts if part is not None]


def _making(evidence: Evidence) -> list[str]:
    """Versions behind the runs, and how the splits were drawn, as the records say it."""
    records = [record for one in evidence.sets for runs in one.fixed.records.values() for record in runs]
    engines = sorted({record.engine for record in records})
    splits = [f"{one.name}: {_split_in_words(next(iter(one.best.values())))}" for one in evidence.sets]
    made_by = sorted({json.dumps(record.environment, sort_keys=True) for record in records})
    return [
        f"Engine of the repeats: {listed(engines)}. Fixed splits: {'; '.join(splits)}.",
        *(f"Made with {_environment_in_words(text)}." for text in made_by),
        "This page is a function of the run records: soft-labels report writes the same numbers from the same records.",
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
