"""The review desk in a real browser: answering by keyboard, and nothing lost whatever happens on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tasks.declaration import read_task
from tests.support.browser import Visits
from tests.support.desk import Desk, run_desk, unique
from tests.support.page_tasks import PAGE_TASKS, PageTask
from tests.support.queue import ask
from tests.support.server import wait_until

TOPICS = {"parcel": "Where it is.", "refund": "Money back.", "password": "Cannot sign in."}
QUIET = "hide_suggestions = 0.0\ncheck_rate = 0.0\n"


def topics(more: str = "", review: str = "") -> PageTask:
    return PageTask(labels=TOPICS, more=more, review=QUIET + review)


ALONE = [
    "thirty", "undone", "shared", "held", "offline", "reloaded", "two-tabs", "signed-out", "repeated", "spoken",
    "finished", "refused", "suggesting", "wished", "waking", "leaving",
]  # fmt: skip
"""One task for each test whose queue nobody else must touch."""
TASKS = {
    **{name: topics() for name in ALONE},
    "begun": topics('kind = "multi_label"\n'),
    "beside": replace(topics(), rows=[("my money", "refund")]),
    "sets": topics('kind = "multi_label"\n'),
    "short": topics(review="lease_seconds = 10\n"),
    "late": topics(review="lease_seconds = 10\n"),
    "wide": PAGE_TASKS["wide"],
    "chinese": PAGE_TASKS["chinese"],
}
ANSWER = re.compile(r"/v1/queue/items/[^/]+/answer$")
HEARTBEAT = re.compile(r"/v1/queue/items/[^/]+/heartbeat$")


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk"), more=TASKS) as running:
        yield running


def is_shown(page: Page, text: str | None = None) -> str:
    """Wait until an item is shown and takes answers; return its id."""
    if text is not None:
        expect(page.locator("#text")).to_have_text(text)
    page.locator("#desk[data-armed=yes]").wait_for()
    return page.locator("#desk").get_attribute("data-item") or ""


def press(page: Page, *keys: str) -> None:
    """Press keys, the last of which answers, and wait until another item or none is shown."""
    before = is_shown(page)
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#desk")).not_to_have_attribute("data-item", before)


def is_saved(page: Page) -> None:
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "0")


def labels(desk: Desk, items: list[str]) -> list[str | None]:
    """Return what each item was resolved as, by one answer."""
    found = [desk.item(item) for item in items]
    assert [len([one for one in item["answers"] if not one["undone"]]) for item in found] == [1] * len(items)
    return [item["resolution"] and item["resolution"]["label"] for item in found]


class HeldBack:
    """Requests whose replies do not come until they are let go."""

    def __init__(self) -> None:
        self.held: list[Route] = []
        self._is_open = False

    def meet(self, route: Route) -> None:
        if self._is_open:
            route.continue_()
        else:
            self.held.append(route)

    def let_go(self) -> None:
        self._is_open = True
        while self.held:
            self.held.pop(0).continue_()


def claimed_by(desk: Desk, person: str, task: str, count: int) -> list[dict[str, Any]]:
    """Claim until `person` holds `count` items."""
    held: list[dict[str, Any]] = []

    def is_enough() -> bool:
        held.extend(desk.claim(person, task, count=count - len(held)))
        return len(held) == count

    wait_until(is_enough)
    return held


def test_thirty_items_by_keyboard_alone(desk: Desk, visits: Visits) -> None:
    kinds = ["parcel", "refund", "password"]
    items = desk.bring("thirty", *[f"{kinds[n % 3]} number {n}" for n in range(30)])
    page = visits.of("ann", "/app/review/thirty")
    for _ in items:
        is_shown(page)
        word = page.locator("#text").inner_text().split()[0]
        press(page, str(kinds.index(word) + 1))
    expect(page.locator("#nothing")).to_contain_text("Nothing is waiting")
    expect(page.locator("#sum-answers")).to_have_text("30")
    is_saved(page)
    assert labels(desk, items) == kinds * 10


def test_answers_are_taken_back_one_after_the_other(desk: Desk, visits: Visits) -> None:
    texts = [f"text {n}" for n in range(3)]
    items = desk.bring("undone", *texts)
    page = visits.of("ann", "/app/review/undone")
    for _ in items:
        press(page, "1")
    shown = [desk.item(item)["text"] for item in items]
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    is_shown(page, shown[1])
    expect(page.locator(".picker-option.marked .picker-name")).to_have_text("parcel")
    expect(page.locator("#foot")).to_contain_text("1 answered")
    press(page, "2")
    is_shown(page, shown[2])
    press(page, "3")
    is_saved(page)
    assert labels(desk, items) == ["parcel", "refund", "password"]


def test_two_browsers_never_see_the_same_slot(desk: Desk, visits: Visits) -> None:
    items = desk.bring("shared", *[f"shared {n}" for n in range(16)])
    pages = [visits.of(person, "/app/review/shared") for person in ("ann", "bob")]
    seen: list[str] = []
    for _ in range(4):
        for page in pages:
            seen.append(is_shown(page))
            press(page, "1")
    for page in pages:
        while page.locator("#desk").get_attribute("data-state") == "work":
            seen.append(is_shown(page))
            press(page, "2")
    assert sorted(seen) == sorted(items)
    for page in pages:
        is_saved(page)
    assert None not in labels(desk, items)


def test_a_lost_lease_is_told_and_the_next_item_shown(desk: Desk, visits: Visits) -> None:
    desk.bring("short", "first come", "first served")
    page = visits.of("ann", "/app/review/short")
    page.route(HEARTBEAT, lambda route: route.abort())
    lost = is_shown(page)
    claimed_by(desk, "bob", "short", 2)
    desk.bring("short", "what comes next")
    page.unroute(HEARTBEAT)
    expect(page.locator("#notices")).to_contain_text("went to somebody else")
    assert is_shown(page, "what comes next") != lost


def test_a_late_answer_is_kept(desk: Desk, visits: Visits) -> None:
    (item,) = desk.bring("late", "nearly too late")
    page = visits.of("ann", "/app/review/late")
    page.route(HEARTBEAT, lambda route: route.abort())
    is_shown(page)
    (taken,) = claimed_by(desk, "bob", "late", 1)
    desk.answer("bob", taken, label="refund")
    press(page, "1")
    expect(page.locator("#notices")).to_contain_text("kept as an extra answer")
    assert sorted(one["counted"] for one in desk.item(item)["answers"]) == ["extra", "true"]


def test_the_next_item_does_not_wait_for_the_server(desk: Desk, visits: Visits) -> None:
    items = desk.bring("held", *[f"held back {n}" for n in range(6)])
    page = visits.of("ann", "/app/review/held")
    is_shown(page)
    expect(page.locator("#desk")).to_have_attribute("data-state", "work")
    replies = HeldBack()
    page.route("**/v1/**", lambda route: replies.meet(route))  # noqa: PLW0108 - Playwright marks its handlers
    for _ in range(3):
        press(page, "1")
    is_shown(page)
    assert replies.held, "the answers went somewhere else"
    expect(page.locator("#status")).to_have_text("Saving …")
    assert [len(desk.item(item)["answers"]) for item in items] == [0] * 6
    page.keyboard.press("Control+z")  # of an answer that was not sent yet
    is_shown(page, "held back 2")
    press(page, "2")
    for _ in range(3):
        page.keyboard.press("Control+z")  # the last of them of one whose fate is not known
    is_shown(page, "held back 1")
    expect(page.locator("#notices")).to_contain_text("Taking your answer back")
    replies.let_go()
    is_shown(page, "held back 0")
    while page.locator("#desk").get_attribute("data-state") == "work":
        press(page, "2")
    is_saved(page)
    assert labels(desk, items) == ["refund"] * 6


def test_answers_given_while_the_network_is_away_are_sent_later(desk: Desk, visits: Visits) -> None:
    items = desk.bring("offline", *[f"far away {n}" for n in range(4)])
    page = visits.of("ann", "/app/review/offline")
    is_shown(page)
    page.context.set_offline(True)
    for _ in items:
        press(page, "3")
    expect(page.locator("#status")).to_contain_text("kept in this browser (4)")
    expect(page.locator("#nothing")).to_be_visible()
    assert [len(desk.item(item)["answers"]) for item in items] == [0] * 4
    page.context.set_offline(False)
    is_saved(page)
    expect(page.locator("#status")).to_have_text("All saved")
    assert labels(desk, items) == ["password"] * 4


def test_what_answers_in_the_place_of_the_service_is_not_believed(desk: Desk, visits: Visits) -> None:
    (item,) = desk.bring("offline", "behind a proxy that asks for a password")
    page = visits.of("ann", "/app/review/offline")
    page.route(ANSWER, lambda route: route.fulfill(status=200, content_type="text/html", body="<h1>Sign in</h1>"))
    press(page, "3")
    expect(page.locator("#status")).to_contain_text("kept in this browser (1)")
    page.unroute(ANSWER)
    page.evaluate("dispatchEvent(new Event('online'))")
    is_saved(page)
    assert labels(desk, [item]) == ["password"]
    (given,) = desk.item(item)["answers"]
    assert 0.1 < given["seconds"] < 20  # as the page measured it


def test_a_reload_keeps_what_was_not_sent(desk: Desk, visits: Visits) -> None:
    items = desk.bring("reloaded", *[f"once more {n}" for n in range(3)])
    page = visits.of("ann", "/app/review/reloaded")
    page.route(ANSWER, lambda route: route.abort())
    press(page, "2")
    press(page, "3")
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "2")
    page.reload()
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "2")
    page.unroute(ANSWER)
    is_saved(page)
    is_shown(page)
    assert [len(desk.item(item)["answers"]) for item in items] == [1, 1, 0]


def test_a_reload_keeps_what_was_begun(desk: Desk, visits: Visits) -> None:
    (item,) = desk.bring("begun", "half said")
    page = visits.of("ann", "/app/review/begun")
    is_shown(page)
    page.keyboard.press("2")
    page.keyboard.press(",")
    page.keyboard.type("perhaps also a parcel")
    page.reload()
    is_shown(page, "half said")
    expect(page.locator("#comment")).to_have_value("perhaps also a parcel")
    press(page, "1", "Enter")
    is_saved(page)
    assert desk.item(item)["answers"][0]["labels"] == ["parcel", "refund"]


def test_another_tab_sends_what_one_could_not_and_it_counts_once(desk: Desk, visits: Visits) -> None:
    (item,) = desk.bring("two-tabs", "sent by whom")
    page = visits.of("ann", "/app/review/two-tabs")
    page.route(ANSWER, lambda route: route.abort())
    press(page, "1")
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "1")
    other = page.context.new_page()
    other.goto("/app/review/two-tabs")
    is_saved(other)
    is_saved(page)
    assert labels(desk, [item]) == ["parcel"]
    page.keyboard.press("Control+z")
    is_shown(page, "sent by whom")


def test_who_is_signed_out_loses_nothing(desk: Desk, visits: Visits) -> None:
    items = desk.bring("signed-out", "before", "meanwhile")
    page = visits.of("ann", "/app/review/signed-out")
    press(page, "1")
    is_saved(page)
    page.context.clear_cookies(name=re.compile("session"))
    press(page, "2")
    expect(page.locator("#notices")).to_contain_text("You are signed out")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Sign in").last.click()
    opened.value.locator("input[name=key]").fill(desk.keys["ann"])
    opened.value.locator("input[name=key]").press("Enter")
    opened.value.wait_for_url("**/app/review/signed-out")
    page.bring_to_front()
    is_saved(page)
    expect(page.locator("#notices")).not_to_contain_text("signed out", timeout=20_000)
    assert labels(desk, items) == ["parcel", "refund"]


def test_a_key_that_is_held_down_answers_once(desk: Desk, visits: Visits) -> None:
    items = desk.bring("repeated", *[f"again and again {n}" for n in range(3)])
    page = visits.of("ann", "/app/review/repeated")
    first = is_shown(page)
    page.keyboard.down("1")
    expect(page.locator("#desk")).not_to_have_attribute("data-item", first)
    second = is_shown(page)
    for _ in range(3):
        page.keyboard.down("1")
    page.keyboard.up("1")
    assert is_shown(page) == second
    is_saved(page)
    assert [len(desk.item(item)["answers"]) for item in items] == [1, 0, 0]


def test_everything_that_can_be_said(desk: Desk, visits: Visits) -> None:
    items = desk.bring("spoken", *[f"what to say of {n}" for n in range(5)])
    page = visits.of("ann", "/app/review/spoken")
    is_shown(page)
    page.keyboard.press(",")
    page.keyboard.type("1. really?")
    page.keyboard.press("Escape")
    press(page, ".")
    press(page, "-")
    is_shown(page)
    page.keyboard.press("!")
    page.keyboard.type("two wishes in one")
    press_in_dialog(page)
    is_shown(page, "what to say of 3")
    page.keyboard.press("+")
    page.keyboard.type("small talk")
    page.keyboard.press("Enter")
    is_shown(page, "what to say of 4")
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.keyboard.press("1")  # not for the item: the dialog is open
    page.keyboard.press("Escape")
    is_shown(page, "what to say of 4")
    is_saved(page)
    given = [item["answers"][0] for item in map(desk.item, items[:4])]
    assert [one["kind"] for one in given] == ["out_of_scope", "skip", "flag", "out_of_scope"]
    assert given[0]["comment"] == "1. really?"
    assert given[3]["proposed_label"] == "small talk"
    assert desk.item(items[4])["answers"] == []


def press_in_dialog(page: Page) -> None:
    """Press the first button of the open dialog by keyboard."""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def test_an_item_can_wait_until_later(desk: Desk, visits: Visits) -> None:
    desk.bring("leaving", "first", "second")
    page = visits.of("ann", "/app/review/leaving")
    first = is_shown(page)
    page.wait_for_function("document.querySelector('#desk').dataset.state === 'work'")
    press(page, ";")
    assert is_shown(page) != first
    press(page, ";")
    assert is_shown(page) == first


def test_finishing_gives_back_what_is_held(desk: Desk, visits: Visits) -> None:
    items = desk.bring("finished", *[f"left over {n}" for n in range(4)])
    page = visits.of("ann", "/app/review/finished")
    press(page, "1")
    is_saved(page)
    page.locator("#finish").click()
    expect(page.locator("#summary")).to_be_visible()
    expect(page.locator("#sum-answers")).to_have_text("1")
    assert {item["item_id"] for item in claimed_by(desk, "bob", "finished", 3)} == set(items[1:])


def test_a_page_that_is_left_gives_back_what_it_held(desk: Desk, visits: Visits) -> None:
    items = desk.bring("waking", *[f"left behind {n}" for n in range(4)])
    page = visits.of("ann", "/app/review/waking")
    is_shown(page)
    page.goto("/app")
    assert {item["item_id"] for item in claimed_by(desk, "bob", "waking", 4)} == set(items)


def test_an_answer_that_is_refused_is_shown(desk: Desk, visits: Visits) -> None:
    (item,) = desk.bring("refused", "said twice")
    page = visits.of("ann", "/app")
    with page.expect_response(re.compile("/claim$")) as claimed:
        page.goto("/app/review/refused")
    (held,) = claimed.value.json()["items"]
    is_shown(page)
    assert desk.answer("ann", held, label="refund").status_code == 201
    press(page, "1")
    notice = page.locator("#notices")
    expect(notice).to_contain_text("this lease has ended")
    expect(notice).to_contain_text("said twice")
    expect(notice).to_contain_text("You said: parcel")
    page.reload()
    expect(notice).to_contain_text("You said: parcel")
    notice.get_by_role("button", name="Dismiss").click()
    page.reload()
    is_saved(page)
    expect(notice).not_to_contain_text("You said: parcel")
    assert labels(desk, [item]) == ["refund"]


def test_sets_of_labels(desk: Desk, visits: Visits) -> None:
    items = desk.bring("sets", "two of them", "none of them", "one by name")
    page = visits.of("ann", "/app/review/sets")
    press(page, "1", "3", "Enter")
    press(page, "Enter")
    is_shown(page)
    page.keyboard.type("refu")
    page.keyboard.press("Enter")
    expect(page.locator("[role=option][aria-selected=true] .picker-name")).to_have_text("refund")
    press(page, "Enter")
    is_saved(page)
    said = [desk.item(item)["resolution"]["labels"] for item in items]
    assert said == [["parcel", "password"], [], ["refund"]]


def test_many_labels_are_found_by_typing(desk: Desk, visits: Visits) -> None:
    items = desk.bring("wide", "a first one", "a second one", "x" * 2_000 + " word" * 600)
    page = visits.of("ann", "/app/review/wide")
    is_shown(page)
    page.keyboard.type("blocked acc")
    expect(page.locator("[role=option]:visible")).to_have_count(1)
    press(page, "Enter")
    is_shown(page)
    page.keyboard.type("refund")
    expect(page.locator("[role=option]:visible")).to_have_count(5)
    press(page, "ArrowDown", "Enter")
    is_shown(page)
    expect(page.locator("#text")).to_have_text("x" * 2_000 + " word" * 600)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("PageDown")
    page.wait_for_function("document.querySelector('#text').scrollTop > 0")
    is_saved(page)
    assert labels(desk, items[:2]) == ["blocked account", "lost refund"]


def test_what_helps_stands_beside_the_item(desk: Desk, visits: Visits) -> None:
    desk.bring("beside", "where is the parcel that I sent", "where is the parcel that I ordered")
    page = visits.of("ann", "/app/review/beside")
    is_shown(page)
    expect(page.locator("#guideline")).to_contain_text("Say what the text is about.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#description")).to_have_text("Money back.")
    page.get_by_role("button", name="Show examples").click()
    expect(page.locator("#example-texts")).to_contain_text("From the training data")
    page.locator("#similar summary").click()
    expect(page.locator("#similar-texts")).to_contain_text("Nothing alike")
    page.locator("#labels-filter").focus()
    press(page, "1")
    is_shown(page)
    is_saved(page)

    def is_told() -> bool:
        page.locator("#similar summary").click()
        page.locator("#similar-texts li").first.wait_for()
        told = page.locator("#similar-texts").inner_text()
        if "parcel that I sent" not in told:  # the service looks at what was resolved every few seconds
            page.locator("#similar summary").click()
        return "parcel that I sent" in told

    wait_until(is_told)
    expect(page.locator("#similar-texts .badge")).to_have_text("parcel")


def test_chinese_labels_and_words(desk: Desk, visits: Visits) -> None:
    items = desk.bring("chinese", "我的钱什么时候退")
    page = visits.of("ann", "/app/review/chinese", locale="zh-CN")
    is_shown(page)
    assert page.locator("html").get_attribute("lang") == "zh"
    expect(page.locator("#text")).to_have_attribute("lang", "zh")
    page.keyboard.insert_text("退钱")  # of the description
    expect(page.locator("[role=option]:visible .picker-name")).to_have_text(["退款"])
    press(page, "Enter")
    is_saved(page)
    assert labels(desk, items) == ["退款"]


def test_suggestions_are_shown_where_they_are_not_held_back(desk: Desk, visits: Visits) -> None:
    task = read_task(desk.server.home / "tasks" / "suggesting")
    thought = [("refund", 0.62), ("parcel", 0.3)]
    ask(desk.store, task, unique("what the model thinks"), urgency=0.9, suggestions=thought)
    ask(desk.store, task, unique("what nobody is told"), urgency=0.1, hidden=True, suggestions=thought)
    page = visits.of("ann", "/app/review/suggesting")
    is_shown(page)
    suggested = page.locator(".picker-option.suggested")
    expect(suggested).to_have_count(2)
    expect(suggested.filter(has_text="refund")).to_contain_text("62%")
    press(page, "2")
    is_shown(page)
    expect(suggested).to_have_count(0)


def test_only_what_was_chosen_is_claimed(desk: Desk, visits: Visits) -> None:
    task = read_task(desk.server.home / "tasks" / "wished")
    for label in ("parcel", "refund"):
        ask(desk.store, task, f"perhaps {label}", suggestions=[(label, 0.5)])
    page = visits.of("ann", "/app/review/wished")
    is_shown(page)
    page.locator("#wishes summary").click()
    page.locator("#wish-label").select_option("refund")
    is_shown(page, "perhaps refund")
    page.reload()
    is_shown(page, "perhaps refund")
    press(page, "2")
    expect(page.locator("#nothing")).to_contain_text("Nothing that you filtered for")
