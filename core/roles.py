"""Roles, and who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["app", "annotator", "reviewer", "admin"]
ALL_ROLES: frozenset[Role] = frozenset(get_args(Role))
REVIEWERS: frozenset[Role] = frozenset({"reviewer", "admin"})
"""Who sees everything of their tasks: reasons, predictions of others, all answers; adjudicates, imports, exports."""
APPS: frozenset[Role] = frozenset({"app", "reviewer", "admin"})
"""Who asks for predictions and sends feedback."""
ANNOTATORS: frozenset[Role] = frozenset({"annotator", "reviewer", "admin"})
"""Who works the queue."""
ADMINS: frozenset[Role] = frozenset({"admin"})


@dataclass(frozen=True)
class Caller:
    """Who sent a request: the `person`, with a key (`key_id`) or in open mode (None), and what they may see.

    `tasks` are the granted ones; None is all. In open mode the role is `admin` but for what needs the admin key.
    """

    person: str
    role: Role
    key_id: str | None = None
    tasks: frozenset[str] | None = None

    @property
    def is_reviewer(self) -> bool:
        """Whether the caller sees everything of their tasks."""
        return self.role in REVIEWERS

    def may_see(self, task: str) -> bool:
        """Tell whether the caller has a grant for `task`."""
        return self.tasks is None or task in self.tasks


REGRADE = Caller("regrade", "admin")
"""Who the audit log names for what the service does by itself."""
