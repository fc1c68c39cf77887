"""What callers may send after `?`, checked like a body."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from core.errors import Fault, InvalidError
from service.bodies import explained
from service.exchange import Incoming

_MAX_PARAMETERS = 32


def _no_number(value: object) -> object:
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise PydanticCustomError("moment", "expected a moment with a time zone, such as 2026-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "expected a moment of the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]
"""A moment as ISO 8601 text with a time zone. Numbers are refused: a year alone would pass for seconds since 1970."""


class Query(BaseModel):
    """Parameters of a GET: text that is turned into each field's type; no unknown ones."""

    model_config = ConfigDict(extra="forbid")


AnyQuery = TypeVar("AnyQuery", bound=Query)


def read_query(model: type[AnyQuery], incoming: Incoming) -> AnyQuery:
    """Return the query of a request as a `model`.

    Raises:
        InvalidError: a parameter is unknown, repeated, or its value is not allowed; names every fault.
    """
    try:
        pairs = parse_qsl(
            incoming.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as error:  # not ASCII, not UTF-8 once decoded, or too many
        raise InvalidError(
            [Fault((), f"the query cannot be read ({error}); expected name=value&name=value")]
        ) from error
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidError([Fault((), "a parameter of the query is repeated; expected each at most once")])
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise explained(model, error) from error
