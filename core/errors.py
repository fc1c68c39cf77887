"""The errors that Regrade raises on purpose. Each message names the value, what was expected and what to do.

`service/problems.py` maps them to HTTP statuses and `regrade/cli.py` to exit codes: the only two places that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RegradeError(Exception):
    """Base of every error that a user can act on; its text is safe to show."""


class SettingError(RegradeError):
    """A setting (environment variable or `regrade.toml` key) has a value that cannot be used."""


class TaskError(RegradeError):
    """A task's declaration or starter data is wrong."""


class DataError(RegradeError):
    """A data file cannot be used: unreadable, no text or label column, or no usable rows."""


class ModelError(RegradeError):
    """A model version is missing, damaged, or does not fit its task."""


class RunnerError(RegradeError):
    """The runner that was asked for is not available on this machine."""


class NotFoundError(RegradeError):
    """Nothing has that name or id."""


class UngrantedError(NotFoundError):
    """A task, or something of it, that the caller has no grant for: told like one that does not exist (HTTP 404)."""


class ConflictError(RegradeError):
    """The request contradicts what is already recorded."""


class AtWorkError(ConflictError):
    """The first request with an `Idempotency-Key` is still at work: the same request will be answered in a moment."""


class ReusedKeyError(ConflictError):
    """An `Idempotency-Key` came again with another body."""


class LeaseLostError(ConflictError):
    """What only the holder of a lease may do, after the lease ended."""


class RunError(RegradeError):
    """A run of the retraining job could not be brought to an end."""


class MalformedError(RegradeError):
    """The request cannot be read at all: not JSON, or cut short (HTTP 400)."""


class UnauthenticatedError(RegradeError):
    """No key came, or none that is good (HTTP 401)."""


class ForbiddenError(RegradeError):
    """The caller may not do this (HTTP 403)."""


class TooLargeError(RegradeError):
    """The request body is over the limit (HTTP 413)."""


class MediaTypeError(RegradeError):
    """The request body is not declared as JSON (HTTP 415)."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: `loc` is the path to the value, such as `("texts", 3)`."""

    loc: tuple[str | int, ...]
    msg: str


class InvalidError(RegradeError):
    """A well-formed request whose values are not allowed (HTTP 422); names every fault found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep `faults` (at least one) and describe the first in the message."""
        self.faults = tuple(faults)
        first = self.faults[0]
        where = ".".join(str(part) for part in first.loc) or "body"
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        super().__init__(f"{where}: {first.msg}{more}")


class OverloadedError(RegradeError):
    """No room for this request now (HTTP 429); try again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        """Remember how long the caller should wait, in whole seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(message)


class UnavailableError(RegradeError):
    """Draining, no live model, or the store is away (HTTP 503)."""


class CallerGoneError(Exception):
    """The caller disconnected before the answer; nobody is left to tell, so that this is no `RegradeError`."""
