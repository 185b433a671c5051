"""Which layout a table has, and which column or columns hold the labels and the annotators."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from soft_labels.annotations.table.cells import RESULTS
from soft_labels.annotations.table.names import expression
from soft_labels.annotations.table.profile import COMMA_NUMBER, Column, describe, determines
from soft_labels.annotations.table.rows import Work
from soft_labels.annotations.table.settings import Guess
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.words import (
    ANNOTATOR,
    COUNTS,
    DERIVED,
    LABEL,
    MARKS,
    MOST_CLASSES,
    NUMBER_OF,
    UID,
    is_number,
    is_person,
)
from soft_labels.errors import DataError

Found = Mapping[str, Column]
_SHORT_LABEL, _ROWS_A_LABEL = 30, 5


class LabelRoles:
    """A table whose layout and labels are looked for; each step fills what is still open."""

    def __init__(self, work: Work, guess: Guess, found: Found, columns: Sequence[str]) -> None:
        self.work, self.guess, self.found, self.columns = work, guess, found, columns
        self.settings = guess.settings
        self.total: int = work.value("SELECT count(*) FROM records")

    def scalars(self) -> list[Column]:
        """Columns of single values that are not all blank and have no role yet."""
        used = self.used()
        return [one for one in self.found.values() if one.kind == "scalar" and one.filled and one.name not in used]

    def used(self) -> set[str]:
        """Columns that have a role."""
        used: set[str] = set()
        for value in self.settings.values():
            if isinstance(value, str):
                used.add(value)
            elif isinstance(value, list):
                used.update(one for one in value if isinstance(one, str))
        return used | set(self.settings.get("where", {}))

    def annotator(self) -> None:
        """A column named as annotators are, with more than one of them."""
        if "annotator_column" in self.settings or self.settings.get("form") in {
            "counts",
            "wide",
            "by_annotator",
            "by_label",
        }:
            return
        fitting = [one for one in self.scalars() if ANNOTATOR.search(one.word) and not DERIVED.search(one.word)]
        fitting = [one for one in fitting if not one.image and one.prose < 0.5 and not NUMBER_OF.match(one.word)]
        fitting = [one for one in fitting if not is_person(one.name)]
        if fitting:
            self.settings["annotator_column"] = max(
                fitting, key=lambda one: (one.distinct > 1, one.word.endswith("id"))
            ).name

    def label(self) -> None:
        """The layout, and the column or columns of labels."""
        form = self.settings.get("form")
        given = {"label_column", "label_columns", "count_columns"} & set(self.settings)
        if given:
            if form is None:
                self.settings["form"] = self._form_of_given()
            if self.settings["form"] in {"counts", "wide", "by_annotator", "by_label"}:
                self.settings.pop("annotator_column", None)
            return
        if self.guess.settings.get("rows_from"):
            self._take_results()
            return
        structure = self._structure()
        named = self._named_label()
        matrix = None if named or (structure and structure[0] >= 2) else self._matrix()
        if structure and (structure[0] >= 2 or not (named or matrix)):
            self._take_structure(structure[1])
        elif named:
            self._take_label(named)
        elif matrix:
            self.settings |= matrix
            if matrix["form"] in {"wide", "counts"}:
                self.settings.pop("annotator_column", None)
        else:
            self._take_varying()

    def _form_of_given(self) -> str:
        """The form that given columns of labels are of."""
        if "label_columns" in self.settings:
            return "wide"
        if "count_columns" in self.settings:
            columns = [self.found[str(name)] for name in self.settings["count_columns"] if str(name) in self.found]
            marks = all({value.lower() for value in one.values} <= MARKS for one in columns)
            return "one_hot" if marks and self.settings.get("annotator_column") else "counts"
        column = self.found.get(self.settings["label_column"])
        return self._form_of(column) if column is not None and column.kind in {"pairs", "list"} else "long"

    def _take_results(self) -> None:
        """The question among results that became rows whose answers are labels: choices first, then ratings."""
        inner = self.settings["rows_from"][-1]
        origin = f"{inner}.from_name"
        asked = [answers for kind in RESULTS for answers in self._questions(origin, f"{inner}.value.{kind}")]
        if not asked:
            raise DataError(
                f"{self.work.path}: no result of {self.settings['rows_from'][0]} is a label ({', '.join(RESULTS)}); "
                "parts of a text or a picture are no classes of items"
            )
        _, label, question = max(asked, key=lambda one: one[0])
        self.settings |= {"form": "long", "label_column": label}
        self.found = {**self.found, label: describe(self.work, label, self.columns)}
        others = [name for name in self.found[origin].values if name != question] if origin in self.found else []
        if others:
            self.settings.setdefault("where", {})[origin] = question
            self.guess.doubts.append(
                f"several questions; {question!r} is read, not {', '.join(others)} (where {origin})"
            )

    def _questions(self, origin: str, label: str) -> list[tuple[tuple[bool, int, int], str, str | None]]:
        """For each question with answers of one kind how well they serve as labels, the kind and the question."""
        question = expression(origin, self.columns) if origin in self.found else "NULL::VARCHAR"
        cell = expression(label, self.columns)
        rows = self.work.rows(
            f"SELECT {question}, count(*), count(DISTINCT {cell}) FROM records WHERE {cell} IS NOT NULL "
            "GROUP BY 1 ORDER BY 1"
        )
        rank = -RESULTS.index(label.rpartition(".")[2])
        return [((values > 1, rank, number), label, name) for name, number, values in rows]

    def _structure(self) -> tuple[int, Column] | None:
        """A column of dictionaries or lists of labels, and how sure its name makes it: 2 sure, 1 maybe."""
        ranked: list[tuple[int, bool, int, Column]] = []
        for one in self.found.values():
            if one.kind not in {"pairs", "list"} or not one.parts or DERIVED.search(one.word):
                continue
            if ANNOTATOR.search(one.word) or one.name == self.settings.get("annotator_column"):
                continue
            counts = bool(COUNTS.search(one.word)) and all(is_number(part) for part in one.parts)
            labels = bool(LABEL.match(one.word)) or "annotation" in one.word or "label" in one.word
            sure = 3 if counts else 2 if labels else 1
            ranked.append((sure, one.kind == "list", -len(ranked), one))
        if not ranked:
            return None
        sure, *_, best = max(ranked, key=lambda entry: entry[:3])
        return sure, best

    def _take_structure(self, column: Column) -> None:
        """The form of a column of dictionaries or lists."""
        form = self._form_of(column)
        self.settings |= {"form": form, "label_column": column.name}
        if form == "list":
            self._annotators_of_list(column)
        elif form != "long":
            self.settings.pop("annotator_column", None)
        if form == "by_label" and column.kind == "list":
            self._names_of_counts(column)

    def _form_of(self, column: Column) -> str:
        """What dictionaries or lists say."""
        numbers = all(is_number(part) for part in column.parts)
        counts = bool(COUNTS.search(column.word)) and numbers
        if column.kind == "list":
            if counts and len(column.sizes) == 1:
                return "by_label"
            return "long" if max(column.sizes, default=0) <= 1 or self._one_annotator_a_row() else "list"
        people = any(re.search(r"ann|work|rater|user|coder|^a\d|^w\d|^r\d", key, re.IGNORECASE) for key in column.keys)
        if counts or (
            numbers and not people and not all(key.isdigit() for key in column.keys) and not LABEL.match(column.word)
        ):
            return "by_label"
        if numbers and not people and not counts:
            self.guess.doubts.append(
                f"{column.name} is taken for {{annotator: label}}; if it is {{label: count}}, set form: by_label"
            )
        return "by_annotator"

    def _one_annotator_a_row(self) -> bool:
        """Whether rows name one annotator each."""
        who = self.found.get(str(self.settings.get("annotator_column")))
        return who is not None and who.kind == "scalar"

    def _annotators_of_list(self, column: Column) -> None:
        """The list of annotators beside a list of labels."""
        lists = [one for one in self.found.values() if one.kind == "list" and one.name != column.name]
        named = [one for one in lists if ANNOTATOR.search(one.word)]
        self.settings.pop("annotator_column", None)
        if named:
            self.settings["annotator_column"] = named[0].name

    def _names_of_counts(self, column: Column) -> None:
        """Names for a list of counts, from a dictionary of the same counts where there is one."""
        if "class_names" in self.settings:
            return
        (size,) = column.sizes
        for other in self.found.values():
            if other.kind == "pairs" and len(other.keys) == size and COUNTS.search(other.word):
                order = self._order_in(column, other, size)
                if order:
                    self.settings["class_names"] = order
                    self.guess.notes.append(
                        f"the classes of {column.name} are named by {other.name}, whose counts are the same"
                    )
                    return
        self.settings["class_names"] = [str(place) for place in range(size)]
        self.guess.doubts.append(f"the classes of {column.name} have no names; they are numbered (class_names)")

    def _order_in(self, column: Column, other: Column, size: int) -> list[str]:
        """For each place in a list the one key whose counts agree in every row."""
        cell, counts = expression(column.name, self.columns), expression(other.name, self.columns)
        order = []
        for place in range(1, size + 1):
            agree = [key for key in other.keys if not self.work.value(
                f"SELECT count(*) FROM records WHERE coalesce(try_cast(json_extract_string(as_json({counts}), "
                f"'$.\"{key}\"') AS DOUBLE), 0) <> try_cast(cell_list({cell})[{place}] AS DOUBLE)"
            ) and "'" not in key]  # fmt: skip
            if len(agree) != 1:
                return []
            order += agree
        return order

    def _named_label(self) -> Column | None:
        """A column of few values that is named as labels are."""
        few = [one for one in self.scalars() if self._is_few(one) and not DERIVED.search(one.word)]
        named = [one for one in few if LABEL.match(one.word)] or [
            one for one in few if re.search(r"^answer\.|label|annotation|^q_|rating|judg", one.name, re.IGNORECASE)
        ]
        best = max(named, key=lambda one: (self._varies(one), one.filled), default=None)
        others = [one.name for one in named if one is not best and self._varies(one)]
        if best is not None and others:
            self.guess.doubts.append(f"{best.name} is taken for the label; {', '.join(others)} could be it too")
        return best

    def _is_few(self, one: Column) -> bool:
        """Whether a column has as few values as classes are."""
        most = min(MOST_CLASSES, max(2, self.total - 1))
        return 2 <= one.distinct <= most and one.length <= 60 and not one.image and one.name not in {FILE, FOLDER}

    def _is_repeated(self, one: Column) -> bool:
        """Whether values of several words are short and stand in many rows each, as "3 very polite" does."""
        return one.length <= _SHORT_LABEL and _ROWS_A_LABEL * one.distinct <= self.total

    def _varies(self, one: Column) -> bool:
        """Whether annotators of one item disagree in a column, and an annotator's items too."""
        who = self.settings.get("annotator_column")
        return who is None or not determines(self.work, [who], one.name, self.columns)

    def _take_label(self, column: Column) -> None:
        """One annotation a row."""
        again = [name for name in self.found if re.fullmatch(rf"{re.escape(column.name)}_\d+", name)]
        if again and all(set(self.found[name].values) & set(column.values) for name in again):
            self.settings |= {"form": "wide", "label_columns": [column.name, *again]}
            self.settings.pop("annotator_column", None)
            return
        self.settings |= {"form": "long", "label_column": column.name}

    def _take_varying(self) -> None:
        """Of columns with few values the one that neither the annotator nor the text decides."""
        prose = {one.name for one in self.found.values() if one.prose >= 0.5 and not self._is_repeated(one)}
        texts = [one.name for one in self.found.values() if one.kind == "scalar" and (one.name in prose or one.image)]
        few = [one for one in self.scalars() if self._is_few(one) and not DERIVED.search(one.word)]
        few = [one for one in few if not (UID.match(one.word) or ANNOTATOR.search(one.word) or one.name in prose)]
        open_ = [one for one in few if self._varies(one) and not any(
            determines(self.work, [text], one.name, self.columns) for text in texts
        )] or [one for one in few if self._varies(one)] or few  # fmt: skip
        if not open_:
            raise DataError(
                f"{self.work.path}: no column looks like labels among {', '.join(self.found)}; set label_column (and "
                "form), as in --data.label_column=NAME"
            )
        self._take_label(open_[0])
        others = ", ".join(one.name for one in open_[1:])
        more = f"; {others} could be it too" if others else ""
        self.guess.doubts.append(f"{open_[0].name} is taken for the label by its values, not by its name{more}")

    def _matrix(self) -> dict[str, Any] | None:
        """Several columns of one kind: counts, marks of classes, or labels by annotator."""
        unknown = [one for one in self.scalars() if not (
            UID.match(one.word) or DERIVED.search(one.word) or one.prose > 0.5 or one.image
            or one.name in {FILE, FOLDER}
        )]  # fmt: skip
        candidates = [one for one in unknown if one.distinct <= MOST_CLASSES]
        if self.settings.get("annotator_column"):
            candidates = [one for one in candidates if not determines(
                self.work, [self.settings["annotator_column"]], one.name, self.columns
            )]  # fmt: skip
        odd = {one.name: value for one in unknown for value in one.values if COMMA_NUMBER.fullmatch(value)}
        if len(odd) >= 2:
            raise DataError(
                f"{self.work.path}: columns {', '.join(odd)} hold numbers as {next(iter(odd.values()))!r}; write plain "
                "numbers, such as 1000 or 0.5, or set form and label_columns if they are labels"
            )
        marks = [one for one in candidates if one.values and {value.lower() for value in one.values} <= MARKS]
        people = [one for one in candidates if is_person(one.name)]
        numbers = [one for one in candidates if one.values and all(is_number(value) for value in one.values)]
        if len(marks) >= 2 and len(marks) >= len(numbers) and self._one_mark(marks):
            return {"form": "one_hot", "count_columns": [one.name for one in marks]}
        if len(people) >= 2:
            return {"form": "wide", "label_columns": [one.name for one in people]}
        high = [one for one in unknown if one.whole and not NUMBER_OF.match(one.word)]
        if len(high) > len(numbers) and self._sums_are_alike(high):
            return {"form": "counts", "count_columns": [one.name for one in high]}
        if len(numbers) >= 2:
            if len(marks) == len(numbers):
                self.guess.doubts.append(
                    f"{', '.join(one.name for one in marks)} are taken for counts of classes; if each is an annotator, "
                    "set form: wide and label_columns"
                )
            return {"form": "counts", "count_columns": [one.name for one in numbers]}
        return self._shared_words(candidates)

    def _sums_are_alike(self, counts: Sequence[Column]) -> bool:
        """Whether whole numbers add up to about as many annotations in every row, as counts of classes do."""
        cells = [f"coalesce(try_cast(cleaned({expression(one.name, self.columns)}) AS DOUBLE), 0)" for one in counts]
        least, most = self.work.rows(
            f"SELECT min(total), max(total) FROM (SELECT {' + '.join(cells)} AS total FROM records)"
        )[0]
        negative = self.work.value(f"SELECT count(*) FROM records WHERE least({', '.join(cells)}) < 0")
        return len(counts) >= 2 and not negative and 0 < least <= most <= 2 * least

    def _one_mark(self, marks: Sequence[Column]) -> bool:
        """Whether most rows mark exactly one class."""
        cells = [
            f"coalesce((lower(cleaned({expression(one.name, self.columns)})) IN ('1', 'true'))::INT, 0)"
            for one in marks
        ]
        return bool(self.work.value(f"SELECT avg((({' + '.join(cells)}) = 1)::INT) >= 0.5 FROM records"))

    def _shared_words(self, candidates: Sequence[Column]) -> dict[str, Any] | None:
        """Columns that share their few words: one an annotator."""
        words = [one for one in candidates if one.values and 1 <= one.distinct <= 12 and not one.whole]
        alike = [one for one in words if any(
            other is not one and set(one.values) & set(other.values) for other in words
        )]  # fmt: skip
        return {"form": "wide", "label_columns": [one.name for one in alike]} if len(alike) >= 2 else None
