"""Every route with every role, against one table; a route that is not in the table fails."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from seamwise.app.actor import allows
from seamwise.storage.tables import Role
from seamwise.web.main import NOUNS
from tests.web.caller import Caller
from tests.web.routes_table import STRICTER, TABLE, Route


def served() -> set[tuple[str, str]]:
    """(method, path) of all routes that the application includes."""
    found = set()
    for noun in NOUNS:
        for route in noun.router.routes:
            assert isinstance(route, APIRoute), "a route of another kind escapes this test"
            found |= {(method, route.path) for method in route.methods}
    return found


def test_the_table_has_every_route_once_and_no_other() -> None:
    rows = [(route.method, route.path) for route in TABLE]
    assert len(rows) == len(set(rows))
    assert set(rows) == served()


@pytest.mark.parametrize("route", TABLE + STRICTER, ids=lambda route: f"{route.method} {route.path} {route.role}")
def test_each_role_may_do_what_the_table_says(api: Caller, route: Route) -> None:
    if route.role is not None:
        assert api.of(None).request(route.method, route.address, **route.send).status_code == 401
    for role in Role:
        answer = api.of(role).request(route.method, route.address, **route.send)
        if route.role is None or allows(role, route.role):
            assert answer.status_code not in (401, 403, 405), (role, answer.text)
            nothing_serves = (route.method, route.address) == ("POST", "/predictions")
            assert answer.status_code == 503 if nothing_serves else answer.status_code < 500, (role, answer.text)
        else:
            assert answer.status_code == 403, (role, answer.text)
