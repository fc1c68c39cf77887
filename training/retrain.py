"""Retrain a task: snapshot → learn → gate → promote, after a trial where the task asks for one.

Each step is noted in the run when it is done, and finds what was done before: a process that was killed anywhere is
gone on for by the next. Nothing is live before the last transaction, and then all of it is.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from core.errors import (
    ConflictError,
    LeaseLostError,
    RegradeError,
    RunError,
    UnavailableError,
)
from core.roles import Caller
from core.settings import Settings
from feedback.deployments import live_deployments
from feedback.promotion import promote_run
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.runs import Run, open_runs
from feedback.store import Store
from feedback.trial_moves import begin_trial
from service.model_store import new_version, version_folder
from tasks.catalogue import TaskFolder
from training.candidate import Candidate, learn_candidate
from training.evidence import Contest, gather_evidence
from training.gate import judge
from training.heartbeat import working_on
from training.job import Asked, Job
from training.on_trial import Advance
from training.outcomes import figures_of, nothing_new, refusal
from training.paired_files import keep_pair, kept_pair
from training.progress import Stages
from training.run_files import FOLDS, run_folder
from training.run_report import RunStory, write_run_report
from training.snapshot import read_snapshot, take_snapshot
from training.snapshot_rows import Snapshot
from training.tidy import tidy_up
from training.trackers import track_run
from training.trials import first_part

logger = logging.getLogger("regrade.retrain")

MOST_ATTEMPTS = 4
"""Processes that may die of one run before it is given up."""

_MOST_CHAMPIONS = 3
"""Champions against which one run is judged, where they change under its hands."""


def retrain(
    settings: Settings, store: Store, caller: Caller, folder: TaskFolder, asked: Asked, *, shown: bool = True
) -> Run:
    """Work on a run of the task in `folder` until it is over or on trial, here and now; return it.

    What is on trial is advanced first, and returned if it is on trial still. A run that was interrupted is gone on with
    first; one that waits already and asks for the same is this one.

    Raises:
        ConflictError: another process works on the task, or it has no live model.
        UnavailableError: the store is away; the next call goes on.
        RegradeError: a step failed; the run says so.
    """
    task = folder.task.name
    _champion(store, task)
    tried = Advance(store).task(folder)
    if tried is not None:
        return tried
    with working_on(store, task) as heart, Stages(shown=shown, told=heart.tell) as stages:
        mine = _interrupted(store, task, asked) or ask_for_run(
            store, caller, task, asked.mode, asked.trigger, promote=asked.promote
        )
        job = Job(settings, store, folder, heart, stages, asked.again)
        while (run := take_run(store, task, heart.holder, mine.id)) is not None:
            done = work(job, run)
            if done.id == mine.id or done.status == "on_trial":
                return done
    raise ConflictError(f"run {mine.id} of {task} was ended elsewhere; `regrade runs show {mine.id}` shows how")


def _interrupted(store: Store, task: str, asked: Asked) -> Run | None:
    """Return the run that was left in the middle, if it is as asked for; the lease is ours, so that nobody is at it."""
    for run in open_runs(store, task):
        if run.status == "running" and (run.mode, run.promote) == (asked.mode, asked.promote):
            return run
    return None


def retrain_queued(settings: Settings, store: Store, folder: TaskFolder) -> Run | None:
    """Work on the run of the task in `folder` that was interrupted or waits; None where there is none.

    Raises:
        ConflictError: another process works on the task.
        UnavailableError: the store is away; the next call goes on.
        RegradeError: a step failed; the run says so.
    """
    task = folder.task.name
    with working_on(store, task, wait=False) as heart, Stages(shown=False, told=heart.tell) as stages:
        run = take_run(store, task, heart.holder)
        return work(Job(settings, store, folder, heart, stages), run) if run is not None else None


def work(job: Job, run: Run) -> Run:
    """Work on `run` until it is over or on trial; what fails it is noted in it, and raised."""
    job.heart.follow(run.id)
    try:
        _check_attempts(run)
        done = _line(job, run)
    except (LeaseLostError, UnavailableError):
        raise  # somebody goes on with it
    except RegradeError as error:
        end_run(job.store, run, job.heart.holder, "failed", f"failed: {error}")
        raise
    except Exception as error:
        logger.exception("run %s of %s failed", run.id, run.task)
        end_run(job.store, run, job.heart.holder, "failed", f"failed: {type(error).__name__}; the log says more")
        raise
    finally:
        job.heart.follow(None)
    track_run(job, done)
    tidy_up(job)
    return done


def _check_attempts(run: Run) -> None:
    if run.attempts > MOST_ATTEMPTS:
        raise RunError(f"{MOST_ATTEMPTS} processes died of run {run.id}, in the step {run.state}; it is given up")


def _line(job: Job, run: Run) -> Run:
    """Snapshot → learn → gate → promote."""
    snapshot, run = _snapshot(job, run)
    if run.status != "running":
        return run
    candidate, run = _learn(job, run, snapshot)
    for _ in range(_MOST_CHAMPIONS):
        run = _gate(job, run, snapshot, candidate)
        over = _promote(job, run)
        if over is not None:
            return over
    raise RunError(f"the live version of {run.task} changed {_MOST_CHAMPIONS} times while run {run.id} was judged")


def _snapshot(job: Job, run: Run) -> tuple[Snapshot, Run]:
    """Take the snapshot, or read the one that was taken; end the run where there is nothing new in it."""
    if run.snapshot_sha256 is not None:
        return read_snapshot(job.settings, run.task, run.snapshot_sha256), run
    with job.stages.stage("snapshot") as advance:
        snapshot = take_snapshot(job.settings, job.store, job.folder, run_id=run.id, advance=advance)
    known = {"snapshot_sha256": snapshot.sha256, "figures": figures_of(snapshot)}
    known["champion"] = _champion(job.store, run.task)
    old = None if job.again else nothing_new(job.store, run, snapshot)
    if old is not None:
        return snapshot, end_run(job.store, run, job.heart.holder, "unchanged", old, **known)
    return snapshot, move_run(job.store, run, job.heart.holder, "learn", version=new_version(), **known)


def _learn(job: Job, run: Run, snapshot: Snapshot) -> tuple[Candidate, Run]:
    """Make the candidate, or find the one that was made."""
    candidate = learn_candidate(
        job.settings, job.folder, snapshot, run.champion, str(run.version), run.mode, stages=job.stages
    )
    kept = run_folder(job.settings, run.id) / FOLDS
    if run.state != "learn":
        return replace(candidate, folds=candidate.folds or kept_pair(kept)), run
    keep_pair(kept, candidate.folds)
    figures = {**(run.figures or {}), "seconds": dict(job.stages.seconds)}
    return candidate, move_run(job.store, run, job.heart.holder, "gate", figures=figures)


def _gate(job: Job, run: Run, snapshot: Snapshot, candidate: Candidate) -> Run:
    """Judge the candidate against what is live now, unless that was done; write the report."""
    champion = _champion(job.store, run.task)
    if run.state == "promote" and run.champion == champion:
        return run
    folder = run_folder(job.settings, run.id)
    with job.stages.stage("gather evidence") as advance:
        contest = Contest(job.folder, snapshot, champion, str(run.version), candidate.folds)
        evidence = gather_evidence(job.settings, job.store, contest, advance, keep=folder)
    with job.stages.stage("judge"):
        verdict = judge(evidence, job.folder.task.gate)
        now = replace(run, champion=champion)
        story = RunStory(now, snapshot, candidate, evidence, verdict, dict(job.stages.seconds))
        report = write_run_report(folder, job.folder.task, story)
    figures = {**(run.figures or {}), "seconds": dict(job.stages.seconds), "report": _below(job.settings, report)}
    return move_run(
        job.store, run, job.heart.holder, "promote", champion=champion, gate=verdict.as_json(), figures=figures
    )


def _promote(job: Job, run: Run) -> Run | None:
    """End the run by its verdict; None where another version has become live since it was judged."""
    refused = refusal(run)
    if refused is not None:
        return end_run(job.store, run, job.heart.holder, *refused)
    if not run.promote:
        said = f"{run.version} passed the gate, and waits to be promoted"
        return end_run(job.store, run, job.heart.holder, "passed", said)
    part = first_part(job.folder.task.trial, run.mode)
    if part is not None:
        return begin_trial(job.store, run, job.heart.holder, part.kind, part.share)
    said = f"{run.version} passed the gate and is live"
    return promote_run(job.store, run, job.heart.holder, version_folder, said)


def _champion(store: Store, task: str) -> str:
    live = live_deployments(store).get(task)
    if live is None:
        raise ConflictError(
            f"{task} has no live model to learn from and to compare with; make its first with `regrade train {task}`"
        )
    return live.version


def _below(settings: Settings, file: Path) -> str:
    return str(file.relative_to(settings.home))
