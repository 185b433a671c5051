"""Which columns are the text or image and the item's id: by their names, and by what determines what."""

import re
from collections.abc import Sequence

from soft_labels.annotations.table.labels import Found, LabelRoles
from soft_labels.annotations.table.layouts import NO
from soft_labels.annotations.table.names import column_of, expression
from soft_labels.annotations.table.pictures import is_address
from soft_labels.annotations.table.profile import TEXT, Column, determines, distinct, profile
from soft_labels.annotations.table.rows import Work, is_kept
from soft_labels.annotations.table.settings import Guess
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.words import (
    DERIVED,
    LABEL,
    NUMBER_OF,
    PAIRS,
    PART_COLUMN,
    RATING,
    UID,
    WEAK_UID,
    is_number,
    part_called,
)
from soft_labels.errors import DataError

_LONGEST_ID = 80  # letters


def fill(work: Work, guess: Guess, before: Found, columns: Sequence[str]) -> None:
    """Guess the settings that are still open.

    Args:
        work: The table, its rows in ``records``.
        guess: What is known; it is completed.
        before: What the columns held before lists of records became rows.
        columns: The columns there are now.

    Raises:
        DataError: No column looks like a text or an image, or none like a label.
    """
    found = profile(work, columns) if guess.settings.get("rows_from") else before
    roles = _Roles(work, guess, found, columns)
    roles.parts()
    roles.annotator()
    roles.label()
    roles.shown()
    roles.uid()
    roles.check_parts()
    roles.files_of_annotators()
    roles.count()
    roles.blanks()
    roles.order()
    roles.rest()


def has_label(found: Found) -> bool:
    """Whether a column of single values is named as labels are."""
    return any(one.kind != "records" and LABEL.match(one.word) and one.distinct > 1 for one in found.values())


class _Roles(LabelRoles):
    """All roles of a table."""

    def parts(self) -> None:
        """A column, file or folder that says which part of a split an item belongs to."""
        if "split_column" in self.settings:
            return
        named = [one for one in self.scalars() if PART_COLUMN.fullmatch(one.word) or one.name in {FILE, FOLDER}]
        fitting = [one for one in named if one.values and all(map(part_called, one.values))]
        if fitting:
            self.settings["split_column"] = fitting[0].name

    def check_parts(self) -> None:
        """Parts can be taken where there is one to train and one to choose by, and each item is in one."""
        name = self.settings.get("split_column")
        column = self.found.get(str(name))
        if column is None:
            return
        uid = self.settings.get("uid_column") or self.settings.get("text_column") or self.settings.get("image_column")
        keys = uid if isinstance(uid, list) else [uid] if isinstance(uid, str) else []
        called = {part_called(value) for value in column.values}
        if not {"train", "val"} <= called:
            why = f"it names {', '.join(column.values)}, but wanted are train and val (validation, dev)"
        elif keys and not determines(self.work, keys, column.name, self.columns):
            why = "items stand in several parts"
        else:
            self.guess.notes.append(f"{name} names the part of each item ({', '.join(column.values)})")
            return
        del self.settings["split_column"]
        self.guess.doubts.append(f"the split of {name} is not taken, a split is drawn: {why} (split_column)")

    def shown(self) -> None:
        """The texts or the image."""
        if {"text_column", "text_template", "image_column"} & set(self.settings):
            return
        texts = [one for one in self.scalars() if (one.prose >= 0.5 or TEXT.search(one.word)) and not one.image]
        texts = [one for one in texts if not self._is_id(one) and not DERIVED.search(one.word.replace("title", ""))]
        if pair := _pair(texts):
            self.settings["text_column"], self.settings["second_text_column"] = pair
            return
        images = [one for one in self.found.values() if one.image]
        if images and not any(one.prose >= 0.5 for one in texts):
            self.settings["image_column"] = max(images, key=self._is_there).name
            return
        if not texts:
            raise DataError(
                f"{self.work.path}: no column looks like a text or an image among {', '.join(self.found)}; give the "
                "file that has them as a second FILE, or set --data.text_column=NAME"
            )
        best = max(
            texts, key=lambda one: (bool(TEXT.search(one.word)) + (one.prose >= 0.5) + (one.distinct > 1), one.length)
        )
        self.settings["text_column"] = best.name
        others = [one.name for one in texts if one is not best and one.prose >= 0.5 and one.distinct > 1]
        if others:
            self.guess.doubts.append(
                f"{best.name} is taken for the text; {', '.join(others)} hold texts too "
                "(second_text_column or text_template)"
            )

    def _is_there(self, image: Column) -> bool:
        """Whether a picture that a column names is there."""
        path = self.work.path
        folder = path if path.is_dir() else path.parent
        cell = expression(image.name, self.columns)
        shown = str(self.work.value(f"SELECT any_value({cell}) FROM records"))
        return is_address(shown) or (folder / shown).is_file()

    def _is_id(self, one: Column) -> bool:
        """Whether a column that is named like a text holds ids."""
        return one.prose < 0.5 and (
            one.word.endswith(("id", "idx", "hash", "number")) or (one.whole and one.word != "text")
        )

    def uid(self) -> None:
        """The column that names the item: it decides the text, and no more than that."""
        if "uid_column" in self.settings:
            return
        texts = [
            self.settings[key] for key in ("text_column", "second_text_column", "image_column") if key in self.settings
        ]
        if not texts:
            self.settings["uid_column"] = None
            return
        wanted = distinct(self.work, texts, self.columns)
        ids = [
            one for one in self.found.values() if one.kind == "scalar" and one.name not in {*texts, *self._answers()}
        ]
        ids = [one for one in ids if one.filled == self.total and one.prose < 0.5 and one.length <= _LONGEST_ID]
        ids = [
            one
            for one in ids
            if UID.match(one.word) or WEAK_UID.search(one.word) or (one.image and one.distinct == wanted)
        ]
        deciding = [one for one in ids if all(determines(self.work, [one.name], text, self.columns) for text in texts)]
        numbers = [one for one in deciding if one.distinct == self.total > wanted * 1.2]
        fitting = [one for one in deciding if one not in numbers]
        if fitting:
            best = min(
                fitting, key=lambda one: (abs(one.distinct - wanted), not UID.match(one.word), one.name.count("."))
            )
            self.settings["uid_column"] = best.name
            for one in numbers:
                self.guess.notes.append(f"{one.name} numbers the rows, not the items: {best.name} is the item's id")
        elif pair := self._composite([one.name for one in ids], texts):
            self.settings["uid_column"] = list(pair)
        else:
            self._from_shown(numbers)

    def _from_shown(self, numbers: Sequence[Column]) -> None:
        """No other column names the item: the file of its picture does, or its text."""
        image = self.found.get(str(self.settings.get("image_column")))
        if image is not None and image.kind == "scalar" and image.filled == self.total and image.length <= _LONGEST_ID:
            self.settings["uid_column"] = image.name
            self.guess.notes.append(f"{image.name} names the item: each picture is one")
            return
        self.settings["uid_column"] = None
        why = f"{numbers[0].name} numbers the rows" if numbers else "no column names the item"
        self.guess.doubts.append(f"{why}: rows of the same text are taken for one item (uid_column: null)")

    def _answers(self) -> set[str]:
        """Columns of labels and annotators."""
        keys = ("label_column", "annotator_column", "count_column")
        many = [*self.settings.get("label_columns", ()), *self.settings.get("count_columns", ())]
        return {str(self.settings[key]) for key in keys if key in self.settings} | set(map(str, many))

    def _composite(self, ids: Sequence[str], texts: Sequence[str]) -> tuple[str, str] | None:
        """Two columns that decide the text together."""
        pairs = [(one, other) for place, one in enumerate(ids) for other in ids[place + 1 :]]
        rows = [pair for pair in pairs if distinct(self.work, pair, self.columns) < self.total]
        return next(
            (pair for pair in rows if all(determines(self.work, pair, text, self.columns) for text in texts)), None
        )

    def files_of_annotators(self) -> None:
        """A file or folder for each annotator, where nothing else says who annotated."""
        if self.settings.get("form", "long") not in {"long", "one_hot"} or "annotator_column" in self.settings:
            return
        for name in (FILE, FOLDER):
            one, uid = self.found.get(name), self.settings.get("uid_column")
            if one is not None and one.distinct > 1 and isinstance(uid, str) and distinct(
                self.work, [name, uid], self.columns
            ) == self.total > distinct(self.work, [uid], self.columns):  # fmt: skip
                self.settings["annotator_column"] = name
                self.guess.doubts.append(f"each {name} is taken for one annotator (annotator_column)")
                return

    def count(self) -> None:
        """How many annotations a row stands for."""
        if self.settings.get("form") != "long" or {"annotator_column", "count_column"} & set(self.settings):
            return
        fitting = [one for one in self.scalars() if one.whole and NUMBER_OF.match(one.word)]
        uid = self.settings.get("uid_column") or self.settings.get("text_column")
        keys = [*(uid if isinstance(uid, list) else [uid]), self.settings["label_column"]]
        if fitting and distinct(self.work, keys, self.columns) == self.total:
            self.settings["count_column"] = fitting[0].name

    def blanks(self) -> None:
        """Rows without a label are left out; the reader counts them aloud."""
        if "missing" in self.settings:
            return
        filters = {} if self.settings["form"] == "list" else self.settings.get("where", {})
        kept = [
            is_kept(expression(name, self.columns), name, wanted)
            for name, wanted in filters.items()
            if column_of(name, self.columns)
        ]
        blank, what = self._blank_answers()
        count = self.work.value(f"SELECT count(*) FROM records WHERE {' AND '.join(['true', *kept, blank])}")
        if count:
            self.settings["missing"] = "drop"
            self.guess.doubts.append(
                f"{count:,} of {self.total:,} rows have no {what}: they are left out (missing: drop)"
            )

    def _blank_answers(self) -> tuple[str, str]:
        """Whether a row has no answer, as SQL, and what it lacks."""
        label = self.settings.get("label_column")
        names = [str(name) for name in (self.settings.get("count_columns") or [label])]
        if any(column_of(name, self.columns) is None for name in names):
            return "false", ""  # the reader says which column is not there
        if label is not None and self.settings["form"] != "by_label":
            cell = expression(names[0], self.columns)
            return (
                f"(cleaned({cell}) IS NULL OR regexp_full_match({cell}, '\\s*(\\[\\s*\\]|\\{{\\s*\\}})\\s*'))",
                names[0],
            )
        if self.settings["form"] != "one_hot":
            return "false", ""
        cells = [expression(name, self.columns) for name in names]
        unmarked = "('false')" if self.settings.get("marks") == "filled" else NO
        return " AND ".join(
            f"coalesce(lower(cleaned({cell})) IN {unmarked}, true)" for cell in cells
        ), "mark of a class"

    def order(self) -> None:
        """Whether the classes are ordered."""
        column = self.found.get(str(self.settings.get("label_column")))
        if "ordinal" in self.settings or column is None or column.kind != "scalar":
            return
        numbers = all(is_number(value) for value in column.values) and len(column.values) >= 3
        leading = all(re.match(r"\s*\d+\s*[-.:( ]", value) for value in column.values) and len(column.values) >= 3
        if leading or (numbers and RATING.search(column.word)):
            self.settings["ordinal"] = True
            self.guess.doubts.append("the classes are taken for ordered (ordinal)")
        elif numbers:
            self.guess.doubts.append("the classes are numbers: if they are ratings, set ordinal: true")

    def rest(self) -> None:
        """Groups of items that share a text, and what no column says."""
        first = self.settings.get("text_column") if "second_text_column" in self.settings else None
        if first and "group_column" not in self.settings:
            pairs = [first, self.settings["second_text_column"]]
            if distinct(self.work, [first], self.columns) < distinct(self.work, pairs, self.columns):
                self.settings["group_column"] = first
                self.guess.notes.append(
                    f"items share {first}: data.group_split=true keeps them in one part (group_column)"
                )
        if self.settings.get("form") in {"long", "one_hot", "list"} and "annotator_column" not in self.settings:
            self.guess.doubts.append("no column names the annotators: one who labels an item twice goes unnoticed")


def _pair(texts: Sequence[Column]) -> tuple[str, str] | None:
    """Two texts that belong together by their names."""
    by_word = {one.word: one.name for one in texts}
    return next(((by_word[one], by_word[other]) for one, other in PAIRS if one in by_word and other in by_word), None)
