"""Try it, and the page of an item, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import Visits
from tests.support.desk import Desk, unique
from tests.support.page_tasks import SCRIPT

PATH = "/app/try/tiny-intent"


def ask(page: Page, text: str) -> None:
    page.get_by_label("A message").fill(text)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".answer")).to_be_visible()


def test_a_message_is_judged_and_its_numbers_are_replaced(page_of: Callable[..., Page]) -> None:
    page = page_of("shop", PATH)
    expect(page.get_by_label("A message")).to_be_focused()
    ask(page, "where is my parcel, call +44 20 7946 0958")
    answer = page.locator(".answer")
    expect(answer.locator(".bars").first.locator(".bar-row")).to_have_count(3)
    expect(answer).to_contain_text("Personal numbers were replaced")
    expect(answer).to_contain_text("where is my parcel, call <PHONE>")
    expect(answer).to_contain_text("Nobody is asked")
    expect(answer).to_contain_text("needs 0.0%")
    expect(answer).to_contain_text("at most 100.0%")
    expect(page.get_by_role("status").first).to_contain_text("Nobody is asked")
    expect(answer.get_by_role("link", name="See the item")).to_be_hidden()


def test_a_long_message_says_that_its_end_was_left_out(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    ask(page, "where is my parcel " * 100)
    expect(page.locator(".answer")).to_contain_text("the end was left out")


def test_somebody_says_what_is_right(page_of: Callable[..., Page], desk: Desk) -> None:
    page = page_of("rita", PATH)
    text = f"{unique('refund the parcel')} {SCRIPT}"
    ask(page, text)
    answer = page.locator(".answer")
    said = answer.locator(".verdict").inner_text()
    answer.get_by_role("button", name="This is wrong").click()
    choice = answer.get_by_label("What is right?")
    expect(choice).to_be_focused()
    right = next(name for name in ("parcel", "refund", "password") if name != said)
    assert said not in choice.locator("option").all_inner_texts()
    choice.select_option(right)
    answer.get_by_label("Comment").fill(f"look {SCRIPT}")
    answer.get_by_role("button", name="Send the report").click()
    expect(answer).to_contain_text("people are asked about the text")
    answer.get_by_role("link", name="See the item").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("open")
    expect(page.locator("main > .text")).to_have_text(text)
    expect(page.get_by_text("Reported wrong", exact=True).first).to_be_visible()
    report = page.get_by_role("region", name="Reports").get_by_role("row").nth(1)
    expect(report).to_contain_text(right)
    expect(report).to_contain_text(f"look {SCRIPT}")
    expect(report).to_contain_text("try-it")
    assert page.evaluate("window.stolen") is None
    item = desk.item(page.url.rpartition("/")[2])
    assert [one["source"] for one in item["reports"]] == ["try-it"]


def test_right_and_wrong_without_a_label(page_of: Callable[..., Page]) -> None:
    page = page_of("shop", PATH)
    ask(page, unique("where is my parcel"))
    page.get_by_role("button", name="This is right").click()
    expect(page.locator(".answer")).to_contain_text("that this was right")
    ask(page, unique("refund please"))
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("What is right?")).to_be_hidden()
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_label("What is right?").select_option("I cannot tell, but not this")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator(".answer")).to_contain_text("Thank you")
    expect(page.get_by_role("link", name="See the item")).to_be_hidden()


def test_earlier_messages_are_shown_again(page_of: Callable[..., Page]) -> None:
    page = page_of("root", PATH)
    expect(page.get_by_text("Earlier in this visit")).to_be_hidden()
    for text in ("first message", "second message"):
        ask(page, text)
        expect(page.locator(".answer .seen")).to_have_text(text)
    expect(page.locator("#tries li")).to_have_count(2)
    expect(page.locator("#tries li").first).to_contain_text("second message")
    page.get_by_role("button", name="first message").click()
    expect(page.get_by_label("A message")).to_have_value("first message")
    expect(page.locator(".answer .seen")).to_have_text("first message")


def test_what_goes_wrong_is_told_and_the_text_stays(visits: Visits) -> None:
    page = visits.of("shop", PATH)
    page.context.set_offline(True)
    page.get_by_label("A message").fill("is anybody there")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".answer")).to_be_visible()
    expect(page.get_by_label("A message")).to_have_value("is anybody there")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_task_without_a_model_says_so(visits: Visits) -> None:
    page = visits.of("shop", "/app/try/pair")
    expect(page.get_by_text("no live model yet")).to_be_visible()
    page.get_by_label("A message").fill("hello")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("has no live model")


def test_hostile_labels_are_only_text(page_of: Callable[..., Page]) -> None:
    page = page_of("shop", "/app/try/hostile")
    page.get_by_text("What the 3 labels mean").click()
    expect(page.locator(".labels dt").first).to_have_text(SCRIPT)
    assert page.evaluate("window.stolen") is None


def test_an_item_tells_who_said_what(page_of: Callable[..., Page], visits: Visits, desk: Desk) -> None:
    (item_id,) = desk.bring("disputed", unique(f"parcel or refund {SCRIPT}"))
    for person, label in (("ann", "parcel"), ("bob", "refund")):
        (held,) = [one for one in desk.claim(person, "disputed", count=50) if one["item_id"] == item_id]
        assert desk.answer(person, held, label=label, comment=f"{SCRIPT} by {person}").status_code == 201
    page = page_of("rita", f"/app/items/{item_id}")
    rows = page.locator("#answers tbody tr")
    expect(rows).to_have_count(2)
    for person, label in (("ann", "parcel"), ("bob", "refund")):
        row = rows.filter(has_text=f"by {person}")
        expect(row).to_contain_text(label)
        expect(row.get_by_role("rowheader")).to_contain_text(person)
    expect(page.get_by_text("It was not resolved yet.")).to_be_visible()
    assert page.evaluate("window.stolen") is None

    visits.allow("404 for GET /app/items|403 for GET /app/items")
    (secret,) = [one["item_id"] for one in _import_secret(desk)]
    for path in (f"/app/items/{secret}", "/app/items/none"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text("404")
    stranger = page_of("ann")
    stranger.goto(f"/app/items/{item_id}")
    expect(stranger.get_by_role("heading", level=1)).to_contain_text("403")


def _import_secret(desk: Desk) -> list[dict[str, str]]:
    reply = desk.post("root", "/v1/queue/secret/items", {"texts": [{"text": unique("nobody else sees this")}]})
    items: list[dict[str, str]] = reply.json()["items"]
    return items
