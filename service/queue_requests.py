"""What callers may send to the queue, checked with pydantic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from core.errors import Fault, InvalidError
from core.text import text_fault
from feedback.answers import Kind
from service.bodies import Body, Clean, Language, Metadata, ShortName, read_body

MAX_IMPORT = 1_000
"""Texts in one import at most."""

MAX_CLAIM = 50
"""Items in one claim at most."""

Token = Annotated[Clean, Field(min_length=1, max_length=64, description="As the claim gave it.")]
Comment = Annotated[Clean, Field(min_length=1, max_length=2_000)]
LabelNames = Annotated[list[ShortName], Field(max_length=1_000)]

ANSWER_KINDS: tuple[Kind, ...] = ("label", "labels", "spans", "out_of_scope", "skip", "flag")
"""The fields of which an answer has exactly one."""


class ImportedText(Body):
    """One text to label."""

    text: str = Field(description="A text of 1 to 10,000 characters.")
    subject: ShortName | None = Field(None, description="Opaque id of the person the text is about, for erasure.")
    metadata: Metadata | None = Field(None, description="Up to 20 entries to keep with the text, 500 characters each.")
    language: Language | None = Field(None, description="Language of the text, such as `en` or `zh-Hans`.")
    label: ShortName | None = Field(None, description="Known answer of a check item.")
    labels: LabelNames | None = Field(None, description="Known answer of a check item of a task with several labels.")


class ImportRequest(Body):
    """Body of `POST /v1/queue/{task}/items`."""

    texts: list[ImportedText] = Field(min_length=1, max_length=MAX_IMPORT)
    priority: int = Field(5, ge=0, le=10, description="Place among items of the same age; 10 comes first.")
    check: bool = Field(
        False, description="Whether these are check items: each has a known `label` or `labels`, and is never resolved."
    )


class ClaimRequest(Body):
    """Body of `POST /v1/queue/{task}/claim`."""

    count: int = Field(1, ge=1, le=MAX_CLAIM)
    label: ShortName | None = Field(None, description="Only items for which the model says this label.")
    language: Language | None = Field(None, description="Only items in this language.")
    like: ShortName | None = Field(None, description="Only items alike to this one, which the caller was given.")


class SpanAnswer(Body):
    """An entity: `[start, end)` in Unicode code points of the stored text."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: ShortName


class AnswerRequest(Body):
    """Body of `POST /v1/queue/items/{id}/answer`: exactly one kind of answer."""

    lease_token: Token
    label: ShortName | None = None
    labels: LabelNames | None = Field(None, description="All labels that hold; an empty list says that none does.")
    spans: list[SpanAnswer] | None = Field(None, max_length=1_000, description="For later kinds of task.")
    out_of_scope: Literal[True] | None = Field(None, description="No label covers the text.")
    skip: Literal[True] | None = Field(None, description="Somebody else shall answer.")
    flag: Comment | None = Field(None, description="Why an expert must look at the item.")
    proposed_label: ShortName | None = Field(None, description="A label that the task lacks.")
    comment: Comment | None = None
    seconds: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="How long the person looked at the item; since the claim if null."
    )

    @property
    def kind(self) -> Kind:
        """The one kind that was given."""
        return next(kind for kind in ANSWER_KINDS if getattr(self, kind) is not None)


class LeaseRequest(Body):
    """Body of `POST /v1/queue/items/{id}/heartbeat` and `…/release`."""

    lease_token: Token


class UndoRequest(Body):
    """Body of `POST /v1/queue/items/{id}/undo`."""

    answer_id: Annotated[Clean, Field(min_length=1, max_length=64)]


def read_answer(body: bytes) -> AnswerRequest:
    """Read and check an answer; raises as `service.bodies.read_body` does."""
    request = read_body(AnswerRequest, body)
    check_one(request, ANSWER_KINDS)
    return request


def check_one(request: Body, kinds: Sequence[str]) -> None:
    """Refuse a request that has not exactly one of the fields `kinds`.

    Raises:
        InvalidError: it has none of them, or several.
    """
    given = [kind for kind in kinds if getattr(request, kind) is not None]
    if len(given) != 1:
        state = f"{' and '.join(given)} were given" if given else "none was given"
        raise InvalidError([Fault((), f"exactly one of {', '.join(kinds)} is expected, but {state}")])


def read_import(body: bytes) -> ImportRequest:
    """Read and check an import, every text of it; raises as `service.bodies.read_body` does."""
    request = read_body(ImportRequest, body)
    faults = [
        fault for index, row in enumerate(request.texts) for fault in _faults(row, ("texts", index), request.check)
    ]
    if faults:
        raise InvalidError(faults)
    return request


def _faults(row: ImportedText, place: tuple[str | int, ...], check: bool) -> list[Fault]:
    faults = []
    if (fault := text_fault(row.text)) is not None:
        faults.append(Fault((*place, "text"), f"the text {fault}"))
    known = (row.label is not None) + (row.labels is not None)
    if check and known != 1:
        faults.append(Fault(place, "a check item needs its known answer: exactly one of label and labels"))
    if not check and known:
        faults.append(Fault(place, 'a label is only for check items; send "check": true, or no label'))
    return faults
