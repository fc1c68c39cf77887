"""How the live version of a task does: one row a task, which the scheduler writes and everybody else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, select

from feedback.deployments import live_deployment
from feedback.sampling import Estimate
from feedback.schema import watches
from feedback.store import Store
from feedback.upsert import insert

Measure = Literal["accuracy", "reports", "labels"]
Aspect = Literal["labels", "confidence", "texts"]
Verdict = Literal["steady", "moving", "shifted"]


@dataclass(frozen=True)
class Comparison:
    """The last look at one measure of the live version beside that of the version before.

    Attributes:
        measure: `accuracy` of all traffic, by weights; `reports` of wrong ones a prediction; or `labels`, where `now`
            is the population stability index and `before` is 0.
        number: how many looks there were.
        n: what the look rests on: reviewed predictions for `accuracy`, otherwise predictions.
        now: the measure of the live version.
        before: that of the version before.
        loss: by how much it is worse; for `reports` how many times as many.
        limit: the loss up to which it is not taken back.
        level: how often at most chance alone makes this look call an equal version worse.
        significant: whether it is worse beyond chance.
    """

    measure: Measure
    number: int
    n: int
    now: float
    before: float
    loss: float
    limit: float
    level: float
    significant: bool

    @property
    def is_worse(self) -> bool:
        """Whether it is worse beyond chance and beyond the limit."""
        return self.significant and self.loss > self.limit


@dataclass(frozen=True)
class Shift:
    """How far recent traffic is from the reference.

    `value` is the population stability index of `labels` or `confidence`, less what chance alone makes; of `texts` the
    energy coefficient of their embeddings, 0 (alike) to 1. `limit` is that from which it counts as shifted.
    """

    aspect: Aspect
    value: float
    limit: float
    verdict: Verdict
    n_reference: int
    n_recent: int


@dataclass(frozen=True)
class Reference:
    """The first traffic of a live version, up to `until`: what later traffic is held against.

    `labels` and `confidence` are counts, the latter in the bins between `edges`; `ids` are predictions whose texts are
    compared.
    """

    until: datetime
    labels: dict[str, int]
    edges: list[float]
    confidence: list[int]
    ids: list[str]


@dataclass(frozen=True)
class Watched:
    """How the live version of a task does.

    Attributes:
        deployment: the deployment that made it live.
        version: that version.
        before: the version that it is held against; None: there is none, or `[watch]` says not to.
        returns: whether the one before is made live again where this one is worse; otherwise somebody is told only.
        until: when the comparison ends.
        comparisons: the last look at each measure.
        worse: why it is worse than the one before, in a sentence; None: it has not been found to be.
        accuracy: the accuracy on all its traffic, by weights; None: nothing drawn has been resolved.
        reference: what its traffic is held against; None: there is too little yet.
        shifts: how far its recent traffic is from the reference, as of `shifts_at`, for texts as of `texts_at`.
        shifts_at: when that was looked at; None: not yet.
        texts_at: the same for texts, which takes longer.
        drifted_at: since when some shift is at its limit or beyond; None: none is.
        fell_at: since when the accuracy is under `audit_below` without doubt; None: it is not, or none is declared.
    """

    deployment: int
    version: str
    before: str | None = None
    returns: bool = False
    until: datetime | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    worse: str | None = None
    accuracy: Estimate | None = None
    reference: Reference | None = None
    shifts: list[Shift] = field(default_factory=list)
    shifts_at: datetime | None = None
    texts_at: datetime | None = None
    drifted_at: datetime | None = None
    fell_at: datetime | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept of a task's watch: the `step` that the next one must follow, and when it was written."""

    watched: Watched
    step: int
    computed_at: datetime


_READER = TypeAdapter(Watched)


def read_watch(connection: Connection, task: str) -> Kept | None:
    """Return how the live version of `task` does; None where nobody has looked, or at another deployment only."""
    live = live_deployment(connection, task)
    kept = find_kept(connection, task)
    return kept if kept is not None and live is not None and kept.watched.deployment == live.id else None


def find_kept(connection: Connection, task: str) -> Kept | None:
    """Return what is kept of `task`, of whatever deployment; what another release wrote is as good as new."""
    row = connection.execute(select(watches).where(watches.c.task == task)).first()
    if row is None:
        return None
    try:
        return Kept(_READER.validate_python(row.content), row.step, row.computed_at)
    except ValidationError:
        return Kept(Watched(deployment=0, version=""), row.step, row.computed_at)


def list_watches(store: Store, tasks: Sequence[str]) -> dict[str, Kept]:
    """Return how the live version of each of `tasks` does, as far as that has been looked at.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        found = {task: read_watch(connection, task) for task in tasks}
    return {task: kept for task, kept in found.items() if kept is not None}


def keep_watch(store: Store, connection: Connection, task: str, watched: Watched, after: int) -> bool:
    """Keep `watched` as what follows the step `after`; False, and nothing kept, where another process was quicker."""
    values = {
        "deployment_id": watched.deployment,
        "step": after + 1,
        "content": _READER.dump_python(watched, mode="json"),
        "computed_at": store.now(connection),
    }
    fresh = insert(connection, watches).values(task=task, **values)
    follows = fresh.on_conflict_do_update(index_elements=["task"], set_=values, where=watches.c.step == after)
    return connection.execute(follows.execution_options(preserve_rowcount=True)).rowcount == 1
