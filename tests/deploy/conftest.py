"""The scripts of `deploy/services`, which are run as a folder and are in no package."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that starts and stops processes."""
    monkeypatch.syspath_prepend(DEPLOY / "services")
    return importlib.import_module("program")
