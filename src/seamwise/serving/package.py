"""The files with which a version is served, in one folder: the model, its ONNX form where it has one, its self-test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seamwise import __version__
from seamwise.errors import BadInputError, UsageError
from seamwise.files import atomic_write
from seamwise.serving.engine import BATCH, Engine, onnx_engine, torch_engine
from seamwise.serving.export import ExportError, export_onnx
from seamwise.serving.probes import Probe, make_probes
from seamwise.vision.segmenter import Segmenter, load_segmenter
from seamwise.vision.tensor_file import read_tensors, write_tensors

MODEL, ONNX, SERVING = "model.safetensors", "model.onnx", "serving.safetensors"
KIND = "seamwise serving"
FORMAT = 1
ENGINES = ("auto", "onnxruntime", "torch")


@dataclass(frozen=True)
class Package:
    """How a version is served, fixed when it is made.

    engine: "onnxruntime" or "torch". device: of the torch engine. reason: why it is torch, where onnxruntime was
    wanted. agreement: the ONNX form against the original (`Agreement`'s fields), for onnxruntime. files: names to keep.
    """

    engine: str
    device: str
    batch: int
    reason: str | None
    agreement: dict[str, Any] | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """An engine and what it is tested with before it serves."""

    engine: Engine
    probes: tuple[Probe, ...]


def make_package(
    folder: Path, pictures: Sequence[Tensor], *, engine: str = "auto", device: str = "cpu", batch: int = BATCH
) -> Package:
    """Makes what serving needs beside `model.safetensors` in that folder: `serving.safetensors`, maybe `model.onnx`.

    pictures: prepared ones (C, H, W), best a few that show defects; the engine's answers to them become the self-test.
    engine: "auto" takes onnxruntime where the export agrees with the original, else torch and says why; by name, a
    failing export is an error (ExportError). What is written is read back and asked, not what is in memory.
    """
    if engine not in ENGINES:
        raise UsageError(f"no engine is called {engine!r}; there are: {', '.join(ENGINES)}")
    segmenter = load_segmenter(folder / MODEL)
    kind, reason, agreement = "torch", None, None
    if engine != "torch" and device == "cpu":
        try:
            data, agreed = export_onnx(segmenter, pictures)
            atomic_write(folder / ONNX, data)
            kind, agreement = "onnxruntime", asdict(agreed)
        except ExportError as error:
            if engine != "auto":
                raise
            reason = str(error)
    package = Package(kind, device, batch, reason, agreement, (MODEL, *((ONNX,) if agreement else ()), SERVING))
    probes = make_probes(_engine(folder, "being packaged", package, threads=1), pictures)
    _write(folder / SERVING, package, probes)
    return package


def load_package(folder: Path, version: str, *, threads: int = 1) -> Loaded:
    """Reads a folder that `make_package` has filled. Raises BadInputError for files that are missing or damaged."""
    package, probes = read_serving(folder / SERVING)
    return Loaded(_engine(folder, version, package, threads), probes)


def read_serving(path: Path) -> tuple[Package, tuple[Probe, ...]]:
    """What `serving.safetensors` says: how to serve the version, and its self-test."""
    tensors, header = read_tensors(path, KIND)
    if header["format"] > FORMAT:
        raise BadInputError(f"{path}: written by Seamwise {header['version']}, newer than {__version__}: update")
    try:
        values = header["package"]
        package = Package(**{**values, "files": tuple(values["files"])})
        count = len(tensors) // 2
        probes = tuple(Probe(tensors[f"{n}.picture"], tensors[f"{n}.probabilities"]) for n in range(count))
    except (KeyError, TypeError) as error:
        raise BadInputError(f"{path}: not a whole serving file ({error!r}); package the version again") from error
    return package, probes


def _write(path: Path, package: Package, probes: Sequence[Probe]) -> None:
    tensors = {}
    for number, probe in enumerate(probes):
        tensors[f"{number}.picture"], tensors[f"{number}.probabilities"] = probe.picture, probe.probabilities
    header = {"kind": KIND, "format": FORMAT, "version": __version__, "package": asdict(package)}
    write_tensors(path, tensors, header)


def _engine(folder: Path, version: str, package: Package, threads: int) -> Engine:
    if package.engine == "onnxruntime":
        path = folder / ONNX
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInputError(f"{path}: cannot be read ({error}); fetch the version's files again") from error
        return onnx_engine(data, version, threads=threads, batch=package.batch)
    return torch_engine(_segmenter(folder / MODEL, package.device), version, threads=threads, batch=package.batch)


def _segmenter(path: Path, device: str) -> Segmenter:
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"{path}: this version is served on {device}, which this machine has not; package it for cpu")
    return load_segmenter(path, device)
