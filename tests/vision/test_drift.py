"""Drifting from one domain to another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from seamwise.errors import UsageError
from seamwise.vision.welds.drift import between
from seamwise.vision.welds.radiograph import simulate_radiograph
from seamwise.vision.welds.steel import STEEL_DOMAINS

A, B = STEEL_DOMAINS["panel-160kv-8mm"], STEEL_DOMAINS["gamma-ir192-film"]


@dataclass(frozen=True)
class Machine:
    kind: str = "old"
    gain: float = 1.0
    dose: float = field(default=1.0, metadata={"drift": "log"})
    bits: int = field(default=8, metadata={"drift": "switch"})
    lines: int = 10
    lit: bool = False
    range_mm: tuple[float, float] = (0.0, 10.0)
    names: tuple[str, ...] = ("a",)


def test_the_ends_are_the_domains_themselves() -> None:
    assert between(A, B, 0.0) == A
    assert between(A, B, 1.0) == B
    assert between(A, A, 0.4) == A


def test_each_kind_of_field_moves_in_its_own_way() -> None:
    new = Machine("new", 3.0, 100.0, 16, 21, True, (2.0, 20.0), ("a", "b"))
    assert between(Machine(), new, 0.25) == Machine(
        "old", 1.5, pytest.approx(100**0.25), 8, 13, False, (0.5, 12.5), ("a",)
    )
    assert between(Machine(), new, 0.5) == Machine(
        "new", 2.0, pytest.approx(10.0), 16, 16, True, (1.0, 15.0), ("a", "b")
    )


def test_every_number_of_a_radiograph_domain_lies_between_its_ends() -> None:
    middle = between(A, B, 0.3)
    assert middle.mu_per_mm == pytest.approx(A.mu_per_mm**0.7 * B.mu_per_mm**0.3)
    assert middle.scatter_ratio == pytest.approx(0.7 * A.scatter_ratio + 0.3 * B.scatter_ratio)
    assert middle.detector == "panel"
    assert between(A, B, 0.6).detector == "film"
    assert not middle.bright_is_thick


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_domains_on_the_way_render(t: float) -> None:
    middle = replace(between(A, STEEL_DOMAINS["panel-140kv-od76-ellipse"], t), height=96, width=128)
    assert simulate_radiograph(middle, 0, 0).pixels.std() > 2


def test_a_little_drift_changes_the_picture_a_little() -> None:
    small = [replace(between(A, B, t), height=96, width=128, defect_free=1.0) for t in (0.0, 0.02, 0.4)]
    pictures = [simulate_radiograph(domain, 1, 0).pixels.astype(float) for domain in small]
    assert abs(pictures[1] - pictures[0]).mean() < 0.5 * abs(pictures[2] - pictures[0]).mean()


def test_impossible_drifts_are_refused() -> None:
    with pytest.raises(UsageError, match=r"1\.5"):
        between(A, B, 1.5)
    with pytest.raises(UsageError, match="Machine"):
        between(A, Machine(), 0.5)  # type: ignore[type-var]
