"""The OpenAPI document: complete, with examples that hold, and requests made from it meet no error of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from seamwise.app.app import open_app
from seamwise.settings import Settings
from seamwise.storage.schema import upgrade
from seamwise.storage.tables import Role
from seamwise.web import sse
from seamwise.web.examples import EXAMPLES
from tests.contract.rows import add_job
from tests.web.caller import V1, Caller, open_api
from tests.web.routes_table import TABLE

EXAMPLES_EACH = 8
DOCUMENTED = [(route.method, route.path) for route in TABLE]


@schemathesis.serializer("application/offset+octet-stream")
def piece(_context: object, value: object) -> bytes:
    """A piece of an upload as it is sent."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """An API with a few records, so that small numbers name some."""
    folder: Path = tmp_path_factory.mktemp("used")
    app = open_app(Settings(data=folder, rate_limit="", import_folders=(str(folder / "none"),)))
    upgrade(app.database)
    app.objects.prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "LONGEST_S", 0.01)
        patch.setattr(sse, "EVERY_S", 0.005)
        api = open_api(app)
        api.post("/domains", json={"name": "a", "modality": "rt", "classes": ["background", "pore"]})
        for _ in range(3):
            add_job(app.database, kind="scrub")
        yield api
    app.database.dispose()


@pytest.fixture(scope="module")
def schema(used: Caller) -> schemathesis.BaseSchema:
    document = deepcopy(used.web.openapi())
    del document["security"], document["components"]["securitySchemes"]  # else half of the requests bring no key
    found = schemathesis.openapi.from_dict(document)
    found.app = used.web
    return found


def document(api: Caller) -> dict[str, Any]:
    return api.get("/openapi.json").json()


def test_the_document_has_every_route_of_the_table(api: Caller) -> None:
    paths = document(api)["paths"]
    found = {(method.upper(), path.removeprefix(V1)) for path, operations in paths.items() for method in operations}
    assert found == set(DOCUMENTED)
    jsonschema_rs.meta.validate(document(api)["components"]["schemas"]["Problem"])


def test_every_operation_says_what_it_does_and_how_it_fails(api: Caller) -> None:
    for path, operations in document(api)["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path} has no docstring"
            assert "application/problem+json" in operation["responses"]["default"]["content"]
    open_paths = {path for path, found in document(api)["paths"].items() if found.get("get", {}).get("security") == []}
    assert open_paths == {f"{V1}/health", f"{V1}/ready"}


def test_every_content_of_a_request_has_an_example_that_holds(api: Caller) -> None:
    found = document(api)
    schemas = found["components"]["schemas"]
    contents = {
        body["schema"]["$ref"].rpartition("/")[2]
        for operations in found["paths"].values()
        for operation in operations.values()
        for body in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in body.get("schema", {})
    }
    asked = {name for name in contents if not name.startswith("Body_")}  # forms
    assert asked <= EXAMPLES.keys() <= schemas.keys()
    for name, example in EXAMPLES.items():
        jsonschema_rs.validate({**schemas[name], "components": found["components"]}, example)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), DOCUMENTED, ids=lambda text: text)
def test_no_request_made_from_the_document_meets_an_error_of_the_service(
    schema: schemathesis.BaseSchema, used: Caller, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[V1 + path][method]

    @seed(5)
    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def meets_none(case: Case) -> None:
        # A key for each request: it may ask for the end of the one it came with.
        answer = case.call(base_url="http://localhost", headers=dict(used.of(Role.ADMIN).headers))
        nothing_serves = (method, path, answer.status_code) == ("POST", "/predictions", 503)
        assert answer.status_code < 500 or nothing_serves, answer.content[:2000]
        assert answer.status_code != 401

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        meets_none()
