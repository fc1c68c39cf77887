"""Reports that training wrote, shown as they are, and kept from doing anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.errors import NotFoundError
from core.roles import REVIEWERS
from feedback.runs import find_run
from service.exchange import Incoming, Reply
from service.model_store import version_folder
from service.pages.site import HTML, Site
from service.routing import Endpoint, Route
from service.run_store import run_report_file
from service.worker import Worker

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""A report brings its own styles and pictures, runs no script, and belongs to no origin."""

_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_TRIAGE = "triage"


def routes(worker: Worker, site: Site) -> list[Route]:  # noqa: ARG001 - as every page's
    """Return the routes of the reports."""
    reports = _Reports(worker)
    return [
        Route("/app/reports/{task}/{version}", {"GET": Endpoint(reports.send, REVIEWERS)}),
        Route("/app/reports/{task}/runs/{run}", {"GET": Endpoint(reports.send_run, REVIEWERS)}),
    ]


class _Reports:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._folder = worker.settings.reports

    async def send(self, incoming: Incoming) -> Reply:
        """Send the report of a version, or of the triage plan."""
        task, version = incoming.parameters["task"], incoming.parameters["version"]
        return Reply(200, await asyncio.to_thread(self._read, task, version), HTML, list(_HEADERS))

    async def send_run(self, incoming: Incoming) -> Reply:
        """Send the report of a run of the task."""
        task, run_id = incoming.parameters["task"], incoming.parameters["run"]
        return Reply(200, await asyncio.to_thread(self._read_run, task, run_id), HTML, list(_HEADERS))

    def _read_run(self, task: str, run_id: str) -> bytes:
        run = find_run(self._worker.store, run_id)  # another task's reports are not to be had through this one
        path = _there(run_report_file(self._worker.settings.home, run.id)) if run.task == task else None
        if path is None:
            raise NotFoundError(
                f"no report of a run {run.id} of {task} is on this host: it is written where the run is judged, and "
                "goes when the run's version is pruned"
            )
        return path.read_bytes()

    def _read(self, task: str, version: str) -> bytes:
        if version == _TRIAGE:
            path = triage_file(self._folder, task)
        else:
            version_folder(task, version)  # a version of this task: another's report may have a name that begins alike
            path = report_file(self._folder, task, version)
        if path is None:
            raise NotFoundError(
                f"no report of {task} {version[:100]!r} is on this host; training writes one where it runs"
            )
        return path.read_bytes()


def report_file(folder: Path, task: str, version: str) -> Path | None:
    """Return the report of a version that exists, or None; both names are checked before."""
    return _there(folder / f"{task}-{version}.html")


def has_run_report(home: Path, run_id: str) -> bool:
    """Tell whether the report of a run is on this host."""
    return _there(run_report_file(home, run_id)) is not None


def triage_file(folder: Path, task: str) -> Path | None:
    """Return the picture that `regrade triage plan` drew last for `task`, or None."""
    return _there(folder / f"{task}-{_TRIAGE}.html")


def _there(path: Path) -> Path | None:
    return path if path.is_file() and not path.is_symlink() else None
