"""The table of every equation: the paper's statement beside our figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from seamwise.experiments.paper.theory.check import Check, verdict


def markdown(result: Mapping[str, Any]) -> str:
    """The made part of the page: checks, the overestimate by batch size, the formulas in circulation."""
    parts = [
        summary(result["checks"]),
        table_of(result["checks"]),
        "**Minibatch noise** (Eq. 3 with the gradient of a batch): Σw over the drop of the whole set's loss.",
        _noise(result["noise"]),
        "**Formulas in circulation**: Σw by each for the same loss, and what doubling the curvature H, the way d or\n"
        "the time constant τ, or moving the origin of the parameters, does to it.",
        _formulas(result["second_hand"]["formulas"]),
        _made(result),
    ]
    return "\n\n".join(parts) + "\n"


def summary(checks: Sequence[Check]) -> str:
    """How many figures hold, and what differs."""
    met = sum(row["passed"] for row in checks)
    told = [f"Eq. {row['equation']}: {row['differs']}" for row in checks if row["differs"]]
    differing = f" What differs: {'; '.join(told)}." if told else ""
    return fill(f"{met} of {len(checks)} figures lie within their tolerance.{differing}")


def table_of(checks: Sequence[Check]) -> str:
    """The paper's statement, our figure, the tolerance and the verdict, one row a check."""
    rows = [
        [
            row["equation"],
            row["statement"] or "–",
            row["name"],
            _short(row["ours"]),
            _short(row["expected"]),
            f"{row['error']:.1e}",
            f"{row['tolerance']:.3g}",
            verdict(row),
        ]
        for row in checks
    ]
    heads = ["Eq.", "the paper", "measured", "ours", "expected", "error", "tolerance", "verdict"]
    return table(heads, rows, "lllrrrrl")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> str:
    """A Markdown table; sides: l or r for each column."""
    rule = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def _short(value: float) -> str:
    """Six digits; what only differs from zero by rounding in powers of ten."""
    return f"{value:.1e}" if 0 < abs(value) < 1e-4 else f"{value:.6g}"


def _noise(part: Mapping[str, Any]) -> str:
    rows = [
        [str(size) if size < part["sizes"][-1] else f"{size} (all)", f"{mean:.3f} ± {spread:.3f}", f"{expected:.3f}"]
        for size, mean, spread, expected in zip(
            part["sizes"], part["ratio"], part["spread"], part["predicted"], strict=True
        )
    ]
    heads = [
        "batch size",
        f"Σw / drop, mean ± SD of {part['copies']} networks",
        "Σ lr (‖g‖² + tr Cov g / batch size) / drop",
    ]
    return table(heads, rows, "rrr")


def _formulas(formulas: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            row["formula"],
            f"{row['sum']:.4f}",
            f"{row['drop']:.4f}",
            *(f"× {2 ** row[key]:.3g}" for key in ("H", "d", "tau")),
            f"× {row['origin']:.3g}",
        ]
        for row in formulas
    ]
    heads = ["formula", "Σw", "loss drop", "H doubled", "d doubled", "τ doubled", "origin moved"]
    return table(heads, rows, "lrrrrrr")


def _made(result: Mapping[str, Any]) -> str:
    drop, noise, average = result["loss_drop"], result["noise"], result["curvature"]["average"]
    return fill(
        f"""How made: double precision, seed {result["seed"]}{", quick form" if result["quick"] else ""}.
        Eq. 1 to 3 on a tanh network of {drop["parameters"]} parameters (squared error, full batch) with
        `SynapticIntelligence` in a loop of its own, step sizes {drop["rates"][0]:g} to {drop["rates"][-1]:g} over the
        same stretch, power fitted to the four finest; Adam's running means span the same stretch at every step size.
        Noise: {noise["copies"]} tanh networks on simulated clusters, {noise["steps"]} steps of plain SGD, batches
        drawn with replacement. Eq. 8 to 14: the flow τ θ' = -H (θ - θ*) is integrated by DOP853 to 1e-11 a step,
        without eigenvectors, and held against the closed form. Eq. 12: {average["starts"]:,} starts with
        s = {average["s"]:g}; among ten entries chance alone passes three standard errors for one seed in forty.
        A power's tolerance allows for the next order at the step sizes used; where finite steps bias a figure
        by a known amount, that amount is the tolerance."""
    )


def fill(paragraph: str) -> str:
    """A paragraph in lines of one length; none begins with a sign, which Markdown would take for a list."""
    flat = " ".join(paragraph.split()).replace(" - ", "\u00a0- ").replace(" + ", "\u00a0+ ")
    return textwrap.fill(flat, 120, break_long_words=False, break_on_hyphens=False)
