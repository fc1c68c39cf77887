"""What the front answers: paths, methods, and what each asks of its caller."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from core.roles import ALL_ROLES, Role
from service.exchange import Incoming, Reply

Handler = Callable[[Incoming], Awaitable[Reply]]


@dataclass(frozen=True)
class Endpoint:
    """What answers one method of a path.

    `roles` may call it; None: everybody, without a key. `open_mode`: whether it works without a key while none was
    made. `once`: whether an `Idempotency-Key` is honoured, as on every write. `json`: whether it takes a JSON body.
    """

    handler: Handler
    roles: frozenset[Role] | None = ALL_ROLES
    open_mode: bool = True
    once: bool = False
    json: bool = False


@dataclass(frozen=True)
class Route:
    """A path template such as `/v1/tasks/{task}/predict` and its methods.

    A parameter `{task}` is checked before the handler runs: a task that is not served, or that the caller has no grant
    for, is 404.
    """

    template: str
    methods: Mapping[str, Endpoint]

    def pattern(self) -> re.Pattern[str]:
        """Return what matches the template's paths; each parameter is one path segment."""
        literal = re.escape(self.template).replace(r"\{", "{").replace(r"\}", "}")
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", literal))
