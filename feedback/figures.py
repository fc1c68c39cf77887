"""The figures of a task that take a look at much: what its page shows of the last month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback.activity import DAYS, Day, Hour, by_day, by_hour, latest_hours
from feedback.annotators import AnnotatorReport, annotator_report
from feedback.confusions import Confusion, confusions
from feedback.estimate import Counted, Seen, read_seen
from feedback.recent import daily
from feedback.sampling import Estimate, accuracy_of_all, error_of_unasked
from feedback.store import Store
from tasks.declaration import Task

WINDOW = timedelta(days=DAYS)
"""How far back the figures look: as far as predictions are kept by default."""

_MOST_PEOPLE = 200


@dataclass(frozen=True)
class LabelFigures:
    """One predicted label: its `predictions`, how many triage `selected`, and what became of those.

    Of the selected ones `resolved` are, and people `confirmed` so many of them. `precision` is the share of right ones
    among all predictions of the label, by weights, None where nothing drawn was resolved. `declared` tells whether the
    task has the label today.
    """

    name: str
    declared: bool
    predictions: int
    selected: int
    resolved: int
    confirmed: int
    precision: Estimate | None


@dataclass(frozen=True)
class Figures:
    """What happened with a task since `since`.

    `accuracy` and `error` are those of `live_accuracy` and `unreviewed_error`. `per_day` are the predictions of a usual
    day lately, `selected_per_day` those that triage selects of them. `hours` are the last 48, `days` the last 30, the
    present ones last. `labels` have the most predicted first. `people` are those who answer, those with the most
    answers first, 200 at most.
    """

    since: datetime
    accuracy: Estimate | None
    error: Estimate | None
    per_day: float
    selected_per_day: float
    hours: list[Hour]
    days: list[Day]
    labels: list[LabelFigures]
    confusions: list[Confusion]
    people: list[AnnotatorReport]


def gather_figures(store: Store, task: Task) -> Figures:
    """Work out the figures of `task`; takes seconds where there are a million predictions or answers.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now = store.now(connection)
        hours = by_hour(connection, task.name, now)
        days = by_day(connection, task.name, hours, now)
        pairs = confusions(connection, task, now - WINDOW)
    seen = read_seen(store, task, now - WINDOW)
    people = sorted(annotator_report(store, task), key=lambda one: (-one.answers, one.person))
    week = [hour for hour in hours if hour.start > now - timedelta(days=7)]
    first = week[0].start if week else None
    return Figures(
        since=now - WINDOW,
        accuracy=accuracy_of_all(seen.drawn),
        error=error_of_unasked(seen.drawn),
        per_day=daily(sum(hour.predictions for hour in week), first, now),
        selected_per_day=daily(sum(hour.selected for hour in week), first, now),
        hours=latest_hours(hours, now),
        days=days,
        labels=label_figures(task, seen),
        confusions=pairs,
        people=people[:_MOST_PEOPLE],
    )


def label_figures(task: Task, seen: Seen) -> list[LabelFigures]:
    """Return what is known of each label of `task`, and of each other one that was predicted, most predicted first."""
    declared = task.label_names
    names = dict.fromkeys([*declared, *seen.traffic, *seen.labels])
    found = [_of_label(name, name in declared, seen) for name in names]
    return sorted(found, key=lambda one: (-one.predictions, not one.declared))


def _of_label(name: str, declared: bool, seen: Seen) -> LabelFigures:
    drawn, counted = seen.of_label(name), seen.traffic.get(name, Counted(0, 0.0, 0))
    resolved, confirmed = int((drawn.wrong >= 0).sum()), int((drawn.wrong == 0).sum())
    precision = accuracy_of_all(drawn)
    return LabelFigures(name, declared, counted.predictions, counted.selected, resolved, confirmed, precision)
