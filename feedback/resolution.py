"""What becomes of an item after an answer: it is resolved, more people are asked, or an expert is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from core.demo import DEMO_LANGUAGE
from core.ids import new_id
from feedback.asking import ask_more, close_slots
from feedback.facts import OUTSIDE, Decision, Quality, Value, Vote
from feedback.items import loaded, stored
from feedback.mappings import mapped, read_maps, read_names
from feedback.outbox import Event, emit
from feedback.schema import answers, items, resolutions, slots, undoings
from feedback.strategies import decide
from tasks.declaration import Task

_VOTES = (
    select(answers.c.id, answers.c.annotator, answers.c.value, answers.c.revision, slots.c.stage)
    .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    .outerjoin(slots, slots.c.id == answers.c.slot_id)
    .where(answers.c.item_id == bindparam("item"), answers.c.round == bindparam("turn"))
    .where(answers.c.value.is_not(None), undoings.c.answer_id.is_(None))
    .order_by(answers.c.id)
)
_RESOLVE = (
    update(items)
    .where(items.c.id == bindparam("item"))
    .values(state="resolved", open_key=None, resolution_id=bindparam("settled"), resolved_at=bindparam("at"))
)
_ASKED = (
    update(items)
    .where(items.c.id == bindparam("item"))
    .values(stage=bindparam("who"), wanted=items.c.wanted + bindparam("more"))
)


@dataclass(frozen=True, slots=True)
class Counted:
    """An answer as a vote; `answer_id` is where it stands."""

    answer_id: str
    vote: Vote


@dataclass(frozen=True, slots=True)
class Place:
    """A slot of an item's present round, as it is now."""

    state: str
    stage: str
    number: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """An item's final label. `confirms` tells whether the model had said the same; None where none had, or untold.

    `posterior` holds `(value, probability)`, most probable first; for sets of labels `((label,), probability that it
    belongs)`.
    """

    id: str
    value: Value
    confirms: bool | None
    method: str
    posterior: tuple[tuple[Value, float], ...]


def read_votes(connection: Connection, task: Task, item: Row[Any]) -> list[Counted]:
    """Return the answers of the item's present round that were not taken back, as of today's revision, oldest first.

    Those that cannot be mapped with certainty are left out.
    """
    rows = connection.execute(_VOTES, {"item": item.id, "turn": item.round}).all()
    maps = read_maps(connection, task) if any(row.revision != task.revision for row in rows) else {}
    found = []
    for row in rows:
        value = mapped(loaded(row.value), maps.get(row.revision))
        if value is not None:
            found.append(Counted(row.id, Vote(row.annotator, value, expert=row.stage == "expert")))
    return found


def settle(
    connection: Connection,
    task: Task,
    item: Row[Any],
    places: Sequence[Place],
    votes: Sequence[Counted],
    quality: Mapping[str, Quality],
    now: datetime,
) -> Resolution | None:
    """Decide what becomes of an open item, and do it; return the resolution, if that is it.

    `places` are all slots of the present round. The counts are the caller's to change.
    """
    pending = [place for place in places if place.state in {"free", "leased"}]
    asked = sum(place.state != "closed" for place in places)
    said = [one.vote for one in votes]
    decision = decide(task.review, options_of(task), said, quality, pending=len(pending), asked=asked)
    last = max((place.number for place in places), default=0)
    if decision.action == "resolve" and decision.value is not None:
        if pending:
            close_slots(connection, item)
        return _resolve(connection, task, item, decision, decision.value, votes, now)
    if decision.action == "ask":
        ask_more(connection, item, item.stage, decision.more, last)
        connection.execute(_ASKED, {"item": item.id, "who": item.stage, "more": decision.more})
    if decision.action == "expert" and not any(place.stage == "expert" for place in pending):
        ask_expert(connection, item, last)
    return None


def ask_expert(connection: Connection, item: Row[Any], last: int) -> None:
    """Hand an open item to an expert: nobody else is asked any more, but those who hold it may answer.

    `last` is the highest number that a slot of the present round has.
    """
    close_slots(connection, item, free_only=True)
    ask_more(connection, item, "expert", 1, last)
    connection.execute(_ASKED, {"item": item.id, "who": "expert", "more": 1})


def options_of(task: Task) -> tuple[Value, ...]:
    """Return what an answer may be."""
    return (*(label.id for label in task.labels), OUTSIDE)


def _resolve(
    connection: Connection,
    task: Task,
    item: Row[Any],
    decision: Decision,
    value: Value,
    votes: Sequence[Counted],
    now: datetime,
) -> Resolution:
    made = Resolution(new_id(), value, confirms(connection, task, item, value), decision.method, decision.posterior)
    row = {
        "id": made.id,
        "task": task.name,
        "item_id": item.id,
        "round": item.round,
        "revision": task.revision,
        "kind": kind_of(value),
        "value": stored(value),
        "confirms": made.confirms,
        "posterior": [[stored(one), chance] for one, chance in decision.posterior],
        "method": decision.method,
        "answer_ids": [one.answer_id for one in votes],
        "created_at": now,
    }
    connection.execute(resolutions.insert(), row)
    connection.execute(_RESOLVE, {"item": item.id, "settled": made.id, "at": now})
    told = {
        "item_id": item.id,
        "resolution_id": made.id,
        "reason": item.reason,
        "value": stored(value),
        "confirms": made.confirms,
        "answers": len(votes),
        "method": decision.method,
    }
    if item.language != DEMO_LANGUAGE:
        emit(connection, [Event("item.resolved", task.name, told)])
    return made


def kind_of(value: Value) -> str:
    """Return the kind of answer that says `value`."""
    if value == OUTSIDE:
        return "out_of_scope"
    return "labels" if isinstance(value, tuple) else "label"


def confirms(connection: Connection, task: Task, item: Row[Any], value: Value) -> bool | None:
    """Tell whether the model had said `value`: its first suggestion, or every label it gave at least even odds.

    None where no model had said anything.
    """
    if not item.suggestions:
        return None
    said = [name for name, chance in item.suggestions if chance >= 0.5]
    if isinstance(value, int):
        said = [item.suggestions[0][0]]
    today: dict[str, int | None] = {label.name: label.id for label in task.labels}
    if not today.keys() >= set(said):
        today = read_names(connection, task, item.revision)
    return value != OUTSIDE and {today.get(name) for name in said} == set(_ids(value))


def _ids(value: Value) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, int) else ()
