"""API keys: shown once, kept hashed, good until they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, select

from core.errors import InvalidError, NotFoundError
from core.roles import Caller
from feedback.audit import list_entries
from feedback.keys import (
    any_keys,
    create_key,
    find_key,
    fingerprint_keys,
    good_keys,
    hash_secret,
    list_keys,
    new_secret,
    person_fault,
    revoke_key,
    touch_keys,
)
from feedback.schema import metadata
from feedback.store import Store

OPERATOR = Caller("cli:tester", "admin")


def everything(store: Store) -> str:
    """Return all that the database holds, as text."""
    with store.read() as connection:
        names = inspect(connection).get_table_names()
        rows = [connection.execute(select(metadata.tables[name])).all() for name in names if name in metadata.tables]
    return repr(rows)


def now(store: Store) -> Any:
    with store.read() as connection:
        return store.now(connection)


def test_a_key_is_found_by_its_secret_which_is_kept_nowhere(store: Store) -> None:
    assert not any_keys(store)
    key, secret = create_key(
        store, OPERATOR, person="王 伟", role="annotator", tasks=["b", "a", "b"], note_text="laptop"
    )
    found = find_key(store, hash_secret(secret))
    assert found == key
    assert (key.person, key.role, key.tasks, key.created_by) == ("王 伟", "annotator", ("a", "b"), "cli:tester")
    assert key.caller == Caller("王 伟", "annotator", key.id, frozenset({"a", "b"}))
    assert secret.startswith(key.prefix)
    assert len(secret) > len(key.prefix) + 32
    assert secret not in everything(store)
    assert secret[len(key.prefix) :] not in everything(store)
    assert find_key(store, hash_secret(secret[:-1])) is None
    assert find_key(store, hash_secret("")) is None
    assert any_keys(store)
    assert list_keys(store) == [key]


def test_two_keys_differ(store: Store) -> None:
    made = [create_key(store, OPERATOR, person="anna", role="app") for _ in range(3)]
    assert len({secret for _, secret in made}) == 3
    assert [key.id for key in list_keys(store)] == [key.id for key, _ in made]
    assert made[0][0].caller.may_see("anything")
    assert len({new_secret() for _ in range(100)}) == 100


def test_a_revoked_key_is_known_and_not_good(store: Store) -> None:
    key, secret = create_key(store, OPERATOR, person="anna", role="app")
    before = fingerprint_keys(store)
    assert good_keys(store).keys() == {hash_secret(secret)}
    revoked = revoke_key(store, OPERATOR, key.id)
    assert revoked.revoked_at is not None
    assert not revoked.is_good(now(store))
    assert fingerprint_keys(store) != before
    assert good_keys(store) == {}
    assert find_key(store, hash_secret(secret)) == revoked
    assert revoke_key(store, OPERATOR, key.id) == revoked, "a second time changes nothing"
    assert any_keys(store), "revoking the last key must not let everybody in"
    assert [entry.action for entry in list_entries(store)] == ["keys.create", "keys.revoke"]
    assert [entry.object for entry in list_entries(store)] == [key.id, key.id]


@pytest.mark.parametrize(
    "key_id", ["", "nope", "\x00", "'; DROP TABLE keys; --", "019a8f3e-52c1-7d4b-9a6e-3f0c2b7d81e5"]
)
def test_revoking_what_is_not_there(store: Store, key_id: str) -> None:
    with pytest.raises(NotFoundError, match="regrade keys list"):
        revoke_key(store, OPERATOR, key_id)
    assert list_entries(store) == []


def test_an_expired_key_is_not_good(store: Store) -> None:
    end = now(store) + timedelta(days=1)
    key, secret = create_key(store, OPERATOR, person="anna", role="app", expires_at=end)
    assert key.is_good(end - timedelta(seconds=1))
    assert not key.is_good(end)
    found = find_key(store, hash_secret(secret))
    assert found is not None
    assert found.expires_at == end


@pytest.mark.parametrize(
    ("values", "loc"),
    [
        ({"person": ""}, "person"),
        ({"person": "x" * 201}, "person"),
        ({"person": "a\nb"}, "person"),
        ({"person": " anna"}, "person"),
        ({"person": "a\x00"}, "person"),
        ({"role": "owner"}, "role"),
        ({"role": "Admin"}, "role"),
        ({"tasks": []}, "tasks"),
        ({"ago": timedelta(seconds=1)}, "expires_at"),
        ({"ago": -timedelta(days=365 * 200)}, "expires_at"),
        ({"note_text": "x" * 201}, "note"),
        ({"note_text": "a\x00"}, "note"),
    ],
)
def test_a_key_of_wrong_values_is_not_made(store: Store, values: dict[str, Any], loc: str) -> None:
    wanted: dict[str, Any] = {"person": "anna", "role": "app"} | values
    if "ago" in wanted:
        wanted["expires_at"] = now(store) - wanted.pop("ago")
    with pytest.raises(InvalidError) as raised:
        create_key(store, OPERATOR, **wanted)
    assert [fault.loc for fault in raised.value.faults] == [(loc,)]
    assert not any_keys(store)
    assert list_entries(store) == []


def test_the_last_use_only_moves_on(store: Store) -> None:
    first, _ = create_key(store, OPERATOR, person="anna", role="app")
    second, _ = create_key(store, OPERATOR, person="ben", role="app")
    moment = now(store)
    touch_keys(store, {second.id: moment, first.id: moment})
    touch_keys(store, {first.id: moment - timedelta(seconds=5), second.id: moment + timedelta(seconds=5)})
    touch_keys(store, {})
    assert [key.last_used_at for key in list_keys(store)] == [moment, moment + timedelta(seconds=5)]


def test_one_name_written_in_two_ways_is_one_person(store: Store) -> None:
    key, _ = create_key(store, OPERATOR, person="Zoe\u0308", role="annotator")
    assert key.person == "Zoë"


@given(st.text())
def test_names_that_pass_are_printable_and_short(person: str) -> None:
    if person_fault(person) is None:
        assert 0 < len(person) <= 200
        assert person.isprintable()
        assert person == person.strip()
