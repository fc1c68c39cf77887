"""The API's own description: an OpenAPI document made of what the routes tell of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from core import VERSION
from core.roles import Role
from core.text import MAX_TEXT_LENGTH
from service.idempotency import MAX_KEY
from service.requests import MAX_TEXTS
from service.routing import Doc, Endpoint, Route

_SCHEMAS = "#/components/schemas/"


class ProblemFault(BaseModel):
    """One thing wrong with a request."""

    loc: list[str | int] = Field(description="Path to the value.")
    msg: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemFault]


_TITLES = {
    400: "The body is not JSON.",
    401: "No key, or none that is good.",
    403: "Not for this role; in open mode: not this machine, or another site's page.",
    404: "Nothing has that name or id, or the key has no grant for it.",
    405: "The path does not answer this method.",
    409: "It contradicts what is recorded, or the Idempotency-Key came with another body.",
    413: "The body is over 16 MiB.",
    415: "The body is not declared as JSON.",
    422: "A value is not allowed; `errors` names every one.",
    429: "No room now, or too many wrong keys; see Retry-After.",
    503: "Draining, no live model, or the store is away.",
}

_PARAMETERS: dict[str, dict[str, Any]] = {
    "task": {
        "schema": {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"},
        "description": "Name of a served task, such as `support-intent`.",
    },
    "id": {"schema": {"type": "string", "format": "uuid"}, "description": "Its id, a UUIDv7."},
}

_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
    "description": "A request sent again with the same key and body is answered with the first reply.",
}


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the endpoints of `routes` that have a `doc`.

    `x-regrade-roles` of an operation lists who may call it (null: everybody, without a key), and
    `x-regrade-open-mode` tells whether it works without a key in open mode.
    """
    described = [(route, method, endpoint, doc) for route, method, endpoint, doc in _described(routes)]
    models = sorted({model for _, _, _, doc in described for model in _models(doc)} | {Problem}, key=_name)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}")
    definitions = schemas["$defs"]
    _sharpen(definitions["PredictRequest"])
    paths: dict[str, dict[str, Any]] = {}
    for route, method, endpoint, doc in described:
        paths.setdefault(route.template, {})[method.lower()] = _operation(route, method, endpoint, doc)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regrade",
            "version": VERSION,
            "description": "Text classifiers that know when to ask a person.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. In open mode, while there are none, most of the API works without.",
                }
            },
        },
    }


def _described(routes: Iterable[Route]) -> Iterator[tuple[Route, str, Endpoint, Doc]]:
    for route in routes:
        for method, endpoint in route.methods.items():
            if endpoint.doc is not None:
                yield route, method, endpoint, endpoint.doc


def _models(doc: Doc) -> set[type[BaseModel]]:
    return {model for model in (doc.request, doc.reply, *doc.also.values()) if model is not None}


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _sharpen(schema: dict[str, Any]) -> None:
    """Say of the request what pydantic's types do not: text lengths, and one of `text` and `texts`."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH, "pattern": r"\S"}
    described = schema["properties"]
    described["text"] = {**text, "description": described["text"]["description"]}
    described["texts"] = {
        "type": "array",
        "items": text,
        "minItems": 1,
        "maxItems": MAX_TEXTS,
        "description": described["texts"]["description"],
    }
    schema["oneOf"] = [{"required": ["text"]}, {"required": ["texts"]}]


def _operation(route: Route, method: str, endpoint: Endpoint, doc: Doc) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": doc.summary,
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", route.template)]),
        "parameters": [*_in_path(route), *_in_query(doc.query), *([_IDEMPOTENCY] if endpoint.once else [])],
        "responses": _responses(route, endpoint, doc),
        "security": _security(endpoint),
        "x-regrade-roles": None if endpoint.roles is None else _sorted(endpoint.roles),
        "x-regrade-open-mode": endpoint.open_mode,
    }
    if doc.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(doc.request)}
    return operation


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.roles is None:
        return []
    return [{"key": []}, {}] if endpoint.open_mode else [{"key": []}]


def _sorted(roles: frozenset[Role]) -> list[Role]:
    return sorted(roles)


def _in_path(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", route.template)
    return [
        {"name": name, "in": "path", "required": True, **_PARAMETERS.get(name, _PARAMETERS["id"])} for name in names
    ]


def _in_query(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": {key: value for key, value in field.items() if key not in {"description", "title"}},
            "description": field.get("description", ""),
        }
        for name, field in schema["properties"].items()
    ]


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _SCHEMAS + _name(model)}}}


def _responses(route: Route, endpoint: Endpoint, doc: Doc) -> dict[str, Any]:
    done: dict[str, Any] = {"description": f"{doc.summary}."}
    if doc.reply is not None:
        done["content"] = _content(doc.reply)
    elif doc.media_types:
        done["content"] = {media_type: {} for media_type in doc.media_types}
    others = {str(status): {"description": "Not now.", "content": _content(doc.also[status])} for status in doc.also}
    problems = {
        str(status): {"description": _TITLES[status], "content": {"application/problem+json": _PROBLEM}}
        for status in _problems(route, endpoint, doc)
        if status not in doc.also
    }
    return {str(doc.status): done, **others, **problems}


_PROBLEM = {"schema": {"$ref": f"{_SCHEMAS}Problem"}}


def _problems(route: Route, endpoint: Endpoint, doc: Doc) -> list[int]:
    """Return the statuses of problems that a caller of the endpoint may meet."""
    statuses = {403, 405, *doc.problems}
    if endpoint.roles is not None:
        statuses |= {401, 422, 429, 503}
    if "{" in route.template:
        statuses.add(404)
    if endpoint.once:
        statuses |= {400, 409, 413}  # the body is read to compare it with the first one
    if endpoint.json:
        statuses |= {400, 413, 415}
    return sorted(statuses)
