"""The task page: how one task does, from what waits for people to how often the model is right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.errors import ModelError, NotFoundError
from core.roles import ANNOTATORS
from feedback.deployments import Deployment, list_deployments, live_deployments, taken_back, ways_back
from feedback.pins import list_pins
from feedback.quarantines import list_quarantines
from feedback.recent import Latest, Recent, latest_predictions
from feedback.runs import gate_of, list_runs
from feedback.sampling import Estimate
from feedback.stats import QueueStats, queue_stats
from feedback.summaries import Summary, read_summaries
from feedback.watches import list_watches
from service.artifact import Manifest, read_metrics
from service.exchange import Incoming, Reply
from service.model_store import list_versions, version_folder
from service.pages import figures
from service.pages.assets import CHARTS
from service.pages.left_out import unwanted_styles
from service.pages.reports import has_run_report, report_file, triage_file
from service.pages.site import Site
from service.plan import make_plan, trade_off_of
from service.routing import Endpoint, Route
from service.trial_views import read_trials
from service.views import describe_version
from service.worker import Worker
from tasks.declaration import Task

LATEST = 2_000
"""Predictions that the histogram and the reasons look at."""

_RUNS = 8
"""Runs that are shown, the newest."""

_TRAFFIC = 1_000.0
"""Predictions a day for which the trade-off is told where no traffic is known yet."""

_CHARTS = {
    "hours_chart": figures.hours_chart,
    "days_chart": figures.days_chart,
    "work_chart": figures.work_chart,
    "confidence_chart": figures.confidence_chart,
    "trade_off_chart": figures.trade_off_chart,
    "shown_steps": figures.shown_steps,
}
"""What the template draws with, once it has the words."""


@dataclass(frozen=True)
class Lately:
    """The latest predictions: how many there are, their histogram, and how many were asked about for each reason."""

    predictions: int
    asked: int
    bars: list[tuple[float, int, int]]
    reasons: list[tuple[str, int]]


@dataclass(frozen=True)
class Model:
    """The live version: its deployment, its manifest, and what its thresholds cost; None where there is none."""

    deployment: Deployment | None
    manifest: Manifest | None
    plan: dict[str, Any] | None

    @property
    def trust(self) -> float | None:
        """The least confidence, of any label, below which an answer is doubtful; None where none is fitted."""
        return min(self.manifest.thresholds.values(), default=None) if self.manifest else None

    @property
    def in_force(self) -> dict[str, Any] | None:
        """The step of the plan that the thresholds are at; None where they are at none of those measured."""
        return next((step for step in self.plan["steps"] if step["in_force"]), None) if self.plan else None


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of the task page."""
    page = _TaskPage(worker, site)
    return [Route("/app/tasks/{task}", {"GET": Endpoint(page.show, ANNOTATORS)})]


class _TaskPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show how the task does; annotators see how its queue stands."""
        task = self._worker.live.folder(incoming.parameters["task"]).task
        look = self._look if incoming.caller.is_reviewer else self._look_at_queue
        known = await asyncio.to_thread(look, task)
        known["may_promote"] = incoming.caller.key_id is not None
        return await self._site.page(incoming, "task.html.j2", task=task, **known)

    @cached_property
    def _left_out(self) -> list[str]:
        charts = self._site.assets.find(self._site.assets.version, CHARTS)
        return unwanted_styles(charts.body) if charts else []

    def _look_at_queue(self, task: Task) -> dict[str, Any]:
        return {"stats": queue_stats(self._worker.store, task)}

    def _look(self, task: Task) -> dict[str, Any]:
        store = self._worker.store
        stats = queue_stats(store, task)
        summary = read_summaries(store, [task.name]).get(task.name)
        latest = latest_predictions(store, task.name, LATEST)
        model = self._model(task, latest, summary)
        return {
            "stats": stats,
            "left_out": self._left_out,
            "waiting": waiting(stats),
            "summary": summary,
            "lately": look_lately(latest),
            "latest": LATEST,
            "model": model,
            "versions": self._versions(task.name, model.deployment),
            "way_back": next(iter(ways_back(list_deployments(store, task.name))), None),
            "watch": list_watches(store, [task.name]).get(task.name),
            "taken_back": last_taken_back(list_deployments(store, task.name)),
            **self._runs(task.name),
            "quarantines": list_quarantines(store, task.name),
            "triage_report": triage_file(self._worker.settings.reports, task.name) is not None,
            "promise": promise_of(summary.figures.error, task.triage.max_error) if summary else "unknown",
            **_CHARTS,
        }

    def _model(self, task: Task, latest: list[Latest], summary: Summary | None) -> Model:
        manifest = self._worker.live.manifest(task.name)
        deployment = live_deployments(self._worker.store).get(task.name)
        if manifest is None:
            return Model(deployment, None, None)
        scores = [(one.confidence, one.out_of_scope) for one in latest if one.version == manifest.version]
        per_day = summary.figures.per_day if summary else 0.0
        return Model(deployment, manifest, plan_of(manifest, task, Recent(per_day, scores)))

    def _versions(self, task: str, deployment: Deployment | None) -> list[dict[str, Any]]:
        live, reports = deployment.version if deployment else None, self._worker.settings.reports
        judged = gate_of(self._worker.store, task)
        pinned = {pin.version for pin in list_pins(self._worker.store, task)}
        back = taken_back(list_deployments(self._worker.store, task))
        return [
            describe_version(manifest, live, judged.get(manifest.version), back.get(manifest.version))
            | {"made": manifest.created_at, "risk": manifest.risk, "pinned": manifest.version in pinned}
            | {"has_report": report_file(reports, task, manifest.version) is not None}
            for manifest in list_versions(task)
        ]

    def _runs(self, task: str) -> dict[str, Any]:
        """Return the latest runs, of which the report is on this host, and the trials of the last that had any."""
        runs, home = list_runs(self._worker.store, [task], limit=_RUNS), self._worker.settings.home
        reports = {run.id for run in runs if has_run_report(home, run.id)}
        tried = read_trials(self._worker.store, [run.id for run in runs])
        newest = next((run.id for run in runs if run.id in tried), None)
        return {"runs": runs, "run_reports": reports, "trials": tried[newest] if newest else []}


def last_taken_back(newest_first: Sequence[Deployment]) -> dict[str, Any] | None:
    """Return the version that the watch took back before the live one was live again; None where it did not."""
    if not newest_first or newest_first[0].how != "watch":
        return None
    return {"version": newest_first[1].version, "deployment": newest_first[0]}


def plan_of(manifest: Manifest, task: Task, recent: Recent) -> dict[str, Any] | None:
    """Return what each step of the thresholds costs at `recent` traffic; None where training measured nothing."""
    try:
        found = trade_off_of(manifest, read_metrics(version_folder(manifest.task, manifest.version)))
    except (ModelError, NotFoundError, OSError):  # made before thresholds were fitted, or just deleted
        return None
    return make_plan(manifest, found, task.triage, recent, recent.per_day or _TRAFFIC)


def look_lately(latest: list[Latest]) -> Lately:
    """Return what the latest predictions tell, the commonest reason first."""
    reasons = Counter(one.reason for one in latest if one.reason is not None)
    return Lately(len(latest), reasons.total(), figures.histogram(latest), reasons.most_common())


def waiting(stats: QueueStats) -> list[tuple[str, int]]:
    """Return how many items are open for each reason, the commonest first."""
    return sorted(stats.by_reason.get("open", {}).items(), key=lambda pair: (-pair[1], pair[0]))


def promise_of(error: Estimate | None, max_error: float) -> str:
    """Return what the error that nobody looks at says of the promise: `kept`, `broken`, `unclear` or `unknown`."""
    if error is None:
        return "unknown"
    if error.low > max_error:
        return "broken"
    return "kept" if error.high <= max_error else "unclear"
