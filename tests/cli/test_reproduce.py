"""`seamwise reproduce`: every reduced form runs, keeps its runs and holds what it claims; wrong input is answered."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seamwise.cli.console import command_line
from seamwise.experiments.checkpoint import load_checkpoint
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
    answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path, "--seeds", 1)
    assert "2 runs, 1 of them done before" in answer.err
    second = json.loads((tmp_path / "quick" / "split-mnist.json").read_text())
    assert len(second["runs"]) == 2
    rows = {row["line"]: row for row in second["runs"]}
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
        (["theory", "--line", "c = 1"], 2, "no lines"),
        (["theory", "--seeds", "2"], 2, "leave out --seeds"),
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
    assert (answer.code, "holds the full form" in answer.err) == (5, True)
    path.write_text("{")
    answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path)
    assert (answer.code, "damaged" in answer.err) == (3, True)


def test_a_line_with_other_parameters_is_refused_before_anything_is_run(seamwise: Command, tmp_path: Path) -> None:
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 1")
    path = tmp_path / "quick" / "split-mnist.json"
    content = json.loads(path.read_text())
    for change in ({"line": "c = 9"}, {"parameters": content["runs"][0]["parameters"] | {"c": 9.0}}):
        path.write_text(json.dumps(content | {"runs": [content["runs"][0] | change]}))
        answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path)
        assert (answer.code, "take those runs out" in answer.err) == (5, True)


def test_a_reduced_result_is_not_written_over_a_full_one(seamwise: Command, tmp_path: Path) -> None:
    path = tmp_path / "trajectories.json"
    path.write_text('{"quick": false}')
    answer = seamwise("reproduce", "trajectories", "--quick", "--results", tmp_path)
    assert (answer.code, "the full form" in answer.err) == (5, True)
    assert path.read_text() == '{"quick": false}'
    # nor is the page of all claims, which a figure of another name would make anew
    paper = tmp_path / "paper.md"
    paper.write_text("full")
    answer = seamwise("reproduce", "theory", "--quick", "--results", tmp_path)
    assert (answer.code, "the full form" in answer.err, paper.read_text()) == (5, True, "full")


def test_places_that_cannot_be_written_are_told_before_anything_is_run(seamwise: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in ("--results", "--work", "--json"):
        wanted = tmp_path / "file" / "x.json" if option == "--json" else tmp_path / "file"
        work = () if option == "--work" else ("--work", tmp_path / "work")
        answer = seamwise("reproduce", "split-mnist", "--quick", *work, option, wanted)
        assert (answer.code, "is a file, not a folder" in answer.err) == (3, True), option
    assert not (tmp_path / "work" / "quick" / "split-mnist").exists()


def test_a_page_that_is_no_text_is_named(seamwise: Command, tmp_path: Path) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "trajectories.md").write_bytes("焊缝".encode("gbk"))
    answer = seamwise("reproduce", "trajectories", "--quick", "--work", tmp_path)
    assert (answer.code, "trajectories.md: not UTF-8" in answer.err) == (3, True)
    lost = "<!-- made by the command: begin -->\nmine"
    (tmp_path / "quick" / "trajectories.md").write_text(lost)
    answer = seamwise("reproduce", "trajectories", "--quick", "--work", tmp_path)
    assert (answer.code, "its mark" in answer.err) == (3, True)
    assert (tmp_path / "quick" / "trajectories.md").read_text() == lost


def test_values_of_the_wrong_kind_are_named_whatever_they_are(seamwise: Command, tmp_path: Path) -> None:
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 2, "--line", "c = 1")
    path = tmp_path / "quick" / "split-mnist.json"
    content = json.loads(path.read_text())
    last = len(content["runs"][0]["R"]) - 1
    for change in ({"R": [[1e308] * 5] * 5}, {"R": [[float("nan")] * 5] * 5}, {"versions": "3"}, {"seed": 0.0}):
        broken = json.loads(json.dumps(content))
        broken["runs"][0] |= change
        path.write_text(json.dumps(broken))
        kept = path.read_text()
        answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path, "--seeds", 2, "--line", "c = 1")
        assert (answer.code, "split-mnist.json" in answer.err) == (3, True), change
        assert path.read_text() == kept
    assert last == 4


def test_a_command_is_recorded_as_text_without_places_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "seamwise",
        "reproduce",
        "x",
        "--work",
        "bad\udcff",
        "--results=/home/me/r",
        "--data",
        "/data/welds",
        "c = 1/2",
    ]
    monkeypatch.setattr(sys, "argv", words)
    command = command_line()
    assert command.encode().decode() == command
    assert command == r"seamwise reproduce x --work 'bad\udcff' --results=r --data welds 'c = 1/2'"


def test_what_is_no_result_in_the_folder_stops_nothing(seamwise: Command, tmp_path: Path) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "theory.json").write_text("[]")
    quick(seamwise, "trajectories", tmp_path)
    assert "Not run yet: `seamwise reproduce theory`" in (tmp_path / "quick" / "paper.md").read_text()


def test_one_failed_run_costs_no_page(seamwise: Command, tmp_path: Path) -> None:
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 1")
    page = tmp_path / "quick" / "split-mnist.md"
    page.unlink()
    (folder,) = (tmp_path / "quick" / "split-mnist").glob("si-seed0-*")
    quick(seamwise, "split-mnist", tmp_path, "--seeds", 1, "--line", "c = 0", "--work", tmp_path / "elsewhere")
    (other,) = (tmp_path / "elsewhere" / "quick" / "split-mnist").glob("si-seed0-*")
    assert folder.name != other.name
    blocked = tmp_path / "quick" / "split-mnist" / other.name
    blocked.mkdir()
    (blocked / "run.json").write_text("{}")  # of another run: the child refuses
    answer = seamwise("reproduce", "split-mnist", "--quick", "--work", tmp_path, "--seeds", 1)
    assert (answer.code, "some runs failed" in answer.err, "c = 0 seed 0:" in answer.err) == (5, True, True)
    assert "c = 1 | 1 |" in page.read_text()


def test_a_killed_command_goes_on_and_changes_no_figure(tmp_path: Path) -> None:
    """The whole command, with two runs side by side; what it leaves running ends by itself."""

    def figures(work: Path) -> list[dict[str, Any]]:
        runs = json.loads((work / "quick" / "split-mnist.json").read_text())["runs"]
        return [{name: row[name] for name in ("line", "seed", "parameters", "R", "R_train")} for row in runs]

    def start(work: Path) -> subprocess.Popen[bytes]:
        words = ("reproduce", "split-mnist", "--quick", "--seeds", "1", "--jobs", "2", "--work", str(work))
        code = f"from seamwise.cli import main; main({list(words)!r})"
        return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def steps(work: Path) -> list[int]:
        paths = sorted((work / "quick" / "split-mnist").glob("*/checkpoint.safetensors"))
        at = [load_checkpoint(path)["learner"]["position"] for path in paths]
        return [1_000_000 * position["experience"] + position["step"] for position in at]

    killed = tmp_path / "killed"
    process, until = start(killed), time.monotonic() + 60
    while len(before := steps(killed)) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _at_work(killed):  # its children notice that nobody listens any more
        assert time.monotonic() < until
        time.sleep(0.1)
    assert all(now >= then for now, then in zip(steps(killed), before, strict=True))
    assert not (killed / "quick" / "split-mnist.json").exists() or len(figures(killed)) < 2
    assert start(killed).wait() == 0
    assert start(tmp_path / "whole").wait() == 0
    assert figures(killed) == figures(tmp_path / "whole")


def _at_work(folder: Path) -> bool:
    """Whether any process holds a lock below the folder: the runs' children do."""
    for path in folder.rglob(".lock"):
        with path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
