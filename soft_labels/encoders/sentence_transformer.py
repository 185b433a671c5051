"""Text encoders of the sentence-transformers library, from a package, a folder or a model hub."""

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from soft_labels.encoders.base import Encoder, EncoderInput, Precision, pick_device, texts_of
from soft_labels.encoders.packaged import digest, packaged_weights
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceTransformerEncoder(Encoder):
    """A frozen sentence-transformers model: one text to one vector.

    Packaged and local weights enter the fingerprint by their digest. A hub model enters it by name and commit, and
    that commit is what is loaded: ``revision`` where it is a full commit hash, else what the local hub cache says, else
    what the hub itself is asked once.

    Args:
        model: ``packaged:NAME`` (weights inside an installed package), a local folder, or ``ORGANISATION/NAME`` on
            the model hub.
        revision: Commit hash, tag or branch of a hub model; ``None`` is the hub's main branch.
        prompt: Put before every text; the model's own default prompt is not used.
        normalize: Whether embeddings are scaled to unit length; some models do so themselves.
        max_length: Tokens after which a text is cut; ``None`` is the model's own limit.
        batch_size: Texts a forward pass.
        device: ``auto``, or torch's name of a device.
        precision: ``bf16`` runs the model under autocast; embeddings are float32 either way.

    Raises:
        EncoderError: The model's name, the revision or ``max_length`` cannot be used.
    """

    modality = "text"

    def __init__(
        self,
        model: str = "packaged:all-MiniLM-L6-v2",
        *,
        revision: str | None = None,
        prompt: str = "",
        normalize: bool = False,
        max_length: int | None = None,
        batch_size: int = 64,
        device: str = "auto",
        precision: Precision = "fp32",
    ) -> None:
        super().__init__(batch_size)
        if max_length is not None and max_length < 1:
            raise EncoderError(f"encoder max_length must be at least 1 token, got {max_length}")
        self.model = model
        self.revision = revision
        self.prompt = prompt
        self.normalize = normalize
        self.max_length = max_length
        self.device = device
        self.precision = precision
        self._seen = 0
        self._cut = 0

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Weights, prompt, normalisation, length limit and precision."""
        return {
            "encoder": "sentence_transformer",
            "weights": self._weights,
            "prompt": self.prompt,
            "normalize": self.normalize,
            "max_length": self.max_length,
            "precision": self.precision,
        }

    def length(self, item: EncoderInput) -> int:
        """Number of characters."""
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> dict[str, Any]:
        """Token ids and masks of one batch, as the library's own module takes them."""
        texts = texts_of(items)
        features: dict[str, Any] = self._loaded.preprocess(texts, prompt=self.prompt or None)
        self._seen += len(texts)
        self._cut += self._count_cut(texts, features)
        return features

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Embeddings of one tokenised batch, float32 ``[B, D]`` on the CPU."""
        from sentence_transformers.util import batch_to_device

        device = self._loaded.device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast:
            embeddings: Tensor = self._loaded(batch_to_device(batch, device))["sentence_embedding"].float()
        return (functional.normalize(embeddings, dim=1) if self.normalize else embeddings).cpu()

    @property
    def prepares_ahead(self) -> bool:
        """Only beside an accelerator: tokenising is short, and on the CPU it takes cores from the model."""
        return pick_device(self.device).type != "cpu"

    def remark(self) -> str | None:
        """How many texts were longer than the model reads, since the last call."""
        seen, cut = self._seen, self._cut
        self._seen = self._cut = 0
        if cut == 0:
            return None
        return (
            f"{cut:,} of {seen:,} texts are longer than {self._loaded.max_seq_length} tokens and were cut there; "
            "raise max_length as far as the model allows, or choose a model that reads longer texts"
        )

    @cached_property
    def _folder(self) -> Path | None:
        """The folder of packaged or local weights; ``None`` for a hub model."""
        packaged = packaged_weights(self.model, "sentence-transformers")
        local = Path(self.model).expanduser()
        folder = packaged or (local if local.is_dir() else None)
        if folder is not None and self.revision is not None:
            raise EncoderError(
                f"revision {self.revision!r} is for hub models only, but {self.model!r} is not; remove it"
            )
        if folder is None and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.model):
            raise EncoderError(
                f"wanted packaged:NAME, an existing folder or ORGANISATION/NAME on the model hub, got {self.model!r}"
            )
        return folder

    @cached_property
    def _commit(self) -> str | None:
        """The commit of a hub model, fixed for this object."""
        if self._folder is not None:
            return None
        revision = self.revision or "main"
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            return revision
        return _cached_commit(self.model, revision) or _commit_on_hub(self.model, revision)

    @cached_property
    def _weights(self) -> str:
        """The weights' identity in the fingerprint."""
        if self._folder is not None:
            return f"sha256:{digest(self._folder)}"
        return f"{self.model}@{self._commit}"

    @cached_property
    def _loaded(self) -> "SentenceTransformer":
        """The model in evaluation mode on its device, in float32."""
        from sentence_transformers import SentenceTransformer

        with torch.random.fork_rng(devices=[]):  # loading must not move the random state of a training run
            try:
                model = SentenceTransformer(
                    str(self._folder or self.model),
                    device=str(pick_device(self.device)),
                    revision=self._commit,
                    local_files_only=self._folder is not None,
                )
            except (OSError, RuntimeError, ValueError) as error:
                raise EncoderError(f"sentence-transformers cannot load {self.model!r}: {error}") from error
        if self.max_length is not None:
            model.max_seq_length = self.max_length
        return model.float().eval()

    def _count_cut(self, texts: Sequence[str], features: dict[str, Any]) -> int:
        """How many texts lost tokens: those that fill the limit are tokenised again without one."""
        limit, mask = self._loaded.max_seq_length, features.get("attention_mask")
        if limit is None or mask is None:
            return 0
        full = [self.prompt + text for text, used in zip(texts, mask.sum(1).tolist(), strict=True) if used >= limit]
        if not full:
            return 0
        whole = self._loaded.tokenizer(full, truncation=False, verbose=False)["input_ids"]
        return sum(len(ids) > limit for ids in whole)


def _commit_on_hub(model: str, revision: str) -> str | None:
    """The commit that the hub now has for a branch or tag."""
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(model, revision=revision).sha
    except Exception as error:  # connection, permission and naming errors have no common class
        raise EncoderError(
            f"cannot load {model!r}: its commit for {revision!r} is not in the local hub cache and the hub "
            f"did not give it ({type(error).__name__}); set revision to a full commit hash, or use packaged:NAME or a "
            "local folder"
        ) from error


def _cached_commit(model: str, revision: str) -> str | None:
    """The commit that the local hub cache last saw for a branch or tag, read from its own small files."""
    from huggingface_hub import constants

    cache = Path(os.environ.get("SENTENCE_TRANSFORMERS_HOME") or constants.HF_HUB_CACHE)
    ref = cache / f"models--{model.replace('/', '--')}" / "refs" / revision
    return ref.read_text().strip() if ref.is_file() else None
