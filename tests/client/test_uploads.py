"""Files in pieces: whole through broken lines, damaged pieces and a client that begins anew."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from seamwise.app.app import App
from seamwise.client import AwayError, Client
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import reading
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import read_whole
from seamwise.storage.tables import Upload, UploadPart

PIECE = 100_000


class Broken(httpx.BaseTransport):
    """A line that breaks at pieces before or after they arrive, or damages them."""

    def __init__(self, faults: Iterator[str]) -> None:
        self._line = httpx.HTTPTransport()
        self._faults = faults

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fault = next(self._faults, "") if request.method == "PATCH" else ""
        if fault == "before":
            raise httpx.ConnectError("broken before")
        if fault == "damaged":
            content = bytearray(request.read())
            content[0] ^= 1
            request = httpx.Request("PATCH", request.url, headers=request.headers, content=bytes(content))
        answer = self._line.handle_request(request)
        if fault == "after":
            answer.read()
            raise httpx.ReadError("broken after")
        return answer

    def close(self) -> None:
        self._line.close()


def through(client: Client, address: str, faults: list[str], patience_s: float = 5.0) -> Client:
    """The same client over a line with faults."""
    line = httpx.Client(base_url=address, transport=Broken(iter(faults)), headers=client._http.headers)
    return Client(address, patience_s=patience_s, http=line)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "set.zip"
    path.write_bytes(random.Random(0).randbytes(7 * PIECE + 11))
    return path


def received(app: App, upload: str) -> bytes:
    with reading(app.database) as session:
        assert session.get_one(Upload, upload).received == 7 * PIECE + 11
        parts = session.query(UploadPart).filter_by(upload_id=upload).order_by(UploadPart.start).all()
        stored = [find_object(session, part.object_sha256) for part in parts]
    return b"".join(read_whole(app.objects, each) for each in stored)


def test_a_file_arrives_whole_over_a_broken_line(client: Client, address: str, app: App, file: Path) -> None:
    faults = ["", "before", "after", "damaged", "after", "before", "before", "", "damaged"]
    seen: list[int] = []
    with through(client, address, faults) as broken:
        sent = broken.uploads.send(file, piece=PIECE, progress=lambda at, _: seen.append(at))
    assert received(app, sent.id) == file.read_bytes()
    assert sent.job is not None
    assert client.jobs.get(sent.job).kind == "assemble"
    assert seen == sorted(seen)
    assert seen[-1] == file.stat().st_size


def test_a_client_that_gave_up_goes_on_where_it_was(client: Client, address: str, app: App, file: Path) -> None:
    upload = client.uploads.begin(file.name, file.stat().st_size)
    with through(client, address, ["", ""] + ["before"] * 50, 0.3) as broken, pytest.raises(AwayError):
        broken.uploads.send(file, piece=PIECE, resume=upload)
    steps: list[int] = []
    client.uploads.send(file, piece=PIECE, resume=upload, progress=lambda at, _: steps.append(at))
    assert steps[0] == 2 * PIECE
    assert received(app, upload) == file.read_bytes()


def test_another_file_does_not_go_on_with_it(client: Client, file: Path, tmp_path: Path) -> None:
    upload = client.uploads.begin(file.name, file.stat().st_size)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with pytest.raises(RefusedError, match="of another file"):
        client.uploads.send(other, resume=upload)
    client.uploads.end(upload)
    with pytest.raises(NotFoundError):
        client.uploads.send(file, resume=upload)
