"""What is live: only what passed the gate against what is live now, or what somebody forces; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.roles import Caller
from feedback.audit import list_entries
from feedback.deployments import (
    Deployment,
    list_deployments,
    live_deployments,
    record_deployment,
    record_first_deployment,
    ways_back,
)
from feedback.new_reviews import read_known
from feedback.pins import list_pins, pin, unpin
from feedback.promotion import promote, promote_run, rollback
from feedback.run_leases import take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.runs import Run, find_run
from feedback.schema import outbox, resolutions
from feedback.store import Store
from tests.support.scene import Scene, make_task

TASK = "mail"
ROOT = Caller("root", "admin")
KEPT = {"v1", "v2", "v3"}


def exists(_: str, version: str) -> None:
    if version not in KEPT:
        raise NotFoundError(f"no version {version}")


def judged(store: Store, version: str, decision: str, champion: str = "v1", *, ends: bool = True) -> Run:
    """Let the gate have said `decision` of a version."""
    ask_for_run(store, ROOT, TASK, "full", "request")
    assert take_lease(store, TASK, "me")
    run = take_run(store, TASK, "me")
    assert run is not None
    verdict = {"decision": decision, "reasons": []}
    run = move_run(store, run, "me", "promote", version=version, champion=champion, gate=verdict)
    return end_run(store, run, "me", "passed", "") if ends else run


def live(store: Store) -> str:
    return live_deployments(store)[TASK].version


def events(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        wanted = select(outbox.c.payload).where(outbox.c.event == "model.promoted").order_by(outbox.c.id)
        return list(connection.scalars(wanted))


@pytest.fixture
def store(store: Store) -> Store:
    record_first_deployment(store, TASK, "v1", "first version", "tests")
    return store


def test_what_passed_goes_live(store: Store) -> None:
    judged(store, "v2", "pass")
    change = promote(store, ROOT, TASK, "v2", exists)
    assert (change.deployment.version, change.previous, change.changed) == ("v2", "v1", True)
    assert live(store) == "v2"
    assert events(store)[-1] == {"version": "v2", "previous": "v1", "how": "person", "run_id": None}
    (entry,) = [entry for entry in list_entries(store) if entry.action == "models.promote"]
    assert (entry.actor, entry.object, entry.details["deployment"]) == ("root", TASK, change.deployment.id)
    again = promote(store, ROOT, TASK, "v2", exists)
    assert not again.changed
    assert again.deployment.id == change.deployment.id
    assert len(list_deployments(store, TASK)) == 2


@pytest.mark.parametrize("decision", ["fail", "inconclusive", None])
def test_what_did_not_pass_does_not(store: Store, decision: str | None) -> None:
    if decision is not None:
        judged(store, "v2", decision)
    with pytest.raises(ConflictError, match=decision or "never judged"):
        promote(store, ROOT, TASK, "v2", exists)
    assert live(store) == "v1"
    assert len(events(store)) == 1
    assert promote(store, ROOT, TASK, "v2", exists, force=True, reason="urgent").changed
    assert live_deployments(store)[TASK].reason == "urgent"
    assert events(store)[-1]["how"] == "forced"


def test_a_gate_counts_against_what_is_live_now(store: Store) -> None:
    judged(store, "v3", "pass", champion="v1")
    record_deployment(store, TASK, "v2", "by hand", "tests")
    with pytest.raises(ConflictError, match="against v1, but v2 is live now"):
        promote(store, ROOT, TASK, "v3", exists)
    rollback(store, ROOT, TASK, exists)
    assert promote(store, ROOT, TASK, "v3", exists).changed


def test_what_is_not_kept_cannot_go_live(store: Store) -> None:
    with pytest.raises(NotFoundError):
        promote(store, ROOT, TASK, "v9", exists, force=True, reason="urgent")
    record_deployment(store, TASK, "v9", "by hand", "tests")
    record_deployment(store, TASK, "v2", "by hand", "tests")
    with pytest.raises(NotFoundError):
        rollback(store, ROOT, TASK, exists)
    assert live(store) == "v2"


def test_back_and_further_back(store: Store) -> None:
    for version in ("v2", "v3"):
        record_deployment(store, TASK, version, "by hand", "tests")
    assert rollback(store, ROOT, TASK, exists, reason="worse").deployment.version == "v2"
    assert rollback(store, ROOT, TASK, exists).deployment.version == "v1"
    with pytest.raises(ConflictError, match="no version to go back to"):
        rollback(store, ROOT, TASK, exists)
    assert rollback(store, ROOT, TASK, exists, to="v3").deployment.version == "v3"
    assert not rollback(store, ROOT, TASK, exists, to="v3").changed
    with pytest.raises(ConflictError, match="never live"):
        rollback(store, ROOT, TASK, exists, to="v8")
    assert [event["how"] for event in events(store)] == ["first", "trained", "trained", *["rollback"] * 3]
    assert [one.reason for one in list_deployments(store, TASK)][2] == "worse"
    assert sum(entry.action == "models.rollback" for entry in list_entries(store)) == 3


def test_a_run_goes_live_in_one_piece(store: Store) -> None:
    run = judged(store, "v2", "pass", ends=False)
    done = promote_run(store, run, "me", exists, "it is live")
    assert done is not None
    assert (done.status, done.state, done.message) == ("promoted", "done", "it is live")
    assert live(store) == "v2"
    assert events(store)[-1] == {"version": "v2", "previous": "v1", "how": "gate", "run_id": run.id}
    with pytest.raises(LeaseLostError):
        promote_run(store, run, "me", exists, "twice")
    assert len(events(store)) == 2


def test_a_run_does_not_go_live_over_another_champion(store: Store) -> None:
    run = judged(store, "v2", "pass", ends=False)
    record_deployment(store, TASK, "v3", "by hand", "tests")
    assert promote_run(store, run, "me", exists, "it is live") is None
    assert live(store) == "v3"
    assert find_run(store, run.id).status == "running"


def test_a_run_whose_lease_was_lost_does_not_go_live(store: Store) -> None:
    run = judged(store, "v2", "pass", ends=False)
    with pytest.raises(LeaseLostError):
        promote_run(store, run, "somebody else", exists, "it is live")
    assert live(store) == "v1"


def test_pins(store: Store) -> None:
    assert pin(store, ROOT, TASK, "v2")
    assert not pin(store, ROOT, TASK, "v2")
    assert [(one.version, one.actor) for one in list_pins(store, TASK)] == [("v2", "root")]
    assert unpin(store, ROOT, TASK, "v2")
    assert not unpin(store, ROOT, TASK, "v2")
    assert list_pins(store, TASK) == []
    actions = [entry.action for entry in list_entries(store) if entry.action.endswith("pin")]
    assert actions == ["models.pin", "models.unpin"]


def test_what_triggers_know(store: Store) -> None:
    task = make_task(TASK)
    scene = Scene(store, task)
    with store.read() as connection:
        nothing = read_known(store, connection, TASK)
    assert (nothing.at_work, nothing.new, nothing.oldest_new, nothing.ended_at) == (False, 0, None, None)
    assert nothing.live_since is not None
    scene.bring("one", "two", "three")
    for held in scene.claim("ann").values():
        scene.answer("ann", held, "refund")
    with store.write() as connection:
        connection.execute(update(resolutions).values(created_at=datetime.now(UTC) - timedelta(hours=2)))
    with store.read() as connection:
        some = read_known(store, connection, TASK)
    assert (some.new, some.new_since_full) == (3, 3)
    assert some.oldest_new is not None
    assert some.now - some.oldest_new >= timedelta(hours=2)
    ask_for_run(store, ROOT, TASK, "fast", "cron")
    assert take_lease(store, TASK, "me")
    run = take_run(store, TASK, "me")
    assert run is not None
    with store.read() as connection:
        during = read_known(store, connection, TASK)
    assert (during.at_work, during.new, during.new_since_full) == (True, 0, 3)
    end_run(store, run, "me", "unchanged", "")
    with store.read() as connection:
        after = read_known(store, connection, TASK)
    assert after.ended_at is not None
    assert after.cron_at is not None


@given(st.lists(st.sampled_from(["v1", "v2", "v3", "v4"]), max_size=20))
def test_ways_back_are_versions_that_were_live_before(versions: Sequence[str]) -> None:
    now = datetime.now(UTC)
    history = [Deployment(number, TASK, one, "", "", now) for number, one in enumerate(versions)][::-1]
    back = ways_back(history)
    assert len(set(back)) == len(back)
    assert set(back) <= set(versions[:-1])
    assert not versions or versions[-1] not in back
    if back:  # going back does not lead forth again
        onward = ways_back([Deployment(99, TASK, back[0], "", "", now), *history])
        assert onward == back[1:]
