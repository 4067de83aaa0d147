"""Images: taking them in, sorting them into domains, showing them, deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.files import Shelf, as_file, fetch, shelf
from seamwise.app.limits import TooLargeError
from seamwise.app.pictures import SUFFIXES, Looked, PictureLimits, format_of, look
from seamwise.app.spec import Moment, Name, Spec, Text
from seamwise.app.splits import choose_side, take_turns
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.object_rows import find_object, release_object
from seamwise.storage.object_store import Stored
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Annotation, Domain, Image, Prediction, Role, Side, SnapshotItem, Source

MOST_AT_ONCE = 500


class ImageAbout(Spec):
    """What is told of an image. guessed: the fields that were guessed, each with its confidence. side: as its set's own
    lists have it; a weld whose other images have a side keeps that."""

    source: Source = Source.OFFLINE
    domain: str | None = None
    filename: Annotated[str, Field(max_length=1000)] | None = None
    modality: Text | None = None
    pitch_mm: Annotated[float, Field(gt=0, le=100)] | None = None
    weld: Text | None = None
    part: Text | None = None
    captured_at: Moment | None = None
    guessed: dict[str, Any] | None = None
    side: Side | None = None


class Assignment(Spec):
    """The domain that an image belongs to."""

    domain: Name


@dataclass(frozen=True)
class Arrival:
    """An image that was looked at and put: its bytes, what it is, and what is told of it."""

    stored: Stored
    looked: Looked
    about: ImageAbout


def receive(app: App, actor: Actor, content: Path | bytes, about: ImageAbout) -> Image:
    """Takes an image in, or gives the known row of the same content; without a domain it waits to be assigned.

    Raises WrongTypeError, TooLargeError and BadInputError for what is no picture, too large or damaged, RefusedError
    for one that was deleted.
    """
    return receive_all(app, actor, [(content, about)])[0]


def receive_all(app: App, actor: Actor, sent: Sequence[tuple[Path | bytes, ImageAbout]]) -> list[Image]:
    """Takes images in, all or none; see `receive`."""
    require(actor, Role.INSPECTOR)
    if len(sent) > MOST_AT_ONCE:
        raise TooLargeError(f"{len(sent)} files at once, more than {MOST_AT_ONCE}; send them in several requests")
    limits = PictureLimits.of(app.settings)
    with ExitStack() as open_files, shelf(app) as objects:
        files = [(open_files.enter_context(as_file(content)), about) for content, about in sent]
        looked = [look(path, about.filename or "the picture", limits) for path, about in files]
        arrivals = [
            Arrival(objects.put_file(path), seen, about) for (path, about), seen in zip(files, looked, strict=True)
        ]
        with writing(app.database) as session:
            # In one order, so that two requests with the same pictures never wait for each other in a circle.
            for name in sorted({about.domain for _, about in sent if about.domain is not None}):
                take_turns(session, find_domain(session, name))
            rows = {
                arrival.stored.sha256: add_image(session, objects, actor, arrival)
                for arrival in sorted(arrivals, key=lambda arrival: arrival.stored.sha256)
            }
            return [rows[arrival.stored.sha256] for arrival in arrivals]


def add_image(session: Session, objects: Shelf, actor: Actor, arrival: Arrival, *, audited: bool = True) -> Image:
    """The row of an image that was put, within a transaction: a new one, or that of the same content.

    audited: with an event of its own, which the images of an import have not.
    """
    stored, looked, about = arrival.stored, arrival.looked, arrival.about
    domain = None if about.domain is None else take_turns(session, find_domain(session, about.domain))
    objects.commit(session, stored)
    image = Image(
        sha256=stored.sha256,
        object_sha256=stored.sha256,
        source=about.source,
        filename=_plain_name(about.filename),
        width=looked.width,
        height=looked.height,
        bits=looked.bits,
        modality=about.modality,
        pitch_mm=about.pitch_mm or looked.pitch_mm,
        weld=about.weld,
        part=about.part,
        guessed=about.guessed,
        captured_at=about.captured_at,
        received_by=actor.name,
    )
    new = _insert(session, image)
    found = session.scalars(select(Image).where(Image.sha256 == stored.sha256)).one()
    if found.deleted_at is not None:
        raise RefusedError(f"image {found.id}: a picture of this content was deleted, and is not taken in again")
    if domain is not None and found.domain_id is None:
        _place(session, found, domain, about.side)
    if new and audited:
        record(session, actor.name, "image.receive", f"image/{found.id}", request_id=actor.request_id)
    return found


def _insert(session: Session, image: Image) -> bool:
    if session.scalar(select(Image.id).where(Image.sha256 == image.sha256)) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(image)
    except IntegrityError:  # the same came at the same time
        return False
    return True


def assign_image(app: App, actor: Actor, image_id: int, domain: str) -> Image:
    """Sorts an image into a domain. RefusedError once a snapshot holds it or annotations name another's classes."""
    require(actor, Role.INSPECTOR)
    with writing(app.database) as session:
        return assign_within(session, actor, image_id, domain)


def assign_within(session: Session, actor: Actor, image_id: int, domain: str) -> Image:
    """The same within a transaction."""
    found = take_turns(session, find_domain(session, domain))
    image = find_image(session, image_id, lock=True)
    if image.domain_id == found.id:
        return image
    if image.domain_id is not None:
        _refuse_if_used(session, image, found)
    _place(session, image, found, None)
    image.guessed = {key: value for key, value in (image.guessed or {}).items() if key != "domain"} or None
    record(session, actor.name, "image.assign", f"image/{image.id}", {"domain": domain}, actor.request_id)
    return image


def _place(session: Session, image: Image, domain: Domain, wished: Side | None) -> None:
    image.side = choose_side(session, domain, weld=image.weld, part=image.part, sha256=image.sha256, wished=wished)
    image.domain_id = domain.id


def _refuse_if_used(session: Session, image: Image, domain: Domain) -> None:
    if session.scalar(select(SnapshotItem.snapshot_id).where(SnapshotItem.image_id == image.id).limit(1)) is not None:
        raise RefusedError(f"image {image.id}: a snapshot holds it, and its side and domain never change")
    annotated = session.scalar(select(Annotation.id).where(Annotation.image_id == image.id).limit(1)) is not None
    old = session.get_one(Domain, image.domain_id)
    if annotated and (old.classes, old.ignore) != (domain.classes, domain.ignore):
        raise RefusedError(
            f"image {image.id}: its annotations name the classes of {old.name}, and {domain.name} has others"
        )


def delete_image(app: App, actor: Actor, image_id: int, reason: str | None = None) -> Image:
    """Deletes an image's bytes and every mask of it, drawn or predicted, for good; a tombstone stays, which memories
    obey."""
    require(actor, Role.ADMIN)
    with shelf(app) as objects, writing(app.database) as session:
        image = find_image(session, image_id)
        gone = {image.object_sha256}
        image.object_sha256, image.deleted_at, image.deleted_by = None, utc_now(), actor.name
        image.filename = None
        owned = Annotation.image_id == image.id
        gone.update(session.scalars(select(Annotation.mask_sha256).where(owned)))
        changed(session, update(Annotation).where(owned).values(mask_sha256=None, label=None))
        answered = Prediction.input_sha256 == image.sha256  # also where the picture was not kept with the answer
        gone.update(session.scalars(select(Prediction.mask_sha256).where(answered)))
        changed(session, update(Prediction).where(answered).values(mask_sha256=None))
        for sha256 in sorted(sha256 for sha256 in gone if sha256):
            objects.release(release_object(session, sha256))
        record(session, actor.name, "image.delete", f"image/{image.id}", {"reason": reason}, actor.request_id)
        return image


def list_images(
    app: App,
    actor: Actor,
    *,
    domain: str | None = None,
    unassigned: bool = False,
    side: Side | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Image]:
    """A page of images, newest first, without deleted ones. unassigned: only those that wait for a domain."""
    require(actor, Role.VIEWER)
    rows = select(Image).where(Image.deleted_at.is_(None))
    with reading(app.database) as session:
        if domain is not None:
            rows = rows.where(Image.domain_id == find_domain(session, domain).id)
        if unassigned:
            rows = rows.where(Image.domain_id.is_(None))
        if side is not None:
            rows = rows.where(Image.side == side)
        return page(session, rows, Image.id, cursor=cursor, limit=limit)


def get_image(app: App, actor: Actor, image_id: int) -> Image:
    """One image, deleted ones too; NotFoundError when there is none."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return find_image(session, image_id, deleted=True)


def find_image(session: Session, image_id: int, deleted: bool = False, lock: bool = False) -> Image:
    """The image of a number, within a transaction. deleted: a tombstone will do. lock: nobody else changes it until the
    end. NotFoundError when there is none."""
    known = 0 < image_id <= LARGEST_ID
    image = session.get(Image, image_id, populate_existing=lock, with_for_update=lock or None) if known else None
    if image is None or (image.deleted_at is not None and not deleted):
        raise NotFoundError(f"image {image_id}: " + ("it was deleted" if image else "there is none of this number"))
    return image


@dataclass(frozen=True)
class Content:
    """An image's file as it came: its format, and where its bytes are."""

    format: str
    stored: Stored


def find_content(app: App, actor: Actor, image_id: int) -> Content:
    """Where the file of an image is; NotFoundError for a deleted one."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        stored = find_object(session, find_image(session, image_id).object_sha256 or "")
    return Content(format_of(app.objects.read_range(stored.key, 0, 4)) or "png", stored)


def domain_names(app: App) -> dict[int, str]:
    """The name of each domain by its number."""
    with reading(app.database) as session:
        return {domain.id: domain.name for domain in session.scalars(select(Domain))}


def image_path(app: App, image_id: int, folder: Path) -> Path:
    """Fetches an image into a folder, under its hash and the suffix of its format; for workers."""
    with reading(app.database) as session:
        sha256 = find_image(session, image_id).object_sha256 or ""
    return fetch_picture(app, sha256, folder, sha256)


def fetch_picture(app: App, sha256: str, folder: Path, stem: str) -> Path:
    """Fetches a picture into a folder under a stem and the suffix of its format."""
    bare = folder / stem
    fetch(app, sha256, bare)
    with bare.open("rb") as file:
        kind = format_of(file.read(4)) or "png"
    return bare.replace(bare.with_name(stem + SUFFIXES[kind]))


def _plain_name(name: str | None) -> str | None:
    """A file's name for people to read, without its folders; it never becomes a path."""
    if name is None:
        return None
    plain = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter if letter.isprintable() else "_" for letter in plain)[:255] or None
