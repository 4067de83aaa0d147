"""The ready domains of simulated welds by name, and their pictures as a domain folder."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from seamwise.errors import RefusedError, SeamwiseError, UsageError
from seamwise.files import atomic_write
from seamwise.vision.domain_yaml import write_domain_yaml
from seamwise.vision.images import write_image
from seamwise.vision.welds.drift import between
from seamwise.vision.welds.phased_array import PHASED_ARRAY_DOMAINS, PhasedArray, simulate_scan
from seamwise.vision.welds.picture import CLASSES, Picture
from seamwise.vision.welds.radiograph import simulate_radiograph
from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.steel import STEEL_DOMAINS

WeldDomain = Radiography | PhasedArray

DOMAINS: dict[str, WeldDomain] = {**STEEL_DOMAINS, **PHASED_ARRAY_DOMAINS}


def find_domain(name: str) -> WeldDomain:
    """A ready domain, or a point on the path between two: `A..B@0.3`. UsageError names the nearest right names."""
    if ".." in name:
        ends, _, share = name.partition("@")
        first, _, second = ends.partition("..")
        try:
            t = float(share or "0.5")
        except ValueError as error:
            raise UsageError(f"{name}: after @ comes a number from 0 to 1, not {share!r}") from error
        return between(find_domain(first), find_domain(second), t)
    if name not in DOMAINS:
        near = difflib.get_close_matches(name, DOMAINS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"no simulated domain {name!r}; {hint}there are: {', '.join(DOMAINS)}")
    return DOMAINS[name]


def simulate(domain: WeldDomain, seed: int, index: int) -> Picture:
    """Picture number `index` of a domain; the same seed and number give the same picture."""
    if isinstance(domain, Radiography):
        return simulate_radiograph(domain, seed, index)
    return simulate_scan(domain, seed, index)


def write_domain(
    folder: Path, domain: WeldDomain, counts: Mapping[str, int], seed: int, name: str | None = None
) -> Iterator[tuple[int, int]]:
    """Writes a domain folder of simulated pictures, yielding (done, of) after each.

    counts: pictures for "train", "val" and "test". Each split begins with a weld of its own, so that no weld is in
    two. Masks hold the visible part of each defect; `geometric/` beside them all of it, `facts.jsonl` what was drawn.
    Raises RefusedError if the folder already holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RefusedError(f"{folder} is not empty: choose another folder, or delete it")
    try:
        for part in ("images", "masks", "geometric"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SeamwiseError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
    of, done, index = sum(counts.values()), 0, 0
    lines, facts = ["stem,group"], []
    for split, count in counts.items():
        stems = []
        for _ in range(count):
            picture = simulate(domain, seed, index)
            stem = f"{split}-{done:04d}"
            write_image(folder / "images" / f"{stem}.png", picture.pixels, picture.pitch_mm)
            write_image(folder / "masks" / f"{stem}.png", picture.visible)
            write_image(folder / "geometric" / f"{stem}.png", picture.mask)
            stems.append(stem)
            lines.append(f"{stem},{picture.weld}")
            facts.append(json.dumps({"stem": stem, "weld": picture.weld, **picture.facts}))
            done, index = done + 1, index + 1
            yield done, of
        atomic_write(folder / f"{split}.txt", "".join(f"{stem}\n" for stem in stems).encode())
        index += -index % domain.views
    atomic_write(folder / "index.csv", ("\n".join(lines) + "\n").encode())
    atomic_write(folder / "facts.jsonl", ("\n".join(facts) + "\n").encode())
    # Last, so that a folder cut off half-way is not taken for a domain with its classes guessed from the masks.
    write_domain_yaml(
        folder,
        name=name or domain.name,
        modality="radiography" if isinstance(domain, Radiography) else "phased array ultrasound",
        classes=CLASSES,
        pitch_mm=domain.pitch_mm,
    )
