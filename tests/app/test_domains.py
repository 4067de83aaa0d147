"""Domains: what can be one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain, get_domain, list_domains
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.tables import Role

STEEL = {"name": "steel", "modality": "radiography", "classes": ["background", "crack"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../steel"},
        {"name": "Steel"},
        {"classes": ["background"]},
        {"classes": ["background", "crack", "crack"]},
        {"classes": ["background", "ignore"]},
        {"ignore": 1},
        {"ignore": 256},
        {"pitch_mm": 0},
        {"pitch_mm": float("nan")},
        {"modality": "  "},
        {"colour": "grey"},
    ],
)
def test_what_cannot_be_a_domain(wrong: dict[str, object]) -> None:
    NewDomain.model_validate(STEEL)
    with pytest.raises(ValidationError):
        NewDomain.model_validate(STEEL | wrong)


def test_a_domain_is_made_once_and_by_a_trainer(app: App) -> None:
    spec = NewDomain.model_validate(STEEL | {"ignore": 255})
    with pytest.raises(ForbiddenError, match="trainer"):
        create_domain(app, Actor("key/1", Role.INSPECTOR), spec)
    create_domain(app, SYSTEM, spec)
    with pytest.raises(RefusedError, match="there is one of this name"):
        create_domain(app, SYSTEM, spec)
    viewer = Actor("key/2", Role.VIEWER)
    assert get_domain(app, viewer, "steel").ignore == 255
    assert [domain.name for domain in list_domains(app, viewer).items] == ["steel"]
    with pytest.raises(NotFoundError, match="film"):
        get_domain(app, viewer, "film")
