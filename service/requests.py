"""What callers may send, checked with pydantic, and what they are told when it does not fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from core.errors import Fault, InvalidError
from core.text import text_fault
from service.bodies import Body, Language, Metadata, ShortName, explained, read_body

MAX_TEXTS = 256
"""Texts in one request at most."""

MAX_TASKS = 16
"""Tasks in one request at most."""

MAX_BODY = 16 * 1024 * 1024
"""Bytes in one request body at most."""


class PredictRequest(Body):
    """Body of `POST /v1/tasks/{task}/predict`: exactly one of `text` and `texts`."""

    model_config = ConfigDict(title="PredictRequest")

    text: str | None = Field(None, description="One text of 1 to 10,000 characters.")
    texts: list[str] | None = Field(
        None, min_length=1, max_length=MAX_TEXTS, description="1 to 256 texts of 1 to 10,000 characters each."
    )
    top_k: int = Field(3, ge=1, le=1000, description="How many of the best labels come back with scores.")
    language: Language | None = Field(
        None, description="Language of the texts as a BCP 47 tag, such as `en` or `zh-Hans`."
    )
    subject: ShortName | None = Field(None, description="Opaque id of the person the text is about, for erasure.")
    routing_key: ShortName | None = Field(
        None, description="Requests with the same key see the same model in a canary."
    )
    metadata: Metadata | None = Field(
        None, description="Up to 20 entries to keep with the predictions, 500 characters each."
    )

    @property
    def all_texts(self) -> list[str]:
        """The texts, however they were sent."""
        return self.texts if self.texts is not None else [self.text or ""]


class TasksPredictRequest(PredictRequest):
    """Body of `POST /v1/predict`: the same, and the tasks that are asked."""

    model_config = ConfigDict(title="TasksPredictRequest")

    tasks: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(
        min_length=1, max_length=MAX_TASKS, description="Names of 1 to 16 served tasks, each once."
    )


class TaskPredictRequest(PredictRequest):
    """Body of `POST /predict`, the door of BentoML's clients."""

    task: str = Field(min_length=1, max_length=63, description="Name of a served task.")


def parse_predict(body: bytes) -> PredictRequest:
    """Read and check a predict request.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: it is, but a value is not allowed; names every fault.
    """
    request = read_body(PredictRequest, body)
    check_predict(request)
    return request


def parse_predict_with_task(body: bytes) -> tuple[str, PredictRequest]:
    """Read and check a predict request that names its task in a field `task`; raises as `parse_predict` does."""
    request = read_body(TaskPredictRequest, body)
    check_predict(request)
    return request.task, request


def parse_predict_with_tasks(body: bytes) -> TasksPredictRequest:
    """Read and check a predict request to several tasks; raises as `parse_predict` does."""
    request = read_body(TasksPredictRequest, body)
    check_predict(request)
    twice = [Fault(("tasks", place), f"{name!r} is there twice") for place, name in _repeated(request.tasks)]
    if twice:
        raise InvalidError(twice)
    return request


def _repeated(names: list[str]) -> list[tuple[int, str]]:
    return [(place, name) for place, name in enumerate(names) if name in names[:place]]


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
        raise explained(PredictRequest, error) from error
    check_predict(request)
    return request
