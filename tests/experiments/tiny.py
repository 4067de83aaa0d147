"""Domains and recipes so small that a whole run takes a moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seamwise.experiments.recipe import Recipe
from seamwise.experiments.runs import Run
from seamwise.experiments.streams import DomainStream, join_domains
from seamwise.vision.domain import read_domain, write_domain_yaml
from seamwise.vision.images import write_image

OPTIONS: dict[str, Any] = {
    "network_options": {"width": 4, "depth": 2, "prior": None},
    "tile": 32,
    "steps": 8,
    "batch_size": 2,
    "lr": 0.03,
    "augment": None,
}
RECIPE = Recipe.of(OPTIONS)
# The same on the command line: JSON is YAML too.
SETTINGS = [word for name, value in OPTIONS.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def make_domain(
    folder: Path,
    *,
    classes: Sequence[str] = ("background", "crack"),
    train: int = 3,
    val: int = 1,
    test: int = 1,
    bright: bool = True,
) -> Path:
    """A domain folder of 48 x 64 pictures: noise with one square a class, lighter or darker than the ground."""
    rng = np.random.default_rng(len(folder.name) + 10 * bright)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for split, count in (("train", train), ("val", val), ("test", test)):
        stems = [f"{split}{number}" for number in range(count)]
        for stem in stems:
            pixels = rng.integers(90, 130, (48, 64, 1), dtype=np.uint8)
            mask = np.zeros((48, 64), dtype=np.uint8)
            for kind in range(1, len(classes)):
                top, left = rng.integers(2, 26), rng.integers(2, 42)
                mask[top : top + 20, left : left + 20] = kind
                pixels[top : top + 20, left : left + 20] += np.uint8(100 // kind if bright else 256 - 60 // kind)
            write_image(folder / "images" / f"{stem}.png", pixels)
            write_image(folder / "masks" / f"{stem}.png", mask)
        (folder / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    write_domain_yaml(folder, name=folder.name, modality="test", classes=classes)
    return folder


def make_stream(root: Path, names: Sequence[str] = ("light", "dark")) -> DomainStream:
    """Domains of light squares and of dark ones by turns."""
    folders = [make_domain(root / name, bright=place % 2 == 0) for place, name in enumerate(names)]
    return join_domains([read_domain(folder) for folder in folders], name="tiny")


def make_run(stream: DomainStream, strategy: str = "finetuning", recipe: Recipe = RECIPE, **parameters: Any) -> Run:
    return Run(stream, recipe, strategy, parameters)
