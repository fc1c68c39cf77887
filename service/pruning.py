"""Letting old model versions go, with what was kept of their runs: by what is remembered of them, on this host."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.roles import Caller
from feedback.audit import note
from feedback.deployments import lock_deployments, read_deployments, ways_back
from feedback.pins import list_pins
from feedback.runs import find_runs, list_runs, open_runs
from feedback.store import Store
from service.model_store import delete_version, version_names
from service.run_store import delete_run, stored_runs


@dataclass(frozen=True)
class Pruned:
    """The versions that went, and the runs whose folders did; oldest first."""

    versions: list[str]
    runs: list[str]


def prune(store: Store, home: Path, caller: Caller, task: str, keep: int, *, dry_run: bool = False) -> Pruned:
    """Delete old versions of `task` from this host's model store, and the folders of runs that no version needs.

    Of the versions the newest `keep` stay, and of the others the live one, the one before it, pinned ones, and those
    that an unfinished run needs. Nothing can become live meanwhile. With a version go its training report and its
    TensorBoard logs under `home`. Folders stay of runs that are not over, of those whose version stays, and of the
    newest `keep` runs; the runs themselves stay in the store, with their verdicts. In a `dry_run` nothing goes.

    Raises:
        OSError: a file cannot be removed.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, task)
        history = read_deployments(connection, task)
        needed = {one.version for one in history[:1]} | set(ways_back(history)[:1])
        needed |= {pin.version for pin in list_pins(store, task)}
        needed |= {version for run in open_runs(store, task) for version in (run.version, run.champion) if version}
        there = version_names(task)
        going = old_versions(there, keep, needed)
        if not dry_run:
            for version in going:
                delete_version(task, version)
                note(connection, caller, "models.prune", task, version=version)
    runs = _old_runs(store, home, task, keep, needed.union(there).difference(going))
    if not dry_run:
        for version in going:
            _delete_logs(home, task, version)
        for run_id in runs:
            delete_run(home, run_id)
    return Pruned(going, runs)


def old_versions(names: Sequence[str], keep: int, needed: Collection[str]) -> list[str]:
    """Return those of `names`, which sort by time, that are neither among the newest `keep` nor `needed`."""
    older = sorted(names)[:-keep]
    return [name for name in older if name not in needed]


def _old_runs(store: Store, home: Path, task: str, keep: int, versions: Collection[str]) -> list[str]:
    """Return the runs of `task` whose folders are not needed; of runs that the store does not know, nothing is said."""
    newest = {run.id for run in list_runs(store, [task], limit=keep)}
    known = [run for run in find_runs(store, stored_runs(home)) if run.task == task]
    return [run.id for run in known if not run.is_open and run.version not in versions and run.id not in newest]


def _delete_logs(home: Path, task: str, version: str) -> None:
    (home / "reports" / f"{task}-{version}.html").unlink(missing_ok=True)
    shutil.rmtree(home / "tensorboard" / task / version, ignore_errors=True)
