"""Answers and resolutions over HTTP, as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from feedback.schema import audit
from tests.support.desk import Desk, run_desk, unique

PATH = "/v1/queue/pair/export"
MOMENTS = tuple({"since": moment} for moment in ("2026", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"))


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk")) as running:
        yield running


@pytest.fixture(scope="module")
def texts(desk: Desk) -> list[str]:
    """Texts that two people have answered alike."""
    brought = [unique("=1+1 parcel"), unique("refund 谢谢")]
    desk.bring("pair", *brought)
    for person in ("ann", "bob"):
        for item in desk.claim(person, "pair", count=10):
            assert desk.answer(person, item, label="parcel").status_code == 201
    return brought


def test_reviewers_take_out_resolutions_and_answers(desk: Desk, texts: list[str]) -> None:
    reply = desk.of("rita").get(PATH)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="pair-resolutions.csv"'
    rows = list(csv.DictReader(io.StringIO(reply.content.decode(), newline="")))
    assert [row["text"] for row in rows] == [f"'{texts[0]}", texts[1]]
    assert {row["label"] for row in rows} == {"parcel"}
    answers = desk.of("rita").get(PATH, params={"what": "answers", "format": "jsonl"})
    assert [json.loads(line)["annotator"] for line in answers.text.splitlines()] == ["ann", "ann", "bob", "bob"]
    studio = desk.of("root").get(PATH, params={"format": "label-studio"})
    assert [task["data"]["text"] for task in studio.json()] == texts


def test_who_took_what_is_in_the_audit_log(desk: Desk, texts: list[str]) -> None:
    desk.of("rita").get(PATH, params={"since": "2090-01-01T00:00:00Z"})
    with desk.store.read() as connection:
        entries = connection.execute(select(audit).where(audit.c.action == "export").order_by(audit.c.id)).all()
    assert (entries[-1].actor, entries[-1].object) == ("rita", "pair")
    assert entries[-1].details == {"what": "resolutions", "form": "csv", "rows": 0}
    assert not any(text in str(entries) for text in texts)


def test_others_are_refused(desk: Desk) -> None:
    assert desk.of("ann").get(PATH).status_code == 403
    assert desk.of("shop").get(PATH).status_code == 403
    assert desk.of("rita").get("/v1/queue/secret/export").status_code == 404
    for query in ({"format": "parquet"}, {"what": "texts"}, {"since": "soon"}, {"limit": "1"}, *MOMENTS):
        assert desk.of("rita").get(PATH, params=query).status_code == 422
    head = desk.of("rita").head(PATH)
    assert (head.status_code, head.content) == (200, b"")
