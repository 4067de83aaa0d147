from pathlib import Path

import pytest

from seamwise.errors import BadInputError, SeamwiseError
from seamwise.experiments.streams import join_domains, open_stream, read_stream, with_classes
from seamwise.vision.domain import read_domain
from tests.experiments.tiny import make_domain, make_stream

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


def test_a_models_classes_are_found_by_name(tmp_path: Path) -> None:
    stream = join_domains([read_domain(make_domain(tmp_path / "one", classes=("background", "pore", "crack")))])
    found = with_classes(stream, ("background", "crack", "slag", "pore"))
    assert found.stops[0].remap == (0, 3, 1)
    assert with_classes(stream, ("background", "defect")).stops[0].remap == (0, 1, 1)
    with pytest.raises(BadInputError, match="does not know its class 'pore'"):
        with_classes(stream, ("background", "crack"))
