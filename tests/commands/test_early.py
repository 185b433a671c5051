"""Mistakes that can be seen early are told before torch is imported, and what may be right is left to the parser."""

import subprocess
import sys
from argparse import ArgumentError
from pathlib import Path

import pytest

from soft_labels.commands.early import check
from soft_labels.errors import SoftLabelsError
from tests.conftest import REPOSITORY

ENDS = """
import sys
sys.argv = ["soft-labels", *sys.argv[1:]]
from soft_labels.__main__ import main
try:
    main()
finally:
    print(sorted({"torch", "lightning", "duckdb"} & set(sys.modules)))
"""
MISTAKES = (
    ("fitt", "did you mean fit?"),
    ("fit --config nosuch", "there is no file nosuch"),
    ("fit --config quickstart --trainer.max_epocs 3", "did you mean trainer.max_epochs?"),
    ("fit --config data/table --data.path nosuch.csv", "nosuch.csv: no such table"),
    ("fit --config={tmp}/keys.yaml", "option 'model.hiden_width'; did you mean model.hidden_width?"),
    ("fit --config={tmp}/data.yaml", "gone.csv: no such table"),
    ("test --config quickstart --ckpt_path nosuch.ckpt", "no checkpoint at nosuch.ckpt"),
    ("validate --config quickstart --ckpt_pth=x", "did you mean ckpt_path?"),
    ("predict a/head nosuch.csv --out p.csv", "nosuch.csv: no such table"),
    ("predict a/head {tmp}/keys.yaml --ot p.csv", "unrecognized arguments: --ot"),
    ("predict head {tmp}/keys.yaml --out p.csv", "wanted the folder of a head, or ORGANISATION/NAME on the Hub, got"),
    ("data stats --root nosuch", "no data set below nosuch: wanted a folder chaosnli, popquorn, cifar10h"),
    ("export nosuch --out h", "give a folder that fit made"),
    ("compare --config quickstart --seedss 3", "did you mean seeds?"),
    ("compare --show nosuch", "no compare.json in nosuch"),
    ("quickstart --seedss=3", "did you mean seeds?"),
    ("budget --config quickstart --lader [1]", "did you mean ladder?"),
    ("sweep --config quickstart --sweep nosuch", "there is no file nosuch"),
    ("sweep --config quickstart --modle.lr 3", "did you mean model.lr?"),
    ("reproduce --config quickstart --experiment.seds 3", "did you mean experiment.seeds?"),
    ("embed --config data/table --data.path nosuch.csv", "nosuch.csv: no such table"),
    ("report nosuch", "no experiment.json in nosuch"),
    ("data stats --config data/table --data.path nosuch.csv", "nosuch.csv: no such table"),
    ("data init nosuch.csv", "nosuch.csv: no such table"),
    ("data stat --json", "data wants one of init, stats, fetch, got stat; did you mean stats?"),
    ("runs", "runs wants one of list, clean, got nothing"),
    ("completion bsh", "did you mean bash?"),
    ("storage --storge x", "unrecognized arguments: --storge"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("line", "told"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_ends_before_anything_heavy_is_imported(line: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("model: {hiden_width: 3}\n")
    (tmp_path / "data.yaml").write_text("data: {class_path: soft_labels.data.TableDataModule, init_args: "
                                        "{path: gone.csv}}\n")  # fmt: skip
    command = [sys.executable, "-c", ENDS, *line.format(tmp=tmp_path).split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (done.returncode, done.stdout) == (2, "[]\n"), done.stderr
    assert told in done.stderr
    assert done.stderr.count("did you mean") <= 1


@pytest.mark.parametrize(
    "line",
    [
        "fit --data=tests.toys.SeededData --data.items=80",
        "fit --data tests.toys.SeededData --data.anything 80 --trainer.callbacks+=lightning.pytorch.callbacks.Timer",
        "fit --config=quickstart --data.init_args.batch_size=8 --data.encoder.init_args.width=3",
        "fit --data.path=hf://datasets/a/b --model.lr=1",
        "sweep --sweep.space={{}} --storage=journal:x --json=true",
        "predict --config=x --ckpt_path={file} --format=parquet --trainer.devices=1",
        "cluster slurm --anything",
        "compare --help",
    ],
)
def test_what_may_be_right_is_left_to_the_parser(line: str) -> None:
    check(line.format(file=__file__).split())


def test_foreign_data_modules_of_a_configuration_have_options_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("data: {class_path: tests.toys.SeededData, init_args: {items: 3}}\nmodel: {lr: 0.1}\n")
    check(["fit", f"--config={path}", "--data.items=4"])
    path.write_text("data: {class_path: tests.toys.SeededData, init_args: {items: 3}}\nmodel: {lrr: 0.1}\n")
    with pytest.raises(ArgumentError, match=r"model\.lrr"):
        check(["fit", f"--config={path}"])


def test_the_last_configuration_with_a_path_counts(tmp_path: Path) -> None:
    for name, target in (("gone", tmp_path / "none.csv"), ("there", Path(__file__))):
        (tmp_path / f"{name}.yaml").write_text(f"data: {{init_args: {{path: {target}}}}}\n")
    gone, there = (f"--config={tmp_path}/{name}.yaml" for name in ("gone", "there"))
    check(["fit", gone, there])
    with pytest.raises(SoftLabelsError, match="no such table"):
        check(["fit", there, gone])
