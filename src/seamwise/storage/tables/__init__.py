"""The tables, one module for each part of the platform; `seamwise.storage.columns` has their column types."""

from sqlalchemy import BigInteger

from seamwise.storage.columns import Row
from seamwise.storage.tables.access import AuditEvent, IdempotencyKey, Key, Role
from seamwise.storage.tables.data import (
    Annotation,
    Domain,
    Image,
    Origin,
    QualificationSet,
    Side,
    Snapshot,
    SnapshotItem,
    SnapshotKind,
    Source,
)
from seamwise.storage.tables.jobs import Job, JobLog, JobState
from seamwise.storage.tables.models import (
    Alias,
    AliasAction,
    AliasHistory,
    Evaluation,
    EvaluationImage,
    ModelVersion,
    Round,
    RoundState,
)
from seamwise.storage.tables.objects import StoredObject
from seamwise.storage.tables.service import (
    DomainProposal,
    DomainReference,
    DriftMonitor,
    ImageFeatures,
    Prediction,
    ProposalState,
    Review,
    Upload,
    UploadPart,
    UploadState,
)

for table in Row.metadata.tables.values():
    if "id" in table.columns:
        # Else SQLite gives the number of a deleted last row again.
        table.dialect_options["sqlite"]["autoincrement"] = isinstance(table.columns["id"].type, BigInteger)

# Rows that record what was: neither the application nor the database changes or deletes them.
APPEND_ONLY = (AuditEvent, AliasHistory, Snapshot, SnapshotItem, QualificationSet)

__all__ = [
    "APPEND_ONLY",
    "Alias",
    "AliasAction",
    "AliasHistory",
    "Annotation",
    "AuditEvent",
    "Domain",
    "DomainProposal",
    "DomainReference",
    "DriftMonitor",
    "Evaluation",
    "EvaluationImage",
    "IdempotencyKey",
    "Image",
    "ImageFeatures",
    "Job",
    "JobLog",
    "JobState",
    "Key",
    "ModelVersion",
    "Origin",
    "Prediction",
    "ProposalState",
    "QualificationSet",
    "Review",
    "Role",
    "Round",
    "RoundState",
    "Side",
    "Snapshot",
    "SnapshotItem",
    "SnapshotKind",
    "Source",
    "StoredObject",
    "Upload",
    "UploadPart",
    "UploadState",
]
