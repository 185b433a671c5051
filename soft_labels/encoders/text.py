"""Text encoders of the sentence-transformers library, from a package, a folder or a model hub."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from soft_labels.encoders.base import EncoderInput, Precision, TokenisingEncoder, pick_device, texts_of
from soft_labels.encoders.hub import ModelPlace
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceTransformerEncoder(TokenisingEncoder):
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
    shown = "texts"

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
        self._place = ModelPlace(model, revision, "sentence-transformers", "SENTENCE_TRANSFORMERS_HOME")
        self.prompt = prompt
        self.normalize = normalize
        self.max_length = max_length
        self.device = device
        self.precision = precision

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Weights, prompt, normalisation, length limit and precision."""
        return {
            "encoder": "sentence_transformer",
            "weights": self._place.identity,
            "prompt": self.prompt,
            "normalize": self.normalize,
            "max_length": self.max_length,
            "precision": self.precision,
        }

    @property
    def of_this_machine(self) -> tuple[str, ...]:
        """The model, where it is a local folder."""
        return self._place.of_this_machine

    def settings(self) -> dict[str, Any]:
        """Those it was made with; a hub model at its commit."""
        return {**super().settings(), "revision": self._place.commit}

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
    def most_tokens(self) -> int | None:
        """Tokens that the model reads."""
        most: int | None = self._loaded.max_seq_length
        return most

    @cached_property
    def _loaded(self) -> "SentenceTransformer":
        """The model in evaluation mode on its device, in float32."""
        from sentence_transformers import SentenceTransformer

        with torch.random.fork_rng(devices=[]):  # loading must not move the random state of a training run
            try:
                model = SentenceTransformer(
                    str(self._place.folder or self.model),
                    device=str(pick_device(self.device)),
                    revision=self._place.commit,
                    local_files_only=self._place.folder is not None,
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
