"""/images and /domains/{name}/images."""

from __future__ import annotations

import pytest

from seamwise.app.app import App
from seamwise.app.images import ImageAbout, receive
from seamwise.storage.tables import Role
from tests.app.pictures import INSPECTOR, make_domain, mask, picture
from tests.web.caller import V1, Caller


def upload(api: Caller, *seeds: int, **fields: str) -> list[dict]:  # type: ignore[type-arg]
    files = [("files", (f"film {seed}.png", picture(seed), "image/png")) for seed in seeds]
    answer = api.post("/domains/steel/images", files=files, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_many_files_at_once(api: Caller, app: App) -> None:
    make_domain(app)
    told = {"weld": "w7", "modality": "rt", "pitch_mm": "0.05", "captured_at": "2026-01-02T03:04:05+01:00"}
    made = upload(api.of(Role.INSPECTOR), *range(30), **told)
    assert [one["filename"] for one in made] == [f"film {seed}.png" for seed in range(30)]
    first = made[0]
    assert (first["domain"], first["weld"], first["pitch_mm"], first["source"]) == ("steel", "w7", 0.05, "offline")
    assert first["captured_at"] == "2026-01-02T02:04:05Z"
    assert len({one["side"] for one in made}) == 1, "a weld is on one side"
    assert upload(api, 3)[0]["id"] == made[3]["id"]
    page = api.get("/domains/steel/images", params={"limit": 20}).json()
    rest = api.get("/domains/steel/images", params={"limit": 20, "cursor": page["next"]}).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == sorted((one["id"] for one in made), reverse=True)
    assert rest["next"] is None
    assert (
        api.get("/domains/steel/images", params={"side": made[0]["side"], "limit": 20}).json()["items"] == page["items"]
    )
    assert api.get("/domains/none/images").status_code == 404


def test_an_image_waits_and_is_assigned(api: Caller, app: App) -> None:
    make_domain(app)
    image = receive(app, INSPECTOR, picture(), ImageAbout())
    upload(api, 1)
    assert [one["id"] for one in api.get("/images", params={"unassigned": True}).json()["items"]] == [image.id]
    assert len(api.get("/images").json()["items"]) == 2
    answer = api.patch(f"/images/{image.id}", json={"domain": "steel"})
    assert (answer.status_code, answer.json()["domain"]) == (200, "steel")
    assert api.get("/images", params={"unassigned": True}).json()["items"] == []
    assert api.patch(f"/images/{image.id}", json={"domain": "none"}).status_code == 404
    assert api.patch(f"/images/{image.id}", json={"domain": None}).status_code == 422


def test_content_comes_as_it_was(api: Caller, app: App) -> None:
    make_domain(app)
    made = upload(api, 5)[0]
    answer = api.get(f"/images/{made['id']}/content")
    assert (answer.content, answer.headers["content-type"]) == (picture(5), "image/png")
    assert answer.headers["content-length"] == str(len(picture(5)))
    assert answer.headers["x-content-type-options"] == "nosniff"
    tag = answer.headers["etag"]
    assert tag == f'"{made["sha256"]}"'
    again = api.get(f"/images/{made['id']}/content", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/images/99/content").status_code == 404


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_content_never_looks_whole(api: Caller, app: App, damage: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    make_domain(app)
    made = upload(api, 5)[0]
    (stored,) = (tmp_path / "objects").glob("??/*")
    if damage == "gone":
        stored.unlink()
    else:
        stored.write_bytes(picture(5)[:-1] + b"x")
    answer = api.get(f"/images/{made['id']}/content")
    assert answer.status_code == (404 if damage == "gone" else 500)
    assert answer.headers["content-type"] == "application/problem+json"


def test_annotations(api: Caller, app: App) -> None:
    make_domain(app)
    number = upload(api, 5)[0]["id"]
    where = f"/images/{number}/annotations"
    drawn = api.post(where, files={"mask": ("mask.png", mask(5), "image/png")})
    assert drawn.status_code == 201, drawn.text
    assert (drawn.json()["number"], drawn.json()["origin"], drawn.json()["made_by"]) == (1, "drawn", "key/1")
    said = api.post(where, data={"label": "crack"}).json()
    assert (said["number"], said["label"], said["mask"]) == (2, "crack", None)
    assert [one["number"] for one in api.get(where).json()["items"]] == [2, 1]
    address = drawn.json()["mask"].removeprefix(V1)
    assert api.get(address).content == mask(5)
    assert api.get(address).headers["content-type"] == "image/png"
    assert api.get(f"{where}/2/mask").status_code == 404
    assert api.post(where).status_code == 422
    assert api.post(where, data={"label": "dragon"}).status_code == 422
    assert api.of(Role.VIEWER).post(where, data={"label": "crack"}).status_code == 403
    waits = receive(app, INSPECTOR, picture(9), ImageAbout())
    assert api.post(f"/images/{waits.id}/annotations", data={"label": "crack"}).status_code == 409


def test_deleting(api: Caller, app: App) -> None:
    make_domain(app)
    number = upload(api, 5)[0]["id"]
    assert api.of(Role.TRAINER).delete(f"/images/{number}").status_code == 403
    assert api.delete(f"/images/{number}", params={"reason": "not ours"}).status_code == 204
    left = api.get(f"/images/{number}").json()
    assert left["deleted_at"] is not None
    assert left["filename"] is None
    assert list(app.objects.listed()) == []
    for answer in (
        api.get(f"/images/{number}/content"),
        api.delete(f"/images/{number}"),
        api.patch(f"/images/{number}", json={"domain": "steel"}),
        api.post(f"/images/{number}/annotations", data={"label": "crack"}),
    ):
        assert answer.status_code == 404
    again = api.post("/domains/steel/images", files=[("files", ("a.png", picture(5), "image/png"))])
    assert again.status_code == 409
