"""Snapshots: what trains, what is set aside and why, and what people are asked because of it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from core.errors import DataError, NotFoundError, TaskError
from core.settings import Settings, load_settings
from core.text import text_hash
from feedback.deployments import record_first_deployment
from feedback.erasure import Erasure, Wanted, erase
from feedback.quality import write_annotator
from feedback.quarantines import list_quarantines, release
from feedback.schema import answers, items, outbox, predictions
from feedback.snapshot_erasures import list_unsettled
from feedback.snapshots import list_snapshots
from feedback.spool import Spool
from feedback.store import Store, open_store
from tasks.catalogue import TaskFolder
from tasks.declaration import Label, Task
from tests.support.data import public_file
from tests.support.scene import ROOT, Scene
from tests.support.tiny import ENDINGS, WORDS
from training.embedding_cache import EmbeddingCache
from training.own_data import write_rows
from training.rows import Row
from training.snapshot import Snapshot, read_snapshot, take_snapshot
from training.snapshot_diff import compare
from training.snapshot_erasure import settle_erasures
from training.train import train

ANN = "ann"


@pytest.fixture(scope="module")
def able(task: Task) -> Task:
    """The tiny task on an encoder that understands it: second opinions need a model that has one."""
    return task.model_copy(update={"name": "able-intent", "base": "minilm-l6"})


@pytest.fixture(scope="module")
def champion(settings: Settings, able: Task) -> str:
    folder = TaskFolder(able, settings.own_tasks / able.name)
    folder.folder.mkdir(parents=True)
    write_rows(folder.train_file, _base())
    return train(settings, folder, quick=True, shown=False).manifest.version


@dataclass(frozen=True)
class Place:
    """A task of a test's own, its store, and people who answer in it."""

    settings: Settings
    store: Store
    folder: TaskFolder
    scene: Scene

    def take(self) -> Snapshot:
        return take_snapshot(self.settings, self.store, self.folder)

    def rows(self, *more: Row, gold: tuple[Row, ...] = ()) -> None:
        write_rows(self.folder.train_file, [*_base(), *more])
        write_rows(self.folder.gold_file, [Row("give my cash back you shop", "refund"), *gold])

    def say(self, text: str, label: str, who: str = ANN) -> str:
        """Bring one text and answer it; return its item."""
        (item,) = self.scene.bring(text)
        self.scene.answer(who, self.scene.claim(who)[text], label)
        return item

    def say_all(self, labelled: list[tuple[str, str]], who: str) -> None:
        for start in range(0, len(labelled), 50):
            part = dict(labelled[start : start + 50])
            self.scene.bring(*part)
            for text, claimed in self.scene.claim(who).items():
                self.scene.answer(who, claimed, part[text])

    def erase(self, **wanted: Any) -> Erasure:
        spool = Spool(self.settings.home / "spool.sqlite3")
        done = erase(self.store, spool, self.settings.home, ROOT, Wanted(**wanted), lambda _: [])
        spool.close()
        return done

    def alerts(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return list(connection.scalars(select(outbox.c.payload).where(outbox.c.event == "alert.raised")))

    def item(self, item_id: str) -> Any:
        with self.store.read() as connection:
            return connection.execute(select(items).where(items.c.id == item_id)).one()


def _base() -> list[Row]:
    return [Row(f"{text}{ending}", label) for label, texts in WORDS.items() for text in texts for ending in ENDINGS]


def make_place(task: Task, home: Path) -> Place:
    settings = load_settings(home=home)
    folder = TaskFolder(task, settings.own_tasks / task.name)
    folder.folder.mkdir(parents=True)
    store = open_store(settings.store_url)
    quiet = task.model_copy(update={"review": task.review.model_copy(update={"check_rate": 0.0})})
    place = Place(settings, store, replace(folder, task=quiet), Scene(store, quiet))
    place.rows()
    return place


@pytest.fixture
def place(task: Task, tmp_path: Path) -> Iterator[Place]:
    made = make_place(task, tmp_path / "home")
    yield made
    made.store.close()


@pytest.fixture
def live(able: Task, champion: str, tmp_path: Path) -> Iterator[Place]:
    made = make_place(able, tmp_path / "home")
    record_first_deployment(made.store, able.name, champion, "first", "tests")
    yield made
    made.store.close()


def reasons(snapshot: Snapshot) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in snapshot.aside:
        found.setdefault(one.reason, set()).add(one.text)
    return found


def labels(snapshot: Snapshot) -> dict[str, str]:
    return {row.text: row.label for row in [*snapshot.rows, *snapshot.outside]}


def test_base_data_and_what_people_answered_train_together(place: Place) -> None:
    place.say("my money has vanished", "refund")
    place.scene.bring("it is raining")
    place.scene.answer(ANN, place.scene.claim(ANN)["it is raining"], kind="out_of_scope")
    snapshot = place.take()
    assert Counter(row.source for row in snapshot.rows) == {"base": 120, "reviewed": 1}
    assert (snapshot.number, snapshot.new_reviewed, snapshot.previous) == (1, 2, None)
    said = snapshot.rows[-1]
    assert (said.text, said.label, said.soft) == ("my money has vanished", "refund", (("refund", 1.0),))
    assert (said.annotators, len(said.answer_ids), said.weight) == ((ANN,), 1, 1.0)
    assert [(row.text, row.label) for row in snapshot.outside] == [("it is raining", "out_of_scope")]
    assert [row.text for row in snapshot.gold] == ["give my cash back you shop"]
    assert read_snapshot(place.settings, snapshot.task, snapshot.sha256) == snapshot


def test_the_same_content_is_the_same_snapshot(place: Place) -> None:
    place.say("my money has vanished", "refund")
    first, again = place.take(), place.take()
    assert first == again
    assert oct(first.path.stat().st_mode)[-3:] == "600"
    assert [path.name for path in first.path.parent.iterdir() if path.suffix == ".draft"] == []
    place.say("let me log in", "password")
    second = place.take()
    assert (second.number, second.previous, second.new_reviewed) == (2, first.sha256, 1)
    place.rows(gold=(Row("track the box of mine", "parcel"),))
    assert place.take().number == 3  # judged on other gold rows it is another experiment
    told = json.loads(first.path.with_suffix(".json").read_text())
    assert (told["number"], told["rows"]["reviewed"], told["unasked"]) == (1, 1, "no version is live")
    assert "vanished" not in json.dumps(told)


def test_what_cannot_be_used_is_set_aside_with_its_reason(place: Place) -> None:
    place.rows(
        Row("broken � text", "parcel"),
        Row("  WHERE is my   parcel", "parcel"),
        Row("what is it now", "parcel"),
        Row("What is it NOW", "refund"),
        Row("give my cash back you shop", "refund"),
        Row("give my cash back, you shop!!", "refund"),
        Row("who knows", "mystery"),
    )
    snapshot = place.take()
    assert reasons(snapshot) == {
        "empty or broken text": {"broken � text"},
        "copy of another row": {"WHERE is my   parcel"},
        "contradictory labels": {"what is it now", "What is it NOW"},
        "copy of a gold row, kept for measuring": {"give my cash back you shop"},
        "near-copy of a gold row, kept for measuring": {"give my cash back, you shop!!"},
        "label that the task does not have": {"who knows"},
    }
    assert len(snapshot.rows) == 120
    (record,) = list_snapshots(place.store, snapshot.task)
    assert record.aside == Counter(one.reason for one in snapshot.aside)
    assert set(place.scene.claim("bob")) == {"what is it now"}


def test_what_people_answered_overrules_base_rows(place: Place) -> None:
    place.rows(Row("what is it now", "parcel"), Row("what is it now", "refund"))
    place.say("lost parcel", "refund")
    place.say("What is it now", "password")
    snapshot = place.take()
    assert labels(snapshot)["lost parcel"] == "refund"
    assert labels(snapshot)["What is it now"] == "password"
    assert reasons(snapshot) == {"base row that people have answered": {"lost parcel", "what is it now"}}


def test_contradictory_answers_go_back_to_the_queue_once(place: Place) -> None:
    first = place.say("what is it now", "parcel")
    second = place.say("what IS it now", "refund", "bob")
    snapshot = place.take()
    assert reasons(snapshot) == {"contradictory labels": {"what is it now", "what IS it now"}}
    assert [place.item(one).state for one in (first, second)] == ["open", "open"]
    assert {place.item(one).reason for one in (first, second)} == {"disagreement"}
    assert place.take().aside == []
    held = place.scene.claim("cai")
    place.scene.answer("cai", held["what is it now"], "parcel")
    place.scene.answer("cai", held["what IS it now"], "refund")
    assert len(place.take().aside) == 2
    assert place.scene.claim("dan") == {}  # asked twice, and still two labels: not every night again


def test_copies_of_what_is_answered_count_once(place: Place) -> None:
    place.say("what is it now", "parcel")
    newest = place.say("what is it NOW", "parcel", "bob")
    snapshot = place.take()
    assert [row.item_id for row in snapshot.rows if row.source == "reviewed"] == [newest]
    assert reasons(snapshot) == {"copy of another row": {"what is it now"}}


def test_audits_and_their_copies_measure_and_do_not_train(place: Place) -> None:
    place.scene.predict("where on earth is it")
    with place.store.write() as connection:
        for table in (items, predictions):
            connection.execute(update(table).values(reason="audit"))
    place.scene.answer(ANN, place.scene.claim(ANN)["where on earth is it"], "parcel")
    place.say("where on earth is it?!", "parcel")
    snapshot = place.take()
    assert not any(row.source == "reviewed" for row in snapshot.rows)
    assert reasons(snapshot) == {"copy or near-copy of an audit, kept for measuring": {"where on earth is it?!"}}


def test_trust_decides_on_weight_and_use(place: Place) -> None:
    for who in ("good", "poor", "out"):
        place.say(f"what {who} says", "refund", who)
    known = {"good": (0.95, True), "poor": (0.5, True), "out": (0.9, False)}
    with place.store.write() as connection:
        for who, (weight, trusted) in known.items():
            write_annotator(connection, place.folder.task.name, who, {"weight": weight, "trusted": trusted})
    snapshot = place.take()
    weights = {row.annotators[0]: row.weight for row in snapshot.rows if row.source == "reviewed"}
    assert weights == {"good": 1.5, "poor": 0.2}
    assert reasons(snapshot) == {"answered only by people who are not trusted": {"what out says"}}


def test_a_crowd_in_two_minds_gives_soft_labels(place: Place) -> None:
    review = {"strategy": "crowd", "answers": 3, "most_answers": 3, "aggregation": "majority", "certainty": 0.6}
    crowd = place.folder.task.model_copy(update={"review": place.folder.task.review.model_copy(update=review)})
    scene = Scene(place.store, crowd)
    scene.bring("my money has vanished")
    for who, label in (("ann", "refund"), ("bob", "refund"), ("cai", "parcel")):
        scene.answer(who, scene.claim(who)["my money has vanished"], label)
    (row,) = [row for row in place.take().rows if row.source == "reviewed"]
    assert dict(row.soft) == pytest.approx({"refund": 2 / 3, "parcel": 1 / 3}, abs=1e-5)
    assert sum(chance for _, chance in row.soft) == pytest.approx(1.0, abs=1e-9)
    assert (row.label, row.annotators) == ("refund", ("ann", "bob", "cai"))


def test_it_needs_two_labels_of_one_kind_of_task(place: Place) -> None:
    place.folder.train_file.unlink()
    place.say("my money has vanished", "refund")
    with pytest.raises(DataError, match="1 of its labels"):
        place.take()
    several = replace(place.folder, task=place.folder.task.model_copy(update={"kind": "multi_label"}))
    with pytest.raises(TaskError, match="multi_label"):
        take_snapshot(place.settings, place.store, several)


def test_a_file_that_changed_is_refused(place: Place) -> None:
    first = place.take()
    place.say("my money has vanished", "refund")
    second = place.take()
    shutil.copyfile(second.path, first.path)
    with pytest.raises(DataError, match="has changed"):
        read_snapshot(place.settings, first.task, first.sha256)
    first.path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_snapshot(place.settings, first.task, first.sha256)
    first.path.unlink()
    with pytest.raises(NotFoundError):
        read_snapshot(place.settings, first.task, first.sha256)


def test_a_diff_tells_what_came_went_and_changed(place: Place) -> None:
    first = place.take()
    write_rows(place.folder.train_file, [row for row in _base() if row.text != "lost parcel today"])
    place.say("lost parcel", "refund")
    place.say("my money has vanished", "refund")
    found = compare(first, place.take())
    assert [row.text for row in found.added] == ["my money has vanished"]
    assert [row.text for row in found.removed] == ["lost parcel today"]
    assert [(one.before.label, one.after.label) for one in found.relabelled] == [("parcel", "refund")]
    assert found.by_label["refund"] == (40, 42)
    assert found.other == 0


@pytest.mark.parametrize("by", ["subject", "text"])
def test_an_erasure_reaches_the_files(place: Place, by: str) -> None:
    place.scene.bring("i am wilma and my money has vanished", subject="wilma")
    place.scene.answer(ANN, place.scene.claim(ANN)["i am wilma and my money has vanished"], "refund")
    place.say("let me log in", "password")
    snapshot = place.take()
    cache = EmbeddingCache(place.settings.home, "encoder")
    whole = [row.text for row in snapshot.rows]
    cache.add(whole, np.ones((len(whole), 2), dtype=np.float32))
    left = snapshot.path.with_name(f".{snapshot.sha256}.parquet.999999999.draft")
    left.write_bytes(b"of a process that died")
    wanted = {"subject": "wilma"} if by == "subject" else {"hashes": frozenset({text_hash(whole[-2])})}
    done = place.erase(**wanted)
    assert done.unsettled
    settled = settle_erasures(place.store, place.settings.home)
    assert settled.rows == 1
    rest = read_snapshot(place.settings, snapshot.task, snapshot.sha256)
    assert [row.text for row in rest.rows] == [text for text in whole if "wilma" not in text]
    assert list_snapshots(place.store, snapshot.task)[0].erased == 1
    assert list_unsettled(place.store) == []
    assert not left.exists()
    assert [whole[at] for at in cache.find(whole)[0]] == [row.text for row in rest.rows]
    for file in snapshot.path.parent.rglob("*"):
        assert b"wilma" not in file.read_bytes()
    assert settle_erasures(place.store, place.settings.home).rows == 0
    assert place.take().number == 2


def test_taking_a_snapshot_carries_out_what_waits_and_drops_what_nobody_can_read(place: Place) -> None:
    snapshot = place.take()
    bad = snapshot.path.with_name("bad.parquet")
    bad.write_bytes(b"who knows what is in here")
    place.erase(subject="nobody")
    place.take()
    assert list_unsettled(place.store) == []
    assert not bad.exists()
    assert read_snapshot(place.settings, snapshot.task, snapshot.sha256) == snapshot


WRONG = {"parcel": "refund", "refund": "password", "password": "parcel"}


def texts_of(n: int, ending: str) -> list[tuple[str, str]]:
    """Return `n` texts that the tiny model knows what to make of, with their true labels."""
    known = [(text, label) for label, texts in WORDS.items() for text in texts]
    return [(f"{known[at % 15][0]} {ending} {at}", known[at % 15][1]) for at in range(n)]


def test_wrong_answers_in_a_hurry_are_set_aside_and_somebody_is_told(live: Place) -> None:
    live.say_all([(text, WRONG[label]) for text, label in texts_of(500, "hurry")], "mallory")
    live.say_all(texts_of(60, "calm"), "ann")
    snapshot = live.take()
    used = Counter(row.annotators[0] for row in snapshot.rows if row.source == "reviewed")
    assert used["mallory"] == 0
    assert used["ann"] >= 50
    assert len(reasons(snapshot)["answers in quarantine"]) == 500
    (alert,) = live.alerts()
    assert (alert["alert"], alert["source"], alert["reason"]) == ("source.quarantined", "mallory", "burst")
    assert live.take().sha256 == snapshot.sha256
    assert len(live.alerts()) == 1
    release(live.store, ROOT, snapshot.task, "mallory")
    after = live.take()
    assert Counter(row.annotators[0] for row in after.rows if row.source == "reviewed")["mallory"] == 500
    assert list_quarantines(live.store, snapshot.task) == []


def test_one_label_called_another_is_set_aside_however_slowly(live: Place) -> None:
    parcels = [(text, label) for text, label in texts_of(180, "slow") if label == "parcel"][:40]
    live.say_all([(text, "refund") for text, _ in parcels], "mallory")
    live.say_all(texts_of(60, "calm"), "ann")
    with live.store.write() as connection:
        ids = connection.scalars(select(answers.c.id).where(answers.c.annotator == "mallory")).all()
        for number, answer in enumerate(ids):
            at = datetime.now(UTC) - timedelta(hours=3 * number)
            connection.execute(update(answers).where(answers.c.id == answer).values(created_at=at))
    snapshot = live.take()
    assert [(one.person, one.reason) for one in list_quarantines(live.store, snapshot.task)] == [("mallory", "flip")]
    assert "mallory" not in {row.annotators[0] for row in snapshot.rows if row.source == "reviewed"}


def test_honest_people_in_a_hurry_are_not_suspected(live: Place) -> None:
    live.say_all(texts_of(300, "quick"), "ann")
    snapshot = live.take()
    assert list_quarantines(live.store, snapshot.task) == []
    assert "answers in quarantine" not in reasons(snapshot)


def test_a_lone_answer_that_the_model_surely_doubts_is_asked_again_and_then_believed(live: Place) -> None:
    item = live.say("where is my parcel please", "password")
    assert reasons(live.take()) == {"likely label error": {"where is my parcel please"}}
    row = live.item(item)
    assert (row.state, row.reason, row.round) == ("open", "disagreement", 2)
    live.scene.answer("bob", live.scene.claim("bob")["where is my parcel please"], "password")
    assert labels(live.take())["where is my parcel please"] == "password"


def test_likely_label_errors_of_base_rows_count_half_and_are_asked_about(live: Place) -> None:
    live.rows(Row("where is my parcel my friend", "password"), Row("the parcel is late my friend", "refund"))
    snapshot = live.take()
    doubted = [row for row in snapshot.rows if row.doubted]
    assert {"where is my parcel my friend", "the parcel is late my friend"} <= {row.text for row in doubted}
    assert {row.weight for row in doubted} == {0.5}
    assert len(doubted) <= 6
    asked = live.scene.claim("bob")
    assert set(asked) == {row.text for row in doubted}
    live.scene.answer("bob", asked["where is my parcel my friend"], "parcel")
    assert labels(live.take())["where is my parcel my friend"] == "parcel"


def test_contradictory_texts_of_a_real_data_set_become_items(tmp_path: Path) -> None:
    file = public_file("finfe_zh/train.json")
    names = ("negative", "neutral", "positive")
    task = Task(name="finfe", languages=["zh"], labels=[Label(id=n, name=name) for n, name in enumerate(names, 1)])
    place = make_place(task, tmp_path / "home")
    rows = [Row(text, names[label]) for text, label in json.loads(file.read_text(encoding="utf-8"))]
    write_rows(place.folder.train_file, rows)
    place.folder.gold_file.unlink()
    snapshot = place.take()
    contradictory = {text_hash(text) for text in reasons(snapshot)["contradictory labels"]}
    assert len(contradictory) == 773
    assert contradictory.isdisjoint(map(text_hash, labels(snapshot)))
    assert len({text_hash(row.text) for row in snapshot.rows}) == len(snapshot.rows) == 11_646 - 773
    with place.store.read() as connection:
        made = connection.execute(select(items.c.text_sha256, items.c.reason)).all()
    assert {row.text_sha256 for row in made} == contradictory
    assert {row.reason for row in made} == {"disagreement"}
    assert place.take() == snapshot
    with place.store.read() as connection:
        assert len(connection.execute(select(items.c.id)).all()) == 773
    place.store.close()
