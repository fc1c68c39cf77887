"""What `GET /v1/lineage/{id}` answers."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from feedback.lineage import Kind, Note


class _View(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class LineagePrediction(_View):
    """What a version said of a text."""

    prediction_id: str
    version: str
    label: str
    labels: list[str] | None
    confidence: float
    reason: str | None
    item_id: str | None
    created_at: datetime


class LineageItem(_View):
    """The item that people were asked about; `version` made its first prediction, null for a text that was brought."""

    item_id: str
    state: str
    reason: str
    demo: bool
    same_as: str | None
    version: str | None
    predictions: list[str]
    created_at: datetime


class LineageAnswer(_View):
    """What one annotator said."""

    answer_id: str
    item_id: str
    annotator: str
    kind: str
    label: str | None
    labels: list[str] | None
    counted: str
    undone: bool
    created_at: datetime


class LineageGate(_View):
    """The verdict of a gate."""

    decision: str
    reasons: list[str]


class LineageRun(_View):
    """A run of the retraining job; `GET /v1/runs/{id}` tells all of it."""

    run_id: str
    mode: str
    trigger: str
    status: str
    champion: str | None
    version: str | None
    gate: LineageGate | None
    message: str
    finished_at: datetime | None


class LineageDeployment(_View):
    """One time that a version went live."""

    version: str
    reason: str
    actor: str
    created_at: datetime


class LineageSnapshot(_View):
    """A snapshot; `erased` rows were taken out of it later."""

    sha256: str
    number: int
    revision: int
    rows: int
    reviewed: int
    erased: int
    created_at: datetime


class UsedItem(_View):
    """A reviewed item in snapshots from number `first` on, up to the one before `until`; null: the newest too."""

    item_id: str
    resolution_id: str
    first: int
    until: int | None
    label: str | None
    labels: list[str] | None
    confirms: bool | None
    answer_ids: list[str]
    text: str | None = Field(description="Null once it was erased.")


class UsedSnapshot(LineageSnapshot):
    """A snapshot with those of its reviewed items that came last, newest first."""

    items: list[UsedItem]


class MadeView(_View):
    """A run that learnt from a snapshot, and the times its version went live, newest first."""

    run: LineageRun
    deployments: list[LineageDeployment]


class LineageModel(_View):
    """A version and what it learnt from."""

    version: str
    is_live: bool
    stored: bool = Field(description="Whether this host's model store has it; old versions are pruned.")
    method: str | None = Field(description="`full`, `quick` or `fast`; null where it is not stored.")
    parent: str | None = Field(description="The version whose encoder or answers it learnt from, if one is known.")
    snapshot_sha256: str | None = Field(description="Hash of what it was trained on, if that is known.")
    run: LineageRun | None = Field(description="The run that made it; null: it was trained from files.")
    snapshot: UsedSnapshot | None
    deployments: list[LineageDeployment]


class ReachView(_View):
    """A snapshot that used a resolution, and what was made of it."""

    snapshot: LineageSnapshot
    made: list[MadeView]


class ReachedView(_View):
    """How far a resolution went: the first of the `snapshots` that used it, oldest first."""

    resolution_id: str
    label: str | None
    labels: list[str] | None
    confirms: bool | None
    answer_ids: list[str]
    holds: bool = Field(description="Whether it is the item's resolution today.")
    first: int | None
    until: int | None
    snapshots: int
    is_live: bool = Field(description="Whether the live version has learnt from it.")
    used_by: list[ReachView]


class LineageView(_View):
    """Body of `GET /v1/lineage/{id}`."""

    kind: Kind
    id: str
    task: str
    notes: list[Note] = Field(description="Why a line ends early.")
    prediction: LineagePrediction | None
    item: LineageItem | None
    answer: LineageAnswer | None
    run: LineageRun | None
    model: LineageModel | None
    reached: list[ReachedView] | None
    snapshot: UsedSnapshot | None
    made: list[MadeView] | None
