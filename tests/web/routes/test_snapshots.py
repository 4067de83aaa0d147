"""/snapshots and /imports: frozen, exported, imported elsewhere."""

from __future__ import annotations

import io
import zipfile

from seamwise.app.app import App
from seamwise.storage.tables import Role
from tests.app.jobs import work
from tests.app.pictures import labelled, make_domain
from tests.web.caller import V1, Caller
from tests.web.routes.test_uploads import begin, send


def test_from_snapshot_to_archive_and_back(api: Caller, app: App) -> None:
    make_domain(app)
    made = labelled(app, 8)
    answer = api.post("/snapshots", json={"domains": ["steel"]})
    assert answer.status_code == 201, answer.text
    snapshot = answer.json()
    where = answer.headers["Location"].removeprefix(V1)
    assert api.get(where).json() == snapshot
    assert (snapshot["kind"], snapshot["size"], snapshot["spec"]["domains"]) == ("training", 8, ["steel"])
    begun = api.post(f"{where}/exports", json={"format": "coco"}, headers={"Idempotency-Key": "one"})
    assert (begun.status_code, begun.json()["kind"]) == (202, "export")
    assert begun.headers["Location"] == f"{V1}/jobs/{begun.json()['id']}"
    again = api.post(f"{where}/exports", json={"format": "coco"}, headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == begun.json()["id"]
    other = api.post(f"{where}/exports", json={"format": "folder"}, headers={"Idempotency-Key": "one"})
    assert other.status_code == 409
    archive = f"{where}/exports/{begun.json()['id']}"
    assert api.get(archive).status_code == 409
    work(app)
    data = api.of(Role.VIEWER).get(archive)
    assert (data.status_code, data.headers["content-type"]) == (200, "application/zip")
    assert zipfile.ZipFile(io.BytesIO(data.content)).testzip() is None
    assert api.get(f"{where}/exports/999").status_code == 404

    upload = begin(api, len(data.content))
    assert api.post("/imports", json={"domain": "steel", "upload": upload.rpartition("/")[2]}).status_code == 409
    send(api, upload, 0, data.content)
    work(app)
    spec = {"domain": "steel", "upload": upload.rpartition("/")[2]}
    started = [api.post("/imports", json=spec, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert {answer.status_code for answer in started} == {202}
    assert len({answer.json()["id"] for answer in started}) == 1
    result = work(app).result
    assert result is not None
    assert (result["known"], result["images"], result["masks"]) == (len(made), 0, 0)
    repeated = api.post("/imports", json=spec, headers={"Idempotency-Key": "two"})
    assert repeated.json()["id"] == started[0].json()["id"]
    assert api.post("/imports", json=spec).status_code == 409, "its bytes are gone"
    assert api.post("/imports", json=spec | {"domain": "none"}).status_code == 404


def test_qualification_sets(api: Caller, app: App) -> None:
    make_domain(app)
    labelled(app, 12)
    body = {"domain": "steel", "reason": "first welds"}
    made = api.post("/snapshots/qualification", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["domain"], made.json()["number"], made.json()["size"]) == ("steel", 1, 3)
    assert api.post("/snapshots/qualification", json=body).json()["number"] == 2
    assert [one["number"] for one in api.get("/snapshots/qualification").json()] == [2]
    kinds = [one["kind"] for one in api.get("/snapshots").json()["items"]]
    assert kinds == ["qualification", "qualification"]
    assert api.get("/snapshots", params={"kind": "training"}).json()["items"] == []
    assert api.get(made.headers["Location"].removeprefix(V1)).json()["size"] == 3


def test_refusals(api: Caller, app: App) -> None:
    make_domain(app)
    assert api.post("/snapshots", json={"domains": ["steel"]}).status_code == 409
    assert api.post("/snapshots", json={"domains": ["none"]}).status_code == 404
    assert api.post("/snapshots", json={"domains": []}).status_code == 422
    assert api.post("/snapshots", json={"domains": ["steel"], "size": 5}).status_code == 422
    assert api.get("/snapshots/99").status_code == 404
    assert api.get("/snapshots/0").status_code == 422
    assert api.post("/snapshots/99/exports", json={}).status_code == 404
    assert api.post("/snapshots/99/exports", json={"format": "exe"}).status_code == 422
    for role, status in ((Role.INSPECTOR, 403), (Role.TRAINER, 409)):
        assert api.of(role).post("/snapshots", json={"domains": ["steel"]}).status_code == status
