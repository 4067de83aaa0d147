"""Sorting an image into a domain by its feature statistics, and the references that this compares with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from seamwise.app.app import App
from seamwise.app.images import fetch_picture
from seamwise.app.splits import group_of
from seamwise.errors import NotFoundError, SeamwiseError
from seamwise.quality.extractor import FEATURES, extract
from seamwise.quality.guess import Reference, describe, guess
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.rows import insert_unless_there
from seamwise.storage.tables import Domain, DomainReference, Image, ImageFeatures
from seamwise.vision.images import read_image, to_float

REFERENCE_IMAGES = 500  # of a domain, enough to know what it looks like
REMEMBERED_S = 5.0
_GROWTH = 1.2  # a reference is made again when its domain has grown or shrunk by this factor
_CHUNK = 20

How = Literal["told", "known", "guessed", "unassigned"]


@dataclass(frozen=True)
class Sorted:
    """The domain of an image. name: None for one that waits to be assigned. how: who says so.

    likely: the domain that comes nearest, with its confidence, where it was not told. unlike_all: unlike every domain.
    """

    name: str | None
    how: How
    likely: str | None = None
    confidence: float = 1.0
    unlike_all: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "how": self.how, "likely": self.likely, "confidence": self.confidence}


@dataclass(frozen=True)
class Known:
    """What is remembered of a domain."""

    id: int
    name: str
    modality: str
    pitch_mm: float | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Atlas:
    """All domains, and the references of those whose images were looked at."""

    domains: Mapping[str, Known]
    references: tuple[Reference, ...]

    def find(self, name: str) -> Known:
        """A domain by its name; NotFoundError when there is none."""
        if name not in self.domains:
            raise NotFoundError(f"domain {name[:64]!r}: there is none of this name; make it first")
        return self.domains[name]

    def sort(self, features: NDArray[np.float64], modality: str | None, least: float) -> Sorted:
        """Guesses an image's domain, among those of a modality where one is told. least: confidence to go by it."""
        same = [
            reference
            for reference in self.references
            if modality is None or self.domains[reference.domain].modality.lower() == modality.lower()
        ]
        if not same:
            return Sorted(None, "unassigned", confidence=0.0, unlike_all=bool(self.references))
        found = guess(same, features)
        confidence = round(found.confidence, 4)
        if found.unlike_all or found.confidence < least:
            return Sorted(None, "unassigned", found.domain, confidence, found.unlike_all)
        return Sorted(found.domain, "guessed", found.domain, confidence)


class Guesser:
    """Remembers the atlas for some seconds; while the database is away, for as long as that takes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = Lock()
        self._atlas: Atlas | None = None
        self._read_at = 0.0

    def atlas(self, needed: str | None = None) -> Atlas:
        """All domains. needed: a name that an older atlas may lack. UnavailableError before the first was read."""
        with self._lock:
            known = self._atlas
            fresh = known is not None and time.monotonic() - self._read_at < REMEMBERED_S
            if known is not None and fresh and (needed is None or needed in known.domains):
                return known
            self._read_at = time.monotonic()  # also when it fails: not every request may wait for a lost connection
            try:
                with reading(self._app.database) as session:
                    known = self._atlas = read_atlas(session)
            except UnavailableError:
                if known is None:
                    raise
            return known


def read_atlas(session: Session) -> Atlas:
    """All domains and references as they are now."""
    domains = {
        row.name: Known(row.id, row.name, row.modality, row.pitch_mm, tuple(row.classes))
        for row in session.scalars(select(Domain).order_by(Domain.name))
    }
    names = {domain.id: domain.name for domain in domains.values()}
    rows = session.scalars(select(DomainReference))
    references = {names[row.domain_id]: Reference.from_json(row.state) for row in rows}
    return Atlas(domains, tuple(references[name] for name in sorted(references)))


def features_of(path: Path) -> NDArray[np.float64]:
    """The feature statistics of a picture file, (F,)."""
    return extract(to_float(read_image(path).pixels))


def to_json(features: NDArray[np.float64]) -> dict[str, float]:
    """Features by name, as they are stored."""
    return dict(zip(FEATURES, features.tolist(), strict=True))


def from_json(stored: Mapping[str, float]) -> NDArray[np.float64]:
    """The features (F,) of what `to_json` made."""
    return np.array([stored[name] for name in FEATURES])


def keep_features(session: Session, image_id: int, features: NDArray[np.float64]) -> None:
    """Stores an image's features, unless they are there."""
    insert_unless_there(session, ImageFeatures(image_id=image_id, features=to_json(features)))


def refresh_references(app: App) -> list[str]:
    """Describes every domain that is new, or has grown or shrunk by a fifth; the names of those described.

    A domain without any image left is forgotten. Features that are not stored yet are extracted from the images, which
    may take minutes after a large import.
    """
    with reading(app.database) as session:
        domains = list(session.scalars(select(Domain).order_by(Domain.id)))
        counts = _count(session)
        known = {row.domain_id: row.images for row in session.scalars(select(DomainReference))}
    done = []
    for domain in domains:
        images, before = counts.get(domain.id, 0), known.get(domain.id, 0)
        if images == 0 < before:
            _forget(app, domain)
        elif images and (images >= _GROWTH * before or before >= _GROWTH * images) and _refresh(app, domain, images):
            done.append(domain.name)
    return done


def _count(session: Session) -> dict[int, int]:
    """Images by domain: all less the tombstones, which hold no bytes, so that indexes alone are read."""
    rows = select(Image.domain_id, func.count()).where(Image.domain_id.is_not(None)).group_by(Image.domain_id)
    deleted = dict(session.execute(rows.where(Image.object_sha256.is_(None))).all())
    return {number: count - deleted.get(number, 0) for number, count in session.execute(rows) if number is not None}


def read_features(session: Session, domain_id: int) -> tuple[NDArray[np.float64], list[str]]:
    """(N, F) features of up to `REFERENCE_IMAGES` images of a domain in the order they came, and their welds."""
    rows = _chosen(session, domain_id)
    stored = {row.image_id: row.features for row in session.scalars(_features([image.id for image in rows]))}
    seen = sorted((image for image in rows if image.id in stored), key=lambda image: image.id)
    features = np.array([from_json(stored[image.id]) for image in seen]).reshape(len(seen), len(FEATURES))
    return features, [weld_of(image.weld, image.part, image.sha256) for image in seen]


def weld_of(weld: str | None, part: str | None, sha256: str) -> str:
    """What counts as one observation: a weld, else a part, else the picture."""
    return group_of(weld, part, sha256[:16])


def _refresh(app: App, domain: Domain, images: int) -> bool:
    """Describes a domain; False where nothing could be seen in its images."""
    with reading(app.database) as session:
        rows = _chosen(session, domain.id)
        there = {row.image_id for row in session.scalars(_features([image.id for image in rows]))}
    missing = [image for image in rows if image.id not in there]
    for start in range(0, len(missing), _CHUNK):
        _extract(app, missing[start : start + _CHUNK])
    with reading(app.database) as session:
        features, welds = read_features(session, domain.id)
    if not len(features):
        return False
    state = describe(domain.name, features, welds).to_json()
    with writing(app.database) as session:
        row = session.get(DomainReference, domain.id)
        if row is None:
            insert_unless_there(session, DomainReference(domain_id=domain.id, state=state, images=images))
        else:
            row.state, row.images, row.made_at = state, images, utc_now()
    return True


def _forget(app: App, domain: Domain) -> None:
    """Nothing is sorted any more into a domain whose images were all deleted or sorted elsewhere."""
    with writing(app.database) as session:
        changed(session, delete(DomainReference).where(DomainReference.domain_id == domain.id))


def _extract(app: App, images: Sequence[Image]) -> None:
    made = {}
    with TemporaryDirectory(prefix="seamwise-") as folder:
        for image in images:
            try:
                path = fetch_picture(app, image.sha256, Path(folder), image.sha256)
                made[image.id] = features_of(path)
                path.unlink()
            except UnavailableError:
                raise
            except SeamwiseError:  # deleted meanwhile, or a picture that says nothing
                continue
    with writing(app.database) as session:
        for number, features in made.items():
            keep_features(session, number, features)


def _chosen(session: Session, domain_id: int) -> list[Image]:
    """By hash: as good as drawn by lot, and the same on every database."""
    rows = select(Image).where(Image.domain_id == domain_id, Image.deleted_at.is_(None))
    return list(session.scalars(rows.order_by(Image.sha256).limit(REFERENCE_IMAGES)))


def _features(images: Sequence[int]) -> Any:
    return select(ImageFeatures).where(ImageFeatures.image_id.in_(images))
