"""Sessions as they are kept: by hashes, for a while, ended once; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import inspect, select, update

from core.errors import UnavailableError
from core.roles import Caller
from feedback.audit import list_entries
from feedback.retention import forget_old
from feedback.schema import metadata, sessions
from feedback.sessions import csrf_of, end_session, find_sessions, hash_session, start_session
from feedback.store import Store

ANN = Caller("ann", "annotator", "key-1")
KEY = "0" * 64


def everything(store: Store) -> str:
    """Return all that the database holds, as text."""
    with store.read() as connection:
        names = inspect(connection).get_table_names()
        return repr(
            [connection.execute(select(metadata.tables[name])).all() for name in names if name in metadata.tables]
        )


def test_a_session_is_found_by_its_secret_and_kept_without_it(store: Store) -> None:
    session, secret = start_session(store, ANN, KEY, 12)
    other, _ = start_session(store, ANN, KEY, 12)
    assert find_sessions(store, [hash_session(secret), "none"]) == {session.sha256: session}
    assert find_sessions(store, []) == {}
    assert session.sha256 != other.sha256
    assert session.expires_at - session.created_at == timedelta(hours=12)
    assert session.is_good(session.created_at)
    assert not session.is_good(session.expires_at)
    kept = everything(store)
    assert secret not in kept
    assert csrf_of(secret) not in kept
    assert session.sha256 in kept


def test_a_session_ends_once(store: Store) -> None:
    session, _ = start_session(store, ANN, KEY, 12)
    for _ in range(2):
        end_session(store, ANN, session)
    found = find_sessions(store, [session.sha256])[session.sha256]
    assert found.ended_at is not None
    assert not found.is_good(session.created_at)
    entries = [(one.action, one.actor, one.object) for one in list_entries(store)]
    assert entries == [("session.started", "ann", "key-1"), ("session.ended", "ann", "key-1")]


def test_expired_sessions_are_forgotten_and_others_stay(store: Store) -> None:
    old, _ = start_session(store, ANN, KEY, 12)
    young, _ = start_session(store, ANN, KEY, 12)
    with store.write() as connection:
        past = store.now(connection) - timedelta(seconds=1)
        connection.execute(update(sessions).where(sessions.c.sha256 == old.sha256).values(expires_at=past))
    assert forget_old(store)["sessions"] == 1
    assert set(find_sessions(store, [old.sha256, young.sha256])) == {young.sha256}


def test_nobody_is_let_in_who_cannot_be_remembered(store: Store) -> None:
    with store.write() as connection:
        metadata.tables["sessions"].drop(connection)
    with pytest.raises(UnavailableError):
        start_session(store, ANN, KEY, 12)
    assert list_entries(store) == []
