"""Whether the promise of triage holds on live traffic, as far as people's answers tell."""

from __future__ import annotations

from datetime import timedelta

from core.roles import REGRADE
from feedback.audit import note
from feedback.estimate import unreviewed_error
from feedback.outbox import Event, emit
from feedback.sampling import Estimate
from feedback.store import Store
from tasks.declaration import Task

WATCHED = timedelta(days=30)
"""How far back the watch looks: as far as predictions are kept by default."""


def watch_promise(store: Store, task: Task) -> Estimate | None:
    """Estimate the error that nobody looks at, and raise an alert if it is above `triage.max_error` without doubt.

    Without doubt: the lower end of the 95 % interval is above it. Thresholds hold for traffic like the rows that they
    were fitted on; the audit share is what shows that traffic has become another. Demo data is left out. None without
    evidence.
    """
    with store.read() as connection:
        since = store.now(connection) - WATCHED
    found = unreviewed_error(store, task, since, with_demo=False)
    if found is None or found.low <= task.triage.max_error:
        return found
    figures = {"error": found.estimate, "low": found.low, "high": found.high, "max_error": task.triage.max_error}
    with store.write() as connection:
        emit(connection, [Event("alert.raised", task.name, {"alert": "promise.broken", **figures})])
        note(connection, REGRADE, "promise.broken", task.name, **figures)
    return found
