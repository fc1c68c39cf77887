"""How good each annotator of a task is, by check items and by resolved ones, and whether their answers count.

Check items alone decide on trust: their answers are known. The weight of a vote also uses what aggregation has learned
from resolved items, which says little of a person until there is much of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.demo import DEMO_PEOPLE
from core.roles import REGRADE
from feedback.aggregation import PRIORS
from feedback.audit import note
from feedback.facts import OUTSIDE, Quality, Value
from feedback.outbox import Event, emit
from feedback.schema import annotators
from feedback.store import Store
from feedback.upsert import insert
from tasks.declaration import Task

Confusion = dict[str, dict[str, float]]
"""Answers by known and given label: ids as text, `out_of_scope`, or `""` for a label that does not belong to a set."""

_TRUST_ANSWERS = 5.0
"""How many check items the belief that anybody is fairly good counts for where trust is decided."""

_KNOWN = select(
    annotators.c.person, annotators.c.confusion, annotators.c.learned, annotators.c.weight, annotators.c.trusted
).where(annotators.c.task == bindparam("of"), annotators.c.person.in_(bindparam("people", expanding=True)))


def read_quality(connection: Connection, task: str, people: Collection[str]) -> dict[str, Quality]:
    """Return what is known of `people` as annotators of `task`; those of whom nothing is known are missing."""
    return {
        row.person: Quality(row.weight, row.trusted, _by_value(row.confusion, row.learned))
        for row in connection.execute(_KNOWN, {"of": task, "people": sorted(people)})
    }


def note_check(
    store: Store,
    connection: Connection,
    task: Task,
    annotator: str,
    known: Value,
    given: Value,
    *,
    undone: bool = False,
) -> None:
    """Remember that `annotator` said `given` of a check item that is `known`, and decide whether their answers count.

    With `undone`, the annotator has taken that answer back. A set of labels is right when it is exactly the known one.
    After `review.trust_after` checks, answers stop counting while the estimated accuracy is below `review.trust_floor`:
    somebody is told by an `alert.raised` event and an audit entry, when trust is withdrawn and when it is given back.
    """
    lock_annotator(store, connection, task.name, annotator)
    mine = (annotators.c.task == task.name) & (annotators.c.person == annotator)
    before = connection.execute(select(annotators).where(mine)).first()
    step = -1 if undone else 1
    checks = (before.checks if before else 0) + step
    right = (before.right if before else 0) + step * (known == given)
    accuracy = _estimated_accuracy(right, checks, _TRUST_ANSWERS)
    trusted = checks < task.review.trust_after or accuracy >= task.review.trust_floor
    changed = {
        "checks": checks,
        "right": right,
        "confusion": _counted(before.confusion if before else {}, known, given, step),
        "trusted": trusted,
        "weight": weight_of(right, checks, before.learned if before else {}),
    }
    write_annotator(connection, task.name, annotator, changed)
    if trusted != (before.trusted if before else True):
        _tell(connection, task.name, annotator, trusted=trusted, accuracy=accuracy, checks=checks)


def lock_annotator(store: Store, connection: Connection, task: str, person: str) -> None:
    """Let nobody else change what is known of `person` before this transaction ends; several in the order of names."""
    store.lock(connection, f"annotator {task} {person}")


def write_annotator(connection: Connection, task: str, person: str, changed: Mapping[str, Any]) -> None:
    """Set columns of an annotator's row, making it where there is none; who calls holds `lock_annotator`."""
    blank = {"checks": 0, "right": 0, "confusion": {}, "learned": {}, "weight": PRIORS.accuracy, "trusted": True}
    changed = {**changed, "updated_at": datetime.now(UTC)}
    fresh = insert(connection, annotators).values({"task": task, "person": person, **blank, **changed})
    connection.execute(fresh.on_conflict_do_update(index_elements=["task", "person"], set_=changed))


def weight_of(right: int, checks: int, learned: Confusion) -> float:
    """Return a vote's weight, 0 to 1: the estimated accuracy by check items and resolved ones together."""
    agreed = sum(row.get(truth, 0.0) for truth, row in learned.items())
    answers = sum(sum(row.values()) for row in learned.values())
    return _estimated_accuracy(right + agreed, checks + answers, PRIORS.answers)


def _estimated_accuracy(right: float, answers: float, belief: float) -> float:
    """Return the mean of the Beta posterior of an accuracy, 0 to 1, where anybody's counts for `belief` answers."""
    return (PRIORS.accuracy * belief + right) / (belief + answers)


def key_of(value: Value) -> str:
    """Return the name under which a single label stands in a confusion."""
    return str(value)


def value_of_key(key: str) -> Value:
    """Return the label that stands under `key` in a confusion; the empty set for none."""
    if key == OUTSIDE:
        return OUTSIDE
    return int(key) if key else ()


def _counted(confusion: Confusion, known: Value, given: Value, step: int) -> Confusion:
    """Return `confusion` with one answer more, or one fewer."""
    counted = {truth: dict(row) for truth, row in confusion.items()}
    for truth, said in _cells(known, given):
        row = counted.setdefault(truth, {})
        row[said] = row.get(said, 0) + step
    return counted


def _cells(known: Value, given: Value) -> list[tuple[str, str]]:
    """Return what to count: for sets, each label that was known or given, by itself."""
    if not isinstance(known, tuple) and not isinstance(given, tuple):
        return [(key_of(known), key_of(given))]
    truths, answers = _names(known), _names(given)
    return [(one if one in truths else "", one if one in answers else "") for one in sorted(truths | answers)]


def _names(value: Value) -> set[str]:
    return {str(label) for label in value} if isinstance(value, tuple) else {key_of(value)}


def _by_value(*confusions: Confusion) -> dict[Value, dict[Value, float]]:
    """Add confusions as they are stored."""
    total: dict[Value, dict[Value, float]] = {}
    for confusion in confusions:
        for truth, row in confusion.items():
            sums = total.setdefault(value_of_key(truth), {})
            for said, n in row.items():
                sums[value_of_key(said)] = sums.get(value_of_key(said), 0.0) + n
    return total


def _tell(connection: Connection, task: str, annotator: str, *, trusted: bool, accuracy: float, checks: int) -> None:
    """Tell webhooks and the audit log that an annotator's answers stop counting, or count again."""
    action = "annotator.trusted" if trusted else "annotator.untrusted"
    details = {"accuracy": round(accuracy, 4), "checks": checks}
    note(connection, REGRADE, action, annotator, task=task, **details)
    if annotator not in DEMO_PEOPLE:
        emit(connection, [Event("alert.raised", task, {"alert": action, "annotator": annotator, **details})])
