"""Adjudication in a real browser: deciding by keyboard, taking back, sending back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import Visits
from tests.support.desk import Desk, run_desk
from tests.support.page_tasks import SCRIPT, PageTask

TOPICS = {"parcel": "Where it is.", "refund": "Money back.", "password": "Cannot sign in."}
SPLIT = (
    'strategy = "combined"\nanswers = 2\nmost_answers = 2\naggregation = "majority"\n'
    "hide_suggestions = 0.0\ncheck_rate = 0.0\n"
)
ALONE = ["decided", "undone", "back", "two", "hostile", "held", "resolved", "none", "slow"]
TASKS = {
    **{name: PageTask(labels=TOPICS, review=SPLIT) for name in ALONE},
    "nameless": PageTask(labels=TOPICS, review=f"{SPLIT}show_names = false\n"),
    "sets": PageTask(labels=TOPICS, review=SPLIT, more='kind = "multi_label"\n'),
}


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk"), more=TASKS) as running:
        yield running


def dispute(
    desk: Desk, task: str, *texts: str, comment: str = "it says so", proposed: str = "lost parcel"
) -> list[str]:
    """Let Ann and Bob disagree on new items; return them."""
    items = desk.bring(task, *texts)
    several = task == "sets"
    sayings: list[tuple[str, dict[str, Any]]] = [
        ("ann", {"labels": ["parcel"]} if several else {"label": "parcel"}),
        ("bob", {"labels": []} if several else {"label": "refund"}),
    ]
    for person, said in sayings:
        for item in desk.claim(person, task, count=50):
            more = {"comment": comment, "proposed_label": proposed} if person == "ann" else {}
            assert desk.answer(person, item, **said, **more).status_code == 201
    return items


def is_shown(page: Page, text: str) -> None:
    expect(page.locator("#text")).to_have_text(text)
    page.locator("#desk[data-armed=yes]").wait_for()


def is_saved(page: Page) -> None:
    expect(page.locator("#desk")).to_have_attribute("data-waiting", "0")


def label_of(desk: Desk, item: str) -> Any:
    resolution = desk.item(item)["resolution"]
    return resolution and resolution["label"]


def test_disputes_are_decided_by_keyboard_alone(desk: Desk, visits: Visits) -> None:
    texts = [f"text {n}" for n in range(4)]
    items = dispute(desk, "decided", *texts)
    page = visits.of("rita", "/app/adjudicate/decided")
    is_shown(page, texts[0])
    expect(page.locator("#waiting")).to_have_text("4 waiting")
    cards = page.locator("#votes .vote")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("ann")
    expect(cards.nth(0)).to_contain_text("Proposes: lost parcel")
    expect(cards.nth(0)).to_contain_text("it says so")
    expect(cards.nth(1)).to_contain_text("refund")
    expect(cards.nth(2)).to_contain_text("No model was asked")
    page.keyboard.press("2")
    is_shown(page, texts[1])
    page.keyboard.type("pass")
    page.keyboard.press("Enter")
    is_shown(page, texts[2])
    page.keyboard.press(",")
    page.keyboard.type("look at the guideline")
    page.keyboard.press("Escape")
    page.keyboard.press(".")
    is_shown(page, texts[3])
    page.keyboard.press("+")
    page.keyboard.type("lost and found")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing-name")).to_have_text("Nothing to decide")
    is_saved(page)
    assert [label_of(desk, item) for item in items] == ["refund", "password", "out_of_scope", "out_of_scope"]
    third, fourth = (desk.item(item)["answers"][-1] for item in items[2:])
    assert (third["annotator"], third["comment"]) == ("rita", "look at the guideline")
    assert fourth["proposed_label"] == "lost and found"


def test_decisions_are_taken_back_one_after_the_other(desk: Desk, visits: Visits) -> None:
    items = dispute(desk, "undone", "one", "two")
    page = visits.of("rita", "/app/adjudicate/undone")
    for text in ("one", "two"):
        is_shown(page, text)
        page.keyboard.press("1")
    for text in ("two", "one"):
        page.keyboard.press("Control+z")
        is_shown(page, text)
        expect(page.locator("#notices")).to_contain_text("taken back")
    is_saved(page)
    assert [label_of(desk, item) for item in items] == [None, None]
    page.keyboard.press("3")
    is_shown(page, "two")
    is_saved(page)
    assert [label_of(desk, item) for item in items] == ["password", None]


def test_an_item_is_sent_back(desk: Desk, visits: Visits) -> None:
    [item] = dispute(desk, "back", "once more please")
    page = visits.of("rita", "/app/adjudicate/back")
    is_shown(page, "once more please")
    page.keyboard.press("-")
    field = page.locator("#back-answers")
    expect(field).to_have_value("2")
    field.fill("3")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing-name")).to_have_text("Nothing to decide")
    is_saved(page)
    assert (desk.item(item)["round"], desk.item(item)["wanted"], desk.item(item)["stage"]) == (2, 3, "crowd")


def test_two_reviewers_are_told_when_one_was_quicker(desk: Desk, visits: Visits) -> None:
    [item] = dispute(desk, "two", "both look at this")
    pages = [visits.of(person, "/app/adjudicate/two") for person in ("rita", "root")]
    for page in pages:
        is_shown(page, "both look at this")
    pages[0].keyboard.press("1")
    is_saved(pages[0])
    pages[1].keyboard.press("2")
    expect(pages[1].locator("#notices")).to_contain_text("A decision was not taken")
    expect(pages[1].locator("#notices")).to_contain_text("both look at this")
    assert label_of(desk, item) == "parcel"


def test_names_are_letters_where_the_task_says_so(desk: Desk, visits: Visits) -> None:
    dispute(desk, "nameless", "who said it")
    page = visits.of("rita", "/app/adjudicate/nameless")
    is_shown(page, "who said it")
    assert page.locator("#votes h3").all_inner_texts()[:2] == ["A", "B"]


def test_what_people_wrote_is_shown_as_text(desk: Desk, visits: Visits) -> None:
    dispute(desk, "hostile", f"{SCRIPT} {'x' * 5_000}", comment=SCRIPT, proposed=SCRIPT)
    page = visits.of("rita", "/app/adjudicate/hostile", viewport={"width": 360, "height": 740})
    page.locator("#desk[data-armed=yes]").wait_for()
    expect(page.locator("#text")).to_contain_text(SCRIPT)
    expect(page.locator("#votes .vote").first).to_contain_text(SCRIPT)
    assert page.evaluate("window.stolen") is None
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_what_somebody_else_looks_at_is_marked(desk: Desk, visits: Visits) -> None:
    dispute(desk, "held", "held by root")
    assert len(desk.claim("root", "held")) == 1
    page = visits.of("rita", "/app/adjudicate/held")
    is_shown(page, "held by root")
    expect(page.locator("#held")).to_have_text("somebody looks at it now")


def test_a_resolved_item_is_decided_anew(desk: Desk, visits: Visits) -> None:
    [item] = desk.bring("resolved", "settled wrongly")
    for person in ("ann", "bob"):
        desk.answer(person, desk.claim(person, "resolved")[0], label="parcel")
    page = visits.of("rita", f"/app/adjudicate/resolved?item={item}")
    is_shown(page, "settled wrongly")
    expect(page.locator("#resolved")).to_contain_text("as parcel")
    page.keyboard.press("2")
    expect(page.locator("#nothing-name")).to_have_text("Nothing to decide")
    is_saved(page)
    assert label_of(desk, item) == "refund"
    visits.allow("404 for GET /app/adjudicate")
    assert page.goto("/app/adjudicate/resolved?item=nonsense").status == 404  # type: ignore[union-attr]


def test_several_labels_are_decided_together(desk: Desk, visits: Visits) -> None:
    [item] = dispute(desk, "sets", "both")
    page = visits.of("rita", "/app/adjudicate/sets")
    is_shown(page, "both")
    expect(page.locator("#votes .vote").nth(1)).to_contain_text("No label")
    for key in ("1", "2", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#nothing-name")).to_have_text("Nothing to decide")
    is_saved(page)
    assert desk.item(item)["resolution"]["labels"] == ["parcel", "refund"]


def test_nothing_to_decide(visits: Visits) -> None:
    page = visits.of("rita", "/app/adjudicate/none")
    expect(page.locator("#nothing-name")).to_have_text("Nothing to decide")


def test_the_next_dispute_waits_for_no_reply(desk: Desk, visits: Visits) -> None:
    items = dispute(desk, "slow", "first", "second")
    held: list[Route] = []
    page = visits.of("rita", "/app/adjudicate/slow")

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/decide", hold)
    is_shown(page, "first")
    page.keyboard.press("1")
    is_shown(page, "second")
    expect(page.locator("#status")).to_have_text("Saving …")
    assert label_of(desk, items[0]) is None
    for route in held:
        route.continue_()
    is_saved(page)
    assert label_of(desk, items[0]) == "parcel"
