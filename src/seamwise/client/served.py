"""Records of models: how they learned, what they answer, and whether their domains drift."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from seamwise.client.records import Record


class Strategy(Record):
    """A way to learn without forgetting. parameters: their JSON schema."""

    name: str
    title: str
    parameters: dict[str, Any]


class Model(Record):
    """A trained version. version: LINE/NUMBER. r_row: its score by domain; verdict: the gate's last, with its figures.

    The sha256 are of its files.
    """

    id: int
    version: str
    line: str
    number: int
    parent_id: int | None
    snapshot_id: int | None
    job_id: int | None
    strategy: dict[str, Any]
    spec: dict[str, Any]
    engine: str
    weights_sha256: str
    state_sha256: str | None
    exported_sha256: str | None
    r_row: dict[str, float | None] | None
    verdict: dict[str, Any] | None
    created_by: str
    created_at: datetime


class ForgettingRow(Record):
    """A version's scores in the order of the table's domains, after it learned one of them."""

    version: str
    learned: str
    scores: list[float | None]


class Forgetting(Record):
    """The R matrix of a line's newest version and its ancestors; forgetting: best score before minus the last one."""

    line: str
    domains: list[str]
    rows: list[ForgettingRow]
    average: float | None
    forgetting: list[float | None]
    mean_forgetting: float | None


class Round(Record):
    """A numbered training of a line. cause: what asked for it, and its domain; figures: what was measured after."""

    id: int
    line: str
    number: int
    state: str
    cause: dict[str, Any]
    parent_id: int | None
    job_id: int | None
    model_id: int | None
    figures: dict[str, Any] | None
    created_at: datetime


class Evaluation(Record):
    """Scores of a version on a qualification set's snapshot."""

    id: int
    model_id: int
    snapshot_id: int
    engine: str
    artefact_sha256: str
    summary: dict[str, Any]
    created_at: datetime


class Alias(Record):
    """A name for one version. sequence: counts its changes."""

    name: str
    version: str
    sequence: int
    changed_at: datetime


class Change(Record):
    """A change of an alias, or a refused one. verdict: the gate's, with its figures."""

    id: int
    sequence: int | None
    action: str
    before: str | None
    after: str
    reason: str
    verdict: dict[str, Any] | None
    actor: str
    at: datetime


class Defect(Record):
    """A region of one class. box: left, top, width and height in pixels; probability: the largest in it."""

    class_name: str = Field(alias="class")
    area_px: int
    area_mm2: float | None
    box: tuple[int, int, int, int]
    probability: float


class DomainWord(Record):
    """A picture's domain. how: told, known, guessed or unassigned; likely: the nearest, where it is not told."""

    name: str | None
    how: str
    likely: str | None
    confidence: float


class Prediction(Record):
    """An answer. version: what answered, as LINE/NUMBER; id: None where nothing was stored.

    image: the number of the kept picture. confidence: how clearly the answer says yes or no, from 0.5 to 1.
    defects: the largest; `defects_left_out` counts the others.
    """

    id: int | None
    version: str
    image: int | None
    batch: int | None
    width: int
    height: int
    pitch_mm: float | None
    weld: str | None
    domain: DomainWord
    confidence: float
    defects: list[Defect]
    defects_left_out: int
    created_by: str
    created_at: datetime


class Review(Record):
    """An inspector's word on a prediction, and the annotation that came of it."""

    id: int
    prediction_id: int
    annotation_id: int
    comment: str | None
    created_by: str
    created_at: datetime


class Batch(Record):
    """Predictions of many images, made by the job of the same number. predictions: made so far."""

    id: int
    state: str
    version: str
    images: int
    predictions: int
    result: dict[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class Moved(Record):
    """A feature that speaks for drift; up: whether it grew."""

    feature: str
    up: bool
    evidence: float


class Evidence(Record):
    """What speaks for drift: an alarm when `value` reaches `threshold`, the images between two false alarms."""

    value: float
    threshold: float
    alarm: bool
    moved: list[Moved]
    images: int
    welds: int


class Alarm(Evidence):
    """The evidence when an alarm began. prediction: at which; round: the round that it asked for."""

    prediction: int
    round: int | None = None


class Watch(Record):
    """The watch over a domain. reference: welds that it compares with."""

    domain: str
    evidence: Evidence
    alarm: Alarm | None
    reference: int
    changed_at: datetime


class Proposal(Record):
    """Unassigned images that are alike and unlike every domain. domain_id: the domain that was made of them."""

    id: int
    state: str
    figures: dict[str, Any]
    domain_id: int | None
    created_at: datetime
    closed_by: str | None
    closed_at: datetime | None
