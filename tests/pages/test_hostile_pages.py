"""Whatever people and models say is shown as text: markup does nothing, marks of direction move no word of the page's
own, length breaks no layout; and the headers of every page forbid what the pages themselves never do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from core.roles import Caller
from feedback.keys import create_key
from tests.support.browser import Visits
from tests.support.desk import Desk, unique
from tests.support.page_tasks import BIDI, SCRIPT
from tests.support.pages import FILES
from tests.support.tour import HOSTILE, LONG, PEOPLE, fill, signed_in, stops

MALLORY = f"mallory {SCRIPT}"
"""Somebody whose name is hostile too."""

PRESENT = "() => document.body.innerText.includes('window.stolen = 1')"

_UNTAMED = """() => {
  const marks = /[\\u202a-\\u202e\\u2066-\\u2069\\u200e\\u200f]/;
  const tame = (node) => /isolate|plaintext/.test(getComputedStyle(node).unicodeBidi);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const parent = text.parentElement;
    if (!marks.test(text.data) || parent.closest("script, style, textarea, option, template")) continue;
    let node = parent;
    while (!tame(node) && getComputedStyle(node).display.startsWith("inline")) node = node.parentElement;
    const alone = node.textContent.trim() === text.data.trim();
    if (!tame(node) && !alone) found.push(node.outerHTML.slice(0, 160));
  }
  return found;
}"""
"""Elements in which a mark of direction may reach words beside it: neither isolated, nor alone in its block."""


@pytest.fixture(scope="module")
def values(desk: Desk) -> dict[str, str]:
    filled = fill(desk)
    _, desk.keys["mallory"] = create_key(
        desk.store, Caller("tests", "admin"), person=MALLORY, role="annotator", tasks=["hostile"], note_text=SCRIPT
    )
    said = desk.answer("mallory", desk.claim("mallory", "hostile")[0], label=SCRIPT, comment=HOSTILE)
    assert said.status_code == 201, said.text
    return filled


@pytest.fixture(scope="module")
def hostile(desk: Desk, values: dict[str, str]) -> dict[str, str]:
    """What goes into the paths of pages so that they show hostile words."""
    settled = desk.claim("bob", "hostile")[0]
    desk.answer("bob", settled, label=SCRIPT, comment=HOSTILE, proposed_label=HOSTILE[:200])
    return {**values, "task": "hostile", "id": settled["item_id"]}


@pytest.fixture
def root(desk: Desk, values: dict[str, str]) -> Iterator[httpx.Client]:  # noqa: ARG001 - the service must be filled
    with httpx.Client(base_url=desk.server.url, timeout=30) as client:
        client.post("/app/sign-in", data={"key": desk.keys["root"]})
        yield client


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def paths(values: dict[str, str]) -> list[str]:
    """Return the path of every page, with the hostile task too where the page takes one."""
    found = []
    for stop in stops(values):
        found.append(stop.path)
        if "{task}" in stop.template and not {"{version}", "{run}"} & set(re.findall(r"{\w+}", stop.template)):
            found.append(stop.page.path({**values, "task": "hostile"}))
    return list(dict.fromkeys(found))


def check(page: Page) -> None:
    """Fail where hostile words did anything."""
    assert page.evaluate("window.stolen") is None, page.url
    assert page.locator("img[src='x']").count() == 0, page.url
    assert page.evaluate(_UNTAMED) == [], page.url


def test_no_page_does_what_a_text_says(visits: Visits, desk: Desk, hostile: dict[str, str]) -> None:
    page = visits.open("/app/sign-in", storage_state=signed_in(desk, PEOPLE["admin"]))
    for path in paths(hostile):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        check(page)


@pytest.mark.parametrize(
    "path",
    [
        "/app",
        "/app/review/hostile",
        "/app/review/hostile/bulk",
        "/app/adjudicate/disputed",
        "/app/tasks/hostile",
        "/app/admin/people",
        "/app/admin/keys",
        "/app/items/{id}",
    ],
)
def test_it_is_shown_as_text(visits: Visits, desk: Desk, hostile: dict[str, str], path: str) -> None:
    page = visits.open(path.format(**hostile), storage_state=signed_in(desk, PEOPLE["admin"]))
    page.wait_for_function(PRESENT)
    check(page)


def test_what_somebody_tries_is_shown_as_text(visits: Visits, desk: Desk, hostile: dict[str, str]) -> None:  # noqa: ARG001
    page = visits.open("/app/try/tiny-intent", storage_state=signed_in(desk, PEOPLE["app"]))
    page.locator("main textarea").first.fill(unique(HOSTILE))
    with page.expect_response("**/predict"):
        page.keyboard.press("Control+Enter")
    page.wait_for_function(PRESENT)
    check(page)


def test_a_hostile_name_is_shown_as_text(visits: Visits, desk: Desk, hostile: dict[str, str]) -> None:  # noqa: ARG001
    page = visits.open("/app", storage_state=signed_in(desk, "mallory"))
    assert SCRIPT in page.locator("header").inner_text()
    check(page)


def test_ten_thousand_characters_break_no_layout(visits: Visits, desk: Desk, values: dict[str, str]) -> None:  # noqa: ARG001
    [item_id] = desk.bring("chinese", unique(LONG)[-10_000:], priority=10)
    state: dict[str, Any] = signed_in(desk, "root")
    for width in (1280, 360):
        page = visits.open(f"/app/items/{item_id}", storage_state=state, viewport={"width": width, "height": 800})
        page.wait_for_function("() => document.body.innerText.includes('xxxxxxxx')")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_every_page_forbids_scripts_and_is_not_kept(root: httpx.Client, hostile: dict[str, str]) -> None:
    for path in [*paths(hostile), "/app/nothing-here", "/app/tasks/nothing-here"]:
        reply = root.get(path)
        policy = reply.headers["content-security-policy"]
        if path.startswith("/app/reports/") and reply.status_code == 200:
            assert "sandbox" in policy.split("; "), path
            assert "allow-scripts" not in policy
        else:
            assert "script-src 'self';" in policy, path
            assert "unsafe" not in policy, path
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "no-store" in reply.headers["cache-control"], path
        assert reply.headers["x-content-type-options"] == "nosniff", path


def test_pages_hold_no_script_or_style_of_their_own(root: httpx.Client, hostile: dict[str, str]) -> None:
    for path in paths(hostile):
        if path.startswith("/app/reports/"):
            continue
        html = root.get(path).text
        tags = Tags()
        tags.feed(html)
        assert len(tags.found) > 10
        for tag, attributes in tags.found:
            assert tag != "style", path
            assert tag != "script" or attributes.get("src") or attributes.get("type") == "application/json", path
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (path, tag)
            assert not (attributes.get("href") or "").startswith("javascript:"), path


def test_a_page_of_somebody_else_is_refused(desk: Desk) -> None:
    with httpx.Client(base_url=desk.server.url) as nobody:
        for path in ("/app", "/app/review/hostile", "/app/admin/keys"):
            reply = nobody.get(path)
            assert (reply.status_code, reply.headers["location"].split("?")[0]) == (303, "/app/sign-in")


def test_files_are_kept_for_good_and_nothing_else_is_a_file(root: httpx.Client) -> None:
    page = root.get("/app").text
    [style] = re.findall(rf'href="({FILES}\w+/style\.css)"', page)
    reply = root.get(style)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in reply.headers["cache-control"]
    folder = style.rsplit("/", 1)[0]
    for wrong in (
        f"{folder}/nothing.js",
        f"{folder}/../site.py",
        f"{folder}/..%2fsite.py",
        f"{folder}/%2e%2e%2fsite.py",
        f"{folder}/..%5csite.py",
        f"{folder}/base.html.j2",
        f"{folder}/style.css/",
        f"{folder}/",
        f"{FILES}0000000000000000/style.css",
        f"{FILES}../../../../etc/passwd",
        f"{FILES}style.css",
    ):
        path = httpx.URL(root.base_url).copy_with(raw_path=wrong.encode())
        refused = root.send(httpx.Request("GET", path, headers={"host": root.base_url.netloc.decode()}))
        assert refused.status_code == 404, wrong


def test_reports_are_found_by_name_alone(root: httpx.Client, values: dict[str, str]) -> None:
    good = f"/app/reports/tiny-intent/{values['version']}"
    assert root.get(good).status_code == 200
    for wrong in ("..%2f..%2fregrade.sqlite3", "%2e%2e", "nothing", f"{values['version']}.html", "a" * 300):
        path = httpx.URL(root.base_url).copy_with(raw_path=f"/app/reports/tiny-intent/{wrong}".encode())
        assert root.send(httpx.Request("GET", path, headers=dict(root.headers))).status_code in {303, 404}, wrong
    assert BIDI not in good


@pytest.mark.parametrize("place", ["people?after", "keys?person", "audit?actor", "audit?action"])
def test_what_no_database_can_hold_is_asked_of_none(root: httpx.Client, place: str) -> None:
    assert root.get(f"/app/admin/{place}=%00").status_code == 422
