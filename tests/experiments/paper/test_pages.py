"""What is read off finished runs: tables, claims and pictures of made-up results whose figures are known."""

from __future__ import annotations

from typing import Any

import pytest

from seamwise.experiments.paper.book import CHAPTERS, find_chapter
from seamwise.experiments.paper.catalogue import FIGURES, QUICK, find_figure
from seamwise.experiments.paper.pages import (
    choosing_c,
    importance_correlation,
    permuted_mnist,
    precision,
    scenarios_search,
    split_cifar,
    split_mnist,
)
from seamwise.experiments.paper.rows import after, by_line, final, page_parts, seen, with_sem

HEAD = {"name": "x", "title": "X", "command": "seamwise reproduce x", "versions": {"torch": "2"}, "quick": False}
TRAINING = {"optimizer": "adam", "lr": 1e-3, "epochs": 20, "batch_size": 256, "keep_optimizer": True, "bf16": True}


def row(line: str, R: list[list[float]], seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"line": line, "seed": seed, "R": R, "R_train": R, "seconds": 60.0, "parameters": {}, **more}


def result(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**HEAD, "runs": list(rows), **more}


def steady(value: float, tasks: int) -> list[list[float]]:
    """R of a method that has the same score everywhere."""
    return [[value] * tasks for _ in range(tasks)]


def test_figures_of_rows_by_hand() -> None:
    rows = [row("a", [[1.0, 0.5], [0.8, 0.6]]), row("a", [[0.9, 0.5], [0.6, 0.4]], seed=1)]
    assert list(by_line(result(*rows))) == ["a"]
    assert final(rows) == pytest.approx((0.6, 0.02**0.5))
    assert after(rows, 0, 0) == pytest.approx((0.95, 0.005**0.5))
    assert seen(rows, 0)[0] == pytest.approx(0.95)
    assert with_sem((0.5, 0.3), 9) == pytest.approx((0.5, 0.1))
    assert final([]) == (None, None)


def test_split_mnist_claims_hold_and_fail_where_they_should() -> None:
    good = result(row("c = 1", steady(0.99, 5)), row("c = 0", steady(0.8, 5)))
    bad = result(row("c = 1", steady(0.98, 5)), row("c = 0", steady(0.95, 5)))
    assert [claim.holds for claim in split_mnist.claims(good)] == [True, True, True]
    assert [claim.holds for claim in split_mnist.claims(bad)] == [False, True, False]
    assert [claim.holds for claim in split_mnist.claims(result(row("c = 1", steady(0.99, 5))))] == [True, True, None]
    assert "| c = 1 | 1 | 0.990 | 0.989 | 0.990 |" in "\n".join(split_mnist.markdown(good))


def test_permuted_mnist_is_ordered_in_c() -> None:
    scores = {"SI c = 0": 0.57, "SI c = 0.01": 0.92, "SI c = 0.02": 0.94, "SI c = 0.1": 0.97, "EWC": 0.95}
    scores |= {"SGD": 0.6, "SGD, dropout .5": 0.65, "all tasks at once": 0.98}
    runs = [row(line, steady(value, 10)) for line, value in scores.items()]
    assert all(claim.holds for claim in permuted_mnist.claims(result(*runs)))
    scores["SI c = 0.01"] = 0.95
    runs = [row(line, steady(value, 10)) for line, value in scores.items()]
    assert [claim.holds for claim in permuted_mnist.claims(result(*runs))].count(False) == 1
    assert str(permuted_mnist.picture(result(*runs))).startswith("<svg")


def test_split_cifar_within_three_hundredths() -> None:
    near = row("c = 0.01", steady(0.735 + 0.029, 6))
    far = row("c = 0", steady(0.625 - 0.031, 6))
    verdicts = {claim.text.partition(":")[0]: claim.holds for claim in split_cifar.claims(result(near, far))}
    assert (verdicts["c = 0.01"], verdicts["c = 0"], verdicts["c = 0.1"]) == (True, False, None)


def test_correlations_off_the_diagonal() -> None:
    def matrix(value: float, rise: float = 0.0) -> list[list[float]]:
        return [[1.0 if i == j else value + rise * max(i, j) for j in range(4)] for i in range(4)]

    assert importance_correlation.off_diagonal(matrix(0.25)) == pytest.approx(0.25)
    assert importance_correlation.neighbours(matrix(0.2, 0.1)) == pytest.approx([0.3, 0.4, 0.5])
    free = row("SI c = 0", steady(0.5, 4), correlations=[matrix(0.01), matrix(0.4, 0.11)])
    held = row("SI c = 0.1", steady(0.5, 4), correlations=[matrix(0.02), matrix(0.1, 0.01)])
    assert [claim.holds for claim in importance_correlation.claims(result(free, held))] == [True, True, True]
    swapped = result({**free, "line": "SI c = 0.1"}, {**held, "line": "SI c = 0"})
    assert [claim.holds for claim in importance_correlation.claims(swapped)] == [True, False, False]


def test_the_chosen_strength_is_that_of_what_was_held_out() -> None:
    runs = [
        row(f"c {c}", steady(test, 2), parameters={"c": c}, R_held_out=steady(held_out, 2))
        for c, test, held_out in (
            (0.01, 0.90, 0.95),
            (0.02, 0.92, 0.93),
            *((c, 0.5, 0.5) for c in (0.002, 0.005, 0.05)),
        )
    ]
    searched = result(*runs, name="choosing-c-cifar")
    grid = choosing_c.grids(searched)["SI"]
    assert (choosing_c.chosen(grid, "R_held_out"), choosing_c.chosen(grid, "R")) == (0.01, 0.02)
    (claim,) = choosing_c.claims(searched)
    assert (claim.holds, "0.0200" in claim.ours) == (False, True)
    (claim,) = choosing_c.claims(result(*runs[:2], name="choosing-c-cifar"))
    assert claim.holds is None, "a part of the grid tells nothing yet"
    assert "edge of the grid" in "\n".join(choosing_c.markdown(result(*runs[:2], name="choosing-c-cifar")))


def test_precision_tells_a_difference_beyond_the_spread() -> None:
    def runs(half: float) -> dict[str, Any]:
        lines = {"SI c = 0": half, "SI c = 0, float32": 0.9, "SI c = 0.1": 0.9}  # the last one's partner is missing
        return result(*(row(name, steady(value, 2), seed) for name, value in lines.items() for seed in (0, 1)))

    assert [claim.holds for claim in precision.claims(runs(0.904))] == [True]
    assert [claim.holds for claim in precision.claims(runs(0.894))] == [False]
    assert "| SI c = 0 | 2 | 0.894" in "\n".join(precision.markdown(runs(0.894)))


def test_precision_looks_at_the_same_seeds() -> None:
    def pair(seed: int, half: float, whole: float) -> list[dict[str, Any]]:
        return [row("a", steady(half, 2), seed), row("a, float32", steady(whole, 2), seed)]

    # seeds differ by far more than the two forms, which are .01 apart on each
    ((claim),) = precision.claims(result(*pair(0, 0.5, 0.51), *pair(1, 0.7, 0.71), *pair(2, 0.9, 0.91)))
    assert (claim.holds, claim.ours) == (False, "-0.0100 ± 0.0000")
    ((claim),) = precision.claims(result(*pair(0, 0.5, 0.53), *pair(1, 0.7, 0.68), *pair(2, 0.9, 0.91)))
    assert claim.holds  # -.0067 with a standard error of .0145
    alone = [pair(3, 0.5, 0.5)[0], pair(4, 0.5, 0.5)[0]]  # runs without a partner do not make the mean surer
    ((again),) = precision.claims(result(*pair(0, 0.5, 0.53), *pair(1, 0.7, 0.68), *pair(2, 0.9, 0.91), *alone))
    assert again == claim
    ((claim),) = precision.claims(result(pair(0, 0.5, 0.5)[0], pair(1, 0.5, 0.5)[1]))
    assert (claim.holds, claim.ours) == (None, "-")


def test_a_page_tells_commands_versions_and_how_it_was_trained() -> None:
    made = {"command": "seamwise reproduce x --line SGD", "versions": {"torch": "3"}, "device": "cuda"}
    runs = [row("c = 1", steady(0.9, 5)), row("SGD", steady(0.5, 5), parameters={"lr": 0.1, "c": 1}, **made)]
    page = "\n".join(page_parts(result(*runs, setting={"training": TRAINING}), "parts"))
    assert "Command: `seamwise reproduce x`, `seamwise reproduce x --line SGD`." in page
    assert "Versions: torch 2; torch 3, device cuda." in page
    assert (
        "Adam at 0.001, its moments kept from task to task; 20 epochs of batches of 256; products in bfloat16" in page
    )
    assert "SGD: lr 0.1." in page
    assert "bfloat16" not in "\n".join(page_parts(result(*runs, setting={"training": TRAINING | {"bf16": False}})))


def test_a_search_claims_only_what_was_chosen_among_its_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(strategy: str, name: str, value: float, score: float) -> dict[str, Any]:
        label = f"task: {strategy} {name}={value:g}"
        return row(label, steady(score, 2), R_held_out=steady(score, 2), parameters={name: value, "capacity": 5})

    runs = [tried("ewc", "strength", 1.0, 0.8), tried("ewc", "strength", 5.0, 0.9), tried("si", "c", 1.0, 0.9)]
    searched = result(*runs, tried("si", "c", 10.0, 0.8), setting={"held_out": 7})
    monkeypatch.setitem(scenarios_search.GRIDS, "si", [{"c": 1.0}, {"c": 10.0}])
    for chosen, verdicts in (({"c": 1.0}, [True]), ({"c": 10.0}, [False]), ({}, [])):
        monkeypatch.setitem(scenarios_search.CHOSEN, "si", {"task": chosen})
        monkeypatch.setitem(scenarios_search.CHOSEN, "ewc", {"task": {"capacity": 5}})
        assert [claim.holds for claim in scenarios_search.claims(searched)] == verdicts
        assert "\n".join(scenarios_search.markdown(searched)).count("| chosen |") == len(verdicts)
    monkeypatch.setitem(scenarios_search.CHOSEN, "si", {"task": {"c": 1.0}})
    assert [claim.holds for claim in scenarios_search.claims(result(*runs, setting={"held_out": 7}))] == [None]


def test_every_figure_has_a_chapter_and_lines_of_known_strategies() -> None:
    assert {name for name, chapter in CHAPTERS.items() if chapter.kind == "trained"} == set(FIGURES)
    assert set(QUICK) <= set(FIGURES)
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert find_chapter(name).kind == "trained"
        for line in figure.lines:
            figure.setting_of(line)
    for name, figure in QUICK.items():
        assert figure.quick
        assert find_figure(name, quick=True) is figure
        assert {line.label for line in figure.lines} <= {line.label for line in FIGURES[name].lines}
