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
    "consent": "errors",
    "palette": "",
    "progress": "",
    "distributions": "",
    "annotations": "distributions errors files palette progress",
    "encoders": "annotations.base annotations.table.encoding errors files",
    "embeddings": "annotations.base encoders.base encoders.hosted encoders.images errors files progress",
    "metrics": "distributions",
    "data": "annotations distributions embeddings encoders.base encoders.installed errors files trust.draws",
    "heads": "annotations consent data distributions embeddings encoders errors files metrics progress training trust",
    "training": "annotations.base data distributions embeddings encoders.images errors files metrics palette progress",
    "runs": "annotations data distributions errors files metrics progress training trust",
    "sweep": "data errors files runs training",
    "experiment": "annotations data distributions errors files metrics runs sweep training trust",
    "report": "data.split errors experiment.budget experiment.index files metrics palette runs training trust",
    "commands": "annotations consent data distributions embeddings encoders errors experiment files heads metrics "
    "progress report runs sweep training trust",
    "trust": "distributions errors metrics",
    "__init__": "heads",
    "sklearn": "annotations data distributions embeddings errors heads training",
    "__main__": "commands.completion commands.configs commands.configurations commands.early commands.help "
    "commands.hints commands.interrupted commands.output errors progress",
}
# Tests of what no single module does.
TESTS_OF_THE_WHOLE = {
    "test_architecture",
    "test_bad_input",
    "test_cluster_readme",
    "test_configs",
    "test_ddp",
    "test_dependencies",
    "test_docs",
    "test_extension",
    "test_faults",
    "test_full_disk",
    "test_notebooks",
    "test_pictures",
    "test_readme",
    "test_release",
    "test_slurm",
    "test_wheel",
}

# Configurations are read by one room; whoever else asks their parser, and why.
CONFIG_READERS = {"jsonargparse", "LightningCLI", "LightningArgumentParser"}
READS_CONFIGS = {
    "sweep/settings": "a sampler or pruner that a search space file names is made anew for each study",
}

MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imports(source: str) -> set[str]:
    """Names of this package that a source imports at any depth, as ``data.split.draw_split``."""
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


@pytest.mark.slow
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
        "import soft_labels.training.module",
        "from soft_labels import module",
        "def late():\n    from soft_labels.training.module import SoftLabelModule",
        "from soft_labels.encoders.image import TimmEncoder",
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


def stem_of(path: Path) -> str:
    """A module without its ending, as ``sweep/space``."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem != "__init__"], ids=name_of)
def test_a_module_has_its_test_file(path: Path) -> None:
    folder = REPOSITORY / "tests" / path.relative_to(PACKAGE).parent
    wanted = folder / f"test_{path.stem.strip('_')}.py"
    assert wanted.is_file(), f"{name_of(path)} wants {name_of(wanted)}"


def test_every_excuse_is_of_a_module() -> None:
    stems = {stem_of(path) for path in MODULES}
    assert set(READS_CONFIGS) <= stems


def config_readers(source: str) -> set[str]:
    """What a source imports at any depth that reads configurations."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update({(node.module or "").split(".")[0], *(alias.name for alias in node.names)})
    return found & CONFIG_READERS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_commands_alone_read_configurations(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    found = config_readers(path.read_text(encoding="utf-8"))
    allowed = room == "commands" or stem_of(path) in READS_CONFIGS
    assert allowed or not found, f"{name_of(path)} uses {sorted(found)}; let commands read, and take flat arguments"
    assert found or stem_of(path) not in READS_CONFIGS, f"{name_of(path)} needs no exception"


@pytest.mark.parametrize(
    "source",
    [
        "import jsonargparse.typing",
        "from jsonargparse import Namespace",
        "def late():\n    from lightning.pytorch.cli import LightningCLI",
        "from lightning.pytorch.cli import LightningArgumentParser as Parser",
    ],
)
def test_a_reader_of_configurations_is_found_in_every_form(source: str) -> None:
    assert not config_readers("from lightning.pytorch import Trainer\nimport json\n")
    assert len(config_readers(source)) == 1
