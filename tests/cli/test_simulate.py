import json
from pathlib import Path

import pytest

from seamwise.vision.domain import read_domain
from seamwise.vision.welds.domains import DOMAINS
from tests.cli.conftest import Command

FEW = ("--train", 1, "--val", 0, "--test", 1)


def test_the_same_seed_gives_the_same_pictures(seamwise: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        answer = seamwise("simulate", "pe-butt-sector", *FEW, "--out", tmp_path / name, "--json", "-")
        assert answer.code == 0
        assert json.loads(answer.out)["folders"] == [str(tmp_path / name / "pe-butt-sector")]
    assert seamwise("simulate", "pe-butt-sector", *FEW, "--out", tmp_path / "c", "--seed", 1).code == 0
    a, b, c = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b", "c")
    )
    assert a == b
    image = next(path for path in a if path.parent.name == "images")
    assert a[image] != c[image]
    assert not list(tmp_path.rglob(".part-*"))


def test_a_domain_between_two(seamwise: Command, tmp_path: Path) -> None:
    answer = seamwise("simulate", "pe-electrofusion-5mhz..pe-electrofusion-2.5mhz@0.3", *FEW, "--out", tmp_path)
    assert answer.code == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name == "pe-electrofusion-5mhz..pe-electrofusion-2.5mhz-at-0.3"
    domain = read_domain(folder)
    assert domain.name == folder.name
    assert domain.pitch_mm == pytest.approx(0.1 + 0.3 * 0.05, abs=0.01)


def test_without_names_it_lists_what_there_is(seamwise: Command) -> None:
    answer = seamwise("simulate")
    assert answer.code == 0
    assert all(name in answer.out for name in DOMAINS)
    assert json.loads(seamwise("simulate", "--json", "-").out) == {"domains": list(DOMAINS)}


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["panel-160kv-8m"], 2, "did you mean panel-160kv-8mm"),
        (["panel-160kv-8mm..pe-butt-sector@0.3"], 2, "both must be one kind"),
        (["panel-160kv-8mm..film-180kv-10mm@much"], 2, "a number from 0 to 1"),
        (["panel-160kv-8mm..film-180kv-10mm@1.5"], 2, "choose from 0"),
        (["pe-butt-sector", "pe-butt-sector"], 2, "twice"),
        (["--seed", "-1", "pe-butt-sector"], 2, "seed"),
    ],
)
def test_names_that_do_not_exist(names: list[str], code: int, message: str, seamwise: Command, tmp_path: Path) -> None:
    answer = seamwise("simulate", *names, *FEW, "--out", tmp_path / "out")
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(seamwise: Command, tmp_path: Path) -> None:
    (tmp_path / "pe-butt-sector").mkdir()
    (tmp_path / "pe-butt-sector" / "mine.txt").write_text("mine")
    answer = seamwise("simulate", "pe-butt-sector", *FEW, "--out", tmp_path)
    assert answer.code == 5
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing_half_written(seamwise: Command, tmp_path: Path) -> None:
    from tests.experiments.test_runs import files_limited_to

    with files_limited_to(2000):
        answer = seamwise("simulate", "pe-butt-sector", *FEW, "--out", tmp_path / "out")
    assert answer.code == 1
    assert "cannot write" in answer.err
    assert list((tmp_path / "out").iterdir()) == []
