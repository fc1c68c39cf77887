"""Administration in a real browser: keys are made and revoked, and people, settings and the audit log can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from core.roles import Caller
from feedback.outbox import Event, emit
from feedback.webhooks import add_webhook
from tests.support.browser import Visits
from tests.support.desk import Desk
from tests.support.keys import bearer
from tests.support.page_tasks import SCRIPT
from tests.support.server import Server, run_server

OPERATOR = Caller("tests", "admin")


@pytest.fixture
def open_server(tiny_home: Path, tmp_path: Path) -> Iterator[Server]:
    """A service for which no key was made yet."""
    with run_server(tiny_home, tmp_path, workers=1) as running:
        yield running


def make_key(page: Page, person: str, role: str, **more: str) -> str:
    """Fill in the form for a key; return the key as it is shown."""
    page.get_by_label("Person or application").fill(person)
    page.get_by_label("Role", exact=True).select_option(role)
    if "task" in more:
        page.get_by_role("checkbox", name=more["task"]).check()
    if "last_day" in more:
        page.get_by_label("Last day").fill(more["last_day"])
    page.get_by_label("Note").fill(more.get("note", ""))
    page.get_by_role("button", name="Make the key").click()
    dialog = page.get_by_role("dialog", name="The key is made")
    expect(dialog).to_be_visible()
    return dialog.get_by_label("The key", exact=True).input_value()


def test_a_key_is_made_shown_once_and_revoked(page_of: Callable[..., Page], desk: Desk) -> None:
    page = page_of("root", "/app/admin/keys", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_text("Make a key").click()
    person = f"{SCRIPT} Zoë"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    secret = make_key(page, person, "annotator", task="many", last_day=tomorrow, note=f"desk {SCRIPT}")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    seen = httpx.get(f"{desk.server.url}/v1/tasks", headers=bearer(secret)).json()
    assert [task["name"] for task in seen["tasks"]] == ["many"]

    page.get_by_role("button", name="I have kept it").click()
    row = page.get_by_role("row").filter(has_text="Zoë")
    expect(row).to_contain_text(person)
    expect(row).to_contain_text(f"desk {SCRIPT}")
    expect(row).to_contain_text("many")
    assert secret not in page.content()
    assert page.evaluate("window.stolen") is None

    row.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke this key?")
    expect(dialog).to_contain_text(person)
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    dialog.get_by_role("button", name="Keep it").click()
    row.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("row").filter(has_text="Zoë")).to_have_count(0)
    assert httpx.get(f"{desk.server.url}/v1/tasks", headers=bearer(secret)).status_code == 401
    page.get_by_label("Show").select_option("revoked")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row").filter(has_text="Zoë")).to_contain_text("revoked")


def test_what_is_wrong_with_a_key_is_told(visits: Visits) -> None:
    visits.allow("422 for POST /v1/keys")
    page = visits.of("root", "/app/admin/keys")
    page.get_by_text("Make a key").click()
    page.get_by_label("Person or application").fill("ann\u202e")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("alert")).to_contain_text("person")
    expect(page.get_by_role("button", name="Make the key")).to_be_enabled()


def test_nobody_revokes_the_key_they_came_with(page_of: Callable[..., Page]) -> None:
    page = page_of("root", "/app/admin/keys?person=root")
    row = page.get_by_role("row").filter(has_text="yours, now")
    expect(row).to_have_count(1)
    expect(row.get_by_role("button")).to_have_count(0)


def test_people_and_their_work(page_of: Callable[..., Page], desk: Desk) -> None:
    desk.bring("brief", "somebody answers this")
    (item,) = desk.claim("bob", "brief")
    assert desk.answer("bob", item, label="parcel").status_code == 201
    page = page_of("root", "/app/admin/people")
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="bob"))
    expect(card).to_contain_text("annotator")
    expect(card.get_by_role("row").filter(has_text="brief")).to_contain_text("1")
    card.get_by_role("link", name="What they changed").click()
    expect(page.locator("#entries tbody tr").first).to_contain_text("bob")
    page.go_back()
    card.get_by_role("link", name="All keys of this person").click()
    expect(page.locator("#keys tbody tr")).to_have_count(1)


def test_the_audit_log_is_narrowed_down_and_paged(page_of: Callable[..., Page], desk: Desk) -> None:
    for number in range(3):
        desk.bring("many", *(f"to be imported {number} {part}" for part in range(2)))
    page = page_of("root", "/app/admin/audit")
    page.get_by_label("What").select_option("import")
    page.get_by_label("By").fill("rita")
    page.get_by_role("button", name="Show").click()
    rows = page.locator("#entries tbody tr")
    expect(rows.first).to_contain_text("import")
    numbers = [int(one) for one in page.locator("#entries tbody th").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)
    page.goto(f"/app/admin/audit?actor=rita&action=import&before={numbers[0]}")
    rest = [int(one) for one in page.locator("#entries tbody th").all_inner_texts()]
    assert rest == numbers[1:]
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("#entries tbody th").first).to_have_text(str(numbers[0]))


def test_settings_are_shown_without_secrets(page_of: Callable[..., Page], desk: Desk) -> None:
    page = page_of("root", "/app/admin/settings")
    port = page.get_by_role("row").filter(has=page.get_by_text("REGRADE_PORT", exact=True))
    expect(port).to_contain_text(str(desk.server.port))
    expect(port).to_contain_text("set")
    api_key = page.get_by_role("row").filter(has=page.get_by_text("REGRADE_API_KEY", exact=True))
    expect(api_key).to_contain_text("not set")
    page.get_by_text("tiny-intent", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="per_minute").filter(has_text="30")).to_be_visible()
    for key in desk.keys.values():
        assert key not in page.content()


def test_webhooks_tell_whether_events_arrive(page_of: Callable[..., Page], desk: Desk) -> None:
    add_webhook(desk.store, OPERATOR, "https://hooks.example.com/secret-path", ["alert.raised"], private=False)
    with desk.store.write() as connection:
        emit(connection, [Event("alert.raised", "many", {"alert": "test"})])
    page = page_of("root", "/app/admin/webhooks")
    expect(page.get_by_role("row").filter(has_text="hooks.example.com")).to_contain_text("alert.raised")
    assert "secret-path" not in page.content()


def test_without_keys_the_admin_key_makes_the_first(browser: Browser, open_server: Server) -> None:
    page = browser.new_context(base_url=open_server.url).new_page()
    page.goto("/app/admin")
    expect(page.get_by_text("No key was made yet")).to_be_visible()
    page.get_by_role("navigation", name="Administration").get_by_role("link", name="Keys").click()
    expect(page.get_by_role("button", name="Make the key")).to_have_count(0)
    page.get_by_role("link", name="Sign in with it").click()
    page.get_by_label("Your key").fill((open_server.home / "admin.key").read_text().strip())
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    secret = make_key(page, "anna", "admin")
    page.get_by_role("button", name="I have kept it").click()
    expect(page.locator("#keys tbody tr")).to_contain_text("anna")
    assert httpx.get(f"{open_server.url}/v1/keys", headers=bearer(secret)).status_code == 200
    page.context.close()
