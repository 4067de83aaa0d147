"""The catalogue of strategies as schemas."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from seamwise.continual.catalogue import METHODS, build_strategy
from tests.web.caller import Caller


def defaults(strategy: dict[str, Any]) -> dict[str, Any]:
    return {name: schema["default"] for name, schema in strategy["parameters"]["properties"].items()}


def test_every_strategy_is_there_and_its_defaults_build_it(api: Caller) -> None:
    items = api.get("/strategies").json()["items"]
    assert [one["name"] for one in items] == [name for name in METHODS if name not in ("joint", "separate")]
    for one in items:
        jsonschema_rs.meta.validate(one["parameters"])
        jsonschema_rs.validate(one["parameters"], defaults(one))
        build_strategy(one["name"], defaults(one))


@pytest.mark.parametrize("wrong", [{"c": "much"}, {"clamp": "sometimes"}, {"d": 1}])
def test_a_schema_refuses_what_the_strategy_would(api: Caller, wrong: dict[str, Any]) -> None:
    schema = api.get("/strategies/si").json()["parameters"]
    assert not jsonschema_rs.is_valid(schema, wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build_strategy("si", wrong)


def test_several_joined(api: Caller) -> None:
    both = api.get("/strategies/si+replay").json()
    assert {"c", "capacity"} <= both["parameters"]["properties"].keys()


@pytest.mark.parametrize("name", ["sii", "si+", "si+joint", "%00", "a" * 300])
def test_a_strategy_that_is_not_there(api: Caller, name: str) -> None:
    answer = api.get(f"/strategies/{name}")
    assert answer.status_code in (400, 404, 422)
    if name == "sii":
        assert "did you mean si" in answer.json()["detail"]
