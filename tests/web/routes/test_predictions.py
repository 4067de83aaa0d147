"""/predictions, their reviews, and /batches, through HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from seamwise.app import live
from seamwise.app.app import App
from seamwise.app.predictions import Predictor
from seamwise.serving import Server
from seamwise.storage.tables import Role
from seamwise.vision.images import read_mask
from seamwise.web.routes import predictions as routes
from tests.app.pictures import make_domain, mask
from tests.app.test_predictions import film
from tests.app.versions import add_version, serve
from tests.serving.tiny import CLASSES, eventually
from tests.web.caller import Caller, open_api
from tests.worker.tiny import work_here

SHAPE = (24, 30)


@pytest.fixture
def server(app: App, tmp_path: Path) -> Iterator[Server]:
    make_domain(app, "steel", CLASSES)
    serve(app, add_version(app))
    server = live.open_server(app, tmp_path / "cache")
    server.swap("welds/1")
    yield server
    server.close()


@pytest.fixture
def api(app: App, server: Server) -> Caller:
    return open_api(app, server)


def post(api: Caller, content: bytes | None = None, accept: str = "*/*", **fields: str) -> httpx.Response:
    sent = film(shape=SHAPE) if content is None else content
    files = {"image": ("film.png", io.BytesIO(sent), "image/png")}
    answer: httpx.Response = api.post("/predictions", files=files, data=fields, headers={"Accept": accept})
    return answer


def test_a_picture_is_answered_as_json_and_as_a_mask(api: Caller, tmp_path: Path) -> None:
    answer = post(api, domain="steel", weld="W1", pitch_mm="0.2", captured_at="2026-01-02T03:04:05+08:00")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["version"] == answer.headers["Seamwise-Version"] == "welds/1"
    assert answer.headers["Location"] == f"/api/v1/predictions/{told['id']}"
    assert told["domain"] == {"name": "steel", "how": "told", "likely": None, "confidence": 1.0}
    assert (told["width"], told["height"], told["weld"], told["pitch_mm"]) == (30, 24, "W1", 0.2)
    assert set(told["defects"][0]) == {"class", "area_px", "area_mm2", "box", "probability"}
    assert "features" not in told
    assert api.get(f"/predictions/{told['id']}").json() == told
    png = api.get(told["mask"].removeprefix("/api/v1"))
    assert png.headers["Content-Type"] == "image/png"
    direct = post(api, accept="image/png", domain="steel")
    assert direct.content == png.content
    assert direct.headers["Content-Type"] == "image/png"
    assert direct.headers["Seamwise-Version"] == "welds/1"
    assert int(direct.headers["Seamwise-Prediction"]) == told["id"] + 1
    (tmp_path / "mask.png").write_bytes(png.content)
    assert read_mask(tmp_path / "mask.png", 3).shape == SHAPE
    listed = api.get("/predictions?domain=steel").json()["items"]
    assert [item["id"] for item in listed] == [told["id"] + 1, told["id"]]
    assert api.get("/predictions?domain=none").status_code == 404
    image = api.get(f"/images/{told['image']}").json()
    assert (image["weld"], image["source"]) == ("W1", "online")


@pytest.mark.parametrize(
    ("fields", "content", "status"),
    [
        ({"domain": "none"}, None, 404),
        ({"domain": "../x"}, None, 422),
        ({"domain": "x" * 64}, None, 422),
        ({"pitch_mm": "nan"}, None, 422),
        ({"pitch_mm": "-1"}, None, 422),
        ({"pitch_mm": "wide"}, None, 422),
        ({"captured_at": "yesterday"}, None, 422),
        ({"captured_at": "2026-01-02T03:04:05"}, None, 422),  # no zone
        ({"captured_at": "9999-12-31T23:59:59-14:00"}, None, 422),  # after the last year in UTC
        ({"weld": "w" * 501}, None, 422),
        ({"weld": "  "}, None, 422),
        ({}, b"", 422),
        ({}, b"GIF89a", 415),
        ({}, film()[:100], 422),
    ],
)
def test_what_is_refused(api: Caller, fields: dict[str, str], content: bytes | None, status: int) -> None:
    answer = post(api, content, **fields)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("/predictions").json()["items"] == []


def test_what_is_no_form_is_refused(api: Caller) -> None:
    assert api.post("/predictions", content=film()).status_code == 422
    assert api.post("/predictions", data={"domain": "steel"}).status_code == 422
    assert api.post("/predictions", data={"image": "text"}).status_code == 422


def test_without_a_server_or_a_version_it_says_so(app: App, tmp_path: Path) -> None:
    for server in (None, live.open_server(app, tmp_path / "cache")):
        answer = post(open_api(app, server))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]


@pytest.mark.parametrize("number", ["0", "99", str(2**63), "x"])
def test_a_prediction_that_is_not_there(api: Caller, number: str) -> None:
    for path in ("", "/mask", "/reviews"):
        assert api.get(f"/predictions/{number}{path}").status_code in (404, 422)
    assert api.post(f"/predictions/{number}/review", data={"accept": "true"}).status_code in (404, 422)


def test_the_mask_of_a_deleted_picture_is_gone(api: Caller) -> None:
    told = post(api, domain="steel").json()
    assert api.delete(f"/images/{told['image']}").status_code in (200, 204)
    assert api.get(f"/predictions/{told['id']}/mask").status_code == 404
    assert api.get(f"/predictions/{told['id']}").status_code == 200


def test_reviews(api: Caller) -> None:
    told = post(api, domain="steel").json()
    address = f"/predictions/{told['id']}/review"
    accepted = api.post(address, data={"accept": "true", "comment": "yes"})
    assert accepted.status_code == 201, accepted.text
    assert accepted.json()["comment"] == "yes"
    files = {"mask": ("mask.png", io.BytesIO(mask(1, 3, SHAPE)), "image/png")}
    assert api.post(address, files=files).status_code == 201
    assert api.post(address, data={"label": "background"}).status_code == 201
    listed = api.get(f"/predictions/{told['id']}/reviews?limit=2").json()
    assert len(listed["items"]) == 2
    assert listed["next"]
    annotations = api.get(f"/images/{told['image']}/annotations").json()["items"]
    assert [one["origin"] for one in annotations] == ["drawn", "drawn", "accepted"]


@pytest.mark.parametrize(
    ("data", "content", "status"),
    [
        ({}, None, 422),
        ({"accept": "true", "label": "crack"}, None, 422),
        ({"accept": "perhaps"}, None, 422),
        ({"label": "weld"}, None, 422),
        ({"label": " "}, None, 422),
        ({"accept": "true", "domain": "UPPER"}, None, 422),
        ({"accept": "true", "domain": "none"}, None, 404),
        ({}, mask(1, 3, (3, 3)), 422),
        ({}, b"text", 415),
    ],
)
def test_reviews_that_are_refused(api: Caller, data: dict[str, str], content: bytes | None, status: int) -> None:
    told = post(api, domain="steel").json()
    files = None if content is None else {"mask": ("mask.png", io.BytesIO(content), "image/png")}
    answer = api.post(f"/predictions/{told['id']}/review", data=data, files=files)
    assert answer.status_code == status, answer.text
    assert api.get(f"/predictions/{told['id']}/reviews").json()["items"] == []


def test_who_may(api: Caller) -> None:
    told = post(api, domain="steel").json()
    viewer = api.of(Role.VIEWER)
    assert viewer.get(f"/predictions/{told['id']}/mask").status_code == 200
    assert post(viewer).status_code == 403
    assert viewer.post(f"/predictions/{told['id']}/review", data={"accept": "true"}).status_code == 403
    assert viewer.post("/batches", json={"domain": "steel"}).status_code == 403
    inspector = api.of(Role.INSPECTOR)
    assert post(inspector).status_code == 200
    assert inspector.post("/batches", json={"domain": "steel"}).status_code == 202


def test_slow_predictions_keep_no_other_request_waiting(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pictures wait than the service has threads; a list is answered all the same."""
    go_on, arrived, running = Event(), [], []
    predict, told = Predictor.predict, routes._told

    def slow(*args: Any) -> Any:
        running.append(args)
        assert go_on.wait(30)
        return predict(*args)

    monkeypatch.setattr(Predictor, "predict", slow)
    monkeypatch.setattr(routes, "_told", lambda values: arrived.append(values) or told(values))
    with api, ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(post, api) for _ in range(50)]
        try:
            eventually(lambda: len(arrived) == 50, timeout_s=15)
            assert api.get("/domains").status_code == 200
            assert len(running) == api.platform.settings.predict_threads + 2
        finally:
            go_on.set()
        assert {one.result().status_code for one in waiting} == {200}


def test_a_batch_through_the_api(api: Caller, app: App) -> None:
    for seed in range(3):
        post(api, film(seed, shape=SHAPE), domain="steel")
    key = {"Idempotency-Key": "one"}
    made = api.post("/batches", json={"domain": "steel"}, headers=key)
    assert made.status_code == 202, made.text
    number = made.json()["id"]
    assert made.headers["Location"] == f"/api/v1/jobs/{number}"
    assert api.post("/batches", json={"domain": "steel"}, headers=key).json()["id"] == number
    assert api.post("/batches", json={"images": [1]}, headers=key).status_code == 409
    work_here(app)
    batch = api.get(f"/batches/{number}").json()
    assert (batch["state"], batch["images"], batch["predictions"], batch["version"]) == ("succeeded", 3, 3, "welds/1")
    assert api.get("/batches").json()["items"] == [batch]
    assert len(api.get(f"/predictions?batch={number}").json()["items"]) == 3
    for content in ({}, {"images": []}, {"images": [0]}, {"images": [1], "domain": "steel"}, {"more": 1}):
        assert api.post("/batches", json=content).status_code == 422
    assert api.post("/batches", json={"images": [999]}).status_code == 404
    assert api.get("/batches/999").status_code == 404
