"""What people at a desk may ask beside items, and what they get back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import Fault, InvalidError
from core.text import text_fault
from service.bodies import Body, ShortName, read_body
from service.queries import Moment, Query

MAX_SHOWN = 20
"""Examples, and similar texts, in one reply at most."""


class SimilarRequest(Body):
    """Body of `POST /v1/queue/{task}/similar`."""

    text: str = Field(description="The text to compare with, of 1 to 10,000 characters.")
    count: int = Field(5, ge=1, le=MAX_SHOWN)


class ExamplesQuery(Query):
    """What stands after `?` of `GET /v1/queue/{task}/examples`."""

    label: ShortName = Field(description="A label's name, or `out_of_scope`.")
    count: int = Field(5, ge=1, le=MAX_SHOWN)


class MineQuery(Query):
    """What stands after `?` of `GET /v1/queue/{task}/mine`."""

    since: Moment | None = Field(None, description="Since when, 30 days ago at most; today in UTC where left out.")


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GuidelineReply(_Reply):
    """Body of `GET /v1/tasks/{task}/guideline`."""

    task: str
    revision: int
    markdown: str = Field(description="Empty where the task has none.")


class ExampleView(_Reply):
    """A text that shows what a label means."""

    text: str
    source: Literal["people", "starter"] = Field(description="`people` resolved it so; or it is training data.")


class ExamplesReply(_Reply):
    """Body of `GET /v1/queue/{task}/examples`."""

    examples: list[ExampleView]


class SimilarView(_Reply):
    """A resolved text; `label` is `out_of_scope` where no label covers it."""

    item_id: str
    text: str
    label: str | None
    labels: list[str] | None
    similarity: float = Field(description="0 to 1, where 1 is the same words.")
    resolved_at: datetime


class SimilarReply(_Reply):
    """Body of the reply to a search for similar texts: the most alike first."""

    texts: list[SimilarView]


class MineReply(_Reply):
    """Body of `GET /v1/queue/{task}/mine`: what was taken back does not count."""

    since: datetime
    answers: int
    skips: int
    flags: int
    median_seconds: float | None = Field(description="Of an answer, as it was measured.")
    checks: int | None = Field(description="Check items of the last 30 days, told of in fives; null: not shown.")
    right: int | None
    agreement: float | None = Field(description="Share of `checks` answered rightly; null without any.")


def read_similar(body: bytes) -> SimilarRequest:
    """Read and check a search for similar texts; raises as `service.bodies.read_body` does."""
    request = read_body(SimilarRequest, body)
    if (fault := text_fault(request.text)) is not None:
        raise InvalidError([Fault(("text",), f"the text {fault}")])
    return request
