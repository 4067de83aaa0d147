"""Batches: every image is answered once by the version that was asked, whatever interrupts the job."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from seamwise.app import predictions
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.batches import BatchPlan, NewBatch, get_batch, list_batches, start_batch
from seamwise.app.images import ImageAbout, delete_image, receive
from seamwise.app.models import loader
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.serving import mask_of
from seamwise.storage.database import reading, writing
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.idempotency import Request
from seamwise.storage.object_rows import find_object
from seamwise.storage.tables import Image, ImageFeatures, Job, JobState, Prediction, Role, StoredObject
from seamwise.tasks.attempts import Attempt, give_back
from seamwise.vision.images import read_mask
from seamwise.worker.kinds import predict
from seamwise.worker.turn import StopWantedError
from tests.app.pictures import INSPECTOR, make_domain
from tests.app.test_predictions import film
from tests.app.versions import add_version, serve
from tests.serving.tiny import CLASSES
from tests.worker.test_loop import log
from tests.worker.tiny import job_of, work_here


def add_films(app: App, count: int, domain: str | None = "steel", first: int = 0) -> list[int]:
    about = [ImageAbout(domain=domain, weld=f"W{seed}", pitch_mm=0.5) for seed in range(first, first + count)]
    sent = [film(seed, shape=(20, 26)) for seed in range(first, first + count)]
    return [receive(app, SYSTEM, content, told).id for content, told in zip(sent, about, strict=True)]


@pytest.fixture
def films(app: App) -> list[int]:
    """Ten pictures of a domain; `welds/1` serves, `welds/2` is there too."""
    make_domain(app, "steel", CLASSES)
    serve(app, add_version(app))
    add_version(app)
    return add_films(app, 10)


def rows(app: App, job_id: int) -> list[Prediction]:
    with reading(app.database) as session:
        return list(session.scalars(select(Prediction).where(Prediction.job_id == job_id).order_by(Prediction.id)))


def test_a_domain_is_answered_by_what_serves(app: App, films: list[int], tmp_path: Path) -> None:
    job = start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    add_films(app, 1, first=50)  # came later, so it is not of this batch
    assert get_batch(app, INSPECTOR, job.id).predictions == 0
    assert work_here(app)
    found = rows(app, job.id)
    assert [row.image_id for row in found] == films
    assert {row.created_by for row in found} == {"key/2"}
    assert all(row.watched for row in found)  # looked at again: no news of the domain
    done = get_batch(app, INSPECTOR, job.id)
    assert (done.state, done.version, done.images, done.predictions) == (JobState.SUCCEEDED, "welds/1", 10, 10)
    assert done.result == {"predictions": 10, "failed": 0}
    assert list_batches(app, INSPECTOR).items == (done,)
    listed = predictions.list_predictions(app, INSPECTOR, batch=job.id, limit=3)
    assert [answer.image for answer in listed.items] == films[:-4:-1]
    engine = loader(app, tmp_path / "cache")("welds/1").engine
    (tmp_path / "film.png").write_bytes(film(0, shape=(20, 26)))
    (tmp_path / "mask.png").write_bytes(predictions.read_mask_file(app, INSPECTOR, found[0].id))
    wanted = mask_of(engine.probabilities(tmp_path / "film.png", "steel"))
    assert np.array_equal(read_mask(tmp_path / "mask.png", 3), wanted)
    assert found[0].summary["domain"]["how"] == "known"
    assert (found[0].summary["weld"], found[0].summary["pitch_mm"]) == ("W0", 0.5)


def test_some_images_by_a_named_version(app: App, films: list[int]) -> None:
    spec = NewBatch(images=[films[4], films[1], films[4]], version="welds/2")
    job = start_batch(app, INSPECTOR, spec)
    work_here(app)
    found = rows(app, job.id)
    assert [row.image_id for row in found] == [films[1], films[4]]
    assert {row.model_id for row in found} == {2}


def test_unassigned_images_are_answered_and_stay_so(app: App, films: list[int]) -> None:
    numbers = add_films(app, 1, domain=None, first=70)
    job = start_batch(app, INSPECTOR, NewBatch(images=numbers))
    work_here(app)
    (row,) = rows(app, job.id)
    assert (row.domain_id, row.summary["domain"]["how"]) == (None, "unassigned")


def test_an_interrupted_batch_goes_on_where_it_was(app: App, films: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is answered once, however often the job is begun."""
    job = start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    stop = Event()
    asked = []
    ask = predict.ask

    def counted(*args: object, **more: object) -> object:
        asked.append(args)
        if len(asked) == 9:
            stop.set()
        return ask(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(predict, "ask", counted)
    with pytest.raises(StopWantedError):
        work_here(app, stop)
    assert len(rows(app, job.id)) == 8  # those of whole transactions
    with writing(app.database) as session:
        give_back(session, Attempt(job.id, 1))
    assert work_here(app)
    assert [row.image_id for row in rows(app, job.id)] == films
    assert len(asked) == 11  # one was answered twice, and stored once
    assert job_of(app, job.id).result == {"predictions": 10, "failed": 0}


def test_a_late_attempt_writes_nothing(app: App, films: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    job = start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    ask = predict.ask

    def taken_away(*args: object, **more: object) -> object:
        with writing(app.database) as session:
            row = session.get_one(Job, job.id)
            if row.attempt == 1:
                row.attempt = 2
        return ask(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(predict, "ask", taken_away)
    with pytest.raises(RefusedError, match="no longer has it"):
        work_here(app)
    assert rows(app, job.id) == []


def test_images_deleted_or_damaged_meanwhile_are_counted(app: App, films: list[int]) -> None:
    job = start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    delete_image(app, SYSTEM, films[0])
    small = app.settings.model_copy(update={"max_pixels": 400})
    object.__setattr__(app, "settings", small)  # every picture is too large now
    work_here(app)
    assert job_of(app, job.id).result == {"predictions": 0, "failed": 9}


def test_a_picture_whose_bytes_are_damaged_is_counted_and_named(app: App, films: list[int]) -> None:
    with reading(app.database) as session:
        stored = find_object(session, session.get_one(Image, films[3]).object_sha256 or "")
    assert isinstance(app.objects, FolderStore)
    (app.objects.folder / stored.key).write_bytes(b"damaged")
    job = start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    work_here(app)
    assert job_of(app, job.id).result == {"predictions": 9, "failed": 1}
    assert any(line.text.startswith(f"image {films[3]}: object {stored.key}") for line in log(app, job.id))


def test_an_image_deleted_after_its_answer_leaves_no_mask(
    app: App, films: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start_batch(app, INSPECTOR, NewBatch(images=films[:2]))
    summarise = predict.summarise

    def deleted(*args: Any, **more: Any) -> Any:
        if more["weld"] == "W1":
            delete_image(app, SYSTEM, films[0])
        return summarise(*args, **more)

    monkeypatch.setattr(predict, "summarise", deleted)
    work_here(app)
    first, second = rows(app, job.id)
    assert first.mask_sha256 is None
    assert second.mask_sha256 is not None
    with reading(app.database) as session:
        keys = set(session.scalars(select(StoredObject.key)))
    assert {found.key for found in app.objects.listed()} == keys


def test_features_are_kept_for_the_domains_reference(app: App, films: list[int]) -> None:
    start_batch(app, INSPECTOR, NewBatch(domain="steel"))
    work_here(app)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(ImageFeatures)) == 10


def test_what_cannot_be_a_batch(app: App, films: list[int]) -> None:
    make_domain(app, "empty", CLASSES)
    for spec, error in (
        (NewBatch(), BadInputError),
        (NewBatch(images=[1], domain="steel"), BadInputError),
        (NewBatch(images=[99]), NotFoundError),
        (NewBatch(domain="none"), NotFoundError),
        (NewBatch(domain="steel", version="welds/9"), NotFoundError),
        (NewBatch(domain="empty"), RefusedError),
    ):
        with pytest.raises(error):
            start_batch(app, INSPECTOR, spec)
    with pytest.raises(ForbiddenError):
        start_batch(app, Actor("key/1", Role.VIEWER), NewBatch(domain="steel"))
    with pytest.raises(NotFoundError, match="batch 1"):
        get_batch(app, INSPECTOR, 1)


def test_without_a_version_there_is_nothing_to_answer_with(app: App) -> None:
    make_domain(app, "steel", CLASSES)
    add_films(app, 1)
    with pytest.raises(RefusedError, match="no version serves yet"):
        start_batch(app, INSPECTOR, NewBatch(domain="steel"))


def test_the_same_request_makes_one_batch(app: App, films: list[int]) -> None:
    request = Request.of("key/2", "k", {"domain": "steel"})
    jobs = {start_batch(app, INSPECTOR, NewBatch(domain="steel"), request).id for _ in range(2)}
    assert len(jobs) == 1
    plan = BatchPlan.model_validate(job_of(app, jobs.pop()).spec)
    assert (plan.version, plan.total, plan.images) == ("welds/1", 10, None)
