"""`seamwise reproduce`: every reduced form runs, keeps its runs and holds what it claims; wrong input is answered."""

import json
from pathlib import Path

import pytest

from seamwise.experiments.paper.book import CHAPTERS
from seamwise.experiments.paper.catalogue import QUICK
from tests.cli.conftest import Command

TRAINED = [name for name, chapter in CHAPTERS.items() if chapter.kind == "trained" and name in QUICK]
COMPUTED = [name for name, chapter in CHAPTERS.items() if chapter.kind == "computed"]


def quick(seamwise: Command, name: str, folder: Path, *more: object) -> dict[str, object]:
    answer = seamwise("reproduce", name, "--quick", "--work", folder, "--json", folder / "claims.json", *more)
    assert answer.code == 0, answer.err
    return dict(json.loads((folder / "claims.json").read_text()))


@pytest.mark.parametrize("name", [*TRAINED, *COMPUTED])
def test_the_reduced_form_holds_what_it_claims(name: str, seamwise: Command, tmp_path: Path) -> None:
    result = quick(seamwise, name, tmp_path)
    claims = result["claims"]
    assert isinstance(claims, list)
    assert [claim["text"] for claim in claims if claim["holds"] is not True] == []
    assert claims or name == "scenarios-search"
    page = (tmp_path / "quick" / f"{name}.md").read_text()
    assert "reduced run" in page
    assert (tmp_path / "quick" / f"{name}.svg").read_text().startswith("<svg")
    kept = json.loads((tmp_path / "quick" / f"{name}.json").read_text())
    assert {"name", "command", "versions"} <= set(kept)
    if name == "permuted-mnist":
        correlations = quick(seamwise, "importance-correlation", tmp_path)
        assert correlations["claims"]


def test_finished_runs_are_not_run_again(seamwise: Command, tmp_path: Path) -> None:
    first = quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 1")
    second = quick(seamwise, "split-mnist", tmp_path, "--seeds", 1)
    rows = {row["line"]: row for row in second["runs"]}  # type: ignore[attr-defined]
    assert rows["c = 1"] == first["runs"][0]  # type: ignore[index]
    assert set(rows) == {"c = 1", "c = 0"}


def test_one_page_holds_the_claims_of_all_that_was_made(seamwise: Command, tmp_path: Path) -> None:
    quick(seamwise, "theory", tmp_path)
    results = tmp_path / "quick"
    (results / "trajectories.json").write_text('{"quick": true}')
    (results / "endpoint.json").write_text("{")
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 1")
    page = (results / "paper.md").read_text()
    assert page.count("Q in closed form") == (results / "theory.md").read_text().count("Q in closed form") > 0
    assert "![split-mnist](split-mnist.svg)" in page
    assert "trajectories.json is damaged or of another version" in page
    assert "Not run yet: `seamwise reproduce endpoint`" in page
    assert "Not run yet: `seamwise reproduce permuted-mnist`" in page


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["splitmnist"], 2, "did you mean split-mnist"),
        (["split-mnist", "--line", "c=1", "--quick"], 2, "did you mean c = 1"),
        (["all", "--line", "c = 1"], 2, "name the figure"),
        (["split-mnist", "--data", "nowhere"], 3, "nowhere"),
        (["choosing-c-cifar", "--quick"], 2, "no reduced form"),
        (["importance-correlation", "--quick"], 4, "reproduce permuted-mnist"),
    ],
)
def test_wrong_words_are_answered(
    words: list[str], code: int, told: str, seamwise: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = seamwise("reproduce", *words, "--work", "work", "--results", "results")
    assert answer.code == code
    assert told in answer.err


def test_results_of_another_setting_or_version_are_refused(seamwise: Command, tmp_path: Path) -> None:
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 1")
    path = tmp_path / "quick" / "split-mnist.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"quick": False}))
    answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path)
    assert (answer.code, "another quick" in answer.err) == (5, True)
    path.write_text("{")
    answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path)
    assert (answer.code, "damaged" in answer.err) == (3, True)
