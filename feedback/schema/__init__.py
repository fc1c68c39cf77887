"""The tables, as SQLAlchemy Core sees them; `migrations/` makes and changes them in real databases.

Facts are append-only: what people and models said is never changed, only followed by later facts. What changes is the
state of the queue: `items`, `slots`, `annotators`, `deliveries` and the counters.
"""

from feedback.schema.base import metadata
from feedback.schema.outbox import deliveries, outbox, webhooks
from feedback.schema.people import annotators, audit, erasures, keys, seals
from feedback.schema.predictions import predictions, reports, texts, traffic
from feedback.schema.queue import (
    answers,
    duties,
    encounters,
    items,
    leases,
    resolutions,
    slots,
    tallies,
    task_revisions,
    undoings,
)
from feedback.schema.serving import deployments, replies

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
    "predictions",
    "replies",
    "reports",
    "resolutions",
    "seals",
    "slots",
    "tallies",
    "task_revisions",
    "texts",
    "traffic",
    "undoings",
    "webhooks",
]
