"""Imports: a set of labelled pictures, uploaded or in a folder of the server, becomes images of a domain."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.formats.archive import find_table, opened
from seamwise.app.formats.reading import Format
from seamwise.app.limits import ArchiveLimits
from seamwise.app.pictures import format_of
from seamwise.app.spec import Name, Spec
from seamwise.app.uploads import KEPT_WHOLE, find_upload
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import ObjectStore, Stored
from seamwise.storage.tables import IdempotencyKey, Job, Role, Upload, UploadState
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.states import UNFINISHED

_READ_AT_ONCE = 1 << 18
_SHORT = 4 << 20  # bytes of a table of contents: some 40,000 files


class ImportSpec(Spec):
    """A set to be imported into a domain: an upload that is whole, or a folder of the server."""

    domain: Name
    upload: Annotated[str, Field(max_length=64)] | None = None
    path: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    format: Format = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> ImportSpec:
        if (self.upload is None) == (self.path is None):
            raise ValueError("give `upload` or `path`, one of them")
        return self


def start_import(app: App, actor: Actor, spec: ImportSpec, request: Request | None = None) -> Job:
    """Begins the job that imports a set, after a look at an archive's table of contents.

    Raises what `archive.opened` raises for a hostile archive (where its table is short), RefusedError for an upload
    that is not whole or a folder that may not be imported from, NotFoundError.
    """
    require(actor, Role.TRAINER)
    if request is None or not _was_asked(app, request):
        _check(app, actor, spec)
    with writing(app.database) as session:
        job = enqueue_import(session, actor.name, spec, request)
        if spec.upload is not None and job.state in UNFINISHED:
            find_upload(session, actor, spec.upload, lock=True).expires_at = utc_now() + KEPT_WHOLE
    app.doorbell.ring(job)
    return job


def _was_asked(app: App, request: Request) -> bool:
    """Whether this request came before: its bytes may be used up, and its answer stays the same."""
    with reading(app.database) as session:
        return session.get(IdempotencyKey, (request.actor, request.key)) is not None


def _check(app: App, actor: Actor, spec: ImportSpec) -> None:
    if spec.path is not None:
        allowed_folder(app, spec.path)
    with reading(app.database) as session:
        find_domain(session, spec.domain)
        stored = None if spec.upload is None else _whole(session, find_upload(session, actor, spec.upload))
    if stored is not None:
        check_upload(app, stored)


def enqueue_import(session: Session, actor: str, spec: ImportSpec, request: Request | None = None) -> Job:
    """The job of an import, within a transaction."""
    return enqueue(session, NewJob("import", spec.model_dump(mode="json")), actor=actor, request=request)


def allowed_folder(app: App, path: str) -> Path:
    """A folder of the server that may be imported from; RefusedError for all others, there or not."""
    refusal = RefusedError(
        f"folder {path[:200]!r}: not below one that SEAMWISE_IMPORT_FOLDERS names; upload the set, or add its folder"
    )
    try:
        folder = Path(path).resolve()
        allowed = [Path(name).resolve() for name in app.settings.import_folders]
    except (OSError, ValueError, RuntimeError) as error:  # NUL, a circle of links
        raise refusal from error
    if not Path(path).is_absolute() or not any(folder.is_relative_to(place) for place in allowed):
        raise refusal
    if not folder.is_dir():
        raise NotFoundError(f"folder {path[:200]!r}: there is none of this name")
    return folder


def check_upload(app: App, stored: Stored) -> None:
    """Looks whether an uploaded file can be a set: a picture, or a zip archive whose table of contents is harmless.

    A long table is left to the job, which looks at all: here it would take memory and time from other requests.
    """
    if format_of(app.objects.read_range(stored.key, 0, 4)) is None:
        limits = ArchiveLimits()
        with io.BufferedReader(StoredFile(app.objects, stored), _READ_AT_ONCE) as file:
            if find_table(file, limits)[1] <= _SHORT:
                with opened(file, limits):
                    pass


def _whole(session: Session, upload: Upload) -> Stored:
    if upload.state is not UploadState.DONE:
        raise RefusedError(
            f"the upload is {upload.state}: {upload.received} of {upload.length} bytes; wait for its end"
        )
    if upload.object_sha256 is None:
        raise RefusedError("the upload was imported before, and its bytes are gone; send it again")
    return find_object(session, upload.object_sha256)


class StoredFile(io.RawIOBase):
    """An object's bytes as a file to read anywhere in, without fetching all of it."""

    def __init__(self, objects: ObjectStore, stored: Stored) -> None:
        super().__init__()
        self._objects, self._stored, self._at = objects, stored, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size}[whence]
        if start + offset < 0:
            raise BadInputError("the archive is damaged (it points before its begin); send it again")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._objects.read_range(self._stored.key, self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
