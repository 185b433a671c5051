"""``soft-labels budget``: how many annotators an item are enough."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from soft_labels.commands.arms import OF_ARMS, add_arms, arms_of, as_options, overlay_of
from soft_labels.commands.checks import check_device, check_settings
from soft_labels.commands.fit import SoftLabelCLI, show_progress
from soft_labels.commands.interrupted import keeps
from soft_labels.commands.sweep_options import base_spec, datamodule_of
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import DEFAULT_ARMS, Arms
from soft_labels.experiment.budget import FOLDER, Budget, BudgetCurve
from soft_labels.experiment.budget_runs import BudgetPlan, run_budget
from soft_labels.metrics import METRICS
from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.training.engines import EngineName, make_engine
from soft_labels.training.lightning_engine import HONOURED
from soft_labels.training.objectives import Objective
from soft_labels.training.spec import RunSpec, check_honoured

if TYPE_CHECKING:
    from rich.table import Table

_ARMS = {**DEFAULT_ARMS, "hard_t": {"from": "hard", "calibration": "temperature"}}
_OF_PLAN = ("ladder", "draws", "seeds", "price")
_SHOWN = ("kl", "entropy_corr")
_OWN = (*OF_ARMS, *_OF_PLAN, "engine", "out")


class BudgetCLI(SoftLabelCLI):
    """Parses the options of ``fit``, the arms, and how annotators are drawn; nothing is read, encoded or trained."""

    prog = "soft-labels budget"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arms, the ladder, and where it is kept."""
        super().add_arguments_to_parser(parser)
        add_arms(parser, _ARMS)
        parser.add_class_arguments(BudgetPlan)
        parser.add_argument("--engine", type=EngineName, default="population", help="what trains")
        where = "experiment or other folder; results go to its folder budget; else lightning_logs/DATASET"
        parser.add_argument("--out", type=str, help=where)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Keep these options apart from the configuration of ``fit``."""
        super().parse_arguments(parser, args)
        self.own: dict[str, Any] = {key: self.config.pop(key) for key in _OWN}

    def instantiate_classes(self) -> None:
        """Make nothing."""


def run_budget_command(arguments: list[str]) -> None:
    """``soft-labels budget``."""
    show_progress()
    rest = arguments[1:]
    cli = BudgetCLI(rest, run=False)
    check_device(cli.config)
    check_settings(cli.config)
    plan = BudgetPlan(**{key: cli.own[key] for key in _OF_PLAN})
    arms = arms_of(cli.own)
    specs = {arm.name: _spec(rest, cli, arms, arm.name) for arm in arms.trained}
    engine = make_engine(cli.own["engine"], cli.config.trainer.accelerator)
    module = datamodule_of(cli.config)
    for spec in specs.values():
        Objective(spec).check(module.ordinal)
    root = Path(cli.config.trainer.default_root_dir or ".") / "lightning_logs"
    out = Path(cli.own["out"] or root / module.dataset.name)
    keeps(out / FOLDER)
    runner = Runner(RecordStore(out / FOLDER / "records"), engine)
    budget = run_budget(runner, module.embedded, arms, specs, plan)
    print_budget(budget, budget.save(out))


def _spec(arguments: list[str], cli: BudgetCLI, arms: Arms, name: str) -> RunSpec:
    """The settings of one arm, the same for every number of annotators."""
    arm = arms[name]
    if arm.space:
        raise ConfigError(f"arm {name}: budget searches nothing; set values instead of space")
    overlay = overlay_of(arm, [*cli.config.keys()])  # a Namespace's are nested
    config = BudgetCLI([*arguments, *as_options(overlay)], run=False).config
    spec = base_spec(config, cli.parser.get_defaults())
    check_honoured(f"arm {name}", HONOURED, spec)
    return spec


def print_budget(budget: Budget, path: Path) -> None:
    """Print a table for each metric that is shown, what the numbers depend on, and where they are.

    Args:
        budget: What was found.
        path: Where it was written.
    """
    from rich.console import Console

    console = Console()
    for metric in _SHOWN:
        console.print(_table(budget, metric))
    for line in _notes(budget):
        console.print(line, highlight=False)
    written = f"written: {path} and {path.with_suffix('.csv').name} beside it, with {', '.join(budget.metrics)}"
    console.print(written, highlight=False, soft_wrap=True)


def _table(budget: Budget, metric: str) -> "Table":
    """A row for each number of annotators, a column for each arm."""
    from rich.table import Table

    row, base = METRICS[metric], budget.baseline
    title = f"{budget.dataset}: {row.title} {'↑' if row.higher_is_better else '↓'}, then less {base}; 95%"
    table = Table(title=title, title_justify="left", show_lines=True)
    cost = "" if budget.money is None else "\nmoney"
    for heading in ("annotators", f"annotations{cost}", *budget.arms):
        table.add_column(heading, justify="right", no_wrap=True)
    for step, number in enumerate(budget.annotators):
        paid = "" if budget.money is None else f"\n{budget.money[step]:,.2f}"
        cells = [_cell(budget, arm, metric, step) for arm in budget.arms]
        table.add_row(str(number), f"{budget.annotations[step]:,}{paid}", *cells)
    return table


def _cell(budget: Budget, arm: str, metric: str, step: int) -> str:
    """A value and, below it, how it differs from the baseline's, each with its interval."""
    own = _with_ends(budget.curve(arm, metric), step)
    if arm == budget.baseline:
        return own
    return f"{own}\n{_with_ends(budget.curve(arm, metric, budget.baseline), step)}"


def _with_ends(curve: BudgetCurve, step: int) -> str:
    """A value, and below it its interval."""
    sign = "" if curve.less is None else "+"
    if not np.isfinite(curve.values[step]):
        return "not defined"
    return f"{curve.values[step]:{sign}.3f}\n{curve.low[step]:{sign}.2f}..{curve.high[step]:{sign}.2f}"


def _notes(budget: Budget) -> list[str]:
    """What a reader must know to judge the numbers."""
    short, tied = (
        _at(budget, [f"{number:,}" if number else "" for number in budget.short]),
        _at(budget, [f"{share:.0%}" for share in budget.tied]),
    )
    few = f"; of fewer annotators, kept as they are, there are {short}" if short else ""
    judges = f"{budget.test_items:,} test items by all of their annotators, {budget.test_annotators:.3g} on average"
    return [
        f"drawn without replacement from each of {budget.learning_items:,} training and validation items{few}",
        f"judged on {judges}; none of theirs is drawn",
        f"below each mean: 95% for new draws, seeds and items, from {budget.draws} draws, {budget.seeds} seed(s) each",
        "an arm's settings are the same for every number of annotators: nothing is searched",
        f"training items whose drawn annotators tie (a lot decides, unless all are drawn): {tied}",
    ]


def _at(budget: Budget, told: list[str]) -> str:
    """What there is to tell of the steps of the ladder."""
    return ", ".join(f"{one} at {step}" for step, one in zip(budget.annotators, told, strict=True) if one)
