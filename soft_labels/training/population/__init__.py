"""Many heads of one data set, trained at once as one tensor program, under the same rule as the one-head module."""

from soft_labels.training.population.engine import PopulationEngine, Work

__all__ = ["PopulationEngine", "Work"]
