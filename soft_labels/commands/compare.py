"""Arms side by side: heads that differ in what each arm sets, over a few seeds, on the same split."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import ArgumentParser, Namespace
from lightning import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only

from soft_labels.commands.arms import OF_ARMS, add_arms, arms_of, as_options, overlay_of
from soft_labels.commands.compare_result import ARMS, CompareResult, Effect
from soft_labels.commands.compare_tables import print_result
from soft_labels.commands.configs import path_of
from soft_labels.commands.fit import SoftLabelCLI, show_progress
from soft_labels.commands.output import json_text
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SMALL_TEST, SPLIT_NAMES
from soft_labels.distributions import has_tie
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import Arm, Arms
from soft_labels.metrics import METRICS, Judged, core_names, values_of
from soft_labels.progress import tracked
from soft_labels.report.evidence import PartCounts, Repeats
from soft_labels.report.views import compare_pairs
from soft_labels.runs.predictions import JUDGED_PARTS, Logits, mean_logits
from soft_labels.runs.tensorboard import ArmResult, Curve, log_arms, log_items
from soft_labels.training.best import best_of
from soft_labels.training.calibration import calibrated
from soft_labels.training.callbacks import ItemProjector, best_head
from soft_labels.training.curves import CurveLogger
from soft_labels.training.kinds import HEADS, HeadKind, unread
from soft_labels.training.module import HONOURED
from soft_labels.training.objectives import LOSSES, TARGETS, Loss, Target, known
from soft_labels.training.predict import predict
from soft_labels.training.projector import PART, item_map
from soft_labels.training.spec import CONFIG_KEYS, HeadSpec, RunSpec, check_honoured
from soft_labels.trust.report import TrustReport, trust_report
from soft_labels.trust.yardsticks import yardsticks

Values = dict[str, float]
_HEAD = CONFIG_KEYS["head"]


class CompareCLI(SoftLabelCLI):
    """The options of ``fit``, the arms, and how many seeds; what an arm sets and the seed are given for each run."""

    prog = "soft-labels compare"

    def __init__(self, args: ArgsType, run: bool = True, arm: str = "") -> None:
        self._arm = arm
        super().__init__(args, run)

    @property
    def run_prefix(self) -> str:
        """The arm, by which runs of one target are told apart."""
        return self._arm or super().run_prefix

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arms and the number of seeds."""
        super().add_arguments_to_parser(parser)
        add_arms(parser)
        parser.add_argument("--seeds", type=int, default=5, help="train each arm with seeds 0 to N - 1")
        parser.add_argument("--out", type=Path | None, help="folder for compare.json; LOGS/compare/DATASET by default")
        parser.add_argument("--json", type=bool, default=False, help="print the result as one JSON object alone")
        parser.add_argument("--show", type=Path | None, help="print what was saved in a folder; nothing is trained")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer that shows no items: they are shown once for all arms."""
        trainer = super().instantiate_trainer(**kwargs)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        (shown,) = (one for one in callbacks if isinstance(one, ItemProjector))
        callbacks.remove(shown)
        self.projector = shown.settings
        return trainer

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Keep these options out of the configuration that is saved beside a run, which ``fit`` takes."""
        super().parse_arguments(parser, args)
        self.seeds: int = self.config.pop("seeds")
        self.out: Path | None = self.config.pop("out")
        self.as_json: bool = self.config.pop("json")
        self.config.pop("show")
        self.own: dict[str, Any] = {key: self.config.pop(key) for key in OF_ARMS}


class _Options(CompareCLI):
    """The parsed options alone: nothing is read, encoded or trained."""

    def instantiate_classes(self) -> None:
        """Make nothing."""


def compare(arguments: list[str], arms: Arms, seeds: int) -> CompareResult:
    """Train and test each arm with seeds 0 to S-1 on the same split, through the ordinary ``fit`` and ``test``.

    An arm that is derived from another trains nothing: its calibration follows the other's heads, or the mean of what
    they predict. An ensemble and a head that has no seed have one value instead of S.

    Args:
        arguments: Options of ``fit``, such as ``--config``; what arms set and the seed are added here.
        arms: What is compared.
        seeds: How many seeds, S.

    Raises:
        ConfigError: Fewer than one seed, or an arm sets what is no setting of a head.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {seeds}")
    overlays = _overlays(arguments, arms)
    once = {name for name, overlay in overlays.items() if HEADS[overlay[_HEAD]].solved}
    values: dict[str, list[Values]] = {name: [] for name in arms.names}
    logits: dict[str, list[Logits]] = {name: [] for name in arms.names}
    curves: dict[str, list[Curve]] = {arm.name: [] for arm in arms.trained}
    last: dict[str, list[bool]] = {arm.name: [] for arm in arms.trained if arm.name not in once}
    runs = [(seed, arm) for seed in range(seeds) for arm in arms.trained if seed == 0 or arm.name not in once]
    for seed, arm in tracked(runs, len(runs), "heads trained"):
        cli, tested = _fit_and_test(arguments, seed, arm.name, overlays[arm.name])
        data, own = cli.datamodule.embedded, _best_logits(cli)
        if arm.name in last:
            last[arm.name].append(_ended_at_its_best(cli))
        curves[arm.name].extend(one.curves for one in cli.trainer.loggers if isinstance(one, CurveLogger))
        values[arm.name].append(tested)
        logits[arm.name].append(own)
        for other in arms.every:
            if other.derived_from == arm.name and not other.ensemble:
                after = _after(data, other.calibration, own)
                values[other.name].append(_values(data, after))
                logits[other.name].append(after)
        _hush()  # what the first run said of data and embeddings holds for all
    for arm in arms.every:
        if arm.ensemble and arm.derived_from is not None:
            after = _after(data, arm.calibration, mean_logits(logits[arm.derived_from]))
            values[arm.name].append(_values(data, after))
            logits[arm.name].append(after)
    alone = [arm.name for arm in arms.every if arm.ensemble or (arm.derived_from or arm.name) in once]
    repeats = _repeats(data, logits, seeds, alone)
    return CompareResult(
        dataset=data.name,
        baseline=arms.baseline,
        notes=_notes(cli, _Options(arguments, run=False).config, arms, seeds, alone),
        warnings=(*_small(data), *_unfinished(last)),
        metrics={name: {key: np.array([row[key] for row in rows]) for key in rows[0]} for name, rows in values.items()},
        trust=_trust(data, logits),
        effects=_effects(data.name, repeats, arms),
        folder=Path(cli.trainer.log_dir or ".").parent,
        curves=curves,
        items=item_map(data, {name: mean_logits(each)[PART].exp() for name, each in logits.items()}, cli.projector),
    )


def _overlays(arguments: list[str], arms: Arms) -> dict[str, dict[str, Any]]:
    """By name of an arm that trains, what it sets, its head among it; all are read before anything is trained.

    What an arm's head does not read of the settings that all share is set to its default.
    """
    keys = [*_Options(arguments, run=False).config.keys()]  # a Namespace's are nested
    for arm in arms.trained:
        if arm.space:
            raise ConfigError(f"arm {arm.name}: compare searches nothing; set values instead of space, or use sweep")
    overlays = {}
    for arm in arms.trained:
        own = overlay_of(arm, keys)
        head = _Options([*arguments, *as_options(own)], run=False).config[_HEAD]
        unused = {
            CONFIG_KEYS[name]: getattr(RunSpec(), name)
            for name in sorted(unread(known("head", head, HEADS)) - {"seed"})
        }
        overlays[arm.name] = {_HEAD: head, **unused, **own}
    for name, overlay in overlays.items():
        config = _Options([*arguments, *as_options(overlay)], run=False).config
        if config.model.calibration != "none":
            raise ConfigError(
                "model.calibration can be set for fit only: compare has arms {from: ARM, calibration: "
                f"{config.model.calibration}}}; leave it out"
            )
        given = {field.name: config[CONFIG_KEYS[field.name]] for field in fields(HeadSpec) if field.name != "seed"}
        check_honoured(f"arm {name}", HONOURED, HeadSpec(**given))
    return overlays


def _fit_and_test(arguments: list[str], seed: int, arm: str, overlay: Mapping[str, Any]) -> tuple[CompareCLI, Values]:
    """One ordinary run, tested at its best epoch."""
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    cli = CompareCLI([*quiet, *arguments, *as_options(overlay), f"--seed_everything={seed}"], run=False, arm=arm)
    cli.datamodule.dataset.check_test()
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    best = str(best_of(cli.trainer).path)
    metrics = cli.trainer.test(cli.model, ckpt_path=best, datamodule=cli.datamodule, verbose=False)[0]
    return cli, {key.removeprefix("test/"): value for key, value in metrics.items()}


def _best_logits(cli: SoftLabelCLI) -> Logits:
    """What a run's best head says of the validation and test items."""
    data, head = cli.datamodule.embedded, best_head(cli.trainer, cli.model)
    return {part: predict(head, data.features, data.dataset.rows(part)) for part in JUDGED_PARTS}


def _after(data: EmbeddedDataset, calibration: str, logits: Logits) -> Logits:
    """The same after a calibration that was fitted on the validation items."""
    val = data.dataset.observed.take(data.dataset.rows("val"))
    return {part: calibrated(calibration, logits["val"], val, logits[part]) for part in JUDGED_PARTS}


def _values(data: EmbeddedDataset, logits: Logits) -> Values:
    """Every metric on the test items."""
    test = data.dataset.observed.take(data.dataset.rows("test"))
    return {name: value.item() for name, value in values_of(Judged(logits["test"], *test[1:]), data.ordinal).items()}


def _trust(data: EmbeddedDataset, logits: Mapping[str, Sequence[Logits]]) -> dict[str, TrustReport]:
    """What each arm's numbers mean."""
    observed = data.dataset.observed
    train, val, test = (observed.label_counts[data.dataset.rows(part)] for part in SPLIT_NAMES)
    measured = yardsticks(test, val_counts=val, train_counts=train)
    found = {}
    for name, seeds in logits.items():
        val_pred, test_pred = (
            torch.stack([each[part] for each in seeds]).double().log_softmax(-1) for part in JUDGED_PARTS
        )
        found[name] = trust_report(test, test_pred, val_predictions=val_pred, measured=measured, ordinal=data.ordinal)
    return found


def _repeats(
    data: EmbeddedDataset, logits: Mapping[str, Sequence[Logits]], seeds: int, alone: Collection[str]
) -> Repeats:
    """What every arm predicts, in the form that the report compares; an arm without a seed stands beside each."""
    observed = data.dataset.observed
    parts = {part: observed.take(data.dataset.rows(part)) for part in SPLIT_NAMES}
    judged, val = (
        {
            name: [Judged(one[part], *parts[part][1:]).precise() for one in runs] * (seeds if name in alone else 1)
            for name, runs in logits.items()
        }
        for part in ("test", "val")
    )
    values = {
        name: {key: np.array([METRICS[key].value(one).item() for one in runs]) for key in core_names()}
        for name, runs in judged.items()
    }
    counts = PartCounts(*(parts[part].label_counts.numpy() for part in SPLIT_NAMES))
    return Repeats({}, judged, val, [counts] * seeds, values, frozenset(alone), same_items=True, overlap=0.0)


def _effects(dataset: str, repeats: Repeats, arms: Arms) -> tuple[Effect, ...]:
    """Every arm against the baseline."""
    pairs = [(dataset, name, arms.baseline) for name in arms.compared]
    return tuple(
        Effect(one.arm, one.metric, one.test.mean_difference, *one.interval, one.holm_p, one.verdict)
        for one in compare_pairs({dataset: repeats}, pairs)
    )


def _small(data: EmbeddedDataset) -> list[str]:
    """A warning where the test part can hardly judge."""
    items = len(data.dataset.rows("test"))
    return [f"the test part has {items} items: intervals are wide; give it more items"] if items < SMALL_TEST else []


def _unfinished(last: Mapping[str, Sequence[bool]]) -> list[str]:
    """Warnings of arms whose training might have gone on."""
    return [
        f"arm {name}: the best epoch is the last in {sum(runs)} of {len(runs)} runs, so training may have stopped too "
        "early; raise trainer.max_epochs"
        for name, runs in last.items()
        if any(runs)
    ]


def _ended_at_its_best(cli: SoftLabelCLI) -> bool:
    """Whether the best epoch is the last that there could be."""
    return best_of(cli.trainer).epoch + 1 == cli.trainer.max_epochs


def _in_words(arm: Arm) -> str:
    """What an arm has of its own."""
    if arm.derived_from is not None:
        return arm.form.source
    rows: dict[str, Mapping[str, Target | Loss | HeadKind]] = {
        "model.target": TARGETS, "model.loss": LOSSES, "model.head": HEADS,
    }  # fmt: skip
    own = [
        f"{key} {value} ({rows[key][value].text})" if key in rows else f"{key} {value}"
        for key, value in arm.overlay.items()
    ]
    return ", ".join(own) or "nothing of its own"


def _hush() -> None:
    """Leave out what every run would say again."""
    for name in ("soft_labels", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _notes(cli: SoftLabelCLI, base: Namespace, arms: Arms, seeds: int, alone: Collection[str]) -> tuple[str, ...]:
    """What a reader must know to judge the numbers."""
    data = cli.datamodule.embedded
    dataset = data.dataset
    sizes = " / ".join(f"{len(dataset.rows(part)):,}" for part in ("train", "val", "test"))
    settings = ("hidden_width", "dropout", "lr", "weight_decay", "scheduler", "standardize")
    return (
        f"{len(dataset.data):,} items, train / val / test {sizes}, {_origin(dataset)}",
        f"majority class: ties to the {dataset.tie}, {int(has_tie(dataset.data.label_counts).sum()):,} items",
        f"encoder {data.encoder_name}, {data.embedding_dim:,} features",
        f"head {', '.join(f'{key} {base.model[key]}' for key in settings)}, batch {base.data.init_args.batch_size}",
        *(f"arm {arm.name}: {_in_words(arm)}" for arm in arms.every),
        f"best epoch by validation loss; mean and standard deviation over {seeds} seed(s); KL(annotators || model)",
        *([f"no seed, hence one value: {', '.join(alone)}"] if alone else []),
    )


def _origin(dataset: Dataset) -> str:
    """Where the split comes from."""
    if dataset.given_split is not None:
        return "a given split"
    fold = "" if dataset.fold is None else f"fold {dataset.fold.number} of {dataset.fold.folds}, "
    return f"{fold}split seed {dataset.split_seed}"


def run_compare(arguments: list[str]) -> None:
    """``soft-labels compare``."""
    show_progress()
    rest = arguments[1:]
    if any(one.partition("=")[0] == "--show" for one in rest):
        _show(rest)
        return
    options = _Options(rest, run=False)
    result = compare(rest, arms_of(options.own), options.seeds)
    _keep(result, options.out or result.folder.parent / "compare" / result.dataset, options.as_json)


def _show(arguments: list[str]) -> None:
    """Print a comparison that was saved."""
    parser = ArgumentParser(prog=CompareCLI.prog, exit_on_error=False)
    parser.add_argument("--show", type=Path, required=True)
    parser.add_argument("--json", type=bool, default=False)
    told = parser.parse_args(arguments)
    _print(CompareResult.load(told.show), told.show, told.json)


@rank_zero_only
def _keep(result: CompareResult, folder: Path, as_json: bool) -> None:
    """Save the result, show it in TensorBoard, and print it."""
    result.save(folder)
    shown = {
        arm: ArmResult(result.curves.get(arm, ()), result.metrics[arm], trust) for arm, trust in result.trust.items()
    }
    log_arms(folder / ARMS, shown)
    log_items(folder / ARMS, result.items)
    _print(result, folder, as_json)


def _print(result: CompareResult, folder: Path, as_json: bool) -> None:
    """As tables, or as one JSON object."""
    if as_json:
        print(json_text(result.values()))  # noqa: T201
    else:
        print_result(result, folder)


def run_quickstart(arguments: list[str]) -> None:
    """``soft-labels quickstart``: :func:`run_compare` on the embedded data; further options are those of compare."""
    run_compare(["compare", f"--config={path_of('quickstart')}", *arguments[1:]])
