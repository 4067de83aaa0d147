"""Domains and trainings so small that a round takes a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
import torch

from seamwise.app.actor import SYSTEM
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain
from seamwise.app.images import ImageAbout, receive
from seamwise.app.plans import NewTraining
from seamwise.app.trainings import start_training
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Job, JobLog, JobState, ModelVersion, Origin, Side
from seamwise.tasks.attempts import claim
from seamwise.tasks.lists import find_job
from seamwise.vision.images import write_image
from seamwise.worker.kinds import work_of
from seamwise.worker.turn import Turn

RECIPE: dict[str, Any] = {
    "network_options": {"width": 4, "depth": 2, "prior": None},
    "tile": 32,
    "batch_size": 2,
    "lr": 0.03,
    "augment": None,
}


def add_pictures(
    app: App, folder: Path, domain: str, side: Side, count: int, *, kinds: int = 1, bright: bool = True, seed: int = 0
) -> list[int]:
    """Labelled pictures of 48 x 64: noise with one square a class, lighter or darker than the ground; their ids."""
    rng = np.random.default_rng([seed, *domain.encode(), len(side), bright])
    made = []
    for number in range(count):
        pixels = rng.integers(90, 130, (48, 64, 1), dtype=np.uint8)
        mask = np.zeros((48, 64), dtype=np.uint8)
        for kind in range(1, kinds + 1):
            top, left = rng.integers(2, 26), rng.integers(2, 42)
            mask[top : top + 20, left : left + 20] = kind
            pixels[top : top + 20, left : left + 20] += np.uint8(100 // kind if bright else 256 - 60 // kind)
        paths = [folder / f"{part}.png" for part in ("image", "mask")]
        write_image(paths[0], pixels)
        write_image(paths[1], mask)
        weld = f"{domain}-{side}-{seed}-{number}"
        image = receive(app, SYSTEM, paths[0].read_bytes(), ImageAbout(domain=domain, weld=weld, side=side))
        annotate(app, SYSTEM, image.id, paths[1].read_bytes(), None, Origin.DRAWN)
        made.append(image.id)
    return made


def add_domain(
    app: App,
    folder: Path,
    name: str,
    *,
    classes: Sequence[str] = ("background", "crack"),
    bright: bool = True,
    ignore: int | None = None,
) -> None:
    """A domain with three pictures for training, one for validation and two for test."""
    create_domain(app, SYSTEM, NewDomain(name=name, modality="radiography", classes=list(classes), ignore=ignore))
    for side, count in ((Side.TRAIN, 3), (Side.VAL, 1), (Side.TEST, 2)):
        add_pictures(app, folder, name, side, count, kinds=len(classes) - 1, bright=bright)


def training(domain: str, line: str = "welds", **wished: Any) -> NewTraining:
    recipe = RECIPE | wished.pop("recipe", {})
    return NewTraining(line=line, domain=domain, engine="torch", **{"steps": 6, "recipe": recipe, **wished})


def train(app: App, domain: str, **wished: Any) -> ModelVersion:
    """A round and the evaluation that follows it, to their ends."""
    job = start_training(app, SYSTEM, training(domain, **wished))
    while work_here(app):
        pass
    return version_of(app, job.id)


def work_here(app: App, stop: Event | None = None) -> bool:
    """Does the next job in this process, where a worker would start another; False when none waits."""
    with writing(app.database) as session:
        job = claim(session, "here", ["cpu"])
    if job is None:
        return False
    torch.set_num_threads(app.settings.threads)
    with TemporaryDirectory() as folder:
        work_of(job.kind)(Turn(app, job, Path(folder), lambda message: hear(app, job, message), stop or Event()))
    return True


def hear(app: App, job: Job, message: dict[str, Any]) -> None:
    """Keeps the lines of the log, as a worker does."""
    if "line" in message:
        with writing(app.database) as session:
            session.add(JobLog(job_id=job.id, attempt=job.attempt, level=message["level"], text=message["line"]))


def version_of(app: App, job_id: int) -> ModelVersion:
    """The version that a training job made."""
    job = job_of(app, job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result is not None
    with reading(app.database) as session:
        return session.get_one(ModelVersion, job.result["model"])


def job_of(app: App, job_id: int) -> Job:
    with reading(app.database) as session:
        return find_job(session, job_id)
