"""Take a snapshot: read → clean → second opinion → settle → write → record.

Whatever does not train is set aside for a stated reason, and told. What only people can settle is sent to the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import NotFoundError, TaskError, UnavailableError
from core.settings import Settings
from feedback.snapshots import Draft, Recorded, record_snapshot
from feedback.store import Store
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.snapshot_choice import Advance, Chosen, choose_rows, count_reasons
from training.snapshot_erasure import settle_erasures
from training.snapshot_file import (
    DraftFile,
    make_snapshot,
    read_report,
    read_snapshot,
    write_draft,
    write_report,
)
from training.snapshot_records import Content
from training.snapshot_report import report_of
from training.snapshot_rows import Aside, Snapshot, SnapshotRow
from training.snapshot_sources import Material, read_material

__all__ = ["Aside", "Snapshot", "SnapshotRow", "read_snapshot", "take_snapshot"]

_ATTEMPTS = 5


def take_snapshot(
    settings: Settings,
    store: Store,
    folder: TaskFolder,
    *,
    run_id: str | None = None,
    advance: Advance = lambda *_, **__: None,
) -> Snapshot:
    """Take a snapshot of the task in `folder`, and bring to the queue what people must settle; may be repeated.

    The same content is the same snapshot, with the number it got first. `run_id` is the run that wants it.

    Raises:
        DataError: a data file cannot be used, or fewer than two labels have a usable row.
        TaskError: the task is of a kind that cannot be trained.
        UnavailableError: the store is away, or texts are erased again and again while this reads them.
    """
    task = folder.task
    if task.kind != "single_label":
        raise TaskError(f"{task.name} is a {task.kind} task; only single_label tasks can be trained so far")
    settle_erasures(store, settings.home)
    for _ in range(_ATTEMPTS):
        advance(0, note="reading")
        material = read_material(store, folder)
        chosen = choose_rows(settings, task, material, advance)
        advance(0, note="writing")
        content = Content(chosen.train, chosen.cleaning.aside, material.gold)
        suspected = [asdict(one) for one in chosen.suspected]
        about = {"run_id": run_id, "champion": material.champion, "suspected": suspected, "unasked": chosen.unasked}
        file = write_draft(settings.home, task, content)
        try:
            keep = partial(_keep, file, task, content, about)
            recorded = record_snapshot(store, _draft(task, file.sha256, chosen, material), keep)
        finally:
            file.drop()
        if recorded is not None:
            return make_snapshot(file.path, content, read_report(file.path))
    raise UnavailableError(f"what {task.name} learns from changes again and again; try again later")


def _draft(task: Task, sha256: str, chosen: Chosen, material: Material) -> Draft:
    cleaning = chosen.cleaning
    return Draft(
        task=task,
        sha256=sha256,
        rows=len(chosen.train),
        aside=count_reasons(cleaning.aside),
        uses={str(row.item_id): str(row.resolution_id) for row in chosen.train if row.source == "reviewed"},
        doubted=cleaning.doubted,
        contradictory=cleaning.contradictory,
        unlikely=chosen.unlikely,
        suspected=chosen.suspected,
        erasure=material.reviews.erasure,
    )


def _keep(file: DraftFile, task: Task, content: Content, about: Mapping[str, Any], recorded: Recorded) -> None:
    """Put the rows into their place, and a report beside them, unless both are there from before."""
    file.keep()
    if _number_told(file.path) != recorded.snapshot.number:
        write_report(file.path, {**report_of(task, content, recorded), **about})


def _number_told(path: Path) -> int | None:
    try:
        return int(read_report(path)["number"])
    except NotFoundError:
        return None
