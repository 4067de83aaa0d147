"""The finished runs of a figure by line, and what is read off them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seamwise.experiments.groups import Spread, spread
from seamwise.experiments.tables import commands_of, made_with, markdown_table, text

Row = Mapping[str, Any]
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """Something the paper says, and whether our runs say it too. holds: None where a run is missing."""

    text: str
    ours: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "**no**", None: "not run"}[self.holds]


def by_line(result: Result) -> dict[str, list[Row]]:
    """Rows of each line, in the order in which lines first appear."""
    found: dict[str, list[Row]] = {}
    for row in result["runs"]:
        found.setdefault(row["line"], []).append(row)
    return found


def mean(values: Sequence[float | None]) -> float:
    """Mean of what was measured."""
    return statistics.fmean(value for value in values if value is not None)


def final(rows: Sequence[Row], side: str = "R") -> Spread:
    """Mean over the tasks after the last one, with its standard deviation over the runs."""
    return spread(mean(row[side][-1]) for row in rows)


def after(rows: Sequence[Row], learned: int, task: int, side: str = "R") -> Spread:
    """Accuracy on a task after so many tasks (both from 0)."""
    return spread(row[side][learned][task] for row in rows)


def seen(rows: Sequence[Row], learned: int, side: str = "R") -> Spread:
    """Mean accuracy over the tasks seen after task `learned` (from 0)."""
    return spread(mean(row[side][learned][: learned + 1]) for row in rows)


def with_sem(value: Spread, runs: int) -> tuple[float | None, float | None]:
    """A mean with its standard error instead of the deviation."""
    return value[0], None if value[1] is None else value[1] / math.sqrt(runs)


def at_least(value: float | None, limit: float) -> bool | None:
    return None if value is None else value >= limit


def at_most(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def claims_table(claims: Sequence[Claim]) -> str:
    return markdown_table(["claim", "ours", "holds"], [[c.text, c.ours, c.verdict] for c in claims])


def page_parts(result: Result, *parts: str) -> list[str]:
    """What every page of a figure begins and ends with, around its own parts."""
    head = f"Command: {commands_of(result)}."
    if result["quick"]:
        head += " **A reduced run on a small stand-in, to see the machinery work: no reproduction of the paper.**"
    setting = [trained_how(result)] if "training" in result.get("setting", {}) else []
    return [head, *setting, *parts, made_with(result)]


def trained_how(result: Result) -> str:
    """How the networks of a figure were trained, and which lines were trained otherwise."""
    training = result["setting"]["training"]
    adam = training["optimizer"] == "adam"
    told = [
        f"{'Adam' if adam else training['optimizer'].upper()} at {training['lr']:g}"
        + (", its moments kept from task to task" if training["keep_optimizer"] else ", begun anew for each task")
        + (" but for its count of steps, as in the authors' code" if training.get("keep_step_count") else ""),
        f"{training['epochs']} epochs of batches of {training['batch_size']}",
    ]
    if training["bf16"]:
        told.append(
            "products in bfloat16 (weights, optimizer and the method's own sums in float32; `reproduce precision` sets "
            "it beside float32)"
        )
    apart = {}
    for row in result["runs"]:
        chosen = {name: value for name, value in row["parameters"].items() if name in training}
        if chosen:
            apart[row["line"]] = ", ".join(f"{name} {value}" for name, value in chosen.items())
    return ". ".join(["Training: " + "; ".join(told), *(f"{line}: {how}" for line, how in apart.items())]) + "."


def show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def short(value: Spread) -> str:
    """`.989 ± .002`"""
    return text(value, 3)
