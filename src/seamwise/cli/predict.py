"""`seamwise predict`: masks, overlays and defect lists of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from seamwise.cli.console import Bars, say, write_json
from seamwise.cli.options import Device, DeviceOption, device_of
from seamwise.cli.plain_options import JsonOption
from seamwise.continual.catalogue import nearest
from seamwise.errors import BadInputError, UsageError
from seamwise.figures.overlay import overlay, png
from seamwise.files import atomic_write
from seamwise.vision.components import find_components
from seamwise.vision.domain import Sample
from seamwise.vision.images import read_image, write_image
from seamwise.vision.segmenter import Segmenter, load_segmenter

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


def predict(
    model: Annotated[Path, typer.Argument(help="A model file (.safetensors).")],
    pictures: Annotated[Path, typer.Argument(help="A picture, or a folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for masks, overlays and JSON.")] = Path("runs/predict"),
    domain: Annotated[
        str | None, typer.Option(help="The domain the pictures are of: its scale and classes (default: scale 1, all).")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(min=0.01, max=4, help="Resize pictures by this before the network.")
    ] = None,
    device: DeviceOption = Device.auto,
    json_file: JsonOption = None,
) -> None:
    """Find the defects in pictures: for each a mask PNG (class ids), an overlay PNG and a JSON list."""
    segmenter = load_segmenter(model, device_of(device))
    known = segmenter.reading.scales
    if domain is not None and domain not in known:
        raise UsageError(f"--domain {domain}: the model does not know it{nearest(domain, list(known))}")
    paths = _pictures(pictures)
    if out.resolve() == (pictures if pictures.is_dir() else pictures.parent).resolve():
        raise UsageError(f"--out {out}: holds the pictures themselves; choose another folder for what is made of them")
    stems = [path.stem for path in paths]
    out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    problems = []
    with Bars() as bars:
        for done, path in enumerate(paths):
            bars.show("predict", done / len(paths), path.name)
            try:
                name = path.stem if stems.count(path.stem) == 1 else path.name.replace(".", "-")
                found.append(_one(segmenter, path, out / name, domain, scale))
            except BadInputError as error:
                if len(paths) == 1:
                    raise
                problems.append(str(error))
    for problem in problems:
        say(f"left out: {problem}")
    say(f"{len(found)} pictures, {sum(len(item['defects']) for item in found)} defects: {out}")
    write_json(json_file, {"model": str(model), "pictures": found, "left_out": problems})
    if problems:
        raise BadInputError(f"{len(problems)} of {len(paths)} pictures could not be used; the others are done")


def _pictures(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(item for item in path.iterdir() if item.suffix.lower() in ENDINGS and item.name[0] != ".")
        if not found:
            raise BadInputError(f"{path}: no pictures in this folder ({', '.join(ENDINGS)})")
        return found
    if not path.exists():
        raise BadInputError(f"{path}: there is no such file or folder")
    return [path]


def _one(segmenter: Segmenter, path: Path, to: Path, domain: str | None, scale: float | None) -> dict[str, Any]:
    """One picture; the files are named `to` and an ending."""
    image = read_image(path)
    p = segmenter.probabilities(Sample(path.stem, path, None, path.stem), domain, scale)
    called = p.argmax(0).numpy().astype(np.uint8)
    result = {
        "picture": str(path),
        "mask": f"{to.name}-mask.png",
        "overlay": f"{to.name}-overlay.png",
        "height": called.shape[0],
        "width": called.shape[1],
        "pitch_mm": image.pitch_mm,
        "defects": _defects(called, p.numpy(), segmenter.reading.classes),
    }
    write_image(to.parent / str(result["mask"]), called)
    atomic_write(to.parent / str(result["overlay"]), png(overlay(image.pixels, called)))
    atomic_write(to.parent / f"{to.name}.json", json.dumps(result, indent=1).encode())
    return result


def _defects(called: np.ndarray[Any, np.dtype[np.uint8]], p: np.ndarray[Any, Any], names: tuple[str, ...]) -> list[Any]:
    """Connected components: class, area, box (left, top, right, bottom) and mean probability."""
    parts = find_components(called, len(names))
    result = []
    for place, kind in enumerate(parts.kinds.tolist()):
        pixels = parts.pixels[int(parts.starts[place]) : int(parts.starts[place + 1])]
        rows, columns = np.divmod(pixels, called.shape[1])
        result.append(
            {
                "class": names[kind],
                "area_px": len(pixels),
                "box": [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1],
                "confidence": round(float(p[kind].ravel()[pixels].mean()), 4),
            }
        )
    return sorted(result, key=lambda defect: -int(defect["area_px"]))
