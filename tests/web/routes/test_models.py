"""/trainings, /rounds, /evaluations and /models over one round, and what they answer to nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.rounds import propose
from seamwise.storage.database import writing
from seamwise.storage.tables import Role
from tests.web.caller import Caller
from tests.worker.tiny import RECIPE, add_domain, work_here

TRAINING: dict[str, Any] = {"line": "welds", "domain": "film", "steps": 4, "recipe": RECIPE, "engine": "torch"}


def test_a_round_through_the_api(api: Caller, app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    made = api.post("/trainings", json=TRAINING, headers={"Idempotency-Key": "one"})
    assert made.status_code == 202
    assert made.headers["Location"] == f"/api/v1/jobs/{made.json()['id']}"
    assert api.post("/trainings", json=TRAINING, headers={"Idempotency-Key": "one"}).json()["id"] == made.json()["id"]
    assert api.post("/trainings", json=TRAINING).status_code == 409
    assert [job["id"] for job in api.get("/trainings?line=welds").json()["items"]] == [made.json()["id"]]
    while work_here(app):
        pass
    model = api.get("/models/welds/1").json()
    assert (model["version"], model["number"], model["strategy"]["name"]) == ("welds/1", 1, "si")
    assert api.get("/models?line=welds").json()["items"] == [model]
    assert api.get("/models?line=other").json()["items"] == []
    (evaluation,) = api.get("/evaluations?version=welds/1").json()["items"]
    assert api.get(f"/evaluations/{evaluation['id']}").json() == evaluation
    assert len(api.get(f"/evaluations/{evaluation['id']}/images").json()["items"]) == 2
    table = api.get("/models/welds/forgetting").json()
    assert table["rows"] == [{"version": "welds/1", "learned": "film", "scores": [model["r_row"]["film"]]}]
    (row,) = api.get("/rounds?line=welds&state=finished").json()["items"]
    assert row["figures"]["scores"] == model["r_row"]
    again = api.post("/evaluations", json={"version": "welds/1"})
    assert again.status_code == 202
    assert api.get(f"/jobs/{again.json()['id']}").json()["kind"] == "evaluate"


def test_files_come_whole_with_their_hash(api: Caller, app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    api.post("/trainings", json=TRAINING)
    while work_here(app):
        pass
    model = api.get("/models/welds/1").json()
    answer = api.get("/models/welds/1/files/model.safetensors")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{model["weights_sha256"]}"'
    assert len(answer.content) == int(answer.headers["Content-Length"])
    known = {"If-None-Match": answer.headers["ETag"]}
    assert api.get("/models/welds/1/files/model.safetensors", headers=known).status_code == 304
    assert api.get("/models/welds/1/files/model.onnx").status_code == 404
    assert api.get("/models/welds/1/files/..%2Fsecret.key").status_code == 404
    viewer = api.of(Role.VIEWER)
    assert viewer.get("/models/welds/1/files/model.safetensors").status_code == 200
    assert viewer.get("/models/welds/1/files/state.safetensors").status_code == 403


@pytest.mark.parametrize(
    ("wished", "status"),
    [
        ({"domain": "nothing"}, 404),
        ({"strategy": "nothing"}, 422),
        ({"parameters": {"nothing": 1}}, 422),
        ({"recipe": {"nothing": 1}}, 422),
        ({"recipe": {"tile": "large"}}, 422),
        ({"recipe": {"network_options": {"nothing": 1}}}, 422),
        ({"recipe": {"network_options": {"width": -4}}}, 422),
        ({"recipe": {"loss": "nothing"}}, 422),
        ({"recipe": {"augment": {"nothing": 1}}}, 422),
        ({"parent": "welds/1"}, 404),
        ({"round": 5}, 404),
        ({"line": "UP"}, 422),
        ({"steps": 10**20}, 422),
        ({"classes": ["background"]}, 422),
    ],
)
def test_nonsense_is_answered_with_what_is_wrong(
    api: Caller, app: App, tmp_path: Path, wished: dict[str, Any], status: int
) -> None:
    add_domain(app, tmp_path, "film")
    answer = api.post("/trainings", json={**TRAINING, **wished})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text


@pytest.mark.parametrize(
    "options",
    [
        f'"parameters": {{"c": 1{"0" * 400}}}',
        f'"parameters": {{"c": {"[" * 400}{"]" * 400}}}',
        '"parameters": {"c": NaN}',
        '"recipe": {"loss_options": {"smooth": NaN}}',
        '"recipe": {"augment": {"noise": -Infinity}}',
    ],
)
def test_what_json_can_carry_and_no_option_means(api: Caller, app: App, tmp_path: Path, options: str) -> None:
    add_domain(app, tmp_path, "film")
    named = {"Content-Type": "application/json", "Idempotency-Key": "one"}
    answer = api.post("/trainings", content=f'{{"line": "welds", "domain": "film", {options}}}', headers=named)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json"), answer.text


@pytest.mark.parametrize(
    "address",
    ["/models/welds/1", "/models/welds/forgetting", "/models/welds/1/files/x", "/rounds/1", "/evaluations/1"],
)
def test_what_is_not_there_is_not_found(api: Caller, address: str) -> None:
    assert api.get(address).status_code == 404


def test_a_proposed_round_is_dismissed_once(api: Caller, app: App) -> None:
    with writing(app.database) as session:
        number = propose(session, "welds", "film", {"kind": "drift"}, SYSTEM).id
    assert api.post(f"/rounds/{number}/dismiss").json()["state"] == "dismissed"
    assert api.post(f"/rounds/{number}/dismiss").status_code == 409
