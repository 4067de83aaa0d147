"""Labelled sets of small pictures, the material of the paper's experiments."""

from seamwise.experiments.sets.catalogue import SET_NAMES, open_set
from seamwise.experiments.sets.labelled_set import LabelledSet

__all__ = ["SET_NAMES", "LabelledSet", "open_set"]
