"""A store with a little of everything in it, made through the same functions that serve."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.ids import new_id
from core.roles import Caller
from feedback.answers import Answered, Said, answer
from feedback.facts import Recording
from feedback.intake import Brought, take_in
from feedback.new_items import new_item
from feedback.queue import Claimed, claim
from feedback.recording import record
from feedback.reports import NewReport, add_report
from feedback.store import Store
from feedback.texts import new_text
from tasks.declaration import Kind, Label, Review, Task
from tests.support.predicted import predicted

ROOT = Caller("root", "admin")
SHOP = Caller("shop", "app", "0199f1c2-0000-7000-8000-000000000001")


def make_task(name: str = "shop-intent", kind: Kind = "single_label", **review: Any) -> Task:
    """Return a task of three labels whose queue holds no surprises; an expert's answer settles an item by default."""
    quiet = {"check_rate": 0.0, "hide_suggestions": 0.0} | review
    labels = [Label(id=number, name=label) for number, label in enumerate(("parcel", "refund", "password"), start=1)]
    return Task(name=name, kind=kind, labels=labels, review=Review(**quiet))


class Scene:
    """What happens in `store` about `task`."""

    def __init__(self, store: Store, task: Task) -> None:
        """Begin with nothing."""
        self.store = store
        self.task = task
        self.tasks = {task.name: task}

    def predict(self, text: str, subject: str | None = None, *, ask: bool = True, **more: Any) -> Recording:
        """Record a prediction of `text`, in doubt unless `ask` is False."""
        one = self.recording(text, subject, ask=ask, **more)
        with self.store.write() as connection:
            record(self.store, connection, [one])
        return one

    def recording(self, text: str, subject: str | None = None, *, ask: bool = True, **more: Any) -> Recording:
        """Return a prediction of `text` that nothing has written yet."""
        scores = (("parcel", 0.625), ("refund", 0.25), ("password", 0.125))
        of_task: dict[str, Any] = {"task": self.task.name, "revision": self.task.revision, "inclusion": 1.0}
        made = predicted(text, subject, **(of_task | {"confidence": 0.625, "scores": scores} | more))
        if not ask:
            return made
        item = new_item(self.task, made.text, "low_confidence", 0.5, suggestions=scores, language="en")
        return replace(made, item=item)

    def bring(self, *texts: str, subject: str | None = None, **more: Any) -> list[str]:
        """Import texts; return their items."""
        brought = [Brought(text, subject=subject, **more) for text in texts]
        return [one.item_id for one in take_in(self.store, self.task, ROOT, brought, 0.5)]

    def claim(self, person: str, count: int = 50) -> dict[str, Claimed]:
        """Claim what there is as `person`; return it by text."""
        return {one.text: one for one in claim(self.store, self.task, Caller(person, "reviewer"), count)}

    def answer(self, person: str, held: Claimed, value: Any = None, **more: Any) -> Answered:
        """Answer a claimed item with a label's name, or with whatever `more` says."""
        kind = more.pop("kind", "label")
        caller = Caller(person, "reviewer")
        return answer(self.store, self.tasks, caller, held.item_id, held.lease_token, Said(kind, value, **more))

    def report(self, prediction_id: str | None, text: str | None = None, **more: Any) -> NewReport:
        """Report that a prediction was wrong, or what a text should be called."""
        one = self.new_report(prediction_id, text, **more)
        with self.store.write() as connection:
            add_report(self.store, connection, self.tasks, one)
        return one

    def new_report(self, prediction_id: str | None, text: str | None = None, **more: Any) -> NewReport:
        """Return a report that nothing has written yet."""
        now = datetime.now(UTC)
        kept = new_text(new_id(), text, None, now) if text is not None else None
        values: dict[str, Any] = {
            "id": new_id(),
            "prediction_id": prediction_id,
            "task": None if prediction_id else self.task.name,
            "text": kept,
            "correct": None,
            "label": "refund",
            "labels": None,
            "comment": None,
            "source": "web",
            "person": ROOT.person,
            "role": ROOT.role,
            "key_id": None,
            "tasks": None,
            "created_at": now,
        }
        return NewReport(**(values | more))
