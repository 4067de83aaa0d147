import hashlib
import tarfile
from collections.abc import Callable

import numpy as np
import pytest
import torch

from seamwise.errors import BadInputError
from seamwise.experiments.sets.cifar import CIFAR10, CIFAR100_FIRST50, TRAIN_STRIPS, read_cifar
from seamwise.experiments.sets.strips import read_strips
from tests.experiments.sets.tiny import (
    CIFAR,
    binary_contents,
    cifar_sides,
    expecting,
    strips,
    webp,
    write_archive,
    write_files,
    write_strips,
)

RECORD = 2 + 3072
FOLDER, ARCHIVE = CIFAR.binary.folder, CIFAR.binary.archive


def test_first_classes_of_the_binary_version_sorted_by_class_and_hash(tmp_path):
    write_files(tmp_path / FOLDER, binary_contents())
    found = read_cifar(CIFAR, tmp_path)
    x, y = cifar_sides()[0]
    assert (found.x.shape, found.x_test.shape) == ((20, 3, 32, 32), (8, 3, 32, 32))
    assert (found.x.dtype, found.y.dtype) == (torch.uint8, torch.int64)
    assert found.y.tolist() == [0] * 10 + [1] * 10
    assert found.y_test.tolist() == [0] * 4 + [1] * 4
    for label in (0, 1):
        hashes = sorted(hashlib.sha256(picture.tobytes()).hexdigest() for picture in x[y == label])
        assert [hashlib.sha256(p.numpy().tobytes()).hexdigest() for p in found.x[found.y == label]] == hashes


def test_the_set_is_the_same_from_every_layout_and_in_every_order(tmp_path):
    places = [tmp_path / name for name in ("folder", "unpacked here", "archive", "strips", "others")]
    write_files(places[0] / FOLDER, binary_contents(seed=1))
    write_files(places[1], binary_contents(seed=2))
    archived = write_archive(places[2] / ARCHIVE, binary_contents(seed=3))
    write_strips(places[3], seed=4)
    write_strips(places[4] / CIFAR.name, seed=5)
    found = [read_cifar(archived, place) for place in places]
    for other in found[1:]:
        assert other.digest == found[0].digest
        assert torch.equal(other.x, found[0].x)
        assert torch.equal(other.y_test, found[0].y_test)


def test_another_pixel_makes_another_digest(tmp_path):
    contents = binary_contents()
    before = read_cifar(CIFAR, write_files(tmp_path, contents)).digest
    contents["test.bin"] = changed(contents["test.bin"], used(contents["test.bin"]) + 1, lambda pixel: pixel ^ 1)
    assert read_cifar(CIFAR, write_files(tmp_path, contents)).digest != before


def used(content: bytes) -> int:
    """Where the label is of the first record whose class belongs to the set."""
    return next(place for place in range(1, len(content), RECORD) if content[place] < 2)


def changed(content: bytes, place: int, change: Callable[[int], int]) -> bytes:
    return content[:place] + bytes([change(content[place])]) + content[place + 1 :]


def test_strips_are_read_channel_by_channel(tmp_path):
    coloured = np.zeros((4, 3, 32, 32), dtype=np.uint8)
    coloured[:, 0], coloured[:, 1], coloured[2, :, 5, 9] = 200, 50, (1, 2, 3)
    np.savez(tmp_path / "a.npz", **strips((coloured, np.array([0, 1, 1, 0], dtype=np.uint8))))
    x, y = read_strips(tmp_path / "a.npz", CIFAR.classes)
    assert np.array_equal(x, coloured)
    assert y.tolist() == [0, 1, 1, 0]


def test_the_archive_is_read_in_memory_whatever_its_members_are_called(tmp_path):
    write_files(tmp_path / "plain", binary_contents())
    spec = write_archive(tmp_path / "data" / ARCHIVE, binary_contents(), below="../../outside/")
    before = sorted(tmp_path.rglob("*"))
    assert read_cifar(spec, tmp_path / "data").digest == read_cifar(CIFAR, tmp_path / "plain").digest
    assert sorted(tmp_path.rglob("*")) == before


def test_folder_that_is_missing_or_empty(tmp_path):
    with pytest.raises(BadInputError, match="nowhere: there is no such folder"):
        read_cifar(CIFAR, tmp_path / "nowhere")
    with pytest.raises(BadInputError, match=rf"tiny is not there; place {ARCHIVE} \(the binary version\)"):
        read_cifar(CIFAR, tmp_path)


@pytest.mark.parametrize("name", ["two.bin", "test.bin"])
def test_missing_binary_file_is_named(tmp_path, name):
    write_files(tmp_path / FOLDER, binary_contents())
    (tmp_path / FOLDER / name).unlink()
    with pytest.raises(BadInputError, match=f"{FOLDER}: missing {name}"):
        read_cifar(CIFAR, tmp_path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: b"", "two.bin: 0 bytes are no whole records of 3074"),
        (lambda content: content[:-5], "two.bin: .* no whole records of 3074; it is cut short"),
        (lambda content: changed(content, 1, lambda label: 3), "two.bin: it has a label 3, but they go from 0 to 2"),
        (
            lambda content: content[: used(content) - 1] + content[used(content) - 1 + RECORD :],
            "the training side of tiny has 9 pictures of class (crack|pore), not 10",
        ),
        (
            lambda content: changed(content, used(content), lambda label: 1 - label),
            "the training side of tiny has (9|11) pictures of class crack, not 10",
        ),
    ],
)
def test_damaged_binary_file(tmp_path, damage, says):
    contents = binary_contents()
    write_files(tmp_path, {**contents, "two.bin": damage(contents["two.bin"])})
    with pytest.raises(BadInputError, match=says):
        read_cifar(CIFAR, tmp_path)


def test_unreadable_binary_file_is_missing(tmp_path):
    write_files(tmp_path / FOLDER, binary_contents())
    (tmp_path / FOLDER / "one.bin").unlink()
    (tmp_path / FOLDER / "one.bin").mkdir()
    with pytest.raises(BadInputError, match=r"missing one.bin"):
        read_cifar(CIFAR, tmp_path)


def test_archive_with_another_checksum(tmp_path):
    spec = write_archive(tmp_path / ARCHIVE, binary_contents())
    (tmp_path / ARCHIVE).write_bytes((tmp_path / ARCHIVE).read_bytes()[:-100])
    with pytest.raises(BadInputError, match=rf"{ARCHIVE}: its content is not the standard one \(MD5 "):
        read_cifar(spec, tmp_path)


@pytest.mark.parametrize("cut", [0, 5, 200, 5000])
def test_archive_that_is_none(tmp_path, cut):
    """With the right checksum, so that what the decoders say is seen."""
    write_archive(tmp_path / ARCHIVE, binary_contents())
    (tmp_path / ARCHIVE).write_bytes((tmp_path / ARCHIVE).read_bytes()[:cut])
    with pytest.raises(BadInputError, match=f"{ARCHIVE}: cannot be read"):
        read_cifar(expecting(tmp_path / ARCHIVE), tmp_path)


def test_archive_without_some_of_its_files(tmp_path):
    contents = binary_contents()
    del contents["one.bin"]
    spec = write_archive(tmp_path / ARCHIVE, contents)
    with pytest.raises(BadInputError, match=r"one.bin not in it"):
        read_cifar(spec, tmp_path)


def test_links_in_an_archive_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as tar:
        for name in ("one.bin", "two.bin", "test.bin"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(member)
    with pytest.raises(BadInputError, match=r"one.bin, two.bin, test.bin not in it"):
        read_cifar(expecting(tmp_path / ARCHIVE), tmp_path)


def test_missing_file_of_strips_is_named(tmp_path):
    write_strips(tmp_path)
    (tmp_path / "train-3.npz").unlink()
    (tmp_path / "test.npz").unlink()
    with pytest.raises(BadInputError, match=r"missing train-3.npz, test.npz"):
        read_cifar(CIFAR, tmp_path)


GOOD = strips((np.zeros((4, 3, 32, 32), np.uint8), np.array([0, 0, 1, 1], np.uint8)))
WIDE = np.frombuffer(webp(np.zeros((64, 40, 3), np.uint8)), np.uint8)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"blob": np.zeros_like(GOOD["blob"])}, "damaged or cut short"),
        ({"blob": GOOD["blob"][:-20]}, "damaged or cut short"),
        ({"offsets": GOOD["offsets"][:-1]}, "4 labels for 1 strips of 2 pictures"),
        ({"offsets": GOOD["offsets"] * 0}, "damaged or cut short"),
        ({"labels": GOOD["labels"][:-1]}, "3 labels for 2 strips of 2 pictures"),
        ({"labels": GOOD["labels"] + np.uint8(1)}, "it has a label 2 but 2 classes"),
        ({"strip_len": np.array(4), "labels": np.repeat(GOOD["labels"], 2)}, "strip 0 has 32 x 64 pixels"),
        ({"blob": WIDE, "offsets": np.array([0, len(WIDE), len(WIDE)])}, "strip 0 has 40 x 64 pixels"),
        ({"class_names": np.array(["apple", "bear", "cat"])}, "its classes are apple, bear, cat, ...; it is a file of"),
        ({"blob": np.array([b"an object"], dtype=object)}, "damaged or cut short .*pickle"),
    ],
)
def test_damaged_strips_are_named(tmp_path, changes, says):
    write_strips(tmp_path)
    np.savez(tmp_path / "train-1.npz", **{**GOOD, **changes})
    with pytest.raises(BadInputError, match=f"train-1.npz: .*{says}"):
        read_cifar(CIFAR, tmp_path)


@pytest.mark.parametrize("name", [TRAIN_STRIPS[0], "test.npz"])
@pytest.mark.parametrize("cut", [0, 3, 100, -30])
def test_npz_that_is_cut_short(tmp_path, name, cut):
    write_strips(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:cut])
    with pytest.raises(BadInputError, match=f"{name}: it is damaged or cut short"):
        read_cifar(CIFAR, tmp_path)


def test_npz_without_an_array(tmp_path):
    write_strips(tmp_path)
    np.savez(tmp_path / "test.npz", blob=GOOD["blob"])
    with pytest.raises(BadInputError, match=r"test.npz: it is damaged or cut short .*offsets"):
        read_cifar(CIFAR, tmp_path)


def test_the_real_sets_as_they_are_published():
    assert [len(each.classes) for each in (CIFAR10, CIFAR100_FIRST50)] == [10, 50]
    for each in (CIFAR10, CIFAR100_FIRST50):
        assert list(each.classes) == sorted(each.classes)  # both sets number their classes alphabetically
        [remote] = each.remote
        assert remote.path == each.binary.archive
        assert remote.urls == (f"https://www.cs.toronto.edu/~kriz/{each.binary.archive}",)
    assert CIFAR10.binary.train == tuple(f"data_batch_{i}.bin" for i in (1, 2, 3, 4, 5))
