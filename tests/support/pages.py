"""Every page that the service has, found in its routes, so that no test of all pages can forget one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from unittest.mock import MagicMock

from core.roles import ALL_ROLES, Role
from service.pages.routes import page_routes

FILES = "/app/static/"


@dataclass(frozen=True)
class PageRoute:
    """A page: its path template, and who may see it."""

    template: str
    roles: frozenset[Role]

    def path(self, values: Mapping[str, str]) -> str:
        """Return the page's path with `values` in the places of its parameters.

        Raises:
            KeyError: nothing is given for a parameter: whoever added the page must say here what to put there.
        """
        return re.sub(r"\{(\w+)\}", lambda place: values[place[1]], self.template)


def all_pages() -> list[PageRoute]:
    """Return every page that can be fetched; nothing of the worker is used to list them."""
    return [
        PageRoute(route.template, route.methods["GET"].roles or ALL_ROLES)
        for route in page_routes(MagicMock(), MagicMock())
        if "GET" in route.methods and not route.template.startswith(FILES)
    ]
