"""What the front answers: paths, methods, what each asks of its caller, and how the API's description tells of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel

from core.roles import ALL_ROLES, Role
from service.exchange import Incoming, Reply

Handler = Callable[[Incoming], Awaitable[Reply]]


@dataclass(frozen=True)
class Doc:
    """How the OpenAPI document describes an endpoint.

    `request` and `reply` are the models of the JSON bodies; `status` is that of success, and `also` has the models of
    other statuses that are not problems. `query` is a model whose fields are the parameters after `?`. `problems` are
    statuses beyond those that follow from the endpoint itself. `media_types` replace JSON where the reply is a file.
    """

    summary: str
    reply: type[BaseModel] | None = None
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """What answers one method of a path.

    `roles` may call it; None: everybody, without a key. `open_mode`: whether it works without a key while none was
    made. `once`: whether an `Idempotency-Key` is honoured, as on every write. `json`: whether it takes a JSON body.
    Without a `doc` it is not part of the API's description.
    """

    handler: Handler
    roles: frozenset[Role] | None = ALL_ROLES
    open_mode: bool = True
    once: bool = False
    json: bool = False
    doc: Doc | None = None


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


class Found(NamedTuple):
    """What a path leads to: the route, the endpoint of the asked method (None: not allowed), the path's parameters."""

    route: Route
    endpoint: Endpoint | None
    parameters: dict[str, str]


class Router:
    """Finds the endpoint of a request; routes given first are found first, and quickest."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Prepare to find `routes`."""
        self._exact = {route.template: route for route in routes if "{" not in route.template}
        self._patterns = [(route.pattern(), route) for route in routes if "{" in route.template]

    def find(self, path: str, method: str) -> Found | None:
        """Return what `path` leads to, or None; HEAD is answered where GET is."""
        method = "GET" if method == "HEAD" else method
        exact = self._exact.get(path)
        if exact is not None:
            return Found(exact, exact.methods.get(method), {})
        refusing = None
        for pattern, route in self._patterns:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            found = Found(route, route.methods.get(method), match.groupdict())
            if found.endpoint is not None:
                return found
            refusing = refusing or found  # another template may answer the method: `items/{id}` and `{task}/claim`
        return refusing
