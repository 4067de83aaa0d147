"""The catalogue's R matrices on digits stay what they were (made by `python -m tests.continual.golden --write`)."""

from __future__ import annotations

import json

import pytest

from seamwise.continual import METHODS, metrics
from tests.continual import golden

KEPT: dict[str, golden.Matrix] = json.loads(golden.KEPT.read_text(encoding="utf-8"))
TOLERANCE = 0.02  # three to four of an experience's 180 test digits: other instruction sets round otherwise


@pytest.mark.parametrize("method", golden.METHODS)
def test_scores_are_the_kept_ones(method: str) -> None:
    matrix, kept = golden.run(method), KEPT[method]
    assert len(matrix) == len(kept)
    for row, kept_row in zip(matrix, kept, strict=True):
        assert row == pytest.approx(kept_row, abs=TOLERANCE)


def test_the_kept_ones_cover_the_catalogue_and_tell_the_known_story() -> None:
    assert KEPT.keys() == golden.METHODS.keys() >= METHODS.keys()
    score = {method: metrics.average(matrix) or 0.0 for method, matrix in KEPT.items()}
    assert score["frozen"] < score["finetuning"] < score["si"] < score["joint"]
    assert score["finetuning"] < score["ewc"] < score["joint"]
    for method in ("ewc-per-task", "lwf", "lfl", "replay", "gem", "si+lwf"):
        assert score["finetuning"] + 0.05 < score[method] < score["joint"]
    assert score["si"] < score["si+replay"]
    lost = {method: metrics.forgetting(matrix) for method, matrix in KEPT.items() if len(matrix) > 1}
    assert lost["frozen"] == 0
    assert lost["si"] < 0.7 * lost["finetuning"]
