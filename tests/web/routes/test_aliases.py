"""/aliases, /drift and /proposals through HTTP."""

from __future__ import annotations

from sqlalchemy import func, select

from seamwise.app import guessing, newcomers
from seamwise.app.app import App
from seamwise.app.drift import watch
from seamwise.storage.database import reading
from seamwise.storage.tables import AliasHistory, Role
from tests.app.pictures import make_domain
from tests.app.test_drift import add_images, rows, strangers
from tests.app.versions import evaluate, judged_domain, two_class
from tests.web.caller import Caller


def test_promotion_refusal_force_and_rollback(api: Caller, app: App) -> None:
    judged = judged_domain(app)
    for quality in (0.8, 0.3, 0.8):
        evaluate(app, two_class(app), judged, quality)
    trainer = api.of(Role.TRAINER)
    assert api.get("/aliases").json() == []
    assert api.get("/aliases/production").status_code == 404
    put = {"reason": "better"}
    first = trainer.put("/aliases/production", json={"version": "welds/1", **put})
    assert first.status_code == 200, first.text
    assert (first.json()["version"], first.json()["sequence"]) == ("welds/1", 1)
    refused = trainer.put("/aliases/production", json={"version": "welds/2", **put})
    assert refused.status_code == 409
    assert "defect IoU on steel" in refused.json()["detail"]
    assert trainer.put("/aliases/production", json={"version": "welds/2", "force": True, **put}).status_code == 403
    assert trainer.put("/aliases/production", json={"version": "welds/3", **put}).status_code == 200
    assert api.put("/aliases/production", json={"version": "welds/2", "force": True, **put}).status_code == 200
    back = trainer.post("/aliases/production/rollback", json={"reason": "worse"})
    assert (back.json()["version"], back.json()["sequence"]) == ("welds/3", 4)
    history = api.get("/aliases/production/history").json()["items"]
    assert [step["action"] for step in history] == ["rolled back", "forced", "promoted", "refused", "promoted"]
    assert (history[0]["before"], history[0]["after"]) == ("welds/2", "welds/3")
    assert history[3]["verdict"]["verdict"] == "fail"
    assert api.get("/aliases").json() == [back.json()]
    page = api.get("/aliases/production/history?limit=2").json()
    assert len(api.get(f"/aliases/production/history?limit=4&cursor={page['next']}").json()["items"]) == 3


def test_what_is_refused_leaves_no_history(api: Caller, app: App) -> None:
    for name, content, status in (
        ("production", {"version": "none/1", "reason": "r"}, 404),
        ("production", {"version": "welds/1"}, 422),
        ("production", {"version": "welds/1", "reason": " "}, 422),
        ("production", {"version": "welds/1", "reason": "r", "more": 1}, 422),
        ("UPPER", {"version": "welds/1", "reason": "r"}, 422),
        ("a%2Fb", {"version": "welds/1", "reason": "r"}, 404),
    ):
        assert api.put(f"/aliases/{name}", json=content).status_code == status, (name, content)
    assert api.post("/aliases/production/rollback", json={"reason": "r"}).status_code == 404
    assert api.get("/aliases/production/history").status_code == 404
    assert api.get("/aliases/production/history?cursor=x").status_code == 422
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(AliasHistory)) == 0


def test_roles(api: Caller) -> None:
    for role in (Role.VIEWER, Role.INSPECTOR):
        who = api.of(role)
        assert who.put("/aliases/production", json={"version": "w/1", "reason": "r"}).status_code == 403
        assert who.post("/aliases/production/rollback", json={"reason": "r"}).status_code == 403
        assert who.post("/drift/steel/restart").status_code == 403
        assert who.post("/drift/steel/calibrate", json={}).status_code == 403
        assert who.post("/proposals/1/dismiss").status_code == 403
        assert who.get("/aliases").status_code == 200


def test_drift(api: Caller, app: App) -> None:
    domain = make_domain(app)
    assert api.get("/drift").json() == []
    assert api.get("/drift/steel").status_code == 404
    assert api.get("/drift/none").status_code == 404
    assert api.post("/drift/steel/calibrate", json={}).status_code == 409
    add_images(app, rows(60), domain)
    guessing.refresh_references(app)
    watch(app)
    (found,) = api.get("/drift").json()
    assert (found["domain"], found["reference"], found["alarm"]) == ("steel", 60, None)
    assert found["evidence"]["threshold"] == 5000
    anew = api.post("/drift/steel/calibrate", json={"images_between_false_alarms": 300})
    assert anew.json()["evidence"]["threshold"] == 300
    assert api.get("/drift/steel").json() == anew.json()
    assert api.post("/drift/steel/restart").status_code == 200
    for wrong in (0, -1, 1e12, "often"):
        answer = api.post("/drift/steel/calibrate", json={"images_between_false_alarms": wrong})
        assert answer.status_code == 422


def test_proposals(api: Caller, app: App) -> None:
    strangers(app, 10)
    newcomers.notice(app)
    (row,) = api.get("/proposals?state=proposed").json()["items"]
    assert api.get(f"/proposals/{row['id']}").json() == row
    assert len(row["figures"]["images"]) == 10
    spec = {"name": "pipes", "modality": "radiography", "classes": ["background", "crack"]}
    assert api.post(f"/proposals/{row['id']}/accept", json={"name": "pipes"}).status_code == 422
    done = api.post(f"/proposals/{row['id']}/accept", json=spec)
    assert done.json()["state"] == "accepted"
    assert len(api.get("/domains/pipes/images").json()["items"]) == 10
    assert api.post(f"/proposals/{row['id']}/dismiss").status_code == 409
    assert api.get("/proposals/99").status_code == 404
    assert api.get("/proposals?state=strange").status_code == 422
