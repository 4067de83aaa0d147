"""Calls the API within the test's own process."""

from __future__ import annotations

import warnings
from typing import Any

from fastapi import FastAPI

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key
from seamwise.serving import Server
from seamwise.storage.tables import Role
from seamwise.web.main import create_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would like another client to be installed
    from starlette.testclient import TestClient

V1 = "/api/v1"


def token_of(app: App, role: Role, name: str = "test") -> str:
    """A new key of a role."""
    return create_key(app, SYSTEM, NewKey(name=name, role=role)).token


class Caller(TestClient):
    """A client of the API that sends one key; addresses begin after /api/v1 (`api.get("/domains")`)."""

    def __init__(self, web: FastAPI, token: str | None, **options: Any) -> None:
        super().__init__(web, base_url=f"http://localhost{V1}", **options)
        self.web = web
        self.platform: App = web.state.app
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"

    def of(self, role: Role | None) -> Caller:
        """The same API with a new key of this role; None: with no key."""
        return Caller(self.web, None if role is None else token_of(self.platform, role))


def open_api(app: App, server: Server | None = None, role: Role = Role.ADMIN) -> Caller:
    """The API over these ports, called with a key of the role."""
    return Caller(create_app(app, server=server), token_of(app, role))
