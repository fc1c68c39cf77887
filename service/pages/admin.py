"""Administration of people: who may come in, with which keys, and what they did."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field

from core.ids import is_id
from core.roles import ADMINS
from feedback.audit_view import browse_entries, list_actions, sealing
from feedback.key_view import Shown, browse_keys
from feedback.people import LATELY, MOST_COUNTED, list_people
from service.bodies import Clean
from service.exchange import Incoming, Reply
from service.pages.site import Site
from service.queries import Query, read_query
from service.routing import Endpoint, Route
from service.worker import Worker

_PEOPLE, _KEYS, _ENTRIES = 30, 100, 100
"""How many a page has."""

_Name = Annotated[Clean, Field(max_length=200)]


class PeopleQuery(Query):
    """Parameters of the page of people: those whose names follow `after`."""

    after: _Name = ""


class KeysQuery(Query):
    """Parameters of the page of keys: which to show, of whom, and those made before the one with the id `before`."""

    show: Shown = "good"
    person: _Name = ""
    before: str = ""


class EntriesQuery(Query):
    """Parameters of the page of the audit log: entries by whom, of which kind, and with ids below `before`."""

    actor: _Name = ""
    action: Annotated[Clean, Field(max_length=40)] = ""
    before: int | None = Field(None, ge=1, lt=2**63)


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the routes of people, keys and the audit log."""
    pages = _Admin(worker, site)
    handlers = {"people": pages.people, "keys": pages.keys, "audit": pages.audit}
    return [Route(f"/app/admin/{name}", {"GET": Endpoint(handler, ADMINS)}) for name, handler in handlers.items()]


class _Admin:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site
        self._store = worker.store

    async def people(self, incoming: Incoming) -> Reply:
        """Show everybody who has a key or has answered."""
        query = read_query(PeopleQuery, incoming)
        tasks = sorted(self._worker.live.tasks)
        found = await asyncio.to_thread(list_people, self._store, tasks, after=query.after, limit=_PEOPLE + 1)
        shown: dict[str, Any] = {
            "people": found[:_PEOPLE],
            "next": found[_PEOPLE - 1].name if len(found) > _PEOPLE else "",
            "after": query.after,
            "days": LATELY.days,
            "most": MOST_COUNTED,
            "now": datetime.now(UTC),
        }
        return await self._site.page(incoming, "admin_people.html.j2", **shown)

    async def keys(self, incoming: Incoming) -> Reply:
        """Show keys, and let an administrator with a key make and revoke them."""
        query = read_query(KeysQuery, incoming)
        before = query.before if is_id(query.before) else None
        narrowed: dict[str, Any] = {"person": query.person or None, "before": before}
        found = await asyncio.to_thread(browse_keys, self._store, query.show, limit=_KEYS + 1, **narrowed)
        shown: dict[str, Any] = {
            "keys": found[:_KEYS],
            "next": found[_KEYS - 1].id if len(found) > _KEYS else "",
            "here": f"/app/admin/keys?{urlencode({'show': query.show, 'person': query.person})}",
            "show": query.show,
            "tasks": sorted(self._worker.live.tasks),
            "may_change": incoming.caller.key_id is not None,
            "own_id": incoming.caller.key_id,
            "now": datetime.now(UTC),
        }
        return await self._site.page(incoming, "admin_keys.html.j2", **narrowed, **shown)

    async def audit(self, incoming: Incoming) -> Reply:
        """Show the audit log, newest first."""
        query = read_query(EntriesQuery, incoming)
        narrowed: dict[str, Any] = {"actor": query.actor or None, "action": query.action or None}
        found = await asyncio.to_thread(
            browse_entries, self._store, before=query.before, limit=_ENTRIES + 1, **narrowed
        )
        shown: dict[str, Any] = {
            "entries": found[:_ENTRIES],
            "next": found[_ENTRIES - 1].entry.id if len(found) > _ENTRIES else None,
            "before": query.before,
            "here": f"/app/admin/audit?{urlencode({'actor': query.actor, 'action': query.action})}",
            "sealing": await asyncio.to_thread(sealing, self._store),
            "actions": await asyncio.to_thread(list_actions, self._store),
        }
        return await self._site.page(incoming, "admin_audit.html.j2", **narrowed, **shown)
