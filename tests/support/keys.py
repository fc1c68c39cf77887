"""A home whose service starts with keys: one of each role, and some that are of no use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from core.roles import ALL_ROLES, Caller
from core.settings import load_settings
from feedback.keys import Key, create_key, revoke_key
from feedback.schema import keys
from feedback.store import Store, open_store

MAKER = Caller("cli:tests", "admin")


@dataclass(frozen=True)
class KeyedHome:
    """A home, and its keys by name: each role for all tasks, `ROLE elsewhere` without a grant for `tiny-intent`,
    `expired` and `revoked`."""

    home: Path
    keys: Mapping[str, Key]
    secrets: Mapping[str, str]


def make_keyed_home(source: Path, home: Path) -> KeyedHome:
    """Copy the home `source` to `home` and make keys in it; the persons are called like the keys."""
    shutil.copytree(source, home)
    store = open_store(load_settings(home=home).store_url)
    made: dict[str, tuple[Key, str]] = {}
    for role in sorted(ALL_ROLES):
        made[role] = create_key(store, MAKER, person=role, role=role)
        made[f"{role} elsewhere"] = create_key(
            store, MAKER, person=f"{role} elsewhere", role=role, tasks=["other-task"]
        )
    made["revoked"] = create_key(store, MAKER, person="revoked", role="admin")
    revoke_key(store, MAKER, made["revoked"][0].id)
    made["expired"] = create_key(
        store, MAKER, person="expired", role="admin", expires_at=datetime.now(UTC) + timedelta(days=1)
    )
    _let_expire(store, made["expired"][0])
    store.close()
    return KeyedHome(
        home, {name: key for name, (key, _) in made.items()}, {name: secret for name, (_, secret) in made.items()}
    )


def _let_expire(store: Store, key: Key) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    with store.write() as connection:
        connection.execute(update(keys).where(keys.c.id == key.id).values(expires_at=past))


def bearer(secret: str) -> dict[str, str]:
    """Return the header that sends a key."""
    return {"Authorization": f"Bearer {secret}"}
