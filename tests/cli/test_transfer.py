"""Texts into the queue and what people said out of it, by command."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
from sqlalchemy import select

from feedback.schema import items, texts
from feedback.store import Store, open_store
from tasks.declaration import read_task
from tests.support.scene import Scene

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

ROWS = [
    ("where is my parcel right now", "parcel", "otto"),
    ("=1+1 is my refund", "refund", "wilma"),
    ("call +49 170 1234567 about it", "password", ""),
    (" ", "parcel", "otto"),
    ("where is my parcel dear shop", "parcel", "otto"),
    ("Where is my parcel  right now", "parcel", "anna"),
]
"""Line 5 is empty, line 6 is in the gold set, line 7 is a copy of line 2."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages.csv"
    with path.open("w", encoding="utf-8", newline="") as output:
        csv.writer(output).writerows([("text", "label", "customer"), *ROWS])
    return path


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{home / 'regrade.sqlite3'}")) as opened:
        yield opened


@pytest.fixture
def scene(store: Store, home: Path) -> Scene:
    return Scene(store, read_task(home / "tasks" / "tiny-intent"))


def rows_of(store: Store) -> list[Any]:
    with store.read() as connection:
        joined = items.join(texts, texts.c.id == items.c.text_id)
        columns = (texts.c.content, texts.c.subject, items.c.reason, items.c.state, items.c.check_value)
        return list(connection.execute(select(*columns).select_from(joined).order_by(items.c.id)))


def test_texts_become_items_once(regrade: Regrade, file: Path, store: Store) -> None:
    done = regrade("import", "tiny-intent", file, "--subject-column", "customer", "--json")
    assert done.returncode == 1  # some rows are not used
    assert "line 5: text is empty" in done.stderr
    assert "line 6: is in the gold set" in done.stderr
    counts = json.loads(done.stdout)
    assert counts == {
        "task": "tiny-intent", "new_items": 3, "shared_with_open_items": 1, "resolved_before": 0, "rows_not_used": 2,
    }  # fmt: skip
    assert [tuple(row[:4]) for row in rows_of(store)] == [
        ("where is my parcel right now", "otto", "imported", "open"),
        ("=1+1 is my refund", "wilma", "imported", "open"),
        ("call <PHONE> about it", None, "imported", "open"),
    ]
    again = json.loads(regrade("import", "tiny-intent", file, "--json").stdout)
    assert (again["new_items"], again["shared_with_open_items"]) == (0, 4)
    assert len(rows_of(store)) == 3


def test_texts_that_were_resolved_are_asked_about_again_only_when_wanted(
    regrade: Regrade, file: Path, scene: Scene
) -> None:
    scene.bring("where is my parcel right now")
    scene.answer("ann", scene.claim("ann")["where is my parcel right now"], "parcel")
    counts = json.loads(regrade("import", "tiny-intent", file, "--json").stdout)
    assert (counts["new_items"], counts["resolved_before"]) == (2, 2)
    counts = json.loads(regrade("import", "tiny-intent", file, "--json", "--again").stdout)
    assert (counts["new_items"], counts["shared_with_open_items"], counts["resolved_before"]) == (1, 3, 0)


def test_known_answers_make_check_items(regrade: Regrade, tmp_path: Path, store: Store) -> None:
    file = tmp_path / "known.jsonl"
    known = [{"text": "known one", "label": "refund"}, {"text": "known two", "label": "unheard-of"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in known), encoding="utf-8")
    done = regrade("import", "tiny-intent", file, "--check")
    assert done.returncode == 1
    assert "line 2: label: 'unheard-of' is no label" in done.stderr
    assert [tuple(row) for row in rows_of(store)] == [("known one", None, "check", "check", 2)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_export_is_imported_elsewhere_unchanged(
    regrade: Regrade, home: Path, tmp_path: Path, scene: Scene, form: str
) -> None:
    scene.predict("=1+1 parcels\r\n谢谢", "otto")
    held = scene.claim("ann")["=1+1 parcels\r\n谢谢"]
    scene.answer("ann", held, "refund", comment="@home")
    written = []
    for what in ("resolutions", "answers"):
        out = tmp_path / f"{what}.{form}"
        done = regrade("export", "tiny-intent", "--what", what, "--out", out)
        assert done.returncode == 0, done.stderr
        assert f"exported 1 {what}" in done.stderr
        written.append(out)
    for old in home.glob("regrade.sqlite3*"):
        old.unlink()
    for out in written:
        done = regrade("import", "tiny-intent", out, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[f"{out.stem}_put_back"] == 1
    for out in written:
        again = tmp_path / f"again-{out.name}"
        assert regrade("export", "tiny-intent", "--what", out.stem, "--out", again).returncode == 0
        if form == "parquet":
            assert pyarrow.parquet.read_table(again).equals(pyarrow.parquet.read_table(out))
        else:
            assert again.read_bytes() == out.read_bytes()


def test_other_forms_and_standard_output(regrade: Regrade, tmp_path: Path, scene: Scene) -> None:
    scene.predict("a parcel", "otto")
    scene.answer("ann", scene.claim("ann")["a parcel"], "refund")
    out = tmp_path / "data"
    assert regrade("export", "tiny-intent", "--format", "datasets", "--out", out).returncode == 0
    assert pyarrow.parquet.read_table(next(out.rglob("*.parquet"))).num_rows == 1
    studio = regrade("export", "tiny-intent", "--format", "label-studio", "--out", "-")
    assert json.loads(studio.stdout)[0]["data"]["text"] == "a parcel"
    nothing = regrade("export", "tiny-intent", "--format", "jsonl", "--since", "2090-01-01", "--out", "-")
    assert (nothing.returncode, nothing.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["export", "tiny-intent", "--out", "somewhere"], 2, "--format"),
        (["export", "tiny-intent", "--out", "-", "--format", "parquet"], 2, "needs a path"),
        (["export", "tiny-intent", "--out", "x.csv", "--since", "soon"], 2, "no moment"),
        (["export", "tiny-intent", "--out", "no/such/folder/x.csv"], 1, "another --out"),
        (["export", "nosuch", "--out", "x.csv"], 1, "nosuch"),
        (["import", "tiny-intent", "missing.csv"], 1, "missing.csv"),
        (["import", "tiny-intent", "missing.csv", "--priority", "11"], 2, "--priority"),
    ],
)
def test_wrong_use_is_explained(regrade: Regrade, arguments: list[str], code: int, words: str) -> None:
    done = regrade(*arguments)
    assert done.returncode == code
    assert words in done.stderr
