"""Exports: a snapshot as a zip archive of domain folders, plain, as COCO or for LabelMe.

An archive is kept as a whole upload is: for `uploads.KEPT_WHOLE`, until `uploads.sweep` lets go of it. The same
snapshot gives it again.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.formats.coco import write_coco
from seamwise.app.formats.labelme import write_labelme
from seamwise.app.snapshots import find_snapshot
from seamwise.app.spec import Spec
from seamwise.app.uploads import KEPT_WHOLE, AboutUpload, sweep
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import CHUNK, Stored
from seamwise.storage.tables import Job, JobState, Role, Upload, UploadState
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.lists import find_job
from seamwise.vision.domain import Domain

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive knows: the same set gives the same archive


class NewExport(Spec):
    """The layout of an export: domain folders, those with COCO's annotations, or with LabelMe's files."""

    format: Literal["folder", "coco", "labelme"] = "folder"


def start_export(app: App, actor: Actor, snapshot_id: int, spec: NewExport, request: Request | None = None) -> Job:
    """Begins the job that packs a snapshot; `find_export` has the archive when it is through."""
    require(actor, Role.INSPECTOR)
    sweep(app)
    with writing(app.database) as session:
        find_snapshot(session, snapshot_id)
        content = {"snapshot": snapshot_id, "format": spec.format}
        job = enqueue(session, NewJob("export", content), actor=actor.name, request=request)
    app.doorbell.ring(job)
    return job


def find_export(app: App, actor: Actor, snapshot_id: int, job_id: int) -> Stored:
    """The archive that an export's job made; RefusedError until it is there, NotFoundError for another job and once the
    archive's time is over."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        job = find_job(session, job_id)
        if job.kind != "export" or job.spec["snapshot"] != snapshot_id:
            raise NotFoundError(f"job {job_id}: it is no export of snapshot {snapshot_id}")
        if job.state is not JobState.SUCCEEDED or job.result is None:
            raise RefusedError(f"job {job_id} is {job.state}: there is no archive yet")
        kept = session.get(Upload, _place(job_id))
        if kept is None or kept.object_sha256 is None or kept.expires_at < utc_now():
            raise NotFoundError(
                f"job {job_id}: its archive is gone, as all are after {KEPT_WHOLE.days} days; "
                f"export snapshot {snapshot_id} again"
            )
        return find_object(session, kept.object_sha256)


def keep_archive(session: Session, job: Job, stored: Stored) -> None:
    """Keeps what an export's job made for a while, in the transaction that commits its bytes."""
    about = AboutUpload(filename=f"snapshot-{job.spec['snapshot']}.zip")
    kept = Upload(
        id=_place(job.id),
        state=UploadState.DONE,
        length=stored.size,
        received=stored.size,
        about=about.model_dump(mode="json"),
        job_id=job.id,
        object_sha256=stored.sha256,
        created_by=job.created_by,
        expires_at=utc_now() + KEPT_WHOLE,
    )
    session.add(kept)


def _place(job_id: int) -> str:
    """Under which name among the uploads an archive is kept; that its owner alone may touch it is checked there."""
    return f"export-{job_id}"


def lay_out(domains: list[Domain], layout: str) -> None:
    """Adds what a layout has beside the domain folders, and takes away what it has not."""
    for domain in domains:
        if layout == "coco":
            write_coco(domain)
        if layout == "labelme":
            write_labelme(domain)


def pack(folder: Path, path: Path) -> None:
    """Packs all files of a folder into a zip archive; equal folders give equal archives."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _DATE)
            member.external_attr = 0o644 << 16
            member.create_system = 3
            member.file_size = file.stat().st_size  # decides whether the entry needs 64 bits
            # Pictures are packed already.
            member.compress_type = zipfile.ZIP_DEFLATED if file.suffix in (".json", ".csv") else zipfile.ZIP_STORED
            with file.open("rb") as plain, archive.open(member, "w") as packed:
                while chunk := plain.read(CHUNK):
                    packed.write(chunk)
