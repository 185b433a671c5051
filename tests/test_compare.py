from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.compare import Comparison, _Options, compare, print_comparison
from soft_labels.errors import ConfigError

OPTIONS = [
    "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=600",
    "--model.hidden_width=32", "--model.lr=3e-3", "--trainer.accelerator=cpu", "--trainer.max_epochs=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Comparison:
    return compare([*OPTIONS, f"--data.store={folder / 'store'}", f"--trainer.default_root_dir={folder}"], seeds=3)


def test_soft_heads_come_closer_to_the_annotators_and_to_the_generating_distribution(comparison: Comparison) -> None:
    soft, hard = comparison.metrics["soft"], comparison.metrics["hard"]
    for name in ("kl", "kl_to_true", "rps"):
        assert (soft[name] < hard[name]).all(), name
    assert (soft["entropy_corr"] > hard["entropy_corr"]).all()
    assert len(soft["kl"]) == 3
    assert len(set(soft["kl"].tolist())) == 3, "each seed is a run of its own"


def test_pairs_of_runs_differ_in_the_target_alone(comparison: Comparison) -> None:
    runs = {path.name.rsplit("-", 3)[0]: path for path in comparison.folder.iterdir()}
    assert set(runs) == {f"{target}-seed{seed}" for target in ("soft", "hard") for seed in range(3)}
    for seed in range(3):
        splits = [(runs[f"{target}-seed{seed}"] / "split.json").read_text() for target in ("soft", "hard")]
        assert splits[0] == splits[1]
        hparams = [
            yaml.safe_load((runs[f"{target}-seed{seed}"] / "hparams.yaml").read_text()) for target in ("soft", "hard")
        ]
        assert {key for key in hparams[0] if hparams[0][key] != hparams[1][key]} == {"target"}


def test_testing_after_a_fit_adds_no_point_to_its_curves(comparison: Comparison) -> None:
    for run in comparison.folder.iterdir():
        events = EventAccumulator(str(run))
        events.Reload()
        assert {point.step for tag in ("val/kl", "test/kl") for point in events.Scalars(tag)} <= set(range(8))
        assert (run / "test_metrics.json").is_file()


def test_the_table_shows_both_targets_their_difference_and_what_they_rest_on(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(comparison)
    out = capsys.readouterr().out
    difference = (comparison.metrics["soft"]["kl"] - comparison.metrics["hard"]["kl"]).mean()
    assert f"{difference:+.3f}" in out
    assert "split seed 0" in out
    assert "ties to the lowest" in out
    assert "tensorboard --logdir" in out


def test_a_spread_needs_more_than_one_seed(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    one = {target: {name: values[:1] for name, values in rows.items()} for target, rows in comparison.metrics.items()}
    print_comparison(Comparison("toy", (), one, Path("runs")))
    out = capsys.readouterr().out
    assert f"{comparison.metrics['soft']['kl'][0]:.3f} " in out
    assert "±" not in out


def test_no_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        compare(OPTIONS, seeds=0)


def test_the_number_of_seeds_is_read_without_touching_the_data(tmp_path: Path) -> None:
    options = [*OPTIONS, f"--data.store={tmp_path / 'store'}", "--seeds=4"]
    assert _Options(options, run=False).seeds == 4
    assert not (tmp_path / "store").exists(), "nothing was encoded"
