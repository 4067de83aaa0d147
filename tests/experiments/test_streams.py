from pathlib import Path

import pytest
import torch

from seamwise.continual import Draw
from seamwise.errors import BadInputError, SeamwiseError
from seamwise.experiments.evaluation import count_domain
from seamwise.experiments.runs import reading, tiles
from seamwise.experiments.streams import join_domains, open_stream, read_stream, with_classes
from seamwise.vision.domain import read_domain
from seamwise.vision.images import read_mask, write_image
from seamwise.vision.segmenter import Segmenter
from tests.experiments.tiny import RECIPE, make_domain, make_stream

GOOD = """
name: year
classes: same
domains:
  - light
  - {path: dark, name: 2019, scale: 0.5}
recipe: {lr: 2e-3}
strategies:
  si+replay: {c: 10, capacity: 8}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stream(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "year.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_stream_file_says_everything(folder: Path) -> None:
    file = read_stream(write(folder, GOOD))
    assert [(stop.name, stop.scale) for stop in file.stream.stops] == [("light", 1.0), ("2019", 0.5)]
    assert file.recipe == {"lr": 0.002}
    assert file.strategies == {"si+replay": {"c": 10, "capacity": 8}}
    again = open_stream(file.stream.source())
    assert again.identity() == file.stream.identity()


def test_a_stream_file_may_name_the_classes(folder: Path) -> None:
    count = len(read_domain(folder / "light").classes)
    labels = ["background", *(f"kind {number}" for number in range(1, count))]
    file = read_stream(write(folder, f"classes: union\ndomains: [{{path: light, labels: {labels}}}]"))
    assert file.stream.classes == tuple(labels)
    assert open_stream(file.stream.source()).classes == tuple(labels)


def test_its_folders_may_lie_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("elsewhere"), "domains: [light]")
    assert read_stream(path, folder).stream.name == "year"
    with pytest.raises(BadInputError, match="there is no such folder"):
        read_stream(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("domains: light", "needs a list 'domains'"),
        ("[light", "not a YAML file"),
        ("domains: []", "at least one domain"),
        ("domains: [5]", "not 5"),
        ("domains: [{path: 5}]", "not {'path': 5}"),
        ("domains: [{path: light, scala: 2}]", "did you mean scale"),
        ("domains: [{path: light, scale: 0}]", "scale must be"),
        ("domains: [{path: light, labels: pore}]", "labels must be a list"),
        ("domains: [{path: light, labels: [a, b, c, d, e, f, g]}]", "different names"),
        ("domains: [light, light]", "two domains are named 'light'"),
        ("domains: [light]\nclases: same", "did you mean classes"),
        ("domains: [light]\nclasses: all", "same, defect, union"),
        ("domains: [light]\nrecipe: [1]", "'recipe' must be a mapping"),
        ("domains: [light]\nstrategies: {si: 3}", "si must be a mapping"),
        ("domains: [light]\nstrategies: {sii: {}}", "did you mean si"),
        ("domains: [light]\nstrategies: {si: {d: 1}}", "no parameter 'd'"),
    ],
)
def test_what_is_wrong_in_a_stream_file_is_named(text: str, message: str, folder: Path) -> None:
    with pytest.raises(SeamwiseError, match=message) as caught:
        read_stream(write(folder, text))
    assert caught.value.exit_code == 3


def test_classes_that_do_not_agree_are_refused_with_the_way_out(tmp_path: Path) -> None:
    one = read_domain(make_domain(tmp_path / "one"))
    two = read_domain(make_domain(tmp_path / "two", classes=("background", "pore")))
    with pytest.raises(BadInputError, match=r"one .background, crack. and two .background, pore. differ.*'union'"):
        join_domains([one, two])
    assert join_domains([one, two], rule="defect").classes == ("background", "defect")


def ignoring(folder: Path, value: int) -> Path:
    """Adds `ignore` to a domain's description."""
    path = folder / "domain.yaml"
    path.write_text(f"{path.read_text()}ignore: {value}\n")
    return folder


def test_an_ignore_value_must_be_no_class_of_all_domains_together(tmp_path: Path) -> None:
    one = read_domain(make_domain(tmp_path / "one", classes=("background", "pore", "crack")))
    two = read_domain(ignoring(make_domain(tmp_path / "two", classes=("background", "slag")), 3))
    with pytest.raises(BadInputError, match=r"two: it ignores mask value 3, which is class 'slag'.*from 4 to 255"):
        join_domains([one, two], rule="union")
    alone = join_domains([two], rule="union")
    with pytest.raises(BadInputError, match="ignores mask value 3"):
        with_classes(alone, ("background", "slag", "crack", "pore"))
    assert with_classes(alone, ("background", "slag", "crack")).ignore == 3


def test_a_value_that_another_domain_ignores_is_refused_where_nobody_declared_it(tmp_path: Path) -> None:
    """Else a mask of 0 and 255 would count as wholly without a label."""
    black_and_white = make_domain(tmp_path / "one")
    for mask in (black_and_white / "masks").glob("*.png"):
        write_image(mask, read_mask(mask, 2) * 255)
    stream = join_domains([read_domain(black_and_white), read_domain(ignoring(make_domain(tmp_path / "two"), 255))])
    assert stream.ignore == 255
    with pytest.raises(BadInputError, match="looks black and white"):
        tiles(stream, RECIPE, 0).batch(torch.arange(1), Draw(("a",)))
    with pytest.raises(BadInputError, match="looks black and white"):
        count_domain(Segmenter(RECIPE.build(2, 0), reading(stream, RECIPE)), stream, stream.stops[0])
    assert len(tiles(stream, RECIPE, 1).batch(torch.arange(1), Draw(("a",)))) == 1


def test_what_comes_first_is_the_background_whatever_it_is_called(tmp_path: Path) -> None:
    stream = join_domains([read_domain(make_domain(tmp_path / "one", classes=("sound", "crack")))], rule="union")
    assert with_classes(stream, ("sound", "crack")).stops[0].remap == (0, 1)
    assert with_classes(stream, ("nothing", "pore", "crack")).stops[0].remap == (0, 2)


def test_a_models_classes_are_found_by_name(tmp_path: Path) -> None:
    stream = join_domains([read_domain(make_domain(tmp_path / "one", classes=("background", "pore", "crack")))])
    found = with_classes(stream, ("background", "crack", "slag", "pore"))
    assert found.stops[0].remap == (0, 3, 1)
    assert with_classes(stream, ("background", "defect")).stops[0].remap == (0, 1, 1)
    with pytest.raises(BadInputError, match="does not know its class 'pore'"):
        with_classes(stream, ("background", "crack"))
