"""Items whose inputs are alike: a split that tears them apart lets a head meet its test items before."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from soft_labels.annotations.base import Input

Groups = NDArray[np.int32]
NEAR = 0.9
"""Least cosine of two texts' words and pairs of words, each weighted by its rarity, for near duplicates."""
_MOST_TEXTS = 200  # what stands in more texts adds nothing to a cosine: each would be compared with all of the others
_BLOCK = 1024
_BETWEEN_WORDS = re.compile(r"\W+")


def duplicate_groups(inputs: "Sequence[Input]") -> dict[str, Groups]:
    """Groups of items that are alike, by the kind of likeness.

    Args:
        inputs: ``[N]`` texts, pairs of texts, or images.

    Returns:
        By kind ``[N]`` the number of the group, 0 for an item that is like no other: ``same_input`` (texts but for
        case, punctuation, blanks and the form of characters; pixels of an array; bytes of a file), for texts
        ``near_duplicate`` (:data:`NEAR`, also through a chain of such), and for pairs ``same_first_text``.
    """
    same = same_inputs(inputs)
    if not isinstance(inputs[0], str | tuple):
        return {"same_input": same}
    texts = [normalised(" ".join(one) if isinstance(one, tuple) else str(one)) for one in inputs]
    found = {"same_input": same, "near_duplicate": _near(texts, same)}
    if isinstance(inputs[0], tuple):
        found["same_first_text"] = _groups([normalised(one[0]) for one in inputs if isinstance(one, tuple)])
    return found


def same_inputs(inputs: "Sequence[Input]") -> Groups:
    """Groups of items with the same input; see :func:`duplicate_groups`."""
    sizes = Counter(map(_size, inputs))
    return _groups([_key(one, sizes) for one in inputs])


def normalised(text: str) -> str:
    """A text without case, punctuation, blanks around words and the form of its characters.

    Args:
        text: Any text.

    Example:
        >>> normalised("  It's a  CAFÉ.")
        'it s a café'
    """
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _size(shown: Any) -> int | None:
    """Bytes of an image's file; files of different sizes need not be read."""
    return shown.stat().st_size if isinstance(shown, Path) and shown.is_file() else None


def _key(shown: Any, sizes: Counter[int | None]) -> Hashable:
    """What is equal for equal inputs; a file that is missing is like no other."""
    if isinstance(shown, str):
        return normalised(shown) or shown
    if isinstance(shown, tuple):
        return tuple(normalised(part) or part for part in shown)
    if isinstance(shown, bytes):
        return hashlib.sha256(shown).digest()
    if isinstance(shown, np.ndarray):
        return shown.shape, hashlib.sha256(np.ascontiguousarray(shown).data).digest()
    size = _size(shown)
    return str(shown) if size is None or sizes[size] == 1 else hashlib.sha256(shown.read_bytes()).digest()


def _groups(keys: Sequence[Hashable]) -> Groups:
    """Numbers from 1 of keys that occur more than once, in the order in which they do; 0 of the others."""
    times = Counter(keys)
    numbers = {key: number for number, key in enumerate((key for key in times if times[key] > 1), start=1)}
    return np.array([numbers.get(key, 0) for key in keys], dtype=np.int32)


def _near(texts: Sequence[str], same: Groups) -> Groups:
    """Groups of texts that are connected by near copies, or by equal ones."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows, columns = _equal_pairs(same)
    if any(texts):
        weigh = TfidfVectorizer(analyzer=lambda text: _shingles(text.split()), dtype=np.float32)
        vectors = weigh.fit_transform(texts)
        told = vectors[:, np.bincount(vectors.indices, minlength=vectors.shape[1]) <= _MOST_TEXTS].tocsr()
        for start in range(0, len(texts), _BLOCK):
            close = (told[start : start + _BLOCK] @ told.T).tocoo()
            there = close.data >= NEAR
            rows, columns = np.append(rows, close.row[there] + start), np.append(columns, close.col[there])
    pairs = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(texts)))
    return _groups(connected_components(pairs, directed=False)[1].tolist())


def _shingles(words: Sequence[str]) -> list[str]:
    """Words and pairs of neighbours."""
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def _equal_pairs(groups: Groups) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each item of a group beside the group's first."""
    members = np.flatnonzero(groups)
    _, first, group_of = np.unique(groups[members], return_index=True, return_inverse=True)
    return members, members[first[group_of]]
