"""The figures of a task's page: from recorded predictions and real answers, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from core.ids import new_id
from feedback.activity import DAYS, HOURS, Hour, latest_hours
from feedback.answers import Said
from feedback.confusions import Confusion
from feedback.estimate import Counted, Seen, live_accuracy, unreviewed_error
from feedback.facts import Reason
from feedback.figures import WINDOW, gather_figures, label_figures
from feedback.recent import daily, latest_predictions
from feedback.recording import record
from feedback.sampling import Drawn
from feedback.schema import summaries
from feedback.stats import queue_depths
from feedback.store import Store
from feedback.summaries import read_summaries, refresh_summary
from tasks.declaration import Label, Task
from tests.support.predicted import predicted
from tests.support.queue import ask, make_item, make_task, person, reply

ANN, BEN = person("ann"), person("ben")
HOUR = timedelta(hours=1)


def predict(
    store: Store, task: Task, label: str, reason: Reason | None, inclusion: float = 1.0, at: datetime | None = None
) -> str | None:
    """Record a prediction of `label`; return its item, if it asks for one."""
    made = predicted(f"text {new_id()}")
    scores = ((label, 0.7), ("refund", 0.2))
    item = make_item(task, made.id, made.text.sha256, reason=reason, suggestions=scores) if reason else None
    one = replace(made, task=task.name, revision=task.revision, label=label, scores=scores, out_of_scope=0.1)
    one = replace(one, language=None, inclusion=inclusion, item=item, created_at=at or made.created_at)
    with store.write() as connection:
        record(store, connection, [one])
    return item.id if item else None


def busy_day(store: Store, task: Task) -> list[str]:
    """Five of `parcel`, four looked at: one right, two were `password`, one outside; and a `refund` that waits."""
    found = [predict(store, task, "parcel", "low_confidence") for _ in range(4)]
    predict(store, task, "parcel", None, 0.1)
    for said in ("parcel", "password", "password", Said("out_of_scope")):
        reply(store, task, ANN, said)
    predict(store, task, "refund", "low_confidence")
    return [item for item in found if item]


def test_nothing_has_happened_yet(store: Store) -> None:
    task = make_task()
    figures = gather_figures(store, task)
    assert (figures.accuracy, figures.error, figures.per_day, figures.selected_per_day) == (None, None, 0.0, 0.0)
    assert [label.name for label in figures.labels] == task.label_names
    assert (figures.confusions, figures.people) == ([], [])
    assert (len(figures.hours), len(figures.days)) == (HOURS, DAYS)
    assert latest_predictions(store, task.name) == []


def test_what_became_of_each_label(store: Store) -> None:
    task = make_task()
    busy_day(store, task)
    figures = gather_figures(store, task)
    parcel, refund, password = figures.labels
    assert (parcel.name, parcel.predictions, parcel.selected, parcel.resolved, parcel.confirmed) == (
        "parcel",
        5,
        4,
        4,
        1,
    )
    assert (refund.name, refund.predictions, refund.selected, refund.resolved) == ("refund", 1, 1, 0)
    assert (password.predictions, password.precision, refund.precision) == (0, None, None)
    assert parcel.precision is not None
    assert parcel.precision.naive == pytest.approx(0.25)
    assert parcel.precision.low <= parcel.precision.estimate <= parcel.precision.high
    since = datetime.now(UTC) - WINDOW
    assert figures.accuracy == live_accuracy(store, task, since)
    assert figures.error == unreviewed_error(store, task, since)


def test_what_people_called_something_else(store: Store) -> None:
    task = make_task()
    items = busy_day(store, task)
    password, outside = gather_figures(store, task).confusions
    assert (password.predicted, password.said, password.n) == ("parcel", ("password",), 2)
    assert (outside.predicted, outside.said, outside.n) == ("parcel", ("out_of_scope",), 1)
    assert {password.item_id, outside.item_id} <= set(items)


def test_confusions_are_told_in_todays_words(store: Store) -> None:
    task = make_task()
    busy_day(store, task)
    renamed = [*task.labels[:2], Label(id=3, name="access", replaces=[3])]
    after = task.model_copy(update={"revision": 2, "labels": renamed})
    from feedback.revisions import note_revision

    note_revision(store, task)
    note_revision(store, after)
    first, *_ = gather_figures(store, after).confusions
    assert (first.predicted, first.said, first.n) == ("parcel", ("access",), 2)


def test_several_labels_a_text(store: Store) -> None:
    task = make_task(kind="multi_label")
    ask(store, task, "one", "two", "three")
    reply(store, task, ANN, Said("labels", ["parcel", "refund"]))
    reply(store, task, ANN, Said("labels", ["password", "refund"]))
    reply(store, task, ANN, Said("labels", []))
    found = {pair.said: pair.n for pair in gather_figures(store, task).confusions}
    assert found == {("refund", "password"): 1, (): 1}, "what the model said first was among them once"


def test_imported_texts_and_copies_that_no_model_judged_confuse_nobody(store: Store) -> None:
    task = make_task()
    ask(store, task, "brought", suggestions=())
    reply(store, task, ANN, "refund")
    assert gather_figures(store, task).confusions == []


def test_what_was_done_each_day_and_by_whom(store: Store) -> None:
    task = make_task()
    busy_day(store, task)
    reply(store, task, BEN, Said("skip"))
    figures = gather_figures(store, task)
    today = figures.days[-1]
    assert sum(day.predictions for day in figures.days) == 6
    assert sum(day.answers for day in figures.days) == 4, "a skip is no answer"
    assert sum(day.resolved for day in figures.days) == 4
    assert today.start <= datetime.now(UTC) < today.start + timedelta(days=1, minutes=1)
    assert sum(hour.predictions for hour in figures.hours) == 6
    assert sum(hour.selected for hour in figures.hours) == 5
    assert figures.per_day == pytest.approx(6)
    assert [(one.person, one.answers) for one in figures.people] == [("ann", 4), ("ben", 1)]


def test_how_much_waits(store: Store) -> None:
    task = make_task()
    busy_day(store, task)
    depth = queue_depths(store, [task.name, "nothing"])
    assert depth[task.name].open == 1
    assert depth[task.name].oldest is not None
    assert (depth["nothing"].open, depth["nothing"].oldest) == (0, None)


def test_the_latest_predictions_come_first(store: Store) -> None:
    task = make_task()
    predict(store, task, "parcel", None)
    predict(store, task, "refund", "audit")
    predict(store, make_task(name="post"), "refund", "audit")
    latest = latest_predictions(store, task.name)
    assert [one.reason for one in latest] == ["audit", None]
    assert latest_predictions(store, task.name, most=1) == latest[:1]


def test_a_summary_is_kept_until_something_happens(store: Store) -> None:
    task = make_task()
    assert read_summaries(store, [task.name]) == {}
    assert refresh_summary(store, task)
    before = read_summaries(store, [task.name])[task.name]
    assert before.figures.labels[0].predictions == 0
    let_it_be_due(store)
    assert not refresh_summary(store, task), "nothing has happened"
    busy_day(store, task)
    assert refresh_summary(store, task)
    after = read_summaries(store, [task.name, "other"])[task.name]
    assert after.figures.labels[0].predictions == 5
    assert after.computed_at > before.computed_at - timedelta(days=1)
    assert after.figures.confusions[0] == Confusion("parcel", ("password",), 2, after.figures.confusions[0].item_id)
    predict(store, task, "parcel", None, 0.1)
    assert not refresh_summary(store, task), "it was done a moment ago"
    let_it_be_due(store)
    assert refresh_summary(store, task)


def test_dear_figures_rest_longer(store: Store) -> None:
    task = make_task()
    refresh_summary(store, task)
    let_it_be_due(store, seconds=60.0)
    predict(store, task, "parcel", None, 0.1)
    assert not refresh_summary(store, task), "an hour has not gone by since it took a minute"


def test_what_another_release_wrote_is_worked_out_anew(store: Store) -> None:
    task = make_task()
    refresh_summary(store, task)
    with store.write() as connection:
        connection.execute(update(summaries).values(content={"figures": {"since": "long ago"}}))
    assert read_summaries(store, [task.name]) == {}
    let_it_be_due(store)
    assert refresh_summary(store, task)
    assert task.name in read_summaries(store, [task.name])


def let_it_be_due(store: Store, seconds: float | None = None) -> None:
    """Let the summaries be half an hour old, and have cost `seconds` if that is told."""
    with store.write() as connection:
        past = store.now(connection) - timedelta(minutes=30)
        connection.execute(update(summaries).values(computed_at=past))
        if seconds is not None:
            content = connection.execute(summaries.select()).one().content | {"seconds": seconds}
            connection.execute(update(summaries).values(content=content))


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1000)), unique_by=lambda one: one[0]))
def test_the_last_hours_are_all_there_once(now: datetime, known: list[tuple[int, int]]) -> None:
    this = now.replace(minute=0, second=0, microsecond=0)
    found = latest_hours([Hour(this - back * HOUR, n, 0) for back, n in known], now)
    assert [hour.start for hour in found] == [this - back * HOUR for back in reversed(range(HOURS))]
    assert sum(hour.predictions for hour in found) == sum(n for back, n in known if back < HOURS)


@given(moments, st.integers(0, 10**9), st.floats(0, 24 * 365))
def test_a_usual_day_is_no_more_than_all_there_was(now: datetime, total: int, hours: float) -> None:
    found = daily(total, now - timedelta(hours=hours), now)
    assert 0 <= found <= total
    assert found * max(hours, 24.0) / 24.0 == pytest.approx(total)


outcomes = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([1.0, 0.1, 0.02]), st.sampled_from([0.0, 1.0, float("nan")]))
)


@given(outcomes)
def test_labels_divide_what_was_drawn(rows: list[tuple[int, float, float]]) -> None:
    labels, inclusion, wrong = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    names = ("parcel", "refund", "password")
    counted = {name: Counted(100, 20.0, int((labels == number).sum())) for number, name in enumerate(names)}
    drawn = Drawn(labels.astype(np.int64), inclusion.astype(np.float64), wrong.astype(np.float64), 300, 60.0)
    found = {one.name: one for one in label_figures(make_task(), Seen(names, drawn, counted))}
    assert sum(one.selected for one in found.values()) == len(rows)
    assert sum(one.resolved for one in found.values()) == int((~np.isnan(drawn.wrong)).sum())
    for one in found.values():
        assert one.confirmed <= one.resolved <= one.selected
        assert (one.precision is None) == (one.resolved == 0)
        if one.precision is not None:
            assert one.precision.naive == pytest.approx(one.confirmed / one.resolved)
            assert 0 <= one.precision.low <= one.precision.estimate <= one.precision.high <= 1
