"""Settings: one folder without any variable, and what a cluster sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamwise.errors import UsageError
from seamwise.settings import Settings, read_settings
from seamwise.storage.database import open_database
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.objects import open_objects
from tests.contract.rows import at_once


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SEAMWISE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "with space %41"))


def test_without_variables_all_lives_in_one_folder(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings.data == tmp_path / "with space %41" / "seamwise"
    database = open_database(settings.database_url)
    assert database.url.database == str(settings.data / "seamwise.db")
    database.dispose()
    store = open_objects(settings.objects_url)
    assert isinstance(store, FolderStore)
    assert store.folder == settings.data / "objects"
    assert settings.queue_url == "local:"


def test_variables_name_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMWISE_DATABASE_URL", "postgresql://u:hush@host/x")
    monkeypatch.setenv("SEAMWISE_OBJECTS_URL", "s3://key:hush@bucket?endpoint=https://host")
    monkeypatch.setenv("SEAMWISE_QUEUE_URL", "redis://:hush@host:6379/0")
    monkeypatch.setenv("SEAMWISE_SECRET_KEY", "hush" * 10)
    settings = read_settings()
    assert settings.database_url == "postgresql://u:hush@host/x"
    assert settings.signing_key() == "hush" * 10
    assert "hush" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("name", "value"), [("SEAMWISE_SECRET_KEY", "short"), ("SEAMWISE_LEASE_S", "0"), ("SEAMWISE_LEASE_S", "soon")]
)
def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"^{name}: ") as caught:
        read_settings()
    assert value not in str(caught.value) or name == "SEAMWISE_LEASE_S"


def test_a_secret_key_is_made_once_for_all_processes(tmp_path: Path) -> None:
    keys = at_once(8, lambda _: Settings(data=tmp_path / "data").signing_key())
    assert keys == [keys[0]] * 8
    assert len(keys[0]) == 64
    file = tmp_path / "data" / "secret.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]


def test_a_database_server_needs_a_secret_key() -> None:
    with pytest.raises(UsageError, match="SEAMWISE_SECRET_KEY is not set"):
        Settings(database_url="postgresql://host/x").signing_key()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().queue_url = "redis://host"
