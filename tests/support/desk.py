"""A service with people: several tasks, somebody of each role with a key, and clients that speak for them."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.roles import Caller, Role
from feedback.deployments import record_first_deployment
from feedback.keys import create_key
from feedback.store import Store, open_store
from service.queue_replies import AnswerReply, ClaimReply, ItemView
from tests.support.page_tasks import PageTask
from tests.support.server import Server, run_server

LABELS = "".join(
    f'[[labels]]\nid = {number}\nname = "{name}"\n' for number, name in enumerate(("parcel", "refund", "password"), 1)
)
QUIET = "hide_suggestions = 0.0\ncheck_rate = 0.0\n"
"""No chance in what annotators see, where a test is about something else."""

TASKS = {
    "pair": f'[review]\nstrategy = "crowd"\nanswers = 2\nmost_answers = 3\naggregation = "majority"\n{QUIET}'
    "[reports]\nas_answer = true\n",
    "checked": '[review]\nstrategy = "expert"\nhide_suggestions = 0.0\ncheck_rate = 0.5\n',
    "brief": f"[review]\nlease_seconds = 10\n{QUIET}",
    "many": f'[review]\nstrategy = "expert"\n{QUIET}',
    "secret": f"[review]\n{QUIET}",
}
"""Tasks beside `tiny-intent`, without a model: what their queues hold is imported. Nobody but admins sees `secret`."""

GRANTED = ["tiny-intent", "pair", "checked", "brief", "many"]
ROLES: dict[str, Role] = {
    "ann": "annotator",
    "bob": "annotator",
    "cai": "annotator",
    "rita": "reviewer",
    "shop": "app",
    "rival": "app",
    "root": "admin",
}


@dataclass
class Desk:
    """A running service, its store, and a key for each person."""

    server: Server
    store: Store
    keys: dict[str, str]
    _clients: dict[str, httpx.Client] = field(default_factory=dict)

    def of(self, person: str) -> httpx.Client:
        """Return the client that speaks for `person`."""
        if person not in self._clients:
            headers = {"Authorization": f"Bearer {self.keys[person]}"}
            self._clients[person] = httpx.Client(base_url=self.server.url, timeout=30, headers=headers)
        return self._clients[person]

    def post(self, person: str, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        """Send a JSON body as `person`, with an `Idempotency-Key` if one is given."""
        return self.of(person).post(path, json=body, headers={"Idempotency-Key": key} if key else {})

    def bring(self, task: str, *texts: str, **more: Any) -> list[str]:
        """Import `texts`; return their items."""
        body = {"texts": [{"text": text} for text in texts], **more}
        reply = self.post("rita", f"/v1/queue/{task}/items", body)
        assert reply.status_code == 202, reply.text
        return [one["item_id"] for one in reply.json()["items"]]

    def claim(self, person: str, task: str, **more: Any) -> list[dict[str, Any]]:
        """Claim items as `person`."""
        reply = self.post(person, f"/v1/queue/{task}/claim", more)
        assert reply.status_code == 200, reply.text
        ClaimReply.model_validate_json(reply.content)
        items: list[dict[str, Any]] = reply.json()["items"]
        return items

    def answer(self, person: str, item: dict[str, Any], **said: Any) -> httpx.Response:
        """Answer a claimed item as `person`; a reply of success is what the API's description says."""
        body = {"lease_token": item["lease_token"], **said}
        reply = self.post(person, f"/v1/queue/items/{item['item_id']}/answer", body)
        if reply.status_code == 201:
            AnswerReply.model_validate_json(reply.content)
        return reply

    def item(self, item_id: str) -> dict[str, Any]:
        """Return everything about an item, as a reviewer sees it."""
        reply = self.of("root").get(f"/v1/queue/items/{item_id}")
        assert reply.status_code == 200, reply.text
        ItemView.model_validate_json(reply.content)
        return dict(reply.json())

    def close(self) -> None:
        """Close every client and the store."""
        for client in self._clients.values():
            client.close()
        self.store.close()


_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def unique(text: str) -> str:
    """Return a text that no other test has brought, in letters: now and then, hexadecimal digits are a valid IBAN."""
    return f"{text} {uuid.uuid4().hex.translate(_LETTERS)}"


@contextmanager
def run_desk(
    tiny_home: Path, folder: Path, database_url: str = "", more: Mapping[str, PageTask] | None = None
) -> Iterator[Desk]:
    """Serve the tasks above and `more` from `folder`, with keys made beforehand, until the block ends."""
    more = more or {}
    source = folder / "source"
    shutil.copytree(tiny_home, source)
    base = source / "base"
    for name, review in TASKS.items():
        _declare(source / "tasks" / name, name, base, review)
    for name, task in more.items():
        task.write(source / "tasks" / name, base)
    with (source / "tasks" / "tiny-intent" / "task.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[review]\n{QUIET}\n[reports]\nper_minute = 30\n[triage]\naudit = 1e-9\ndrift = false\n")
    version = (source / "versions.txt").read_text(encoding="utf-8").split()[0]
    _make_sure(source / "bentoml" / "models" / "tiny-intent" / version / "manifest.json")
    store = open_store(database_url or f"sqlite:///{source / 'regrade.sqlite3'}")
    operator = Caller("tests", "admin")
    keys = {}
    for person, role in ROLES.items():
        granted = None if role == "admin" else [*GRANTED, *more]
        _, keys[person] = create_key(store, operator, person=person, role=role, tasks=granted)
    record_first_deployment(store, "tiny-intent", version, "first version", "tests")
    store.close()
    served = ",".join(["tiny-intent", *TASKS, *more])
    with run_server(source, folder, REGRADE_TASKS=served, REGRADE_DATABASE_URL=database_url) as server:
        desk = Desk(server, open_store(database_url or f"sqlite:///{server.home / 'regrade.sqlite3'}"), keys)
        try:
            yield desk
        finally:
            desk.close()


def _make_sure(manifest: Path) -> None:
    """Let the model doubt nothing: it is small and was taught little."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content |= {"thresholds": dict.fromkeys(content["thresholds"], 0.0), "scope_threshold": 1.0}
    manifest.write_text(json.dumps(content), encoding="utf-8")


def _declare(folder: Path, name: str, base: Path, review: str) -> None:
    folder.mkdir()
    kind = 'kind = "multi_label"\n' if name == "many" else ""
    toml = f'name = "{name}"\nbase = "{base}"\n{kind}{LABELS}{review}'
    (folder / "task.toml").write_text(toml, encoding="utf-8")
