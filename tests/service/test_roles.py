"""Who may call what: every endpoint with every role, against a real service, as docs/api.md has it in its table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.ids import new_id
from core.roles import ALL_ROLES
from tests.support.keys import KeyedHome, bearer, make_keyed_home
from tests.support.server import ROOT, Server, run_server

ROLES = ("app", "annotator", "reviewer", "admin")
EVERYBODY = frozenset({"nobody", *ROLES})


@dataclass(frozen=True)
class Operation:
    """An endpoint, who may call it (`nobody`: without a key), and whether open mode lets everybody."""

    method: str
    path: str
    allowed: frozenset[str]
    in_open_mode: bool

    def send(self, client: httpx.Client, headers: dict[str, str]) -> int:
        """Call it with nothing of use, and return the status."""
        path = self.path.replace("{task}", "tiny-intent").replace("{id}", new_id())
        body: dict[str, Any] = {} if self.method == "GET" else {"json": {}}
        return client.request(self.method, path, headers=headers, **body).status_code


def documented() -> set[Operation]:
    """Return the table of docs/api.md."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.split("\n## Roles\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+) (\S+)` \|(.*)\|$", section, flags=re.MULTILINE)
    found = set()
    for method, path, cells in rows:
        marks = [cell.strip() for cell in cells.split("|")]
        assert set(marks) <= {"yes", ""}, (path, marks)
        *roles, open_mode = [mark == "yes" for mark in marks]
        allowed = frozenset(role for role, may in zip(ROLES, roles, strict=True) if may)
        found.add(Operation(method, path, allowed or EVERYBODY, open_mode))
    assert len(found) == len(rows), "a row is there twice"
    return found


@pytest.fixture(scope="module")
def keyed(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> KeyedHome:
    return make_keyed_home(tiny_home, tmp_path_factory.mktemp("keyed") / "home")


@pytest.fixture(scope="module")
def server(keyed: KeyedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(keyed.home, tmp_path_factory.mktemp("server"), workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def open_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tiny_home, tmp_path_factory.mktemp("open"), workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def described(server: Server) -> dict[str, Any]:
    with server.client() as client:
        paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return paths


@pytest.fixture(scope="module")
def operations(described: dict[str, Any]) -> set[Operation]:
    """What the service says of itself."""
    return {
        Operation(
            method.upper(),
            path,
            EVERYBODY if operation["x-regrade-roles"] is None else frozenset(operation["x-regrade-roles"]),
            operation["x-regrade-open-mode"],
        )
        for path, methods in described.items()
        for method, operation in methods.items()
    }


def test_the_table_in_the_docs_is_what_the_service_does(operations: set[Operation]) -> None:
    assert set(ROLES) == ALL_ROLES
    assert operations == documented()


def test_every_endpoint_is_documented(described: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("\n## Roles\n")
    outside_the_table = text[0] + text[1].partition("\n## ")[2]
    missing = [path for path in described if f" {path}`" not in outside_the_table]
    assert not missing, f"not in docs/api.md: {missing}"


def test_what_needs_no_key(operations: set[Operation]) -> None:
    without = {one.path for one in operations if one.allowed == EVERYBODY}
    assert without == {"/livez", "/readyz"}
    closed = {one.path for one in operations if not one.in_open_mode}
    live = {"/v1/models/{task}/promote", "/v1/models/{task}/rollback"}
    assert closed == {"/v1/keys", "/v1/keys/{id}", "/v1/erase", *live}


def test_every_endpoint_with_every_role(server: Server, keyed: KeyedHome, operations: set[Operation]) -> None:
    wrong = []
    with server.client() as client:
        for one in operations:
            for role in ROLES:
                status = one.send(client, bearer(keyed.secrets[role]))
                if (status == 403) == (role in one.allowed) or status in {401, 500}:
                    wrong.append(f"{role} at {one.method} {one.path}: {status}")
            status = one.send(client, {})
            if (status == 401) == ("nobody" in one.allowed):
                wrong.append(f"nobody at {one.method} {one.path}: {status}")
    assert not wrong, "\n".join(wrong)


def test_a_key_without_a_grant_finds_no_task(server: Server, keyed: KeyedHome, operations: set[Operation]) -> None:
    of_a_task = [one for one in operations if "{task}" in one.path]
    assert len(of_a_task) > 1
    with server.client() as client:
        for one in of_a_task:
            for role in one.allowed:
                status = one.send(client, bearer(keyed.secrets[f"{role} elsewhere"]))
                assert status == 404, f"{role} elsewhere at {one.method} {one.path}: {status}"


def test_open_mode_lets_everybody_in_but_where_the_admin_key_is_needed(
    open_server: Server, operations: set[Operation]
) -> None:
    with open_server.client() as client:
        for one in operations:
            status = one.send(client, {})
            assert (status != 401) == one.in_open_mode, f"{one.method} {one.path}: {status}"
            assert status != 403, f"{one.method} {one.path}"


def test_writes_honour_idempotency_keys(described: dict[str, Any]) -> None:
    for path, methods in described.items():
        for method, operation in methods.items():
            names = {parameter["name"] for parameter in operation["parameters"]}
            assert ("Idempotency-Key" in names) == (method != "get"), f"{method} {path}"
