"""The images of a snapshot, with all that is needed to write them to disk or to judge a model on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from seamwise.app.annotations import TRUSTED
from seamwise.app.splits import group_of
from seamwise.storage.tables import Annotation, Domain, Image, Side, SnapshotItem

_STEM = 16  # letters of an image's hash that name its files
_COLUMNS = (
    Image.id.label("image_id"),
    Image.sha256,
    Image.width,
    Image.height,
    Image.weld,
    Image.part,
    Image.domain_id,
    Annotation.id.label("annotation_id"),
    Annotation.mask_sha256,
    Annotation.label.label("said"),  # a row has a `label` of its own
)


@dataclass(frozen=True)
class Entry:
    """An image of a snapshot with the annotation it had. mask_sha256: None for one that is background alone.

    position: its place in the snapshot, -1 before there is one. group: the weld or part that it shows.
    """

    image_id: int
    annotation_id: int
    domain_id: int
    position: int
    sha256: str
    mask_sha256: str | None
    width: int
    height: int
    side: Side
    group: str

    @property
    def stem(self) -> str:
        """What its files are called."""
        return self.sha256[:_STEM]


def entries(session: Session, snapshot_id: int) -> list[Entry]:
    """The images of a snapshot in the order of their hashes, without those deleted since."""
    rows = (
        select(*_COLUMNS, SnapshotItem.side, SnapshotItem.position)
        .join(SnapshotItem, SnapshotItem.image_id == Image.id)
        .join(Annotation, Annotation.id == SnapshotItem.annotation_id)
        .where(SnapshotItem.snapshot_id == snapshot_id, Image.deleted_at.is_(None))
        .order_by(SnapshotItem.position)
    )
    return [_entry(row, row.position) for row in session.execute(rows)]


def labelled(
    session: Session, domains: Mapping[int, Domain], side: Side | None = None, unlike: Sequence[int] = ()
) -> Iterator[Entry]:
    """The images of domains with their last trusted annotation, by hash: the same data on every database alike.

    side: of one side only. unlike: without the annotations that these snapshots hold. Whole-image labels count where
    they say background: no other label tells which pixels.
    """
    last = (
        select(Annotation.image_id, func.max(Annotation.number).label("number"))
        .join(Image, Image.id == Annotation.image_id)
        .where(Annotation.origin.in_(TRUSTED), Image.domain_id.in_(domains), Image.deleted_at.is_(None))
        .group_by(Annotation.image_id)
        .subquery()
    )
    rows = (
        select(*_COLUMNS, Image.side)
        .join(last, last.c.image_id == Image.id)
        .join(Annotation, (Annotation.image_id == last.c.image_id) & (Annotation.number == last.c.number))
        .order_by(Image.sha256)
    )
    if side is not None:
        rows = rows.where(Image.side == side)
    if unlike:
        rows = rows.where(Annotation.id.not_in(_annotations_of(unlike)))
    for row in session.execute(rows):
        if row.mask_sha256 is not None or row.said == domains[row.domain_id].classes[0]:
            yield _entry(row, -1)


def digest_of(found: Iterable[Entry], domains: Mapping[int, Domain]) -> str:
    """A sha256 over what a snapshot shows; equal on every database for equal data."""
    digest = hashlib.sha256()
    for entry in found:
        line = f"{entry.sha256} {entry.mask_sha256 or '-'} {entry.side} {domains[entry.domain_id].name}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def _annotations_of(snapshot_ids: Sequence[int]) -> Select[int]:
    return select(SnapshotItem.annotation_id).where(SnapshotItem.snapshot_id.in_(snapshot_ids))


def _entry(row: Any, position: int) -> Entry:
    return Entry(
        image_id=row.image_id,
        annotation_id=row.annotation_id,
        domain_id=row.domain_id,
        position=position,
        sha256=row.sha256,
        mask_sha256=row.mask_sha256,
        width=row.width,
        height=row.height,
        side=row.side,
        group=group_of(row.weld, row.part, row.sha256[:_STEM]),
    )
