"""Demo data is told from real data everywhere, and clearing takes out all of it and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from core.demo import DEMO_LANGUAGE, DEMO_PEOPLE, DEMO_SUBJECT
from core.roles import Caller
from feedback import audit as audit_log
from feedback.answers import Said, answer, undo
from feedback.clearing import clear_demo
from feedback.demo import has_demo_data
from feedback.erasure import Wanted, erase, wanted_erasure
from feedback.estimate import live_accuracy, unreviewed_error
from feedback.facts import AUTOMATIC
from feedback.intake import Brought, take_in
from feedback.keys import any_keys, create_key, list_keys
from feedback.learned import refresh_quality
from feedback.leases import release
from feedback.predictions import prune
from feedback.queue import Claimed, claim
from feedback.recording import PREDICTION, counted_share, hour_of, record
from feedback.replies import KeptReply, keep_reply, reserve
from feedback.reports import REPORT
from feedback.schema import annotators, audit, items, outbox, predictions, slots, texts
from feedback.spool import Spool
from feedback.store import Store
from feedback.tallies import read_tallies
from tests.support.demo import Rows, contents
from tests.support.scene import ROOT, Scene, make_task

OF_ITEMS = {"slots", "leases", "encounters", "answers", "resolutions"}


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store, make_task(strategy="crowd", answers=2, most_answers=3, aggregation="majority"))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite3")
    yield opened
    opened.close()


def without_demo(rows: Rows) -> Rows:
    """Return what is left of `rows` without demo data, its counts counted again from what is left."""
    mine = {row["id"] for row in rows["items"] if row["language"] == DEMO_LANGUAGE}
    said = {row["id"] for row in rows["predictions"] if row["language"] == DEMO_LANGUAGE}
    answered = {row["id"] for row in rows["answers"] if row["item_id"] in mine}
    left = {name: [row for row in some if row.get("item_id") not in mine] for name, some in rows.items()}
    left["items"] = [row for row in rows["items"] if row["id"] not in mine]
    left["texts"] = [row for row in rows["texts"] if row["subject"] != DEMO_SUBJECT]
    left["predictions"] = [row for row in rows["predictions"] if row["id"] not in said]
    left["reports"] = [row for row in left["reports"] if row["prediction_id"] not in said]
    left["undoings"] = [row for row in rows["undoings"] if row["answer_id"] not in answered]
    left["annotators"] = [row for row in rows["annotators"] if row["person"] not in DEMO_PEOPLE]
    left["keys"] = [row for row in rows["keys"] if row["person"] not in DEMO_PEOPLE]
    left["replies"] = [row for row in rows["replies"] if not any(one.encode() in row["reply"] for one in mine | said)]
    left["traffic"], left["tallies"] = traffic_of(left), tallies_of(left)
    return {name: sorted(some, key=str) for name, some in left.items()}


def traffic_of(rows: Rows) -> list[dict[str, Any]]:
    sums: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0.0, 0])
    for row in rows["predictions"]:
        counted = sums[row["task"], row["version"], row["label"], hour_of(row["created_at"])]
        counted[0] += 1
        counted[1] += counted_share(row["inclusion"])
        counted[2] += row["reason"] in AUTOMATIC
    names = ("task", "version", "stratum", "hour", "predictions", "expected", "selected")
    return [dict(zip(names, (*key, *counted), strict=True)) for key, counted in sums.items()]


def tallies_of(rows: Rows) -> list[dict[str, Any]]:
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows["items"]:
        if row["state"] in {"open", "resolved"}:
            sums[row["task"], f"items.{row['state']}.{row['reason']}"] += 1
    for row in rows["answers"]:
        sums[row["task"], f"answers.{row['role']}"] += row["value"] is not None
    for row in rows["leases"]:
        sums[row["task"], "leases.expired"] += row["ended"] == "expired"
    return [{"task": task, "name": name, "n": n} for (task, name), n in sums.items() if n]


def take(scene: Scene, person: str, count: int = 50, language: str | None = DEMO_LANGUAGE) -> dict[str, Claimed]:
    """Claim demo items, or those of `language`, as `person`; return them by text."""
    caller = Caller(person, "annotator")
    return {one.text: one for one in claim(scene.store, scene.task, caller, count, language=language)}


def say(scene: Scene, person: str, held: Claimed, value: str | None = "refund", **more: Any) -> str:
    kind = more.pop("kind", "label")
    caller = Caller(person, "annotator")
    said = Said(kind, value, **more)
    return answer(scene.store, scene.tasks, caller, held.item_id, held.lease_token, said).answer_id


def expire(scene: Scene, person: str) -> None:
    """Let every lease of `person` have ended."""
    with scene.store.write() as connection:
        mine = (slots.c.annotator == person) & (slots.c.state == "leased")
        long_ago = scene.store.now(connection) - timedelta(hours=1)
        connection.execute(update(slots).where(mine).values(lease_expires_at=long_ago))


def check_items(scene: Scene, *contents: str, subject: str | None = None) -> None:
    take_in(scene.store, scene.task, ROOT, [Brought(one, subject=subject, known=1) for one in contents], 0.5)


def live(scene: Scene, mark: str) -> None:
    """Let real things happen: predictions, imports, reports, and answers of real people to real texts."""
    scene.predict(f"where is parcel {mark}", "otto", metadata={"ticket": "T-1"}, inclusion=0.3)
    scene.predict(f"my money back {mark}", ask=False, inclusion=0.02)
    sure = scene.predict(f"cannot log in {mark}", ask=False, inclusion=0.1)
    scene.report(sure.id, comment="it was a refund", label="refund")
    scene.bring(f"an imported one {mark}", f"one left open {mark}")
    check_items(scene, f"a known one {mark}")
    for person in ("ann", "bob"):
        for text, held in take(scene, person, language="en").items():
            if "left open" in text or DEMO_SUBJECT in text:
                release(scene.store, scene.tasks, Caller(person, "annotator"), held.item_id, held.lease_token)
            else:
                say(scene, person, held, comment="as the guideline says")
    keep_reply(scene.store, reserve(scene.store, "ann", f"claim {mark}", "hash"), KeptReply(200, b'{"items": []}'))


def play(scene: Scene, mark: str) -> None:
    """Let a demo leave traces of every kind, copies of real texts and answers of real people among them."""
    asked = [scene.predict(f"{DEMO_SUBJECT} {n} {mark}", DEMO_SUBJECT, inclusion=0.7) for n in range(8)]
    scene.predict(asked[0].text.content, DEMO_SUBJECT, metadata={"demo": "true"})
    scene.predict(f"where is parcel {mark}", DEMO_SUBJECT)
    scene.predict(f"one left open {mark}", DEMO_SUBJECT)
    sure = scene.predict(f"{DEMO_SUBJECT} sure {mark}", DEMO_SUBJECT, ask=False, inclusion=0.02)
    scene.predict(f"{DEMO_SUBJECT} unasked {mark}", DEMO_SUBJECT, ask=False, inclusion=1e-3)
    scene.report(sure.id, comment="wrong, says the demo", label="password")
    scene.report(asked[1].id, comment="wrong, says a real user", correct=False, label=None)
    scene.bring(f"{DEMO_SUBJECT} imported {mark}", subject=DEMO_SUBJECT, metadata={"demo": "true"})
    check_items(scene, f"{DEMO_SUBJECT} known {mark}", subject=DEMO_SUBJECT)
    for person in ("demo-ada", "ann"):
        held = list(take(scene, person).values())
        say(scene, person, held[0], comment="hard to say", proposed_label="lost parcel")
        say(scene, person, held[1], None, kind="skip")
        say(scene, person, held[2], "two things at once", kind="flag")
        undone = say(scene, person, held[3])
        undo(scene.store, scene.tasks, Caller(person, "annotator"), held[3].item_id, undone)
        for one in held[4:-1]:
            say(scene, person, one, comment="plain")
        if person == "demo-ada":
            reply = f'{{"items": [{{"item_id": "{held[-1].item_id}"}}]}}'.encode()
            keep_reply(scene.store, reserve(scene.store, person, f"claim {mark}", "hash"), KeptReply(200, reply))
    assert take(scene, "demo-ben", 1)
    expire(scene, "demo-ben")
    take(scene, "demo-cleo", 2)


def meet_checks(scene: Scene, person: str, *, right: bool) -> int:
    """Let `person` claim under a task that shows many check items, answer each and give the rest back; count them."""
    eager = scene.task.model_copy(update={"review": scene.task.review.model_copy(update={"check_rate": 0.5})})
    met = 0
    for _ in range(12):
        for held in claim(scene.store, eager, Caller(person, "annotator"), 5):
            if "known" in held.text:
                say(scene, person, held, "parcel" if right else "password")
                met += 1
            else:
                release(scene.store, scene.tasks, Caller(person, "annotator"), held.item_id, held.lease_token)
    return met


def test_after_a_demo_all_is_as_it_was_before(scene: Scene, spool: Spool) -> None:
    live(scene, "before")
    before = contents(scene.store)
    assert not has_demo_data(scene.store)
    play(scene, "before")
    scene.bring(*(f"{DEMO_SUBJECT} text {n}" for n in range(6)), subject=DEMO_SUBJECT)
    assert meet_checks(scene, "demo-ada", right=False)
    assert has_demo_data(scene.store)
    changed = contents(scene.store)
    assert {name for name in before if before[name] != changed[name]} == {
        "texts", "predictions", "traffic", "reports", "items", "slots", "leases", "encounters", "answers", "undoings",
        "resolutions", "tallies", "annotators", "replies",
    }  # fmt: skip
    counts = clear_demo(scene.store, spool, ROOT)
    assert contents(scene.store) == before
    assert not has_demo_data(scene.store)
    assert counts["predictions"] == 13
    assert all(counts[name] > 0 for name in OF_ITEMS | {"items", "texts", "reports", "undoings", "replies"})
    assert clear_demo(scene.store, spool, ROOT) == {}


def test_real_data_that_came_in_meanwhile_stays(scene: Scene, spool: Spool) -> None:
    create_key(scene.store, ROOT, person="ann", role="annotator")
    live(scene, "before")
    play(scene, "before")
    live(scene, "between")
    play(scene, "between")
    create_key(scene.store, ROOT, person="demo-ada", role="annotator")
    live(scene, "after")
    take(scene, "ann", 1, language="en")
    expire(scene, "ann")
    take(scene, "bob", 1, language="en")
    expected = without_demo(contents(scene.store))
    clear_demo(scene.store, spool, ROOT)
    assert contents(scene.store) == expected
    assert [key.person for key in list_keys(scene.store)] == ["ann"]
    with scene.store.read() as connection:
        assert "leases.expired" in read_tallies(connection, scene.task.name)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_clearing_that_was_cut_short_is_done_again(
    scene: Scene, spool: Spool, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("feedback.clearing._BATCH", 6)
    live(scene, "before")
    before = contents(scene.store)
    play(scene, "before")
    transactions = 0

    def advance(_: int) -> None:
        nonlocal transactions
        transactions += 1
        if transactions == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clear_demo(scene.store, spool, ROOT, advance)
    assert contents(scene.store) != before
    clear_demo(scene.store, spool, ROOT)
    assert contents(scene.store) == before


def test_the_audit_log_keeps_what_was_done_and_says_that_it_was_cleared(scene: Scene, spool: Spool) -> None:
    play(scene, "before")
    with scene.store.read() as connection:
        entries = connection.execute(select(audit.c.id)).all()
    clear_demo(scene.store, spool, ROOT)
    with scene.store.read() as connection:
        after = connection.execute(select(audit).order_by(audit.c.id)).all()
    assert [row.id for row in after[:-1]] == [row.id for row in entries]
    assert (after[-1].action, after[-1].actor, after[-1].object) == ("demo.clear", "root", DEMO_SUBJECT)
    audit_log.seal(scene.store)


def test_a_demo_text_is_no_copy_of_a_real_one(scene: Scene) -> None:
    real = scene.predict("where is my parcel")
    for _ in range(5):
        scene.predict("where is my parcel", DEMO_SUBJECT)
    again = scene.predict("where is my parcel")
    near = scene.predict("where, my parcel, is")
    with scene.store.read() as connection:
        linked = dict(connection.execute(select(predictions.c.id, predictions.c.item_id)).all())
        ranks = dict(connection.execute(select(items.c.id, items.c.rank)).all())
    assert linked[again.id] == linked[real.id]
    assert len(set(linked.values())) == 3
    assert ranks[linked[near.id]] - ranks[linked[real.id]] < 3600, "demo items push real ones back"


def test_no_event_tells_of_demo_items(scene: Scene) -> None:
    play(scene, "before")
    with scene.store.read() as connection:
        assert connection.execute(select(items.c.id).where(items.c.state == "resolved")).first() is not None
        assert connection.execute(select(outbox)).all() == []


def test_demo_check_items_measure_the_people_of_the_demo_only(scene: Scene) -> None:
    check_items(scene, "a known one", "another known one")
    check_items(scene, *(f"{DEMO_SUBJECT} known {n}" for n in range(4)), subject=DEMO_SUBJECT)
    scene.bring(*(f"text {n}" for n in range(6)))
    scene.bring(*(f"{DEMO_SUBJECT} text {n}" for n in range(6)), subject=DEMO_SUBJECT)
    assert meet_checks(scene, "ann", right=True) == 2
    assert meet_checks(scene, "demo-ada", right=False) == 4
    with scene.store.read() as connection:
        met = {row.person: (row.checks, row.right) for row in connection.execute(select(annotators))}
    assert met == {"ann": (2, 2), "demo-ada": (4, 0)}


def test_nothing_is_learned_from_demo_items(scene: Scene) -> None:
    for n in range(4):
        scene.predict(f"{DEMO_SUBJECT} {n}", DEMO_SUBJECT)
    for person in ("demo-ada", "ann"):
        for number, held in enumerate(take(scene, person).values()):
            say(scene, person, held, "refund" if number % 2 else "parcel")
    assert refresh_quality(scene.store, scene.task) == 0
    for n in range(4):
        scene.predict(f"real {n}")
    for person in ("bob", "ann"):
        for number, held in enumerate(take(scene, person, language="en").values()):
            say(scene, person, held, "refund" if number % 2 else "parcel")
    assert refresh_quality(scene.store, scene.task) == 2


def test_the_promise_is_watched_without_demo_data(scene: Scene) -> None:
    for n in range(6):
        scene.predict(f"real {n}", inclusion=0.5)
        scene.predict(f"unasked {n}", ask=False, inclusion=0.5)
    for person in ("ann", "bob"):
        for held in take(scene, person, language="en").values():
            say(scene, person, held, "parcel")
    with scene.store.read() as connection:
        since = scene.store.now(connection) - timedelta(hours=1)
    alone = unreviewed_error(scene.store, scene.task, since)
    for n in range(9):
        scene.predict(f"{DEMO_SUBJECT} {n}", DEMO_SUBJECT, inclusion=0.25)
    for person in ("demo-ada", "demo-ben"):
        for held in take(scene, person).values():
            say(scene, person, held, "refund")
    assert alone is not None
    assert unreviewed_error(scene.store, scene.task, since, with_demo=False) == alone
    both = live_accuracy(scene.store, scene.task, since)
    assert both is not None
    assert both.n_reviewed == 15


def test_demo_predictions_stay_as_long_as_they_are_counted(scene: Scene, spool: Spool) -> None:
    scene.predict("kept for a month", ask=False)
    scene.predict(DEMO_SUBJECT, DEMO_SUBJECT, ask=False)
    assert prune(scene.store, keep_days=-1) == 1
    clear_demo(scene.store, spool, ROOT)
    with scene.store.read() as connection:
        assert connection.execute(select(predictions)).all() == []
        assert connection.execute(select(texts)).all() == []
    assert contents(scene.store)["traffic"][0]["predictions"] == 1


@pytest.mark.parametrize("by", ["subject", "text"])
def test_what_is_left_of_an_erased_demo_text_goes_too(scene: Scene, spool: Spool, tmp_path: Path, by: str) -> None:
    live(scene, "before")
    before = contents(scene.store)
    play(scene, "before")
    one = f"{DEMO_SUBJECT} 3 before"
    wanted = Wanted(subject=DEMO_SUBJECT) if by == "subject" else wanted_erasure(None, one, [scene.task])
    erased = erase(scene.store, spool, tmp_path, ROOT, wanted, lambda _: [])
    assert erased.counts["texts"] > 0
    clear_demo(scene.store, spool, ROOT)
    after = contents(scene.store)
    assert len(after.pop("erasures")) == 1
    assert after == {name: rows for name, rows in before.items() if name != "erasures"}


def test_demo_facts_in_the_spool_go_and_others_are_forwarded(scene: Scene, spool: Spool) -> None:
    said = scene.predict(DEMO_SUBJECT, DEMO_SUBJECT)
    real, demo = scene.recording("a real one"), scene.recording("a demo one", DEMO_SUBJECT)
    spool.add(PREDICTION, {real.id: real, demo.id: demo})
    about = [scene.new_report(one) for one in (real.id, demo.id, said.id)]
    spool.add(REPORT, {one.id: one for one in about})
    assert clear_demo(scene.store, spool, ROOT)["spooled"] == 3
    assert spool.count() == 2


def test_a_demo_that_is_still_written_is_cleared_by_the_next_call(scene: Scene, spool: Spool) -> None:
    on_its_way = scene.recording(DEMO_SUBJECT, DEMO_SUBJECT)
    scene.predict(f"{DEMO_SUBJECT} before", DEMO_SUBJECT)
    clear_demo(scene.store, spool, ROOT)
    with scene.store.write() as connection:
        record(scene.store, connection, [on_its_way])
    assert clear_demo(scene.store, spool, ROOT) == {"items": 1, "predictions": 1, "slots": 2, "texts": 1}
    assert all(not rows for rows in contents(scene.store).values())


def test_the_only_keys_stay_or_the_service_would_open(store: Store, spool: Spool) -> None:
    create_key(store, ROOT, person="demo-ada", role="annotator")
    clear_demo(store, spool, ROOT)
    assert any_keys(store)
    create_key(store, ROOT, person="ann", role="annotator")
    assert clear_demo(store, spool, ROOT)["keys"] == 1
    assert [key.person for key in list_keys(store)] == ["ann"]


def test_what_is_asked_in_the_name_of_a_demo_text_is_marked_whatever_language_it_came_with(scene: Scene) -> None:
    scene.predict(DEMO_SUBJECT, DEMO_SUBJECT, language="en")
    scene.bring(f"{DEMO_SUBJECT} imported", subject=DEMO_SUBJECT, language="en")
    with scene.store.read() as connection:
        assert set(connection.scalars(select(predictions.c.language))) == {DEMO_LANGUAGE}
        assert set(connection.scalars(select(items.c.language))) == {DEMO_LANGUAGE}
        assert set(connection.scalars(select(slots.c.language))) == {DEMO_LANGUAGE}
