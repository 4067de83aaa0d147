import importlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from seamwise.experiments.comparison import ResultsFile, common_of
from seamwise.experiments.demonstration import DOMAINS, QUICK_PICTURES, STRATEGIES
from seamwise.experiments.runs import Run, execute
from seamwise.experiments.streams import join_domains
from seamwise.vision.domain import Domain, read_domain
from tests.cli.conftest import Command
from tests.experiments.tiny import RECIPE, make_domain

demo = importlib.import_module("seamwise.cli.demo")  # the package's name for it is the command


def make_domains(folder: Path, names: Iterable[str]) -> list[Domain]:
    return [read_domain(make_domain(folder / name, val=0)) for name in names]


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a demonstration with tiny pictures and training, of which every run is done."""
    monkeypatch.setattr(demo, "QUICK", RECIPE)
    domains = make_domains(tmp_path / "domains", DOMAINS)
    stream = join_domains(domains, name="demo", rule="defect")
    rows = []
    for name, parameters in STRATEGIES.items():
        run = Run(stream, RECIPE, name, parameters)
        *_, last = execute(run)
        assert last.row is not None
        rows.append(last.row)
    ResultsFile(tmp_path / "results.json", "demo", "", common_of(run), rows).write()
    return tmp_path


def test_the_result_says_what_each_strategy_kept(done: Path, seamwise: Command) -> None:
    answer = seamwise("demo", "--quick", "--out", done, "--json", done / "result.json")
    assert answer.code == 0
    result = json.loads((done / "result.json").read_text(encoding="utf-8"))
    assert set(result["strategies"]) == set(STRATEGIES)
    for name, figures in result["strategies"].items():
        assert set(figures) == {"R", "average", "forgetting", "seconds"}
        assert len(figures["R"]) == (1 if name == "joint" else 4)
        assert name in answer.out
    assert {"report.html", "report.zh.html"} <= {path.name for path in done.iterdir()}
    pure = seamwise("demo", "--quick", "--out", done, "--json", "-")
    assert json.loads(pure.out)["strategies"] == result["strategies"]


def test_missing_domains_are_simulated_whole(tmp_path: Path) -> None:
    *there, missing = DOMAINS
    make_domains(tmp_path, there)
    folder, part = tmp_path / missing, tmp_path / f".part-{missing}"
    part.mkdir()
    (part / "leftover").write_text("of a killed process")
    found = demo._domains(tmp_path, quick=True, jobs=1)
    assert [domain.name for domain in found] == list(DOMAINS)
    assert {split: len(samples) for split, samples in found[-1].samples.items()} == QUICK_PICTURES
    assert not part.exists()
    assert not (folder / "leftover").exists()
