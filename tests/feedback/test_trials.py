"""Trials in the store: one a task, moved once however many look, and over as soon as somebody decides otherwise."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.roles import Caller
from feedback.audit import list_entries
from feedback.deployments import live_deployments, record_deployment, record_first_deployment
from feedback.facts import Recording
from feedback.new_reviews import read_known
from feedback.promotion import promote, rollback
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.runs import Run, find_judged, find_run, last_runs, open_runs, runs_to_work_on
from feedback.schema import outbox
from feedback.store import Store
from feedback.trial_corrections import Corrected, read_corrections
from feedback.trial_figures import CountKey, add_figures, in_all, read_figures, timed
from feedback.trial_moves import (
    begin_trial,
    cancel_run,
    fail_trial,
    follow_trial,
    give_up_trial,
    promote_tried,
    raise_share,
)
from feedback.trials import Trial, TrialKind, open_trials, trials_of
from tests.support.scene import Scene, make_task

TASK = "mail"
ROOT = Caller("root", "admin")


def exists(_: str, version: str) -> None:
    if version not in {"v1", "v2", "v3"}:
        raise NotFoundError(f"no version {version}")


def judged(store: Store, version: str = "v2") -> Run:
    """Let the gate have passed a version."""
    ask_for_run(store, ROOT, TASK, "full", "request")
    assert take_lease(store, TASK, "me")
    run = take_run(store, TASK, "me")
    assert run is not None
    found: dict[str, Any] = {"version": version, "champion": "v1", "snapshot_sha256": "a" * 64}
    return move_run(store, run, "me", "promote", gate={"decision": "pass", "reasons": []}, **found)


def begin(store: Store, kind: TrialKind = "canary", share: float = 0.05) -> Trial:
    run = begin_trial(store, judged(store), "me", kind, share)
    assert run is not None
    free_lease(store, TASK, "me")
    (trial,) = open_trials(store)
    return trial


def events(store: Store, name: str) -> list[dict[str, Any]]:
    with store.read() as connection:
        wanted = select(outbox.c.payload).where(outbox.c.event == name).order_by(outbox.c.id)
        return list(connection.scalars(wanted))


def live(store: Store) -> str:
    return live_deployments(store)[TASK].version


@pytest.fixture
def store(store: Store) -> Store:
    record_first_deployment(store, TASK, "v1", "first version", "tests")
    return store


def test_a_run_goes_on_trial(store: Store) -> None:
    trial = begin(store)
    run = find_run(store, trial.run_id)
    assert (run.status, run.state, run.finished_at) == ("on_trial", "canary", None)
    assert "5.0% of the requests" in run.message
    told = (trial.kind, trial.version, trial.champion, trial.share, trial.step, trial.status)
    assert told == ("canary", "v2", "v1", 0.05, 1, "open")
    assert live(store) == "v1"
    assert open_runs(store) == [run]
    assert last_runs(store) == {}
    assert trials_of(store, [run.id]) == {run.id: [trial]}
    with store.read() as connection:
        assert read_known(store, connection, TASK).at_work


def test_no_other_run_of_the_task_begins_meanwhile(store: Store) -> None:
    trial = begin(store)
    waiting = ask_for_run(store, ROOT, TASK, "fast", "request")
    elsewhere = ask_for_run(store, ROOT, "other", "fast", "request")
    assert runs_to_work_on(store) == [elsewhere]
    assert take_lease(store, TASK, "me")
    assert take_run(store, TASK, "me") is None
    assert give_up_trial(store, trial, "too little")
    taken = take_run(store, TASK, "me")
    assert taken is not None
    assert taken.id == waiting.id


def test_who_lost_the_lease_begins_no_trial(store: Store) -> None:
    run = judged(store)
    with pytest.raises(LeaseLostError):
        begin_trial(store, run, "somebody else", "canary", 0.1)
    record_deployment(store, TASK, "v3", "by hand", "tests")
    assert begin_trial(store, run, "me", "canary", 0.1) is None, "it was judged against another champion"
    assert open_trials(store) == []


def test_from_shadow_to_canary_to_live(store: Store) -> None:
    shadow = begin(store, "shadow", 0.5)
    assert "scores, unseen, 50.0% of the texts" in find_run(store, shadow.run_id).message
    assert follow_trial(store, shadow, "both agree", "canary", 0.05)
    (canary,) = open_trials(store)
    assert (canary.kind, canary.step, find_run(store, canary.run_id).state) == ("canary", 1, "canary")
    assert raise_share(store, canary, 0.25)
    (higher,) = open_trials(store)
    assert (higher.id, higher.share, higher.step) == (canary.id, 0.25, 2)
    assert higher.since >= canary.since
    done = promote_tried(store, higher, "no errors", exists)
    assert done is not None
    assert (done.status, done.state, done.finished_at is not None) == ("promoted", "done", True)
    assert live(store) == "v2"
    assert open_trials(store) == []
    assert [one.status for one in trials_of(store, [done.id])[done.id]] == ["passed", "passed"]
    promoted = events(store, "model.promoted")[-1]
    assert promoted == {"version": "v2", "previous": "v1", "how": "gate", "run_id": done.id}
    assert events(store, "alert.raised") == []
    actions = [entry.action for entry in list_entries(store)]
    assert [actions.count(name) for name in ("trials.begin", "trials.raise", "models.promote")] == [2, 1, 1]


MOVES: dict[str, Callable[[Store, Trial], object]] = {
    "raise": lambda store, trial: raise_share(store, trial, 0.25),
    "follow": lambda store, trial: follow_trial(store, trial, "", "canary", 0.1),
    "promote": lambda store, trial: promote_tried(store, trial, "", exists),
    "fail": lambda store, trial: fail_trial(store, trial, "worse"),
    "give up": lambda store, trial: give_up_trial(store, trial, "too little"),
}


@pytest.mark.parametrize("name", MOVES)
def test_however_many_look_it_moves_once(store: Store, name: str) -> None:
    trial = begin(store)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: MOVES[name](store, trial), range(4)))
    assert sum(bool(one) for one in done) == 1
    assert len(open_trials(store)) == (1 if name in {"raise", "follow"} else 0)
    assert len(events(store, "model.promoted")) == (2 if name == "promote" else 1)


def test_one_that_failed_is_loud_and_does_not_come_back(store: Store) -> None:
    trial = begin(store)
    assert fail_trial(store, trial, "v2 failed at 7 of 40 requests")
    run = find_run(store, trial.run_id)
    assert (run.status, run.message) == ("rejected", "v2 failed at 7 of 40 requests")
    (alert,) = events(store, "alert.raised")
    assert alert == {"alert": "run.rejected", "run_id": run.id, "mode": "full", "step": "canary", "version": "v2"}
    assert live(store) == "v1"
    assert find_judged(store, TASK, "a" * 64, ["full"]) == run, "the same rows are not learnt from again"
    assert last_runs(store) == {TASK: run}


def test_of_which_too_little_was_seen(store: Store) -> None:
    trial = begin(store)
    assert give_up_trial(store, trial, "too little")
    assert find_run(store, trial.run_id).status == "inconclusive"
    assert events(store, "alert.raised") == []
    assert [one.status for one in trials_of(store, [trial.run_id])[trial.run_id]] == ["ended"]


def test_what_is_not_kept_here_is_not_promoted(store: Store) -> None:
    trial = begin(store)

    def missing(_: str, version: str) -> None:
        raise NotFoundError(version)

    with pytest.raises(NotFoundError):
        promote_tried(store, trial, "", missing)
    assert open_trials(store) == [trial]
    assert live(store) == "v1"


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_person_who_decides_ends_it(store: Store, version: str) -> None:
    trial = begin(store)
    force = version == "v3"
    promote(store, ROOT, TASK, version, exists, force=force, reason="urgent")
    run = find_run(store, trial.run_id)
    assert open_trials(store) == []
    assert run.status == ("cancelled" if force else "promoted")
    assert "became live" in run.message or "was made live" in run.message
    assert not raise_share(store, trial, 0.25)
    assert promote_tried(store, trial, "", exists) is None
    assert live(store) == version


def test_a_rollback_ends_it(store: Store) -> None:
    record_deployment(store, TASK, "v3", "by hand", "tests")
    record_deployment(store, TASK, "v1", "by hand", "tests")
    trial = begin(store)
    rollback(store, ROOT, TASK, exists, to="v3")
    run = find_run(store, trial.run_id)
    assert (run.status, open_trials(store)) == ("cancelled", [])
    assert "v3 became live" in run.message


def test_cancelling(store: Store) -> None:
    trial = begin(store)
    waiting = ask_for_run(store, ROOT, TASK, "fast", "request")
    done = cancel_run(store, Caller("ann", "admin"), trial.run_id)
    assert (done.status, done.message) == ("cancelled", "cancelled by ann")
    assert open_trials(store) == []
    assert live(store) == "v1"
    assert find_judged(store, TASK, "a" * 64, ["full"]) == done, "what somebody stopped does not come back by itself"
    assert cancel_run(store, ROOT, waiting.id).status == "cancelled"
    assert open_runs(store) == []
    with pytest.raises(ConflictError, match="over"):
        cancel_run(store, ROOT, waiting.id)
    with pytest.raises(NotFoundError):
        cancel_run(store, ROOT, trial.id)
    ask_for_run(store, ROOT, TASK, "fast", "request")
    assert take_lease(store, TASK, "me")
    running = take_run(store, TASK, "me")
    assert running is not None
    with pytest.raises(ConflictError, match="worked on"):
        cancel_run(store, ROOT, running.id)
    end_run(store, running, "me", "unchanged", "")
    cancelled = [entry.object for entry in list_entries(store) if entry.action == "runs.cancel"]
    assert sorted(cancelled) == sorted([trial.run_id, waiting.id])


def test_figures_add_up(store: Store) -> None:
    trial = begin(store)
    one: dict[CountKey, float] = {(trial.id, 1, "candidate", "texts"): 3, (trial.id, 1, "candidate", "errors"): 1}
    other: dict[CountKey, float] = {(trial.id, 1, "champion", name): n for name, n in timed(7.5).items()}
    later: dict[CountKey, float] = {(trial.id, 2, "candidate", "texts"): 4}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: add_figures(store, one | other), range(8)))
    add_figures(store, later)
    add_figures(store, {})
    with store.read() as connection:
        steps = read_figures(connection, [trial.id])[trial.id]
    assert (steps[1]["candidate"].texts, steps[1]["candidate"].errors, steps[2]["candidate"].texts) == (24, 8, 4)
    assert steps[1]["champion"].mean_ms == 7.5
    assert steps[1]["champion"].percentile_ms(0.95) == 10
    assert in_all(steps, "candidate").texts == 28


def predict(scene: Scene, version: str, number: int, *, ask: bool = False) -> list[Recording]:
    return [
        scene.predict(f"{version} {at}", ask=ask, version=version, inclusion=1.0 if ask else 0.02)
        for at in range(number)
    ]


def test_corrections_are_counted_by_version(store: Store) -> None:
    scene = Scene(store, make_task(TASK))
    predict(scene, "v2", 2)
    trial = begin(store)
    reported = predict(scene, "v2", 4)
    predict(scene, "v1", 3)
    asked = predict(scene, "v2", 3, ask=True)
    scene.report(reported[0].id, label="refund")
    scene.report(reported[0].id, label="refund")
    scene.report(reported[1].id, correct=True)
    for text, held in scene.claim("ann").items():
        if text != asked[2].text.content:
            scene.answer("ann", held, "refund" if text == asked[0].text.content else "parcel")
    found = read_corrections(store, scene.task, trial)
    assert found["candidate"] == Corrected(predictions=9, judged=4, corrected=2)
    assert found["champion"] == Corrected(predictions=3, judged=0, corrected=0)
