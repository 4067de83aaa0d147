"""Reviews: an inspector's word on a prediction, which makes its picture a labelled one of its domain."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.annotations import add_annotation, claim_in, domain_in, mask_file
from seamwise.app.app import App
from seamwise.app.files import as_file, fetch_bytes, shelf
from seamwise.app.images import assign_within, find_image
from seamwise.app.models import find_model, name_of
from seamwise.app.plans import ids_in_line
from seamwise.app.predictions import find_prediction
from seamwise.app.spec import Name, Spec, Text
from seamwise.app.triggers import after_review
from seamwise.errors import BadInputError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import Page, page
from seamwise.storage.tables import Domain, ModelVersion, Origin, Prediction, Review, Role
from seamwise.vision.images import read_mask


class NewReview(Spec):
    """What an inspector says beside a mask: that the prediction is right (`accept`), or one label for all of it.

    domain: where the picture belongs, if it waits to be assigned or was guessed wrongly.
    """

    accept: bool = False
    label: Text | None = None
    domain: Name | None = None
    comment: Text | None = None


def review_prediction(app: App, actor: Actor, prediction_id: int, spec: NewReview, mask: bytes | None = None) -> Review:
    """Takes a review in: just one of a mask file, `accept` and a label. A later review of a picture counts more.

    Raises RefusedError for a picture that was not kept or has no domain, and to `accept` where the version cannot tell
    the domain's classes apart; BadInputError for a mask that does not fit.
    """
    require(actor, Role.INSPECTOR)
    if (mask is not None) + spec.accept + (spec.label is not None) != 1:
        raise BadInputError(f"prediction {prediction_id}: give a mask, `accept` or a label, just one of them")
    with reading(app.database) as session:
        prediction = find_prediction(session, prediction_id)
    if prediction.image_id is None:
        raise RefusedError(f"prediction {prediction_id}: its picture was not kept; upload it, and annotate it there")
    origin = Origin.ACCEPTED if spec.accept else Origin.DRAWN
    with shelf(app) as objects:
        with reading(app.database) as session:
            said = accepted_mask(app, session, prediction, spec.domain) if spec.accept else mask
            claim = claim_in(session, app, objects, prediction.image_id, said, spec.label, spec.domain)
        with writing(app.database) as session:
            if spec.domain is not None:
                assign_within(session, actor, prediction.image_id, spec.domain)
            model_id = prediction.model_id if spec.accept else None
            annotation = add_annotation(session, objects, actor, claim, origin, model_id)
            review = Review(
                prediction_id=prediction_id,
                annotation_id=annotation.id,
                comment=spec.comment,
                created_by=actor.name,
            )
            session.add(review)
            session.flush()
            details = {"annotation": annotation.id, "origin": origin}
            subject = f"prediction/{prediction_id}"
            record(session, actor.name, "prediction.review", subject, details, actor.request_id)
    after_review(app, prediction.image_id)
    return review


def list_reviews(
    app: App, actor: Actor, prediction_id: int, cursor: str | None = None, limit: int = 50
) -> Page[Review]:
    """A page of a prediction's reviews, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        find_prediction(session, prediction_id)
        rows = select(Review).where(Review.prediction_id == prediction_id)
        return page(session, rows, Review.id, cursor=cursor, limit=limit)


def accepted_mask(app: App, session: Session, prediction: Prediction, wished: str | None = None) -> bytes:
    """The prediction's mask in its domain's class ids: those of the version's line may be others. wished: the domain
    that its image will be assigned to."""
    domain = domain_in(session, find_image(session, prediction.image_id or 0), wished)
    version = find_model(session, prediction.model_id)
    if prediction.mask_sha256 is None:
        raise RefusedError(f"prediction {prediction.id}: its mask was deleted; draw one")
    table = _to_domain(version, domain)
    data = fetch_bytes(app, prediction.mask_sha256)
    with as_file(data) as path:
        ids = read_mask(path, len(table))
    unknown = sorted({version.spec["classes"][kind] for kind in np.unique(ids[table[ids] < 0]).tolist()})
    if unknown:
        raise RefusedError(
            f"prediction {prediction.id} shows {', '.join(unknown)}, which its domain does not have: draw the mask"
        )
    return data if (table == np.arange(len(table))).all() else mask_file(table[ids].astype(np.uint8))


def _to_domain(version: ModelVersion, domain: Domain) -> np.ndarray:
    """The domain's class id of each of the version's, -1 where it has none or where several are one to the version."""
    classes = version.spec["classes"]
    ids = ids_in_line(domain.name, domain.classes, name_of(version), classes, version.spec["rule"])
    table = np.full(len(classes), -1)
    for own, kind in enumerate(ids):
        table[kind] = own if ids.count(kind) == 1 else -1
    return table
