"""Domain folders: files that are read as a whole, and names that are no text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seamwise.app.formats.reading import read_set
from seamwise.app.limits import TooLargeError
from seamwise.app.pictures import PictureLimits
from seamwise.errors import BadInputError
from tests.app.pictures import mask, picture

LIMITS = PictureLimits(10**6, 10**6)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, content in (("images", picture()), ("masks", mask())):
        (tmp_path / "set" / part).mkdir(parents=True)
        (tmp_path / "set" / part / "a.png").write_bytes(content)
    return tmp_path / "set"


@pytest.mark.parametrize("name", ["domain.yaml", "index.csv", "train.txt"])
def test_a_list_beyond_all_measure(root: Path, name: str) -> None:
    with (root / name).open("wb") as file:
        file.truncate(80 << 20)  # a sparse file; unpacked it may cost its sender 200 kB
    with pytest.raises(TooLargeError, match=rf"^{name}: 84 MB"):
        read_set(root, "folder", LIMITS, root)


def test_a_domain_yaml_that_unfolds(root: Path) -> None:
    lists = ["- &a0 [x, x]", *(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 5))]
    (root / "domain.yaml").write_text("classes: [background, crack]\nname:\n  " + "\n  ".join(lists))
    with pytest.raises(BadInputError, match="alias") as caught:
        read_set(root, "folder", LIMITS, root)
    assert len(str(caught.value)) < 200


def test_a_file_s_name_that_is_no_text(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/images/\xff.png"))).write_bytes(picture(2))
    with pytest.raises(BadInputError, match="no text; rename it") as caught:
        read_set(root, "folder", LIMITS, root)
    str(caught.value).encode()  # it must fit into the job's row


def test_classes_that_are_no_text(root: Path) -> None:
    (root / "domain.yaml").write_text('classes: [background, "\\uD800"]')
    with pytest.raises(BadInputError, match=r"domain\.yaml: `classes`"):
        read_set(root, "folder", LIMITS, root)
