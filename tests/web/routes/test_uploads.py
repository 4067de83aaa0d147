"""TUS 1.0.0, as its own description has it, and what a server must survive."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from starlette.requests import ClientDisconnect

from seamwise.app import pieces, uploads
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.files import fetch_bytes
from seamwise.errors import RefusedError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import JobState, Role, StoredObject, Upload, UploadPart, UploadState
from tests.app.jobs import work
from tests.app.pictures import make_domain, picture
from tests.web.caller import V1, Caller

TUS = {"Tus-Resumable": "1.0.0"}
OF_PIECES = {"Content-Type": "application/offset+octet-stream"}


def b64(data: bytes | str) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def begin(api: Caller, length: int, **about: str) -> str:
    metadata = ",".join(f"{key} {b64(value)}" for key, value in about.items())
    told = {"Upload-Metadata": metadata} if metadata else {}
    answer = api.post("/uploads", headers=TUS | {"Upload-Length": str(length)} | told)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return answer.headers["Location"].removeprefix(V1)


def send(api: Caller, where: str, offset: int, data: bytes, **headers: str) -> Any:
    return api.patch(where, content=data, headers=TUS | OF_PIECES | {"Upload-Offset": str(offset)} | headers)


def offset(api: Caller, where: str) -> int:
    answer = api.head(where, headers=TUS)
    assert answer.status_code == 204
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def keys(app: App) -> set[str]:
    return {found.key for found in app.objects.listed()}


def rows(app: App) -> tuple[int, int]:
    with reading(app.database) as session:
        return session.query(UploadPart).count(), session.query(StoredObject).count()


def test_what_is_spoken(api: Caller) -> None:
    answer = api.options("/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,expiration,checksum,termination"
    assert answer.headers["Tus-Max-Size"] == str(64 * 10**9)
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"
    for headers in ({}, {"Tus-Resumable": "0.2.2"}):
        refused = api.post("/uploads", headers={"Upload-Length": "5"} | headers)
        assert (refused.status_code, refused.headers["Tus-Version"]) == (412, "1.0.0")


def test_what_the_sender_wrote_is_given_back(api: Caller) -> None:
    written = f"filename {b64('set.zip')},is_confidential, relativePath {b64('a/b')}"
    answer = api.post("/uploads", headers=TUS | {"Upload-Length": "5", "Upload-Metadata": written})
    where = answer.headers["Location"].removeprefix(V1)
    assert api.head(where, headers=TUS).headers["Upload-Metadata"] == written
    assert "Upload-Metadata" not in api.head(begin(api, 5), headers=TUS).headers


def test_every_answer_says_the_version(api: Caller, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    where = begin(api, 5)
    for answer in (send(api, where, -1, b"x"), send(api, where, 3, b"x"), api.head("/uploads/none", headers=TUS)):
        assert (answer.status_code >= 400, answer.headers["Tus-Resumable"]) == (True, "1.0.0")

    def away(*_: object) -> None:
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr(uploads, "find_upload", away)
    answer = api.head(where, headers=TUS)
    assert (answer.status_code, answer.headers["Tus-Resumable"], answer.headers["Retry-After"]) == (503, "1.0.0", "5")


def test_a_file_in_pieces_is_put_together(api: Caller, app: App) -> None:
    data = bytes(range(256)) * 40
    where = begin(api, len(data), filename="set.zip", relativePath="ignored")
    assert "GMT" in api.head(where, headers=TUS).headers["Upload-Expires"]
    for start in range(0, len(data), 3000):
        assert offset(api, where) == start
        answer = send(api, where, start, data[start : start + 3000])
        assert answer.status_code == 204, answer.text
    assert answer.headers["Upload-Offset"] == str(len(data))
    job = work(app)
    assert (job.kind, job.state) == ("assemble", JobState.SUCCEEDED), job.error
    assert answer.headers["Upload-Job"] == f"{V1}/jobs/{job.id}"
    assert job.result == {"object": hashlib.sha256(data).hexdigest(), "bytes": len(data), "then": []}
    assert fetch_bytes(app, job.result["object"]) == data
    assert offset(api, where) == len(data)
    assert rows(app) == (0, 1)
    assert len(keys(app)) == 1


def test_a_whole_file_in_one_piece_is_its_own_piece(api: Caller, app: App) -> None:
    where = begin(api, 5)
    assert send(api, where, 0, b"whole").status_code == 204
    job = work(app)
    assert job.result is not None
    assert fetch_bytes(app, job.result["object"]) == b"whole"
    assert (rows(app), len(keys(app))) == ((0, 1), 1)


def test_equal_pieces_share_their_bytes_and_both_count(api: Caller, app: App) -> None:
    where = begin(api, 8)
    for start in (0, 4):
        send(api, where, start, b"same")
    assert rows(app) == (2, 1)
    job = work(app)
    assert job.result is not None
    assert fetch_bytes(app, job.result["object"]) == b"samesame"
    assert len(keys(app)) == 1


@pytest.mark.parametrize("place", [0, 3, 7])
def test_only_what_follows_is_taken(api: Caller, app: App, place: int) -> None:
    where = begin(api, 10)
    send(api, where, 0, b"12345")
    before = keys(app)
    answer = send(api, where, place, b"x")
    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (409, "1.0.0")
    assert "5 bytes are there" in answer.json()["detail"]
    assert (offset(api, where), keys(app)) == (5, before)


def test_more_than_was_announced(api: Caller, app: App) -> None:
    where = begin(api, 5)
    assert send(api, where, 0, b"123456").status_code == 413
    assert send(api, where, 0, iter([b"123", b"456"])).status_code == 413  # without Content-Length
    assert (offset(api, where), keys(app)) == (0, set())
    answer = api.post("/uploads", headers=TUS | {"Upload-Length": str(65 * 10**9)})
    assert answer.status_code == 413


def test_wrong_requests(api: Caller, app: App) -> None:
    where = begin(api, 5)
    assert send(api, where, 0, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert send(api, where, 0, b"x", **{"Upload-Checksum": "crc32 AAAA"}).status_code == 400
    assert send(api, where, 0, b"x", **{"Upload-Checksum": "sha1 ?"}).status_code == 422
    assert send(api, where, -1, b"x").status_code == 422
    assert api.patch(where, content=b"x", headers=TUS | OF_PIECES).status_code == 422
    for headers in ({}, {"Upload-Length": "-1"}, {"Upload-Length": "x"}, {"Upload-Length": "0"}):
        assert api.post("/uploads", headers=TUS | headers).status_code == 422
    for metadata in ("filename ?", "filename " + b64(b"\xff\xfe"), "domain " + b64("../x"), "format " + b64("tar")):
        answer = api.post("/uploads", headers=TUS | {"Upload-Length": "5", "Upload-Metadata": metadata})
        assert answer.status_code == 422, metadata
    unknown = api.post("/uploads", headers=TUS | {"Upload-Length": "5", "Upload-Metadata": "domain " + b64("none")})
    assert unknown.status_code == 404
    assert (offset(api, where), keys(app)) == (0, set())
    with reading(app.database) as session:
        assert session.query(Upload).count() == 1


def test_checksums(api: Caller, app: App) -> None:
    where = begin(api, 10)
    right = {"Upload-Checksum": f"sha256 {b64(hashlib.sha256(b'12345').digest())}"}
    wrong = send(api, where, 0, b"12346", **right)
    assert (wrong.status_code, wrong.headers["Tus-Resumable"]) == (460, "1.0.0")
    assert (wrong.json()["status"], wrong.json()["title"]) == (460, "Checksum Mismatch")
    assert (offset(api, where), keys(app)) == (0, set())
    assert send(api, where, 0, b"12345", **right).status_code == 204
    assert (
        send(api, where, 5, b"67890", **{"Upload-Checksum": f"sha1 {b64(hashlib.sha1(b'67890').digest())}"}).status_code
        == 204
    )
    job = work(app)
    assert job.result is not None
    assert fetch_bytes(app, job.result["object"]) == b"1234567890"


def test_a_long_stretch_is_cut_into_pieces(api: Caller, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seamwise.web.routes.uploads.PIECE", 4)
    for checksum in ({}, {"Upload-Checksum": f"sha1 {b64(hashlib.sha1(b'abcdefghij').digest())}"}):
        where = begin(api, 10)
        assert send(api, where, 0, b"abcdefghij", **checksum).status_code == 204
        with reading(app.database) as session:
            parts = session.query(UploadPart).filter_by(upload_id=where.rpartition("/")[2]).order_by(UploadPart.start)
            assert [(part.start, part.size) for part in parts] == [(0, 4), (4, 4), (8, 2)]
        job = work(app)
        assert job.result is not None
        assert fetch_bytes(app, job.result["object"]) == b"abcdefghij"


async def cut_off(api: Caller, where: str, chunks: list[bytes]) -> None:
    """A PATCH from 0 on whose line breaks after some chunks, as a server sees it."""
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events.append({"type": "http.disconnect"})
    sent = TUS | OF_PIECES | {"Upload-Offset": "0", "Host": "localhost", "Authorization": api.headers["Authorization"]}

    async def receive() -> dict[str, Any]:
        return events.pop(0) if len(events) > 1 else events[0]

    async def answer(_message: dict[str, Any]) -> None: ...

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "PATCH",
        "path": f"{V1}{where}",
        "raw_path": f"{V1}{where}".encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    with suppress(ClientDisconnect):
        await api.web(scope, receive, answer)


def test_what_came_before_the_line_broke_counts(api: Caller, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seamwise.web.routes.uploads.PIECE", 4)
    where = begin(api, 10)
    asyncio.run(cut_off(api, where, [b"abc", b"def"]))
    assert offset(api, where) == 6
    assert send(api, where, 6, b"ghij").status_code == 204
    job = work(app)
    assert job.result is not None
    assert fetch_bytes(app, job.result["object"]) == b"abcdefghij"


def test_an_upload_is_ended(api: Caller, app: App) -> None:
    where = begin(api, 10)
    send(api, where, 0, b"12345")
    assert api.delete(where, headers=TUS).status_code == 204
    assert (rows(app), keys(app)) == ((0, 0), set())
    for answer in (api.head(where, headers=TUS), send(api, where, 5, b"6"), api.delete(where, headers=TUS)):
        assert answer.status_code == 410
    assert api.head("/uploads/none", headers=TUS).status_code == 404
    assert api.head("/uploads/" + "x" * 65, headers=TUS).status_code == 422


def test_another_key_may_not_touch_it(api: Caller) -> None:
    owner, other, viewer = (api.of(role) for role in (Role.INSPECTOR, Role.INSPECTOR, Role.VIEWER))
    where = begin(owner, 5)
    for caller in (other, viewer):
        assert caller.head(where, headers=TUS).status_code == 403
        assert send(caller, where, 0, b"12345").status_code == 403
        assert caller.delete(where, headers=TUS).status_code == 403
    assert viewer.post("/uploads", headers=TUS | {"Upload-Length": "5"}).status_code == 403
    to_import = TUS | {"Upload-Length": "5", "Upload-Metadata": f"domain {b64('steel')}"}
    assert owner.post("/uploads", headers=to_import).status_code == 403


def test_time_is_over(api: Caller, app: App) -> None:
    where = begin(api, 10)
    send(api, where, 0, b"12345")
    with writing(app.database) as session:
        session.query(Upload).update({"expires_at": utc_now() - timedelta(seconds=1)})
    assert api.head(where, headers=TUS).status_code == 410
    assert send(api, where, 5, b"67890").status_code == 410
    begin(api, 5)  # sweeps
    assert (rows(app), keys(app)) == ((0, 0), set())
    with reading(app.database) as session:
        states = [row.state for row in session.query(Upload).order_by(Upload.created_at)]
    assert states == [UploadState.ABANDONED, UploadState.OPEN]


def test_an_upload_that_is_put_together_is_left_alone(api: Caller, app: App) -> None:
    where = begin(api, 5)
    send(api, where, 0, b"12345")
    with writing(app.database) as session:
        session.query(Upload).update({"expires_at": utc_now() - timedelta(seconds=1)})
    assert uploads.sweep(app) == 0
    assert api.delete(where, headers=TUS).status_code == 409
    assert work(app).state is JobState.SUCCEEDED


def test_many_pieces_are_let_go_of_together(api: Caller, app: App) -> None:
    """Others wait meanwhile for their turn to write. One piece that something else names stays, and it alone."""
    where, other = begin(api, 100), begin(api, 100)
    for place in range(10):
        send(api, where, place, bytes([place]))
    send(api, other, 0, bytes([7]))
    asked: list[str] = []
    event.listen(app.database, "before_cursor_execute", lambda *told: asked.append(told[2]))
    assert api.delete(where, headers=TUS).status_code == 204
    assert rows(app) == (1, 1)
    assert len(keys(app)) == 1
    for place in range(1, 10):
        send(api, other, place, bytes([place]))
    asked.clear()
    api.delete(other, headers=TUS)
    assert sum("DELETE FROM object" in statement for statement in asked) == 1
    assert (rows(app), keys(app)) == ((0, 0), set())


def test_two_at_the_same_place(api: Caller, app: App) -> None:
    """Of two that write the same stretch, the second learns it when it counts, and leaves nothing."""
    where = begin(api, 10)
    upload_id = where.rpartition("/")[2]
    first, second = (pieces.Stretch(app, SYSTEM, upload_id, 0) for _ in range(2))
    for stretch in (first, second):
        stretch.begin(5)
    first.write(b"12345")
    with pytest.raises(RefusedError, match="5 bytes are there"):
        second.write(b"abcde")
    assert len(keys(app)) == 1
    assert offset(api, where) == 5


def test_a_set_sent_for_a_domain_is_imported(api: Caller, app: App) -> None:
    make_domain(app)
    data = picture(3)
    where = begin(api, len(data), domain="steel", filename="film 3.png")
    send(api, where, 0, data)
    assembled = work(app)
    assert assembled.result is not None
    imported = work(app)
    assert assembled.result["then"] == [imported.id]
    assert imported.state is JobState.SUCCEEDED, imported.error
    assert imported.result is not None
    assert imported.result["images"] == 1
    assert api.get("/images").json()["items"][0]["filename"] == "film3.png"
    with reading(app.database) as session:
        assert session.query(Upload).one().object_sha256 is None
