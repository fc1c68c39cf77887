"""The API's own description: the OpenAPI document, and a page that shows it from files of an installed package."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from core import VERSION
from core.text import MAX_TEXT_LENGTH
from service.idempotency import MAX_KEY
from service.replies import PredictReply
from service.requests import MAX_TEXTS, PredictRequest

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


class TaskLabel(BaseModel):
    """A label of a task; its id outlives renames."""

    id: int
    name: str
    description: str


class TaskView(BaseModel):
    """A task as `GET /v1/tasks` shows it."""

    name: str
    kind: str
    title: str
    description: str
    languages: list[str]
    revision: int
    labels: list[TaskLabel]
    live_version: str | None
    thresholds: dict[str, float]


class Tasks(BaseModel):
    """Body of `GET /v1/tasks`."""

    tasks: list[TaskView]


class GateView(BaseModel):
    """What the gate said of a version."""

    decision: str
    reasons: list[str]


class VersionView(BaseModel):
    """A model version as `GET /v1/models/{task}` shows it."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    live: bool
    revision: int
    method: str
    created_at: str
    metrics: dict[str, float]
    gate: GateView
    base: str
    snapshot_sha256: str


class Models(BaseModel):
    """Body of `GET /v1/models/{task}`."""

    task: str
    live_version: str | None
    versions: list[VersionView]


class Readiness(BaseModel):
    """Body of `GET /readyz`."""

    ready: bool
    draining: bool
    tasks: dict[str, str | None] = Field(description="Live version by task.")


class Liveness(BaseModel):
    """Body of `GET /livez`."""

    alive: bool


_TITLES = {
    400: "The body is not JSON.",
    403: "In open mode: not this machine, or another site's page.",
    404: "No such task.",
    405: "The path does not answer this method.",
    409: "The Idempotency-Key came with another body.",
    413: "The body is over 16 MiB.",
    415: "The body is not declared as JSON.",
    422: "A value is not allowed; `errors` names every one.",
    429: "No room now; see Retry-After.",
    503: "Draining, no live model, or the store is away.",
}


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of everything the front answers."""
    models = (PredictRequest, PredictReply, Tasks, Models, Readiness, Liveness, Problem)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}")
    definitions = schemas["$defs"]
    _sharpen(definitions["PredictRequest"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regrade",
            "version": VERSION,
            "description": "Text classifiers that know when to ask a person.",
        },
        "paths": {
            "/v1/tasks/{task}/predict": {"post": _predict()},
            "/v1/tasks": {"get": _get("Tasks with labels, revision, live version and thresholds", "Tasks")},
            "/v1/models/{task}": {
                "get": _get("Model versions of a task, newest first", "Models", _TASK, statuses=(404,))
            },
            "/livez": {"get": _get("Whether the process answers at all", "Liveness")},
            "/readyz": {"get": _get("Whether requests should be sent here", "Readiness", unready=True)},
        },
        "components": {"schemas": definitions},
    }


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


_TASK = {
    "name": "task",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"},
    "description": "Name of a served task, such as `support-intent`.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
    "description": "A request sent again with the same key and body is answered with the first reply.",
}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _SCHEMAS + schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    body = {"application/problem+json": {"schema": {"$ref": _SCHEMAS + "Problem"}}}
    return {str(status): {"description": _TITLES[status], "content": body} for status in statuses}


def _predict() -> dict[str, Any]:
    return {
        "summary": "Classify one text or up to 256",
        "operationId": "predict",
        "parameters": [_TASK, _KEY],
        "requestBody": {"required": True, "content": _content("PredictRequest")},
        "responses": {
            "200": {"description": "One prediction a text, in their order.", "content": _content("PredictReply")},
            **_problems(400, 403, 404, 405, 409, 413, 415, 422, 429, 503),
        },
    }


def _get(
    summary: str, schema: str, *parameters: dict[str, Any], statuses: tuple[int, ...] = (), unready: bool = False
) -> dict[str, Any]:
    replies: dict[str, Any] = {"200": {"description": summary, "content": _content(schema)}}
    if unready:
        replies["503"] = {"description": "Not now.", "content": _content(schema)}
    return {
        "summary": summary,
        "operationId": schema.lower(),
        "parameters": list(parameters),
        "responses": {**replies, **_problems(403, 405, *statuses)},
    }


DOCS_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Regrade API</title>
<link rel="stylesheet" href="/static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true});</script>
</body>
</html>
"""
"""Swagger UI, from the files that BentoML ships: nothing is fetched from elsewhere."""
