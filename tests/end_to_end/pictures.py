"""Small sets of labelled pictures, as folders that the platform imports."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from seamwise.vision.images import write_image

COUNTS = {"train": 6, "val": 2, "test": 8}


def write_set(folder: Path, name: str, *, bright: bool) -> Path:
    """A zip archive of a domain: noise of 48 x 64 with one square on it, lighter or darker than the ground."""
    rng = np.random.default_rng([*name.encode()])
    root = folder / name
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for side, count in COUNTS.items():
        stems = [f"{name}-{side}-{number}" for number in range(count)]
        (root / f"{side}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            pixels, mask = drawn(rng, bright=bright)
            write_image(root / "images" / f"{stem}.png", pixels)
            write_image(root / "masks" / f"{stem}.png", mask)
    (root / "domain.yaml").write_text(f"name: {name}\nmodality: radiography\nclasses: [background, crack]\n")
    return Path(shutil.make_archive(str(folder / name), "zip", root))


def drawn(rng: np.random.Generator, *, bright: bool) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its mask."""
    pixels = rng.integers(90, 130, (48, 64, 1), dtype=np.uint8)
    mask = np.zeros((48, 64), dtype=np.uint8)
    top, left = rng.integers(2, 26), rng.integers(2, 42)
    mask[top : top + 20, left : left + 20] = 1
    pixels[top : top + 20, left : left + 20] += np.uint8(100 if bright else 196)  # 196: 60 darker, modulo 256
    return pixels, mask


def fresh(folder: Path, name: str, count: int, *, bright: bool) -> list[tuple[Path, Path]]:
    """Pictures that no set holds, with their masks: what comes while the service runs."""
    rng = np.random.default_rng([*name.encode(), 1])
    made = []
    for number in range(count):
        pixels, mask = drawn(rng, bright=bright)
        paths = folder / f"{name}-new-{number}.png", folder / f"{name}-new-{number}-mask.png"
        write_image(paths[0], pixels)
        write_image(paths[1], mask)
        made.append(paths)
    return made
