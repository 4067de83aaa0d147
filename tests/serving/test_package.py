"""The files of a version: what is made is what is read, and what is damaged is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from seamwise.errors import BadInputError, SeamwiseError, UsageError
from seamwise.serving import ExportError, load_package, make_package, package, read_serving, self_test
from seamwise.vision.tensor_file import read_tensors, write_tensors
from tests.serving.conftest import Packaged
from tests.serving.tiny import picture, segmenter


def test_a_version_that_agrees_is_served_by_onnxruntime(packaged: Packaged) -> None:
    folder, made = packaged
    assert (made.engine, made.device, made.reason) == ("onnxruntime", "cpu", None)
    assert made.agreement is not None
    assert made.agreement["differing"] == 0
    assert sorted(made.files) == sorted(path.name for path in folder.iterdir())
    assert read_serving(folder / "serving.safetensors")[0] == made


def test_what_is_loaded_passes_its_self_test_and_answers_as_the_model(packaged: Packaged) -> None:
    loaded = load_package(packaged[0], "v7", threads=2)
    assert (loaded.engine.version, loaded.engine.kind) == ("v7", "onnxruntime")
    self_test(loaded.engine, loaded.probes)
    x = picture(3, 50, 70)
    assert torch.equal(loaded.probes[0].picture, x)
    assert torch.equal(loaded.probes[0].probabilities, load_package(packaged[0], "v7").engine.predict(x))
    torch.testing.assert_close(loaded.engine.predict(x), segmenter(channels=3).predict(x), rtol=0, atol=2e-5)


def test_torch_is_taken_by_name_without_an_export(tmp_path: Path) -> None:
    segmenter("segnet", seed=4).save(tmp_path / "model.safetensors")
    made = make_package(tmp_path, [picture(1, 40, 40)], engine="torch", batch=2)
    assert (made.engine, made.reason, made.files) == ("torch", None, ("model.safetensors", "serving.safetensors"))
    loaded = load_package(tmp_path, "v1")
    assert (loaded.engine.kind, loaded.engine.batch) == ("torch", 2)
    self_test(loaded.engine, loaded.probes)


def test_a_network_that_does_not_export_falls_back_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ExportError("this one cannot be written as ONNX")

    monkeypatch.setattr(package, "export_onnx", fail)
    segmenter("attention_unet").save(tmp_path / "model.safetensors")
    made = make_package(tmp_path, [picture(1, 40, 40)])
    assert (made.engine, made.reason) == ("torch", "this one cannot be written as ONNX")
    self_test(load_package(tmp_path, "v1").engine, load_package(tmp_path, "v1").probes)
    with pytest.raises(ExportError):
        make_package(tmp_path, [picture(1, 40, 40)], engine="onnxruntime")


def test_wrong_wishes_are_named(tmp_path: Path) -> None:
    segmenter().save(tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="'tensorrt'"):
        make_package(tmp_path, [picture(1, 8, 8)], engine="tensorrt")
    with pytest.raises(UsageError, match="at least one picture"):
        make_package(tmp_path, [], engine="torch")
    assert not (tmp_path / "serving.safetensors").exists()


@pytest.mark.parametrize("name", ["model.onnx", "serving.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "half", "empty", "flipped"])
def test_damaged_files_are_named_and_nothing_half_right_is_loaded(
    packaged: Packaged, tmp_path: Path, name: str, damage: str
) -> None:
    shutil.copytree(packaged[0], tmp_path, dirs_exist_ok=True)
    data = bytearray((tmp_path / name).read_bytes())
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        for place in range(len(data) // 2, len(data) // 2 + 64):
            data[place] ^= 0xFF
        kept = {"half": len(data) // 2, "empty": 0, "flipped": len(data)}[damage]
        (tmp_path / name).write_bytes(bytes(data[:kept]))

    def load_and_test() -> None:
        loaded = load_package(tmp_path, "v1")
        self_test(loaded.engine, loaded.probes)  # flipped numbers are still numbers: the test finds them

    with pytest.raises(SeamwiseError) as error:
        load_and_test()
    assert damage == "flipped" or isinstance(error.value, BadInputError)


def test_files_of_a_newer_program_and_of_another_kind_are_refused(packaged: Packaged, tmp_path: Path) -> None:
    tensors, header = read_tensors(packaged[0] / "serving.safetensors", "seamwise serving")
    path = tmp_path / "serving.safetensors"
    write_tensors(path, tensors, {**header, "format": 99})
    with pytest.raises(BadInputError, match="newer"):
        read_serving(path)
    write_tensors(path, tensors, {**header, "package": {"engine": "torch"}})
    with pytest.raises(BadInputError, match="package the version again"):
        read_serving(path)
    with pytest.raises(BadInputError, match="expected a seamwise serving file"):
        read_serving(packaged[0] / "model.safetensors")


def test_a_device_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    segmenter().save(tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="served on cuda"):
        make_package(tmp_path, [picture(1, 8, 8)], device="cuda")
