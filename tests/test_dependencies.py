"""What is imported is declared, and what is borrowed from a library's inside is still there."""

import ast
import json
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lowest import EXTRAS, direct, floor
from tests.test_architecture import MODULES, REPOSITORY

# What an extra brings is imported by the package only where that extra was chosen, by tests always.
OF_THE_PACKAGE = direct("offline", "onnx")
OF_THE_TESTS = direct(*EXTRAS)
HELPERS = [path for room in ("tests", "docs") for path in sorted((REPOSITORY / room).rglob("*.py"))]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
OURS = {"soft_labels", "tests", "docs"}


def source_of(path: Path) -> str:
    """The Python of a module, or of a notebook's cells without what is IPython's own."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = (cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    return "\n".join(line for cell in cells for line in "".join(cell).splitlines() if not line.startswith(("%", "!")))


def imported(paths: Sequence[Path]) -> dict[str, str]:
    """For each package that one of the sources imports at any depth, one of those sources."""
    found: dict[str, str] = {}
    for path in paths:
        for node in ast.walk(ast.parse(source_of(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found.update({name.partition(".")[0]: path.name for name in names})
    return {name: where for name, where in found.items() if name not in sys.stdlib_module_names | OURS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("paths", "asked_for"),
    [
        pytest.param(MODULES, OF_THE_PACKAGE, id="package"),
        pytest.param([*HELPERS, *NOTEBOOKS], OF_THE_TESTS, id="tests"),
    ],
)
def test_what_is_imported_is_declared(paths: Sequence[Path], asked_for: dict[str, Requirement]) -> None:
    owners = packages_distributions()
    missing = {
        name: where
        for name, where in imported(paths).items()
        if not asked_for.keys() & {canonicalize_name(owner) for owner in owners.get(name, ())}
    }
    assert not missing, f"name these in pyproject.toml's dependencies, or those of tests in its extra dev: {missing}"


def test_every_dependency_has_a_lowest_version_and_this_one_is_not_below_it() -> None:
    for name, requirement in direct(*EXTRAS).items():
        assert requirement.specifier.contains(floor(requirement)), f"{name}: its lowest version is excluded"
        assert requirement.specifier.contains(version(name), prereleases=True), f"{name}: {version(name)} is not it"


def test_optuna_is_bounded_by_the_version_whose_inside_is_known() -> None:
    assert not OF_THE_PACKAGE["optuna"].specifier.contains("6.0")
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
    assert name not in imported(MODULES)
