"""What follows from an answer: it takes its slot, settles the item, hands it to an expert, or measures its giver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, update

from core.ids import new_id
from core.roles import Caller
from feedback.audit import note
from feedback.facts import Quality, Value, Vote
from feedback.items import loaded, stored
from feedback.leases import NO_LEASE, NOBODY, empty_slot, end_lease
from feedback.mappings import mapped, read_maps
from feedback.quality import note_check
from feedback.remarks import keep_remark
from feedback.resolution import Counted, Place, Resolution, ask_expert, options_of, settle
from feedback.schema import answers, slots
from feedback.store import Store
from feedback.strategies import decide
from feedback.tallies import add_tallies
from tasks.declaration import Task

Kind = Literal["label", "labels", "spans", "out_of_scope", "skip", "flag"]

_TAKE = (
    update(slots)
    .where(slots.c.id == bindparam("slot"))
    .values(state="answered", annotator=bindparam("person"), answer_id=bindparam("said"), **NO_LEASE)
)
_CLOSE_OWN = update(slots).where(slots.c.id == bindparam("slot")).values(state="closed", **NOBODY)


@dataclass(frozen=True, slots=True)
class Said:
    """What one annotator says, in words: `value` is a label's name, names, why an item is flagged, or None.

    `seconds` is how long they looked at the item, None where nobody measured it.
    """

    kind: Kind
    value: str | Sequence[str] | None = None
    comment: str | None = None
    proposed_label: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an answer: `counted`, or kept as an extra one that came too late for its slot.

    `resolution` is there where this answer resolved the item.
    """

    answer_id: str
    counted: bool
    resolution: Resolution | None
    task: str


@dataclass(frozen=True, slots=True)
class Case:
    """An answer to be written, and all that it depends on. `held` is the slot it takes, None if there is none any more.

    `trusted`: whether answers of this person count.
    """

    id: str
    task: Task
    caller: Caller
    said: Said
    value: Value | None
    lease: Row[Any]
    item: Row[Any]
    rows: list[Row[Any]]
    held: Row[Any] | None
    trusted: bool
    now: datetime

    @property
    def is_check(self) -> bool:
        """Whether the answer is known already."""
        return bool(self.item.state == "check")

    @property
    def counts(self) -> bool:
        """Whether it takes its slot: in time, and by somebody whose answers count."""
        return self.held is not None and self.trusted and not self.is_check


def carry_out(
    store: Store,
    connection: Connection,
    case: Case,
    votes: Sequence[Counted],
    quality: Mapping[str, Quality],
) -> Answered:
    """Write an answer and all that follows from it.

    `votes` are the earlier ones of the item's present round, `quality` what is known of everybody involved.
    """
    _keep(connection, case)
    resolution = None
    if case.said.kind == "skip":
        _give_back(connection, case)
    elif case.said.kind == "flag":
        _flag(connection, case)
    else:
        resolution = _vote(store, connection, case, votes, quality)
    _end(connection, case)
    note(connection, case.caller, case.said.kind if case.value is None else "answer", case.item.id, answer=case.id)
    add_tallies(store, connection, _deltas(case, resolution))
    shown = resolution or _pretended(case)
    if shown is not None and not case.caller.is_reviewer:
        shown = replace(shown, confirms=None)
    return Answered(case.id, case.held is not None, shown, case.task.name)


def _keep(connection: Connection, case: Case) -> None:
    """Write the answer and what was remarked beside it."""
    said, about = case.said, case.item.text_id
    why = said.value if said.kind == "flag" and isinstance(said.value, str) else None
    remark = "\n".join(part for part in (why, said.comment) if part)
    row = {
        "id": case.id,
        "task": case.task.name,
        "item_id": case.item.id,
        "round": case.lease.round,
        "slot_id": case.held.id if case.held else case.lease.slot_id,
        "lease_token": case.lease.token,
        "annotator": case.caller.person,
        "role": case.caller.role,
        "key_id": case.caller.key_id,
        "revision": case.task.revision,
        "kind": said.kind,
        "value": stored(case.value),
        "counted": "check" if case.is_check else "true" if case.counts else "extra",
        "comment_id": keep_remark(connection, case.task, about, remark, case.now),
        "proposed_id": keep_remark(connection, case.task, about, said.proposed_label, case.now),
        "seconds": _seconds(case),
        "created_at": case.now,
    }
    connection.execute(answers.insert(), row)


def _seconds(case: Case) -> float | None:
    """Return how long the person took: as they say, and no longer than since the claim, which may lie far ahead."""
    held: float = max(0.0, (case.now - case.lease.granted_at).total_seconds())
    if case.said.seconds is not None:
        return min(case.said.seconds, held)
    return held or None  # a decision holds nothing before


def _end(connection: Connection, case: Case) -> None:
    """End the lease, and the one by which the person holds the slot now if that is another.

    After the slot was changed, as everywhere: a claim that frees expired leases locks in the same order.
    """
    how = {"skip": "skipped", "flag": "flagged"}.get(case.said.kind, "answered")
    tokens = {case.lease.token, case.held.lease_token if case.held else None} - {None}
    for token in sorted(tokens):
        end_lease(connection, token, how)


def _vote(
    store: Store, connection: Connection, case: Case, votes: Sequence[Counted], quality: Mapping[str, Quality]
) -> Resolution | None:
    """Let an answer with a value take its slot, and settle the item."""
    if case.held is None or case.value is None:
        return None
    if not (case.counts or case.is_check):
        empty_slot(connection, case.held.id)
        return None
    connection.execute(_TAKE, {"slot": case.held.id, "person": case.caller.person, "said": case.id})
    if case.is_check:
        _check(store, connection, case, case.value)
        return None
    own = Counted(case.id, Vote(case.caller.person, case.value, expert=case.held.stage == "expert"))
    places = [Place("answered" if row.id == case.held.id else row.state, row.stage, row.number) for row in case.rows]
    return settle(connection, case.task, case.item, places, [*votes, own], quality, case.now)


def _check(store: Store, connection: Connection, case: Case, given: Value) -> None:
    """Measure the annotator by a check item, unless its known answer is uncertain since the labels changed."""
    known: Value | None = loaded(case.item.check_value)
    if case.item.revision != case.task.revision:
        known = mapped(loaded(case.item.check_value), read_maps(connection, case.task).get(case.item.revision))
    if known is not None:
        note_check(store, connection, case.task, case.caller.person, known, given)


def _give_back(connection: Connection, case: Case) -> None:
    if case.held is not None:
        empty_slot(connection, case.held.id)


def _flag(connection: Connection, case: Case) -> None:
    """Hand the item to an expert other than the one who flags it."""
    if case.held is None or not case.counts:
        _give_back(connection, case)
        return
    connection.execute(_CLOSE_OWN, {"slot": case.held.id})
    others = [row for row in case.rows if row.id != case.held.id and row.stage == "expert"]
    if not any(row.state in {"free", "leased"} for row in others):
        ask_expert(connection, case.item, max(row.number for row in case.rows))


def _pretended(case: Case) -> Resolution | None:
    """Return the resolution that an answer which does not count seems to make, so that nothing gives that away.

    Where one answer settles an item, it does so for check items, and for people whose answers stopped counting, too.
    """
    if case.value is None or case.held is None or case.counts or case.task.review.strategy != "expert":
        return None
    vote = Vote(case.caller.person, case.value, expert=True)
    decision = decide(case.task.review, options_of(case.task), [vote], {}, pending=0, asked=1)
    return Resolution(new_id(), case.value, None, decision.method, decision.posterior)


def _deltas(case: Case, resolution: Resolution | None) -> Counter[tuple[str, str]]:
    task, reason = case.task.name, case.item.reason
    deltas: Counter[tuple[str, str]] = Counter()
    if case.value is not None:
        deltas[task, f"answers.{case.caller.role}"] += 1
    if resolution is not None:
        deltas[task, f"items.open.{reason}"] -= 1
        deltas[task, f"items.resolved.{reason}"] += 1
    return deltas
