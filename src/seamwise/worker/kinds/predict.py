"""Job kind `predict`: many stored images answered by one version."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from seamwise.app.actor import Actor
from seamwise.app.answering import Predicted, Shown, add_prediction, ask, show, summarise
from seamwise.app.batches import BatchPlan, images_of, predicted
from seamwise.app.files import shelf
from seamwise.app.guessing import Atlas, Sorted, keep_features, read_atlas, weld_of
from seamwise.app.images import fetch_picture
from seamwise.app.models import fetch_package, find_version
from seamwise.errors import BadInputError, NotFoundError
from seamwise.experiments.failures import explained
from seamwise.serving import Engine, load_package
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import DamagedError
from seamwise.storage.tables import Image, Role
from seamwise.tasks.attempts import heartbeat
from seamwise.worker.turn import Turn

_AT_ONCE = 8  # answers in one transaction
_PAGE = 200
_CHECKPOINT_S = 20.0


@dataclass(frozen=True)
class Done:
    """An image that was answered."""

    image: Image
    domain_id: int | None
    shown: Shown
    predicted: Predicted


def work(turn: Turn) -> None:
    """Answers what no earlier attempt has; images that cannot be read are counted and named in the log."""
    plan = BatchPlan.model_validate(turn.job.spec)
    with reading(turn.app.database) as session:
        version, atlas = find_version(session, plan.version), read_atlas(session)
        known = predicted(session, turn.job.id)
    folder = turn.folder / "package"
    folder.mkdir()
    fetch_package(turn.app, version, folder)
    ready: list[Done] = []
    made, failed, saved_at = len(known), 0, time.monotonic()
    with explained():
        engine = load_package(folder, plan.version, threads=turn.app.settings.threads).engine
        for image in _waiting(turn, plan, known):
            turn.give_up_if_stopping()
            try:
                ready.append(_answered(turn, engine, atlas, image))
            except (BadInputError, NotFoundError, DamagedError) as error:
                failed += 1
                turn.say(f"image {image.id}: {error}", "warning")
            if len(ready) >= _AT_ONCE:
                made += _store(turn, ready)
                turn.progress(made / plan.total, predictions=made, failed=failed)
            if time.monotonic() - saved_at > _CHECKPOINT_S:
                saved_at = _show_progress(turn, made)
        made += _store(turn, ready)
    turn.finish(lambda _session, _job: {"predictions": made, "failed": failed})


def _waiting(turn: Turn, plan: BatchPlan, known: set[int]) -> Iterator[Image]:
    after = 0
    while True:
        with reading(turn.app.database) as session:
            images = list(session.scalars(images_of(plan, after).limit(_PAGE)))
        if not images:
            return
        yield from (image for image in images if image.id not in known)
        after = images[-1].id


def _answered(turn: Turn, engine: Engine, atlas: Atlas, image: Image) -> Done:
    path = fetch_picture(turn.app, image.sha256, turn.folder, image.sha256)
    try:
        shown, pixels = show(path, image.filename or f"image {image.id}", turn.app.settings)
        domain = next((known for known in atlas.domains.values() if known.id == image.domain_id), None)
        if domain is not None:
            sort = Sorted(domain.name, "known")
        else:
            sort = atlas.sort(shown.features, image.modality, turn.app.settings.guess_confidence)
            domain = atlas.domains[sort.name] if sort.name else None
        weld = weld_of(image.weld, image.part, image.sha256)
        pitch_mm = image.pitch_mm or shown.looked.pitch_mm or (domain.pitch_mm if domain else None)
        p = ask(engine, pixels, domain, shown.name)
        said = summarise(engine, p, shown, sort, weld=weld, pitch_mm=pitch_mm)
        return Done(image, domain.id if domain else None, shown, said)
    finally:
        path.unlink(missing_ok=True)


def _store(turn: Turn, ready: list[Done]) -> int:
    """Stores answers and empties the list; how many there were."""
    actor = Actor(turn.job.created_by, Role.INSPECTOR)
    with shelf(turn.app) as objects:
        masks = [objects.put([done.predicted.mask]) for done in ready]
        with writing(turn.app.database) as session:
            heartbeat(session, turn.attempt)  # only the attempt that has the job may write
            # All images before any mask, as a deletion locks them: else the two could wait for each other.
            images = select(Image.id).where(Image.id.in_([done.image.id for done in ready])).order_by(Image.id)
            session.execute(images.with_for_update(read=True))
            for done, mask in zip(ready, masks, strict=True):
                row = add_prediction(session, objects, actor, done.predicted, mask, done.image.sha256)
                row.image_id, row.domain_id, row.job_id = done.image.id, done.domain_id, turn.job.id
                row.watched = True  # drift is of what comes in, not of what is looked at again
                keep_features(session, done.image.id, done.shown.features)
    count = len(ready)
    ready.clear()
    return count


def _show_progress(turn: Turn, made: int) -> float:
    """Tells that this attempt bore fruit, so that a long batch may be interrupted any number of times."""
    path: Path = turn.folder / "progress.json"
    path.write_text(json.dumps({"predictions": made}))
    turn.checkpoint(path)
    return time.monotonic()
