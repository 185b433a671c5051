"""A split that was given and not drawn: what its parts are called, and what is odd about them."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.table.words import part_called
from soft_labels.data.split import SPLIT_NAMES, Split
from soft_labels.errors import DataError

_SHOWN = 5
NO_TEST = "there is no test part: heads can be trained and chosen, not judged"
logger = logging.getLogger(__name__)


def parts_of(part_of: Mapping[str, str | None], uids: Sequence[str], origin: str) -> Split:
    """The split that names of parts describe.

    Args:
        part_of: By uid the name of its part; blank for none. Items that are not there have none.
        uids: ``[N]`` the items, in order.
        origin: What gave the split, for messages.

    Returns:
        The items of each part, in their order; items without a part are in none.

    Raises:
        DataError: A name is of no part, or no item trains or none validates.
    """
    odd = Counter(name for uid in uids if (name := part_of.get(uid)) is not None and part_called(name) is None)
    if odd:
        listed = ", ".join(f"{name!r} ({items:,} items)" for name, items in odd.most_common(_SHOWN))
        raise DataError(
            f"{origin}: wanted train, val (validation, dev) or test, got {listed}; correct them, or leave them "
            "blank for items of no part"
        )
    own = {uid: part_called(name) for uid in uids if (name := part_of.get(uid)) is not None}
    split = Split(*(tuple(uid for uid in uids if own.get(uid) == part) for part in SPLIT_NAMES))
    lacking = [part for part in SPLIT_NAMES[:2] if not getattr(split, part)]
    if lacking:
        sizes = ", ".join(f"{part} {len(getattr(split, part)):,}" for part in SPLIT_NAMES)
        raise DataError(
            f"{origin}: no item is in {' or in '.join(lacking)} ({sizes}, in no part {len(uids) - len(own):,}, of "
            f"{len(uids):,} items); heads learn from train and every choice looks at val: give both, and the uids of "
            "these data"
        )
    return split


def take_parts(data: AnnotatedData, part_of: Mapping[str, str | None], origin: str) -> tuple[AnnotatedData, Split]:
    """The items that have a part; what is odd about the parts is said with counts.

    Args:
        data: The items.
        part_of: By uid the name of its part, as :func:`parts_of` takes it.
        origin: What gave the split, for messages.

    Returns:
        The data without items of no part, and the split.
    """
    split = parts_of(part_of, data.uids, origin)
    inside = {uid for part in SPLIT_NAMES for uid in getattr(split, part)}
    if unknown := [uid for uid in part_of if uid not in set(data.uids)]:
        logger.warning("%s: %d uids of %s are none of its items, the first is %r",
                       data.name, len(unknown), origin, unknown[0])  # fmt: skip
    if outside := [uid for uid in data.uids if uid not in inside]:
        logger.warning("%s: %d items are in no part of %s and are left out, the first is %r",
                       data.name, len(outside), origin, outside[0])  # fmt: skip
        data = data.take([row for row, uid in enumerate(data.uids) if uid in inside])
    if not split.test:
        logger.warning("%s: %s (%s)", data.name, NO_TEST, origin)
    if leak := torn_groups(data, split):
        logger.warning("%s: %s", data.name, leak)
    return data, split


def torn_groups(data: AnnotatedData, split: Split) -> str:
    """How many groups stand in several parts, in words; nothing where none does or there are none.

    Args:
        data: The items.
        split: Their parts.
    """
    if data.groups is None:
        return ""
    group_of = dict(zip(data.uids, data.groups, strict=True))
    groups = [{group_of[uid] for uid in getattr(split, part)} for part in SPLIT_NAMES]
    torn = {group for group, parts in Counter(group for part in groups for group in part).items() if parts > 1}
    if not torn:
        return ""
    items = sum(group_of[uid] in torn for uid in split.val + split.test)
    return (
        f"{len(torn):,} groups stand in several parts, with {items:,} items of val and test: what a head has seen of a "
        "group in train helps it there"
    )
