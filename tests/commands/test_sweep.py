import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_labels.runs.store import RecordStore
from tests.boards import curves_of, line_of, runs_below, single_points

RunCli = Callable[..., Any]
SPACE = {
    "model.lr": {"categorical": [1e-4, 3e-3]},
    "model.scheduler": {"categorical": ["none", "plateau"]},
    "data.batch_size": {"categorical": [8, 16]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def options(folder: Path, toy_options: tuple[str, ...]) -> tuple[str, ...]:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({"space": SPACE}, sort_keys=False), encoding="utf-8")
    return (*toy_options, f"--trainer.default_root_dir={folder}", f"--sweep={path}")


@pytest.fixture(scope="module")
def swept(run_cli: RunCli, folder: Path, options: tuple[str, ...]) -> Any:
    return run_cli("sweep", *options)


@pytest.fixture(scope="module")
def out(swept: Any, folder: Path) -> Path:
    assert swept.code == 0
    return folder / "lightning_logs" / "seeded" / "sweep-small"


def trials(out: Path, target: str) -> list[dict[str, str]]:
    with (out / f"trials-{target}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_what_was_found_is_kept_and_printed_as_json(run_cli: RunCli, options: tuple[str, ...], out: Path) -> None:
    kept = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    assert json.loads(run_cli("sweep", *options, "--json").out) == kept
    records = RecordStore(out / "records").read()
    assert kept["dataset"] == "seeded"
    for arm, found in kept["arms"].items():
        assert (
            found["val/loss"] == records[found["run"]].value == min(float(row["val/loss"]) for row in trials(out, arm))
        )
        assert (found["trials"], found["failed"]) == (8, 0)
        assert Path(found["config"]).is_file()
        assert Path(found["checkpoint"]).is_file()


@pytest.mark.slow
def test_both_targets_get_the_same_budget_and_a_line_a_trial(out: Path) -> None:
    soft, hard = trials(out, "soft"), trials(out, "hard")
    records = RecordStore(out / "records").read()
    assert len(soft) == len(hard) == 8
    assert [[row["model.lr"], row["data.init_args.batch_size"]] for row in soft] == [
        [row["model.lr"], row["data.init_args.batch_size"]] for row in hard
    ]
    for target, rows in {"soft": soft, "hard": hard}.items():
        for row in rows:
            record = records[row["run"]]
            assert record.spec["target"] == target
            assert (record.engine, record.observed, record.predictions) == ("population", None, None)
            assert float(row["val/loss"]) == record.value


@pytest.mark.slow
@pytest.mark.parametrize("target", ["soft", "hard"])
def test_fit_takes_the_best_configuration_and_reaches_the_same_loss(
    run_cli: RunCli, out: Path, swept: Any, tmp_path: Path, target: str
) -> None:
    best = out / f"best-{target}.yaml"
    assert f"soft-labels fit --config {best}" in swept.out
    assert run_cli("fit", "--config", best, f"--trainer.default_root_dir={tmp_path}").code == 0
    (run,) = (tmp_path / "lightning_logs" / "seeded").iterdir()
    lowest = min(curves_of(run)["val/loss"].values())
    assert lowest == pytest.approx(min(float(row["val/loss"]) for row in trials(out, target)), abs=2e-5)


def test_the_table_names_each_target_its_trials_and_its_best(swept: Any, out: Path) -> None:
    for target in ("soft", "hard"):
        assert f"{min(float(row['val/loss']) for row in trials(out, target)):.4f}" in swept.out
    assert swept.out.count("8 done") == 2
    assert "model.lr 0.003" in swept.out


@pytest.mark.slow
def test_the_command_run_again_trains_nothing(run_cli: RunCli, swept: Any, out: Path, options: tuple[str, ...]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()}
    assert run_cli("sweep", *options).out == swept.out
    assert {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()} == before


@pytest.mark.slow
def test_an_arm_searches_a_space_of_its_own_with_the_same_budget(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    own = {"model.lr": {"categorical": [1e-2, 3e-2]}, "model.dropout": {"categorical": [0.25]}}
    arms = {"soft": {"model.target": "soft"}, "fast": {"model.target": "soft", "model.hidden_width": 4, "space": own}}
    result = run_cli("sweep", *options, f"--arms={json.dumps(arms)}", "--baseline=soft", f"--out={tmp_path}")
    assert result.code == 0, result.err
    soft, fast = trials(tmp_path, "soft"), trials(tmp_path, "fast")
    assert len(soft) == len(fast) == 8
    assert {float(row["model.lr"]) for row in soft} == {1e-4, 3e-3}
    assert {(float(row["model.lr"]), row["model.dropout"]) for row in fast} == {(1e-2, "0.25"), (3e-2, "0.25")}
    records = RecordStore(tmp_path / "records").read()
    specs = {name: [records[row["run"]].spec for row in rows] for name, rows in {"soft": soft, "fast": fast}.items()}
    assert {(spec["hidden_width"], spec["dropout"]) for spec in specs["soft"]} == {(8, 0.5)}
    assert {(spec["hidden_width"], spec["dropout"]) for spec in specs["fast"]} == {(4, 0.25)}
    best = yaml.safe_load((tmp_path / "best-fast.yaml").read_text(encoding="utf-8"))["model"]
    assert (best["hidden_width"], best["dropout"]) == (4, 0.25)


@pytest.mark.slow
def test_engine_target_folder_storage_and_name_may_be_chosen(
    run_cli: RunCli, swept: Any, out: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    result = run_cli(
        "sweep", *options, "--engine=lightning", "--only=hard", f"--out={tmp_path}/here", "--study=mine",
        f"--storage=journal:{tmp_path}/studies",
    )  # fmt: skip
    assert result.code == 0
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        "records", "tensorboard", "sweep.json", "trials-hard.csv", "best-hard.yaml", "best-hard.ckpt",
    }  # fmt: skip
    shown = runs_below(tmp_path / "here")
    assert len(shown) == 8
    assert single_points(tmp_path / "here") == []
    assert {line_of(run)["lr"] for run in shown} == {1e-4, 3e-3}
    lowest = min([*curves_of(run)["best/val/loss"].values()][-1] for run in shown)
    assert lowest == pytest.approx(min(float(row["val/loss"]) for row in trials(tmp_path / "here", "hard")), rel=1e-4)
    assert "study seeded-mine-hard" in (tmp_path / "here" / "best-hard.yaml").read_text(encoding="utf-8")
    records = RecordStore(tmp_path / "here" / "records").read()
    population = RecordStore(out / "records").read()
    assert len(records) == 8
    for key, record in records.items():
        assert record.engine == "lightning"
        assert record.value == pytest.approx(population[key].value, abs=2e-5)


@pytest.mark.slow
def test_a_worker_that_keeps_its_records_elsewhere_is_told(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    shared = (*options, "--only=soft", f"--storage=journal:{tmp_path}/studies")
    assert run_cli("sweep", *shared, f"--out={tmp_path}/one").code == 0
    result = run_cli("sweep", *shared, f"--out={tmp_path}/two")
    assert result.code == 2
    assert "lacks the records of 8 trials; give every worker of a study the same --out" in result.err


@pytest.mark.slow
def test_a_pruned_run_is_never_the_best(run_cli: RunCli, out: Path, options: tuple[str, ...], tmp_path: Path) -> None:
    middle = sorted(float(row["val/loss"]) for row in trials(out, "soft"))[4]
    pruner = ("--sweep.pruner=optuna.pruners.ThresholdPruner", f"--sweep.pruner.lower={middle}")
    result = run_cli("sweep", *options, *pruner, "--only=soft", f"--out={tmp_path}")
    assert result.code == 0
    rows = trials(tmp_path, "soft")
    lowest = min(rows, key=lambda row: float(row["val/loss"]))
    best = (tmp_path / "best-soft.yaml").read_text(encoding="utf-8")
    assert lowest["ending"] == "pruned", "the test wants a pruned run that was ahead"
    assert lowest["run"] not in best
    assert f"{sum(row['state'] == 'pruned' for row in rows)} pruned" in result.out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('--sweep.space={"model.rate": {"categorical": [1]}}', "model.rate is no key of fit"),
        ("--sweep.space={}", "wanted a search space of at least one key"),
        ("--sweep.sampler=optuna.samplers.NoSampler", "has no attribute 'NoSampler'"),
        ("--sweep.trials=7", "a grid of 8 points has as many trials, not 7"),
        ("--only=medium", "wanted an arm of soft, hard, got medium"),
        ("--baseline=medium", "wanted a baseline of soft, hard, got medium"),
        ('--arms={"hard": {"model.lr": 1}}', "arm hard sets model.lr, which its search changes"),
        (
            '--arms={"hard": {}, "more": {"space": {"model.dropout": {"categorical": [0, 0.5]}}}}',
            "wanted the same number of trials for every arm, got 8 of hard, 16 of more",
        ),
        (
            '--arms={"hard": {}, "hard_t": {"from": "hard", "calibration": "temperature"}}',
            "arm hard_t is derived from another and has nothing to search for; leave it out",
        ),
        ("--trainer.precision=16", "trainer.precision can be set for fit only"),
        ("--model.calibration=temperature", "model.calibration can be set for fit only"),
        ("--storage=nowhere", "cannot open the storage nowhere"),
        ("--sweep=none.yaml", "none.yaml"),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_written(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path, option: str, message: str
) -> None:
    result = run_cli("sweep", *options, f"--out={tmp_path}/out", option)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("error:") == 1
    assert "Traceback" not in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--print_config", "--help", "--only=medium", "--sweep.grace=long"])
def test_a_password_in_the_storage_is_never_printed(run_cli: RunCli, options: tuple[str, ...], option: str) -> None:
    result = run_cli("sweep", *options, "--storage=postgresql://me:hunter2@127.0.0.1:1/studies", option)
    assert result.out + result.err
    assert "hunter2" not in result.out + result.err


def test_records_of_another_version_are_refused(run_cli: RunCli, options: tuple[str, ...], tmp_path: Path) -> None:
    part = tmp_path / "records" / "old.jsonl"
    part.parent.mkdir()
    part.write_text('{"schema": 0}\n', encoding="utf-8")
    result = run_cli("sweep", *options, f"--out={tmp_path}")
    assert result.code == 2
    assert f"{part}, line 1: wanted a run record of schema 2, got 0" in result.err
