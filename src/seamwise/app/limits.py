"""How much is taken in at once, and the two refusals that a limit or a format meets."""

from __future__ import annotations

from dataclasses import dataclass

from seamwise.errors import BadInputError


class TooLargeError(BadInputError):
    """More bytes, pixels or files than are taken in; HTTP 413."""


class WrongTypeError(BadInputError):
    """Not a kind of file that is read here; HTTP 415."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold.

    files: members. total_bytes, file_bytes: unpacked, of all and of one. ratio: unpacked to packed size of a member of
    more than a megabyte: ordinary pictures and masks stay below it, a bomb of zeros reaches 1000. depth: folders one in
    another. name_bytes: of a member's whole path. table_bytes: of the table of contents, which is read as a whole.
    """

    files: int = 500_000
    total_bytes: int = 256 << 30
    file_bytes: int = 2 << 30
    ratio: float = 400.0
    depth: int = 12
    name_bytes: int = 512
    table_bytes: int = 256 << 20


LARGEST_JSON = 256 << 20  # bytes of an annotation file, which is parsed as a whole
