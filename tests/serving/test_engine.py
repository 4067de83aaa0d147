"""Engines: one tiling, the segmenter's answers, no trace left, and no request that changes another's answer."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seamwise.errors import BadInputError, UsageError
from seamwise.serving import Engine, mask_of, onnx_engine, torch_engine
from seamwise.vision.domain import Sample
from seamwise.vision.images import write_image
from tests.serving.conftest import Exported
from tests.serving.tiny import CLASSES, TILE, picture, segmenter

SIZES = [(1, 1), (5, 70), (TILE, TILE), (33, 31), (75, 50)]


def engine(kind: str, exported: Exported, name: str = "unet", channels: int = 3) -> Engine:
    if kind == "onnxruntime":
        return onnx_engine(exported[name][0], "v1")
    return torch_engine(segmenter(name, channels=channels), "v1")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_torch_answers_as_the_segmenter_bit_for_bit(channels: int, size: tuple[int, int]) -> None:
    x = picture(channels, *size)
    p = torch_engine(segmenter(channels=channels), "v1").predict(x)
    assert p.shape == (len(CLASSES), *size)
    assert p.dtype == torch.float32
    assert torch.equal(p, segmenter(channels=channels).predict(x))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "channels"), [("unet", 3), ("fcn", 1), ("segnet", 1)])
def test_onnxruntime_answers_as_torch(exported: Exported, name: str, channels: int, size: tuple[int, int]) -> None:
    x = picture(channels, *size)
    p = engine("onnxruntime", exported, name).predict(x)
    wanted = segmenter(name, channels=channels).predict(x)
    torch.testing.assert_close(p, wanted, rtol=0, atol=2e-5)
    best = wanted.topk(2, 0).values
    clear = (best[0] - best[1] > 1e-4).numpy()
    assert clear.mean() > 0.8  # SegNet's unpooled zeros leave true ties
    assert np.array_equal(mask_of(p)[clear], mask_of(wanted)[clear])


@pytest.mark.parametrize("kind", ["torch", "onnxruntime"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_file_is_answered_at_its_own_size_and_depth(
    exported: Exported, tmp_path: Path, kind: str, depth: type, colours: int
) -> None:
    full = np.iinfo(depth).max
    pixels = (picture(41, 67, colours, seed=3).numpy() * full).astype(depth)
    pixels[0, 0] = 7 if depth is np.uint8 else 1031  # a value that 8 bits cannot hold
    write_image(path := tmp_path / "film.png", pixels)
    known = segmenter(channels=3, scales={"plate": 0.5}, class_sets={"plate": (0, 2)})
    served = onnx_engine(exported["unet"][0], "v1") if kind == "onnxruntime" else torch_engine(known, "v1")
    sample = Sample("film", path, None, "film")
    for domain, scale in ((None, None), ("plate", None), ("plate", 1.0), (None, 0.7)):
        p = served.probabilities(path, domain, scale)
        wanted = known.probabilities(sample, domain, scale)
        assert p.shape == (len(CLASSES), 41, 67)
        torch.testing.assert_close(p, wanted, rtol=0, atol=0 if kind == "torch" else 2e-5)
    assert (served.probabilities(path, "plate")[1] == 0).all()


@pytest.mark.parametrize("kind", ["torch", "onnxruntime"])
def test_a_tiles_answer_is_bitwise_its_own(exported: Exported, kind: str) -> None:
    network = engine(kind, exported).network
    x, others = picture(3, TILE, TILE), picture(8, 3, TILE, TILE, seed=1)
    answers = []
    with torch.inference_mode():
        for slot in range(4):
            for fill in (torch.zeros(4, 3, TILE, TILE), others[:4], others[4:] * 1e3):
                tiles = fill.clone()
                tiles[slot] = x
                answers.append(network(tiles)[slot])
    assert all(torch.equal(answers[0], answer) for answer in answers[1:])


@pytest.mark.parametrize("kind", ["torch", "onnxruntime", "monai", "bf16"])
def test_threads_asking_at_once_get_what_one_would_get(exported: Exported, kind: str) -> None:
    if kind == "monai":
        asked = torch_engine(segmenter("attention_unet", channels=3), "v1")
    elif kind == "bf16":
        asked = torch_engine(segmenter(channels=3, bf16=True), "v1")
    else:
        asked = engine(kind, exported)
    pictures = [picture(3, 20 + 7 * n, 60 - 5 * n, seed=n) for n in range(6)]
    alone = [asked.predict(x) for x in pictures]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            together = list(pool.map(asked.predict, pictures))
            assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_answering_leaves_no_trace(exported: Exported) -> None:
    for kind in ("torch", "onnxruntime"):
        asked = engine(kind, exported)
        before = {name: value.clone() for name, value in asked.network.state_dict().items()}
        random = torch.get_rng_state()
        x = picture(3, 40, 40)
        kept = x.clone()
        first = asked.predict(x)
        assert not first.requires_grad
        assert torch.equal(first, asked.predict(x))
        assert torch.equal(x, kept)
        assert torch.equal(random, torch.get_rng_state())
        for name, value in asked.network.state_dict().items():
            assert torch.equal(value, before[name])


def test_each_thread_computes_with_as_many_threads_as_set() -> None:
    seen: list[int] = []

    class Watching(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return x

    mine = torch.get_num_threads()
    try:
        asked = torch_engine(segmenter(), "v1", threads=2)
        asked.network.network = Watching()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(torch.set_num_threads, 1).result()
            pool.submit(asked.predict, picture(1, 8, 8)).result()
        assert seen == [2]
    finally:
        torch.set_num_threads(mine)


def test_wrong_pictures_and_settings_are_named(exported: Exported) -> None:
    asked = engine("onnxruntime", exported)
    with pytest.raises(BadInputError, match=r"version v1 .* 3 channels, not \(1, 8, 8\)"):
        asked.predict(picture(1, 8, 8))
    with pytest.raises(BadInputError, match="3 channels"):
        asked.predict(picture(8, 8))
    with pytest.raises(UsageError, match="pixels"):
        asked.predict(torch.zeros(3, 0, 8))
    with pytest.raises(UsageError, match="threads is 0"):
        onnx_engine(exported["unet"][0], "v1", threads=0)
    with pytest.raises(UsageError, match="batch is -1"):
        torch_engine(segmenter(), "v1", batch=-1)


@pytest.mark.parametrize("wrong", [b"", b"nonsense", "half", "foreign"])
def test_bytes_that_are_no_file_of_ours_are_refused(exported: Exported, wrong: bytes | str) -> None:
    data = exported["fcn"][0]
    if wrong == "half":
        wrong = data[: len(data) // 2]
    elif wrong == "foreign":  # a whole ONNX file without our metadata: the key is nowhere else
        wrong = data.replace(b"seamwise", b"somebody")
    assert isinstance(wrong, bytes)
    with pytest.raises(BadInputError, match="export it again"):
        onnx_engine(wrong, "v1")


def test_without_onnxruntime_the_way_out_is_named(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install seamwise\[serving\]"):
        onnx_engine(exported["unet"][0], "v1")
