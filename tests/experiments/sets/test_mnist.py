import gzip
import hashlib
import struct

import numpy as np
import pytest
import torch

from seamwise.errors import BadInputError
from seamwise.experiments.sets import mnist
from seamwise.experiments.sets.idx import decode_idx
from seamwise.experiments.sets.mnist import read_mnist
from tests.experiments.sets.tiny import IDX_NAMES, idx, md5_of, mnist_contents, write_files

IMAGES, LABELS = IDX_NAMES[:2]


@pytest.fixture
def contents(monkeypatch):
    """The four files of a tiny set, which is the standard one for this test."""
    made = mnist_contents()
    monkeypatch.setattr(mnist, "CONTENTS", md5_of(made))
    return made


def test_pictures_and_classes_are_those_of_the_files(tmp_path, contents):
    found = read_mnist(write_files(tmp_path, contents))
    assert found.name == "mnist"
    assert found.classes == tuple("0123456789")
    assert (found.x.shape, found.x_test.shape) == ((12, 4, 6), (5, 4, 6))
    assert (found.x.dtype, found.y.dtype) == (torch.uint8, torch.int64)
    assert found.x.numpy().tobytes() == contents[IMAGES][16:]
    assert found.y.tolist() == [*range(10), 0, 1]
    assert found.y_test.tolist() == [0, 1, 2, 3, 4]


def test_digest_is_sha256_over_the_bytes_of_the_four_tensors(tmp_path, contents):
    found = read_mnist(write_files(tmp_path, contents))
    whole = b"".join(each.numpy().tobytes() for each in (found.x, found.y, found.x_test, found.y_test))
    assert found.digest == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("below", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [(), IDX_NAMES[:1], IDX_NAMES])
def test_files_are_found_in_three_places_gzipped_or_not(tmp_path, contents, below, zipped):
    write_files(tmp_path / below, contents, zipped)
    assert len(read_mnist(tmp_path).y) == 12


def test_a_download_that_was_unpacked_but_kept_its_name(tmp_path, contents):
    write_files(tmp_path, {f"{name}.gz": content for name, content in contents.items()})
    assert len(read_mnist(tmp_path).y) == 12


def test_folder_that_is_missing_or_a_file_or_empty(tmp_path):
    with pytest.raises(BadInputError, match="nowhere: there is no such folder"):
        read_mnist(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="file: it is a file, not a folder"):
        read_mnist(tmp_path / "file")
    with pytest.raises(BadInputError, match=r"MNIST is not there; place train-images-idx3-ubyte, .* or in its mnist/"):
        read_mnist(tmp_path)


@pytest.mark.parametrize("name", IDX_NAMES)
def test_missing_file_is_named(tmp_path, contents, name):
    write_files(tmp_path, contents, zipped=IDX_NAMES)
    (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(BadInputError, match=rf"missing {name} \(or {name}.gz\)"):
        read_mnist(tmp_path)


def damaged_gzip(content: bytes) -> bytes:
    data = bytearray(gzip.compress(content))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: b"", "begins with nothing"),
        (lambda content: b"\0\0\x08", "begins with 00 00 08,"),
        (lambda content: content[:9], "header says 12 x 0 x 0 bytes, but 0 follow"),
        (lambda content: content[:-1], "header says 12 x 4 x 6 bytes, but 287 follow"),
        (lambda content: content + b"\0", "but 289 follow"),
        (lambda content: idx(np.zeros(12, np.uint8)), "begins with 00 00 08 01, an IDX file with 00 00 08 03"),
        (lambda content: struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "bytes, but 0 follow"),
        (lambda content: content[:-1] + b"\0", "content is not the standard one"),
        (lambda content: gzip.compress(content)[:-20], "cannot be read"),
        (lambda content: gzip.compress(content)[:5], "cannot be read"),
        (damaged_gzip, "cannot be read|not the standard one"),
    ],
)
def test_damaged_file_is_named(tmp_path, contents, damage, says):
    write_files(tmp_path, {**contents, IMAGES: damage(contents[IMAGES])})
    with pytest.raises(BadInputError, match=rf"{IMAGES}: .*({says}).*copy it again"):
        read_mnist(tmp_path)


def test_counts_that_do_not_agree(tmp_path, contents, monkeypatch):
    wrong = {**contents, LABELS: idx(np.zeros(11, np.uint8))}
    monkeypatch.setattr(mnist, "CONTENTS", md5_of(wrong))
    with pytest.raises(BadInputError, match=r"holds 12 pictures but .* 11 classes"):
        read_mnist(write_files(tmp_path, wrong))


def test_idx_sizes_are_big_endian():
    array = np.arange(258, dtype=np.uint8).reshape(129, 2)
    assert np.array_equal(decode_idx(b"\0\0\x08\x02\0\0\0\x81\0\0\0\x02" + array.tobytes(), 2), array)
