"""Letting old model versions go: a policy on what is remembered of them, and the store on this host."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.roles import Caller
from feedback.audit import note
from feedback.deployments import lock_deployments, read_deployments, ways_back
from feedback.pins import list_pins
from feedback.runs import open_runs
from feedback.store import Store
from service.model_store import delete_version, version_names


def prune_versions(store: Store, caller: Caller, task: str, keep: int, *, dry_run: bool = False) -> list[str]:
    """Delete versions of `task` from this host's model store; return those that went, or, in a `dry_run`, would go.

    The newest `keep` stay, and of the others the live one, the one before it, pinned ones, and those that an unfinished
    run needs. Nothing can become live meanwhile.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, task)
        history = read_deployments(connection, task)
        needed = {one.version for one in history[:1]} | set(ways_back(history)[:1])
        needed |= {pin.version for pin in list_pins(store, task)}
        needed |= {version for run in open_runs(store, task) for version in (run.version, run.champion) if version}
        going = old_versions(version_names(task), keep, needed)
        if not dry_run:
            for version in going:
                delete_version(task, version)
                note(connection, caller, "models.prune", task, version=version)
    return going


def old_versions(names: Sequence[str], keep: int, needed: Collection[str]) -> list[str]:
    """Return those of `names`, which sort by time, that are neither among the newest `keep` nor `needed`."""
    older = sorted(names)[:-keep]
    return [name for name in older if name not in needed]
