"""What the running service takes in and learns of it: predictions, reviews, uploads in pieces, feature statistics."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, partial_index, utc_now


class UploadState(enum.StrEnum):
    """Where an upload stands: taking pieces, being put together by a job, whole, or given up."""

    OPEN = "open"
    ASSEMBLING = "assembling"
    DONE = "done"
    ABANDONED = "abandoned"


class ProposalState(enum.StrEnum):
    """Where a proposal of a new domain stands."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Prediction(Numbered, Row):
    """An answer of a version about an image; summary: defects, confidence, features. The image is kept by policy.

    domain_id: told or guessed. watched: whether the drift of its domain has counted it, or never will.
    """

    __tablename__ = "prediction"
    __table_args__ = (
        Index(None, "model_id", "id"),
        Index(None, "image_id", "id"),
        Index(None, "domain_id", "id"),
        Index(None, "job_id", "id"),
        partial_index("ix_prediction_unwatched", ["domain_id", "id"], "NOT watched"),
    )

    input_sha256: Mapped[str] = mapped_column(index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"), default=None)
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"), default=None)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), default=None)
    mask_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    summary: Mapped[dict[str, Any]]
    watched: Mapped[bool] = mapped_column(default=False)
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
    """A file that comes in pieces, or an export's archive.

    id: a random token, or `export-<job>`; received: bytes so far, on which the next piece compares.
    """

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


class ImageFeatures(Row):
    """Feature statistics of an image, by name; made once, by the fixed extractor."""

    __tablename__ = "image_features"

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    features: Mapped[dict[str, Any]]


class DomainReference(Row):
    """What a domain's images look like, for guessing; images: how many there were when it was made."""

    __tablename__ = "domain_reference"

    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"), primary_key=True)
    state: Mapped[dict[str, Any]]
    images: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class DriftMonitor(Row):
    """The watch over a domain. sequence: counts its changes, for compare-and-set; alarm: evidence of the open one."""

    __tablename__ = "drift_monitor"

    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"), primary_key=True)
    state: Mapped[dict[str, Any]]
    evidence: Mapped[dict[str, Any]]
    sequence: Mapped[int] = mapped_column(default=1)
    alarm: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    calibrated_by: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class DomainProposal(Numbered, Row):
    """Unassigned images that are alike and unlike every domain. figures: their numbers, and how far they are off."""

    __tablename__ = "domain_proposal"
    __table_args__ = (Index(None, "state", "id"),)

    state: Mapped[ProposalState] = mapped_column(default=ProposalState.PROPOSED)
    figures: Mapped[dict[str, Any]]
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"), default=None)
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    closed_by: Mapped[str | None] = mapped_column(default=None)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
