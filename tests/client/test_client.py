"""The client over the real API: every part of it that needs no model."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seamwise.app.app import App
from seamwise.client import Client, JobFailedError
from seamwise.errors import BadInputError, NotFoundError, RefusedError, UsageError
from seamwise.storage.database import writing
from seamwise.tasks.attempts import Attempt, LogLine, claim, finish, heartbeat


def picture(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 65535, (24, 32), dtype=np.uint16)
    Image.fromarray(pixels).save(path)
    return path


def mask() -> bytes:
    ids = np.zeros((24, 32), dtype=np.uint8)
    ids[3:6, 4:9] = 1
    file = io.BytesIO()
    Image.fromarray(ids).save(file, format="PNG")
    return file.getvalue()


def steel(client: Client) -> None:
    client.domains.create("steel", modality="radiography", classes=["background", "crack"], pitch_mm=0.1)


def test_the_service_says_whether_it_is_ready(client: Client) -> None:
    found = client.ready()
    assert (found.status, found.database, found.objects) == ("ready", "ok", "ok")


def test_domains(client: Client) -> None:
    steel(client)
    assert client.domains.get("steel").classes == ["background", "crack"]
    assert [domain.name for domain in client.domains.list()] == ["steel"]
    with pytest.raises(RefusedError, match="there is one of this name"):
        steel(client)
    with pytest.raises(NotFoundError, match="copper"):
        client.domains.get("copper")
    with pytest.raises(BadInputError, match="classes"):
        client.domains.create("tin", modality="radiography", classes=["background"])


def test_images_and_what_is_said_of_them(client: Client, tmp_path: Path) -> None:
    steel(client)
    files = [picture(tmp_path / f"{number}.png", number) for number in range(3)]
    taken = datetime(2026, 3, 1, 12, tzinfo=UTC)
    made = client.images.add("steel", files, weld="w1", pitch_mm=0.2, captured_at=taken)
    assert [(image.filename, image.bits, image.weld, image.pitch_mm, image.captured_at) for image in made] == [
        (f"{number}.png", 16, "w1", 0.2, taken) for number in range(3)
    ]
    assert client.images.add("steel", files[:1])[0].id == made[0].id
    assert [image.id for image in client.images.list("steel")] == sorted((image.id for image in made), reverse=True)
    assert list(client.images.list(unassigned=True)) == []
    copy = client.images.download(made[0].id, tmp_path / "copy")
    assert copy.read_bytes() == files[0].read_bytes()

    drawn = client.images.annotate(made[0].id, mask=mask())
    assert (drawn.number, drawn.origin, drawn.label) == (1, "drawn", None)
    client.images.annotate(made[0].id, label="crack")
    assert [said.number for said in client.images.annotations(made[0].id)] == [2, 1]
    back = np.asarray(Image.open(client.images.download_mask(made[0].id, 1, tmp_path / "mask.png")))
    assert back.sum() == 15
    client.images.delete(made[2].id, reason="not ours")
    assert client.images.get(made[2].id).deleted_at is not None


def test_a_list_of_many_pages_comes_whole(client: Client) -> None:
    made = [client.keys.make(f"key {number}", "viewer").key.id for number in range(60)]
    assert [key.id for key in client.keys.list() if key.role == "viewer"] == made[::-1]


def test_keys_open_and_stop_opening(client: Client, address: str) -> None:
    made = client.keys.make("ada", "viewer", days=1)
    with Client(f"{address}/api/v1/", made.token) as viewer:
        assert list(viewer.domains.list()) == []
        with pytest.raises(RefusedError, match="role trainer"):
            steel(viewer)
        client.keys.revoke(made.key.id)
        with pytest.raises(RefusedError, match="key"):
            list(viewer.domains.list())
    events = [event.action for event in client.audit.list(subject=f"key/{made.key.id}")]
    assert events == ["key.revoke", "key.create"]


def test_strategies_say_what_they_take(client: Client) -> None:
    names = {strategy.name for strategy in client.strategies.list()}
    assert {"si", "replay", "finetuning"} <= names
    assert "c" in str(client.strategies.get("si").parameters)


def test_a_job_is_followed_to_its_end(client: Client, app: App) -> None:
    job = client.scrub()
    assert (job.kind, job.state) == ("scrub", "queued")
    with writing(app.database) as session:
        taken = claim(session, "w", ["cpu"])
        assert taken is not None
        attempt = Attempt(taken.id, taken.attempt)
    with writing(app.database) as session:
        heartbeat(session, attempt, progress={"fraction": 0.5}, lines=[LogLine("one"), LogLine("two")])
    news = client.jobs.follow(job.id)
    first = [next(news) for _ in range(3)]
    assert [(one.what, one.told.get("text")) for one in first] == [("line", "one"), ("line", "two"), ("progress", None)]
    with writing(app.database) as session:
        heartbeat(session, attempt, lines=[LogLine("three")])
        finish(session, attempt, {"checked": 0})
    rest = list(news)
    assert rest[0].told["text"] == "three"
    assert (rest[-1].what, rest[-1].told["state"], rest[-1].told["result"]) == ("end", "succeeded", {"checked": 0})
    assert [line.text for line in client.jobs.log(job.id)] == ["one", "two", "three"]
    assert client.jobs.wait(job.id).result == {"checked": 0}
    assert [found.id for found in client.jobs.list(kind="scrub", state="succeeded")] == [job.id]


def test_a_cancelled_job_is_no_success(client: Client) -> None:
    job = client.scrub()
    assert client.jobs.cancel(job.id).state == "cancelled"
    with pytest.raises(JobFailedError, match=f"job {job.id} .scrub. cancelled"):
        client.jobs.wait(job.id)
    assert client.jobs.requeue(job.id).state == "queued"
    with pytest.raises(Exception, match="still queued"):
        client.jobs.wait(job.id, timeout_s=0.1, look_every_s=0.05)


def test_models_and_snapshots_of_an_empty_service(client: Client) -> None:
    steel(client)
    for empty in (client.models.list(), client.rounds.list(), client.evaluations.list(), client.trainings.list()):
        assert list(empty) == []
    with pytest.raises(NotFoundError):
        client.models.get("main/1")
    with pytest.raises(RefusedError):
        client.trainings.start("main", "steel")
    with pytest.raises(NotFoundError):
        client.evaluations.start("main/1")
    assert list(client.snapshots.list()) == list(client.snapshots.qualifications()) == []


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "http://127.0.0.1:abc", "http://[::1"])
def test_an_address_needs_its_scheme_and_a_port_its_number(address: str) -> None:
    with pytest.raises(UsageError, match="http://host"):
        Client(address)
