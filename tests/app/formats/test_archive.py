"""Archives: what is unpacked, and every trick that is refused by the table of contents alone."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from seamwise.app.formats.archive import unpack
from seamwise.app.limits import ArchiveLimits, TooLargeError, WrongTypeError
from seamwise.errors import BadInputError
from tests.app.hostile import ARCHIVES, entry, patched, zipped

LIMITS = ArchiveLimits()


def unpacked(data: bytes, folder: Path, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    folder.mkdir()
    unpack(io.BytesIO(data), folder, limits)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plain_archive(tmp_path: Path) -> None:
    junk = {"__MACOSX/._a.png": b"x", "set/.DS_Store": b"x"}
    data = zipped({"set/images/a.png": b"a" * 99, "set/masks/a.png": b"b", "top.txt": "ü".encode(), **junk})
    told: list[tuple[int, int]] = []
    (tmp_path / "set").mkdir()
    unpack(io.BytesIO(data), tmp_path / "set", LIMITS, lambda done, of: told.append((done, of)))
    assert (tmp_path / "set" / "set/images/a.png").read_bytes() == b"a" * 99
    assert sorted(path.name for path in (tmp_path / "set").rglob("*") if path.is_file()) == [
        "a.png",
        "a.png",
        "top.txt",
    ]
    assert told[-1] == (102, 102)


def test_something_in_front_and_a_comment_do_no_harm(tmp_path: Path) -> None:
    assert unpacked(b"#!/bin/sh\n" + zipped({"a": b"1"}, comment=b"made by hand"), tmp_path / "x") == {"a": b"1"}


def test_64_bit_archives(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(70_000):  # more than 16 bits count
            archive.writestr(zipfile.ZipInfo(f"{number % 100}/{number}"), b"")
    with pytest.raises(TooLargeError, match="more than 69999 entries"):
        unpacked(buffer.getvalue(), tmp_path / "a", ArchiveLimits(files=69_999))
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w") as archive, archive.open(zipfile.ZipInfo("big"), "w", force_zip64=True) as member:
        member.write(b"content")
    assert unpacked(small.getvalue(), tmp_path / "b") == {"big": b"content"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_tricks_write_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    data, status = ARCHIVES[name]()
    with pytest.raises(BadInputError) as caught:
        unpack(io.BytesIO(data), tmp_path / "set", LIMITS)
    expected = {413: TooLargeError, 415: WrongTypeError}.get(status, BadInputError)
    assert type(caught.value) is expected, caught.value
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_limits(tmp_path: Path) -> None:
    data = zipped({"a": b"x" * 60, "b": b"x" * 60})
    for limits in (
        ArchiveLimits(files=1),
        ArchiveLimits(total_bytes=119),
        ArchiveLimits(file_bytes=59),
        ArchiveLimits(table_bytes=50),
    ):
        with pytest.raises(TooLargeError):
            unpacked(
                data, tmp_path / str(limits.files + limits.total_bytes + limits.file_bytes + limits.table_bytes), limits
            )


def test_a_size_that_lies_is_found_while_unpacking(tmp_path: Path) -> None:
    """The table says less than there is: no byte more than it says is written, and the checksum does not fit."""
    data = entry("a.txt", b"x" * 5000, claimed=10)
    with pytest.raises(BadInputError, match="damaged"):
        unpacked(data, tmp_path / "x")
    assert all(path.stat().st_size <= 10 for path in tmp_path.rglob("*") if path.is_file())


def test_a_second_name_in_an_extra_field_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.13 on zipfile calls a member by its Unicode Path field, whatever the table's own name is."""
    monkeypatch.setattr(zipfile.ZipInfo, "_decodeExtra", lambda self, *_crc: setattr(self, "filename", "../evil.png"))
    with pytest.raises(BadInputError, match="another name"):
        unpacked(zipped({"a.png": b"x"}), tmp_path / "x")
    assert not (tmp_path / "evil.png").exists()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    data = patched(zipped({"ü.png": b"x"}), "ü.png".encode(), 0, b"\xff\xfe")
    with pytest.raises(BadInputError, match="no text"):
        unpacked(data, tmp_path / "x")


def test_an_entry_before_the_file(tmp_path: Path) -> None:
    """The table claims to begin later than it does, so that its entries begin at negative places."""
    data = patched(zipped({"a.png": b"x"}), b"PK\5\6", 16, struct.pack("<I", 5000))
    with pytest.raises(BadInputError, match="damaged"):
        unpacked(data, tmp_path / "x")
