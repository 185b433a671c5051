import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax, rel_entr, softmax

from soft_labels.commands.compare import _Options, compare
from soft_labels.commands.compare_result import CompareResult
from soft_labels.commands.compare_tables import print_result
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import DEFAULT_ARMS, read_arms
from soft_labels.training.heads import MLPHead
from soft_labels.training.solved_runs import solved_runs
from soft_labels.training.spec import RunSpec
from tests.boards import curves_of, line_of, runs_below, single_points
from tests.conftest import RunCli
from tests.toys import SeededData, SeededEncoder

pytestmark = pytest.mark.slow

ARMS: dict[str, dict[str, Any]] = {**DEFAULT_ARMS, "hard_t": {"from": "hard", "calibration": "temperature"}}
OPTIONS = [
    "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=600",
    "--model.hidden_width=32", "--model.lr=3e-3", "--trainer.accelerator=cpu", "--trainer.max_epochs=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def comparison(folder: Path) -> CompareResult:
    options = [*OPTIONS, f"--data.store={folder / 'store'}", f"--trainer.default_root_dir={folder}"]
    return compare(options, read_arms(ARMS, "hard"), seeds=3)


@pytest.mark.slow
def test_soft_heads_come_closer_to_the_annotators_and_to_the_generating_distribution(comparison: CompareResult) -> None:
    soft, hard = comparison.metrics["soft"], comparison.metrics["hard"]
    for name in ("kl", "kl_to_true", "rps"):
        assert (soft[name] < hard[name]).all(), name
    assert (soft["entropy_corr"] > hard["entropy_corr"]).all()
    assert len(soft["kl"]) == 3
    assert len(set(soft["kl"].tolist())) == 3, "each seed is a run of its own"


def test_pairs_of_runs_differ_in_the_target_alone(comparison: CompareResult) -> None:
    runs = {path.name.rsplit("-", 3)[0]: path for path in comparison.folder.iterdir()}
    assert set(runs) == {f"{target}-seed{seed}" for target in ("soft", "hard") for seed in range(3)}
    for seed in range(3):
        splits = [(runs[f"{target}-seed{seed}"] / "split.json").read_text() for target in ("soft", "hard")]
        assert splits[0] == splits[1]
        hparams = [
            yaml.safe_load((runs[f"{target}-seed{seed}"] / "hparams.yaml").read_text()) for target in ("soft", "hard")
        ]
        assert {key for key in hparams[0] if hparams[0][key] != hparams[1][key]} == {"target"}


def test_testing_after_a_fit_adds_no_point_to_its_curves(comparison: CompareResult) -> None:
    for run in comparison.folder.iterdir():
        drawn = curves_of(run)
        assert {step for tag in ("val/kl", "test/kl") for step in drawn[tag]} == set(range(8))
        assert (run / "test_metrics.json").is_file()


def test_the_table_shows_every_arm_its_difference_to_the_baseline_and_what_they_rest_on(
    comparison: CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(comparison, Path("kept"))
    out = capsys.readouterr().out
    for arm in ("soft", "hard_t"):
        difference = (comparison.metrics[arm]["kl"] - comparison.metrics["hard"]["kl"]).mean()
        assert f"{difference:+.3f}" in out
    assert "split seed 0" in out
    assert "ties to the lowest" in out
    assert "tensorboard --logdir" in out


def test_effects_are_those_of_the_report_with_intervals_over_seeds_and_items(comparison: CompareResult) -> None:
    assert [(one.arm, one.metric) for one in comparison.effects] == [
        (arm, metric) for arm in ("soft", "hard_t") for metric in ("accuracy", "kl", "entropy_corr")
    ]
    for one in comparison.effects:
        values, base = (comparison.metrics[arm][one.metric] for arm in (one.arm, "hard"))
        assert one.difference == pytest.approx((values - base).mean(), abs=1e-5)
        assert one.low <= one.difference <= one.high
    kl = comparison.effects[1]
    assert kl.verdict == "better"
    assert kl.high < 0


def test_no_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        compare(OPTIONS, read_arms(ARMS, "hard"), seeds=0)


def test_seeds_and_arms_are_read_without_touching_the_data(tmp_path: Path) -> None:
    options = [*OPTIONS, f"--data.store={tmp_path / 'store'}", "--seeds=4"]
    parsed = _Options(options, run=False)
    assert parsed.seeds == 4
    assert parsed.own == {"arms": DEFAULT_ARMS, "baseline": "hard", "only": None}
    assert not (tmp_path / "store").exists(), "nothing was encoded"


def logits(run: Path, data: SeededData) -> dict[str, NDArray[np.float64]]:
    """What a run's best head says of the validation and test items."""
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    head = MLPHead(16, 3, 32, 0.0, 0)
    head.load_state_dict({key.removeprefix("head."): value for key, value in state.items() if key.startswith("head.")})
    everything = head(data.embedded.features[torch.arange(600)]).detach().double().numpy()
    return {"val": everything[data.dataset.rows("val")], "test": everything[data.dataset.rows("test")]}


def by_hand(run: Path, data: SeededData) -> float:
    """Test KL after the inverse temperature at which validation cross-entropy is level."""
    counts = data.dataset.data.label_counts
    dists = (counts / counts.sum(1, keepdim=True)).numpy()
    said, dist = logits(run, data), dists[data.dataset.rows("val")]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * said["val"], 1) - dist) * said["val"]).sum())

    inverse = brentq(slope, 1e-3, 1e3, xtol=1e-12)
    predicted = np.exp(log_softmax(inverse * said["test"], 1))
    return float(rel_entr(dists[data.dataset.rows("test")], predicted).sum(1).mean())


def test_a_derived_arm_trains_nothing_and_has_the_metrics_of_calibrating_by_hand(
    comparison: CompareResult, folder: Path
) -> None:
    runs = [path.name.rsplit("-", 3)[0] for path in comparison.folder.iterdir()]
    assert sorted(runs) == sorted(f"{target}-seed{seed}" for target in ("soft", "hard") for seed in range(3))
    data = SeededData(600, encoder=SeededEncoder(), store=folder / "store")
    for seed in range(3):
        (run,) = comparison.folder.glob(f"hard-seed{seed}-*")
        assert comparison.metrics["hard_t"]["kl"][seed] == pytest.approx(by_hand(run, data), abs=1e-6)
    assert comparison.metrics["hard_t"]["accuracy"].tolist() == comparison.metrics["hard"]["accuracy"].tolist()
    assert comparison.metrics["hard_t"]["kl"].mean() < comparison.metrics["hard"]["kl"].mean()
    assert comparison.metrics["hard_t"].keys() == comparison.metrics["hard"].keys() - {"loss"}


def table(out: str) -> tuple[list[str], dict[str, list[str]]]:
    """Headings and rows of the printed table."""
    cells = [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in out.splitlines() if line[:1] in "┃│"]
    found: dict[str, list[str]] = {}
    for row in cells[1:]:
        found.setdefault(row[0], row[1:])
    return cells[0], found


def test_an_ensemble_and_a_head_without_a_seed_have_one_value(folder: Path) -> None:
    forms: dict[str, dict[str, Any]] = {
        "soft": {"model.target": "soft"},
        "both": {"from": "soft", "ensemble": True},
        "convex": {"model.head": "logistic", "model.weight_decay": 0.03},
        "convex_t": {"from": "convex", "calibration": "temperature"},
    }
    place = [f"--data.store={folder / 'store'}", f"--trainer.default_root_dir={folder / 'alone'}"]
    found = compare([*OPTIONS, *place, "--trainer.max_epochs=1"], read_arms(forms, "soft"), seeds=2)
    assert {name: len(values["kl"]) for name, values in found.metrics.items()} == {
        "soft": 2, "both": 1, "convex": 1, "convex_t": 1,
    }  # fmt: skip
    assert "no seed, hence one value: both, convex, convex_t" in found.notes
    runs = sorted(path.name.rsplit("-", 3)[0] for path in found.folder.iterdir())
    assert runs == ["convex-seed0", "soft-seed0", "soft-seed1"]
    data = SeededData(items=600, encoder=SeededEncoder(), store=folder / "store").embedded
    (alone,) = solved_runs(data, [RunSpec(head="logistic", weight_decay=0.03)], monitor_test=True, keep_heads=False,
                           after_epoch=None)  # fmt: skip
    assert found.metrics["convex"]["kl"][0] == pytest.approx(alone.curve["test/kl"][0], abs=1e-6)
    assert found.metrics["both"]["kl"][0] < found.metrics["soft"]["kl"].mean(), "KL is convex"


@pytest.mark.slow
def test_three_arms_are_compared_by_the_command_the_baseline_first(run_cli: RunCli, tmp_path: Path) -> None:
    options = (*OPTIONS, f"--data.store={tmp_path / 'store'}", f"--trainer.default_root_dir={tmp_path}", "--seeds=1")
    done = run_cli("compare", *options, f"--arms={json.dumps(ARMS)}", "--baseline=soft")
    assert done.code == 0, done.err
    headings, rows = table(done.out)
    assert headings == ["arm", "accuracy ↑", "KL to annotators, nats ↓", "entropy correlation ↑"]
    assert [name for name in rows if name][:3] == ["soft", "hard", "hard_t"]
    assert "best epoch is the last" in done.out
    kept = tmp_path / "lightning_logs" / "compare" / "seeded"
    again = run_cli("compare", "--show", str(kept))
    assert (again.code, again.out) == (0, done.out)
    told = run_cli("compare", f"--show={kept}", "--json=true")
    assert json.loads(told.out) == json.loads((kept / "compare.json").read_text())
    result = CompareResult.load(kept)
    for arm in ARMS:
        shown = line_of(kept / "arms" / arm)
        assert shown["arm"] == arm
        assert shown["test/kl"] == pytest.approx(result.metrics[arm]["kl"].mean(), rel=1e-5)
        for name in ("floor", "share_of_achievable", "overconfidence", "vagueness"):
            assert shown[f"trust/{name}"] == pytest.approx(getattr(result.trust[arm], name), rel=1e-5)
    assert {path.name for path in runs_below(kept)} == {*ARMS, "val items"}
    with (kept / "arms" / "val items" / "00000" / "items" / "metadata.tsv").open(encoding="utf-8") as file:
        items = list(csv.DictReader(file, delimiter="\t"))
    assert len(items) == len(SeededData(600).dataset.split.val)
    assert list(items[0])[3:] == ["label entropy", *(f"entropy of {arm}" for arm in ("soft", "hard", "hard_t"))]
    assert not list((tmp_path / "lightning_logs" / "seeded").rglob("projector_config.pbtxt")), "once for all arms"
    assert curves_of(kept / "arms" / "hard_t") == {}
    assert {tag for tag in curves_of(kept / "arms" / "soft") if not tag.startswith("within/")} == {
        "val/loss", "val/accuracy", "val/kl", "val/entropy_corr",
    }  # fmt: skip
    assert single_points(tmp_path) == []
    (run,) = (tmp_path / "lightning_logs" / "seeded").glob("hard-*")
    data = SeededData(600, encoder=SeededEncoder(), store=tmp_path / "store")
    assert rows["hard_t"][1] == f"{by_hand(run, data):.3f}"
    assert len(list(run.parent.iterdir())) == 2


@pytest.mark.slow
def test_a_part_of_the_arms_may_be_compared(run_cli: RunCli, tmp_path: Path) -> None:
    options = (*OPTIONS, f"--data.store={tmp_path / 'store'}", f"--trainer.default_root_dir={tmp_path}", "--seeds=1")
    done = run_cli("compare", *options, "--trainer.max_epochs=1", f"--arms={json.dumps(ARMS)}", "--only=hard,hard_t")
    assert done.code == 0, done.err
    assert table(done.out)[0] == ["metric", "hard", "hard_t", "hard_t - hard"]
    (run,) = (tmp_path / "lightning_logs" / "seeded").iterdir()
    assert run.name.startswith("hard-")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"model.target": "softt"}, "shrunk, got softt; did you mean soft?"),
        ({"model.shrinkage": 2}, "arm odd with target soft does not honour shrinkage: wanted its default 0.0, got 2"),
        ({"model.rate": 1}, "arm odd: model.rate is no key of fit"),
        ({"data.split_seed": 1}, "arm odd: wanted settings of the head, got data.init_args.split_seed"),
        ({"seed_everything": 1}, "arm odd: wanted settings of the head, got seed_everything"),
        ({"space": {"model.lr": {"categorical": [1]}}}, "arm odd: compare searches nothing"),
        ({"from": "hard"}, "arm odd: wanted from with calibration, ensemble or both"),
    ],
)
def test_an_arm_that_cannot_be_compared_is_one_message_before_anything_is_trained(
    run_cli: RunCli, tmp_path: Path, own: dict[str, Any], message: str
) -> None:
    options = (*OPTIONS, f"--data.store={tmp_path / 'store'}", f"--trainer.default_root_dir={tmp_path}", "--seeds=1")
    done = run_cli("compare", *options, f"--arms={json.dumps({**DEFAULT_ARMS, 'odd': own})}")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("error:") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_compare_prints_both_targets_and_where_to_look(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    result = run_cli("compare", *trained.options, "--seeds=1", f"--trainer.default_root_dir={tmp_path}")
    names = sorted("-".join(path.name.split("-")[:2]) for path in (tmp_path / "lightning_logs" / "chaosnli").iterdir())
    assert result.code == 0
    assert "KL to annotators, nats" in result.out
    assert "soft - hard" in result.out
    assert f"tensorboard --logdir {tmp_path}/lightning_logs" in result.out
    assert names == ["hard-seed0", "soft-seed0"]


@pytest.mark.slow
def test_compare_takes_the_saved_config_of_a_run(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    config = f"--config={trained.folder}/config.yaml"
    assert run_cli("compare", config, "--seeds=1", f"--trainer.default_root_dir={tmp_path}").code == 0


@pytest.mark.parametrize(
    ("option", "said"), [("--data.folds=4", "fold 0 of 4, split seed 0"), ("--data.split_file={}", "a given split")]
)
def test_folds_and_given_splits_are_told(option: str, said: str, folder: Path, tmp_path: Path) -> None:
    SeededData(items=600, split_seed=3).dataset.split.save(tmp_path / "split.json", {})
    options = [*OPTIONS, "--trainer.max_epochs=2", f"--data.store={folder / 'store'}",
               f"--trainer.default_root_dir={tmp_path}", option.format(tmp_path / "split.json")]  # fmt: skip
    result = compare(options, read_arms(ARMS, "hard"), seeds=1)
    assert result.notes[0].endswith(said)
