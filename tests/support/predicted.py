"""Predictions as a service hands them over to be remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.ids import first_id, new_id
from feedback.facts import NewItem, Reason, Recording
from feedback.texts import new_text


def predicted(text: str, subject: str | None = None, at: datetime | None = None, **more: Any) -> Recording:
    """Return a prediction of `text` made at `at`, by default now, about which nobody is asked unless `more` says so."""
    now = at or datetime.now(UTC)
    identifier = new_id() if at is None else first_id(at)[:-4] + new_id()[-4:]
    values: dict[str, Any] = {
        "id": identifier,
        "task": "t",
        "version": "v1",
        "revision": 1,
        "label": "parcel",
        "labels": None,
        "confidence": 0.7,
        "scores": (("parcel", 0.7), ("refund", 0.2), ("password", 0.1)),
        "out_of_scope": 0.25,
        "truncated": False,
        "text": new_text(identifier, text, subject, now),
        "language": "en",
        "metadata": None,
        "key_id": None,
        "inclusion": 0.125,
        "item": None,
        "created_at": now,
    }
    return Recording(**(values | more))


def recording(
    text: str = "where is my parcel", reason: Reason | None = None, at: datetime | None = None, label: str = "parcel"
) -> Recording:
    """Return a customer's prediction made at `at`, with an item for it where there is a `reason`."""
    scores = ((label, 0.7), ("refund", 0.2), ("password", 0.1))
    about = {"label": label, "scores": scores, "metadata": {"channel": "mail"}, "key_id": "k1"}
    sure = predicted(text, "customer-1", at, **about)
    if reason is None:
        return sure
    kept, now = sure.text, sure.created_at
    item = NewItem(new_id(), "t", kept.id, kept.sha256, 1, reason, scores, "en", 0.5, "c", False, "expert", 1, now)
    return replace(sure, item=item, inclusion=1.0)
