"""The tables, as SQLAlchemy Core sees them; `migrations/` makes and changes them in real databases.

Facts are append-only: what people and models said is never changed, only followed by later facts. What changes is the
state of the queue: `items`, `slots`, `annotators`, `deliveries` and the counters.
"""

from feedback.schema.base import metadata
from feedback.schema.learning import (
    pins,
    quarantines,
    runs,
    snapshot_erasures,
    snapshot_items,
    snapshots,
    trial_figures,
    trials,
)
from feedback.schema.outbox import deliveries, outbox, webhooks
from feedback.schema.people import annotators, audit, erasures, keys, seals, sessions
from feedback.schema.predictions import predictions, reports, texts, traffic
from feedback.schema.queue import (
    answers,
    duties,
    encounters,
    items,
    leases,
    resolutions,
    slots,
    summaries,
    tallies,
    task_revisions,
    undoings,
)
from feedback.schema.serving import deployments, replies, watches

__all__ = [
    "annotators",
    "answers",
    "audit",
    "deliveries",
    "deployments",
    "duties",
    "encounters",
    "erasures",
    "items",
    "keys",
    "leases",
    "metadata",
    "outbox",
    "pins",
    "predictions",
    "quarantines",
    "replies",
    "reports",
    "resolutions",
    "runs",
    "seals",
    "sessions",
    "slots",
    "snapshot_erasures",
    "snapshot_items",
    "snapshots",
    "summaries",
    "tallies",
    "task_revisions",
    "texts",
    "traffic",
    "trial_figures",
    "trials",
    "undoings",
    "watches",
    "webhooks",
]
