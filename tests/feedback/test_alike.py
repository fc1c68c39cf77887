"""Texts that people resolved before, found again by likeness and by label."""

from __future__ import annotations

from pathlib import Path

from core.roles import Caller
from feedback.alike import REFRESH_S, ResolvedTexts
from feedback.answers import Said, undo
from feedback.erasure import erase, wanted_erasure
from feedback.spool import Spool
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, make_task, person, say, take

ANN = person("ann")
PARCEL, REFUND = 1, 2


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def resolve(store: Store, task: Task, text: str, label: str | Said) -> tuple[str, str]:
    """Bring a text and answer it; return the item and the answer."""
    (item,) = ask(store, task, text)
    return item, say(store, task, ANN, take(store, task, ANN), label).answer_id


def texts_of(resolved: ResolvedTexts, text: str, count: int = 5) -> list[str]:
    return [one.text for one in resolved.similar(text, count)]


def test_the_most_alike_come_first_without_copies(store: Store) -> None:
    task = make_task()
    for text, label in (
        ("my parcel is late", "parcel"),
        ("my parcel is very late", "parcel"),
        ("MY PARCEL   is very late", "parcel"),
        ("i want a refund for the parcel", "refund"),
        ("xyzzy", "password"),
    ):
        resolve(store, task, text, label)
    ask(store, task, "my parcel is late and open")
    found = ResolvedTexts(store, task).similar("My parcel is late", 5)
    assert [one.text.casefold().split() for one in found] == [
        ["my", "parcel", "is", "very", "late"],
        ["i", "want", "a", "refund", "for", "the", "parcel"],
    ]
    assert [one.value for one in found] == [PARCEL, REFUND]
    assert 1 >= found[0].likeness > found[1].likeness > 0


def test_what_is_new_is_found_after_a_moment_and_what_was_taken_back_is_not(store: Store) -> None:
    task, clock = make_task(), Clock()
    resolved = ResolvedTexts(store, task, clock)
    item, said = resolve(store, task, "my parcel is late", "parcel")
    assert texts_of(resolved, "parcel is late today") == ["my parcel is late"]
    resolve(store, task, "parcel is late again", "parcel")
    assert texts_of(resolved, "parcel is late today") == ["my parcel is late"]
    clock.now += REFRESH_S
    assert sorted(texts_of(resolved, "parcel is late today")) == ["my parcel is late", "parcel is late again"]
    undo(store, {task.name: task}, ANN, item, said)
    assert texts_of(resolved, "parcel is late today") == ["parcel is late again"]


def test_an_erased_text_is_gone_at_once_and_forgotten_with_the_next_look(store: Store, tmp_path: Path) -> None:
    task, clock = make_task(), Clock()
    resolved = ResolvedTexts(store, task, clock)
    resolve(store, task, "my parcel is late", "parcel")
    resolve(store, task, "the parcel is early", "parcel")
    assert len(texts_of(resolved, "parcel")) == 2
    spool = Spool(tmp_path / "spool.sqlite3")
    wanted = wanted_erasure(None, "my parcel is late", [task])
    erase(store, spool, tmp_path, Caller("root", "admin"), wanted, lambda _: [])
    spool.close()
    assert texts_of(resolved, "parcel") == ["the parcel is early"]
    clock.now += REFRESH_S
    entries, _ = resolved._window()
    assert len(entries) == 1, "nothing of an erased text is kept"


def test_examples_of_a_label_are_the_latest(store: Store) -> None:
    task = make_task()
    for number in range(4):
        resolve(store, task, f"parcel number {number}", "parcel")
    resolve(store, task, "money", "refund")
    resolve(store, task, "the weather", Said("out_of_scope"))
    resolved = ResolvedTexts(store, task)
    assert [one.text for one in resolved.labelled(PARCEL, 2)] == ["parcel number 3", "parcel number 2"]
    assert [one.text for one in resolved.labelled("out_of_scope", 5)] == ["the weather"]
    assert resolved.labelled(3, 5) == []


def test_examples_where_a_text_has_several_labels(store: Store) -> None:
    task = make_task(kind="multi_label")
    resolve(store, task, "both of them", Said("labels", ["parcel", "refund"]))
    resolve(store, task, "none of them", Said("labels", []))
    resolved = ResolvedTexts(store, task)
    assert [one.text for one in resolved.labelled(REFUND, 5)] == ["both of them"]


def test_a_task_sees_its_own_texts_only(store: Store) -> None:
    resolve(store, make_task(name="other"), "my parcel is late", "parcel")
    assert texts_of(ResolvedTexts(store, make_task()), "my parcel is late today") == []
