"""KL and entropy correlation of every arm of a configuration on the fixed split, at settings that are not tuned.

All heads that are trained have the same settings and seeds 0 to S - 1; of what an arm alone searches, the strength with
the lowest validation loss is taken. ``FILES`` are those that describe data to ``fit``, a comma between them::

    python -m tests.benchmarks.controls configs/controls.yaml configs/data/chaosnli.yaml,configs/encoder/minilm.yaml
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from soft_labels.commands.fit import parse_datamodule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.experiment.arms import DEFAULT_BASELINE, Arm, read_arms
from soft_labels.metrics import Judged
from soft_labels.metrics.table import core_values
from soft_labels.runs.predictions import JUDGED_PARTS, Logits, mean_logits
from soft_labels.runs.runner import judged_logits
from soft_labels.sweep.space import spec_fields
from soft_labels.training.calibration import calibrated
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec

_POINTS = 12


def points(form: Mapping[str, Any]) -> list[Any]:
    """Values of one key of an arm's search space."""
    if "categorical" in form:
        return list(form["categorical"])
    low, high = form["float"] if "float" in form else form["int"]
    values = np.geomspace(low, high, _POINTS).tolist()
    return values if "float" in form else [round(value) for value in values]


def chosen(engine: PopulationEngine, data: EmbeddedDataset, spec: RunSpec, arm: Arm) -> RunSpec:
    """The arm's spec with the strength that validation likes best."""
    for key, form in arm.space.items():
        specs = [replace(spec, **spec_fields({key: value})) for value in points(form)]
        results = engine.train(data, specs)
        spec = min(results, key=lambda one: one.curve["val/loss"][one.best_epoch]).spec
    return spec


def trained(engine: PopulationEngine, data: EmbeddedDataset, arm: Arm, seeds: int, lr: float) -> list[Logits]:
    """What the heads of an arm that trains predict."""
    spec = RunSpec(**spec_fields(arm.overlay))
    if not spec.kind.solved:
        spec = replace(spec, lr=lr)
    spec = chosen(engine, data, spec, arm)
    repeats = 1 if spec.kind.solved else seeds
    specs = [replace(spec, seed=seed) for seed in range(repeats)]
    return [judged_logits(data, one) for one in engine.train(data, specs, keep_heads=True)]


def derived(data: EmbeddedDataset, arm: Arm, source: Sequence[Logits]) -> list[Logits]:
    """What an arm makes of another one's predictions."""
    val = data.dataset.observed.take(data.dataset.rows("val"))
    heads = [mean_logits(source)] if arm.ensemble else source
    return [{part: calibrated(arm.calibration, one["val"], val, one[part]) for part in JUDGED_PARTS} for one in heads]


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="the arms, as configs/controls.yaml")
    parser.add_argument("files", nargs="+", help="for each data set its files of fit, a comma between them")
    parser.add_argument("--option", action="append", default=[], help="an option of fit, as data.root=DIR")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()
    experiment = yaml.safe_load(Path(given.config).read_text(encoding="utf-8"))["experiment"]
    arms = read_arms(experiment["arms"], experiment.get("baseline", DEFAULT_BASELINE))
    for files in given.files:
        options = [*(f"--config={path}" for path in files.split(",")), *(f"--{one}" for one in given.option)]
        data = parse_datamodule(options, "controls", "Fair controls.").embedded
        test = data.dataset.observed.take(data.dataset.rows("test"))
        engine = PopulationEngine(accelerator="cpu")
        logits: dict[str, list[Logits]] = {}
        print(
            f"\n{data.name}: {len(test.label_dist):,} test items\n\n"
            "| arm | KL | entropy correlation | accuracy | CPU s |"
        )
        print("| --- | ---: | ---: | ---: | ---: |")
        for arm in arms.every:  # a derived arm may stand before the one that it comes from
            start = time.process_time()
            for own in (arm, *(one for one in arms.every if one.name == arm.derived_from)):
                if own.derived_from is None and own.name not in logits:
                    logits[own.name] = trained(engine, data, own, given.seeds, given.lr)
            if arm.derived_from is not None:
                logits[arm.name] = derived(data, arm, logits[arm.derived_from])
            values = [core_values(Judged(one["test"], *test[1:])) for one in logits[arm.name]]
            cells = [np.array([one[name].item() for one in values]) for name in ("kl", "entropy_corr", "accuracy")]
            told = [f"{cell.mean():.4f}" + (f" ± {cell.std(ddof=1):.4f}" if len(cell) > 1 else "") for cell in cells]
            print(f"| {arm.name} | {' | '.join(told)} | {time.process_time() - start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
