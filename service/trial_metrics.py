"""What operators see of trials at `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from feedback.store import Store
from feedback.trial_figures import BySide, Side, SideFigures, in_all, read_figures
from feedback.trials import Trial, open_trials
from service.store_gauges import StoreGauges
from tasks.declaration import Task

_KINDS = ("shadow", "canary")
_SIDES: tuple[Side, ...] = ("candidate", "champion")


class TrialMetrics(StoreGauges):
    """Gauges of the trial that each task has or had last, in `registry`."""

    about = "the trials"

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""
        super().__init__(registry)
        self._share = self._gauge("regrade_trial_share", "Share of traffic that a candidate on trial gets.", "kind")
        self._texts = self._gauge("regrade_trial_texts", "Texts judged in the trial that goes on.", "side")
        self._errors = self._gauge("regrade_trial_errors", "Requests or texts at which a side of it failed.", "side")
        self._mean = self._gauge("regrade_trial_seconds", "Mean time of a request, in a shadow of a text.", "side")
        self._agreement = self._gauge("regrade_trial_agreement", "Share of a shadow's texts that both label alike.")
        self._dropped = self._gauge("regrade_trial_dropped", "Texts that a shadow left out as the worker was busy.")

    def _read(self, store: Store, tasks: Mapping[str, Task]) -> None:
        found = _read_open(store)
        for task in tasks:
            trial, steps = found.get(task, (None, {}))
            for kind in _KINDS:  # those that are over too, or they would be shown for ever
                self._share.labels(task, kind).set(trial.share if trial and trial.kind == kind else 0.0)
            if trial is not None:
                self._show(trial, steps)

    def _show(self, trial: Trial, steps: dict[int, BySide]) -> None:
        task = trial.task
        sides: dict[Side, SideFigures] = {side: in_all(steps, side) for side in _SIDES}
        for side, figures in sides.items():
            self._texts.labels(task, side).set(figures.texts)
            self._errors.labels(task, side).set(figures.errors)
            if figures.mean_ms is not None:
                self._mean.labels(task, side).set(figures.mean_ms / 1000)
        candidate = sides["candidate"]
        self._dropped.labels(task).set(candidate.dropped)
        if candidate.texts and trial.kind == "shadow":
            self._agreement.labels(task).set(candidate.agreements / candidate.texts)


def _read_open(store: Store) -> dict[str, tuple[Trial, dict[int, BySide]]]:
    trials = open_trials(store)
    with store.read() as connection:
        figures = read_figures(connection, [trial.id for trial in trials])
    return {trial.task: (trial, figures.get(trial.id, {})) for trial in trials}
