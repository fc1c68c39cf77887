"""What reviewers send about disputes, and what they get back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from feedback.disputes import Place
from service.bodies import Body, ShortName, read_body
from service.queries import Query
from service.queue_requests import Comment, LabelNames, check_one
from service.replies import LabelScore

MAX_DISPUTES = 100
"""Disputes in one reply at most."""

_KINDS: tuple[Literal["label", "labels", "out_of_scope"], ...] = ("label", "labels", "out_of_scope")

_PLACE = r"^-?[0-9]{1,15}(\.[0-9]{1,20})?:[0-9a-f-]{36}$"

Reopen = Annotated[bool, Field(description="Must be true for an item that is resolved.")]


class DisputesQuery(Query):
    """What stands after `?` of `GET /v1/queue/{task}/disputes`."""

    after: Annotated[str, Field(pattern=_PLACE)] | None = Field(None, description="`after` of the reply before.")
    limit: int = Field(20, ge=1, le=MAX_DISPUTES)


class DecideRequest(Body):
    """Body of `POST /v1/queue/items/{id}/decide`: exactly one of `label`, `labels` and `out_of_scope`."""

    label: ShortName | None = None
    labels: LabelNames | None = Field(None, description="All labels that hold; an empty list says that none does.")
    out_of_scope: Literal[True] | None = Field(None, description="No label covers the text.")
    proposed_label: ShortName | None = Field(None, description="A label that the task lacks.")
    comment: Comment | None = None
    reopen: Reopen = False

    @property
    def kind(self) -> Literal["label", "labels", "out_of_scope"]:
        """The one kind that was given."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)


class SendBackRequest(Body):
    """Body of `POST /v1/queue/items/{id}/send-back`."""

    answers: int | None = Field(None, ge=1, le=10, description="Answers asked for at first; as for a new item if null.")
    reopen: Reopen = False


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DisputeVoteView(_Reply):
    """What one person said of a disputed item; `label` is `out_of_scope` where they say that no label covers it."""

    answer_id: str
    person: str = Field(description="A name, or a letter where the task shows no names.")
    role: str
    round: int
    kind: str
    label: str | None
    labels: list[str] | None
    comment: str | None
    proposed_label: str | None
    counted: str
    seconds: float | None
    at: datetime


class DisputeReportView(_Reply):
    """What an application reported of it."""

    correct: bool | None
    label: str | None
    labels: list[str] | None
    comment: str | None
    source: str | None
    at: datetime


class DisputeView(_Reply):
    """An item that an expert must decide."""

    item_id: str
    state: str
    text: str | None
    language: str | None
    reason: str
    round: int = Field(description="How often people were asked anew.")
    asked: int = Field(description="Answers wanted in this round so far.")
    held: bool = Field(description="Whether somebody else looks at it now.")
    suggestions: list[LabelScore] = Field(description="What the model thinks, also where annotators are not told.")
    label: str | None = Field(description="What it is resolved as; null while it is open.")
    labels: list[str] | None
    method: str | None
    votes: list[DisputeVoteView]
    reports: list[DisputeReportView]
    created_at: datetime


class DisputesReply(_Reply):
    """Body of `GET /v1/queue/{task}/disputes`."""

    disputes: list[DisputeView]
    waiting: int = Field(description="How many there are; 1,000 means that many or more.")
    after: str | None = Field(description="To be sent for those that follow; null at the end.")


class SendBackReply(_Reply):
    """Body of the reply to sending back."""

    item_id: str
    round: int
    stage: str = Field(description="Who is asked: `crowd`, or `expert` where one answer settles an item.")
    answers: int


def read_decision(body: bytes) -> DecideRequest:
    """Read and check a decision; raises as `service.bodies.read_body` does."""
    request = read_body(DecideRequest, body)
    check_one(request, _KINDS)
    return request


def read_place(text: str | None) -> Place | None:
    """Return the place that `write_place` wrote."""
    if text is None:
        return None
    rank, _, item = text.partition(":")
    return float(rank), item


def write_place(place: Place | None) -> str | None:
    """Return a place as callers send it back."""
    return None if place is None else f"{place[0]!r}:{place[1]}"
