"""Hostile files through the API: the right 4xx, and no trace: no row, no object, no path of the server in the text."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from seamwise.app.app import App
from seamwise.app.files import store_bytes
from seamwise.app.images import ImageAbout, receive
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import commit_object
from seamwise.storage.tables import Annotation, Image, JobState, StoredObject, Upload, UploadState
from tests.app.hostile import ARCHIVES, MASKS, PICTURES, SETS
from tests.app.jobs import work
from tests.app.pictures import INSPECTOR, make_domain, picture, traces
from tests.web.caller import Caller


def test_there_are_enough() -> None:
    assert len(PICTURES) + len(MASKS) + len(ARCHIVES) >= 40


def refused(answer: Any, status: int, what: str = "") -> None:
    assert answer.status_code == status, f"{what}: {answer.status_code} {answer.text}"
    problem = answer.json()
    assert (answer.headers["content-type"], problem["status"]) == ("application/problem+json", status), what
    assert problem["detail"], what
    assert "/tmp" not in problem["detail"], what
    assert "seamwise-" not in problem["detail"], what


def test_pictures(api: Caller, app: App) -> None:
    make_domain(app)
    before = traces(app)
    good = ("files", ("good.png", picture(), "image/png"))
    for name, make in PICTURES.items():
        data, status = make()
        answer = api.post("/domains/steel/images", files=[good, ("files", ("bad.png", data, "image/png"))])
        refused(answer, status, name)
        assert "bad.png" in answer.json()["detail"], name
        assert traces(app) == before, name
    for declared in ("text/html", "application/zip", "image/svg+xml", "video/mp4"):
        refused(api.post("/domains/steel/images", files=[("files", ("a.png", picture(), declared))]), 415, declared)
        assert traces(app) == before, declared


def test_masks(api: Caller, app: App) -> None:
    make_domain(app)
    image = receive(app, INSPECTOR, picture(), ImageAbout(domain="steel"))
    before = traces(app)
    for name, make in MASKS.items():
        data, status = make()
        answer = api.post(f"/images/{image.id}/annotations", files={"mask": ("m.png", data, "image/png")})
        refused(answer, status, name)
        assert traces(app) == before, name
    with reading(app.database) as session:
        assert session.query(Annotation).count() == 0


def whole(app: App, data: bytes) -> str:
    """The name of an upload of these bytes that was put together."""
    stored = store_bytes(app, data)
    with writing(app.database) as session:
        commit_object(session, stored)
        upload = Upload(
            id=secrets.token_urlsafe(24),
            state=UploadState.DONE,
            length=len(data),
            received=len(data),
            about={"filename": "../../evil.zip"},
            object_sha256=stored.sha256,
            created_by="key/1",
            expires_at=utc_now() + timedelta(days=1),
        )
        session.add(upload)
    return upload.id


def test_archives_are_refused_before_a_job_begins(api: Caller, app: App) -> None:
    make_domain(app)
    for name, make in ARCHIVES.items():
        data, status = make()
        upload = whole(app, data)
        before = traces(app)
        refused(api.post("/imports", json={"domain": "steel", "upload": upload}), status, name)
        assert traces(app) == before, name
    assert api.get("/jobs", params={"kind": "import"}).json()["items"] == []


def test_sets_fail_as_a_whole(api: Caller, app: App) -> None:
    make_domain(app)
    for name, make in SETS.items():
        upload = whole(app, make())
        before = traces(app)
        assert api.post("/imports", json={"domain": "steel", "upload": upload}).status_code == 202, name
        job = work(app)
        assert job.state is JobState.FAILED, f"{name} was taken in"
        assert job.error, name
        assert "/tmp" not in job.error, job.error
        after = traces(app)
        assert [after[key] for key in ("image", "object", "keys")] == [
            before[key] for key in ("image", "object", "keys")
        ], name
        assert api.delete(f"/uploads/{upload}", headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    with reading(app.database) as session:
        assert session.query(Image).count() == session.query(StoredObject).count() == 0
        assert {upload.state for upload in session.query(Upload)} == {UploadState.ABANDONED}
    assert list(app.objects.listed()) == []


def test_folders_of_the_server(api: Caller, app: App, settings: Settings) -> None:
    make_domain(app)
    (settings.data / "link").symlink_to("/etc")
    inside = str(settings.data)
    outside = (f"{inside}/../../../etc", f"{inside}/set/../../..", f"{inside}/link", f"{inside}x")
    for path in ("/etc", "/", "relative", "..", "~", "\0", "x" * 4000, *outside):
        answer = api.post("/imports", json={"domain": "steel", "path": path})
        assert answer.status_code == 409, f"{path}: {answer.text}"
        assert "SEAMWISE_IMPORT_FOLDERS" in answer.json()["detail"].replace(path[:200], "")
    assert api.post("/imports", json={"domain": "steel", "path": f"{inside}/none"}).status_code == 404


def test_json_of_the_wrong_shape(api: Caller) -> None:
    for body in (
        {},
        [],
        "steel",
        {"domain": "steel"},
        {"domain": "steel", "upload": "a", "path": "b"},
        {"domain": "../steel", "upload": "a"},
        {"domain": "steel", "upload": "a" * 65},
        {"domain": "steel", "upload": 5},
        {"domain": "steel", "upload": "a", "format": "pascal"},
        {"domain": "steel", "upload": "a", "then": "delete"},
    ):
        refused(api.post("/imports", json=body), 422, str(body))


def test_form_fields_of_the_wrong_kind(api: Caller, app: App) -> None:
    make_domain(app)
    sent = {"files": ("a.png", picture(), "image/png")}
    for data in (
        {"pitch_mm": "NaN"},
        {"pitch_mm": "inf"},
        {"pitch_mm": "-1"},
        {"weld": "w" * 501},
        {"captured_at": "yesterday"},
        {"captured_at": "2026-01-01T00:00:00"},
        {"captured_at": "0001-01-01T00:00:00+14:00"},  # before the first year in UTC
        {"source": "dream"},
    ):
        refused(api.post("/domains/steel/images", files=sent, data=data), 422)
    refused(api.post("/domains/steel/images", data={"weld": "w"}), 422)
    refused(api.post("/domains/steel/images", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    refused(api.post("/domains/none/images", files=sent), 404)
    refused(api.post("/domains/..%2f..%2fetc/images", files=sent), 404)
    assert traces(app)["image"] == 0


def test_a_file_name_never_becomes_a_path(api: Caller, app: App) -> None:
    make_domain(app)
    for number, name in enumerate(("../../etc/passwd", "a\0b.png", "C:\\x\\y.png", "x" * 3000, "\u202egnp.exe", ".")):
        answer = api.post("/domains/steel/images", files=[("files", (name, picture(number), "image/png"))])
        assert answer.status_code == 201, answer.text
        kept = answer.json()[0]["filename"]
        assert kept is None or ("/" not in kept and "\\" not in kept and "\0" not in kept and len(kept) <= 255)
