"""Uploads in pieces, after TUS 1.0.0: each piece is an object of its own, so that any process may take the next one.

A piece counts by compare-and-set on the bytes received before it. A job puts the pieces together when all are there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, ForbiddenError, allows, require
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.files import Shelf, shelf
from seamwise.app.limits import TooLargeError
from seamwise.app.spec import Name, Spec
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.object_rows import release_object
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import Job, Role, StoredObject, Upload, UploadPart, UploadState
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.states import UNFINISHED

KEPT = timedelta(days=1)  # an unfinished upload, after its last piece
KEPT_WHOLE = timedelta(days=7)
_RELEASED = 500  # objects let go of in one statement
_SWEPT = 20  # expired uploads let go of when a new one begins
_TOKEN_LETTERS = 64
_HOLDING = (UploadState.OPEN, UploadState.ASSEMBLING, UploadState.DONE)  # in which bytes may be kept


class GoneError(NotFoundError):
    """An upload that was given up, or whose time is over; HTTP 410."""


class AboutUpload(Spec):
    """What is told of an upload. domain: import it into this one when it is whole, as a set of this format. metadata:
    all that its sender wrote, given back as it came."""

    filename: Annotated[str, Field(max_length=1000)] | None = None
    domain: Name | None = None
    format: Literal["auto", "folder", "coco", "labelme"] = "auto"
    metadata: Annotated[str, Field(max_length=8000)] | None = None


@dataclass(frozen=True)
class Step:
    """An upload after a piece, and the job that puts it together once it is whole."""

    upload: Upload
    job: Job | None = None


def most_bytes(app: App) -> int:
    """The size of the largest file that may come in pieces."""
    return int(app.settings.max_upload_gb * 1e9)


def create_upload(app: App, actor: Actor, length: int, about: AboutUpload) -> Step:
    """Begins an upload of `length` bytes, at least one. TooLargeError beyond the limit."""
    require(actor, Role.INSPECTOR if about.domain is None else Role.TRAINER)
    if length > most_bytes(app):
        raise TooLargeError(f"{length / 1e9:.1f} GB, more than the {app.settings.max_upload_gb:g} GB of an upload")
    if length < 1:
        raise BadInputError("an upload of no bytes; send a file with content")
    sweep(app)
    upload = Upload(
        id=secrets.token_urlsafe(24),
        length=length,
        about=about.model_dump(mode="json"),
        created_by=actor.name,
        expires_at=utc_now() + KEPT,
    )
    with writing(app.database) as session:
        if about.domain is not None:
            find_domain(session, about.domain)
        session.add(upload)
        session.flush()
        record(session, actor.name, "upload.create", f"upload/{_shown(upload)}", {"length": length}, actor.request_id)
    return Step(upload)


def get_upload(app: App, actor: Actor, upload_id: str) -> Upload:
    """One's own upload; GoneError when its time is over."""
    require(actor, Role.INSPECTOR)
    with reading(app.database) as session:
        return find_upload(session, actor, upload_id)


def find_upload(session: Session, actor: Actor, upload_id: str, lock: bool = False) -> Upload:
    """An upload of this actor (an admin sees all), within a transaction. lock: for one that ends it or lengthens its
    time, so that no piece comes and no job ends between the look and the change."""
    known = len(upload_id) <= _TOKEN_LETTERS
    upload = session.get(Upload, upload_id, with_for_update=lock or None) if known else None
    if upload is None:
        raise NotFoundError(f"upload {upload_id[:_TOKEN_LETTERS]!r}: there is none of this name")
    if upload.created_by != actor.name and not allows(actor.role, Role.ADMIN):
        raise ForbiddenError(f"upload {_shown(upload)}: another key began it")
    if upload.state is UploadState.ABANDONED or (upload.state is UploadState.OPEN and upload.expires_at < utc_now()):
        raise GoneError(f"upload {_shown(upload)}: it was given up or its time is over; begin anew")
    return upload


def check_offset(upload: Upload, offset: int) -> None:
    """Raises RefusedError unless the next piece of the upload begins at `offset`."""
    if upload.state is not UploadState.OPEN or upload.received != offset:
        raise RefusedError(
            f"upload {_shown(upload)}: {upload.received} bytes are there, and a piece from {offset} does not follow"
        )


def add_pieces(app: App, actor: Actor, objects: Shelf, upload_id: str, offset: int, pieces: list[Stored]) -> Step:
    """Makes pieces that were put on `objects` count, all or none, as the bytes from `offset` on.

    The piece that makes it whole begins the job that puts it together: ring for `Step.job`. Raises RefusedError when
    other bytes came in between, TooLargeError for more than the upload's length.
    """
    size = sum(piece.size for piece in pieces)
    with writing(app.database) as session:
        upload = find_upload(session, actor, upload_id)
        check_offset(upload, offset)
        if upload.length is not None and offset + size > upload.length:
            raise TooLargeError(f"upload {_shown(upload)}: more bytes than the {upload.length} it was begun with")
        follows = (Upload.id == upload_id, Upload.state == UploadState.OPEN, Upload.received == offset)
        after = {"received": offset + size, "expires_at": utc_now() + KEPT}
        if not changed(session, update(Upload).where(*follows).values(**after)):
            raise RefusedError(f"upload {_shown(upload)}: another piece from {offset} came first")
        start = offset
        for piece in pieces:
            objects.commit(session, piece)
            session.add(UploadPart(upload_id=upload_id, start=start, object_sha256=piece.sha256, size=piece.size))
            start += piece.size
        session.flush()
        session.refresh(upload)
        job = _assembling(session, actor, upload) if start == upload.length else None
    if job is not None:
        app.doorbell.ring(job)
    return Step(upload, job)


def _assembling(session: Session, actor: Actor, upload: Upload) -> Job:
    job = enqueue(session, NewJob("assemble", {"upload": upload.id}, priority=50), actor=actor.name)
    upload.state, upload.job_id = UploadState.ASSEMBLING, job.id
    return job


def end_upload(app: App, actor: Actor, upload_id: str) -> None:
    """Gives an upload up; its bytes go. RefusedError while it is put together."""
    require(actor, Role.INSPECTOR)
    with shelf(app) as objects, writing(app.database) as session:
        upload = find_upload(session, actor, upload_id, lock=True)
        if _is_worked_on(session, upload):
            raise RefusedError(
                f"upload {_shown(upload)}: it is being put together; wait until job {upload.job_id} ends"
            )
        let_go(session, objects, upload)
        record(session, actor.name, "upload.end", f"upload/{_shown(upload)}", request_id=actor.request_id)


def sweep(app: App) -> int:
    """Lets go of some uploads whose time is over, archives of exports among them, and counts them."""
    over = (Upload.state.in_(_HOLDING), Upload.expires_at < utc_now())
    with reading(app.database) as session:
        found = session.scalars(select(Upload.id).where(*over).order_by(Upload.expires_at).limit(_SWEPT)).all()
    # One a transaction: a large one has thousands of pieces, and others want to write meanwhile.
    return sum(_let_go_if_over(app, upload_id) for upload_id in found)


def _let_go_if_over(app: App, upload_id: str) -> bool:
    over = (Upload.id == upload_id, Upload.state.in_(_HOLDING), Upload.expires_at < utc_now())
    with shelf(app) as objects, writing(app.database) as session:
        upload = session.scalar(select(Upload).where(*over).with_for_update(skip_locked=True))
        if upload is None or _is_worked_on(session, upload):
            return False
        let_go(session, objects, upload)
        return True


def _is_worked_on(session: Session, upload: Upload) -> bool:
    """Whether the job that puts it together has not ended."""
    job = None if upload.job_id is None else session.get_one(Job, upload.job_id)
    return upload.state is UploadState.ASSEMBLING and job is not None and job.state in UNFINISHED


def let_go(session: Session, objects: Shelf, upload: Upload) -> None:
    """Ends an upload and drops its bytes, within a transaction."""
    gone = drop_parts(session, upload.id)
    if upload.object_sha256 is not None:
        gone.add(upload.object_sha256)
    upload.state, upload.object_sha256 = UploadState.ABANDONED, None
    release_all(session, objects, sorted(gone))


def release_all(session: Session, objects: Shelf, hashes: list[str]) -> None:
    """As `release_object` for each, by hundreds where nothing else names them.

    Others wait meanwhile for their turn to write, and an upload may have thousands of pieces.
    """
    session.flush()
    for start in range(0, len(hashes), _RELEASED):
        batch = StoredObject.sha256.in_(hashes[start : start + _RELEASED])
        keys = session.scalars(select(StoredObject.key).where(batch)).all()
        try:
            with session.begin_nested():
                changed(session, delete(StoredObject).where(batch))
        except IntegrityError:
            keys = [key for sha256 in hashes[start : start + _RELEASED] if (key := release_object(session, sha256))]
        for key in keys:
            objects.release(key)


def use_up(session: Session, objects: Shelf, upload_id: str) -> None:
    """Drops the bytes of an upload that was imported, within a transaction; it stays done."""
    upload = session.get_one(Upload, upload_id)
    sha256, upload.object_sha256 = upload.object_sha256, None
    if sha256 is not None:
        objects.release(release_object(session, sha256))


def drop_parts(session: Session, upload_id: str) -> set[str]:
    """Deletes the rows of an upload's pieces; the hashes of the bytes to release."""
    hashes = set(session.scalars(select(UploadPart.object_sha256).where(UploadPart.upload_id == upload_id)))
    changed(session, delete(UploadPart).where(UploadPart.upload_id == upload_id))
    return hashes


def parts_of(session: Session, upload_id: str) -> list[Stored]:
    """Where the pieces of an upload are kept, in their order."""
    rows = (
        select(StoredObject)
        .join(UploadPart, UploadPart.object_sha256 == StoredObject.sha256)
        .where(UploadPart.upload_id == upload_id)
        .order_by(UploadPart.start)
    )
    return [Stored(row.key, row.sha256, row.size) for row in session.scalars(rows)]


def expiry(upload: Upload) -> datetime | None:
    """When an unfinished upload is given up; None for a whole one."""
    return upload.expires_at if upload.state is UploadState.OPEN else None


def _shown(upload: Upload) -> str:
    """Enough of an upload's name for a log: who knows the whole name may write to it."""
    return upload.id[:8]
