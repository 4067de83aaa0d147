"""What only a folder of objects has: files, and the disk beneath them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from seamwise.errors import SeamwiseError
from seamwise.storage import folder_store
from seamwise.storage.columns import utc_now
from seamwise.storage.database import writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.object_rows import commit_object
from seamwise.storage.object_store import read_whole
from seamwise.storage.upkeep import collect, scrub


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    found = FolderStore(tmp_path / "objects")
    found.prepare()
    return found


def test_a_file_and_its_folders_are_on_the_disk_before_put_returns(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(
        folder_store.os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink())
    )
    stored = store.put([b"content"])
    path = store.folder / stored.key
    assert synced == [store.folder, path.with_name(f".part-{path.name}"), path.parent]


def test_a_killed_writer_leaves_no_object_and_its_rest_is_collected(store: FolderStore, embedded: Engine) -> None:
    script = (
        "import sys, time; from pathlib import Path; from seamwise.storage.folder_store import FolderStore\n"
        "def content():\n"
        "    yield b'x' * 100_000\n"
        "    print('half', flush=True); time.sleep(60)\n"
        "FolderStore(Path(sys.argv[1])).put(content())"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, store.folder], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    (rest,) = store.listed()
    assert "/.part-" in rest.key
    assert collect(embedded, store) == 0
    assert collect(embedded, store, now=utc_now() + timedelta(days=8)) == 1
    assert list(store.listed()) == []


def test_what_another_program_left_keeps_no_rest_from_being_collected(store: FolderStore, embedded: Engine) -> None:
    rest = store.put([b"rest"])
    foreign = (store.folder / rest.key).with_name(".a-copy-under-way.x7Ab")
    foreign.write_bytes(b"foreign")
    assert collect(embedded, store, now=utc_now() + timedelta(days=8)) == 1
    assert [found.key for found in store.listed()] == [foreign.relative_to(store.folder).as_posix()]


def test_an_object_that_cannot_be_read_is_told_and_the_others_are_looked_at(
    store: FolderStore, embedded: Engine
) -> None:
    one, other = (store.put([content]) for content in (b"one", b"other"))
    with writing(embedded) as session:
        for stored in (one, other):
            commit_object(session, stored)
    path = store.folder / one.key
    path.unlink()
    path.symlink_to(path.name)  # read errors of a disk look alike: an OSError
    problems = {found.stored: found.problem for found in scrub(embedded, store)}
    assert "symbolic links" in str(problems[one])
    assert problems[other] is None


@pytest.mark.parametrize("full", ["write", "fsync"])
def test_a_full_disk_is_told_and_leaves_nothing(store: FolderStore, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    if full == "fsync":
        monkeypatch.setattr(folder_store.os, "fsync", no_space)
        (store.folder / "ab").mkdir()
        monkeypatch.setattr(folder_store, "new_key", lambda: "ab/" + "0" * 30)
    else:
        monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(SeamwiseError, match="No space left on device; free some space"):
        store.put([b"content"])
    assert list(store.listed()) == []


def test_a_folder_that_is_gone_is_an_outage_and_not_made_anew(store: FolderStore) -> None:
    key = store.put([b"content"]).key
    store.folder.rename(store.folder.with_name("unmounted"))
    for action in (lambda: store.put([b"x"]), lambda: list(store.read(key)), lambda: store.read_range(key, 0, 1)):
        with pytest.raises(UnavailableError, match=r"the folder of the objects is gone; mount its disk again"):
            action()
    assert not store.folder.exists()


def test_an_object_moved_with_its_folder_is_still_there(store: FolderStore, tmp_path: Path) -> None:
    stored = store.put([b"content"])
    store.folder.rename(tmp_path / "elsewhere")
    assert read_whole(FolderStore(tmp_path / "elsewhere"), stored) == b"content"
