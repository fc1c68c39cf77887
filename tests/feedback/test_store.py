"""What is remembered, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, update

from core.errors import ConflictError, SettingError, UnavailableError
from feedback.deployments import live_deployments, record_deployment, record_first_deployment
from feedback.replies import ABANDONED_AFTER, KEPT_FOR, KeptReply, Reservation, give_up, keep_reply, reserve
from feedback.schema import metadata, replies
from feedback.store import Store, open_store

ROOT = Path(__file__).parents[2]


def test_the_migrations_make_what_the_schema_says(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_upgrading_twice_and_at_once_is_harmless(store_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(open_store, [store_url] * 4):
            record_deployment(opened, "a", "v", "test", "tests")
            opened.close()
    again = open_store(store_url)
    assert list(live_deployments(again)) == ["a"]
    again.close()


def test_the_last_deployment_of_a_task_counts(store: Store) -> None:
    before = datetime.now(UTC)
    for task, version in (("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")):
        record_deployment(store, task, version, f"to {version}", "ann")
    live = live_deployments(store)
    assert {task: one.version for task, one in live.items()} == {"a": "1", "b": "1"}
    assert (live["a"].reason, live["a"].actor) == ("to 1", "ann")
    assert before <= live["a"].created_at <= datetime.now(UTC)


def test_of_many_first_deployments_one_wins(store: Store) -> None:
    def first(number: int) -> bool:
        return record_first_deployment(store, "a", str(number), "first", "tests")

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(first, range(16)))
    assert sum(won) == 1
    assert live_deployments(store)["a"].version == str(won.index(True))


def test_processes_that_write_at_once_all_succeed(store: Store, store_url: str) -> None:
    code = (
        "import sys; from feedback.store import open_store; from feedback.deployments import record_deployment\n"
        "store = open_store(sys.argv[1])\n"
        "for n in range(20): record_deployment(store, sys.argv[2], str(n), 'race', 'tests')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([sys.executable, "-c", code, store_url, f"task-{number}"], env=environment)
        for number in range(3)
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert {one.version for one in live_deployments(store).values()} == {"19"}


def test_a_key_is_answered_once(store: Store) -> None:
    first = reserve(store, "predict a", "key", "hash")
    assert first.reply is None
    with pytest.raises(ConflictError, match="still at work"):
        reserve(store, "predict a", "key", "hash")
    keep_reply(store, first, KeptReply(201, b"\x00reply\xff"))
    assert reserve(store, "predict a", "key", "hash").reply == KeptReply(201, b"\x00reply\xff")
    with pytest.raises(ConflictError, match="another body"):
        reserve(store, "predict a", "key", "other")
    assert reserve(store, "predict b", "key", "other").reply is None


def test_a_key_is_free_after_a_failure(store: Store) -> None:
    give_up(store, reserve(store, "s", "key", "hash"))
    assert reserve(store, "s", "key", "other").reply is None


def test_of_many_requests_with_one_key_one_works(store: Store) -> None:
    def take(_: int) -> Reservation | None:
        try:
            return reserve(store, "s", "key", "hash")
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert sum(one is not None for one in pool.map(take, range(16))) == 1


def test_a_request_that_was_given_up_cannot_answer_for_another(store: Store) -> None:
    first = reserve(store, "s", "key", "hash")
    with store.write() as connection:
        connection.execute(
            update(replies).values(created_at=datetime.now(UTC) - ABANDONED_AFTER - timedelta(seconds=1))
        )
    second = reserve(store, "s", "key", "other")
    keep_reply(store, first, KeptReply(200, b"reply of the first"))
    give_up(store, first)
    with pytest.raises(ConflictError, match="still at work"):
        reserve(store, "s", "key", "other")
    keep_reply(store, second, KeptReply(200, b"reply of the second"))
    assert reserve(store, "s", "key", "other").reply == KeptReply(200, b"reply of the second")


@pytest.mark.parametrize(("age", "replied"), [(KEPT_FOR, True), (ABANDONED_AFTER, False)])
def test_old_keys_are_forgotten(store: Store, age: timedelta, replied: bool) -> None:
    reservation = reserve(store, "s", "key", "hash")
    if replied:
        keep_reply(store, reservation, KeptReply(200, b"{}"))
    past = datetime.now(UTC) - age - timedelta(seconds=1)
    with store.write() as connection:
        connection.execute(update(replies).values(created_at=past))
    assert reserve(store, "s", "key", "other").reply is None


def test_a_block_that_fails_writes_nothing(store: Store) -> None:
    row = {"scope": "s", "key": "k", "token": "t", "request_sha256": "h", "created_at": datetime.now(UTC)}

    def write_and_fail() -> None:
        with store.write() as connection:
            connection.execute(replies.insert().values(**row))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert reserve(store, "s", "k", "other").reply is None


def test_tables_of_another_release_are_refused(store: Store) -> None:
    assert store.is_up_to_date()
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert not store.is_up_to_date()
    with pytest.raises(UnavailableError, match="another release"):
        store.upgrade()


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/nowhere/store.sqlite3"])
def test_a_database_that_is_away_is_said_so(url: str) -> None:
    with pytest.raises((UnavailableError, SettingError)):
        open_store(url)


@pytest.mark.parametrize(
    "url", ["not a url", "mysql+nothing://x", "mysql://x", "postgresql+nothing://x", "postgresql://u:secret@h:abc/db"]
)
def test_a_url_that_cannot_be_used_is_explained(url: str) -> None:
    with pytest.raises(SettingError, match="REGRADE_DATABASE_URL") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


SECRET = " ".join(("my", "secret"))
"""As no line of this file, which tracebacks show, has it."""


def test_an_error_repeats_neither_the_statement_nor_its_values(store: Store) -> None:
    moment = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    with pytest.raises(UnavailableError) as caught, store.read() as connection:
        connection.execute(select(replies).where(replies.c.key == SECRET, replies.c.created_at > moment))
    told = "".join(traceback.format_exception(caught.value))
    assert "SELECT" not in str(caught.value)
    assert SECRET not in told


def test_a_failed_insert_does_not_repeat_its_values(store: Store) -> None:
    row = {"scope": "s", "key": SECRET, "token": None, "request_sha256": "h", "created_at": datetime.now(UTC)}
    with pytest.raises(UnavailableError) as caught, store.write() as connection:
        connection.execute(replies.insert().values(**row))
    if store.is_sqlite:  # PostgreSQL itself repeats a row that lacks a value
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_taking_a_key_leaves_others_alone(store: Store) -> None:
    reserve(store, "s", "other", "hash")
    with store.write() as connection:
        connection.execute(update(replies).values(created_at=datetime.now(UTC) - KEPT_FOR - timedelta(seconds=1)))
    reserve(store, "s", "key", "hash")
    with store.read() as connection:
        assert set(connection.scalars(select(replies.c.key))) == {"other", "key"}
