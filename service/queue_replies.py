"""What callers get back from the queue, as the contract has it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.replies import LabelScore


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TakenItem(_Reply):
    """The item under which a text of an import stands."""

    item_id: str
    duplicate: bool = Field(description="Whether an exact copy was there before, whose item this is.")


class ImportReply(_Reply):
    """Body of the reply to an import: one entry a text, in their order."""

    items: list[TakenItem]


class ClaimedItem(_Reply):
    """An item that the caller holds now."""

    item_id: str
    text: str
    language: str | None
    suggestions: list[LabelScore] = Field(description="What the model thinks; often held back.")
    reason: str | None = Field(description="Why people are asked; null for annotators.")
    lease_token: str
    lease_expires_at: datetime


class ClaimReply(_Reply):
    """Body of the reply to a claim; empty where there is nothing to do."""

    items: list[ClaimedItem]


class ResolutionView(_Reply):
    """An item's final label: one of `label` and `labels`; `label` is `out_of_scope` where no label covers it."""

    resolution_id: str
    label: str | None
    labels: list[str] | None
    confirms: bool | None = Field(description="Whether the model had said the same; null where none had, or untold.")
    method: str
    posterior: list[LabelScore] = Field(description="Probability of each answer, best first; of each label of several.")


class AnswerReply(_Reply):
    """Body of the reply to an answer."""

    answer_id: str
    counted: Literal[True, "extra"] = Field(description="`extra`: it came too late for its slot, and is kept.")
    resolution: ResolutionView | None


class HeartbeatReply(_Reply):
    """Body of the reply to a heartbeat."""

    lease_expires_at: datetime


class UndoReply(_Reply):
    """Body of the reply to an undo: the item is held again, to be answered anew."""

    item_id: str
    lease_token: str
    lease_expires_at: datetime


class StatsReply(_Reply):
    """Body of `GET /v1/queue/{task}/stats`."""

    open: int = Field(description="Items that people are asked about.")
    leased: int = Field(description="Slots that somebody holds now.")
    resolved: int
    by_reason: dict[str, dict[str, int]] | None = Field(
        description="Items by state and reason; null for annotators, who are not told reasons."
    )
    oldest: datetime | None = Field(description="When the oldest open item was made.")
    agreement: float | None = Field(description="Krippendorff's alpha of the latest resolved items; null: too few.")
    answers_an_hour: int = Field(description="Answers in the last hour.")
    answers_by_role: dict[str, int]
    lease_expiries: int


class ItemAnswerView(_Reply):
    """What one person said of an item; `label` is `out_of_scope` where they say that no label covers it."""

    id: str
    round: int
    annotator: str
    role: str
    kind: str
    label: str | None
    labels: list[str] | None
    counted: str = Field(description="`true`, `extra` or `check`.")
    undone: bool
    comment: str | None
    proposed_label: str | None
    revision: int
    seconds: float | None = Field(description="That the person took: as they said, or since the claim.")
    created_at: datetime


class ItemPosteriorView(_Reply):
    """A possible answer and its probability."""

    label: str | None
    labels: list[str] | None
    score: float


class ItemResolutionView(_Reply):
    """A resolution, with the answers it rests on."""

    id: str
    round: int
    kind: str
    label: str | None
    labels: list[str] | None
    confirms: bool | None
    method: str
    posterior: list[ItemPosteriorView]
    answer_ids: list[str]
    revision: int
    created_at: datetime


class ItemReportView(_Reply):
    """A report of an application that stands under the item."""

    id: str
    prediction_id: str | None
    source: str | None
    created_at: datetime


class KnownView(_Reply):
    """The known answer of a check item."""

    label: str | None
    labels: list[str] | None


class ItemView(_Reply):
    """Body of `GET /v1/queue/items/{id}`."""

    id: str
    task: str
    state: str = Field(description="`open`, `resolved`, `check`, `merged` into the item `same_as`, or `erased`.")
    stage: str
    round: int
    wanted: int
    revision: int
    reason: str
    text: str | None = Field(description="Null once it was erased.")
    subject: str | None
    metadata: dict[str, str] | None
    language: str | None
    suggestions: list[LabelScore]
    hidden: bool = Field(description="Whether annotators see no suggestions.")
    check: KnownView | None
    same_as: str | None
    answers: list[ItemAnswerView]
    resolution: ItemResolutionView | None
    resolutions: list[ItemResolutionView] = Field(description="All that were ever made, oldest first.")
    predictions: list[str] = Field(description="Ids of the predictions that are linked to it.")
    reports: list[ItemReportView]
    created_at: datetime
    resolved_at: datetime | None


class AnnotatorView(_Reply):
    """What is known of one annotator of a task."""

    person: str
    answers: int = Field(description="In the last 30 days.")
    checks: int
    right: int
    accuracy: float | None = Field(description="Share of check items answered rightly.")
    weight: float | None = Field(description="What an answer is worth, 0 to 1.")
    trusted: bool
    confusion: dict[str, dict[str, int]] = Field(description="Answers to check items by known and given label.")
    updated_at: datetime | None


class AnnotatorsReply(_Reply):
    """Body of `GET /v1/queue/{task}/annotators`."""

    annotators: list[AnnotatorView]
