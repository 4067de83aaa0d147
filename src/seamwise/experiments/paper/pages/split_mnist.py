"""The page of split MNIST (figure 3)."""

from __future__ import annotations

import math
from typing import Any

from seamwise.experiments.paper.rows import (
    Claim,
    Result,
    after,
    at_least,
    at_most,
    by_line,
    claims_table,
    final,
    page_parts,
    seen,
    short,
    with_sem,
)
from seamwise.experiments.paper.split_mnist import PUBLISHED
from seamwise.experiments.tables import markdown_table
from seamwise.figures.grid import grid
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup

LOOK: dict[str, Any] = {
    "x_label": "tasks learned",
    "y_label": "accuracy",
    "whole_x": True,
    "errors": "bars",
    "width": 300,
    "height": 250,
}


def markdown(result: Result) -> list[str]:
    table = []
    for label, rows in by_line(result).items():
        tasks = [short(after(rows, -1, task, "R_train")) for task in range(len(rows[0]["R"][-1]))]
        train, test = (short(final(rows, side)) for side in ("R_train", "R"))
        published = f"{PUBLISHED[label]:.3f}" if label in PUBLISHED else "-"
        table.append([label, str(len(rows)), train, published, test, *tasks])
    headers = ["line", "runs", "training set", "published", "test set", *(f"task {i + 1}" for i in range(5))]
    return page_parts(
        result,
        "Accuracy after the fifth task, mean ± standard deviation over runs. The published figure shows the training "
        "set; the columns of single tasks are on the training set too. The picture shows the standard error of "
        "the mean, as the paper's.",
        markdown_table(headers, table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    found = by_line(result)
    si, plain = found.get("c = 1", []), found.get("c = 0", [])
    train, test, without = final(si, "R_train")[0], final(si)[0], final(plain, "R_train")[0]
    low = 0.9 if result["quick"] else 0.985
    return [
        Claim(f"c = 1 keeps at least {low} on the training set", short(final(si, "R_train")), at_least(train, low)),
        Claim(f"... and {low - 0.005:.3g} on the test set", short(final(si)), at_least(test, low - 0.005)),
        Claim("c = 0 falls to .92 or less", short(final(plain, "R_train")), at_most(without, 0.92)),
    ]


def picture(result: Result) -> Markup:
    """As figure 3: a panel a task and one for their mean, accuracy on the training set after each task, with SEM."""
    found, panels = by_line(result), []
    count = len(result["runs"][0]["R"])
    low = min(value for row in result["runs"] for scores in row["R_train"] for value in scores if value is not None)
    reach = (math.floor(10 * low) / 10, 1.0)  # one for all panels
    for task in range(count):
        series = {
            label: [(i + 1.0, *with_sem(after(rows, i, task, "R_train"), len(rows))) for i in range(count)]
            for label, rows in found.items()
        }
        panels.append(lines(series, f"Task {task + 1}", legend=task == 0, y_range=reach, **LOOK))
    means = {
        label: [(i + 1.0, *with_sem(seen(rows, i, "R_train"), len(rows))) for i in range(count)]
        for label, rows in found.items()
    }
    panels.append(lines(means, "Mean over the tasks seen", legend=False, y_range=reach, **LOOK))
    return grid(panels, str(result["title"]), columns=3)
