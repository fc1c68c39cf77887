"""Direct feedback from applications: whether a prediction was right, or what a text should have been called.

A report is believed less than an answer: it opens an item where the model was sure and is said to be wrong, and counts
as a vote only where the task says so. Writing a report again changes nothing, so that the spool can forward it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, select

from core.errors import NotFoundError, OverloadedError
from core.ids import first_id, new_id
from core.roles import Caller, Role
from feedback.app_votes import count_as_answer
from feedback.clashes import write_again
from feedback.facts import NewText, Value
from feedback.items import stored
from feedback.report_items import ask_about_text, item_of_prediction
from feedback.schema import predictions, reports, texts
from feedback.spool import NotYetError
from feedback.store import Store
from feedback.texts import add_texts, new_text
from feedback.values import value_of
from tasks.declaration import Task

REPORT = "report"
"""Kind of a spool entry that holds a report."""

WAITS_FOR = timedelta(hours=1)
"""Age up to which a report in the spool waits for its prediction, which may be in the spool of another host."""

_WINDOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewReport:
    """What an application says, by prediction (`prediction_id`) or by `text` of a `task`; one of the two is None.

    Of `correct`, `label` and `labels` exactly one is given. Text and comment are redacted already. `person`, `role`,
    `key_id` and `tasks` are the caller's.
    """

    id: str
    prediction_id: str | None
    task: str | None
    text: NewText | None
    correct: bool | None
    label: str | None
    labels: list[str] | None
    comment: str | None
    source: str | None
    person: str
    role: Role
    key_id: str | None
    tasks: list[str] | None
    created_at: datetime

    @property
    def caller(self) -> Caller:
        """Who sent it."""
        return Caller(self.person, self.role, self.key_id, None if self.tasks is None else frozenset(self.tasks))


_READER = TypeAdapter(NewReport)


def send_report(store: Store, tasks: Mapping[str, Task], new: NewReport) -> str | None:
    """Keep a report that has just come; return the item it stands for now, or None.

    Raises:
        NotFoundError: no such task or prediction, or it is another key's.
        InvalidError: a label is none of the task's.
        OverloadedError: the key has sent as many reports in this minute as the task takes.
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        task, _ = _about(connection, tasks, new)
        _check_rate(connection, task, new)
    return write_again(store, lambda connection: add_report(store, connection, tasks, new))


def forward_reports(tasks: Callable[[], Mapping[str, Task]]) -> Callable[[Store, Connection, Sequence[bytes]], None]:
    """Return what writes reports that waited in the spool; `tasks` gives the served ones.

    A report of what is not there, or with a label that is none, is refused by it, and the spool counts it. One on a
    prediction that may be in the spool of another host waits for it, for `WAITS_FOR` at most.
    """

    def forward(store: Store, connection: Connection, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            new = _READER.validate_json(body)
            if store.now(connection) - new.created_at < WAITS_FOR and _is_missing(connection, new.prediction_id):
                raise NotYetError
            add_report(store, connection, tasks(), new)

    return forward


def _is_missing(connection: Connection, prediction_id: str | None) -> bool:
    wanted = select(predictions.c.id).where(predictions.c.id == prediction_id)
    return prediction_id is not None and connection.execute(wanted).first() is None


def add_report(store: Store, connection: Connection, tasks: Mapping[str, Task], new: NewReport) -> str | None:
    """Write a report, and the item that it asks for; return the item it stands for now, or None.

    Raises:
        NotFoundError: no such task or prediction, or it is another key's.
        InvalidError: a label is none of the task's.
    """
    known = connection.execute(select(reports.c.item_id).where(reports.c.id == new.id)).first()
    if known is not None:
        return known[0]  # type: ignore[no-any-return]
    task, said = _about(connection, tasks, new)
    value = _value(task, new, said)
    item_id, text_id = _item_of(store, connection, task, new, said)
    vote = _predicted_value(task, said) if new.correct else value
    if item_id is not None and vote is not None and task.reports.as_answer:
        count_as_answer(store, connection, task, item_id, new.caller, vote, store.now(connection))
    subject = said["subject"] if said else new.text.subject if new.text else None
    row = {
        "id": new.id,
        "task": task.name,
        "prediction_id": new.prediction_id,
        "text_id": text_id,
        "correct": _is_correct(new, said),
        "value": stored(value),
        "comment_id": _keep_comment(connection, new, subject),
        "source": new.source,
        "key_id": new.key_id,
        "item_id": item_id,
        "created_at": new.created_at,
    }
    connection.execute(reports.insert().values(row))
    return item_id


def _about(connection: Connection, tasks: Mapping[str, Task], new: NewReport) -> tuple[Task, RowMapping | None]:
    """Return the task, and the prediction with its text where the report names one."""
    said = None
    if new.prediction_id is not None:
        joined = predictions.outerjoin(texts, texts.c.id == predictions.c.id)
        wanted = select(predictions, texts.c.sha256, texts.c.content, texts.c.subject).select_from(joined)
        said = connection.execute(wanted.where(predictions.c.id == new.prediction_id)).mappings().first()
        if said is None or (new.role == "app" and said["key_id"] != new.key_id):
            raise unknown_prediction(new.prediction_id)
    name = said["task"] if said else str(new.task)
    if name not in tasks or not new.caller.may_see(name):
        raise unknown_prediction(new.prediction_id) if said else NotFoundError(f"no task {name!r} here")
    return tasks[name], said


def unknown_prediction(identifier: str | None) -> NotFoundError:
    """Return the error that says so."""
    return NotFoundError(f"no prediction {identifier!r}; it may be another key's, or older than what is kept")


def _check_rate(connection: Connection, task: Task, new: NewReport) -> None:
    """Count the reports of this key's last minute, those of every worker: their ids are in the order of time."""
    limit = task.reports.per_minute
    same_key = reports.c.key_id.is_(None) if new.key_id is None else reports.c.key_id == new.key_id
    recent = select(reports.c.created_at).where(reports.c.task == task.name, same_key)
    recent = recent.where(reports.c.id >= first_id(new.created_at - _WINDOW)).order_by(reports.c.id.desc())
    oldest = connection.execute(recent.offset(limit - 1).limit(1)).scalar_one_or_none()
    if oldest is not None:
        wait = (oldest + _WINDOW - new.created_at).total_seconds()
        raise OverloadedError(f"{task.name} takes {limit} reports a minute from one key", max(1, math.ceil(wait)))


def _is_correct(new: NewReport, said: RowMapping | None) -> bool | None:
    """Tell whether the report agrees with the prediction; None where there is none."""
    if new.correct is not None or said is None:
        return new.correct
    if new.labels is not None:
        return sorted(set(new.labels)) == sorted(said["labels"] or [])
    return bool(new.label == said["label"])


def _value(task: Task, new: NewReport, said: RowMapping | None) -> Value | None:
    if new.label is None and new.labels is None:
        return None
    if said is not None and _is_correct(new, said):
        return _predicted_value(task, said)
    return value_of(task, new.label, new.labels)


def _predicted_value(task: Task, said: RowMapping | None) -> Value | None:
    """Return what the model said; None where there is no prediction, or a label of it was renamed since."""
    if said is None:
        return None
    names = [said["label"]] if said["labels"] is None else said["labels"]
    if not set(names) <= set(task.label_names):
        return None
    return value_of(task, None if said["labels"] is not None else said["label"], said["labels"])


def _item_of(
    store: Store, connection: Connection, task: Task, new: NewReport, said: RowMapping | None
) -> tuple[str | None, str | None]:
    """Return the item that the report stands for, and the text it came with; ask people where it is due."""
    if said is None:
        if new.text is None:
            raise NotFoundError("a report needs a prediction_id or a text")
        return ask_about_text(store, connection, task, new.text), new.text.id
    wrong = _is_correct(new, said) is False and said["confidence"] >= task.reports.review_from
    return item_of_prediction(store, connection, task, said, new.created_at, ask=wrong), None


def _keep_comment(connection: Connection, new: NewReport, subject: str | None) -> str | None:
    if new.comment is None:
        return None
    text = new_text(new_id(), new.comment, subject, new.created_at)
    add_texts(connection, [text])
    return text.id
