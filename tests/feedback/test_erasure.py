"""A text, or everything about a person, goes without a trace; everybody else's facts stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.errors import InvalidError, NotFoundError
from core.text import text_hash
from feedback.answers import undo
from feedback.erasure import Erasure, Wanted, erase, wanted_erasure
from feedback.exports import Export, export_pages
from feedback.predictions import find_prediction, prune
from feedback.recording import PREDICTION, record
from feedback.replies import KeptReply, keep_reply, reserve
from feedback.reports import REPORT
from feedback.schema import answers, audit, erasures, items, metadata, replies, reports, slots, texts
from feedback.spool import Spool
from feedback.store import Store, open_store
from feedback.tallies import read_tallies
from tests.support.scene import ROOT, Scene, make_task

SECRET = "my neighbour Wilhelmina Oglethorpe never got her parcel"
COMMENT = "Oglethorpe again, ask the depot in Elmshorn"
PROPOSED = "Oglethorpe complaint"
OTHER = "where is my other parcel"
TELLING = ("Oglethorpe", "Wilhelmina", "Elmshorn", "wilma@example.org", "channel-of-wilma")
"""What would give the erased text away wherever it stood."""


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store, make_task(strategy="crowd", answers=3, aggregation="majority", certainty=0.6))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    opened = Spool(home / "spool.sqlite3")
    yield opened
    opened.close()


def erased(scene: Scene, spool: Spool, home: Path, wanted: Wanted, **more: Any) -> Erasure:
    def versions(task: str) -> list[str]:
        return [f"{task}-1", f"{task}-2"]

    return erase(scene.store, spool, home, ROOT, wanted, versions, **more)


def text_of(scene: Scene, text: str) -> Wanted:
    return wanted_erasure(None, text, [scene.task])


def everything(store: Store) -> str:
    """Return every cell of every table as one string."""
    with store.read() as connection:
        return "\n".join(
            repr(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table))
        )


def item_state(store: Store, item_id: str) -> str:
    with store.read() as connection:
        return str(connection.execute(select(items.c.state).where(items.c.id == item_id)).scalar_one())


def fill(scene: Scene) -> dict[str, str]:
    """Let `SECRET`, sent by the subject `wilma`, leave traces of every kind beside somebody else's text."""
    secret = scene.predict(SECRET, "wilma", metadata={"mail": "channel-of-wilma"})
    scene.predict(OTHER, "otto", metadata={"mail": "otto"})
    scene.report(secret.id, comment=COMMENT, source="wilma@example.org")
    held = scene.claim("ann")
    said = scene.answer("ann", held[SECRET], "parcel", comment=COMMENT, proposed_label=PROPOSED)
    scene.answer("ann", held[OTHER], "parcel", comment="plain")
    reply = f'{{"items": [{{"item_id": "{held[SECRET].item_id}", "text": "{SECRET}"}}]}}'.encode()
    keep_reply(scene.store, reserve(scene.store, "ann", "claim-1", "hash"), KeptReply(200, reply))
    keep_reply(scene.store, reserve(scene.store, "ann", "other", "hash"), KeptReply(200, b'{"kept": true}'))
    return {
        "prediction": secret.id,
        "item": held[SECRET].item_id,
        "answer": said.answer_id,
        "other": held[OTHER].item_id,
    }


@pytest.mark.parametrize("by", ["subject", "text"])
def test_nothing_tells_of_it_any_more(scene: Scene, spool: Spool, home: Path, by: str) -> None:
    ids = fill(scene)
    assert all(word in everything(scene.store) for word in TELLING)
    wanted = Wanted(subject="wilma") if by == "subject" else text_of(scene, f"  {SECRET.upper()}\n")
    done = erased(scene, spool, home, wanted)
    left = everything(scene.store)
    assert not [word for word in TELLING if word.casefold() in left.casefold()]
    assert text_hash(SECRET) not in left
    assert done.counts["texts"] == 4  # with the report's comment, the answer's, and the proposed label
    assert {name: done.counts[name] for name in ("predictions", "reports", "items", "items_kept", "replies")} == {
        "predictions": 1, "reports": 1, "items": 1, "items_kept": 0, "replies": 1,
    }  # fmt: skip
    assert item_state(scene.store, ids["item"]) == "erased"
    found = find_prediction(scene.store, ids["prediction"])
    assert found is not None
    assert (found["text"], found["subject"], found["metadata"]) == (None, None, None)


def test_what_was_said_without_words_stays(scene: Scene, spool: Spool, home: Path) -> None:
    ids = fill(scene)
    erased(scene, spool, home, Wanted(subject="wilma"))
    with scene.store.read() as connection:
        said = connection.execute(select(answers).where(answers.c.id == ids["answer"])).one()
        report = connection.execute(select(reports)).one()
        kept = connection.scalars(select(replies.c.key)).all()
        there = set(connection.scalars(select(texts.c.content)))
    assert (said.value, said.comment_id, said.proposed_id) == (1, None, None)
    assert (report.value, report.comment_id, report.source) == (2, None, None)
    assert kept == ["other"]
    assert there == {OTHER, "plain"}
    assert item_state(scene.store, ids["other"]) == "open"


def test_nobody_is_asked_about_it_any_more(scene: Scene, spool: Spool, home: Path) -> None:
    fill(scene)
    held = scene.claim("bob")
    erased(scene, spool, home, Wanted(subject="wilma"))
    assert scene.claim("cai").keys() == {OTHER}
    with pytest.raises(NotFoundError):
        scene.answer("bob", held[SECRET], "parcel")
    with scene.store.read() as connection:
        states = connection.execute(select(slots.c.state).where(slots.c.item_id == held[SECRET].item_id)).scalars()
        assert sorted(states) == ["answered", "closed", "closed"]
        assert read_tallies(connection, scene.task.name)["items.open.low_confidence"] == 1
        mine = connection.scalars(select(answers.c.id).where(answers.c.item_id == held[SECRET].item_id)).one()
    with pytest.raises(NotFoundError):
        undo(scene.store, scene.tasks, ROOT, held[SECRET].item_id, mine)


def test_a_resolved_item_is_erased_too(scene: Scene, spool: Spool, home: Path) -> None:
    fill(scene)
    scene.answer("bob", scene.claim("bob")[SECRET], "parcel")
    answered = scene.answer("cai", scene.claim("cai")[SECRET], "parcel")
    assert answered.resolution is not None
    erased(scene, spool, home, text_of(scene, SECRET))
    with scene.store.read() as connection:
        assert read_tallies(connection, scene.task.name).get("items.resolved.low_confidence", 0) == 0
    assert list(export_pages(scene.store, Export(scene.task, "resolutions"))) == []
    assert "Oglethorpe" not in str(list(export_pages(scene.store, Export(scene.task, "answers"))))


def test_a_copy_of_somebody_else_keeps_the_item(scene: Scene, spool: Spool, home: Path) -> None:
    first, second = scene.predict(OTHER, "wilma"), scene.predict(OTHER.upper(), "otto")
    item = scene.claim("ann")[OTHER].item_id
    done = erased(scene, spool, home, Wanted(subject="wilma"))
    assert (done.counts["items"], done.counts["items_kept"]) == (0, 1)
    assert item_state(scene.store, item) == "open"
    assert scene.claim("bob").keys() == {OTHER.upper()}
    assert find_prediction(scene.store, first.id)["text"] is None  # type: ignore[index]
    assert find_prediction(scene.store, second.id)["text"] == OTHER.upper()  # type: ignore[index]
    again = erased(scene, spool, home, Wanted(subject="otto"))
    assert (again.counts["items"], again.counts["items_kept"]) == (1, 0)
    assert item_state(scene.store, item) == "erased"


def test_an_item_merged_into_another_shows_that_ones_text(scene: Scene, spool: Spool, home: Path) -> None:
    scene.predict(OTHER, "otto")
    merged = scene.recording(OTHER, "wilma")
    with scene.store.write() as connection:
        record(scene.store, connection, [merged], keep_ids=True)
    assert merged.item is not None
    erased(scene, spool, home, Wanted(subject="wilma"))
    assert item_state(scene.store, merged.item.id) == "merged"
    erased(scene, spool, home, Wanted(subject="otto"))
    assert item_state(scene.store, merged.item.id) == "erased"


def test_imported_texts_check_items_and_reported_texts_go(scene: Scene, spool: Spool, home: Path) -> None:
    (imported,) = scene.bring(SECRET, subject="wilma", metadata={"mail": "channel-of-wilma"})
    (check,) = scene.bring(f"{SECRET}!", subject="wilma", known=2)
    scene.report(None, f"{SECRET}?", comment=COMMENT)
    done = erased(scene, spool, home, Wanted(subject="wilma"))
    assert [item_state(scene.store, one) for one in (imported, check)] == ["erased", "erased"]
    assert done.counts["items"] == 2
    erased(scene, spool, home, text_of(scene, f"{SECRET}?"))
    assert not [word for word in TELLING if word in everything(scene.store)]


def test_what_waits_in_the_spool_is_dropped(scene: Scene, spool: Spool, home: Path) -> None:
    known = scene.predict(SECRET, "wilma", ask=False)
    waiting, others = scene.recording(f"{SECRET}!", "wilma"), scene.recording(OTHER, "otto")
    spool.add(PREDICTION, {one.id: one for one in (waiting, others)})
    about, plain = scene.new_report(known.id, comment=COMMENT), scene.new_report(None, OTHER)
    copy = scene.new_report(None, SECRET)
    follows = scene.new_report(waiting.id, comment=COMMENT)
    spool.add(REPORT, {one.id: one for one in (about, plain, copy, follows)})
    done = erased(scene, spool, home, Wanted(subject="wilma"))
    assert done.counts["spooled"] == 3
    assert spool.count() == 3
    assert erased(scene, spool, home, text_of(scene, SECRET)).counts["spooled"] == 1
    assert spool.count() == 2


def test_other_forms_of_the_text_are_found_by_what_tasks_redact(scene: Scene, spool: Spool, home: Path) -> None:
    scene.bring("call <PHONE> about the parcel")
    erased(scene, spool, home, text_of(scene, "Call +49 170 1234567  about the parcel"))
    assert "about the parcel" not in everything(scene.store)


@pytest.mark.parametrize(("subject", "text"), [(None, None), ("a", "b"), (" ", None), (None, "\n")])
def test_exactly_one_thing_is_erased(subject: str | None, text: str | None) -> None:
    with pytest.raises(InvalidError):
        wanted_erasure(subject, text, [make_task()])


def test_an_erasure_is_written_down_without_the_text(scene: Scene, spool: Spool, home: Path) -> None:
    fill(scene)
    done = erased(scene, spool, home, Wanted(subject="wilma"))
    with scene.store.read() as connection:
        row = connection.execute(select(erasures)).one()
        entry = connection.execute(select(audit).where(audit.c.action == "erase")).one()
    assert (row.id, row.actor) == (done.id, "root")
    assert row.counts["texts"] == done.counts["texts"]
    assert (entry.actor, entry.object, entry.details) == ("root", done.id, {"texts": 4, "items": 1})
    assert "wilma" not in str((row, entry))
    assert erased(scene, spool, home, Wanted(subject="wilma")).counts["texts"] == 0


def test_many_texts_of_one_subject_go_at_once(scene: Scene, spool: Spool, home: Path) -> None:
    for start in range(0, 1_200, 400):
        scene.bring(*(f"parcel number {number} of wilma" for number in range(start, start + 400)), subject="wilma")
    done = erased(scene, spool, home, Wanted(subject="wilma"))
    assert done.counts["texts"] == done.counts["items"] == 1_200
    assert "of wilma" not in everything(scene.store)


def test_own_data_is_named_and_removed_only_when_asked_for(scene: Scene, spool: Spool, home: Path) -> None:
    folder = home / "tasks" / "own-task"
    folder.mkdir(parents=True)
    declared = 'name = "own-task"\n[[labels]]\nid = 1\nname = "a"\n[[labels]]\nid = 2\nname = "b"\n'
    (folder / "task.toml").write_text(declared, encoding="utf-8")
    rows = ["\ufefftext,label\r\n", f'"{SECRET}",a\r\n', 'two,"b\n\r\n"\r\n', f'"{SECRET.upper()}  ",b\r\n', "last,a"]
    (folder / "train.csv").write_bytes("".join(rows).encode())
    (folder / "gold.csv").write_text("text,label\nnothing of it,a\n", encoding="utf-8")
    done = erased(scene, spool, home, text_of(scene, SECRET))
    assert [(rows.task, rows.file.name, rows.lines) for rows in done.own_data] == [("own-task", "train.csv", (2, 6))]
    assert done.models == ["own-task:own-task-1", "own-task:own-task-2"]
    assert (folder / "train.csv").read_bytes() == "".join(rows).encode()
    done = erased(scene, spool, home, text_of(scene, SECRET), own_data=True)
    assert done.own_data == ()
    assert done.counts["own_rows"] == 2
    assert (folder / "train.csv").read_bytes() == "".join([rows[0], rows[2], rows[4]]).encode()


def test_reports_of_training_lose_the_text(scene: Scene, spool: Spool, home: Path) -> None:
    (home / "reports").mkdir()
    (home / "tensorboard" / "run").mkdir(parents=True)
    tricky = 'she said "it\'s <lost> & gone", Oglethorpe'
    escaped = "she said &#34;it&#39;s &lt;lost&gt; &amp; gone&#34;, Oglethorpe"
    page = home / "reports" / "tiny-1.html"
    page.write_text(f"<p>parcel service</p><td>{escaped}</td><td>parcel</td>", encoding="utf-8")
    events = home / "tensorboard" / "run" / "events"
    events.write_bytes(b"\x00\xff" + tricky.encode() + b"\x00")
    kept = home / "reports" / "other.html"
    kept.write_text("<td>a parcel</td>", encoding="utf-8")
    done = erased(scene, spool, home, text_of(scene, tricky))
    assert {path.name for path in done.files} == {"tiny-1.html", "events"}
    assert page.read_text(encoding="utf-8") == "<p>parcel service</p><td>(erased)</td><td>parcel</td>"
    assert not events.exists()
    erased(scene, spool, home, text_of(scene, "parcel"))
    assert page.read_text(encoding="utf-8") == "<p>parcel service</p><td>(erased)</td><td>(erased)</td>"
    assert kept.read_text(encoding="utf-8") == "<td>a parcel</td>"


def test_no_byte_of_an_sqlite_file_holds_it(home: Path, spool: Spool) -> None:
    """Pages that were split, merged and freed included, while another connection stays open."""
    store = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    scene = Scene(store, make_task(strategy="crowd", answers=3, aggregation="majority"))
    fill(scene)
    for number in range(120):
        scene.predict(f"{OTHER} {number} " + "otto " * (number * 11 % 200), "otto", ask=False)
        scene.predict(f"{SECRET} {number} " + "Wilhelmina " * (number * 7 % 400), "wilma")
    prune(store, keep_days=-1)
    with store.read() as held:
        held.execute(select(1))
        assert any(b"Oglethorpe" in file.read_bytes() for file in home.glob("regrade.sqlite3*"))
    other = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    with other.read() as connection:
        connection.execute(select(texts)).all()
    erased(scene, spool, home, Wanted(subject="wilma"))
    files = [file for file in home.rglob("*") if file.is_file()]
    assert len(files) >= 3
    for file in files:
        content = file.read_bytes()
        assert not [word for word in TELLING if word.encode() in content], file.name
    assert scene.claim("cai").keys() >= {OTHER}
    for opened in (store, other):
        opened.close()
