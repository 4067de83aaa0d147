"""Which heads a model had before the experience it learns."""

from __future__ import annotations

import pytest
import torch

from seamwise.continual import ClassMask, Experience, TensorDataset
from seamwise.continual.known import KnownClasses
from tests.continual.problems import through_disk

DATA = TensorDataset(torch.zeros(1, 1), torch.zeros(1))
EVERY = (0, 1, 2, 3, 4, 5)


def known(*classes: tuple[int, ...] | None) -> KnownClasses:
    """After so many experiences; None: one of which nothing was said."""
    found = KnownClasses()
    for place, ids in enumerate(classes):
        found.add(None if ids is None else Experience(place, "x", DATA, ids))
    return found


@pytest.mark.parametrize(
    ("mask", "classes", "heads"),
    [
        ({}, [], []),
        ({}, [(0, 1), (2, 3)], [(0, 1, 2, 3)]),  # new classes at one head
        ({}, [(0, 1), (0, 1)], [(0, 1)]),
        ({}, [(), ()], [EVERY]),  # domains
        ({}, [(0, 1), ()], [EVERY]),
        ({}, [(0, 1), None], [EVERY]),
        ({0: (1, 0), 1: (2, 3), 2: (4, 5)}, [(0, 1), (2, 3)], [(0, 1), (2, 3)]),  # a head a task
        ({0: (0, 1), 1: (0, 2), 2: (0, 1)}, [(), (), ()], [(0, 1), (0, 2)]),  # a shared head comes once
        ({1: (2, 3)}, [(0,), (2,)], [EVERY, (2, 3)]),
        ({0: (0, 1)}, [None], [EVERY]),
    ],
)
def test_heads(mask: dict[int, tuple[int, ...]], classes: list[tuple[int, ...]], heads: list[tuple[int, ...]]) -> None:
    found = known(*classes)
    assert found.heads(ClassMask(mask), 6) == heads
    again = KnownClasses()
    again.load_state_dict(through_disk(found.state_dict()))
    assert again.heads(ClassMask(mask), 6) == heads
    assert len(again) == len(classes)


def test_the_task_of_an_experience_decides_not_its_place() -> None:
    found = KnownClasses()
    found.add(Experience(0, "x", DATA, task=7))
    assert found.heads(ClassMask({0: (0, 1), 7: (2, 3)}), 6) == [(2, 3)]
