"""Any model of the transformers library: two texts read together, a classifier's logits, any layer."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from soft_labels.encoders.base import EncoderInput, TokenisingEncoder, pick_device
from soft_labels.encoders.hub import ModelPlace
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Output = Literal["mean", "first_token", "logits"]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_UNUSED = ("pooler.",)  # weights that no output here reads, and that many checkpoints lack
_PLACES_OF_PADDING = 2  # RoBERTa's first places are those of padding
_NO_LIMIT = 10**6  # a tokenizer that knows no limit says 10**30


class TransformerEncoder(TokenisingEncoder):
    """A frozen model of the transformers library: one text, or two read together, to one vector.

    Local weights enter the fingerprint by their digest, a hub model by its name and commit (see
    :class:`~soft_labels.encoders.hub.ModelPlace`). Code that comes with a model is never run, and a model that lacks
    weights for what is asked of it is refused: transformers would draw them at random.

    Args:
        model: A local folder, ``ORGANISATION/NAME`` on the model hub, or ``packaged:NAME`` of a sentence-transformers
            model.
        revision: Commit hash, tag or branch of a hub model; ``None`` is the hub's main branch.
        output: ``mean`` over the tokens that are no padding, the ``first_token``, or a classifier's ``logits``.
        layers: Which hidden states ``mean`` and ``first_token`` are taken of, side by side in this order: 0 is the
            embedding layer, 1 the first layer, -1 the last.
        pairs: Whether two texts are read ``jointly``, as the tokenizer joins them, or ``apart`` as
            ``data.pair_features`` says.
        max_length: Tokens after which an input is cut, of two texts the longer first; ``None`` is the model's
            own limit.
        batch_size: Inputs a forward pass.
        device: ``auto``, or torch's name of a device.
        precision: ``bf16`` and ``fp16`` load the weights in half precision; embeddings are float32 either way.

    Raises:
        EncoderError: The model's name, the revision, ``layers`` or ``max_length`` cannot be used.
    """

    modality = "text"

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        output: Output = "mean",
        layers: tuple[int, ...] = (-1,),
        pairs: Literal["jointly", "apart"] = "jointly",
        max_length: int | None = None,
        batch_size: int = 32,
        device: str = "auto",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    ) -> None:
        super().__init__(batch_size)
        if max_length is not None and max_length < 1:
            raise EncoderError(f"encoder max_length must be at least 1 token, got {max_length}")
        if not layers or (output == "logits" and tuple(layers) != (-1,)):
            raise EncoderError(
                f"wanted at least one layer, and none named where output is logits, got {list(layers)}; "
                "choose output mean or first_token for layers"
            )
        self.model = model
        self.output = output
        self.layers = tuple(layers)
        self.reads_pairs = pairs == "jointly"
        self.max_length = max_length
        self.device = device
        self.precision = precision
        self._place = ModelPlace(model, revision, "sentence-transformers")

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Weights, output, layers, length limit and precision; one text and two have content keys that differ."""
        return {
            "encoder": "transformer",
            "weights": self._place.identity,
            "output": self.output,
            "layers": ",".join(map(str, self.layers)),
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
        return sum(map(len, _sides(item)))

    def preprocess(self, items: Sequence[EncoderInput]) -> dict[str, Tensor]:
        """Token ids and masks of one batch, as the model's tokenizer gives them."""
        sides = [_sides(item) for item in items]
        if len({len(each) for each in sides}) > 1:
            raise EncoderError("wanted texts or pairs of texts in one batch, got both")
        columns = [list(column) for column in zip(*sides, strict=True)]
        limit = self.most_tokens
        batch = self._tokenizer(*columns, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        self._seen += len(items)
        self._cut += self._count_cut(sides, batch["attention_mask"])
        return dict(batch)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Embeddings of one tokenised batch, float32 ``[B, D]`` on the CPU; D grows with the number of layers."""
        model = self._loaded
        inputs = {name: each.to(model.device) for name, each in batch.items()}
        try:
            with torch.inference_mode():
                found = model(**inputs, output_hidden_states=self.output != "logits")
        except (IndexError, RuntimeError) as error:
            tokens, places = batch["input_ids"].shape[1], getattr(model.config, "max_position_embeddings", _NO_LIMIT)
            if tokens <= places - _PLACES_OF_PADDING:
                raise
            raise EncoderError(
                f"{self.model} has {places} places, too few for {tokens} tokens; lower data.encoder.max_length"
            ) from error
        if self.output == "logits":
            return found.logits.float().cpu()  # type: ignore[no-any-return]
        states = found.hidden_states
        rows = [self._pooled(states[layer], inputs) for layer in self._checked(len(states))]
        return torch.cat(rows, dim=1).float().cpu()

    def _pooled(self, states: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """One layer's tokens as one vector, ``[B, T, H]`` to ``[B, H]``."""
        mask = inputs["attention_mask"]
        if self.output == "first_token":  # the first that is no padding, on whichever side that stands
            return states[torch.arange(len(states), device=states.device), mask.argmax(dim=1)]
        weights = mask.unsqueeze(-1).to(torch.float32)
        return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)

    def _checked(self, count: int) -> tuple[int, ...]:
        """The layers, if the model has them."""
        if not all(-count <= layer < count for layer in self.layers):
            raise EncoderError(
                f"{self.model} has layers 0 to {count - 1} (or -{count} to -1), got {list(self.layers)}; correct "
                "data.encoder.layers"
            )
        return self.layers

    def _count_cut(self, sides: Sequence[tuple[str, ...]], mask: Tensor) -> int:
        """How many inputs lost tokens: those that fill the limit are tokenised again without one."""
        limit = self.most_tokens
        full = [each for each, used in zip(sides, mask.sum(dim=1).tolist(), strict=True) if limit and used >= limit]
        if not full or limit is None:
            return 0
        whole = self._tokenizer(*map(list, zip(*full, strict=True)), truncation=False, verbose=False)["input_ids"]
        return sum(len(ids) > limit for ids in whole)

    @cached_property
    def most_tokens(self) -> int | None:
        """Tokens after which an input is cut; ``None`` where neither the person nor the model knows a limit."""
        if self.max_length is not None:
            return self.max_length
        positions = getattr(self._loaded.config, "max_position_embeddings", None) or _NO_LIMIT
        limit = min(self._tokenizer.model_max_length, positions)
        return limit if limit < _NO_LIMIT else None

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        """The model's tokenizer; one that has no padding pads with its end of text, which the mask hides."""
        from transformers import AutoTokenizer

        tokenizer = self._from_pretrained(AutoTokenizer)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token is None:
            raise EncoderError(f"{self.model}: its tokenizer has no token for padding; set data.encoder.batch_size=1")
        return tokenizer  # type: ignore[no-any-return]

    @cached_property
    def _loaded(self) -> "PreTrainedModel":
        """The model in evaluation mode on its device."""
        from transformers import AutoModel, AutoModelForSequenceClassification

        kind = AutoModelForSequenceClassification if self.output == "logits" else AutoModel
        with torch.random.fork_rng(devices=[]):  # loading must not move the random state of a training run
            model, report = self._from_pretrained(kind, dtype=_TYPES[self.precision], output_loading_info=True)
        lacking = sorted(name for name in report["missing_keys"] if not name.startswith(_UNUSED))
        if lacking:
            raise EncoderError(
                f"{self.model} has no weights for {', '.join(lacking[:3])}, and lacks {len(lacking)} in all, which "
                f"would be drawn at random; choose a model trained for output {self.output}, or another "
                "data.encoder.output"
            )
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self._tokenizer.pad_token_id
        if self.output != "logits" and model.config.is_encoder_decoder:
            model = model.get_encoder()
        return model.to(pick_device(self.device)).eval()  # type: ignore[no-any-return]

    def _from_pretrained(self, kind: Any, **settings: Any) -> Any:
        """A part of the model, from its folder or at its commit; code that comes with it is not run."""
        try:
            return kind.from_pretrained(
                str(self._place.folder or self.model),
                revision=self._place.commit or "main",
                local_files_only=self._place.folder is not None,
                trust_remote_code=False,
                **settings,
            )
        except (OSError, RuntimeError, ValueError, KeyError, ImportError) as error:
            raise EncoderError(f"transformers cannot load {self.model!r}: {error}") from error


def _sides(item: EncoderInput) -> tuple[str, ...]:
    """One text or two."""
    if isinstance(item, str):
        return (item,)
    if isinstance(item, tuple):
        return item
    raise EncoderError("wanted texts, got an image; choose an image encoder for this data set")
