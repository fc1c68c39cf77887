"""The people of the demo: how well they work, and what they say of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from core.demo import DEMO_PEOPLE
from regrade.demo.messages import Message
from tasks.declaration import OUT_OF_SCOPE

ADA, BEN, CLEO, RITA, SHOP = DEMO_PEOPLE


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody answers: the shares that are wrong, of easy and of hard texts, skipped, flagged, and commented.

    `seconds` is about how long an answer takes where nothing presses.
    """

    name: str
    wrong: float
    wrong_if_hard: float
    skips: float
    flags: float
    comments: float
    seconds: float


ANNOTATORS = (
    Person(ADA, wrong=0.02, wrong_if_hard=0.08, skips=0.02, flags=0.1, comments=0.12, seconds=3.0),
    Person(BEN, wrong=0.08, wrong_if_hard=0.22, skips=0.05, flags=0.06, comments=0.05, seconds=2.0),
    Person(CLEO, wrong=0.18, wrong_if_hard=0.38, skips=0.01, flags=0.0, comments=0.01, seconds=1.0),
)
"""One is careful, one average, and one hasty."""

REVIEWER = Person(RITA, wrong=0.01, wrong_if_hard=0.04, skips=0.0, flags=0.0, comments=0.3, seconds=3.0)

_COMMENTS = (
    "clear by the guideline",
    "could be read both ways",
    "the second sentence decides",
    "tone aside, it is this",
)
_FLAGS = ("two wishes, and the guideline is silent", "not sure this belongs in this queue", "needs somebody who knows")
_PROPOSED = ("opening hours", "job application", "loyalty points", "press enquiry", "small talk")

NEAR: Mapping[str, Sequence[str]] = {
    "order_status": ("delivery_late",),
    "delivery_late": ("order_status", "missing_item", "complaint"),
    "missing_item": ("delivery_late", "wrong_item"),
    "refund_request": ("refund_status", "return_item"),
    "refund_status": ("refund_request",),
    "return_item": ("exchange_item", "refund_request"),
    "exchange_item": ("return_item", "wrong_item"),
    "damaged_item": ("warranty_repair", "complaint"),
    "warranty_repair": ("damaged_item",),
    "wrong_item": ("exchange_item",),
    "change_order": ("cancel_order", "change_address"),
    "cancel_order": ("change_order", "subscription_cancel"),
    "change_address": ("update_details", "change_order"),
    "update_details": ("change_address",),
    "double_charge": ("unknown_charge", "payment_failed"),
    "unknown_charge": ("double_charge",),
    "payment_failed": ("double_charge", "account_locked"),
    "account_locked": ("reset_password",),
    "reset_password": ("account_locked",),
    "close_account": ("subscription_cancel",),
    "subscription_cancel": ("close_account", "cancel_order"),
    "product_question": ("stock_availability",),
    "stock_availability": ("product_question",),
    "complaint": ("speak_to_human",),
    "positive": ("neutral",),
    "negative": ("neutral",),
    "neutral": ("positive", "negative"),
}
"""Labels that people take for each other."""


def say(
    person: Person, message: Message | None, suggestions: Sequence[str], labels: Sequence[str], random: Random
) -> dict[str, Any]:
    """Return what `person` says of an item, as the fields of an answer.

    `message` is what was sent, or None where that is not known (an earlier demo sent it): then it is what the model
    suggests, or a skip.
    """
    if random.random() < person.skips or (message is None and not suggestions):
        return {"skip": True}
    if message is None:
        return {"label": suggestions[0]}
    if random.random() < person.flags * (3 if message.hard else 1):
        return {"flag": random.choice(_FLAGS)}
    wrong = person.wrong_if_hard if message.hard else person.wrong
    label = _mistaken(message.label, suggestions, labels, random) if random.random() < wrong else message.label
    said: dict[str, Any] = {"out_of_scope": True} if label == OUT_OF_SCOPE else {"label": label}
    if label == OUT_OF_SCOPE and random.random() < 0.25:
        said["proposed_label"] = random.choice(_PROPOSED)
    if random.random() < person.comments:
        said["comment"] = random.choice(_COMMENTS)
    return said


def _mistaken(true: str, suggestions: Sequence[str], labels: Sequence[str], random: Random) -> str:
    """Return a wrong label: mostly one that the model suggests, or that is near the right one."""
    suggested = [one for one in suggestions[:2] if one != true]
    near = [one for one in NEAR.get(true, ()) if one in labels]
    if suggested and random.random() < 0.5:
        return random.choice(suggested)
    return random.choice(near or [one for one in labels if one != true] or [true])


def think(person: Person, message: Message | None, pace: float, random: Random) -> float:
    """Return the seconds that an answer takes: longer for a hard text, shorter the higher `pace` (1 is as usual)."""
    hard = 1.5 if message is not None and message.hard else 1.0
    return person.seconds * hard * random.lognormvariate(-0.1, 0.45) / pace
