"""Puts the pieces of an upload together, and begins its import when it was sent for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from seamwise.app.files import shelf
from seamwise.app.imports import ImportSpec, enqueue_import
from seamwise.app.uploads import KEPT_WHOLE, AboutUpload, drop_parts, parts_of, release_all
from seamwise.errors import RefusedError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading
from seamwise.storage.object_store import Stored, verified
from seamwise.storage.tables import Job, Upload, UploadState
from seamwise.worker.turn import Turn


def work(turn: Turn) -> None:
    """spec: {"upload": id}. result: {"object": sha256, "bytes": n}, and "then" with the import's job."""
    upload_id = turn.job.spec["upload"]
    with reading(turn.app.database) as session:
        upload = session.get_one(Upload, upload_id)
        parts = parts_of(session, upload_id)
    if upload.state is not UploadState.ASSEMBLING:
        raise RefusedError(f"the upload is {upload.state}: there is nothing to put together")
    with shelf(turn.app) as objects:
        whole = objects.put(_joined(turn, parts, upload.length or 0))
        if whole.size != upload.length:
            raise RefusedError(f"the upload's pieces have {whole.size} bytes and not {upload.length}; send it again")

        def write(session: Session, job: Job) -> dict[str, Any]:
            row = session.get_one(Upload, upload_id)
            objects.commit(session, whole)
            row.object_sha256, row.state, row.expires_at = whole.sha256, UploadState.DONE, utc_now() + KEPT_WHOLE
            release_all(session, objects, sorted(drop_parts(session, upload_id)))
            about = AboutUpload.model_validate(row.about)
            then = []
            if about.domain is not None:
                spec = ImportSpec(domain=about.domain, upload=upload_id, format=about.format)
                then = [enqueue_import(session, job.created_by, spec).id]
            return {"object": whole.sha256, "bytes": whole.size, "then": then}

        turn.finish(write)


def _joined(turn: Turn, parts: list[Stored], length: int) -> Iterator[bytes]:
    done = told = 0
    for part in parts:
        turn.give_up_if_stopping()
        yield from verified(turn.app.objects, part)
        done += part.size
        if done * 50 // max(length, 1) > told:  # every two hundredths
            told = done * 50 // length
            turn.progress(done / length, bytes=done)
