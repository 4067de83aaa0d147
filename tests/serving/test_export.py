"""Export to ONNX: written where it agrees with the original, refused where it does not."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from seamwise.errors import UsageError
from seamwise.serving import ExportError, export, export_onnx
from seamwise.serving.engine import OnnxTiles
from seamwise.serving.export import Agreement, compare, probe_tiles
from seamwise.vision.networks import Network
from seamwise.vision.segmenter import Reading, Segmenter
from tests.serving.conftest import Exported
from tests.serving.tiny import TILE, picture, segmenter


@pytest.mark.parametrize("name", ["unet", "fcn", "segnet"])
def test_our_own_networks_agree(exported: Exported, name: str) -> None:
    data, agreement = exported[name]
    assert agreement.holds
    assert agreement.differing == 0
    assert agreement.difference < 1e-4
    tiles = 7 if name == "unet" else 5  # two pictures were given for one
    assert agreement.pixels == tiles * TILE * TILE
    assert agreement.ties < agreement.pixels / 2
    assert b"site-packages" not in data  # no trace of the machine that made it
    assert b"networks" not in data


def test_any_number_of_tiles_may_be_asked(exported: Exported) -> None:
    network, original = OnnxTiles(exported["segnet"][0], 1), segmenter("segnet").network
    for count in (1, 2, 7):
        x = picture(count, 1, TILE, TILE, seed=count)
        with torch.inference_mode():
            torch.testing.assert_close(network(x), original(x), rtol=1e-4, atol=1e-4)


def test_the_reading_travels_in_the_file(exported: Exported) -> None:
    reading = OnnxTiles(exported["unet"][0], 1).reading
    assert reading == segmenter(channels=3, scales={"plate": 0.5}, class_sets={"plate": (0, 2)}).reading


class Shifted(nn.Module):
    """The original's logits, the first class raised in one corner."""

    def __init__(self, original: nn.Module, by: float) -> None:
        super().__init__()
        self.original, self.by = original, by

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.original(x).clone()
        logits[:, 0, :4, :4] += self.by
        return logits


def test_a_difference_is_seen_wherever_it_is() -> None:
    known = segmenter()
    tiles = probe_tiles(known, [picture(1, 40, 20)])
    assert compare(known.network, known.network, tiles).difference == 0
    near = compare(known.network, Shifted(known.network, 1e-4), tiles)
    assert near.holds
    assert near.difference == pytest.approx(1e-4, rel=0.05)
    far = compare(known.network, Shifted(known.network, 50.0), tiles)
    assert not far.holds
    assert 0 < far.differing <= 6 * 16
    assert not compare(known.network, Shifted(known.network, torch.nan), tiles).holds


def test_classes_may_differ_only_where_two_are_as_good() -> None:
    within = Agreement(difference=5e-4, scale=1.0, pixels=10, ties=3, differing=0)
    assert within.holds
    assert not Agreement(difference=5e-4, scale=1.0, pixels=10, ties=3, differing=1).holds

    class Two(nn.Module):
        def __init__(self, second: float) -> None:
            super().__init__()
            self.second = second

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x), torch.full_like(x, self.second)], 1)

    tiles = torch.zeros(3, 1, 4, 4)
    tied = compare(Two(1e-4), Two(-1e-4), tiles)
    assert (tied.ties, tied.differing, tied.pixels) == (48, 0, 48)
    clear = compare(Two(0.1), Two(-0.1), tiles)
    assert (clear.ties, clear.differing) == (0, 48)


def test_a_file_that_answers_differently_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    known = segmenter()
    monkeypatch.setattr(export, "_exported", lambda segmenter: b"")
    monkeypatch.setattr(export, "OnnxTiles", lambda data, threads: Shifted(known.network, 0.5))
    with pytest.raises(ExportError, match=r"unet differs .* up to 0\.5 .*torch engine"):
        export_onnx(known)


def test_a_network_that_cannot_be_written_is_named() -> None:
    class Eigenvalues(Network):
        """ONNX has no such operation."""

        def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            return torch.linalg.eigvals(x).real[..., None] + x, ()

    with pytest.raises(ExportError, match=r"eigenvalues cannot be written as ONNX .*linalg_eig.* torch engine"):
        export_onnx(Segmenter(Eigenvalues({"name": "eigenvalues"}, 1), Reading(("one",), 1, 8)))


def test_without_the_exporter_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"pip install seamwise\[serving\]"):
        export_onnx(segmenter())
