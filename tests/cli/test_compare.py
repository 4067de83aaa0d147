import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.experiments.tiny import SETTINGS


@pytest.fixture
def words(domains: list[Path], tmp_path: Path) -> list[str]:
    """A comparison of which one run fails: its penalty makes the loss NaN."""
    strategies = ["-s", "finetuning", "-s", "si:c=1e38", "--seeds", "1", "--jobs", "2"]
    places = ["--results", str(tmp_path / "r.json"), "--work", str(tmp_path / "work")]
    return ["compare", *map(str, domains), *SETTINGS, "--set", "clip=null", *strategies, *places]


def test_a_failing_run_does_not_stop_the_others(seamwise: Command, words: list[str], tmp_path: Path) -> None:
    answer = seamwise(*words, "--json", "-")
    assert answer.code == 1
    assert "si:c=1e+38 seed 0: failed the loss is no longer a number" in answer.err
    rows = json.loads(answer.out)["runs"]
    assert [row["strategy"] for row in rows] == ["finetuning"]
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"] == rows
    assert "finetuning" in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert (tmp_path / "work" / "report.html").exists()
    assert not list(tmp_path.rglob(".part-*"))

    # the same run through `learn`
    domains = words[1:3]
    learned = seamwise(
        "learn", *domains, *SETTINGS, "--set", "clip=null", "-s", "finetuning", "--json", "-", "--out", tmp_path
    )
    (other,) = json.loads(learned.out)["runs"]
    differ = {key for key in other if other[key] != rows[0][key]}
    assert differ <= {"seconds", "peak_memory_mb"}

    # given again without the one that fails, nothing is left to run
    words[words.index("si:c=1e38") - 1 : words.index("si:c=1e38") + 1] = []
    again = seamwise(*words)
    assert again.code == 0
    assert "1 runs, 1 of them done before" in again.err

    # another recipe, or a damaged file: neither is touched
    before = (tmp_path / "r.json").read_bytes()
    refused = seamwise(*words, "--set", "steps=9")
    assert (refused.code, "another recipe" in refused.err) == (5, True)
    assert (tmp_path / "r.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"runs": []}', "keep half", "row without R"])
def test_a_damaged_results_file_is_refused(content: str, seamwise: Command, words: list[str], tmp_path: Path) -> None:
    results = tmp_path / "r.json"
    if content in ("keep half", "row without R"):
        content = _good_results(words, damaged=content == "row without R")
        content = content if '"R"' not in content else content[: len(content) // 2]
    results.write_text(content, encoding="utf-8")
    answer = seamwise(*words)
    assert answer.code == 3, answer.err
    assert "r.json" in answer.err
    assert results.read_text(encoding="utf-8") == content


def _good_results(words: list[str], damaged: bool) -> str:
    from seamwise.experiments.comparison import common_of
    from seamwise.experiments.runs import Run
    from seamwise.experiments.streams import join_domains
    from seamwise.vision.domain import read_domain
    from tests.experiments.tiny import OPTIONS, Recipe

    stream = join_domains([read_domain(folder) for folder in words[1:3]])
    common = common_of(Run(stream, Recipe.of({**OPTIONS, "clip": None}), "finetuning"))
    row = {"strategy": "finetuning", "seed": 0, "parameters": {}}
    return json.dumps({**common, "runs": [row if damaged else {**row, "R": [[0.1, 0.2]]}]})


def test_the_same_strategy_twice_is_refused(seamwise: Command, words: list[str]) -> None:
    answer = seamwise(*words, "-s", "si", "-s", "si:c=0.1")
    assert answer.code == 2
    assert "given twice" in answer.err


def test_tables_cannot_overwrite_the_results(seamwise: Command, words: list[str]) -> None:
    assert seamwise(*words, "--results", "r.md").code == 2


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_children_end_with_their_parent(how: signal.Signals, words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import seamwise.cli; seamwise.cli.main()", *words, "--set", "steps=100000"]
    command[command.index("si:c=1e38")] = "si"
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, preexec_fn=heed) as parent:
        until = time.monotonic() + 60
        while len(list((tmp_path / "work").glob("*/run.json"))) < 2:
            assert parent.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        pids = children(parent.pid)
        assert len(pids) == 2
        os.kill(parent.pid, how)
        _, err = parent.communicate(timeout=60)
    until = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "Traceback" not in err
    if how == signal.SIGINT:
        assert parent.returncode == 130
        assert "go on where they were" in err.replace("\n", " ")
