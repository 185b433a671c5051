"""A trained head in memory: asked for distributions, saved to a folder, sent to the Hub."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soft_labels.annotations.base import Input, Items
from soft_labels.distributions import entropy
from soft_labels.embeddings import FeatureSource
from soft_labels.embeddings.direct import Encoded
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.hosted import HostedEncoder
from soft_labels.encoders.vectors import with_probabilities
from soft_labels.errors import ConfigError, DataError
from soft_labels.heads.card import card_of
from soft_labels.heads.config import HeadConfig, Reads
from soft_labels.heads.encoder import check_same, made
from soft_labels.heads.folder import FILES, read_head, write_head
from soft_labels.heads.inputs import read_inputs
from soft_labels.heads.source import folder_of
from soft_labels.training.calibration import CalibratedHead, make_calibration
from soft_labels.training.kinds import HEADS
from soft_labels.training.prediction_table import prediction_columns
from soft_labels.training.spec import HeadSpec

logger = logging.getLogger(__name__)
STORE = Path("embeddings")
_BLOCK = 4_096
_PACKAGES = ("soft-labels", "torch", "transformers", "sentence-transformers", "timm", "numpy")


@dataclass(frozen=True)
class Predictions:
    """What a head says of some items.

    Args:
        uids: ``[N]``.
        distributions: ``[N, C]`` float32, rows sum to 1.
        class_names: ``[C]``.
    """

    uids: tuple[str, ...]
    distributions: NDArray[np.float32]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self.uids)

    @property
    def entropies(self) -> NDArray[np.float32]:
        """Entropy of each distribution, ``[N]`` nats."""
        return entropy(torch.from_numpy(self.distributions)).numpy()

    @property
    def labels(self) -> list[str]:
        """The likeliest class of each item, of equal ones the first, ``[N]``."""
        return [self.class_names[place] for place in self.distributions.argmax(axis=1)]

    def to_frame(self) -> Any:
        """A polars data frame with the columns of ``soft-labels predict``.

        Its ``to_pandas()`` gives one of pandas, where pandas and pyarrow are installed.
        """
        import polars as pl

        return pl.DataFrame(prediction_columns(self.uids, torch.from_numpy(self.distributions), self.class_names))


def network_of(config: HeadConfig) -> CalibratedHead:
    """The network of a head, with initial weights."""
    with torch.random.fork_rng(devices=[]):  # loading must not move the random state of a training run
        spec = HeadSpec(**config.spec)
        head = spec.kind.make(config.embedding_dim, len(config.class_names), spec)
    return CalibratedHead(head, make_calibration(config.calibration)).eval()


def versions() -> dict[str, str]:
    """Of this package and the libraries that compute a head and its features."""
    return {name: version(name) for name in _PACKAGES}


class TrainedHead(ModelHubMixin, library_name="soft-labels"):
    """A head that was trained, with the encoder that makes its features.

    Args:
        settings: What it is.
        network: Features ``[B, D]`` to calibrated logits ``[B, C]``, on the CPU.
        given: Settings of the encoder for this machine, such as ``device`` or the ``model`` of a local folder.
        revision: The commit of the Hub that it came from, if it did.

    Example:
        >>> import soft_labels
        >>> head = soft_labels.load("head/")  # doctest: +SKIP
        >>> head.predict(["Could you send it?"]).to_frame()  # doctest: +SKIP
    """

    def __init__(
        self,
        settings: HeadConfig,
        network: CalibratedHead,
        given: Mapping[str, Any] | None = None,
        revision: str | None = None,
    ) -> None:
        self.settings = settings
        self.network = network
        self.given = dict(given or {})
        self.revision = revision

    @classmethod
    def read(cls, folder: Path, given: Mapping[str, Any] | None = None, revision: str | None = None) -> Self:
        """The head in a folder; nothing is unpickled.

        Args:
            folder: What ``soft-labels export`` or :meth:`save` wrote.
            given: Settings of the encoder for this machine.
            revision: The commit of the Hub that it came from, if it did.

        Raises:
            ConfigError: It is no such folder, or a file of it is missing or damaged.
        """
        settings, state = read_head(folder)
        network = network_of(settings)
        network.load_own(state)
        return cls(settings, network, given, revision)

    @property
    def class_names(self) -> tuple[str, ...]:
        """``[C]``."""
        return self.settings.class_names

    @property
    def report(self) -> dict[str, Any]:
        """Its numbers on the test items; see :func:`~soft_labels.heads.numbers.measured`."""
        return self.settings.report

    @cached_property
    def source(self) -> FeatureSource:
        """How items become features.

        Raises:
            ConfigError: Features are given to this head.
            EncoderError: The encoder is not here, or is another than that of the training.
        """
        if self.settings.reads == "vectors" or self.settings.encoder is None:
            raise ConfigError(f"this head wants features [N, {self.settings.embedding_dim}], not texts or images")
        encoder = made(self.settings.encoder, self.given)
        check_same(encoder, self.settings.fingerprint)
        return FeatureSource(encoder, STORE, self.settings.pair_features, self.settings.pair_separator)

    def features(self, items: Items) -> Encoded:
        """Features of some items, ``[N, D]``; of an encoder that is paid, its answers are kept in ``embeddings/``.

        Args:
            items: At least one.
        """
        if any(isinstance(part, HostedEncoder) for part in self.source.encoders):
            features, _ = self.source.features(items, "predict")
            return Encoded(features[torch.arange(len(items.uids))], {})
        return self.source.direct(items)

    @torch.inference_mode()
    def distributions(self, features: Tensor) -> Tensor:
        """What the head predicts, ``[N, C]``, of features ``[N, D]``.

        Raises:
            DataError: The features are of another width, or not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.settings.embedding_dim:
            raise DataError(
                f"wanted features of shape [N, {self.settings.embedding_dim}], got {list(features.shape)}; give those "
                "of the encoder that the head was trained on"
            )
        pred_dist: Tensor = self.network(features.float()).softmax(dim=-1)
        bad = ~torch.isfinite(pred_dist).all(dim=1)
        if bad.any():
            raise DataError(f"row {int(bad.nonzero()[0])} (from 0) gives no finite prediction; correct its features")
        return pred_dist

    def predict(self, inputs: Sequence[Input] | ArrayLike | Tensor, uids: Sequence[str] | None = None) -> Predictions:
        """Distributions of some items.

        Args:
            inputs: ``[N]`` texts, pairs of texts, or images (paths or ``uint8`` ``[H, W, 3]``), as the head reads; or
                features ``[N, D]``, where it was trained on vectors.
            uids: ``[N]`` the items' ids; by default their positions from 0.

        Raises:
            DataError: An input cannot be read; nothing is left out.
        """
        kind, rows = read_inputs(inputs) if len(inputs) else self._nothing()  # type: ignore[arg-type]
        if kind != self.settings.reads:
            raise DataError(f"this head reads {self.settings.reads}, got {kind}; give it what it was trained on")
        pred_dist = self._of_items(rows) if kind != "vectors" else self.distributions(self.of_vectors(rows))
        ids = tuple(map(str, range(len(pred_dist)) if uids is None else uids))
        if len(ids) != len(pred_dist):
            raise DataError(f"{len(pred_dist):,} inputs but {len(ids):,} uids; give one for each")
        return Predictions(ids, pred_dist.numpy(), self.class_names)

    def _nothing(self) -> tuple[Reads, Any]:
        """No inputs, of the kind that the head reads."""
        nothing: Any = torch.empty(0, self.settings.embedding_dim) if self.settings.reads == "vectors" else []
        return self.settings.reads, nothing

    def of_vectors(self, vectors: Tensor) -> Tensor:
        """Features of vectors that something else computed, ``[N, D]``: of logits, their probabilities beside them."""
        classes = (self.settings.encoder or {"init_args": {}})["init_args"].get("logit_classes")
        return vectors if classes is None else with_probabilities(vectors, classes)

    def _of_items(self, inputs: list[Any]) -> Tensor:
        """Distributions of inputs, block by block."""
        found = [torch.empty(0, len(self.class_names))]
        for start in range(0, len(inputs), _BLOCK):
            block = inputs[start : start + _BLOCK]
            uids = tuple(str(start + place) for place in range(len(block)))
            rows, refused = self.features(Items(uids, block, self.settings.reads))  # type: ignore[arg-type]
            if refused:
                first = min(refused)
                raise DataError(f"input {start + first} (from 0): {refused[first]}; {len(refused):,} are so; correct "
                                "or remove them")  # fmt: skip
            found.append(self.distributions(rows))
        return torch.cat(found)

    def save(self, folder: Path | str, *, onnx: bool = False) -> Path:
        """Write the head; the folder appears whole or not at all.

        Args:
            folder: A new folder.
            onnx: Whether to write it as ONNX as well; wants the extra ``onnx``.

        Raises:
            ConfigError: The folder holds something, a library of the extra is missing, or the head's weights hold its
                training items.
        """
        from soft_labels.heads.onnx import to_onnx

        kind = self.settings.spec["head"]
        if HEADS[kind].keeps_items:
            raise ConfigError(
                f"head {kind} keeps the features and labels of its training items, and nothing of them is to travel; "
                "choose another head"
            )
        folder = Path(folder)
        model = to_onnx(self.network, self.settings.embedding_dim) if onnx else None
        name = folder.resolve().name
        write_head(folder, self.settings, self.network.state_dict(), card_of(self.settings, name), model)
        return folder

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the head into the Hub's own folder."""
        with tempfile.TemporaryDirectory(prefix="soft-labels-") as folder:
            own = self.save(Path(folder) / save_directory.name)
            for file in own.iterdir():
                (save_directory / file.name).write_bytes(file.read_bytes())

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        given: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Self:
        """The head of a folder, or of one commit of the Hub."""
        if Path(model_id).is_dir():
            return cls.read(Path(model_id), given)
        folder = snapshot_download(
            model_id, revision=revision, cache_dir=cache_dir, force_download=force_download, token=token,
            local_files_only=local_files_only, allow_patterns=list(FILES),
        )  # fmt: skip
        commit = Path(folder).name
        logger.info("%s at commit %s", model_id, commit)
        return cls.read(Path(folder), given, commit)


def load(source: Path | str, *, revision: str | None = None, encoder: Mapping[str, Any] | None = None) -> TrainedHead:
    """A head from its folder, or from the Hugging Face Hub.

    Args:
        source: The folder, or ``ORGANISATION/NAME`` on the Hub.
        revision: Commit hash, tag or branch on the Hub; the commit that was taken is the head's ``revision``.
        encoder: Settings of the encoder for this machine, such as ``device``, ``batch_size``, or the ``model`` of a
            local folder.

    Raises:
        ConfigError: There is no such head, a file of it is damaged, or the Hub does not answer.
    """
    folder = folder_of(source)
    if folder is not None:
        if revision is not None:
            raise ConfigError(f"revision {revision!r} is for heads of the Hub only, but {source} is a folder")
        return TrainedHead.read(folder, encoder)
    try:
        return TrainedHead.from_pretrained(str(source), revision=revision, given=encoder)
    except ConfigError:
        raise
    except Exception as error:  # connection, permission and naming errors have no common class
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{source} is no folder, and the Hub did not give it ({type(error).__name__}: {first}); correct the name, "
            "or give a folder"
        ) from error


def of_encoder(encoder: Encoder | None) -> dict[str, Any]:
    """What a head's configuration says of an encoder: how it is made, and what decides its numbers."""
    from soft_labels.heads.encoder import described

    if encoder is None:
        return {"encoder": None, "fingerprint": {"kind": "tensors"}}
    fingerprint = {"kind": type(encoder).__name__, **encoder.fingerprint()}
    return {"encoder": described(encoder), "fingerprint": fingerprint}
