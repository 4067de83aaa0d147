"""Predictions: a picture answered at once by the version that serves, sorted into a domain, and kept by policy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Semaphore
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.answering import Predicted, Shown, add_prediction, ask, show, summarise
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.files import chunks_of, fetch_bytes, shelf
from seamwise.app.guessing import Guesser, Known, Sorted, keep_features
from seamwise.app.images import Arrival, ImageAbout, add_image
from seamwise.app.models import find_model, name_of
from seamwise.app.spec import Moment, Name, Spec, Text
from seamwise.errors import NotFoundError
from seamwise.serving import NotServingError, Server
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.rows import LARGEST_ID, page
from seamwise.storage.tables import Domain, Image, Prediction, Role, Source

LOG = logging.getLogger(__name__)


class PredictionAbout(Spec):
    """What is told of a picture to predict; what is missing is read from the file or guessed."""

    domain: Name | None = None
    modality: Text | None = None
    pitch_mm: Annotated[float, Field(gt=0, le=100)] | None = None
    weld: Text | None = None
    captured_at: Moment | None = None
    filename: Annotated[str, Field(max_length=1000)] | None = None


@dataclass(frozen=True)
class Answer:
    """A prediction. version: `LINE/NUMBER` of what answered. id: None where it could not be stored.

    image: under which its picture is kept. batch: the job that it belongs to. summary: see `answering.summarise`.
    """

    id: int | None
    version: str
    image: int | None
    batch: int | None
    summary: dict[str, Any]
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Answers:
    """A page of predictions."""

    items: tuple[Answer, ...]
    next: str | None


class Predictor:
    """Answers pictures with what a server serves; one for each process.

    At most `predict_threads` networks run at a time, however many ask: the rest of the service keeps its processors.
    """

    def __init__(self, app: App, server: Server | None) -> None:
        self.app, self.server, self.guesser = app, server, Guesser(app)
        self._turns = Semaphore(app.settings.predict_threads)

    def predict(self, actor: Actor, path: Path, about: PredictionAbout) -> tuple[Answer, bytes]:
        """The answer to a picture file, and the PNG of its mask.

        While the database or the object store is away it is answered all the same, and not stored. Raises
        WrongTypeError, TooLargeError and BadInputError for the file, NotFoundError for an unknown domain,
        NotServingError without a version.
        """
        require(actor, Role.INSPECTOR)
        if self.server is None:
            raise NotServingError("this process serves no version: start it with `seamwise serve`")
        shown, pixels = show(path, about.filename or "the picture", self.app.settings)
        sort, domain = self._sort(shown, about)
        pitch_mm = about.pitch_mm or shown.looked.pitch_mm or (domain.pitch_mm if domain else None)
        with self.server.pin() as engine:
            probabilities = ask(engine, pixels, domain, shown.name, self._turns)
            predicted = summarise(engine, probabilities, shown, sort, weld=about.weld, pitch_mm=pitch_mm)
        sight = Sight(shown, about, sort, domain, predicted)
        try:
            return _store(self.app, actor, sight), predicted.mask
        except UnavailableError as error:
            LOG.warning("a prediction could not be stored: %s", error)
        return Answer(None, predicted.version, None, None, predicted.summary, actor.name, utc_now()), predicted.mask

    def _sort(self, shown: Shown, about: PredictionAbout) -> tuple[Sorted, Known | None]:
        """The picture's domain: the one told, else the one under which it is known, else a guess."""
        if about.domain is not None:
            return Sorted(about.domain, "told"), self.guesser.atlas(about.domain).find(about.domain)
        name = self._known(shown.sha256)
        atlas = self.guesser.atlas(name)
        if name is not None and (known := atlas.domains.get(name)):
            return Sorted(known.name, "known"), known
        sort = atlas.sort(shown.features, about.modality, self.app.settings.guess_confidence)
        return sort, atlas.domains[sort.name] if sort.name else None

    def _known(self, sha256: str) -> str | None:
        rows = select(Domain.name).join(Image, Image.domain_id == Domain.id).where(Image.sha256 == sha256)
        try:
            with reading(self.app.database) as session:
                return session.scalar(rows)
        except UnavailableError:
            return None


@dataclass(frozen=True)
class Sight:
    """A picture that was answered, with all that is to be stored of it."""

    shown: Shown
    about: PredictionAbout
    sort: Sorted
    domain: Known | None
    predicted: Predicted


def _store(app: App, actor: Actor, sight: Sight) -> Answer:
    shown, domain, predicted = sight.shown, sight.domain, sight.predicted
    kept = keeps(app.settings, shown.sha256, predicted.summary["confidence"], sight.sort)
    with shelf(app) as objects:
        mask = objects.put([predicted.mask])
        picture = objects.put(chunks_of(shown.path)) if kept else None
        with writing(app.database) as session:
            image = None
            if picture is not None and not _was_deleted(session, shown.sha256):
                image = add_image(session, objects, actor, Arrival(picture, shown.looked, told_of(sight)))
                keep_features(session, image.id, shown.features)
            # After the image, whose domain is locked before it everywhere.
            row = add_prediction(session, objects, actor, predicted, mask, shown.sha256)
            row.image_id = image.id if image else None
            row.domain_id = domain.id if domain else None
            row.watched = domain is None  # drift is a domain's
            session.flush()
            return _answer(row, predicted.version)


def keeps(settings: Settings, sha256: str, confidence: float, sort: Sorted) -> bool:
    """Whether the policy keeps a picture. One that no domain claims is as uncertain as can be."""
    match settings.keep_predictions:
        case "uncertain":
            return confidence < settings.uncertain_below or sort.name is None
        case "sampled":  # by its hash: the same picture is kept on every try or on none
            return int(sha256[:13], 16) < settings.sample_rate * 16**13
    return settings.keep_predictions == "all"


def told_of(sight: Sight) -> ImageAbout:
    """What is kept of an image beside its pixels; what was guessed is marked so, with its confidence."""
    about, sort, domain = sight.about, sight.sort, sight.domain
    guessed: dict[str, Any] = {}
    if sort.how in ("guessed", "unassigned"):
        guessed["domain"] = {"name": sort.likely, "confidence": sort.confidence, "unlike_all": sort.unlike_all}
    modality = about.modality
    if modality is None and domain is not None:
        modality = domain.modality
        if sort.how == "guessed":
            guessed["modality"] = {"name": modality, "confidence": sort.confidence}
    return ImageAbout(
        source=Source.ONLINE,
        domain=domain.name if domain else None,
        filename=about.filename,
        modality=modality,
        pitch_mm=sight.predicted.summary["pitch_mm"],
        weld=about.weld,
        captured_at=about.captured_at,
        guessed=guessed or None,
    )


def list_predictions(
    app: App,
    actor: Actor,
    *,
    domain: str | None = None,
    batch: int | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Answers:
    """A page of predictions, newest first. batch: the job that made them."""
    require(actor, Role.VIEWER)
    rows = select(Prediction)
    with reading(app.database) as session:
        if domain is not None:
            rows = rows.where(Prediction.domain_id == find_domain(session, domain).id)
        if batch is not None:
            rows = rows.where(Prediction.job_id == batch)
        found = page(session, rows, Prediction.id, cursor=cursor, limit=limit)
        return Answers(tuple(_answer(row, _version(session, row)) for row in found.items), found.next)


def get_prediction(app: App, actor: Actor, prediction_id: int) -> Answer:
    """One prediction."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        row = find_prediction(session, prediction_id)
        return _answer(row, _version(session, row))


def read_mask_file(app: App, actor: Actor, prediction_id: int) -> bytes:
    """The PNG of a prediction's mask: class ids of the version that answered."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        sha256 = find_prediction(session, prediction_id).mask_sha256
    if sha256 is None:
        raise NotFoundError(f"prediction {prediction_id}: its mask was deleted with its image")
    return fetch_bytes(app, sha256)


def find_prediction(session: Session, prediction_id: int) -> Prediction:
    """The prediction of a number, within a transaction; NotFoundError when there is none."""
    row = session.get(Prediction, prediction_id) if 0 < prediction_id <= LARGEST_ID else None
    if row is None:
        raise NotFoundError(f"prediction {prediction_id}: there is none of this number")
    return row


def _was_deleted(session: Session, sha256: str) -> bool:
    gone = select(Image.id).where(Image.sha256 == sha256, Image.deleted_at.is_not(None))
    return session.scalar(gone) is not None


def _version(session: Session, row: Prediction) -> str:
    return name_of(find_model(session, row.model_id))


def _answer(row: Prediction, version: str) -> Answer:
    return Answer(row.id, version, row.image_id, row.job_id, row.summary, row.created_by, row.created_at)
