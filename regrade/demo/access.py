"""How the demo's people come in: by their names in open mode, else with keys that are good for as long as it plays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from core.errors import UnauthenticatedError, UnavailableError
from regrade.demo.people import ANNOTATORS, RITA, SHOP
from regrade.operator import opened_store, operator

if TYPE_CHECKING:
    from core.roles import Role
    from core.settings import Settings

_NOTE = "regrade demo"
_LONGEST = timedelta(days=1)
"""How long a key of the demo is good at most, if its end is never reached."""


@dataclass(frozen=True)
class Access:
    """Where the service is, what its tasks are as `GET /v1/tasks` tells them, and each person's headers."""

    url: str
    tasks: Sequence[Mapping[str, Any]]
    headers: Mapping[str, Mapping[str, str]]


@contextmanager
def entered(settings: Settings, url: str, granted: Sequence[str]) -> Iterator[Access]:
    """Let the demo's people in until the block ends; their keys, good for the `granted` tasks, are revoked then.

    Raises:
        UnavailableError: no service answers at `url`, or the store is away.
        UnauthenticatedError: `REGRADE_API_KEY` is not good, or the service has another store than these settings.
    """
    given = settings.api_key.get_secret_value()
    first = _tasks(url, {"Authorization": f"Bearer {given}"} if given else {})
    if first.status_code == 401 and given:
        raise UnauthenticatedError(
            f"the service at {url} does not take the key in REGRADE_API_KEY; correct or unset it"
        )
    if first.status_code == 200 and not given:
        people = [SHOP, RITA, *(one.name for one in ANNOTATORS)]
        yield Access(url, first.json()["tasks"], {name: {"X-Regrade-Annotator": name} for name in people})
        return
    with _keys(settings, granted, without_app=bool(given)) as keys:
        headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        headers.setdefault(SHOP, {"Authorization": f"Bearer {given}"})
        there = _tasks(url, headers[RITA])
        if there.status_code != 200:
            raise UnauthenticatedError(
                f"{url} does not take the keys made for the demo ({there.status_code}), so it has another store; "
                "set REGRADE_HOME and REGRADE_DATABASE_URL as it has them"
            )
        yield Access(url, there.json()["tasks"], headers)


def _tasks(url: str, headers: Mapping[str, str]) -> httpx.Response:
    try:
        reply = httpx.get(f"{url}/v1/tasks", headers=dict(headers), timeout=10)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise UnavailableError(
            f"no service answers at {url} ({type(error).__name__}); start one with `make serve`, or name it with --url"
        ) from error
    if reply.status_code not in {200, 401}:
        raise UnavailableError(
            f"{url} answers {reply.status_code}, and is no Regrade service that is ready; see its log"
        )
    return reply


@contextmanager
def _keys(settings: Settings, granted: Sequence[str], *, without_app: bool) -> Iterator[dict[str, str]]:
    """Make a key for each person, and revoke them all at the end."""
    from feedback.keys import create_key, revoke_key

    roles: dict[str, Role] = {RITA: "reviewer", **dict.fromkeys((one.name for one in ANNOTATORS), "annotator")}
    if not without_app:
        roles[SHOP] = "app"
    ends = datetime.now(UTC) + _LONGEST
    with opened_store(settings) as store:
        made, secrets = [], {}
        try:
            for person, role in roles.items():
                key, secrets[person] = create_key(
                    store, operator(), person=person, role=role, tasks=granted, expires_at=ends, note_text=_NOTE
                )
                made.append(key.id)
            yield secrets
        finally:
            for key_id in made:
                revoke_key(store, operator(), key_id)
