import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seamwise.experiments.runs import execute
from seamwise.experiments.streams import join_domains
from seamwise.vision.domain import read_domain
from seamwise.vision.images import read_image, write_image
from tests.cli.conftest import Command
from tests.experiments.tiny import make_domain, make_run

SHAPES = {
    "grey8": ((48, 64, 1), np.uint8),
    "grey16": ((48, 64, 1), np.uint16),
    "rgb": ((48, 64, 3), np.uint8),
    "one": ((1, 1, 1), np.uint8),
    "tiny": ((3, 5, 1), np.uint8),
    "long": ((4, 1500, 1), np.uint8),
    "high": ((1500, 1, 1), np.uint16),
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, (shape, kind) in SHAPES.items():
        write_image(folder / f"{name}.png", rng.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True))
    return folder


def test_pictures_of_every_kind(seamwise: Command, model: Path, pictures: Path, tmp_path: Path) -> None:
    answer = seamwise("predict", model, pictures, "--out", tmp_path / "out", "--json", "-")
    assert answer.code == 0
    found = {Path(item["picture"]).stem: item for item in json.loads(answer.out)["pictures"]}
    assert found.keys() == SHAPES.keys()
    for name, (shape, _) in SHAPES.items():
        mask = read_image(tmp_path / "out" / found[name]["mask"]).pixels
        assert mask.shape == (*shape[:2], 1)
        assert set(np.unique(mask)) <= {0, 1}
        assert (tmp_path / "out" / found[name]["overlay"]).exists()
        assert json.loads((tmp_path / "out" / f"{name}.json").read_text(encoding="utf-8")) == found[name]


def test_the_folder_above_the_pictures_may_take_what_is_made_of_them(
    seamwise: Command, model: Path, pictures: Path, tmp_path: Path
) -> None:
    for name in list(SHAPES)[1:]:
        (pictures / f"{name}.png").unlink()
    assert seamwise("predict", model, pictures, "--out", tmp_path).code == 0


def test_turned_tiffs_are_answered_at_the_size_they_are_stored_in(
    seamwise: Command, model: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={274: 6})
    assert seamwise("predict", model, tmp_path / "a.tif", "--scale", 0.5, "--out", tmp_path / "o").code == 0
    (mask,) = (tmp_path / "o").rglob("*mask*.png")
    assert read_image(mask).pixels.shape[:2] == (48, 64)


def test_defects_are_listed_as_the_mask_shows_them(seamwise: Command, model: Path, tmp_path: Path) -> None:
    domain = make_domain(tmp_path / "light")
    answer = seamwise("predict", model, domain / "images" / "test0.png", "--out", tmp_path / "out", "--json", "-")
    (picture,) = json.loads(answer.out)["pictures"]
    mask = read_image(tmp_path / "out" / "test0-mask.png").pixels[:, :, 0]
    assert sum(defect["area_px"] for defect in picture["defects"]) == np.count_nonzero(mask)
    for defect in picture["defects"]:
        left, top, right, bottom = defect["box"]
        assert mask[top:bottom, left:right].any()
        assert 0.5 <= defect["confidence"] <= 1


def test_one_broken_picture_does_not_stop_the_others(
    seamwise: Command, model: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "broken.png").write_bytes((pictures / "rgb.png").read_bytes()[:100])
    answer = seamwise("predict", model, pictures, "--out", tmp_path / "out", "--json", "-")
    assert answer.code == 3
    result = json.loads(answer.out)
    assert len(result["pictures"]) == len(SHAPES)
    assert len(result["left_out"]) == 1
    assert "broken.png" in answer.err
    assert not list((tmp_path / "out").glob("broken*"))
    alone = seamwise("predict", model, pictures / "broken.png", "--out", tmp_path / "out")
    assert (alone.code, "broken.png" in alone.err) == (3, True)


def test_pictures_of_one_stem_do_not_overwrite_each_other(seamwise: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for ending in ("png", "tif"):
        write_image(tmp_path / "p" / f"a.{ending}", np.zeros((40, 40), np.uint8))
    assert seamwise("predict", model, tmp_path / "p", "--out", tmp_path / "out").code == 0
    assert len(list((tmp_path / "out").glob("*-mask.png"))) == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["MODEL", "nowhere"], 3, "no such file"),
        (["MODEL", "EMPTY"], 3, "no pictures"),
        (["nowhere", "EMPTY"], 3, "nowhere: there is no such file"),
        (["DAMAGED", "PICTURES"], 3, "damaged.safetensors"),
        (["CHECKPOINT", "PICTURES"], 3, "found seamwise checkpoint"),
        (["MODEL", "PICTURES", "--domain", "ligth"], 2, "did you mean light"),
        (["MODEL", "PICTURES", "--scale", "0"], 2, "--scale"),
        (["MODEL", "PICTURES", "--out", "PICTURES"], 2, "choose another folder"),
    ],
)
def test_mistakes_are_answered(
    words: list[str], code: int, message: str, seamwise: Command, model: Path, pictures: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:1000])
    (tmp_path / "empty").mkdir()
    places = {
        "MODEL": model,
        "PICTURES": pictures,
        "EMPTY": tmp_path / "empty",
        "DAMAGED": damaged,
        "CHECKPOINT": model.parent / "checkpoint.safetensors",
    }
    answer = seamwise(
        "predict", *(places.get(word, word) for word in words), *(["--out", tmp_path / "o"] * (code == 3))
    )
    assert (answer.code, message in answer.err) == (code, True), answer.err


def test_evaluating_gives_the_scores_of_the_run(
    seamwise: Command, model: Path, domains: list[Path], tmp_path: Path
) -> None:
    answer = seamwise("evaluate", model, *domains, "--json", tmp_path / "e.json")
    assert answer.code == 0
    assert "defect recall" in answer.out
    row = json.loads((model.parent / "row.json").read_text(encoding="utf-8"))
    found = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert found["domains"] == row["scores"]
    pure = seamwise("evaluate", model, *domains, "--split", "val", "--json", "-")
    assert json.loads(pure.out)["split"] == "val"
    other = make_domain(tmp_path / "other", classes=("background", "crack", "pore"))
    refused = seamwise("evaluate", model, other, "--classes", "defect")
    assert (refused.code, "the model answers background, crack" in refused.err) == (2, True)


def test_one_domain_of_several_with_classes_of_their_own(seamwise: Command, tmp_path: Path) -> None:
    one = make_domain(tmp_path / "one", classes=("background", "crack"))
    two = make_domain(tmp_path / "two", classes=("background", "pore"), bright=False)
    stream = join_domains([read_domain(one), read_domain(two)], rule="union", scales=[1.0, 0.5])
    *_, last = execute(make_run(stream), tmp_path / "run")
    assert last.row is not None
    answer = seamwise("evaluate", tmp_path / "run" / "after-1-two.safetensors", two, "--json", "-")
    assert answer.code == 0
    assert "resized by 0.5" in answer.err
    assert json.loads(answer.out)["domains"]["two"] == last.row["scores"]["two"]
    three = make_domain(tmp_path / "three", classes=("background", "slag"))
    refused = seamwise("evaluate", tmp_path / "run" / "after-1-two.safetensors", three)
    assert (refused.code, "'slag'" in refused.err) == (3, True)


def test_a_domain_without_the_split(seamwise: Command, model: Path, tmp_path: Path) -> None:
    folder = make_domain(tmp_path / "light", val=0)
    answer = seamwise("evaluate", model, folder, "--split", "val")
    assert (answer.code, "no pictures in its val split" in answer.err) == (3, True)
    assert replace(read_domain(folder)).samples["val"] == ()
