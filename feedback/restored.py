"""Exported rows as they come back from a file, checked before anything is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from core.ids import is_id
from core.roles import Role
from core.text import MAX_TEXT_LENGTH, text_fault
from feedback.exports import What
from feedback.facts import Reason


def _check_id(value: str) -> str:
    if not is_id(value):
        raise ValueError("expected an id as `regrade export` wrote it")
    return value


def _check_text(value: str) -> str:
    if (fault := text_fault(value)) is not None:
        raise ValueError(fault)
    return value


_Id = Annotated[str, AfterValidator(_check_id)]
_Text = Annotated[str, Field(max_length=MAX_TEXT_LENGTH), AfterValidator(_check_text)]
_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_text)]
_Count = Annotated[int, Field(ge=0, le=1_000_000)]
_Share = Annotated[float, Field(ge=0, le=1)]
_AnswerKind = Literal["label", "labels", "spans", "out_of_scope", "skip", "flag"]


class Said(BaseModel):
    """Something said of a text: `label` (a name, or `out_of_scope`), or `labels`; neither for a skip or a flag."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    label: _Name | None
    labels: list[_Name] | None


class _Chance(Said):
    score: _Share


class _Suggestion(BaseModel):
    label: _Name
    score: _Share


class ShortAnswer(Said):
    """One answer in the row of a resolution."""

    answer_id: _Id
    annotator: _Name
    role: Role
    kind: _AnswerKind
    counted: Literal["true", "extra", "check"]
    seconds: float | None
    revision: _Count
    created_at: AwareDatetime


class ResolutionRow(Said):
    """One resolved item."""

    item_id: _Id
    resolution_id: _Id
    prediction_id: _Id | None
    text: _Text
    subject: _Name | None
    language: Annotated[str, Field(max_length=35)] | None
    kind: _AnswerKind
    confirms: bool | None
    posterior: list[_Chance]
    method: Annotated[str, Field(min_length=1, max_length=20)]
    answers: list[ShortAnswer]
    reason: Reason
    suggestions: list[_Suggestion]
    model_version: Annotated[str, Field(max_length=63)] | None
    model_label: _Name | None
    model_confidence: _Share | None
    model_out_of_scope: _Share | None
    round: _Count
    revision: _Count
    created_at: AwareDatetime
    resolved_at: AwareDatetime


class AnswerRow(ShortAnswer):
    """One answer with all that was written in it."""

    item_id: _Id
    subject: _Name | None
    undone_at: AwareDatetime | None
    comment: _Text | None
    proposed_label: _Name | None
    round: _Count


def read_row(what: What, row: dict[str, Any]) -> ResolutionRow | AnswerRow | str:
    """Return an exported row of `what`, or what is wrong with it."""
    model: type[ResolutionRow | AnswerRow] = ResolutionRow if what == "resolutions" else AnswerRow
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg'].lower()}"
