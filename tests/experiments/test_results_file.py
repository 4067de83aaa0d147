"""The results file of a comparison: several processes add to it, and each row says what made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamwise.errors import BadInputError, RefusedError
from seamwise.experiments.comparison import ResultsFile, versions


def file(path: Path, command: str = "seamwise compare", **more: Any) -> ResultsFile:
    return ResultsFile(path, "x", command, {"setting": 1}, **more)


def row(strategy: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"strategy": strategy, "seed": seed, "parameters": {}, "R": [[1.0]], **more}


def strategies(path: Path) -> list[str]:
    return [run["strategy"] for run in json.loads(path.read_text())["runs"]]


def test_two_writers_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    one, two = file(path), file(path)
    one.add(row("si"))
    two.add(row("ewc"))  # has never seen the first
    one.add(row("si", seed=1))
    assert strategies(path) == ["si", "ewc", "si"]
    one.add(row("si", R=[[0.5]]))  # the same run again takes its place
    assert strategies(path) == ["ewc", "si", "si"]
    assert json.loads(path.read_text())["runs"][-1]["R"] == [[0.5]]
    assert sorted(found.name for found in path.parent.iterdir()) == ["results.json"]


def test_rows_lie_in_the_order_that_is_wanted(tmp_path: Path) -> None:
    found = file(tmp_path / "results.json", order=lambda run: (run["strategy"], run["seed"]))
    for strategy, seed in (("si", 1), ("ewc", 0), ("si", 0)):
        found.add(row(strategy, seed))
    runs = json.loads(found.path.read_text())["runs"]
    assert [(run["strategy"], run["seed"]) for run in runs] == [("ewc", 0), ("si", 0), ("si", 1)]


def test_rows_say_what_made_them_those_of_older_files_too(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    old = {"name": "x", "command": "the older one", "versions": {"torch": "1"}, "setting": 1, "runs": [row("si")]}
    path.write_text(json.dumps(old))
    file(path, "the newer one").add(row("ewc"), "cuda")
    first, second = json.loads(path.read_text())["runs"]
    assert (first["command"], first["versions"]) == ("the older one", {"torch": "1"})
    assert (second["command"], second["versions"], second["device"]) == ("the newer one", versions(), "cuda")


def test_a_file_that_became_another_ones_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    found = file(path)
    found.add(row("si"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"setting": 2}))
    with pytest.raises(RefusedError, match="another setting"):
        found.add(row("ewc"))
    path.write_text("{")
    with pytest.raises(BadInputError, match="damaged"):
        found.add(row("ewc"))
