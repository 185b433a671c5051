"""Text encoders behind OpenAI's embeddings API, or any service that speaks it."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import torch
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
SHOWN_CHARACTERS = 300


class OpenAIEncoder(Encoder):
    """A text encoder that is reached over HTTP: one text to one vector.

    The same model behind two services may give different numbers, so the service is part of the fingerprint:
    ``openai`` where ``base_url`` is ``None``, else ``base_url`` without its query. The environment variable
    ``OPENAI_BASE_URL`` is not read: where texts are sent is always visible in the settings.

    Args:
        model: The service's name of the model.
        base_url: Address of another service, ending before ``/embeddings``; ``None`` is OpenAI.
        dimensions: Width to ask for, of models that can shorten their embeddings; ``None`` sends nothing.
        api_key_env: The environment variable that holds the key. It is read at the first request and its value is
            sent to ``base_url`` and shown nowhere. It may be unset where ``base_url`` is given.
        batch_size: Texts a request.
        timeout: Seconds to wait for one answer.
        max_retries: How often a failed request is repeated; the client waits longer each time.

    Raises:
        EncoderError: ``base_url`` is no HTTP address or holds a password.
    """

    modality = "text"

    def __init__(
        self,
        model: str = "text-embedding-3-large",
        *,
        base_url: str | None = None,
        dimensions: int | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        batch_size: int = 256,
        timeout: float = 60.0,
        max_retries: int = 5,
    ) -> None:
        super().__init__(batch_size)
        self.model = model
        self.base_url = base_url
        self.dimensions = dimensions
        self.api_key_env = api_key_env
        self.timeout = timeout
        self.max_retries = max_retries
        self._service = "openai" if base_url is None else _service_of(base_url)
        self._width = dimensions

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Service, model and width; nothing that travels in a header."""
        return {
            "encoder": "openai",
            "service": self._service,
            "model": self.model,
            "dimensions": self.dimensions,
        }

    def length(self, item: EncoderInput) -> int:
        """Number of characters."""
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        """The texts of one request; the API refuses empty ones."""
        texts = texts_of(items)
        if not all(texts):
            raise EncoderError("the embeddings API takes no empty text; remove the item or give it a text")
        return texts

    def forward(self, batch: list[str]) -> Tensor:
        """Embeddings of one batch of texts, float32 ``[B, D]`` on the CPU.

        Raises:
            EncoderError: No key, no answer, or an answer that is not one finite vector of one width for each text.
        """
        answer = self._request(batch)
        indices = sorted(index for index, _ in answer)
        if indices != list(range(len(batch))):
            raise EncoderError(
                f"{self._service}: wanted one embedding for each of {len(batch)} texts, got {len(indices)} "
                f"with indices {indices[:10]}; the service does not follow the embeddings API"
            )
        vectors = [vector for _, vector in sorted(answer, key=lambda entry: entry[0])]
        self._check_widths({len(vector) for vector in vectors})
        embeddings = torch.stack(vectors)
        if not embeddings.isfinite().all():
            raise EncoderError(f"{self._service}: got an embedding with a number that is not finite; run again")
        return embeddings

    def _check_widths(self, widths: set[int]) -> None:
        """Every embedding of this object has one width: the one asked for, else that of the first answer."""
        self._width = self._width or max(widths)
        if widths != {self._width}:
            cure = "the model changed; run again" if self.dimensions is None else "remove dimensions, or correct it"
            raise EncoderError(
                f"{self._service}: wanted {self._width} numbers in every embedding, got {sorted(widths)}; {cure}"
            )

    def _request(self, texts: list[str]) -> list[tuple[int, Tensor]]:
        """Index and vector of every embedding of one answer, in the service's order."""
        import openai

        client = self._client
        dimensions = openai.omit if self.dimensions is None else self.dimensions
        try:
            answer = client.embeddings.create(model=self.model, input=texts, dimensions=dimensions)
            return [(int(item.index), _vector(item.embedding)) for item in answer.data]
        except (openai.OpenAIError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            problem = self._explain(error)
        raise EncoderError(problem)  # outside the handler: the client's own error may quote the key

    def _explain(self, error: Exception) -> str:
        """What went wrong and what to do, without the key."""
        import openai

        if isinstance(error, openai.AuthenticationError):
            return f"{self._service}: the key was refused; put a valid one into {self.api_key_env}"
        known = (
            (openai.PermissionDeniedError, "the key may not use this model; choose another key or model"),
            (openai.NotFoundError, "model or address unknown; correct model or base_url"),
            (openai.RateLimitError, "too many requests or no credit left; wait, or look at the account"),
            (openai.BadRequestError, "the request was refused; check model, dimensions and the length of the texts"),
            (openai.APIStatusError, f"the service failed after {self.max_retries} retries; run again later"),
            (openai.APITimeoutError, f"no answer within {self.timeout:g} s; raise timeout or lower batch_size"),
            (openai.APIConnectionError, "the service cannot be reached; check base_url and the network"),
            (Exception, "the answer is not one of the embeddings API; check base_url"),
        )
        what = next(words for kind, words in known if isinstance(error, kind))
        detail = str(error.__cause__ or error).replace(self._key, "[key]")[:SHOWN_CHARACTERS]
        return f"{self._service}, model {self.model}: {what} ({detail})"

    @property
    def _key(self) -> str:
        """The key; kept by nothing but the client."""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key and self.base_url is None:
            raise EncoderError(f"the environment variable {self.api_key_env} holds no key; set it to your OpenAI key")
        if not (key.isascii() and key.isprintable()):
            raise EncoderError(
                f"the environment variable {self.api_key_env} holds characters that no key has; set it anew"
            )
        return key or "none"

    @cached_property
    def _client(self) -> "openai.OpenAI":
        """The official client; made at the first request."""
        import openai

        return openai.OpenAI(
            api_key=self._key,
            base_url=self.base_url or OPENAI_URL,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )


def _vector(numbers: list[float]) -> Tensor:
    """One embedding of an answer, float32 ``[D]``; a service may have sent anything."""
    vector = torch.tensor(numbers, dtype=torch.float32)
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(f"an embedding of shape {list(vector.shape)}")
    return vector


def _service_of(base_url: str) -> str:
    """An address as the fingerprint and messages show it; never the part that may hold a secret."""
    parts = urlsplit(base_url)
    if "@" in base_url:
        raise EncoderError("base_url must not hold a user or password; put the key into the variable of api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EncoderError("wanted a base_url such as http://127.0.0.1:8000/v1, got one without scheme or host")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")
