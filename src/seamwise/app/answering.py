"""From a picture file and a version to an answer: looked at within limits, computed, put into words and numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session
from torch import Tensor

from seamwise.app.actor import Actor
from seamwise.app.annotations import mask_file
from seamwise.app.files import Shelf, chunks_of
from seamwise.app.findings import confidence_of, find_defects
from seamwise.app.guessing import Known, Sorted, to_json
from seamwise.app.models import find_version
from seamwise.app.pictures import Looked, PictureLimits, check_header
from seamwise.errors import BadInputError
from seamwise.quality.extractor import extract
from seamwise.serving import Engine, at_size, mask_of
from seamwise.settings import Settings
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import Image, Prediction
from seamwise.vision.images import read_image, to_float
from seamwise.vision.raster import Pixels


@dataclass(frozen=True)
class Shown:
    """A picture to be answered: its file, its name for people, the file's hash, what it is, and its features."""

    path: Path
    name: str
    sha256: str
    looked: Looked
    features: NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """What an engine said, not yet stored. mask: the file of its class ids."""

    version: str
    summary: dict[str, Any]
    mask: bytes


def show(path: Path, name: str, settings: Settings) -> tuple[Shown, Pixels]:
    """Looks at a picture file: what it is, and its pixels (H, W, C).

    Raises WrongTypeError, TooLargeError and BadInputError, all under that name.
    """
    kind = check_header(path, name, PictureLimits.of(settings))
    with _named(path, name):
        image = read_image(path)
    height, width = image.pixels.shape[:2]
    digest = hashlib.sha256()
    for chunk in chunks_of(path):
        digest.update(chunk)
    looked = Looked(kind, width, height, 8 * image.pixels.itemsize, image.pitch_mm)
    return Shown(path, name, digest.hexdigest(), looked, extract(to_float(image.pixels))), image.pixels


def ask(
    engine: Engine,
    pixels: Pixels,
    domain: Known | None,
    name: str,
    turn: AbstractContextManager[Any] = nullcontext(),  # noqa: B008  # it has no state
) -> Tensor:
    """The probabilities (K, H, W) of a picture (H, W, C). domain: whose scale and classes apply.

    turn: held while the network runs.
    """
    of_domain = domain.name if domain else None
    x = engine.prepare(pixels, of_domain, name=name)
    with turn:
        p = engine.predict(x, of_domain)
    return at_size(p, pixels)


def summarise(
    engine: Engine,
    probabilities: Tensor,
    shown: Shown,
    sort: Sorted,
    *,
    weld: str | None = None,
    pitch_mm: float | None = None,
) -> Predicted:
    """An answer in words and numbers.

    The summary holds width, height, pitch_mm, weld, domain, confidence, features and defects: the largest, while
    `defects_left_out` counts the others.
    """
    mask, p = mask_of(probabilities), probabilities.numpy()
    defects, left_out = find_defects(mask, p, engine.reading.classes, pitch_mm)
    summary = {
        "width": shown.looked.width,
        "height": shown.looked.height,
        "pitch_mm": pitch_mm,
        "weld": weld,
        "domain": sort.to_json(),
        "defects": [defect.to_json() for defect in defects],
        "defects_left_out": left_out,
        "confidence": confidence_of(p),
        "features": to_json(shown.features),
    }
    return Predicted(engine.version, summary, mask_file(mask))


def add_prediction(
    session: Session, objects: Shelf, actor: Actor, predicted: Predicted, mask: Stored, sha256: str
) -> Prediction:
    """The row of an answer whose mask was put, within a transaction. sha256: of the picture's file.

    Where the picture is an image that was deleted meanwhile, the row names no mask.
    """
    # Locked: a deletion either is seen here, or waits for this transaction and then takes the mask away.
    image = select(Image.deleted_at).where(Image.sha256 == sha256).with_for_update(read=True)
    deleted = session.scalar(image) is not None
    if not deleted:
        objects.commit(session, mask)
    row = Prediction(
        input_sha256=sha256,
        model_id=find_version(session, predicted.version).id,
        mask_sha256=None if deleted else mask.sha256,
        summary=predicted.summary,
        created_by=actor.name,
    )
    session.add(row)
    return row


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Errors inside call a file by the name that its sender knows."""
    try:
        yield
    except BadInputError as error:
        raise type(error)(str(error).replace(str(path), name)) from error
