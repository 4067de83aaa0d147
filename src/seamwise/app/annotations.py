"""Annotations: what an image shows, from whom, and all that was said before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.files import Shelf, as_file, shelf
from seamwise.app.images import find_image
from seamwise.app.pictures import PictureLimits, look_at_mask
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import Stored, read_whole
from seamwise.storage.rows import Page, page
from seamwise.storage.tables import Annotation, Domain, Image, Origin, Role
from seamwise.vision.png import encode_png

# Whose word a training or a judgement takes: what a model alone said is a proposal.
TRUSTED = (Origin.ACCEPTED, Origin.DRAWN)


@dataclass(frozen=True)
class Claim:
    """What somebody says an image of a domain shows, checked: a mask whose bytes were put, or a label."""

    image_id: int
    domain_id: int
    mask: Stored | None
    label: str | None


def annotate(
    app: App,
    actor: Actor,
    image_id: int,
    mask: bytes | None,
    label: str | None,
    origin: Origin,
    model_id: int | None = None,
) -> Annotation:
    """Says what an image shows: a mask file (PNG or TIFF of class ids), or one class name for all of it.

    Raises BadInputError (413, 415) for a mask of another size or with ids that are no class, RefusedError for an image
    without a domain, or sorted into another one while the mask was looked at.
    """
    require(actor, Role.INSPECTOR)
    with shelf(app) as objects:
        with reading(app.database) as session:
            claim = claim_in(session, app, objects, image_id, mask, label)
        with writing(app.database) as session:
            return add_annotation(session, objects, actor, claim, origin, model_id)


def claim_in(
    session: Session,
    app: App,
    objects: Shelf,
    image_id: int,
    mask: bytes | None,
    label: str | None,
    wished: str | None = None,
) -> Claim:
    """Checks a mask or label against an image and its domain, and puts the mask.

    wished: the domain that the image will be assigned to, within the transaction that adds the claim.
    """
    if (mask is None) == (label is None):
        raise BadInputError(f"image {image_id}: give a mask or a label, one of them")
    image = find_image(session, image_id)
    domain = domain_in(session, image, wished)
    if mask is None:
        if label not in domain.classes:
            raise BadInputError(
                f"label {str(label)[:64]!r}: {domain.name} has no such class; it has {', '.join(domain.classes)}"
            )
        return Claim(image_id, domain.id, None, label)
    with as_file(mask) as path:
        ids = look_at_mask(
            path,
            "the mask",
            PictureLimits.of(app.settings),
            len(domain.classes),
            domain.ignore,
            (image.height, image.width),
        )
    return Claim(image_id, domain.id, objects.put([mask_file(ids)]), None)


def domain_in(session: Session, image: Image, wished: str | None = None) -> Domain:
    """The domain whose classes a claim on an image names: the one wished, else the image's own."""
    if wished is not None:
        return find_domain(session, wished)
    if image.domain_id is None:
        raise RefusedError(f"image {image.id}: it has no domain, whose classes a mask could name; assign it first")
    return session.get_one(Domain, image.domain_id)


def mask_file(ids: NDArray[np.uint8]) -> bytes:
    """The one file of a mask (H, W): the same ids have the same bytes, whatever program saved them."""
    return encode_png(ids[:, :, None])


def add_annotation(
    session: Session,
    objects: Shelf,
    actor: Actor,
    claim: Claim,
    origin: Origin,
    model_id: int | None = None,
    *,
    audited: bool = True,
) -> Annotation:
    """Adds a checked claim to an image's history, within a transaction. audited: as for `images.add_image`."""
    # Two at once number themselves one after the other: the second waits for the image's row.
    image = find_image(session, claim.image_id, lock=True)
    if image.domain_id != claim.domain_id:
        raise RefusedError(f"image {image.id}: it was sorted into another domain meanwhile; look at it, and try again")
    if claim.mask is not None:
        objects.commit(session, claim.mask)
    last = session.scalar(select(func.max(Annotation.number)).where(Annotation.image_id == claim.image_id)) or 0
    row = Annotation(
        image_id=claim.image_id,
        number=last + 1,
        origin=origin,
        mask_sha256=None if claim.mask is None else claim.mask.sha256,
        label=claim.label,
        model_id=model_id,
        made_by=actor.name,
    )
    session.add(row)
    session.flush()
    if audited:
        details = {"annotation": row.id, "origin": origin}
        record(session, actor.name, "image.annotate", f"image/{claim.image_id}", details, actor.request_id)
    return row


def newest_trusted(session: Session, image_id: int) -> Annotation | None:
    """What counts for an image: the last that a person drew or accepted."""
    said = select(Annotation).where(Annotation.image_id == image_id, Annotation.origin.in_(TRUSTED))
    return session.scalar(said.order_by(Annotation.number.desc()).limit(1))


def list_annotations(
    app: App, actor: Actor, image_id: int, cursor: str | None = None, limit: int = 50
) -> Page[Annotation]:
    """A page of an image's annotations, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        find_image(session, image_id, deleted=True)
        rows = select(Annotation).where(Annotation.image_id == image_id)
        return page(session, rows, Annotation.id, cursor=cursor, limit=limit)


def read_mask_file(app: App, actor: Actor, image_id: int, number: int) -> bytes:
    """The mask of an image's annotation as a PNG of class ids; NotFoundError when there is none."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        find_image(session, image_id)
        sha256 = session.scalar(
            select(Annotation.mask_sha256).where(Annotation.image_id == image_id, Annotation.number == number)
        )
        if sha256 is None:
            raise NotFoundError(f"image {image_id}: no annotation {number} with a mask")
        stored = find_object(session, sha256)
    return read_whole(app.objects, stored)
