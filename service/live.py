"""The model versions that answer in this worker, kept in step with the deployments.

A change is noticed by asking the store twice a second: load → warm → check → swap the reference. Requests that hold
the old version finish with it; none fails or waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from core.errors import NotFoundError, RunnerError, TaskError, UnavailableError
from core.settings import Settings
from feedback.deployments import Deployment, live_deployments
from feedback.revisions import note_revision
from feedback.store import Store
from feedback.trials import open_trials
from service.artifact import Manifest
from service.background import give_memory_back, step_back
from service.candidates import Candidates
from service.classifier import Classifier, load_classifier
from service.encoders import Encoders
from service.metrics import Metrics
from service.model_store import version_folder
from service.runner import choose_runner
from service.trial_counts import TrialCounts
from service.watching import watch
from tasks.catalogue import TaskFolder, find_tasks

logger = logging.getLogger("regrade.live")

POLL_S = 0.5
"""Seconds between looks at the deployments; a change is live within 2 s."""

_WARM_UP = ("hello", "a somewhat longer text, so that more than one shape has been seen " * 3)


class LiveModels:
    """The tasks that are served and the version that answers for each."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        """Load nothing yet; `refresh` does.

        Raises:
            RunnerError: the runner that the settings ask for is not available here.
            TaskError: a task's declaration is wrong, or changed its labels without a new revision.
            UnavailableError: the store is away.
        """
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._runner = choose_runner(settings.runner)
        self._encoders = Encoders()
        self._tasks: Mapping[str, TaskFolder] = {}
        self._take(find_tasks(settings))
        self._live: dict[str, Classifier] = {}
        self._refused: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._foreign: set[str] = set()
        self.counts = TrialCounts(store)
        self.candidates = Candidates(self._load, self.counts)
        self._swapped = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models", initializer=step_back)

    @property
    def runner(self) -> str:
        """What computes in this worker: `cpu`, `cuda` or `tensorrt`."""
        return self._runner

    @property
    def tasks(self) -> Mapping[str, TaskFolder]:
        """Every served task by name, with or without a live version."""
        return self._tasks

    @property
    def versions(self) -> dict[str, str | None]:
        """The live version of each served task; None where there is none."""
        return {name: self.version(name) for name in self._tasks}

    def manifest(self, task: str) -> Manifest | None:
        """Return the manifest of the version that answers for `task` in this worker, or None."""
        live = self._live.get(task)
        return live.manifest if live else None

    def version(self, task: str) -> str | None:
        """Return the version that answers for `task` in this worker, or None."""
        manifest = self.manifest(task)
        return manifest.version if manifest else None

    def folder(self, task: str) -> TaskFolder:
        """Return a served task.

        Raises:
            NotFoundError: no such task is served.
        """
        if task not in self._tasks:
            raise NotFoundError(f"no task {task!r} here; this service has: {', '.join(self._tasks) or 'none'}")
        return self._tasks[task]

    def classifier(self, task: str) -> Classifier:
        """Return the version that answers for `task` now.

        Raises:
            NotFoundError: no such task is served.
            UnavailableError: the task has no live version.
        """
        live = self._live.get(task)
        if live is None:
            self.folder(task)
            raise UnavailableError(f"task {task!r} has no live model yet; train one with `regrade train {task}`")
        return live

    def refresh(self) -> None:
        """Load and swap in every version that was deployed since the last look, and every candidate on trial.

        Called outside the event loop.

        A version that cannot be loaded is logged once and the old one stays; one that is not in this host's model
        store yet is looked for again. A store that is away changes nothing.

        Raises:
            RunnerError: the runner does not start on this machine.
            UnavailableError: the store is away.
        """
        if self._swapped:  # at the last look: what was live until then has answered its last request
            self._swapped = False
            give_memory_back()
        trials = open_trials(self._store)  # first: a candidate that has become live since is loaded already
        deployments = live_deployments(self._store)
        self._find_new_tasks(deployments.keys())
        for task in self._tasks:
            deployment = deployments.get(task)
            if deployment is None or self._refused.get(task) == deployment.id:
                continue
            if self.version(task) != deployment.version:
                self._swap(deployment)
        self.candidates.refresh([trial for trial in trials if trial.task in self._tasks], self.versions)

    def _find_new_tasks(self, deployed: Collection[str]) -> None:
        """Look for the folders of tasks that were deployed for the first time; those of other services are not ours."""
        new = set(deployed) - self._tasks.keys() - self._foreign
        if not new:
            return
        try:
            self._take(find_tasks(self._settings))
        except TaskError as error:
            logger.warning("new tasks cannot be read: %s", error)
            return
        self._foreign |= new - self._tasks.keys()

    def _take(self, found: Mapping[str, TaskFolder]) -> None:
        """Serve the tasks `found` as they are declared now; the store hears of every new revision first."""
        for name, folder in found.items():
            if self._tasks.get(name) != folder:
                note_revision(self._store, folder.task)
        self._tasks = {**self._tasks, **found}

    def _swap(self, deployment: Deployment) -> None:
        task, version = deployment.task, deployment.version
        try:
            fresh = self.candidates.loaded(task, version) or self._load(task, version)
        except RunnerError:
            raise
        except NotFoundError as error:
            if self._missing.get(task) != deployment.id:
                self._missing[task] = deployment.id
                logger.warning("%s; it is served once it is there, and until then the version before", error)
            return
        except Exception:
            # Whatever is wrong with a version, the one before it must go on and later ones must be noticed.
            self._refused[task] = deployment.id
            logger.exception("version %s of %s cannot be served; the version before stays", version, task)
            return
        old, self._swapped = self._live.get(task), True
        self._live[task] = fresh  # the old version goes with its last request: nothing in it refers to itself
        self._metrics.went_live(fresh.manifest, old.manifest if old else None)
        logger.info("task %s is answered by version %s now", task, version)

    def _load(self, task: str, version: str) -> Classifier:
        """Return a version, loaded, and warm: nobody waits for its first texts."""
        folder, cache = version_folder(task, version), self._settings.cache
        fresh = load_classifier(folder, self._runner, encoders=self._encoders, cache=cache)
        fresh.classify(_WARM_UP)
        return fresh

    async def keep_up(self) -> None:
        """Do what `refresh` does, in a thread that does nothing else.

        What a thread frees stays with it for its next allocations: loaded by any of many threads, versions that come
        and go would let each of them keep the room of one.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self.refresh)

    async def watch(self) -> None:
        """Keep in step until cancelled, whatever goes wrong on the way."""
        await watch(self.keep_up, POLL_S, logger, "the deployments cannot be read")
