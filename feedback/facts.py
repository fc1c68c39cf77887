"""The facts that the rooms hand to each other: what was predicted, what people are asked, what they said.

All plain and frozen; ids are made before anything is written, so that writing the same fact twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Reason = Literal["low_confidence", "out_of_scope", "audit", "drift", "disagreement", "user_report", "imported", "check"]
"""Why a person is asked; the first four are automatic, and at most one is given a prediction."""

AUTOMATIC: tuple[Reason, ...] = ("low_confidence", "out_of_scope", "audit", "drift")

Stage = Literal["crowd", "expert"]
"""Who is asked about an item: every annotator of the task, or qualified people only."""

OUTSIDE: Final = "out_of_scope"
"""The value of an answer or resolution that no label covers."""

Value = int | tuple[int, ...] | Literal["out_of_scope"]
"""What an item is said to be: a label's id; sorted ids (none, one or several) for several labels a text; `OUTSIDE`."""


@dataclass(frozen=True, slots=True)
class NewText:
    """A redacted text to keep; `sha256` is of its normalised form, `subject` is who it is about."""

    id: str
    sha256: str
    content: str
    subject: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewItem:
    """Something to ask people about; its text is written in the same transaction, or was before.

    `suggestions` are `(label, probability)`, best first. `urgency`, 0 to 1, is the place among items of the same age.
    `cluster` is the same for near-copies. `hidden` shows no suggestions. `wanted` is the number of answers
    first asked for. `check_value` is the known answer of a check item.
    """

    id: str
    task: str
    text_id: str
    text_sha256: str
    revision: int
    reason: Reason
    suggestions: tuple[tuple[str, float], ...]
    language: str | None
    urgency: float
    cluster: str
    hidden: bool
    stage: Stage
    wanted: int
    created_at: datetime
    check_value: Value | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One prediction to remember, and the item it asks for, if any.

    `inclusion` is the probability, fixed before the draw, with which any automatic reason was to select it. Where
    `item` is None, nobody is asked.
    """

    id: str
    task: str
    version: str
    revision: int
    label: str
    labels: list[str] | None
    confidence: float
    scores: tuple[tuple[str, float], ...]
    out_of_scope: float
    truncated: bool
    text: NewText
    language: str | None
    metadata: dict[str, str] | None
    key_id: str | None
    inclusion: float
    item: NewItem | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of one annotator of a task.

    `confusion[known][given]` counts answers to check items, and expected answers to resolved ones. `weight`, 0 to 1, is
    the estimated accuracy. Answers of one who is not `trusted` are kept and do not count.
    """

    weight: float = 0.8
    trusted: bool = True
    confusion: dict[Value, dict[Value, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer as the strategies see it; `expert` tells whether a qualified person gave it."""

    annotator: str
    value: Value
    expert: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an item after an answer.

    `resolve` it as `value`; `wait` for answers already asked for; `ask` for `more` of them; or hand it to an `expert`.
    `posterior` holds `(value, probability)`, most probable first, whatever the action; `method` says how it was found.
    """

    action: Literal["resolve", "wait", "ask", "expert"]
    posterior: tuple[tuple[Value, float], ...]
    method: str
    value: Value | None = None
    more: int = 0
