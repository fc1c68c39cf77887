"""What callers may send, checked with pydantic, and what they are told when it does not fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from core.errors import Fault, InvalidError, MalformedError
from core.text import text_fault

MAX_TEXTS = 256
"""Texts in one request at most."""

MAX_BODY = 16 * 1024 * 1024
"""Bytes in one request body at most."""

MAX_FAULTS = MAX_TEXTS
"""Faults that a reply names at most."""

_MAX_KEYS = 64
"""Keys in a body, and entries in its `metadata`, beyond which it is not even looked at one by one."""

_SHOWN = 60
"""Characters of a wrong value that a message repeats at most."""

ShortText = Annotated[str, Field(max_length=500)]


class PredictRequest(BaseModel):
    """Body of `POST /v1/tasks/{task}/predict`: exactly one of `text` and `texts`."""

    model_config = ConfigDict(extra="forbid", strict=True, title="PredictRequest")

    @model_validator(mode="before")
    @classmethod
    def _refuse_floods(cls, value: Any) -> Any:
        """Refuse a body of very many keys as a whole: naming each would cost more than all else."""
        if isinstance(value, dict):
            metadata = value.get("metadata")
            if len(value) > _MAX_KEYS or (isinstance(metadata, dict) and len(metadata) > _MAX_KEYS):
                raise PydanticCustomError("too_many_keys", "too many fields or metadata entries")
        return value

    text: str | None = Field(None, description="One text of 1 to 10,000 characters.")
    texts: list[str] | None = Field(
        None, min_length=1, max_length=MAX_TEXTS, description="1 to 256 texts of 1 to 10,000 characters each."
    )
    top_k: int = Field(3, ge=1, le=1000, description="How many of the best labels come back with scores.")
    language: str | None = Field(
        None,
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$",
        description="Language of the texts as a BCP 47 tag, such as `en` or `zh-Hans`.",
    )
    subject: str | None = Field(
        None, min_length=1, max_length=200, description="Opaque id of the person the text is about, for erasure."
    )
    routing_key: str | None = Field(
        None, min_length=1, max_length=200, description="Requests with the same key see the same model in a canary."
    )
    metadata: dict[Annotated[str, Field(min_length=1, max_length=100)], ShortText] | None = Field(
        None, max_length=20, description="Up to 20 entries to keep with the predictions, 500 characters each."
    )

    @property
    def all_texts(self) -> list[str]:
        """The texts, however they were sent."""
        return self.texts if self.texts is not None else [self.text or ""]


class TaskPredictRequest(PredictRequest):
    """Body of `POST /predict`, the door of BentoML's clients."""

    task: str = Field(min_length=1, max_length=63, description="Name of a served task.")


def parse_predict(body: bytes) -> PredictRequest:
    """Read and check a predict request.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: it is, but a value is not allowed; names every fault.
    """
    try:
        request = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise _explained(error) from error
    check_predict(request)
    return request


def parse_predict_with_task(body: bytes) -> tuple[str, PredictRequest]:
    """Read and check a predict request that names its task in a field `task`; raises as `parse_predict` does."""
    try:
        request = TaskPredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise _explained(error) from error
    check_predict(request)
    return request.task, request


def check_predict(request: PredictRequest) -> None:
    """Check what types cannot say: one of `text` and `texts`, and every text usable.

    Raises:
        InvalidError: names every fault, each text by its index.
    """
    if (request.text is None) == (request.texts is None):
        state = "neither was" if request.text is None else "both were"
        raise InvalidError([Fault((), f'exactly one of "text" and "texts" is expected, but {state} given')])
    faults = [
        Fault(("text",) if request.texts is None else ("texts", index), f"the text {fault}")
        for index, text in enumerate(request.all_texts)
        if (fault := text_fault(text)) is not None
    ]
    if faults:
        raise InvalidError(faults)


def validated(values: dict[str, Any]) -> PredictRequest:
    """Check values that came through another door than HTTP JSON; raises as `parse_predict` does."""
    try:
        request = PredictRequest.model_validate(values)
    except ValidationError as error:
        raise _explained(error) from error
    check_predict(request)
    return request


def _explained(error: ValidationError) -> MalformedError | InvalidError:
    details = error.errors(include_url=False, include_context=True)
    if details[0]["type"] == "json_invalid":
        return MalformedError(f"the body is not JSON: {_reason(details[0])}; send one JSON object in UTF-8")
    faults = [Fault(_place(detail), _message(detail)) for detail in details[:MAX_FAULTS]]
    if len(details) > MAX_FAULTS:
        faults.append(Fault((), f"and {len(details) - MAX_FAULTS:,} more; correct these first"))
    return InvalidError(faults)


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(_shown(part) if isinstance(part, str) and len(part) > _SHOWN else part for part in detail["loc"])


def _reason(detail: ErrorDetails) -> str:
    return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown field; expected some of: {', '.join(PredictRequest.model_fields)}"
    if detail["type"] == "model_type":
        return f"the body is {_shown(detail['input'])}; expected a JSON object"
    return f"{detail['msg']}; got {_shown(detail['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} fields"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
