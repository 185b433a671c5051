"""Where a model's weights are: in an installed package, in a folder, or at one commit of a model hub."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soft_labels.encoders.packaged import PREFIX, Library, digest, packaged_weights
from soft_labels.errors import EncoderError


@dataclass(frozen=True)
class ModelPlace:
    """A model as a person named it, found without importing the library that loads it.

    Args:
        model: ``packaged:NAME``, a local folder, or ``ORGANISATION/NAME`` on the model hub.
        revision: Commit hash, tag or branch of a hub model; ``None`` is the hub's main branch.
        library: The library that loads packaged weights.
        cache_variable: Environment variable that names the library's own cache of hub models, if it has one.
    """

    model: str
    revision: str | None
    library: Library
    cache_variable: str = ""

    @cached_property
    def folder(self) -> Path | None:
        """The folder of packaged or local weights; ``None`` for a hub model.

        Raises:
            EncoderError: There is no such folder and no hub model can have that name, or a folder is given a revision.
        """
        packaged = packaged_weights(self.model, self.library)
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
    def commit(self) -> str | None:
        """The commit of a hub model, fixed for this object; ``None`` for a folder.

        Raises:
            EncoderError: Neither the local cache nor the hub says which commit that is.
        """
        if self.folder is not None:
            return None
        revision = self.revision or "main"
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            return revision
        return self._cached_commit(revision) or _commit_on_hub(self.model, revision)

    @cached_property
    def identity(self) -> str:
        """The weights' identity in a fingerprint: the digest of a folder, or a hub model's name and commit."""
        if self.folder is not None:
            return f"sha256:{digest(self.folder)}"
        return f"{self.model}@{self.commit}"

    @property
    def of_this_machine(self) -> tuple[str, ...]:
        """The settings of an encoder that say where a local folder lies; none of packaged and of hub models."""
        return ("model",) if self.folder is not None and not self.model.startswith(PREFIX) else ()

    def _cached_commit(self, revision: str) -> str | None:
        """The commit that the local hub cache last saw for a branch or tag, read from its own small files."""
        from huggingface_hub import constants

        cache = Path(os.environ.get(self.cache_variable) or constants.HF_HUB_CACHE)
        ref = cache / f"models--{self.model.replace('/', '--')}" / "refs" / revision
        return ref.read_text().strip() if ref.is_file() else None


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
