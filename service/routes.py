"""Everything the front answers; the hot path comes first, because the first routes are found quickest."""

from __future__ import annotations

from service import (
    adjudication_api,
    desk_api,
    erasure_api,
    export_api,
    feedback_api,
    health_api,
    keys_api,
    lineage_api,
    models_api,
    predict_api,
    predictions_api,
    quarantines_api,
    queue_api,
    runs_api,
)
from service.routing import Route
from service.worker import Worker


def all_routes(worker: Worker) -> list[Route]:
    """Return the routes of every module."""
    return [
        *predict_api.routes(worker),
        *predictions_api.routes(worker),
        *feedback_api.routes(worker),
        *queue_api.routes(worker),
        *desk_api.routes(worker),
        *adjudication_api.routes(worker),
        *quarantines_api.routes(worker),
        *models_api.routes(worker),
        *runs_api.routes(worker),
        *lineage_api.routes(worker),
        *keys_api.routes(worker),
        *erasure_api.routes(worker),
        *export_api.routes(worker),
        *health_api.routes(worker),
    ]
