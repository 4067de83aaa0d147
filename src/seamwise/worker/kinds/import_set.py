"""Imports a set: unpacks it, looks at all of it, and only then keeps any of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from seamwise.app.actor import Actor
from seamwise.app.domains import find_domain
from seamwise.app.files import fetch, shelf
from seamwise.app.formats.archive import unpack
from seamwise.app.formats.reading import read_set
from seamwise.app.imports import ImportSpec, allowed_folder
from seamwise.app.intake import check_set, commit_set
from seamwise.app.limits import ArchiveLimits
from seamwise.app.pictures import SUFFIXES, PictureLimits, format_of
from seamwise.app.uploads import AboutUpload, use_up
from seamwise.errors import RefusedError
from seamwise.storage.database import reading
from seamwise.storage.tables import Job, Role, Upload
from seamwise.tasks import attempts
from seamwise.worker.turn import Turn

_STEPS = 50  # of progress shown in each part of the work


def work(turn: Turn) -> None:
    """spec: an `ImportSpec`. result: a `Tally` by name. Done again, it finds its own images and adds none."""
    app, spec = turn.app, ImportSpec.model_validate(turn.job.spec)
    actor = Actor(turn.job.created_by, Role.TRAINER)
    with reading(app.database) as session:
        domain = find_domain(session, spec.domain)
    root = allowed_folder(app, spec.path) if spec.path is not None else _unpacked(turn, spec.upload or "")
    limits = PictureLimits.of(app.settings)
    within, masks = turn.folder / "within", turn.folder / "masks"
    for folder in (within, masks):
        folder.mkdir()
    found = read_set(root, spec.format, limits, within)
    turn.say(f"{len(found.items)} pictures as {found.format}")
    checked, repeated = check_set(found, domain, limits, masks, _shown(turn, 0.2, 0.6))
    tally = commit_set(
        app, actor, domain, checked, lambda session: attempts.heartbeat(session, turn.attempt), _shown(turn, 0.6, 1.0)
    )
    tally.repeated = repeated
    with shelf(app) as objects:

        def write(session: Session, job: Job) -> dict[str, Any]:
            if spec.upload is not None:
                use_up(session, objects, spec.upload)
            return tally.as_json()

        turn.finish(write)


def _unpacked(turn: Turn, upload_id: str) -> Path:
    """The uploaded set in a folder: an archive's files, or the one picture that it is."""
    with reading(turn.app.database) as session:
        upload = session.get_one(Upload, upload_id)
    if upload.object_sha256 is None:
        raise RefusedError("the upload was imported before, and its bytes are gone; send it again")
    packed, root = turn.folder / "packed", turn.folder / "set"
    root.mkdir()
    fetch(turn.app, upload.object_sha256, packed)
    with packed.open("rb") as file:
        kind = format_of(file.read(4))
        if kind is None:
            unpack(file, root, ArchiveLimits(), _shown(turn, 0.0, 0.2))
    if kind is not None:
        stem = Path(AboutUpload.model_validate(upload.about).filename or "picture").stem
        shutil.move(
            packed, root / f"{''.join(letter for letter in stem if letter.isalnum())[:60] or 'picture'}{SUFFIXES[kind]}"
        )
    packed.unlink(missing_ok=True)
    return root


def _shown(turn: Turn, start: float, end: float) -> Callable[[int, int], None]:
    """Shows how far a part of the work is, from `start` to `end` of the whole, and lets the worker stop it."""
    shown = 0

    def show(done: int, of: int) -> None:
        nonlocal shown
        turn.give_up_if_stopping()
        if done * _STEPS // of > shown:
            shown = done * _STEPS // of
            turn.progress(start + (end - start) * done / of)

    return show
