"""The OpenAPI document: what FastAPI gathers from the routes, with keys, problems and examples added."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from seamwise.web.access import OPEN
from seamwise.web.examples import EXAMPLES
from seamwise.web.problems import MEDIA_TYPE

_PROBLEM = {
    "type": "object",
    "description": "What is wrong and the way out (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "The number under which the service's log keeps the request."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "where": {"type": "array", "items": {"type": "string"}},
                    "what": {"type": "string"},
                },
            },
        },
    },
    "example": {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "domain 'rt-2': there is none of this name; make it first",
        "request_id": "5f0c1d9b7f3e4a4a9b0c6f2d8e1a7c35",
    },
}
_ABOUT = """Keep one segmentation model good over years: import pictures, train, look at the gate's verdict, promote,
predict, review.

All answers but pictures are JSON; errors are problem details. Lists come in pages: pass `next` as `cursor`. Work that
takes time answers 202 with the job's address in `Location`; sent again under the same `Idempotency-Key` it makes
nothing new. GET answers carry an `ETag`."""


def describe(api: FastAPI) -> None:
    """Replaces the application's document by the full one."""
    gather = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _completed(gather())
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    document["info"]["description"] = _ABOUT
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for left in ("HTTPValidationError", "ValidationError"):
        schemas.pop(left, None)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["example"] = example
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "A key such as sw_..."}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []
            _answer_problems(operation["responses"], bool(operation.get("parameters") or operation.get("requestBody")))
    return document


def _answer_problems(responses: dict[str, Any], takes_input: bool) -> None:
    problem = {
        "description": "A problem.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if takes_input:
        responses["422"] = {**problem, "description": "Something in the request cannot be used; `errors` says where."}
    responses["default"] = problem
