"""OpenAI's Batch API: the same embeddings within 24 hours for half the price; submit, leave, collect later.

What is submitted is noted in ``batches.json`` beside the stored embeddings, before it is sent: a run that was killed
while it submitted finds its batch again by the name in the batch's metadata. Each line of a batch holds one text and is
named by the text's content key, so that answers need no other record to find their place.
"""

import itertools
import json
import logging
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np

from soft_labels.encoders.hosted import Keep, Plan, Text
from soft_labels.encoders.openai.requests import Ledger, Vectors, body_of, read_answer
from soft_labels.encoders.openai.service import AnswerError, Service
from soft_labels.encoders.openai.tokens import pack
from soft_labels.errors import EncoderError
from soft_labels.files import write_text

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

logger = logging.getLogger(__name__)
BATCH_PRICE = 0.5
MOST_INPUTS = 10_000  # OpenAI takes 50,000 and 200 MB; the answers of these fit into memory
MOST_BYTES = 100_000_000
_KEPT_TOGETHER = 1_000
_ENDPOINT: Final = "/v1/embeddings"
_ENDED = {"completed", "expired", "cancelled", "failed"}
_NAME = "soft_labels"


class Note(TypedDict):
    """One batch: its name in its metadata, its id once known, what was last heard of it, the keys of its texts.

    ``parts`` holds, by key, the tokens of each part of those texts that are embedded in parts.
    """

    name: str
    batch: str | None
    status: str
    keys: list[str]
    parts: dict[str, list[int]]


class Notes:
    """The batches that were submitted and not collected.

    Args:
        folder: The folder of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "batches.json"

    def read(self) -> list[Note]:
        """All notes."""
        notes: list[Note] = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else []
        return notes

    def of(self, keys: Sequence[bytes]) -> list[Note]:
        """The notes of batches that hold any of some texts."""
        wanted = {key.hex() for key in keys}
        return [note for note in self.read() if not wanted.isdisjoint(note["keys"])]

    def write(self, notes: list[Note]) -> None:
        """Replace all notes; none leave no file."""
        if notes:
            write_text(self.path, json.dumps(notes, indent=1) + "\n")
        else:
            self.path.unlink(missing_ok=True)

    def put(self, note: Note) -> None:
        """Add a note, or replace the one of the same name."""
        self.write([*(each for each in self.read() if each["name"] != note["name"]), note])

    def drop(self, name: str) -> None:
        """Remove a note."""
        self.write([each for each in self.read() if each["name"] != name])


class Batches:
    """Submits and collects.

    Args:
        service: The service.
        dimensions: Width to ask for, if any.
        notes: What was submitted.
    """

    def __init__(self, service: Service, dimensions: int | None, notes: Notes) -> None:
        self._service = service
        self._dimensions = self._width = dimensions
        self._notes = notes

    async def submit(self, plan: Plan) -> None:
        """Submit all texts of a plan.

        Raises:
            EncoderError: The service did not take it.
        """
        texts = list(itertools.chain.from_iterable(plan.requests))
        async with self._service.client() as client:
            for part in pack(texts, MOST_INPUTS, MOST_BYTES, lambda text: len(self._line(text))):
                await self._submit(client, part)

    def _line(self, text: Text) -> bytes:
        """One line of a batch's file."""
        body = body_of((text,), self._service.model, self._dimensions)
        line = {"custom_id": text.key.hex(), "method": "POST", "url": _ENDPOINT, "body": body}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    async def _submit(self, client: "openai.AsyncOpenAI", texts: tuple[Text, ...]) -> None:
        """Submit one batch. Its creation is never repeated: whether it took place is asked at the next run."""
        parts = {text.key.hex(): list(text.tokens) for text in texts if len(text.parts) > 1}
        keys = [text.key.hex() for text in texts]
        note: Note = {"name": uuid.uuid4().hex, "batch": None, "status": "not confirmed", "keys": keys, "parts": parts}
        content = b"".join(map(self._line, texts))
        file = await self._service.patiently(
            lambda: client.files.create(file=(f"{note['name']}.jsonl", content), purpose="batch")
        )
        self._notes.put(note)
        batch = await self._service.once(
            lambda: client.batches.create(
                input_file_id=file.id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={_NAME: note["name"]},
            )
        )
        self._notes.put({**note, "batch": batch.id, "status": "submitted, to be answered within 24 hours"})
        logger.info("%s: batch %s submitted, %s texts", self._service.name, batch.id, f"{len(texts):,}")

    async def collect(self, keys: Sequence[bytes], keep: Keep, ledger: Ledger) -> None:
        """Keep what is answered of the batches that hold any of some texts; note how far the others are.

        Raises:
            EncoderError: A batch or some of its texts failed; the answers of the others were kept.
        """
        problems: list[str] = []
        async with self._service.client() as client:
            for note in self._notes.of(keys):
                batch = await self._find(client, note)
                if batch is None:
                    self._notes.drop(note["name"])
                elif batch.status in _ENDED:
                    problems += await self._take(client, batch, note, keep, ledger)
                    self._notes.drop(note["name"])
                else:
                    self._notes.put({**note, "batch": batch.id, "status": _progress(batch)})
        if problems:
            shown = self._service.without_key("; ".join(problems[:3]))
            raise EncoderError(f"{self._service.name}: {len(problems):,} failures in batches that ended: {shown}")

    async def _find(self, client: "openai.AsyncOpenAI", note: Note) -> "Batch | None":
        """The batch of a note; one whose id never came back is looked for by its name."""
        batch_id = note["batch"]
        if batch_id is not None:
            return await self._service.patiently(lambda: client.batches.retrieve(batch_id))

        async def search() -> "Batch | None":
            async for batch in client.batches.list(limit=100):
                if (batch.metadata or {}).get(_NAME) == note["name"]:
                    return batch
            return None

        return await self._service.patiently(search)

    async def _take(
        self, client: "openai.AsyncOpenAI", batch: "Batch", note: Note, keep: Keep, ledger: Ledger
    ) -> list[str]:
        """Keep the answers of a batch that ended; what failed for good, in words."""
        problems = [str(error.message) for error in (batch.errors.data if batch.errors else None) or []]
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            file = await self._service.patiently(partial(client.files.content, file_id))
            lines = map(json.loads, filter(None, file.content.split(b"\n")))
            while some := list(itertools.islice(lines, _KEPT_TOGETHER)):
                problems += self._keep(some, note, keep, ledger)
        return problems

    def _keep(self, lines: list[dict[str, Any]], note: Note, keep: Keep, ledger: Ledger) -> list[str]:
        """Keep the answers among some lines, then count them; what failed for good, in words."""
        problems = [_problem(line) for line in lines if not _answered(line)]
        answers: dict[bytes, tuple[Vectors, int]] = {}
        for line in filter(_answered, lines):
            text = _text(line["custom_id"], note)
            try:
                answers[text.key] = read_answer(line["response"]["body"], (text,), self._width)
            except (AnswerError, EncoderError) as error:
                problems.append(str(error))
            else:
                self._width = answers[text.key][0].shape[1]
        if answers:
            keep(list(answers), np.concatenate([vectors for vectors, _ in answers.values()]))
        for _, tokens in answers.values():
            ledger.requests += 1
            ledger.settle(0, paid=tokens)
        return list(filter(None, problems))


def _answered(line: dict[str, Any]) -> bool:
    """Whether a line of a file of answers is one."""
    return (line.get("response") or {}).get("status_code") == 200


def _problem(line: dict[str, Any]) -> str | None:
    """Why a text has no answer, if it failed for good: what only expired is missing still, and asked again."""
    error = line.get("error") or (line.get("response") or {}).get("body")
    return None if isinstance(error, dict) and error.get("code") == "batch_expired" else json.dumps(error)[:200]


def _text(key: str, note: Note) -> Text:
    """As much of a text as its answer needs: its key, and the tokens of its parts where there are several."""
    tokens = note["parts"].get(key, [0])
    return Text(bytes.fromhex(key), key, ("",) * len(tokens), tuple(tokens))


def in_words(note: Note) -> str:
    """A batch and what was last heard of it."""
    return f"batch {note['batch'] or note['name']} of {len(note['keys']):,} texts is {note['status']}"


def _progress(batch: "Batch") -> str:
    """How far a batch is."""
    counts = batch.request_counts
    done = f", {counts.completed:,} of {counts.total:,} done" if counts else ""
    return f"{batch.status}{done}"
