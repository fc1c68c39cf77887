"""What applications may say of predictions, checked with pydantic."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.errors import Fault, InvalidError
from core.text import text_fault
from service.bodies import Body, Clean, ShortName, read_body
from service.queue_requests import Comment, LabelNames


class FeedbackRequest(Body):
    """Body of `POST /v1/feedback`.

    By prediction: `prediction_id` and one of `correct`, `label` and `labels`; or by text: `task`, `text` and one of
    `label` and `labels`.
    """

    prediction_id: Annotated[Clean, Field(min_length=1, max_length=64)] | None = None
    task: Annotated[Clean, Field(min_length=1, max_length=63)] | None = None
    text: str | None = Field(None, description="A text of 1 to 10,000 characters.")
    subject: ShortName | None = Field(None, description="Opaque id of the person the text is about, for erasure.")
    correct: bool | None = None
    label: ShortName | None = Field(None, description="What is right; `out_of_scope` where no label is.")
    labels: LabelNames | None = None
    comment: Comment | None = None
    source: ShortName | None = Field(None, description="Where it comes from, such as `agent-desk`; no personal data.")


class FeedbackReply(BaseModel):
    """Body of the reply to feedback."""

    model_config = ConfigDict(extra="forbid")

    report_id: str
    item_id: str | None = Field(description="The item that people are or were asked about, if any is known yet.")


def read_feedback(body: bytes) -> FeedbackRequest:
    """Read and check feedback; raises as `service.bodies.read_body` does."""
    request = read_body(FeedbackRequest, body)
    said = {name for name in ("correct", "label", "labels") if getattr(request, name) is not None}
    faults = _about_a_text(request) if request.prediction_id is None else _about_a_prediction(request)
    if len(said) != 1:
        state = f"{' and '.join(sorted(said))} were given" if said else "none was given"
        faults.append(Fault((), f"exactly one of correct, label and labels is expected, but {state}"))
    if faults:
        raise InvalidError(faults)
    return request


def _about_a_prediction(request: FeedbackRequest) -> list[Fault]:
    extra = [name for name in ("task", "text", "subject") if getattr(request, name) is not None]
    return [Fault((name,), "is known from prediction_id; leave it out") for name in extra]


def _about_a_text(request: FeedbackRequest) -> list[Fault]:
    if request.task is None or request.text is None:
        return [Fault((), "either prediction_id or both of task and text are expected")]
    faults = []
    if (fault := text_fault(request.text)) is not None:
        faults.append(Fault(("text",), f"the text {fault}"))
    if request.correct is not None:
        faults.append(Fault(("correct",), "nothing was predicted here; send label or labels"))
    return faults
