"""What the tests of memory share: a home whose task asks about everything or nothing, and what its store holds."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import select

from core.settings import load_settings
from feedback.schema import items, predictions, texts, traffic
from feedback.store import Store

EVERYTHING = "audit = 1.0"
"""A share of which every prediction is asked about."""

NOTHING = "audit = 1e-9\ndrift = false"
"""As good as none, but for what the model doubts."""


def home_that_asks(source: Path, folder: Path, triage: str, review: str = "") -> Path:
    """Copy the home `source` into `folder`, its task with the given sections; return it."""
    home = folder / "source"
    shutil.copytree(source, home)
    declaration = home / "tasks" / "tiny-intent" / "task.toml"
    content = declaration.read_text(encoding="utf-8")
    declaration.write_text(f"{content}\n[triage]\n{triage}\n[review]\n{review}\n", encoding="utf-8")
    return home


def store_of(home: Path) -> Store:
    """Open the SQLite store of a home."""
    return Store(load_settings(home=home).store_url)


def linked(store: Store) -> dict[str, str | None]:
    """Return the item of every recorded prediction that has its text; its item is there too, or it is left out."""
    there = predictions.join(texts, texts.c.id == predictions.c.id)
    there = there.outerjoin(items, items.c.id == predictions.c.item_id)
    wanted = select(predictions.c.id, items.c.id).select_from(there)
    with store.read() as connection:
        return {row[0]: row[1] for row in connection.execute(wanted)}


def item_ids(store: Store) -> set[str]:
    """Return the ids of all items, merged ones included."""
    with store.read() as connection:
        return set(connection.scalars(select(items.c.id)))


def counted(store: Store) -> int:
    """Return the number of predictions by the traffic counters."""
    with store.read() as connection:
        return sum(connection.scalars(select(traffic.c.predictions)))
