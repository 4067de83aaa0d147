"""Files that are written whole or not at all."""

import errno
import os
import stat

import pytest

from seamwise.errors import SeamwiseError
from seamwise.files import atomic_write


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a.bin"
    atomic_write(path, b"first")
    atomic_write(path, b"second")
    assert path.read_bytes() == b"second"
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    atomic_write(path, b"x")
    assert path.read_bytes() == b"x"


def test_the_file_and_its_folder_reach_the_disk_around_the_renaming(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(stat.S_ISDIR(os.fstat(fd).st_mode)), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("replace"), replace(a, b)))
    atomic_write(tmp_path / "a.bin", b"x")
    assert steps == [False, "replace", True]


@pytest.mark.parametrize("call", ["fsync", "replace", "fdopen"])
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "quota"), (errno.EACCES, "permission")]
)
def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, call, old, number, says):
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(SeamwiseError, match=says) as caught:
            atomic_write(path, b"new" * 1000)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == ({} if old is None else {"a.bin": old})


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a.bin", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    atomic_write(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"


def test_a_missing_folder_and_a_folder_of_that_name(tmp_path):
    with pytest.raises(SeamwiseError, match="does not exist; make it first"):
        atomic_write(tmp_path / "none" / "a.bin", b"x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(SeamwiseError, match="a folder of that name exists"):
        atomic_write(tmp_path / "taken", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_permissions_follow_the_umask_or_the_old_file(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    new = tmp_path / "new"
    atomic_write(new, b"x")
    assert new.stat().st_mode == plain.stat().st_mode
    new.chmod(0o600)
    atomic_write(new, b"y")
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
