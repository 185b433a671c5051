"""Docstrings as mkdocstrings reads them: doctests as examples, names that they refer to without Sphinx's roles."""

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?(?:[\w.]*\.)?(\w+)`")


def readable(docstring: str) -> str:
    """A docstring in mkdocstrings' own words.

    Args:
        docstring: As it stands in the code.

    Example:
        >>> readable("See :func:`~soft_labels.trust.report.trust_report`.")
        'See `trust_report`.'
    """
    return _ROLE.sub(r"`\1`", _EXAMPLE.sub("Examples:", docstring))


class Readable(Extension):
    """Makes every docstring readable."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Take one object."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
