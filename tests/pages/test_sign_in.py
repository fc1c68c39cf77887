"""Signing in and out in a real browser: where it leads, what it says when it fails, and that no script is needed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from core.roles import Caller
from feedback.keys import create_key, revoke_key
from tests.support.browser import Visits
from tests.support.desk import Desk


def give(page: Page, key: str) -> None:
    page.get_by_label("Your key").fill(key)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def test_whoever_is_not_signed_in_is_asked_and_led_on(visits: Visits, desk: Desk) -> None:
    page = visits.open("/app/admin/audit?actor=root&action=keys.create")
    expect(page).to_have_title("Sign in · Regrade")
    expect(page.get_by_label("Your key")).to_be_focused()
    give(page, desk.keys["root"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
    assert page.url.endswith("/app/admin/audit?actor=root&action=keys.create")
    expect(page.get_by_text("root", exact=True).first).to_be_visible()


def test_no_script_can_read_the_cookie_and_none_is_needed(visits: Visits, desk: Desk) -> None:
    page = visits.open("/app/sign-in", java_script_enabled=False)
    give(page, desk.keys["ann"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Tasks")
    (cookie,) = page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Lax")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    with_script = visits.of("ann")
    assert with_script.evaluate("document.cookie") == ""


def test_a_wrong_key_is_told_and_can_be_corrected(visits: Visits, desk: Desk) -> None:
    visits.allow("401 for POST /app/sign-in")
    page = visits.open("/app/sign-in?next=/app/review/many")
    give(page, "rg_wrong")
    expect(page.get_by_role("alert")).to_contain_text("lets nobody in")
    expect(page.get_by_label("Your key")).to_have_value("")
    give(page, desk.keys["ann"])
    page.wait_for_url(re.compile("/app/review/many$"))


def test_signing_out_ends_the_session(page_of: Callable[..., Page]) -> None:
    page = page_of("ann", "/app")
    kept = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Regrade")
    assert page.context.cookies() == []
    page.context.add_cookies([{"name": one["name"], "value": one["value"], "url": page.url} for one in kept])
    page.goto("/app")
    expect(page).to_have_title("Sign in · Regrade")


def test_a_revoked_key_ends_what_its_pages_may_do(visits: Visits, desk: Desk) -> None:
    maker = Caller("tests", "admin")
    key, secret = create_key(desk.store, maker, person="leaving", role="reviewer")
    page = visits.open("/app/sign-in?next=/app/try/tiny-intent")
    give(page, secret)
    expect(page.get_by_role("heading", level=1)).to_have_text("Try it")
    revoke_key(desk.store, maker, key.id)

    def is_out() -> bool:
        return bool(page.evaluate("fetch('/v1/tasks').then((reply) => reply.status)") == 401)

    for _ in range(100):
        if is_out() and is_out() and is_out():
            break
        page.wait_for_timeout(100)
    page.reload()
    expect(page).to_have_title("Sign in · Regrade")


@pytest.mark.parametrize("person", ["ann", "rita", "shop"])
def test_who_may_not_administer_is_told_so(visits: Visits, person: str) -> None:
    visits.allow("403 for GET /app/admin")
    page = visits.of(person)
    expect(page.get_by_role("link", name="Administration")).to_have_count(0)
    page.goto("/app/admin/keys")
    expect(page.get_by_role("heading", level=1)).to_contain_text("403")
    page.get_by_role("link", name="To the first page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tasks")
