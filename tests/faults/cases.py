"""Every case, family by family."""

from tests.faults.case import Case
from tests.faults.families import (
    configurations,
    experiments,
    kept,
    pictures,
    studies,
    surroundings,
    tables,
    training,
    vectors,
)

FAMILIES = (configurations, tables, vectors, pictures, kept, training, studies, experiments, surroundings)
CASES: list[Case] = [case for family in FAMILIES for case in family.cases()]
