"""One stretch of an upload's bytes as it comes in: cut into pieces, each put as soon as it is full."""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass

from seamwise.app.actor import Actor
from seamwise.app.app import App
from seamwise.app.files import shelf
from seamwise.app.limits import TooLargeError
from seamwise.app.uploads import Step, add_pieces, check_offset, get_upload
from seamwise.errors import BadInputError
from seamwise.storage.object_store import Stored

PIECE = 8 << 20  # bytes that are held in memory
CHECKSUMS = ("sha256", "sha1")


class ChecksumError(BadInputError):
    """Bytes that are not those whose checksum was sent with them; HTTP 460."""


class UnknownChecksumError(BadInputError):
    """A kind of checksum that is not computed here; HTTP 400."""


@dataclass(frozen=True)
class Checksum:
    """The hash that a stretch of bytes must have."""

    name: str
    digest: bytes

    @classmethod
    def read(cls, text: str) -> Checksum:
        """From the form that TUS has: a name, a space, the digest in base64."""
        name, _, encoded = text.partition(" ")
        if name not in CHECKSUMS:
            raise UnknownChecksumError(f"checksum {name[:20]!r}: use one of {', '.join(CHECKSUMS)}")
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadInputError("the checksum's digest is not base64") from error
        return cls(name, digest)


class Stretch:
    """Bytes of an upload from `offset` on; call `begin`, then `write` for each full piece, then `end`.

    Without a checksum each piece counts at once, so that a broken line loses less than one of them; with one, all
    count together or none.
    """

    def __init__(self, app: App, actor: Actor, upload_id: str, offset: int, checksum: Checksum | None = None) -> None:
        self._app, self._actor, self._id = app, actor, upload_id
        self._checksum = checksum
        # sha1 is what most clients send; it finds broken lines, not forgers.
        self._hash = None if checksum is None else hashlib.new(checksum.name, usedforsecurity=False)
        self._held: list[Stored] = []
        self._open = ExitStack()
        self._objects = self._open.enter_context(shelf(app))
        self._start = self._offset = offset
        self._length = 0

    def begin(self, announced: int | None) -> None:
        """Checks the place and, if it is told, the number of bytes that will come."""
        upload = get_upload(self._app, self._actor, self._id)
        check_offset(upload, self._offset)
        self._length = upload.length or 0
        self._check_room(announced or 0)

    def write(self, data: bytes) -> Step | None:
        """Takes some bytes; the upload as it is after them, unless they wait for the checksum."""
        self._check_room(len(data))
        if self._hash is not None:
            self._hash.update(data)
            self._held.append(self._objects.put([data]))
            self._offset += len(data)
            return None
        with shelf(self._app) as objects:
            step = add_pieces(self._app, self._actor, objects, self._id, self._offset, [objects.put([data])])
        self._offset += len(data)
        return step

    def end(self) -> Step | None:
        """Makes what waited for the checksum count. Raises ChecksumError."""
        if self._checksum is None or self._hash is None:
            return None
        if self._hash.digest() != self._checksum.digest:
            raise ChecksumError(f"the bytes from {self._start} on are not those of the checksum; send them again")
        return add_pieces(self._app, self._actor, self._objects, self._id, self._start, self._held)

    def close(self, error: BaseException | None = None) -> None:
        """Deletes what was put and does not count."""
        self._open.__exit__(type(error) if error else None, error, None)

    def _check_room(self, more: int) -> None:
        if self._offset + more > self._length:
            raise TooLargeError(f"more bytes than the {self._length} that the upload was begun with")
