"""What the API answers with, as records: read-only, with the fields this version knows; later ones are passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """The base of all records."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Domain(Record):
    """A kind of pictures. classes: names by class id, background first. ignore: mask value that counts nowhere."""

    name: str
    modality: str
    classes: list[str]
    ignore: int | None
    pitch_mm: float | None
    created_by: str
    created_at: datetime


class Image(Record):
    """A picture. domain: none while it waits to be assigned; side: train, val or test, for good.

    guessed: fields that were not told, each with its confidence. deleted_at: only its hash is left.
    """

    id: int
    sha256: str
    domain: str | None
    source: str
    filename: str | None
    width: int
    height: int
    bits: int
    modality: str | None
    pitch_mm: float | None
    weld: str | None
    part: str | None
    side: str | None
    guessed: dict[str, Any] | None
    captured_at: datetime | None
    received_by: str
    received_at: datetime
    deleted_at: datetime | None


class Annotation(Record):
    """What somebody said of an image: a mask (its address), or a label. The highest number by a person counts."""

    id: int
    number: int
    origin: str
    mask: str | None
    label: str | None
    model_id: int | None
    made_by: str
    made_at: datetime


class Snapshot(Record):
    """A list of labelled images that never changes. digest: equal for equal data; size: images."""

    id: int
    kind: str
    digest: str
    size: int
    spec: dict[str, Any]
    created_by: str
    created_at: datetime


class QualificationSet(Record):
    """The frozen set on which a domain's candidates are judged; the highest number of the domain counts."""

    domain: str
    number: int
    snapshot_id: int
    size: int
    reason: str
    created_by: str
    created_at: datetime


class Job(Record):
    """Work that takes time. progress: `fraction` from 0 to 1 and figures; result: once it succeeded."""

    id: int
    kind: str
    state: str
    queue: str
    line: str | None
    spec: dict[str, Any]
    attempt: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.finished_at is not None


class LogLine(Record):
    """A line that a job wrote."""

    id: int
    attempt: int
    level: str
    text: str
    at: datetime


class Key(Record):
    """A key to the API, without the key itself."""

    id: int
    name: str
    role: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKey(Record):
    """A new key. token: the key itself; this is the only time it is shown."""

    key: Key
    token: str


class Event(Record):
    """Something done. actor: such as `key/3`; subject: the record, such as `job/12`."""

    id: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any] | None
    request_id: str | None
    at: datetime


class Readiness(Record):
    """Whether the service can do its work. status: ready; late: jobs wait too long; away: a store does not answer."""

    status: str
    database: str
    objects: str
    oldest_queued_s: float | None
    heartbeat_age_s: float | None
    serving: str | None = None
    loading: str | None = None
