from __future__ import annotations

from pathlib import Path

import pytest

from seamwise.serving import Agreement, Package, export_onnx, make_package
from tests.serving.tiny import picture, segmenter

Exported = dict[str, tuple[bytes, Agreement]]
Packaged = tuple[Path, Package]


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A folder with all that serving one version needs, and what it says; not to be changed."""
    folder = tmp_path_factory.mktemp("version")
    segmenter(channels=3, scales={"plate": 0.5}, class_sets={"plate": (0, 2)}).save(folder / "model.safetensors")
    return folder, make_package(folder, [picture(3, 50, 70), picture(3, 9, 9)])


@pytest.fixture(scope="session")
def exported(packaged: Packaged) -> Exported:
    """Our own networks as ONNX files, one of them of three channels."""
    folder, package = packaged
    assert package.agreement is not None
    return {
        "unet": ((folder / "model.onnx").read_bytes(), Agreement(**package.agreement)),
        "fcn": export_onnx(segmenter("fcn")),
        "segnet": export_onnx(segmenter("segnet")),
    }
