"""The ports that every use case works on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from seamwise.settings import Settings
from seamwise.storage.database import open_database
from seamwise.storage.object_store import ObjectStore
from seamwise.storage.objects import open_objects
from seamwise.tasks.doorbell import Doorbell, open_doorbell


@dataclass(frozen=True)
class App:
    """Where rows, bytes and rings go; the schemes of the settings' URLs have chosen the adapters."""

    settings: Settings
    database: Engine
    objects: ObjectStore
    doorbell: Doorbell


def open_app(settings: Settings) -> App:
    """The ports of these settings; opens no connection yet. Raises UsageError for a URL that cannot be used."""
    return App(
        settings,
        open_database(settings.database_url),
        open_objects(settings.objects_url),
        open_doorbell(settings.queue_url),
    )
