"""Imports point one way, modules stay short, tests lie where their modules lie; nothing is imported to find out."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "soft_labels"
MOST_LINES = 400

# For each file or folder of soft_labels, what it may import of the others.
ARROWS = {
    "errors": "",
    "files": "",
    "distributions": "",
    "heads": "",
    "annotations": "distributions errors files",
    "splits": "errors files",
    "encoders": "annotations.base errors files",
    "embeddings": "annotations.base encoders.base encoders.hosted errors files progress",
    "metrics": "distributions",
    "objectives": "distributions",
    "figures": "distributions",
    "batches": "",
    "runs": "datamodules errors objectives",
    "population": "batches datamodules distributions errors heads metrics objectives progress runs splits",
    "records": "errors files runs",
    "runner": "datamodules distributions heads metrics records runs",
    "engines": "errors lightning_engine population runs",
    "checkpoints": "datamodules files lightning_engine records runs",
    "curves": "callbacks files records",
    "experiment": "annotations checkpoints cli curves datamodules distributions engines errors experiment_index files "
    "objectives records report.command runner runs splits sweep",
    "datamodules": "annotations batches distributions embeddings encoders.base errors splits",
    "module": "batches errors heads metrics objectives runs splits",
    "callbacks": "datamodules distributions figures files module splits",
    "cli": "callbacks datamodules errors module",
    "embed_command": "cli datamodules embeddings encoders.hosted errors",
    "lightning_engine": "cli datamodules module progress runs",
    "sweep": "checkpoints cli curves datamodules engines errors files objectives records runner runs",
    "metric_names": "",
    "progress": "",
    "compare": "cli distributions errors metric_names objectives progress",
    "cluster": "errors files",
    "stats": "",
    "experiment_index": "errors files objectives",
    "report": "errors experiment_index files metric_names objectives records runs stats",
    "data_commands": "annotations cli distributions errors",
    "__init__": "",
    "__main__": "errors",
}
# Tests of what no single module does.
TESTS_OF_THE_WHOLE = {
    "test_architecture",
    "test_bad_input",
    "test_cluster_readme",
    "test_configs",
    "test_ddp",
    "test_notebooks",
    "test_readme",
}

MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imports(source: str) -> set[str]:
    """Names of this package that a source imports at any depth, as ``splits.draw_split``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
    relative = sorted(name for name in found if name.startswith("."))
    assert not relative, f"write imports from the package's name, not {relative}"
    return {name.partition(".")[2] for name in found if name.split(".")[0] == PACKAGE.name}


def forbidden(room: str, source: str) -> set[str]:
    """Imports of this package that the room's arrows do not allow; a room's own modules are its own affair."""
    allowed = tuple(f"{target}." for target in (room, *ARROWS[room].split()))
    return {name for name in imports(source) if not f"{name}.".startswith(allowed)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert room in ARROWS, f"{name_of(path)} is new: give it its arrows in {name_of(Path(__file__))}"
    against = forbidden(room, path.read_text(encoding="utf-8"))
    assert not against, f"{name_of(path)} may import {ARROWS[room].split()} of this package, not {sorted(against)}"


def test_the_arrows_have_no_circle() -> None:
    graph = {room: {target.split(".")[0] for target in targets.split()} for room, targets in ARROWS.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(ARROWS)


@pytest.mark.parametrize(
    "source",
    [
        "import soft_labels.module",
        "from soft_labels import module",
        "def late():\n    from soft_labels.module import SoftLabelModule",
        "from soft_labels.encoders.timm_image import TimmEncoder",
        "from soft_labels import annotations",
    ],
)
def test_an_import_against_the_arrows_is_found_in_every_form(source: str) -> None:
    allowed = "from soft_labels.encoders import base\nfrom soft_labels.embeddings.store import Keys\nimport torch\n"
    assert not forbidden("embeddings", allowed)
    assert len(forbidden("embeddings", allowed + source)) == 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{name_of(path)} has {lines} lines; split it by what its parts know"


@pytest.mark.parametrize("path", [path for path in TESTS if path.stem not in TESTS_OF_THE_WHOLE], ids=name_of)
def test_a_test_lies_where_its_module_lies(path: Path) -> None:
    folder = PACKAGE / path.relative_to(REPOSITORY / "tests").parent
    name = path.stem.removeprefix("test_")
    candidates = [folder / f"{stem}.py" for stem in (name, f"_{name}", f"__{name}__")]
    assert any(candidate.is_file() for candidate in candidates), f"no {name_of(candidates[0])}"
