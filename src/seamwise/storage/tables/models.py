"""Models: rounds, versions, aliases with their history, evaluations."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, utc_now


class RoundState(enum.StrEnum):
    """Where a round stands; how its training goes is the job's matter."""

    PROPOSED = "proposed"
    STARTED = "started"
    FINISHED = "finished"
    DISMISSED = "dismissed"


class AliasAction(enum.StrEnum):
    """Why an alias changed, or did not: a refused promotion is history too."""

    PROMOTED = "promoted"
    FORCED = "forced"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"


class Round(Numbered, Row):
    """One training of a model line, numbered from 1. cause: what asked for it; figures: what it measured."""

    __tablename__ = "round"
    __table_args__ = (UniqueConstraint("line", "number"), Index(None, "line", "id"))

    line: Mapped[str]
    number: Mapped[int]
    state: Mapped[RoundState]
    cause: Mapped[dict[str, Any]]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"), default=None)
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("snapshot.id"), default=None)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), index=True, default=None)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"), default=None)
    figures: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class ModelVersion(Numbered, Row):
    """A trained model: the weights that serve, and the state from which the next training goes on.

    spec: what builds the network.
    engine: what runs it, for good.
    exported: the artefact that serves where it is not the weights. serving: how it is served, and its self-test.
    r_row: its scores by domain.
    verdict: the gate's last, with its figures, alias sequence and qualification version.
    """

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("line", "number"), Index(None, "line", "id"))

    line: Mapped[str]
    number: Mapped[int]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"), default=None)
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("snapshot.id"), default=None)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), index=True, default=None)
    strategy: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    engine: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(ForeignKey("object.sha256"), index=True)
    state_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    state_has_pixels: Mapped[bool] = mapped_column(default=False)
    exported_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    serving_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    environment: Mapped[dict[str, Any]]
    r_row: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    verdict: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Alias(Row):
    """A name such as `production` for one version; sequence: counts its changes, and promotion compares it."""

    __tablename__ = "alias"

    name: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    sequence: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class AliasHistory(Numbered, Row):
    """One change, or refused change, of an alias: who, when, from, to and why. Append-only.

    sequence: the alias's after a change; a refusal has none.
    """

    __tablename__ = "alias_history"
    __table_args__ = (
        CheckConstraint("(action = 'refused') = (sequence IS NULL)", name="refusal"),
        UniqueConstraint("alias", "sequence"),
        Index(None, "alias", "id"),
    )

    alias: Mapped[str]
    sequence: Mapped[int | None]
    action: Mapped[AliasAction]
    from_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"))
    to_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    reason: Mapped[str]
    verdict: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class Evaluation(Numbered, Row):
    """Scores of one version on one snapshot; artefact: hash of what was run (the exported one will serve)."""

    __tablename__ = "evaluation"
    __table_args__ = (Index(None, "model_id", "snapshot_id", "id"),)

    model_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), default=None)
    engine: Mapped[str]
    artefact_sha256: Mapped[str]
    summary: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class EvaluationImage(Row):
    """Counts of one image in an evaluation, for any statistic made later; position: as in the snapshot."""

    __tablename__ = "evaluation_image"

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluation.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    counts: Mapped[dict[str, Any]]
