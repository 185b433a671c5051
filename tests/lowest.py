"""The lowest versions that pyproject.toml allows, as constraints for pip.

``python -m tests.lowest > constraints.txt`` prints a line ``name==version`` for each direct dependency, those of the
extras included, that this Python and system ask for. What these depend on is left to pip.
"""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def direct(*extras: str) -> dict[str, Requirement]:
    """What the project and these extras of it ask for here, by canonical name."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    asked = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}
    return {
        name: requirement
        for name, requirement in asked.items()
        if name != PROJECT["name"] and (requirement.marker is None or requirement.marker.evaluate())
    }


def floor(requirement: Requirement) -> str:
    """The version after ``>=``, of which there must be one."""
    (version,) = (part.version for part in requirement.specifier if part.operator == ">=")
    return version


if __name__ == "__main__":
    print("\n".join(f"{name}=={floor(requirement)}" for name, requirement in direct(*EXTRAS).items()))  # noqa: T201
