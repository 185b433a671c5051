"""What is imported is declared, and what is borrowed from a library's inside is still there."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tests.test_architecture import MODULES, REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the extra brings is imported only where it was chosen.
EXTRAS = PROJECT["optional-dependencies"]
LINES = [*PROJECT["dependencies"], *EXTRAS["offline"], *EXTRAS["onnx"]]
DECLARED = {re.split(r"[\[<>=;~! ]", line)[0].lower().replace("_", "-"): line for line in LINES}


def imported() -> dict[str, str]:
    """For each package that a module imports at any depth, one of those modules."""
    found: dict[str, str] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found.update({name.partition(".")[0]: path.name for name in names})
    return {name: where for name, where in found.items() if name not in sys.stdlib_module_names | {"soft_labels"}}


@pytest.mark.slow
def test_what_is_imported_is_declared() -> None:
    owners = packages_distributions()
    missing = {
        name: where
        for name, where in imported().items()
        if not DECLARED.keys() & {owner.lower().replace("_", "-") for owner in owners[name]}
    }
    assert not missing, f"name these in pyproject.toml's dependencies: {missing}"


def test_optuna_is_bounded_by_the_version_whose_inside_is_known() -> None:
    assert re.search(r"<\s*6(\.0)?$", DECLARED["optuna"])
    assert int(version("optuna").partition(".")[0]) < 6


USED_OF_OPTUNA = """
create_new_study create_new_trial delete_study get_all_studies get_all_trials get_study_directions
get_study_id_from_name get_study_name_from_id get_study_system_attrs get_study_user_attrs get_trial
set_study_system_attr set_study_user_attr set_trial_intermediate_value set_trial_param set_trial_state_values
set_trial_system_attr set_trial_user_attr
"""


def test_what_is_borrowed_of_optunas_inside_is_there() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    study.ask()
    trial = study.get_trials()[0]
    moved = [
        name
        for name, is_there in {
            "Study._storage": getattr(study, "_storage", None) is storage,
            "Study._study_id": getattr(study, "_study_id", None) == storage.get_study_id_from_name(study.study_name),
            "FrozenTrial._trial_id": getattr(trial, "_trial_id", None) == storage.get_all_trials(0)[0]._trial_id,
            "BaseStorage.__abstractmethods__": sorted(BaseStorage.__abstractmethods__)
            == sorted(USED_OF_OPTUNA.split()),
            "JournalFileBackend": {"read_logs", "append_logs"} <= set(vars(JournalFileBackend)),
            "JournalFileOpenLock": {"acquire", "release"} <= set(vars(JournalFileOpenLock)),
        }.items()
        if not is_there
    ]
    assert not moved, f"optuna {version('optuna')} has moved or changed {moved}, which soft_labels/sweep relies on"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["markupsafe", "pytest"])
def test_the_list_of_imports_is_no_list_of_all_that_is_installed(name: str) -> None:
    assert name not in imported()
