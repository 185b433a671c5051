"""Tokens of texts for OpenAI's embeddings API: counted, held to its limits, packed into requests."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soft_labels.encoders.hosted import Request, Text
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    import tiktoken

TooLong = Literal["error", "truncate", "average"]
MOST_TOKENS_A_CHARACTER = 4
logger = logging.getLogger(__name__)


def tokenizer_of(model: str) -> "tiktoken.Encoding | None":
    """The tokenizer of an OpenAI model; ``None`` for other models, and where its file can be neither found nor fetched.

    tiktoken fetches the file once and keeps it in ``TIKTOKEN_CACHE_DIR``, or else in the system's temporary folder.
    """
    import tiktoken

    try:
        return tiktoken.encoding_for_model(model)
    except KeyError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("the tokenizer of %s cannot be fetched (%s)", model, type(error).__name__)
        return None


@dataclass(frozen=True)
class Tokens:
    """Counts and cuts texts.

    Without a tokenizer the count is the number of UTF-8 bytes: a tokenizer that works on bytes (all of OpenAI's) never
    makes more tokens than bytes.

    Args:
        tokenizer: The model's own, if there is one.
    """

    tokenizer: "tiktoken.Encoding | None"

    @property
    def described(self) -> str:
        """How tokens are counted, in words."""
        if self.tokenizer is None:
            return "at most: UTF-8 bytes, since the model's tokenizer is not at hand; English has about four a token"
        return f"counted with {self.tokenizer.name}"

    def count(self, text: str) -> int:
        """Tokens of a text, or an upper bound."""
        return len(text.encode()) if self.tokenizer is None else len(self.tokenizer.encode_ordinary(text))

    def cut(self, text: str, limit: int) -> Iterator[str]:
        """The text in consecutive parts of at most ``limit`` tokens each, no character cut in two."""
        while text:
            head = self._head(text, limit)
            yield head
            text = text[len(head) :]

    def _head(self, text: str, limit: int) -> str:
        """The longest start of the text that is at most ``limit`` tokens both as it was cut and when counted anew."""
        if self.tokenizer is None:
            raise EncoderError(
                "too_long other than error needs the model's tokenizer, which is not at hand; let tiktoken fetch it "
                "once, or shorten the texts"
            )
        tokens = self.tokenizer.encode_ordinary(text)
        starts = (self.tokenizer.decode(tokens[:size], errors="ignore") for size in range(limit, 0, -1))
        return next(start for start in starts if self.count(start) <= limit)


@dataclass(frozen=True)
class Limits:
    """What the service takes, and what to do with a longer input.

    Args:
        input_tokens: Tokens an input.
        request_inputs: Inputs a request.
        request_tokens: Tokens a request.
        too_long: What to do with an input of more tokens.
    """

    input_tokens: int
    request_inputs: int
    request_tokens: int
    too_long: TooLong

    def fit(self, key: bytes, uid: str, text: str, tokens: Tokens) -> Text:
        """A text as it is sent.

        Raises:
            EncoderError: It is empty, or longer than the service takes.
        """
        if not text:
            raise EncoderError(f"{uid}: the embeddings API takes no empty text; remove the item or give it a text")
        count = tokens.count(text)
        if count <= self.input_tokens:
            return Text(key, uid, (text,), (count,))
        if self.too_long == "error":
            raise EncoderError(
                f"{uid}: wanted at most {self.input_tokens:,} tokens, got {count:,} ({tokens.described}); shorten the "
                "text, raise max_input_tokens if the model takes more, or set too_long to truncate or average"
            )
        parts = tuple(tokens.cut(text, self.input_tokens))
        parts = parts[:1] if self.too_long == "truncate" else parts
        return Text(key, uid, parts, tuple(map(tokens.count, parts)))

    def requests(self, texts: Sequence[Text]) -> tuple[Request, ...]:
        """The texts in requests that the service takes.

        Raises:
            EncoderError: All parts of one text do not fit into one request.
        """
        return tuple(pack(texts, self.request_inputs, self.request_tokens, lambda text: sum(text.tokens)))


def pack(
    texts: Sequence[Text], most_inputs: int, most_size: int, size_of: Callable[[Text], int]
) -> Iterator[tuple[Text, ...]]:
    """The texts in their order, in packs of at most so many inputs and such a size; a text's parts stay together.

    Raises:
        EncoderError: One text alone is more than a pack holds.
    """
    packed: list[Text] = []
    inputs = size = 0
    for text in texts:
        more_inputs, more_size = len(text.parts), size_of(text)
        if more_inputs > most_inputs or more_size > most_size:
            raise EncoderError(
                f"{text.uid}: {more_inputs:,} parts of size {more_size:,} are more than the {most_inputs:,} and "
                f"{most_size:,} that one request holds; shorten the text"
            )
        if inputs + more_inputs > most_inputs or size + more_size > most_size:
            yield tuple(packed)
            packed, inputs, size = [], 0, 0
        packed.append(text)
        inputs += more_inputs
        size += more_size
    if packed:
        yield tuple(packed)
