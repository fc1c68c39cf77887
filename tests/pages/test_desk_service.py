"""The review desk beside a service that is killed, restarted, or has no keys yet; and beside nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from feedback.store import open_store
from tests.support.browser import Visits
from tests.support.desk import TASKS, Desk, run_desk
from tests.support.server import kill_everything, run_server, serve_home, wait_until

SERVED = ",".join(["tiny-intent", *TASKS])


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A service of this module's own: a test kills it."""
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk")) as running:
        yield running


def answer(page: Page, key: str) -> None:
    page.locator("#desk[data-armed=yes]").wait_for()
    before = page.locator("#desk").get_attribute("data-item") or ""
    page.keyboard.press(key)
    expect(page.locator("#desk")).not_to_have_attribute("data-item", before)


def test_nobody_at_the_desk_holds_nothing_for_long(desk: Desk, visits: Visits) -> None:
    items = desk.bring("checked", *[f"nobody looks at {n}" for n in range(4)])
    page = visits.open("/app/sign-in?next=/app/review/checked")
    page.clock.install()
    page.locator("input[name=key]").fill(desk.keys["ann"])
    page.locator("input[name=key]").press("Enter")
    page.wait_for_url("**/app/review/checked")
    page.clock.run_for(1_000)
    page.locator("#desk[data-armed=yes]").wait_for()
    shown = page.locator("#desk").get_attribute("data-item")
    page.clock.run_for(16 * 60_000)
    got: set[str] = set()

    def is_free() -> bool:
        got.update(item["item_id"] for item in desk.claim("bob", "checked", count=5))
        return len(got) == 3

    wait_until(is_free)
    assert got == set(items) - {shown}


@pytest.mark.slow
def test_a_service_that_dies_and_comes_back_loses_nothing(desk: Desk, visits: Visits) -> None:
    items = desk.bring("tiny-intent", *[f"through thick and thin {n}" for n in range(6)])
    page = visits.of("ann", "/app/review/tiny-intent")
    answer(page, "1")
    answer(page, "2")  # it may be on its way while the service dies
    kill_everything(desk.server)
    answer(page, "3")
    answer(page, "1")
    expect(page.locator("#status")).to_contain_text("kept in this browser")
    server = desk.server
    with serve_home(server.home, server.log, 2, server.port, REGRADE_TASKS=SERVED, REGRADE_DATABASE_URL=""):
        page.evaluate("dispatchEvent(new Event('online'))")  # sooner than it would look by itself
        expect(page.locator("#desk")).to_have_attribute("data-waiting", "0", timeout=90_000)
        for _ in range(2):
            answer(page, "2")
        expect(page.locator("#desk")).to_have_attribute("data-waiting", "0")
        found = [desk.item(item) for item in items]
        assert [len(item["answers"]) for item in found] == [1] * 6
        said = [item["resolution"]["label"] for item in found]
        assert said == ["parcel", "refund", "password", "parcel", "refund", "refund"]


def test_in_open_mode_people_say_who_they_are(browser: Browser, tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path, workers=1) as server:
        store = open_store(f"sqlite:///{server.home / 'regrade.sqlite3'}")
        desk = Desk(server, store, {})
        visits = Visits(browser, desk)
        try:
            body = {"texts": [{"text": "whose answer is this"}]}
            with server.client() as client:
                taken = client.post("/v1/queue/tiny-intent/items", json=body).json()["items"][0]["item_id"]
                page = visits.open("/app/review/tiny-intent")
                page.locator("#who-person").fill("  安娜 ")
                page.locator("#who-person").press("Enter")
                expect(page.locator("#who")).to_have_text("安娜")
                answer(page, "2")
                expect(page.locator("#desk")).to_have_attribute("data-waiting", "0")
                page.reload()
                expect(page.locator("#who")).to_have_text("安娜")
                (given,) = client.get(f"/v1/queue/items/{taken}").json()["answers"]
            assert given["annotator"] == "安娜"
            assert visits.problems == []
        finally:
            visits.close()
            store.close()
