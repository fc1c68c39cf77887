"""Many items at once in a real browser, by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from feedback.schema import slots
from tests.support.browser import WAIT_MS, Visits
from tests.support.desk import Desk, run_desk
from tests.support.page_tasks import PAGE_TASKS, SCRIPT, PageTask

TOPICS = {"parcel": "Where it is.", "refund": "Money back.", "password": "Cannot sign in."}
QUIET = "hide_suggestions = 0.0\ncheck_rate = 0.0\n"
TASKS = {
    **{name: PageTask(labels=TOPICS, review=QUIET) for name in ("alike", "undone", "lonely", "away", "script")},
    "short": PageTask(labels=TOPICS, review=f"{QUIET}lease_seconds = 10\n"),
    "sets": PageTask(labels=TOPICS, review=QUIET, more='kind = "multi_label"\n'),
    "chinese": PAGE_TASKS["chinese"],
}
LATE = [f"where is my parcel number {n}" for n in range(5)]


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk"), more=TASKS) as running:
        yield running


def is_shown(page: Page, count: int) -> None:
    """Wait until a group of so many texts is shown and takes an answer."""
    expect(page.locator(".bulk-row")).to_have_count(count)
    page.locator("#desk[data-armed=yes]").wait_for()


def is_saved(page: Page) -> None:
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "0")


def labels(desk: Desk, items: list[str]) -> list[str | None]:
    found = [desk.item(item)["resolution"] for item in items]
    return [one and one["label"] for one in found]


def test_alike_items_are_answered_at_once_and_the_others_given_back(desk: Desk, visits: Visits) -> None:
    alike = desk.bring("alike", *LATE)
    other = desk.bring("alike", "forgot the password")
    page = visits.of("ann", "/app/review/alike/bulk")
    is_shown(page, 5)
    expect(page.locator("#ticked")).to_have_text("5 of 5 ticked")
    shown = page.locator(".bulk-row .text").all_inner_texts()
    assert sorted(shown) == LATE
    page.keyboard.press(";")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#ticked")).to_have_text("4 of 5 ticked")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    is_shown(page, 1)
    expect(page.locator(".bulk-row .text")).to_have_text(shown[1])
    is_saved(page)
    said = dict(zip(LATE, labels(desk, alike), strict=True))
    assert said == dict.fromkeys(LATE, "parcel") | {shown[1]: None}
    page.keyboard.press("2")
    expect(page.locator(".bulk-row .text")).to_have_text("forgot the password")
    is_shown(page, 1)
    page.keyboard.type("pass")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert labels(desk, other) == ["password"]


def test_a_group_is_taken_back_together(desk: Desk, visits: Visits) -> None:
    items = desk.bring("undone", *LATE)
    page = visits.of("ann", "/app/review/undone/bulk")
    is_shown(page, 5)
    page.keyboard.press("1")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    page.keyboard.press("Control+z")
    is_shown(page, 5)
    expect(page.locator("#notices")).to_contain_text("5 answers were taken back")
    page.keyboard.press("*")
    expect(page.locator("#ticked")).to_have_text("0 of 5 ticked")
    page.keyboard.press("2")
    expect(page.locator("#notices")).to_contain_text("Tick at least one text")
    page.keyboard.press("*")
    page.keyboard.press("2")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert labels(desk, items) == ["refund"] * 5


def test_what_is_skipped_does_not_come_again(desk: Desk, visits: Visits) -> None:
    items = desk.bring("lonely", "one thing", "entirely else")
    page = visits.of("ann", "/app/review/lonely/bulk")
    is_shown(page, 1)
    expect(page.locator("#alike")).to_contain_text("stands alone")
    page.keyboard.press("-")
    expect(page.locator(".bulk-row .text")).to_have_text("entirely else")
    is_shown(page, 1)
    page.keyboard.press(".")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert labels(desk, items) == [None, "out_of_scope"]


def test_a_lost_text_is_shown_as_lost_and_not_answered(desk: Desk, visits: Visits) -> None:
    items = desk.bring("short", *LATE[:3])
    page = visits.of("ann", "/app/review/short/bulk")
    is_shown(page, 3)
    with desk.store.write() as connection:
        over = desk.store.now(connection) - timedelta(seconds=1)
        held = (slots.c.item_id == items[1], slots.c.state == "leased")
        connection.execute(update(slots).where(*held).values(lease_expires_at=over))
    [hers] = desk.claim("bob", "short", count=1)
    assert hers["item_id"] == items[1]
    lost = page.locator(f'.bulk-row[data-item="{items[1]}"]')
    expect(lost).to_have_class(re.compile("lost"), timeout=WAIT_MS)  # the next heartbeat tells
    expect(lost.locator("input")).to_be_disabled()
    expect(page.locator("#ticked")).to_have_text("2 of 2 ticked")
    page.keyboard.press("1")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert labels(desk, items) == ["parcel", None, "parcel"]


def test_answers_given_without_a_network_are_sent_later(desk: Desk, visits: Visits) -> None:
    visits.allow("ERR_INTERNET_DISCONNECTED")
    items = desk.bring("away", *LATE)
    page = visits.of("ann", "/app/review/away/bulk")
    is_shown(page, 5)
    page.context.set_offline(True)
    page.keyboard.press("3")
    expect(page.locator("#status")).to_contain_text("cannot be reached")
    expect(page.locator("#going")).to_be_visible()
    assert labels(desk, items) == [None] * 5
    page.context.set_offline(False)
    is_saved(page)
    expect(page.locator("#going")).to_be_hidden()
    assert labels(desk, items) == ["password"] * 5


def test_hostile_texts_and_an_answer_that_came_too_late(desk: Desk, visits: Visits) -> None:
    items = desk.bring("script", SCRIPT, f"{SCRIPT} again")
    page = visits.of("ann", "/app/review/script/bulk")
    is_shown(page, 2)
    expect(page.locator(".bulk-row .text").first).to_have_text(SCRIPT)
    settled = desk.post("rita", f"/v1/queue/items/{items[1]}/decide", {"label": "refund"})
    assert settled.status_code == 201
    page.keyboard.press("1")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert labels(desk, items) == ["parcel", "refund"]
    assert [one["counted"] for one in desk.item(items[1])["answers"]] == ["true", "extra"]
    expect(page.locator("#notices")).to_contain_text("kept as an extra answer")
    assert page.evaluate("window.stolen") is None


def test_several_labels_a_text(desk: Desk, visits: Visits) -> None:
    items = desk.bring("sets", *LATE[:2])
    page = visits.of("ann", "/app/review/sets/bulk")
    is_shown(page, 2)
    page.keyboard.press("1")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing-name")).to_have_text("Nothing is waiting")
    is_saved(page)
    assert [desk.item(item)["resolution"]["labels"] for item in items] == [["parcel", "password"]] * 2


def test_leaving_gives_everything_back(desk: Desk, visits: Visits) -> None:
    desk.bring("chinese", "我的包裹还没到呢", "我的包裹还没有到", "服务")
    page = visits.of("ann", "/app/review/chinese/bulk", locale="zh-CN")
    is_shown(page, 2)
    assert page.locator("html").get_attribute("lang") == "zh"
    page.goto("/app")
    assert len(desk.claim("bob", "chinese", count=5)) == 3
