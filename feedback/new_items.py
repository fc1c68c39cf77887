"""Items as people are first asked about them."""

from __future__ import annotations

from core.demo import DEMO_SUBJECT, language_of
from core.ids import new_id
from core.near_key import near_key
from feedback.facts import NewItem, NewText, Reason, Stage
from tasks.declaration import Review, Task


def first_asked(review: Review) -> tuple[Stage, int]:
    """Return who is asked about a new item, and how many answers are wanted of them."""
    return ("expert", 1) if review.strategy == "expert" else ("crowd", review.answers)


def new_item(
    task: Task,
    text: NewText,
    reason: Reason,
    urgency: float,
    *,
    suggestions: tuple[tuple[str, float], ...] = (),
    language: str | None = None,
    hidden: bool = False,
) -> NewItem:
    """Return an item about `text` under the present revision, as old as the text, that the task's strategy asks for.

    Near-copies with the same first suggestion share its cluster, demo texts and real ones apart. `language` is the
    task's only one where it is None.
    """
    stage, wanted = first_asked(task.review)
    alike = suggestions[0][0] if suggestions else ""
    if text.subject == DEMO_SUBJECT:
        alike = f"{DEMO_SUBJECT} {alike}"
    return NewItem(
        id=new_id(),
        task=task.name,
        text_id=text.id,
        text_sha256=text.sha256,
        revision=task.revision,
        reason=reason,
        suggestions=suggestions,
        language=language_of(text.subject, language or task.only_language),
        urgency=urgency,
        cluster=near_key(alike, text.content),
        hidden=hidden,
        stage=stage,
        wanted=wanted,
        created_at=text.created_at,
    )
