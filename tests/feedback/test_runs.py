"""Runs of the retraining job: one process at a time, what died is gone on with, and nobody else may write."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core.errors import LeaseLostError, NotFoundError
from core.roles import Caller
from feedback.audit import list_entries
from feedback.run_leases import find_holder, free_lease, lease_name, take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, note_progress, take_run
from feedback.runs import Run, count_runs, find_judged, find_run, gate_of, last_runs, list_runs, open_runs
from feedback.schema import duties, outbox, runs
from feedback.store import Store
from tests.support.server import ROOT

TASK = "mail"
ANN = Caller("ann", "admin")
PASS: dict[str, Any] = {"decision": "pass", "reasons": [], "checks": [], "warnings": [], "more_gold": None}


def let_expire(store: Store) -> None:
    """Let a second have passed since the lease ended."""
    with store.write() as connection:
        past = store.now(connection) - timedelta(seconds=1)
        connection.execute(update(duties).where(duties.c.name == lease_name(TASK)).values(until=past))


def begin(store: Store, holder: str = "first", **asked: Any) -> Run:
    ask_for_run(store, ANN, TASK, asked.pop("mode", "full"), "request", **asked)
    assert take_lease(store, TASK, holder)
    run = take_run(store, TASK, holder)
    assert run is not None
    return run


def alerts(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        return list(connection.scalars(select(outbox.c.payload).where(outbox.c.event == "alert.raised")))


def test_a_run_is_asked_for_once(store: Store) -> None:
    first = ask_for_run(store, ANN, TASK, "full", "request")
    assert (first.status, first.state, first.asked_by, first.promote) == ("queued", "queued", "ann", True)
    assert ask_for_run(store, ANN, TASK, "full", "cron").id == first.id
    fast = ask_for_run(store, ANN, TASK, "fast", "request")
    only_judged = ask_for_run(store, ANN, TASK, "full", "request", promote=False)
    elsewhere = ask_for_run(store, ANN, "other", "full", "request")
    assert len({first.id, fast.id, only_judged.id, elsewhere.id}) == 4
    assert [run.id for run in open_runs(store, TASK)] == [first.id, fast.id, only_judged.id]
    assert {entry.object for entry in list_entries(store) if entry.action == "runs.ask"} == {
        first.id, fast.id, only_judged.id, elsewhere.id
    }  # fmt: skip


def test_a_run_goes_through_its_steps(store: Store) -> None:
    run = begin(store)
    assert (run.status, run.state, run.attempts) == ("running", "snapshot", 1)
    assert run.started_at is not None
    run = move_run(store, run, "first", "learn", version="v2", champion="v1", snapshot_sha256="a" * 64)
    note_progress(store, run.id, 0.5, "fine-tune")
    seen = find_run(store, run.id)
    assert (seen.state, seen.progress, seen.message, seen.version) == ("learn", 0.5, "fine-tune", "v2")
    run = move_run(store, run, "first", "promote", gate=PASS)
    assert (run.progress, run.message) == (0.0, "")
    done = end_run(store, run, "first", "passed", "it passed")
    assert (done.status, done.state, done.message, done.gate) == ("passed", "done", "it passed", PASS)
    assert done.finished_at is not None
    note_progress(store, run.id, 0.1, "late")
    assert find_run(store, run.id) == done
    assert last_runs(store) == {TASK: done}
    assert count_runs(store) == {(TASK, "passed"): 1}
    assert {version: (judged.decision, judged.champion) for version, judged in gate_of(store, TASK).items()} == {
        "v2": ("pass", "v1")
    }
    assert find_judged(store, TASK, "a" * 64, ["full"]) == done
    assert find_judged(store, TASK, "a" * 64, ["fast"]) is None
    assert find_judged(store, TASK, "b" * 64, ["full"]) is None
    assert alerts(store) == []


def test_one_process_at_a_time(store: Store) -> None:
    run = begin(store, "first")
    assert not take_lease(store, TASK, "second")
    with pytest.raises(LeaseLostError):
        take_run(store, TASK, "second")
    with pytest.raises(LeaseLostError):
        move_run(store, run, "second", "learn")
    held = find_holder(store, TASK)
    assert held is not None
    assert held.holder == "first"
    assert take_lease(store, "other", "second"), "another task is another lease"


def test_what_died_is_gone_on_with_first(store: Store) -> None:
    run = begin(store, "first")
    move_run(store, run, "first", "learn", version="v2")
    ask_for_run(store, ANN, TASK, "fast", "request")
    let_expire(store)
    assert take_lease(store, TASK, "second")
    again = take_run(store, TASK, "second")
    assert again is not None
    assert (again.id, again.state, again.version, again.attempts) == (run.id, "learn", "v2", 2)
    end_run(store, again, "second", "failed", "no")
    fast = take_run(store, TASK, "second")
    assert fast is not None
    assert (fast.mode, fast.state) == ("fast", "snapshot")
    end_run(store, fast, "second", "unchanged", "nothing new")
    assert take_run(store, TASK, "second") is None


def test_one_that_was_given_up_changes_nothing_any_more(store: Store) -> None:
    run = begin(store, "first")
    let_expire(store)
    with pytest.raises(LeaseLostError, match="lost"):
        move_run(store, run, "first", "learn")
    assert take_lease(store, TASK, "second")
    taken = take_run(store, TASK, "second")
    assert taken is not None
    free_lease(store, TASK, "second")
    assert take_lease(store, TASK, "first"), "it comes back to life, and finds the lease free"
    with pytest.raises(LeaseLostError, match="another process"):
        end_run(store, run, "first", "failed", "no")
    assert find_run(store, run.id) == taken


def test_only_the_run_that_is_meant(store: Store) -> None:
    ask_for_run(store, ANN, TASK, "full", "request")
    fast = ask_for_run(store, ANN, TASK, "fast", "request")
    take_lease(store, TASK, "first")
    run = take_run(store, TASK, "first", fast.id)
    assert run is not None
    assert run.id == fast.id


@pytest.mark.parametrize(("status", "told"), [("failed", True), ("rejected", True), ("inconclusive", False)])
def test_somebody_is_told_of_failure(store: Store, status: Any, told: bool) -> None:
    run = move_run(store, begin(store), "first", "gate", version="v2")
    end_run(store, run, "first", status, "because")
    (alert,) = alerts(store) if told else [None]
    assert alert is None or alert == {
        "alert": f"run.{status}", "run_id": run.id, "mode": "full", "step": "gate", "version": "v2"
    }  # fmt: skip
    noted = [entry.object for entry in list_entries(store) if entry.action == f"run.{status}"]
    assert noted == ([run.id] if told else [])


def test_lists_are_newest_first_and_paged(store: Store) -> None:
    ids = [ask_for_run(store, ANN, f"task-{number}", "full", "request").id for number in range(5)]
    assert [run.id for run in list_runs(store)] == ids[::-1]
    assert [run.id for run in list_runs(store, ["task-1", "task-3"])] == [ids[3], ids[1]]
    assert [run.id for run in list_runs(store, limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert list_runs(store, []) == []


@pytest.mark.parametrize("unknown", ["01890a5d-ac96-774b-bcce-b302099a8057", "nothing", ""])
def test_no_such_run(store: Store, unknown: str) -> None:
    with pytest.raises(NotFoundError):
        find_run(store, unknown)


TAKER = """
import sys
from feedback.run_leases import take_lease
from feedback.run_queue import take_run
from feedback.store import Store
store, name = Store(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
run = take_run(store, "mail", name) if take_lease(store, "mail", name) else None
print(run.id if run else "-", flush=True)
sys.stdin.readline()
"""


def test_of_several_processes_one_works(store: Store, store_url: str) -> None:
    asked = ask_for_run(store, ANN, TASK, "full", "request")
    command = [sys.executable, "-c", TAKER, store_url]
    pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    takers = [subprocess.Popen([*command, f"taker {number}"], **pipe) for number in range(3)]
    try:
        for taker in takers:
            print(file=taker.stdin, flush=True)
        said = [taker.stdout.readline().strip() for taker in takers if taker.stdout]
    finally:
        for taker in takers:
            taker.kill()
            taker.communicate()
    assert sorted(said) == ["-", "-", asked.id]
    with store.read() as connection:
        assert connection.execute(select(func.sum(runs.c.attempts))).scalar_one() == 1
