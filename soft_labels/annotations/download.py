"""Fetch one pinned file: mirrors in turn, resumed where it broke off, put in place only when its digest is right."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from soft_labels.errors import DownloadError
from soft_labels.files import NamedLock
from soft_labels.progress import is_watched

AGAIN = 'run "soft-labels data fetch" again'


@dataclass(frozen=True)
class RemoteFile:
    """A file with fixed content and the addresses that serve it.

    Args:
        path: Where the file belongs, relative to the data root, in the layout that the readers expect.
        urls: Mirrors, tried in this order.
        sha256: SHA-256 of the content, in hexadecimal; ``None`` where only the git blob id is known.
        git_blob_sha1: The id git gives the content: SHA-1 of ``blob SIZE``, a zero byte and the content.
        most_bytes: Its size, or an upper bound; a mirror that sends more is wrong.
        redirects_to: Hosts that a mirror may redirect to, besides those of ``urls``.

    Raises:
        DownloadError: Not exactly one of the two digests is given.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str | None = None
    git_blob_sha1: str | None = None
    most_bytes: int = 2**30
    redirects_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is one digest to verify."""
        if (self.sha256 is None) == (self.git_blob_sha1 is None):
            raise DownloadError(f"{self.path}: give exactly one of sha256 and git_blob_sha1")

    @property
    def checksum(self) -> str:
        """The wanted digest with its kind, for messages."""
        return f"SHA-256 {self.sha256}" if self.sha256 else f"git blob id {self.git_blob_sha1}"

    def matches(self, file: Path) -> bool:
        """Whether the content of ``file`` is the pinned one."""
        digest = hashlib.sha256()
        if self.git_blob_sha1:
            digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: digest).hexdigest() == (self.sha256 or self.git_blob_sha1)


@dataclass(frozen=True)
class RetryPolicy:
    """How much patience one mirror gets.

    Args:
        attempts: Requests to one mirror before the next one is tried, at least 1.
        first_wait_s: Wait after the first failure, in seconds; it doubles with each further one, plus a random part.
        longest_wait_s: Upper limit of any wait, also of one that the server asks for with ``Retry-After``.
        timeout_s: Seconds without an answer or without a byte after which a connection counts as broken.
        slowest_bytes_s: Bytes a second below which, over the whole file and all mirrors, no more is waited for.
        shortest_s: Seconds that even a small file may take.
    """

    attempts: int = 4
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 30.0
    slowest_bytes_s: float = 20_000.0
    shortest_s: float = 600.0


DEFAULT_RETRY = RetryPolicy()


def fetch_file(file: RemoteFile, root: Path, *, retry: RetryPolicy = DEFAULT_RETRY) -> Path:
    """Make sure that a pinned file is there, and download it only if it is not.

    Bytes go to ``NAME.part`` beside the target, where a later call finds them and continues. A lock lets several
    processes ask for the same file at once: one downloads, the others wait.

    Args:
        file: What to fetch.
        root: The data root, created if need be.
        retry: Attempts and waits for each mirror.

    Returns:
        The path of the file below ``root``, its digest verified.

    Raises:
        DownloadError: Another file has the name, no mirror gave the right bytes, or the disk refused them.
    """
    target = root.expanduser() / file.path
    try:
        if not _is_there(file, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with NamedLock(f"{target}.lock"):
                if not _is_there(file, target):
                    _Transfer(file, target, retry).run()
    except OSError as error:
        raise DownloadError(
            f"{target} could not be put in place: {error}; make room, check who may write to the folder, "
            f"and {AGAIN}: bytes that arrived are kept"
        ) from error
    return target


def _is_there(file: RemoteFile, target: Path) -> bool:
    """Whether the pinned file is in place; another file of that name is an error, never overwritten."""
    if not target.exists():
        return False
    if not file.matches(target):
        raise DownloadError(
            f"{target} is not the pinned file (wanted {file.checksum}) and was left as it is; "
            f"to have the pinned one, move this file away and {AGAIN}"
        )
    return True


class _MirrorError(Exception):
    """A mirror cannot give the file."""


class _TooSlowError(Exception):
    """All mirrors together took too long."""


class _PassingError(Exception):
    """A failure that may be gone at the next request, after ``wait_s`` seconds if they are known."""

    def __init__(self, what: str, wait_s: float | None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class _Transfer:
    """One file on its way to its place."""

    def __init__(self, file: RemoteFile, target: Path, retry: RetryPolicy) -> None:
        self.file = file
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.retry = retry
        self.most_seconds = max(retry.shortest_s, file.most_bytes / retry.slowest_bytes_s)
        self.deadline = time.monotonic() + self.most_seconds

    def run(self) -> None:
        """Try the mirrors in turn, unless an earlier call already received everything."""
        if self._finished():
            return
        failures = ""
        for url in self.file.urls:
            try:
                self._from_mirror(url)
            except (_MirrorError, _PassingError, httpx.HTTPError) as error:
                failures += f"\n  {url}: {str(error) or type(error).__name__}"
            except _TooSlowError as error:
                failures += f"\n  {url}: {error}"
                break
            else:
                return
        raise DownloadError(
            f"{self.target.name} could not be fetched:{failures}\n"
            f"{AGAIN.capitalize()} later; or get the file ({self.file.checksum}) in another way, save it as "
            f"{self.target.name} in the folder {self.target.parent.resolve()}, and {AGAIN} to verify it"
        )

    def _finished(self) -> bool:
        """Put the received bytes in place if they are the pinned ones."""
        right = self.part.is_file() and self.file.matches(self.part)
        if right:
            self.part.replace(self.target)
        return right

    def _from_mirror(self, url: str) -> None:
        """Ask one mirror, again after failures that may pass."""
        retrying = Retrying(
            stop=stop_after_attempt(self.retry.attempts),
            wait=self._wait_s,
            retry=retry_if_exception_type((_PassingError, httpx.TransportError)),
            reraise=True,
        )
        headers = {"Accept-Encoding": "identity"}  # a range of compressed bytes would not be a range of the file
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [partial(self._check_address, url)]}
        with httpx.Client(
            headers=headers, timeout=self.retry.timeout_s, follow_redirects=True, event_hooks=hooks
        ) as client:
            retrying(self._attempt, client, url)

    def _check_address(self, url: str, request: httpx.Request) -> None:
        """Ask no host that is not named, and never without the encryption that the mirror's address has."""
        pinned, asked = httpx.URL(url), request.url
        if (pinned.scheme, asked.scheme) == ("https", "http"):
            raise _MirrorError(f"it steps down from https to {asked}")
        if asked.host not in {*(httpx.URL(each).host for each in self.file.urls), *self.file.redirects_to}:
            raise _MirrorError(f"it redirects to {asked.host}, which is none of the hosts named for this file")

    def _wait_s(self, state: RetryCallState) -> float:
        """Seconds until the next request: the server's wish or exponential back-off, both bounded."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _PassingError) and error.wait_s is not None:
            return min(error.wait_s, self.retry.longest_wait_s)
        first = self.retry.first_wait_s
        return min((wait_exponential(first) + wait_random(0, first))(state), self.retry.longest_wait_s)

    def _attempt(self, client: httpx.Client, url: str) -> None:
        """One request, for what is still missing."""
        offset = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with client.stream("GET", url, headers=headers) as response:
            start = self._first_byte(response, offset)
            self._receive(response, start)
        if not self._finished():
            self.part.unlink()
            wrong = f"other bytes than the pinned ones (wanted {self.file.checksum})"
            # A resumed file may begin with another mirror's bytes; only a whole one shows that this mirror is wrong.
            raise _PassingError(wrong, 0) if start else _MirrorError(wrong)

    def _first_byte(self, response: httpx.Response, offset: int) -> int:
        """The place in the file where the body begins."""
        status = response.status_code
        if status == 200:
            return 0
        if status == 429 or status >= 500:
            raise _PassingError(f"HTTP status {status}", _retry_after_s(response))
        content_range = response.headers.get("Content-Range", "")
        if offset and status == 206 and content_range.startswith(f"bytes {offset}-"):
            return offset
        if offset and status in (206, 416):
            self.part.unlink()
            raise _PassingError(f"HTTP status {status} ({content_range}) when asked for bytes {offset}-", 0)
        raise _MirrorError(f"HTTP status {status}")

    def _receive(self, response: httpx.Response, start: int) -> None:
        """Write the body to the ``.part`` file from ``start`` on, with a bar where standard error is a terminal."""
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        progress = Progress(console=Console(stderr=True), disable=not is_watched())
        with progress, self.part.open("ab" if start else "wb") as stream:
            task = progress.add_task(self.target.name, total=total, completed=start)
            received = start
            for chunk in response.iter_raw():
                received += len(chunk)
                self._check_limits(received)
                stream.write(chunk)
                progress.advance(task, len(chunk))

    def _check_limits(self, received: int) -> None:
        """Take no more bytes than the file has, and no more time than that many bytes should need."""
        if received > self.file.most_bytes:
            raise _MirrorError(f"it sends more than the {self.file.most_bytes:,} bytes that the file may have")
        if time.monotonic() > self.deadline:
            raise _TooSlowError(f"not whole after {self.most_seconds:,.0f} seconds; what arrived is kept")


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, from either form of ``Retry-After``; ``None`` without a usable one."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
