"""Our own OpenAPI document, fuzzed against the running service: whatever is sent, nothing breaks."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.keys import bearer
from tests.support.server import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_service(server: Server, mode: GenerationMode) -> None:
    api: Any = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    admin = bearer((server.home / "admin.key").read_text().strip())
    statuses: set[int] = set()
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        if mode == GenerationMode.NEGATIVE and not (operation.path_parameters or operation.query or operation.body):
            continue  # nothing in it can be wrong

        @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def sends(case: Any) -> None:
            if "task" in (case.path_parameters or {}) and mode == GenerationMode.POSITIVE:
                case.path_parameters["task"] = "tiny-intent"  # an invented name would never reach a model
            reply = case.call(headers=admin)
            statuses.add(reply.status_code)
            case.validate_response(reply, checks=CHECKS)

        sends()
    assert mode == GenerationMode.NEGATIVE or 200 in statuses
