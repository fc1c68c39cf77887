"""From errors to replies: the one place where HTTP statuses are chosen (RFC 9457 problem details)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from core.errors import (
    AtWorkError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    MalformedError,
    MediaTypeError,
    NotFoundError,
    OverloadedError,
    RegradeError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

STATUSES: dict[type[RegradeError], int] = {
    MalformedError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    TooLargeError: 413,
    MediaTypeError: 415,
    InvalidError: 422,
    OverloadedError: 429,
    UnavailableError: 503,
}
PROBLEM = b"application/problem+json"
Headers = list[tuple[bytes, bytes]]


def status_of(error: Exception) -> int:
    """Return the status of an error, by its nearest ancestor; 500 where no status was foreseen."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def problem(status: int, detail: str, errors: list[dict[str, object]] | None = None) -> bytes:
    """Return a problem+json body."""
    return orjson.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "errors": errors or [],
        }
    )


def problem_of(error: Exception) -> tuple[int, bytes, Headers]:
    """Return status, body and extra headers for an error; an unforeseen one tells the caller nothing about itself."""
    status = status_of(error)
    if status == 500:
        return status, problem(status, "something failed inside the service; its log says what"), []
    errors: list[dict[str, object]] = []
    if isinstance(error, InvalidError):
        errors = [{"loc": list(fault.loc), "msg": fault.msg} for fault in error.faults]
    headers: Headers = []
    if isinstance(error, OverloadedError):
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    elif isinstance(error, UnauthenticatedError):
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, UnavailableError):
        headers.append((b"retry-after", b"5"))
    elif isinstance(error, AtWorkError):
        headers.append((b"retry-after", b"1"))
    return status, problem(status, str(error), errors), headers
