"""What callers may send after `?`, checked like a body."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Fault, InvalidError
from service.bodies import explained
from service.exchange import Incoming

_MAX_PARAMETERS = 32


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
