"""What an encoder behind a paid service adds: a plan before it spends, and answers that are kept one by one."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soft_labels.encoders.base import Encoder
from soft_labels.errors import EncoderError

Keep = Callable[[Sequence[bytes], NDArray[np.float32]], None]


class PendingError(EncoderError):
    """What was submitted to a service has not been answered yet; the same command collects it later.

    Source: ``exit_code`` is EX_TEMPFAIL of ``sysexits.h``: nothing is wrong, try again later.
    """

    exit_code = 75


@dataclass(frozen=True)
class Text:
    """One input as it is sent.

    Args:
        key: Its content key.
        uid: What errors call it.
        parts: The texts to embed: one, unless a long input is embedded in pieces.
        tokens: Tokens of each part, or an upper bound.
    """

    key: bytes
    uid: str
    parts: tuple[str, ...]
    tokens: tuple[int, ...]


Request = tuple[Text, ...]


@dataclass(frozen=True)
class Plan:
    """What a service would be asked.

    Args:
        requests: The texts of each request.
        counting: How tokens were counted.
        cost_usd: Dollars for all of it, ``None`` where the price is not known.
        max_cost: The ceiling in dollars, if there is one.
    """

    requests: tuple[Request, ...]
    counting: str
    cost_usd: float | None
    max_cost: float | None

    @property
    def tokens(self) -> int:
        """Tokens of all requests, or an upper bound."""
        return sum(map(tokens_of, self.requests))

    @property
    def too_dear(self) -> bool:
        """Whether the plan costs more than the ceiling."""
        return self.max_cost is not None and self.cost_usd is not None and self.cost_usd > self.max_cost

    def __str__(self) -> str:
        """One line for a person."""
        price = "price not known (price_per_million_tokens)" if self.cost_usd is None else f"${self.cost_usd:.6f}"
        ceiling = f", above max_cost ${self.max_cost:g}: a run would be refused" if self.too_dear else ""
        return f"to send: {self.tokens:,} tokens ({self.counting}) in {len(self.requests):,} requests, {price}{ceiling}"


@dataclass(frozen=True)
class Usage:
    """What a service was paid.

    Args:
        requests: Requests whose answers were kept.
        tokens: Tokens of these answers, as the service counted them.
        lost_tokens: Tokens that may have been paid for answers that never came or could not be used; our own count.
        cost_usd: Dollars for both, ``None`` where the price is not known.
    """

    requests: int = 0
    tokens: int = 0
    lost_tokens: int = 0
    cost_usd: float | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Both together; a cost is known if one of them is."""
        known = [usage.cost_usd for usage in (self, other) if usage.cost_usd is not None]
        return Usage(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.lost_tokens + other.lost_tokens,
            sum(known) if known else None,
        )

    def __str__(self) -> str:
        """One line for a person."""
        cost = "price not known" if self.cost_usd is None else f"${self.cost_usd:.6f}"
        lost = f" and up to {self.lost_tokens:,} of answers that were lost" if self.lost_tokens else ""
        return f"{self.requests:,} requests answered, {self.tokens:,} tokens{lost}, {cost}"


class HostedEncoder(Encoder):
    """A text encoder that is paid by the token, so that the stage plans first and keeps each answer at once."""

    @abstractmethod
    def plan(self, texts: Sequence[str], keys: Sequence[bytes], uids: Sequence[str]) -> Plan:
        """What would be asked for some distinct texts; sends nothing.

        Args:
            texts: ``[N]`` distinct texts.
            keys: ``[N]`` their content keys.
            uids: ``[N]`` what errors call them.

        Raises:
            EncoderError: A text cannot be sent.
        """

    @abstractmethod
    def answer(self, plan: Plan, keep: Keep, folder: Path) -> Usage:
        """Ask what was planned, or submit it to be collected later.

        Args:
            plan: The plan.
            keep: Called with the keys and the embeddings (float32 ``[n, D]``) of each answer; returns when they are
                stored. The answer is counted after that.
            folder: Where to keep note of what is answered later.

        Raises:
            EncoderError: The plan costs more than the ceiling, or a request failed; other answers were kept.
        """

    @abstractmethod
    def collect(self, keys: Sequence[bytes], keep: Keep, folder: Path) -> Usage:
        """Keep what was submitted earlier and is answered now; what holds none of some texts is left alone.

        Args:
            keys: Content keys of the texts.
            keep: As for :meth:`answer`.
            folder: Where note was kept.

        Raises:
            EncoderError: The service could not do it.
        """

    @abstractmethod
    def pending(self, folder: Path) -> Mapping[bytes, str]:
        """What every text waits for that was submitted and not collected, in words by content key; asks nobody."""

    @abstractmethod
    def submitted(self, folder: Path) -> str | None:
        """What was submitted earlier and not collected, in words; asks nobody."""


def tokens_of(request: Request) -> int:
    """Tokens of one request."""
    return sum(sum(text.tokens) for text in request)
