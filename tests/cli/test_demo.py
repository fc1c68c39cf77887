"""`regrade demo`: it fills a running service, marked as what it is, and takes all of it out again."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.demo import DEMO_LANGUAGE, DEMO_PEOPLE, DEMO_SUBJECT
from core.roles import Caller
from feedback.demo import has_demo_data
from feedback.keys import create_key, list_keys
from feedback.schema import answers, audit, items, leases, predictions, reports, texts
from feedback.store import Store
from tests.conftest import ENVIRONMENT
from tests.support.demo import contents
from tests.support.memory import EVERYTHING, home_that_asks, store_of
from tests.support.server import ROOT, Server, free_port, run_server, wait_until

ROWS = {
    "parcel": (
        "where is my parcel",
        "the parcel never came",
        "parcel late again",
        "has my box shipped",
        "track it pls",
    ),
    "refund": (
        "give me my money back",
        "refund please",
        "when do I get the refund",
        "money back now",
        "I want a refund",
    ),
    "password": ("forgot my password", "reset mail never came", "cannot log in", "new password please", "locked out"),
    "out_of_scope": ("do you sell cheese", "what a lovely day", "are you hiring"),
}
WHO = Caller("tests", "admin")

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service in open mode that asks about everything."""
    folder = tmp_path_factory.mktemp("demo")
    home = home_that_asks(tiny_home, folder, EVERYTHING, "check_rate = 0.3")
    with run_server(home, folder, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that wants keys; `boss` has one."""
    folder = tmp_path_factory.mktemp("locked")
    home = home_that_asks(tiny_home, folder, EVERYTHING)
    store = store_of(home)
    store.upgrade()
    create_key(store, WHO, person="boss", role="admin")
    store.close()
    with run_server(home, folder, workers=1) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(("text", "label"))
        writer.writerows((text, label) for label, some in ROWS.items() for text in some)
    return path


def environment(server: Server, **more: str) -> dict[str, str]:
    given = {"REGRADE_HOME": str(server.home), "REGRADE_PORT": str(server.port), "REGRADE_TASKS": "tiny-intent"}
    return {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **given, **more}


def regrade(server: Server, *arguments: str | Path, **more: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "regrade", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(server, **more),
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def played(server: Server, file: Path, *arguments: str, **more: str) -> Mapping[str, Any]:
    """Play 40 messages in a hurry; return what happened with the task."""
    short = ("--messages", "40", "--rate", "60", "--seed", "7", "--json")
    done = regrade(server, "demo", "--task", "tiny-intent", "--texts", file, *short, *arguments, **more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["tasks"]["tiny-intent"])


def cleared(server: Server) -> dict[str, int]:
    done = regrade(server, "demo", "--clear", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["cleared"])


def everybody(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.scalars(select(answers.c.annotator)))


def test_it_plays_people_and_an_application_and_leaves_nothing_behind(server: Server, file: Path) -> None:
    with server.client() as client:
        real = client.post("/v1/tasks/tiny-intent/predict", json={"texts": ["where is my parcel", "something real"]})
        assert real.status_code == 200
        one = client.post("/v1/queue/tiny-intent/claim", json={}, headers={"X-Regrade-Annotator": "ann"}).json()[
            "items"
        ]
        path = f"/v1/queue/items/{one[0]['item_id']}/answer"
        said = {"lease_token": one[0]["lease_token"], "label": "parcel"}
        assert client.post(path, json=said, headers={"X-Regrade-Annotator": "ann"}).status_code == 201
    store = store_of(server.home)
    before = contents(store)
    counts = played(server, file)
    assert counts["sent"] == 40
    assert counts["asked"] > 0
    assert counts["answered"] > 0
    assert counts["resolved"] > 0
    assert everybody(store) - {"ann"} <= set(DEMO_PEOPLE)
    with store.read() as connection:
        said_of = connection.execute(
            select(predictions.c.metadata, predictions.c.language, texts.c.subject)
            .join(texts, texts.c.id == predictions.c.id)
            .where(predictions.c.id.not_in([row["id"] for row in before["predictions"]]))
        ).all()
        others = connection.execute(
            select(answers.c.id)
            .join(items, items.c.id == answers.c.item_id)
            .where(answers.c.annotator.in_(DEMO_PEOPLE), items.c.language != DEMO_LANGUAGE)
        ).all()
        told = connection.execute(select(reports.c.source)).all()
    assert len(said_of) == 40
    assert {(row.metadata["demo"], row.language, row.subject) for row in said_of} == {
        ("true", DEMO_LANGUAGE, DEMO_SUBJECT)
    }
    assert others == []
    assert {row.source for row in told} <= {DEMO_SUBJECT}
    with server.client() as client:
        wait_until(lambda: "Demo data" in client.get("/app").text)
        assert cleared(server)["predictions"] == 40
        wait_until(lambda: "Demo data" not in client.get("/app").text)
    assert contents(store) == before
    store.close()


@pytest.mark.slow
def test_with_keys_it_makes_its_own_and_revokes_them(locked: Server, file: Path) -> None:
    store = store_of(locked.home)
    before = contents(store)
    assert played(locked, file)["answered"] > 0
    made = [key for key in list_keys(store) if key.person in DEMO_PEOPLE]
    assert {key.person for key in made} == set(DEMO_PEOPLE)
    assert {key.role for key in made} == {"app", "annotator", "reviewer"}
    assert all(key.tasks == ("tiny-intent",) and key.revoked_at is not None for key in made)
    assert everybody(store) <= set(DEMO_PEOPLE)
    assert cleared(locked)["keys"] == len(DEMO_PEOPLE)
    assert contents(store) == before
    store.close()


@pytest.mark.slow
def test_the_application_takes_the_key_that_is_set(locked: Server, file: Path) -> None:
    store = store_of(locked.home)
    key, secret = create_key(store, WHO, person="shop", role="app")
    played(locked, file, REGRADE_API_KEY=secret)
    assert "demo-shop" not in {one.person for one in list_keys(store)}
    with store.read() as connection:
        assert set(connection.scalars(select(predictions.c.key_id))) == {key.id}
    done = regrade(locked, "demo", "--task", "tiny-intent", "--texts", file, REGRADE_API_KEY="rg_wrong")
    assert done.returncode == 1
    assert "REGRADE_API_KEY" in done.stderr
    cleared(locked)
    assert not has_demo_data(store)
    store.close()


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly(locked: Server, file: Path) -> None:
    store = store_of(locked.home)
    command = [sys.executable, "-m", "regrade", "demo", "--task", "tiny-intent", "--texts", str(file), "--minutes", "0"]
    process = subprocess.Popen(
        command, env=environment(locked), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: process.poll() is not None or everybody(store))
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "tiny-intent" in out
    assert all(key.revoked_at is not None for key in list_keys(store) if key.person in DEMO_PEOPLE)
    with store.read() as connection:
        held = connection.execute(
            select(leases.c.token).where(leases.c.ended.is_(None), leases.c.annotator.in_(DEMO_PEOPLE))
        ).all()
        made = connection.scalars(select(audit.c.action)).all()
    assert held == []
    assert made.count("keys.revoke") >= len(DEMO_PEOPLE)
    cleared(locked)
    store.close()


def test_without_a_service_it_says_how_to_start_one(server: Server, file: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = regrade(server, "demo", "--task", "tiny-intent", "--texts", file, "--url", url)
    assert done.returncode == 1
    assert url in done.stderr
    assert "make serve" in done.stderr


def test_a_service_with_another_store_is_told_apart(locked: Server, file: Path, tmp_path: Path) -> None:
    elsewhere = {"REGRADE_DATABASE_URL": f"sqlite:///{tmp_path / 'other.sqlite3'}"}
    done = regrade(locked, "demo", "--task", "tiny-intent", "--texts", file, **elsewhere)
    assert done.returncode == 1
    assert "another store" in done.stderr


def test_a_task_of_ones_own_needs_texts(server: Server, file: Path) -> None:
    for arguments in ([], ["--task", "tiny-intent"]):
        done = regrade(server, "demo", *arguments)
        assert done.returncode == 1
        assert "--texts" in done.stderr
    assert "--task" in regrade(server, "demo", "--texts", file).stderr
    assert regrade(server, "demo", "--minutes", "1", "--messages", "5").returncode == 2


def test_bad_rows_are_named_and_a_file_without_good_ones_is_refused(server: Server, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\n,parcel\nfine,unheard-of\n", encoding="utf-8")
    done = regrade(server, "demo", "--task", "tiny-intent", "--texts", bad)
    assert done.returncode == 1
    assert "line 2: the text is empty" in done.stderr
    assert "line 3: label 'unheard-of'" in done.stderr
    bad.write_text("message,label\nx,parcel\n", encoding="utf-8")
    assert "expected text and label" in regrade(server, "demo", "--task", "tiny-intent", "--texts", bad).stderr


def test_clearing_where_nothing_was_played_changes_nothing(server: Server) -> None:
    store = store_of(server.home)
    before = contents(store)
    assert cleared(server) == {}
    assert contents(store) == before
    store.close()
