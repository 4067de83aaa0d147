"""Tensors and a header in one file: what is read is what was written, or the file is refused."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from seamwise.errors import BadInputError
from seamwise.vision.tensor_file import read_tensors, write_tensors

TENSORS = {
    "a": torch.arange(6.0).view(2, 3),
    "half": torch.randn(4).bfloat16(),
    "yes": torch.tensor([True, False]),
    "none": torch.empty(0, 3),
    "one": torch.tensor(7),
    "last": torch.randn(1, 2, 3, 3).contiguous(memory_format=torch.channels_last),
}
HEADER = {"kind": "things", "step": 12, "name": "焊缝", "loss": 0.1 + 0.2, "of": {"1": [1, None, True]}}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", TENSORS, HEADER)
    tensors, header = read_tensors(tmp_path / "f", "things")
    assert header == HEADER
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    tensors["a"] += 1  # theirs, not the file's
    assert torch.equal(read_tensors(tmp_path / "f", "things")[0]["a"], TENSORS["a"])


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_tensors(path, TENSORS, HEADER)
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read_tensors(path, "things")
        except BadInputError as error:
            assert str(path) in str(error)  # noqa: PT017 (what matters is that nothing else is raised)
            noticed += 1
    spaces = whole[8 : 8 + int.from_bytes(whole[:8], "little")].count(b" ")
    assert len(whole) - noticed <= spaces, "only spaces between the parts of the header may change"
    for cut in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInputError):
            read_tensors(path, "things")


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    """They have no digest."""
    packed = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    safetensors.torch.save_file(packed, tmp_path / "f", {"seamwise": json.dumps(HEADER)})
    tensors, header = read_tensors(tmp_path / "f", "things")
    assert header == HEADER
    assert torch.equal(tensors["a"], TENSORS["a"])
    with pytest.raises(BadInputError, match="expected a other file"):
        read_tensors(tmp_path / "f", "other")
