"""What every request body shares: strict models, clean strings, and messages for what does not fit."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from core.errors import Fault, InvalidError, MalformedError

MAX_FAULTS = 1_000
"""Faults that a reply names at most."""

_MAX_KEYS = 64
"""Keys in an object, and entries in its `metadata`, beyond which it is not even looked at one by one."""

_SHOWN = 60
"""Characters of a wrong value that a message repeats at most."""


def _without_nul(value: str) -> str:
    # JSON can carry it, and PostgreSQL cannot keep it.
    if "\x00" in value:
        place = {"place": value.index("\x00")}
        raise PydanticCustomError("nul", "contains U+0000 at position {place}; remove it", place)
    return value


Clean = Annotated[str, AfterValidator(_without_nul)]
"""A string that can be stored. Lone surrogates never get here: such a body is not JSON."""

ShortName = Annotated[Clean, Field(min_length=1, max_length=200)]
"""An opaque id or a name, such as a subject, a label or a source."""

Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]
"""A BCP 47 tag, such as `en` or `zh-Hans`."""

Metadata = Annotated[
    dict[Annotated[Clean, Field(min_length=1, max_length=100)], Annotated[Clean, Field(max_length=500)]],
    Field(max_length=20),
]
"""Up to 20 entries of 500 characters each."""


class Body(BaseModel):
    """A JSON object from outside: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_floods(cls, value: Any) -> Any:
        """Refuse an object of very many keys as a whole: naming each would cost more than all else."""
        if isinstance(value, dict):
            metadata = value.get("metadata")
            if len(value) > _MAX_KEYS or (isinstance(metadata, dict) and len(metadata) > _MAX_KEYS):
                raise PydanticCustomError("too_many_keys", "too many fields or metadata entries")
        return value


AnyBody = TypeVar("AnyBody", bound=Body)


def read_body(model: type[AnyBody], body: bytes) -> AnyBody:
    """Return `body` as a `model`.

    Raises:
        MalformedError: it is not JSON.
        InvalidError: it is, but a value is not allowed; names every fault.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise explained(model, error) from error


def explained(model: type[BaseModel], error: ValidationError) -> MalformedError | InvalidError:
    """Return what to tell a caller whose body is no `model`."""
    details = error.errors(include_url=False, include_context=True)
    if details[0]["type"] == "json_invalid":
        return MalformedError(f"the body is not JSON: {_reason(details[0])}; send one JSON object in UTF-8")
    faults = [Fault(_place(detail), _message(model, detail)) for detail in details[:MAX_FAULTS]]
    if len(details) > MAX_FAULTS:
        faults.append(Fault((), f"and {len(details) - MAX_FAULTS:,} more; correct these first"))
    return InvalidError(faults)


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(_shown(part) if isinstance(part, str) and len(part) > _SHOWN else part for part in detail["loc"])


def _reason(detail: ErrorDetails) -> str:
    return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        at_top = len(detail["loc"]) == 1
        return f"unknown field; expected some of: {', '.join(model.model_fields)}" if at_top else "unknown field"
    if detail["type"] == "model_type":
        what = "a JSON object" if detail["loc"] else "a JSON object as the body"
        return f"got {_shown(detail['input'])}; expected {what}"
    return f"{detail['msg']}; got {_shown(detail['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} fields"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
