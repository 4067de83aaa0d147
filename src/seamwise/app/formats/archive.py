"""Zip archives from strangers: checked by their table of contents, then unpacked within limits."""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from typing import BinaryIO

from seamwise.app.limits import ArchiveLimits, TooLargeError, WrongTypeError
from seamwise.errors import BadInputError, SeamwiseError
from seamwise.storage.object_store import CHUNK

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_END, _END64_PLACE, _END64, _ENTRY = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2"
_COMMENT = 1 << 16
_ENCRYPTED = 1
_SMALL = 1 << 20


@contextmanager
def opened(file: BinaryIO, limits: ArchiveLimits) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """An archive and those of its members that are files, after every name and size in its table was checked.

    Nothing is unpacked. Raises WrongTypeError for what is no zip, TooLargeError beyond a limit, BadInputError for
    names, links and entries that a set does not need.
    """
    end, length = find_table(file, limits)
    file.seek(end - length)  # right before its end: an archive may have something in front of it
    _count_entries(file.read(length), limits)
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive, _checked(archive.infolist(), file.seek(0, 2), limits)
    except UnicodeDecodeError as error:
        raise BadInputError("the archive has a name that is no text; rename it, and make the archive again") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise BadInputError(f"the archive is damaged ({error}); make or send it again") from error


def unpack(
    file: BinaryIO, folder: Path, limits: ArchiveLimits, done: Callable[[int, int], None] = lambda done, of: None
) -> None:
    """Unpacks an archive into an empty folder, file by file. done: told the bytes written, and of how many."""
    with opened(file, limits) as (archive, members):
        total = sum(member.file_size for member in members)
        if total > disk_usage(folder).free:
            raise SeamwiseError(f"{folder}: {total / 1e9:.1f} GB to unpack and too little space; free some")
        written = 0
        for member in members:
            path = folder / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, path.open("xb") as plain:
                while chunk := packed.read(CHUNK):
                    plain.write(chunk)
                    written += len(chunk)
                    done(written, total)


def find_table(file: BinaryIO, limits: ArchiveLimits) -> tuple[int, int]:
    """Where an archive's table of contents ends, and how many bytes it has; none of it is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _COMMENT - 22))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise WrongTypeError("it is not a whole zip archive; send a set as a zip archive, or send it again")
    (length,) = struct.unpack("<I", tail[at + 12 : at + 16])
    end = size - len(tail) + at
    place = end - 20
    if place >= 0:
        file.seek(place)
        if file.read(4) == _END64_PLACE:
            end = place - 56
            file.seek(max(0, end))
            record = file.read(56)
            if record[:4] != _END64:
                raise BadInputError("the archive is damaged (its table of contents is not where it says)")
            (length,) = struct.unpack("<Q", record[40:48])
    if length > limits.table_bytes:
        raise TooLargeError(f"the archive's table of contents has {length / 1e6:.0f} MB; send it in several archives")
    if length > end:
        raise BadInputError("the archive is cut short; send it again")
    return end, length


def _count_entries(table: bytes, limits: ArchiveLimits) -> None:
    """Counts the entries before each becomes an object in memory."""
    at = count = 0
    while table[at : at + 4] == _ENTRY and at + 46 <= len(table):
        count += 1
        if count > limits.files:
            raise TooLargeError(f"the archive has more than {limits.files} entries; send it in several archives")
        at += 46 + sum(struct.unpack("<HHH", table[at + 28 : at + 34]))


def _checked(members: list[zipfile.ZipInfo], size: int, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    files: list[zipfile.ZipInfo] = []
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for member in members:
        path = _plain_path(member, limits)
        if any(part in _JUNK for part in path.parts):
            continue
        _check_kind(member)
        _note(path, member.is_dir(), seen, folders)
        if not member.is_dir():
            _check_size(member, limits)
            files.append(member)
    total = sum(member.file_size for member in files)
    if total > limits.total_bytes:
        raise TooLargeError(f"the archive unpacks to {total / 1e9:.1f} GB, more than {limits.total_bytes / 1e9:.1f} GB")
    if any(member.header_offset < 0 for member in files):
        raise BadInputError("the archive is damaged (an entry begins before the file does); make or send it again")
    if sum(member.compress_size for member in files) > size:
        raise BadInputError("the archive's entries overlap; make it again")
    if not files:
        raise BadInputError("the archive is empty; put the set's files into it")
    return files


def _plain_path(member: zipfile.ZipInfo, limits: ArchiveLimits) -> PurePosixPath:
    name = member.orig_filename
    shown = name[:200]
    path = PurePosixPath(name)
    if member.filename != name:  # a second name in an extra field, by which newer Pythons call the member
        raise BadInputError(f"{shown!r} in the archive: it has another name too, {member.filename[:200]!r}; rename it")
    if not name or any(ord(letter) < 32 for letter in name) or "\\" in name or ":" in name:
        raise BadInputError(f"{shown!r} in the archive: a name with \\, : or control characters; rename it")
    if path.is_absolute() or any(part in ("", ".", "..") for part in name.rstrip("/").split("/")):
        raise BadInputError(f"{shown!r} in the archive: a path that is absolute or leads elsewhere; rename it")
    try:
        longest = max(len(part.encode()) for part in path.parts)
        whole = len(name.encode())
    except UnicodeEncodeError as error:
        raise BadInputError(f"{shown!r} in the archive: a name that is no text; rename it") from error
    if whole > limits.name_bytes or longest > 255 or len(path.parts) > limits.depth:
        raise BadInputError(f"{shown!r} in the archive: too long, or too many folders in one another; rename it")
    return path


def _check_kind(member: zipfile.ZipInfo) -> None:
    name = member.filename[:200]
    mode = stat.S_IFMT(member.external_attr >> 16) if member.create_system == 3 else 0
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadInputError(f"{name!r} in the archive: a link or a device; put the file itself there")
    if member.flag_bits & _ENCRYPTED:
        raise BadInputError(f"{name!r} in the archive: it is encrypted; send it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadInputError(f"{name!r} in the archive: packed in a way that is not read here; use deflate")
    if not member.is_dir() and member.filename.lower().endswith(_ARCHIVES):
        raise BadInputError(f"{name!r} in the archive: an archive in an archive; unpack it, or send it by itself")


def _note(path: PurePosixPath, is_folder: bool, seen: dict[str, str], folders: dict[str, str]) -> None:
    """Refuses two names that are one on some file system, and a file where another needs a folder."""
    for parent in path.parents[:-1]:
        known = folders.setdefault(_folded(parent), str(parent))
        if known != str(parent) or _folded(parent) in seen:
            raise BadInputError(
                f"{str(path)!r} in the archive: {known!r} differs in case only, or is a file; rename it"
            )
    if is_folder:
        known = folders.setdefault(_folded(path), str(path))
        taken = known != str(path) or _folded(path) in seen
    else:
        taken = _folded(path) in seen or _folded(path) in folders
        seen[_folded(path)] = str(path)
    if taken:
        raise BadInputError(f"{str(path)!r} in the archive: twice, or again in another case; rename one of them")


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _check_size(member: zipfile.ZipInfo, limits: ArchiveLimits) -> None:
    name = member.filename[:200]
    if member.file_size > limits.file_bytes:
        raise TooLargeError(f"{name!r} in the archive: {member.file_size / 1e9:.1f} GB, more than is taken in")
    if member.file_size > _SMALL and member.file_size > limits.ratio * member.compress_size:
        raise TooLargeError(f"{name!r} in the archive: it unpacks to {limits.ratio:g} times its size, as bombs do")
