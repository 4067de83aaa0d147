"""The page of split CIFAR-10/100 (figure 6)."""

from __future__ import annotations

from collections.abc import Mapping

from seamwise.experiments.paper.rows import (
    Claim,
    Result,
    Row,
    after,
    by_line,
    claims_table,
    final,
    mean,
    page_parts,
    short,
    show,
)
from seamwise.experiments.paper.split_cifar import PUBLISHED
from seamwise.experiments.tables import markdown_table
from seamwise.figures.bars import bars
from seamwise.figures.grid import grid
from seamwise.figures.markup import Markup


def markdown(result: Result) -> list[str]:
    table = []
    for label, rows in by_line(result).items():
        tasks = range(len(rows[0]["R"][-1]))
        for name, side in (("validation", "R"), ("training", "R_train")):
            cells = [short(after(rows, -1, task, side)) for task in tasks]
            table.append([f"{label}, {name}", str(len(rows)), *cells, short(final(rows, side))])
        if label in PUBLISHED and not result["quick"]:
            published = PUBLISHED[label]
            table.append([f"{label}, published", "5", *(f"{v:.3f}" for v in published), f"{mean(published):.3f}"])
    count = len(result["runs"][0]["R"][-1])
    return page_parts(
        result,
        "Accuracy after the last task, mean ± standard deviation over the runs (one run: none). The published figures "
        "are validation accuracies of five runs, their standard deviation lies between .004 and .022. Training "
        "accuracy is that of the first 5000 training samples of a task, without dropout. `Adam anew`: its count of "
        "steps begins anew for each task too, as one would read the paper; the published runs let it go on.",
        markdown_table(["line", "runs", *(f"task {i + 1}" for i in range(count)), "mean"], table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    found = by_line(result)
    scores = {label: final(rows)[0] for label, rows in found.items()}
    if result["quick"]:
        kept, lost = scores.get("c = 0.1"), scores.get("c = 0")
        holds = None if kept is None or lost is None else kept > lost
        return [Claim("c = .1 keeps more than c = 0", f"{show(kept)} against {show(lost)}", holds)]
    listed = []
    for label, published in PUBLISHED.items():
        ours = scores.get(label)
        told = "-" if ours is None else f"{ours:.3f}, {ours - mean(published):+.3f}"
        holds = None if ours is None else abs(ours - mean(published)) <= 0.03
        listed.append(Claim(f"{label}: {mean(published):.3f} (within .03)", told, holds))
    listed.append(
        _generalises(
            "R",
            "consolidation generalises better than training from scratch (validation, tasks 2-6, c = .01)",
            found,
            1,
        )
    )
    listed.append(_generalises("R_train", "... while its training accuracy is lower", found, -1))
    return listed


def _generalises(side: str, text: str, found: Mapping[str, list[Row]], sign: int) -> Claim:
    """Compares c = .01 with training from scratch on the later tasks; sign: which of them should be higher."""
    if "c = 0.01" not in found or "from scratch" not in found:
        return Claim(text, "-", None)
    ours, alone = (mean([mean(row[side][-1][1:]) for row in found[label]]) for label in ("c = 0.01", "from scratch"))
    return Claim(text, f"{ours:.3f} against {alone:.3f}", sign * (ours - alone) > 0)


def picture(result: Result) -> Markup:
    """As figure 6: bars for each task, validation accuracy above and training accuracy below."""
    found = by_line(result)
    count = len(result["runs"][0]["R"][-1])
    groups = [*(f"Task {i + 1}" for i in range(count)), "mean"]
    charts = []
    for title, side in (
        ("Validation accuracy after the last task", "R"),
        ("Training accuracy after the last task", "R_train"),
    ):
        series = {
            label: [*(after(rows, -1, task, side) for task in range(count)), final(rows, side)]
            for label, rows in found.items()
        }
        charts.append(bars(groups, series, title, "accuracy", y_range=(0.0, 1.0), width=820, height=320))
    return grid(charts, str(result["title"]), columns=1)
