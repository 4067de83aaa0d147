import json
from pathlib import Path

import pytest

from seamwise import __version__
from tests.cli.conftest import Command
from tests.cli.kill_and_resume import tries
from tests.experiments.tiny import SETTINGS, make_domain


def test_the_version(seamwise: Command) -> None:
    assert seamwise("--version").out.strip() == __version__


def test_learning_leaves_models_results_and_a_report(seamwise: Command, domains: list[Path], tmp_path: Path) -> None:
    answer = seamwise("learn", *domains, "-s", "si", *SETTINGS, "--out", tmp_path, "--json", tmp_path / "to" / "r.json")
    assert answer.code == 0
    assert "forgetting" in answer.out
    assert "\x1b" not in answer.out + answer.err  # no colours and bars in a log
    (folder,) = (path for path in tmp_path.iterdir() if path.name != "to")
    names = {path.name for path in folder.iterdir()}
    assert {"results.json", "report.html", "report.zh.html", "after-1-dark.safetensors"} <= names
    result = json.loads((tmp_path / "to" / "r.json").read_text(encoding="utf-8"))
    assert result == json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(result["runs"]) == 1
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4  # two pictures after each of two domains


def test_json_on_standard_output_is_all_there_is(seamwise: Command, domains: list[Path], tmp_path: Path) -> None:
    answer = seamwise("learn", *domains, *SETTINGS, "--out", tmp_path, "--json", "-")
    assert json.loads(answer.out)["domains"] == ["light", "dark"]
    assert "forgetting" in answer.err  # the tables are still shown, beside


def test_learned_again_it_is_already_done(seamwise: Command, domains: list[Path], tmp_path: Path) -> None:
    words = ("learn", *domains, *SETTINGS, "--out", tmp_path, "--checkpoint-every", 0, "--json", "-")
    first, second = (json.loads(seamwise(*words).out)["runs"][0] for _ in range(2))
    assert first == second | {"peak_memory_mb": first["peak_memory_mb"]}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-s", "sii"], 2, "did you mean si"),
        (["-p", "cc=1"], 2, "did you mean c"),
        (["-p", "c"], 2, "write it as name=value"),
        (["-p", "c=[1"], 2, "cannot be read"),
        (["--set", "stepps=3"], 2, "did you mean steps"),
        (["--stepps", "3"], 2, "No such option"),
        (["--threads", "0"], 2, "--threads"),
        (["--classes", "all"], 2, "is not one of 'same'"),
        (["--data", "elsewhere"], 3, "there is no such"),
        (["--set", "lr=1e30", "--set", "clip=null", "--set", "warmup=0"], 1, "lower the learning rate"),
    ],
)
def test_mistakes_are_answered(words: list[str], code: int, message: str, seamwise: Command, tmp_path: Path) -> None:
    folder = make_domain(tmp_path / "light")
    stream = tmp_path / "year.yaml"
    stream.write_text("domains: [light]", encoding="utf-8")
    source = stream if "--data" in words else folder
    answer = seamwise("learn", source, *SETTINGS, *words, "--out", tmp_path / "out")
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not list(tmp_path.rglob(".part-*"))
    assert not list(tmp_path.rglob("results.json"))


def test_classes_are_said_once(seamwise: Command, tmp_path: Path) -> None:
    make_domain(tmp_path / "light")
    stream = tmp_path / "year.yaml"
    stream.write_text("domains: [light]\nclasses: defect", encoding="utf-8")
    answer = seamwise("learn", stream, *SETTINGS, "--classes", "union", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "year.yaml" in answer.err


@pytest.mark.parametrize(
    ("hurt", "message"),
    [
        ("size", "size"),
        ("value", "7"),
        ("truncated", "train0.png"),
        ("empty split", "train.txt"),
        ("no masks", "a domain without masks"),
        ("same stem", "has the same stem"),
        ("no images", "images"),
    ],
)
def test_domains_that_cannot_be_used_are_named(hurt: str, message: str, seamwise: Command, tmp_path: Path) -> None:
    import numpy as np

    from seamwise.vision.images import write_image

    folder = make_domain(tmp_path / "light")
    mask, image = folder / "masks" / "train0.png", folder / "images" / "train0.png"
    if hurt == "size":
        write_image(mask, np.zeros((47, 64), np.uint8))
    elif hurt == "value":
        write_image(mask, np.full((48, 64), 7, np.uint8))
    elif hurt == "truncated":
        image.write_bytes(image.read_bytes()[:200])
    elif hurt == "empty split":
        (folder / "train.txt").write_text("")
    elif hurt == "same stem":
        image.with_suffix(".tif").write_bytes(image.read_bytes())
    else:
        for path in (folder / ("masks" if hurt == "no masks" else "images")).iterdir():
            path.unlink()
    answer = seamwise("learn", folder, *SETTINGS, "--out", tmp_path / "out")
    assert answer.code == 3
    assert message in answer.err
    assert str(folder) in answer.err
    assert not list(tmp_path.rglob("after-*.safetensors"))


def test_killed_and_given_again_it_ends_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    found = list(tries(times=2, kills=1, seed=3, work=tmp_path))
    assert [tried.differences for tried in found] == [(), ()]
    assert all(tried.kills for tried in found)
