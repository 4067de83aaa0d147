"""Settings of the service: lists, limits, and what cannot be meant."""

from __future__ import annotations

import os

import pytest

from seamwise.errors import UsageError
from seamwise.settings import LOOPBACK, Settings, read_settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SEAMWISE_"):
            monkeypatch.delenv(name)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMWISE_IMPORT_FOLDERS", "/sets/a, /sets/b,")
    monkeypatch.setenv("SEAMWISE_ALLOWED_HOSTS", "welds.example")
    settings = read_settings()
    assert settings.import_folders == ("/sets/a", "/sets/b")
    assert settings.hosts() == ("welds.example",)


def test_names_follow_the_address() -> None:
    assert set(Settings().hosts()) == set(LOOPBACK)
    assert Settings(host="127.0.0.2").hosts() == (*LOOPBACK, "127.0.0.2")
    assert set(Settings(host="localhost").hosts()) == set(LOOPBACK)
    assert Settings(host="0.0.0.0").hosts() == ("*",)


def test_an_empty_data_folder_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    default = read_settings().data
    monkeypatch.setenv("SEAMWISE_DATA", "")
    assert read_settings().data == default


def test_embedded_is_what_lives_in_a_file() -> None:
    assert Settings().embedded
    assert not Settings(database_url="postgresql://host/x").embedded


def test_the_gate_s_thresholds_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMWISE_GATE", '{"forgetting": 0.1}')
    assert read_settings().gate == {"forgetting": 0.1}
    monkeypatch.setenv("SEAMWISE_GATE", "{")
    with pytest.raises(UsageError, match="SEAMWISE_GATE"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "5 per day"),
        ("PORT", "70000"),
        ("KEEP_PREDICTIONS", "some"),
        ("TRIGGER_POLICY", "ask"),
        ("LOG_FORMAT", "xml"),
        ("MAX_IMAGE_MB", "0"),
        ("THREADS", "0"),
        ("GUESS_CONFIDENCE", "1.5"),
        ("DRIFT_IMAGES_BETWEEN_FALSE_ALARMS", "0"),
        ("DRIFT_IMAGES_BETWEEN_FALSE_ALARMS", "inf"),
        ("MAX_IMAGE_MB", "inf"),
        ("MAX_REQUEST_MB", "nan"),
        ("TRIGGER_HOURS", "inf"),
        ("LEASE_S", "inf"),
    ],
)
def test_what_cannot_be_meant_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SEAMWISE_{name}", value)
    with pytest.raises(UsageError, match=f"^SEAMWISE_{name}: "):
        read_settings()
