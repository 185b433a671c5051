"""What names the version agrees: pyproject.toml has it, and everything else follows."""

import re

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.lowest import PROJECT

SECTIONS = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
SECTION = re.compile(r"\[Unreleased\]|\[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}")


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert ("date-released" in citation) == any(f"[{PROJECT['version']}]" in section for section in SECTIONS)


def test_the_changelog_has_what_comes_or_this_version_first() -> None:
    assert SECTIONS[0] == "[Unreleased]" or SECTIONS[0].startswith(f"[{PROJECT['version']}]")
    released = [found[1] for section in SECTIONS if (found := SECTION.fullmatch(section)) and found[1]]
    assert released == sorted(released, key=lambda version: [*map(int, version.split("."))], reverse=True)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_the_changelog_is_what_comes_or_a_version_with_its_day(section: str) -> None:
    assert SECTION.fullmatch(section)


def test_changes_are_of_the_kinds_of_keep_a_changelog() -> None:
    kinds = re.findall(r"^### (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert kinds
    assert set(kinds) <= KINDS
