"""The nearest right name stands in the message."""

import pytest

from soft_labels.commands.hints import hint
from tests.conftest import RunCli

WITHIN = "Parser key \"data\":\n    - Problem with given class_path 'soft_labels.data.TableDataModule':\n        "


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("unrecognized arguments: --model.learn_rte=1", ""),
        ("unrecognized arguments: --model.hiden_width=1", "model.hidden_width"),
        ("unrecognized arguments: --trainer.max_epoch=1", "trainer.max_epochs"),
        ("unrecognized arguments: --experiment.seds=3", "experiment.seeds"),
        ("Subcommand 'fit' does not accept option 'modle.lr'", "model.lr"),
        (f"{WITHIN}Option 'text_colum' is not accepted", "text_column"),
        (f"{WITHIN}Option 'split_sed' is not accepted", "split_seed"),
        ("module 'soft_labels.data' has no attribute 'TableDataModul'", "TableDataModule"),
        ("Expected a <class 'float'>. Got value: fast", ""),
    ],
)
def test_the_nearest_name_is_asked_for(message: str, meant: str) -> None:
    assert hint(message, "fit") == (f"; did you mean {meant}?" if meant else "")


def test_options_of_the_command_itself_are_known() -> None:
    assert hint("unrecognized arguments: --baselin=soft", "compare") == "; did you mean baseline?"


def test_it_stands_in_what_a_person_reads(run_cli: RunCli) -> None:
    done = run_cli("fit", "--config=data/table", "--data.text_colum=a")
    assert done.code == 2
    assert (
        "arguments: --data.text_colum=a; did you mean data.text_column?\nsoft-labels fit --help-all lists" in done.err
    )
