"""The audit log only grows, and what is done to its sealed part is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from core.errors import MalformedError
from core.roles import Caller
from feedback.audit import BEGINNING, Head, chain, head, list_entries, note, note_refusal, seal, verify
from feedback.schema import audit, seals
from feedback.store import Store

ANNA = Caller("anna", "reviewer", "key-1")
ROOT = Path(__file__).parents[2]


def write_down(store: Store, *actions: str) -> None:
    with store.write() as connection:
        for action in actions:
            note(connection, ANNA, action, "item-1", count=3, share=0.1, wrong=None, done=True)


@pytest.fixture
def sealed(store: Store) -> Store:
    """A log of three seals: entries 1 and 2, then 3 and 4, then 5."""
    for actions in (["a", "b"], ["c", "d"], ["e"]):
        write_down(store, *actions)
        seal(store)
    return store


def ids(store: Store) -> list[int]:
    return [entry.id for entry in list_entries(store)]


def test_entries_come_back_in_order_and_in_pages(store: Store) -> None:
    write_down(store, "a", "b", "c")
    entries = list_entries(store)
    assert [entry.action for entry in entries] == ["a", "b", "c"]
    assert entries[0].details == {"count": 3, "share": 0.1, "wrong": None, "done": True}
    assert (entries[0].actor, entries[0].role, entries[0].object) == ("anna", "reviewer", "item-1")
    assert list_entries(store, after=entries[0].id, limit=1) == [entries[1]]


def test_an_entry_is_undone_with_the_change_it_tells_of(store: Store) -> None:
    def change() -> None:
        with store.write() as connection:
            note(connection, ANNA, "a", "item-1")
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError, match="the change failed"):
        change()
    assert list_entries(store) == []


def test_a_refusal_says_who_and_where(store: Store) -> None:
    note_refusal(store, ANNA, "POST", "/v1/keys", 403)
    [entry] = list_entries(store)
    assert (entry.action, entry.object, entry.actor) == ("refused", "/v1/keys", "anna")
    assert entry.details == {"method": "POST", "status": 403, "key_id": "key-1"}


def test_an_empty_log_is_whole(store: Store) -> None:
    assert seal(store) == 0
    assert head(store) == Head(0, BEGINNING)
    assert verify(store, head(store)) == []


def test_a_log_that_nobody_touched_is_whole(sealed: Store) -> None:
    early = head(sealed)
    assert early.seal == 3
    assert verify(sealed) == []
    write_down(sealed, "f")
    assert verify(sealed, early) == [], "what is not sealed yet does no harm"
    assert seal(sealed) == 1
    assert verify(sealed, early) == []
    assert head(sealed).seal == 4
    assert seal(sealed) == 0
    assert head(sealed).seal == 4


def test_the_hash_is_of_what_the_database_gives_back(sealed: Store) -> None:
    """Moments, numbers and null must read the same from either database as they were hashed."""
    with sealed.read() as connection:
        row = connection.execute(select(seals).where(seals.c.id == 1)).one()
    assert row.previous == BEGINNING
    assert row.sha256 == chain(BEGINNING, list_entries(sealed, limit=2))


@pytest.mark.parametrize("values", [{"actor": "ben"}, {"action": "z"}, {"object": "x"}, {"details": {"count": 4}}])
def test_a_changed_entry_is_found(sealed: Store, values: dict[str, object]) -> None:
    with sealed.write() as connection:
        connection.execute(update(audit).where(audit.c.id == ids(sealed)[2]).values(values))
    assert verify(sealed) == [f"seal 2 does not fit its entries {ids(sealed)[2]} to {ids(sealed)[3]}: one was changed"]


def test_a_removed_entry_is_found(sealed: Store) -> None:
    with sealed.write() as connection:
        connection.execute(delete(audit).where(audit.c.id == ids(sealed)[2]))
    [fault] = verify(sealed)
    assert "seal 2 covers 2 entries, but 1 are there" in fault


def test_an_inserted_entry_is_found(sealed: Store) -> None:
    write_down(sealed, "x")
    with sealed.write() as connection:
        connection.execute(update(audit).where(audit.c.seal_id.is_(None)).values(seal_id=2))
    [fault] = verify(sealed)
    assert "seal 2 covers 2 entries, but 3 are there" in fault


def test_an_entry_moved_to_another_seal_is_found(sealed: Store) -> None:
    with sealed.write() as connection:
        connection.execute(update(audit).where(audit.c.id == ids(sealed)[1]).values(seal_id=2))
    assert len(verify(sealed)) == 2


def test_a_removed_seal_is_found(sealed: Store) -> None:
    with sealed.write() as connection:
        connection.execute(delete(seals).where(seals.c.id == 2))
    faults = verify(sealed)
    assert any("seal 2 is missing" in fault for fault in faults)
    assert any("2 entries belong to seals that are not there" in fault for fault in faults)


def test_a_batch_removed_with_its_seal_is_found(sealed: Store) -> None:
    with sealed.write() as connection:
        connection.execute(delete(audit).where(audit.c.seal_id == 2))
        connection.execute(delete(seals).where(seals.c.id == 2))
    [fault] = verify(sealed)
    assert "seal 2 is missing" in fault


def test_a_seal_made_anew_over_a_changed_entry_is_found(sealed: Store) -> None:
    """Who changes an entry and computes its seal again breaks the link to the next."""
    with sealed.write() as connection:
        connection.execute(update(audit).where(audit.c.id == ids(sealed)[0]).values(actor="ben"))
    entries = list_entries(sealed, limit=2)
    with sealed.write() as connection:
        connection.execute(update(seals).where(seals.c.id == 1).values(sha256=chain(BEGINNING, entries)))
    [fault] = verify(sealed)
    assert "seal 2 does not follow seal 1" in fault


def test_a_log_cut_off_is_found_by_a_head_kept_elsewhere(sealed: Store) -> None:
    kept = Head.read(str(head(sealed)))
    with sealed.write() as connection:
        connection.execute(delete(audit).where(audit.c.seal_id == 3))
        connection.execute(delete(seals).where(seals.c.id == 3))
    assert verify(sealed) == [], "by itself, a shorter log is whole"
    [fault] = verify(sealed, kept)
    assert "cut off or made anew" in fault
    write_down(sealed, "another")
    seal(sealed)
    assert head(sealed).seal == 3
    assert len(verify(sealed, kept)) == 1, "a new third seal is not the old one"


def test_a_head_that_is_none_is_said_so() -> None:
    for text in ("", "3", "3:abc", f"x:{BEGINNING}", f"²:{BEGINNING}", f"3:{BEGINNING[:-1]}g"):
        with pytest.raises(MalformedError, match="NUMBER:HASH"):
            Head.read(text)


def test_entries_written_while_others_seal_are_sealed_once(store: Store, store_url: str) -> None:
    code = (
        "import sys; from core.roles import Caller; from feedback.audit import note, seal\n"
        "from feedback.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "for n in range(25):\n"
        "    with store.write() as connection: note(connection, Caller(sys.argv[2], 'admin'), 'a', str(n))\n"
        "    seal(store)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, store_url]
    running = [subprocess.Popen([*command, f"writer-{number}"], env=environment) for number in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert verify(store) == []
    with store.read() as connection:
        assert connection.execute(select(func.count()).where(audit.c.seal_id.is_not(None))).scalar_one() == 75
        assert connection.execute(select(func.sum(seals.c.entries))).scalar_one() == 75
