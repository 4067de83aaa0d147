"""Pictures and what is known about them: domains, images, annotations, snapshots, qualification sets."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, utc_now


class Source(enum.StrEnum):
    """How an image came: sent to the running service, or uploaded as part of a set."""

    ONLINE = "online"
    OFFLINE = "offline"


class Side(enum.StrEnum):
    """What an image is used for; once given it never changes."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Origin(enum.StrEnum):
    """Where an annotation comes from: a model alone, a model's that a person accepted, or drawn by a person."""

    MODEL = "model"
    ACCEPTED = "accepted"
    DRAWN = "drawn"


class SnapshotKind(enum.StrEnum):
    """What a snapshot is for."""

    TRAINING = "training"
    QUALIFICATION = "qualification"


class Domain(Numbered, Row):
    """A kind of pictures: one modality, one list of classes. classes: names by class id, background first."""

    __tablename__ = "domain"

    name: Mapped[str] = mapped_column(unique=True)
    modality: Mapped[str]
    classes: Mapped[list[str]]
    ignore: Mapped[int | None] = mapped_column(default=None)
    pitch_mm: Mapped[float | None] = mapped_column(default=None)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Image(Numbered, Row):
    """A picture, known by the hash of its file. Without a domain it waits to be assigned.

    A deleted one stays as a tombstone: its hash and no bytes, so that what remembers it can forget it. guessed: fields
    that were not told but guessed, each with its confidence.
    """

    __tablename__ = "image"
    __table_args__ = (
        CheckConstraint("(deleted_at IS NULL) = (object_sha256 IS NOT NULL)", name="tombstone"),
        Index(None, "domain_id", "id"),
        Index(None, "domain_id", "side", "id"),
        Index(None, "weld", "id"),
        Index(None, "domain_id", "part", "id"),
    )

    sha256: Mapped[str] = mapped_column(unique=True)
    object_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True)
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"), default=None)
    source: Mapped[Source]
    filename: Mapped[str | None] = mapped_column(default=None)
    width: Mapped[int]
    height: Mapped[int]
    bits: Mapped[int]
    modality: Mapped[str | None] = mapped_column(default=None)
    pitch_mm: Mapped[float | None] = mapped_column(default=None)
    weld: Mapped[str | None] = mapped_column(default=None)
    part: Mapped[str | None] = mapped_column(default=None)
    side: Mapped[Side | None] = mapped_column(default=None)
    guessed: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    captured_at: Mapped[datetime | None] = mapped_column(default=None)
    received_by: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    deleted_by: Mapped[str | None] = mapped_column(default=None)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)


class Annotation(Numbered, Row):
    """What an image shows: a mask, or one label for the whole image. The highest number of an image counts.

    Both are empty once the image is deleted. model_id: the version that drew or proposed it.
    """

    __tablename__ = "annotation"
    __table_args__ = (
        CheckConstraint("mask_sha256 IS NULL OR label IS NULL", name="mask_or_label"),
        UniqueConstraint("image_id", "number"),
    )

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    number: Mapped[int]
    origin: Mapped[Origin]
    mask_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    label: Mapped[str | None] = mapped_column(default=None)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"), default=None)
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Snapshot(Numbered, Row):
    """A list of labelled images that never changes. digest: sha256 over its items; spec: how they were chosen."""

    __tablename__ = "snapshot"
    __table_args__ = (Index(None, "kind", "id"),)

    kind: Mapped[SnapshotKind]
    digest: Mapped[str] = mapped_column(index=True)
    size: Mapped[int]
    spec: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class SnapshotItem(Row):
    """One image of a snapshot with the annotation it had; position: place in the order of the images' hashes."""

    __tablename__ = "snapshot_item"
    __table_args__ = (UniqueConstraint("snapshot_id", "image_id"),)

    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), index=True)
    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotation.id"))
    side: Mapped[Side]


class QualificationSet(Numbered, Row):
    """The frozen set on which candidates of a domain are judged; the domain's highest number counts.

    The largest id of all is the qualification version that a verdict names.
    """

    __tablename__ = "qualification_set"
    __table_args__ = (UniqueConstraint("domain_id", "number"),)

    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    number: Mapped[int]
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"))
    reason: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
