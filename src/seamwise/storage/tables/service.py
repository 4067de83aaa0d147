"""What the running service takes in: predictions, their reviews, uploads in pieces."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, utc_now


class UploadState(enum.StrEnum):
    """Where an upload stands: taking pieces, being put together by a job, whole, or given up."""

    OPEN = "open"
    ASSEMBLING = "assembling"
    DONE = "done"
    ABANDONED = "abandoned"


class Prediction(Numbered, Row):
    """An answer of a version about an image; summary: defects, uncertainty, features. The image is kept by policy."""

    __tablename__ = "prediction"
    __table_args__ = (Index(None, "model_id", "id"), Index(None, "image_id", "id"))

    input_sha256: Mapped[str] = mapped_column(index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"), default=None)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), default=None)
    mask_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    summary: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Review(Numbered, Row):
    """An inspector's word on a prediction, and the annotation that came of it."""

    __tablename__ = "review"
    __table_args__ = (Index(None, "prediction_id", "id"),)

    prediction_id: Mapped[int] = mapped_column(ForeignKey("prediction.id"))
    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotation.id"), index=True)
    comment: Mapped[str | None] = mapped_column(default=None)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Upload(Row):
    """A file that comes in pieces; id: a random token; received: bytes so far, on which the next piece compares."""

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint("received >= 0 AND (length IS NULL OR received <= length)", name="received"),
        Index(None, "state", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[UploadState] = mapped_column(default=UploadState.OPEN)
    length: Mapped[int | None] = mapped_column(default=None)
    received: Mapped[int] = mapped_column(default=0)
    about: Mapped[dict[str, Any]]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), default=None)
    object_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    expires_at: Mapped[datetime]


class UploadPart(Row):
    """One piece of an upload. start: its first byte's place in the whole."""

    __tablename__ = "upload_part"

    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    object_sha256: Mapped[str] = mapped_column(ForeignKey("object.sha256"), index=True)
    size: Mapped[int]
