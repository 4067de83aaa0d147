"""Random numbers as a function of what they are for."""

from __future__ import annotations

import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as st

from seamwise.continual import Draw

KEYS = st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=3)), max_size=4).map(tuple)


@given(KEYS, KEYS)
def test_equal_keys_and_only_those_give_equal_seeds(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> None:
    assert (Draw(one).seed == Draw(other).seed) == (one == other)
    assert 0 <= Draw(one).seed < 2**63


def test_keys_that_look_alike_differ() -> None:
    keys = [(1, 23), (12, 3), ("1", 23), ("a,b",), ("a", "b"), ("ab",), ("a", 1), ("a1",)]
    assert len({Draw(key).seed for key in keys}) == len(keys)


def test_narrower_sources() -> None:
    assert Draw(("a",)).of("b", 3) == Draw(("a", "b", 3))
    assert Draw(("a",)).of("b").of(3).seed == Draw(("a", "b", 3)).seed


def test_generators_are_fresh_and_leave_torch_alone() -> None:
    draw = Draw(("a",))
    state = torch.get_rng_state()
    first, second = (torch.rand(5, generator=draw.generator()) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_are_the_same_in_every_process() -> None:
    """Python's own hash is salted anew in each process; a seed must not be."""
    code = "from seamwise.continual.draw import Draw; print(Draw(('seamwise', 0, 'order')).seed)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert int(printed.stdout) == Draw(("seamwise", 0, "order")).seed == 8475421157175107147
