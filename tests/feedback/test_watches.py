"""What is known of a live version, and what follows from a look at it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from core.demo import DEMO_LANGUAGE
from core.errors import ConflictError
from core.ids import first_id, new_id
from core.roles import Caller
from feedback.audit import list_entries
from feedback.deployments import (
    Deployment,
    How,
    add_deployment,
    list_deployments,
    live_deployments,
    lock_deployments,
    taken_back,
)
from feedback.facts import Recording
from feedback.new_reviews import DRIFT, Known, read_known
from feedback.observations import read_observed
from feedback.promotion import promote
from feedback.recording import record
from feedback.revisions import note_revision
from feedback.run_leases import take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.sampling import Estimate
from feedback.schema import outbox, watches
from feedback.store import Store
from feedback.traffic_samples import MOST, first_traffic, kept_texts, latest_traffic
from feedback.watch_outcomes import settle
from feedback.watches import Comparison, Shift, Watched, find_kept, keep_watch, list_watches, read_watch
from tests.support.predicted import predicted
from tests.support.scene import ROOT, Scene, make_task

HOUR = timedelta(hours=1)
WORSE = Comparison("accuracy", 2, 90, 0.6, 0.9, 0.3, 0.05, 0.003, significant=True)


def deploy(store: Store, version: str, how: How, at: datetime | None = None, task: str = "shop-intent") -> Deployment:
    with store.write() as connection:
        lock_deployments(store, connection, task)
        return add_deployment(connection, Deployment(0, task, version, "", "tests", at or datetime.now(UTC)), how)


def alerts(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        wanted = select(outbox.c.payload).where(outbox.c.event == "alert.raised").order_by(outbox.c.id)
        return list(connection.scalars(wanted))


def known(store: Store) -> Known:
    with store.read() as connection:
        return read_known(store, connection, "shop-intent")


@pytest.fixture
def scene(store: Store) -> Scene:
    task = make_task()
    note_revision(store, task)
    return Scene(store, task)


def spread(n: int, start: datetime, end: datetime, **more: Any) -> list[Recording]:
    """Predictions by `v1`, evenly from `start` to before `end`."""
    every = (end - start) / n
    moments = [start + number * every for number in range(n)]
    values = {"task": "shop-intent", "confidence": 0.9, "inclusion": 0.02} | more
    made = [predicted(f"text {new_id()}", None, at, **values) for at in moments]
    ids = [first_id(at)[:-12] + f"{number:012x}" for number, at in enumerate(moments)]
    return [replace(one, id=own, text=replace(one.text, id=own)) for one, own in zip(made, ids, strict=True)]


def write(store: Store, recordings: list[Recording]) -> None:
    with store.write() as connection:
        record(store, connection, recordings)


def test_what_is_observed_of_a_version(scene: Scene) -> None:
    since = datetime.now(UTC)
    right, wrong, other = (scene.predict(text, version="v2") for text in ("one", "two", "three"))
    sure = [scene.predict(f"sure {n}", ask=False, version="v2", inclusion=0.02) for n in range(4)]
    scene.predict("elsewhere", version="v1")
    played = scene.predict("played", ask=False, version="v2", language=DEMO_LANGUAGE, inclusion=0.02)
    held = scene.claim("ann")
    scene.answer("ann", held["one"], "parcel")
    scene.answer("ann", held["two"], "refund")
    for one in (right, wrong, sure[0], sure[0], played):
        scene.report(one.id)
    scene.report(sure[1].id, correct=True, label=None)
    found = read_observed(scene.store, scene.task, "v2", since)
    assert found.drawn.n_traffic == 7
    assert sorted(np.nan_to_num(found.drawn.wrong, nan=-1)) == [-1, 0, 1]
    assert found.labels == {"parcel": 7}
    assert found.reported == 2, "the first was found to be right, the demo's and the second of one do not count"
    assert other.version == "v2"
    later = read_observed(scene.store, scene.task, "v2", since + 2 * HOUR)
    assert (later.drawn.n_traffic, later.reported, later.labels) == (0, 0, {})


def test_first_and_latest_traffic(scene: Scene) -> None:
    store, now = scene.store, datetime.now(UTC)
    began = now - 80 * HOUR
    assert first_traffic(store, "shop-intent", "v1", began, 100) is None
    write(store, spread(150, began, began + 20 * HOUR))
    assert first_traffic(store, "shop-intent", "v1", began, 100) is None, "a day has more to it than its morning"
    write(store, spread(150, began + 20 * HOUR, began + 40 * HOUR, label="refund"))
    first = first_traffic(store, "shop-intent", "v1", began, 100)
    assert first is not None
    assert 24 * HOUR <= first.until - began <= 26 * HOUR
    assert 180 <= len(first.sample) <= 200
    assert all(one.id < first_id(first.until) for one in first.sample)
    assert first_traffic(store, "shop-intent", "v1", began, 1000) is None
    assert latest_traffic(store, "shop-intent", "v1", first.until, 500) is None
    old = latest_traffic(store, "shop-intent", "v1", first.until, 100)
    assert old is not None, "where the last day has too few, the days before help out"
    assert {one.label for one in old} == {"refund"}
    write(store, spread(120, now - 10 * HOUR, now - HOUR, label="password"))
    write(store, spread(120, now - 10 * HOUR, now - HOUR, label="password", language=DEMO_LANGUAGE))
    latest = latest_traffic(store, "shop-intent", "v1", first.until, 100)
    assert latest is not None
    assert Counter(one.label for one in latest) == {"password": 120}
    assert len(kept_texts(store, [one.id for one in latest])) == 120
    assert kept_texts(store, ["nobody's"]) == []


def test_samples_are_bounded_and_like_their_day(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.traffic_samples.MOST", 100)
    now = datetime.now(UTC)
    write(scene.store, spread(900, now - 9 * HOUR, now - 8 * HOUR))
    write(scene.store, spread(300, now - 4 * HOUR, now - 3 * HOUR, label="refund"))
    found = latest_traffic(scene.store, "shop-intent", "v1", now - 10 * HOUR, 50)
    assert found is not None
    assert MOST > 100
    counts = Counter(one.label for one in found)
    assert 70 <= counts["parcel"] <= 80
    assert 22 <= counts["refund"] <= 30


def watching(deployment: Deployment, **more: Any) -> Watched:
    return Watched(deployment.id, deployment.version, **more)


def test_a_look_is_kept_once(store: Store) -> None:
    live = deploy(store, "v2", "gate")
    found = watching(live, comparisons=[WORSE], accuracy=Estimate(0.9, 0.8, 0.95, 0.85, 40, 400))
    with store.write() as connection:
        assert keep_watch(store, connection, "shop-intent", found, 0)
        assert not keep_watch(store, connection, "shop-intent", watching(live), 0), "somebody was quicker"
    with store.read() as connection:
        kept = read_watch(connection, "shop-intent")
    assert kept is not None
    assert (kept.watched, kept.step) == (found, 1)
    assert list(list_watches(store, ["shop-intent", "another"])) == ["shop-intent"]
    deploy(store, "v3", "gate")
    assert list_watches(store, ["shop-intent"]) == {}, "it tells of another deployment"


def test_what_another_release_wrote_is_as_good_as_new(store: Store) -> None:
    live = deploy(store, "v2", "gate")
    with store.write() as connection:
        assert keep_watch(store, connection, "shop-intent", watching(live), 0)
        connection.execute(update(watches).values(content={"format": "of another time"}))
    with store.write() as connection:
        kept = find_kept(connection, "shop-intent")
        assert kept is not None
        assert read_watch(connection, "shop-intent") is None
        assert keep_watch(store, connection, "shop-intent", watching(live), kept.step)


def test_a_worse_version_is_taken_back_once(store: Store) -> None:
    deploy(store, "v1", "first")
    live = deploy(store, "v2", "gate")
    before = watching(live, before="v1", returns=True)
    worse = replace(before, comparisons=[WORSE], worse="v2 does worse than v1 did")
    with ThreadPoolExecutor(4) as pool:
        changes = [one for one in pool.map(lambda _: settle(store, live, before, worse, 0), range(4)) if one]
    (change,) = changes
    assert (change.deployment.version, change.deployment.how, change.previous) == ("v1", "watch", "v2")
    assert live_deployments(store)["shop-intent"].reason == "v2 does worse than v1 did"
    assert alerts(store) == [
        {
            "alert": "watch.rolled_back",
            "version": "v2",
            "before": "v1",
            "accuracy": 0.6,
            "accuracy_before": 0.9,
            "accuracy_n": 90,
        }
    ]
    history = list_deployments(store, "shop-intent")
    assert len(history) == 3
    assert taken_back(history) == {"v2": history[0]}
    assert settle(store, live, before, worse, 1) is None, "it is not live any more"
    actions = [entry.action for entry in list_entries(store)]
    assert (actions.count("models.rollback"), actions.count("watch.rolled_back")) == (1, 1)


def test_a_person_is_told_and_not_overruled(store: Store) -> None:
    deploy(store, "v1", "first")
    live = deploy(store, "v2", "forced")
    before = watching(live, before="v1")
    worse = replace(before, comparisons=[WORSE], worse="v2 does worse than v1 did")
    assert settle(store, live, before, worse, 0) is None
    assert settle(store, live, worse, worse, 1) is None
    assert [one["alert"] for one in alerts(store)] == ["watch.worse"]
    assert live_deployments(store)["shop-intent"].version == "v2"


def test_what_was_taken_back_needs_force(store: Store) -> None:
    deploy(store, "v1", "first")
    ask_for_run(store, ROOT, "shop-intent", "full", "request")
    assert take_lease(store, "shop-intent", "me")
    run = take_run(store, "shop-intent", "me")
    assert run is not None
    verdict = {"decision": "pass", "reasons": []}
    end_run(store, move_run(store, run, "me", "promote", version="v2", champion="v1", gate=verdict), "me", "passed", "")
    admin = Caller("root", "admin")
    live = promote(store, admin, "shop-intent", "v2", lambda *_: None).deployment
    assert live.how == "person"
    before = watching(live, before="v1", returns=True)
    ended = known(store).ended_at
    assert settle(store, live, before, replace(before, worse="it does worse"), 0) is not None
    cooling = known(store).ended_at
    assert ended is not None
    assert cooling is not None
    assert cooling > ended, "nothing begins right after a version was taken back"
    with pytest.raises(ConflictError, match=r"was taken back on .* \(it does worse\)"):
        promote(store, admin, "shop-intent", "v2", lambda *_: None)
    assert promote(store, admin, "shop-intent", "v2", lambda *_: None, force=True, reason="I know").changed


def test_drift_and_falls_are_told_when_they_begin(store: Store) -> None:
    live, now = deploy(store, "v1", "first"), datetime.now(UTC)
    quiet = watching(live)
    shifted = replace(quiet, drifted_at=now, shifts=[Shift("labels", 0.5, 0.25, "shifted", 900, 800)])
    for step, (before, after) in enumerate([(quiet, shifted), (shifted, shifted), (shifted, quiet), (quiet, shifted)]):
        settle(store, live, before, after, step)
    told = {"alert": "traffic.shifted", "version": "v1", "labels": 0.5}
    assert alerts(store) == [told, told]
    fallen = replace(shifted, fell_at=now, accuracy=Estimate(0.7, 0.6, 0.8, 0.65, 80, 900))
    settle(store, live, shifted, fallen, 4)
    settle(store, live, fallen, fallen, 5)
    low = {"alert": "accuracy.low", "version": "v1", "accuracy": 0.7, "low": 0.6, "high": 0.8, "reviewed": 80}
    assert alerts(store)[2:] == [low]
    seen = known(store)
    assert (seen.drifted_at, seen.fell_at, seen.drift_at, seen.fall_at) == (now, now, None, None)
    asked = ask_for_run(store, ROOT, "shop-intent", "full", DRIFT)
    assert known(store).drift_at == asked.created_at
