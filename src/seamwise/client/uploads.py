"""Large files in resumable pieces, by TUS 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from seamwise.client.calls import PREFIX, AwayError, Calls, path_part, problem_of
from seamwise.errors import RefusedError

PIECE = 16 << 20  # bytes a request; each is checked by its own hash
_TUS = {"Tus-Resumable": "1.0.0"}
_WRONG_HASH = 460


@dataclass(frozen=True)
class Sent:
    """An upload that is whole. job: the number of the job that puts it together."""

    id: str
    job: int | None


class Uploads:
    """Files of any size; none is held in memory."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def send(
        self,
        file: Path,
        *,
        domain: str | None = None,
        format: str | None = None,
        resume: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        piece: int = PIECE,
    ) -> Sent:
        """Sends a file, going on through outages from what has arrived, and gives the job that puts it together.

        domain, format: import it as a set when it is whole. resume: the id of an upload that was broken off.
        progress: told the bytes that are there, and all.
        """
        size = file.stat().st_size
        name = resume or self.begin(file.name, size, domain=domain, format=format)
        at, job = self._state(name, size)
        with file.open("rb") as content:
            while at < size:
                if progress:
                    progress(at, size)
                content.seek(at)
                at, job = self._append(name, at, content.read(piece), size)
        if progress:
            progress(size, size)
        return Sent(name, job)

    def begin(self, filename: str, size: int, *, domain: str | None = None, format: str | None = None) -> str:
        """The id of a new upload."""
        about = {"filename": filename, "domain": domain, "format": format}
        told = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in about.items() if value)
        headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": told}
        return self._calls.send("POST", "/uploads", headers=headers).headers["Location"].rpartition("/")[2]

    def end(self, name: str) -> None:
        """Gives an upload up; its bytes go."""
        self._calls.send("DELETE", f"/uploads/{path_part(name)}", headers=_TUS)

    def _state(self, name: str, size: int) -> tuple[int, int | None]:
        """How many bytes are there, and the job. RefusedError when the upload is of a file of another size."""
        answer = self._calls.send("HEAD", f"/uploads/{path_part(name)}", headers=_TUS)
        if int(answer.headers["Upload-Length"]) != size:
            raise RefusedError(f"upload {name} is of another file: that has {answer.headers['Upload-Length']} bytes")
        return _where(answer)

    def _append(self, name: str, at: int, piece: bytes, size: int) -> tuple[int, int | None]:
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {**_TUS, "Upload-Offset": str(at), "Upload-Checksum": f"sha256 {digest}"}
        headers["Content-Type"] = "application/offset+octet-stream"
        end = time.monotonic() + self._calls.patience_s
        while True:
            try:
                answer = self._calls.ask("PATCH", f"/uploads/{path_part(name)}", headers=headers, content=piece)
                if answer.is_success:
                    return _where(answer)
                # 409: what came of a broken piece counts; 460: it was damaged on its way.
                if answer.status_code not in (409, _WRONG_HASH):
                    raise problem_of(answer)
                problem: AwayError | None = None
            except AwayError as error:
                problem = error
            if time.monotonic() > end:
                raise problem or AwayError(f"{PREFIX}/uploads/{name} takes no piece at {at}; try again")
            there = self._state(name, size)
            if there[0] != at:
                return there
            time.sleep(0.25)


def _where(answer: httpx.Response) -> tuple[int, int | None]:
    job = answer.headers.get("Upload-Job")
    return int(answer.headers["Upload-Offset"]), int(job.rpartition("/")[2]) if job else None
