"""How a task does on all its traffic: from recorded predictions and real answers, and over simulated months."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from benchmarks.live_accuracy import HELD, KINDS, Kind, coverage
from core.ids import new_id
from feedback.answers import Said
from feedback.estimate import live_accuracy, unreviewed_error
from feedback.facts import Reason, Recording
from feedback.recording import record
from feedback.revisions import note_revision
from feedback.sampling import Drawn, accuracy_of_all, error_of_unasked
from feedback.schema import outbox
from feedback.store import Store
from feedback.watch import watch_promise
from tasks.declaration import Task
from tests.support.predicted import predicted as prediction
from tests.support.queue import make_item, make_task, person, reply

ANN = person("ann")


def predicted(
    task: Task,
    number: int,
    inclusion: float,
    reason: Reason | None,
    *,
    labels: list[str] | None = None,
    copies: str = "",
) -> Recording:
    """A prediction of `parcel`, or of `labels`; `reason` asks for an item."""
    made = prediction(copies or f"text {number} {new_id()}")
    item = make_item(task, made.id, made.text.sha256, reason=reason) if reason else None
    about = replace(made, task=task.name, revision=task.revision, labels=labels, language=None)
    scores = (("parcel", 0.9),)
    return replace(about, confidence=0.9, scores=scores, out_of_scope=0.1, inclusion=inclusion, item=item)


def write(store: Store, recordings: list[Recording]) -> None:
    with store.write() as connection:
        record(store, connection, recordings)


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def month(store: Store, task: Task) -> None:
    """300 predictions: 20 drawn for certain, half of them wrong; of 280 at 1 in 10, 28 drawn, 2 wrong."""
    write(store, [predicted(task, n, 1.0, "low_confidence") for n in range(20)])
    for n in range(20):
        reply(store, task, ANN, "refund" if n % 2 else "parcel")
    write(store, [predicted(task, n, 0.1, "audit" if n < 28 else None) for n in range(280)])
    for n in range(28):
        reply(store, task, ANN, "refund" if n < 2 else "parcel")


def test_live_accuracy_speaks_of_all_traffic(store: Store) -> None:
    task = make_task()
    assert live_accuracy(store, task, an_hour_ago()) is None
    month(store, task)
    found = live_accuracy(store, task, an_hour_ago())
    assert found is not None
    assert found.estimate == pytest.approx(1 - (20 * 0.5 + 280 * 2 / 28) / 300)
    assert found.low < found.estimate < found.high
    assert found.naive == pytest.approx(36 / 48)
    assert (found.n_reviewed, found.n_traffic) == (48, 300)
    assert live_accuracy(store, task, an_hour_ago(), version="v1") == found
    assert live_accuracy(store, task, an_hour_ago(), version="v2") is None
    assert live_accuracy(store, task, datetime.now(UTC) + timedelta(hours=2)) is None


def test_the_error_among_answers_that_nobody_was_asked_about(store: Store) -> None:
    task = make_task()
    month(store, task)
    found = unreviewed_error(store, task, an_hour_ago())
    assert found is not None
    assert found.estimate == pytest.approx(2 / 28)
    assert found.low < found.estimate < found.high
    assert found.n_traffic == 252


def alerts(store: Store) -> list[dict[str, object]]:
    with store.read() as connection:
        told = connection.execute(select(outbox.c.event, outbox.c.payload))
        return [payload for event, payload in told if event == "alert.raised"]


def test_somebody_is_told_when_the_promise_is_broken_without_doubt(store: Store) -> None:
    task = make_task()
    assert watch_promise(store, task) is None
    month(store, task)  # 2 of 28 are wrong: more than 5 %, but by chance perhaps
    watch_promise(store, task)
    assert alerts(store) == []
    write(store, [predicted(task, n, 0.1, "audit" if n < 28 else None) for n in range(280)])
    for _ in range(28):
        reply(store, task, ANN, "refund")
    found = watch_promise(store, task)
    assert found is not None
    assert [(one["alert"], one["error"]) for one in alerts(store)] == [("promise.broken", found.estimate)]


def test_reports_and_imports_are_outside(store: Store) -> None:
    task = make_task()
    month(store, task)
    before = live_accuracy(store, task, an_hour_ago())
    late = [predicted(task, n, 0.1, "user_report") for n in range(30)]
    write(store, late)
    for _ in late:
        reply(store, task, ANN, "refund")
    after = live_accuracy(store, task, an_hour_ago())
    assert before is not None
    assert after is not None
    assert after.n_reviewed == before.n_reviewed
    assert after.estimate > before.estimate - 0.01  # they count as traffic, not as evidence


def test_out_of_scope_is_wrong_and_copies_share_their_items_answer(store: Store) -> None:
    task = make_task()
    write(store, [predicted(task, n, 1.0, "low_confidence", copies="the same text") for n in range(3)])
    write(store, [predicted(task, n, 1.0, "out_of_scope") for n in range(1)])
    first = reply(store, task, ANN, "parcel")
    assert first.resolution is not None
    partly = live_accuracy(store, task, an_hour_ago())
    assert partly is not None
    assert partly.n_reviewed == 3
    reply(store, task, ANN, Said("out_of_scope"))
    found = live_accuracy(store, task, an_hour_ago())
    assert found is not None
    assert found.estimate == pytest.approx(0.75)
    assert found.n_reviewed == 4
    assert found.high - found.low < 1e-3  # all of the traffic was looked at


def test_sets_are_right_as_a_whole(store: Store) -> None:
    task = make_task(kind="multi_label")
    write(store, [predicted(task, n, 1.0, "low_confidence", labels=["parcel", "refund"]) for n in range(2)])
    reply(store, task, ANN, Said("labels", ["refund", "parcel"]))
    reply(store, task, ANN, Said("labels", ["parcel"]))
    found = live_accuracy(store, task, an_hour_ago())
    assert found is not None
    assert found.estimate == pytest.approx(0.5)


def test_answers_before_a_rename_still_agree(store: Store) -> None:
    task = make_task()
    note_revision(store, task)
    write(store, [predicted(task, 0, 1.0, "low_confidence")])
    reply(store, task, ANN, "parcel")
    renamed = [label.model_copy(update={"name": "delivery"}) if label.id == 1 else label for label in task.labels]
    later = task.model_copy(update={"revision": 2, "labels": renamed})
    note_revision(store, later)
    found = live_accuracy(store, later, an_hour_ago())
    assert found is not None
    assert found.estimate == 1.0


def drawn(inclusion: list[float], wrong: list[float], n_traffic: int, expected: float) -> Drawn:
    return Drawn(np.zeros(len(wrong), dtype=np.int64), np.array(inclusion), np.array(wrong), n_traffic, expected)


def test_no_error_seen_is_not_no_error() -> None:
    found = accuracy_of_all(drawn([0.02] * 50, [0.0] * 50, 2500, 50.0))
    assert found is not None
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 1 - found.low == pytest.approx(3.84 / (50 + 3.84), rel=0.05)  # Wilson


def test_weights_are_calibrated_to_what_is_known() -> None:
    """By chance too many of the likelier rows were drawn; the known totals say how many of each kind there are."""
    rows = [0.5] * 60 + [0.05] * 45
    found = accuracy_of_all(drawn(rows, [1.0] * 60 + [0.0] * 45, 1000, 100 * 0.5 + 900 * 0.05))
    assert found is not None
    assert found.estimate == pytest.approx(0.9)


def test_a_stratum_that_nobody_looked_at_may_be_anything() -> None:
    nan = float("nan")
    found = accuracy_of_all(drawn([1.0] * 10 + [0.1] * 9, [nan] * 10 + [0.0] * 9, 100, 19.0))
    assert found is not None
    assert found.estimate == pytest.approx(0.95)
    assert found.high == pytest.approx(1.0)
    assert found.low < 0.9


def test_of_what_nobody_was_drawn_from_nothing_is_known() -> None:
    """Two doubtful ones were wrong, and of two confident ones none was drawn."""
    zeros, ones = np.zeros(2, dtype=np.int64), np.ones(2)
    drawn = Drawn(labels=zeros, inclusion=ones, wrong=ones, n_traffic=4, expected=2.04)
    found = accuracy_of_all(drawn)
    assert found is not None
    assert found.estimate == pytest.approx(0.25)
    assert found.low < 0.05
    assert found.high > 0.45
    assert found.n_traffic == 4
    assert error_of_unasked(drawn) is None


def test_labels_that_are_looked_at_less_weigh_as_much() -> None:
    labels = np.array([0] * 100 + [1] * 100)
    wrong = np.full(200, np.nan)
    wrong[:100], wrong[100:110] = 0.0, 1.0
    found = accuracy_of_all(Drawn(labels, np.full(200, 0.1), wrong, 2000, 200.0))
    assert found is not None
    assert found.estimate == pytest.approx(0.5)


def test_nothing_is_said_of_nothing() -> None:
    assert accuracy_of_all(drawn([], [], 0, 0.0)) is None
    assert accuracy_of_all(drawn([0.1], [float("nan")], 10, 1.0)) is None
    assert error_of_unasked(drawn([1.0], [0.0], 1, 1.0)) is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1.0, 0.3, 0.1, 0.02, 0.0001]), st.sampled_from([0.0, 1.0, float("nan")])),
        max_size=40,
    ),
    st.integers(0, 10_000),
)
def test_estimates_are_shares_in_their_interval(rows: list[tuple[float, float]], more: int) -> None:
    inclusion, wrong = [one for one, _ in rows], [one for _, one in rows]
    month = drawn(inclusion, wrong, len(rows) + more, sum(inclusion) + more * 0.02)
    for found in (accuracy_of_all(month), error_of_unasked(month)):
        if found is not None:
            assert 0 <= found.low <= found.estimate + 1e-12
            assert found.estimate <= found.high + 1e-12 <= 1 + 2e-12


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]], ids=lambda kind: kind.name)
def test_intervals_cover_the_truth_and_the_naive_mean_does_not(kind: Kind) -> None:
    """`benchmarks/live_accuracy.py` in short; 300 months tell 93 to 97 of 100 give or take 2.5."""
    found = coverage(kind, 300)
    assert HELD[0] - 0.025 <= found.estimate <= HELD[1] + 0.025
    assert HELD[0] - 0.025 <= found.unasked <= HELD[1] + 0.025
    assert found.naive < 0.5
