"""The task page and the first page in a real browser: figures that follow what happened, and who sees what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete

from feedback.recording import record
from feedback.schema import summaries
from feedback.summaries import read_summaries
from tasks.declaration import read_task
from tests.support.browser import Visits
from tests.support.desk import Desk
from tests.support.predicted import predicted
from tests.support.queue import make_item
from tests.support.server import wait_until

PATH = "/app/tasks/tiny-intent"
pytestmark = pytest.mark.usefixtures("busy")

SAID: list[dict[str, object]] = [{"label": "parcel"}, {"label": "parcel"}, {"label": "refund"}, {"out_of_scope": True}]
"""What is answered of four of the six items that the model called `parcel`."""
CHARTS = 5
TRADE_OFF = {
    "trust": [0.9, 0.6, 0.0],
    "answered": [40, 80, 100],
    "errors": [0, 2, 10],
    "most_error": [0.07, 0.08, 0.16],
    "rows": 100,
    "outside": 5,
}
"""What training measured, if the tiny model had rows to measure it on; its thresholds here are 0."""


@pytest.fixture(scope="module")
def busy(desk: Desk) -> Desk:
    """Five predictions by the service, six doubtful ones, four of them resolved; and the figures know it."""
    measure(desk)
    texts = [f"where is parcel number {number}" for number in range(5)]
    assert desk.post("shop", "/v1/tasks/tiny-intent/predict", {"texts": texts}).status_code == 200
    task = read_task(desk.server.home / "tasks" / "tiny-intent")
    doubtful = []
    for number in range(6):
        one = predicted(f"doubtful message {number}", task=task.name, inclusion=1.0)
        item = make_item(task, one.id, one.text.sha256, suggestions=one.scores)
        doubtful.append(replace(one, item=item))
    with desk.store.write() as connection:
        record(desk.store, connection, doubtful)
    for said, item_ in zip(SAID, desk.claim("ann", "tiny-intent", count=len(SAID)), strict=True):
        assert desk.answer("ann", item_, **said).status_code == 201
    wait_until(lambda: knows(desk))
    return desk


def measure(desk: Desk) -> None:
    version = (desk.server.home / "versions.txt").read_text(encoding="utf-8").split()[0]
    metrics = desk.server.home / "bentoml" / "models" / "tiny-intent" / version / "metrics.json"
    content = json.loads(metrics.read_text(encoding="utf-8")) | {"trade_off": TRADE_OFF}
    metrics.write_text(json.dumps(content), encoding="utf-8")


def knows(desk: Desk) -> bool:
    summary = read_summaries(desk.store, ["tiny-intent"]).get("tiny-intent")
    labels = summary.figures.labels if summary else []
    return sum(label.predictions for label in labels) == 11 and sum(label.resolved for label in labels) == len(SAID)


def section(page: Page, name: str) -> str:
    """Return the words of a section, without what is folded up."""
    return page.get_by_role("region", name=name, exact=True).first.inner_text()


def test_a_reviewer_sees_how_the_task_does(busy: Desk, page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    version = (busy.server.home / "versions.txt").read_text(encoding="utf-8").split()[0]
    now = section(page, "Now")
    assert version in now
    assert "Open items\n2" in now
    assert "Resolved items\n4" in now
    assert "Answers in the last hour\n4" in now
    assert "50.0%" in section(page, "Live accuracy"), "two of four were right: the naive figure"
    assert "naive" in section(page, "Live accuracy")
    assert "at most 5.0%" in section(page, "Wrong where nobody looks")
    assert "Low confidence" in section(page, "Sent to review")
    assert "6 of the latest 11 predictions" in section(page, "Sent to review")
    assert "11" in section(page, "Confidence")
    assert "ann" in section(page, "Annotators")
    assert version in section(page, "Model versions")


def test_what_the_promise_costs(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    cost = section(page, "Reviews needed a day at this risk")
    assert "at most 5.0% of the answers" in cost
    assert "reviews a day at 11 predictions a day" in cost
    assert "Lately 6 a day were selected" in cost
    region = page.get_by_role("region", name="Reviews needed a day at this risk").first
    region.locator("summary").click()
    rows = [row.inner_text().split() for row in region.locator("tbody tr").all()]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("90.00%", "0.00%", "7.00%"),
        ("60.00%", "2.50%", "8.00%"),
        ("0.00%", "10.00%", "16.00%"),
    ]
    assert rows[2][5:] == ["In", "force"]


def test_labels_and_what_people_called_something_else(busy: Desk, page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    parcel = page.get_by_role("region", name="Labels").get_by_role("row", name="parcel").inner_text().split()
    assert parcel[:5] == ["parcel", "11", "54.5%", "4", "50.0%"]
    confusions = page.get_by_role("region", name="Found by people").first
    rows = [row.inner_text().split("\t")[:3] for row in confusions.locator("tbody tr").all()]
    assert rows == [["parcel", "out of scope", "1"], ["parcel", "refund", "1"]]
    link = confusions.get_by_role("link").first.get_attribute("href")
    assert link is not None
    assert busy.item(link.removeprefix("/app/items/"))["resolution"]["label"] == "out_of_scope"


def test_charts_are_drawn_and_there_as_tables(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    expect(page.locator(".plot[data-drawn]")).to_have_count(CHARTS)
    assert page.locator(".plot .bars path").count() > 0
    assert page.locator(".plot .scatterlayer path").count() > 0
    assert page.get_by_role("img", name="Histogram of the confidence of the latest predictions").count() == 1
    folded = page.locator("figure.chart details")
    expect(folded).to_have_count(CHARTS)
    folded.nth(1).locator("summary").click()
    days = folded.nth(1).locator("tbody tr")
    expect(days).to_have_count(30)
    assert sum(int(row.locator("td").inner_text()) for row in days.all()) == 11


def test_charts_follow_the_theme(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH, color_scheme="light")
    expect(page.locator(".plot[data-drawn]")).to_have_count(CHARTS)
    bar = page.locator("#plot-days .bars path").first
    light = bar.evaluate("bar => getComputedStyle(bar).fill")
    assert light == "rgb(47, 93, 138)", "the accent of the style sheet"
    page.locator("#theme").click()
    expect(bar).not_to_have_css("fill", light)


def test_without_the_charting_library_the_tables_are_open(visits: Visits, page_of: Callable[..., Page]) -> None:
    page = page_of("rita")
    page.route("**/plotly.min.js", lambda route: route.abort())
    page.goto(PATH)
    expect(page.locator("figure.chart details[open]")).to_have_count(CHARTS)
    expect(page.locator(".plot:visible")).to_have_count(0)
    visits.allow("plotly")


def test_tables_can_be_sorted(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    table = page.get_by_role("region", name="Labels").locator("table")
    names = table.locator("tbody th")
    table.get_by_role("button", name="Label").click()
    assert [one.inner_text() for one in names.all()] == ["parcel", "password", "refund"]
    table.get_by_role("button", name="Label").click()
    assert [one.inner_text() for one in names.all()] == ["refund", "password", "parcel"]
    expect(table.locator("th").first).to_have_attribute("aria-sort", "descending")
    table.get_by_role("button", name="Resolved").press("Enter")
    assert names.first.inner_text() == "parcel"
    expect(table.locator("th[aria-sort]")).to_have_count(1)


def test_another_language_and_dark(page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH, locale="zh-CN", color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator(".plot[data-drawn]")).to_have_count(CHARTS)
    assert page.locator("section").count() > 8


@pytest.mark.parametrize("width", [360, 640])
def test_nothing_hangs_over_the_edge(page_of: Callable[..., Page], width: int) -> None:
    page = page_of("rita", PATH, viewport={"width": width, "height": 700})
    expect(page.locator(".plot[data-drawn]")).to_have_count(CHARTS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_annotator_sees_the_queue_alone(page_of: Callable[..., Page]) -> None:
    page = page_of("ann", PATH)
    assert "Open items\n2" in section(page, "Now")
    words = page.locator("main").inner_text()
    for hidden in ("accuracy", "confidence", "Low", "Annotators", "version"):
        assert hidden not in words
    assert page.locator("script[src*=plotly]").count() == 0


def test_who_may_not_look(busy: Desk) -> None:
    assert busy.of("shop").get(PATH).status_code == 403
    assert busy.of("rita").get("/app/tasks/secret").status_code == 404
    assert busy.of("root").get("/app/tasks/nothing").status_code == 404


def test_before_the_figures_are_there(busy: Desk, page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)

    def says_so() -> bool:
        with busy.store.write() as connection:
            connection.execute(delete(summaries).where(summaries.c.task == "tiny-intent"))
        page.reload()  # the service may have been quicker: then they are there again
        return page.get_by_role("status").count() == 1

    wait_until(says_so)
    assert "within a minute" in page.get_by_role("status").inner_text()
    assert "Open items\n2" in section(page, "Now")
    assert "Low confidence" in section(page, "Sent to review")
    wait_until(lambda: knows(busy))
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_role("heading", name="Live accuracy")).to_be_visible()


def test_the_first_page_tells_where_work_waits(busy: Desk, page_of: Callable[..., Page]) -> None:
    busy.bring("brief", "a text that waits")
    page = page_of("rita")
    assert "Open items\n1" in page.get_by_role("region", name="brief").inner_text()
    tiny = page.get_by_role("region", name="Tiny intent")
    assert "Live accuracy" in tiny.inner_text()
    tiny.get_by_role("link", name="Figures").click()
    page.wait_for_url(f"**{PATH}")


@pytest.mark.parametrize(
    ("person", "links"),
    [
        ("shop", ["Try it"]),
        ("ann", ["Review", "Figures"]),
        ("rita", ["Review", "Adjudicate", "Figures", "Try it"]),
    ],
)
def test_links_are_those_of_the_role(page_of: Callable[..., Page], person: str, links: list[str]) -> None:
    page = page_of(person)
    tiny = page.get_by_role("region", name="Tiny intent")
    assert [link.inner_text() for link in tiny.get_by_role("link").all()] == links
    assert page.get_by_role("region", name="secret").count() == 0
    assert ("Open items" in tiny.inner_text()) == (person != "shop")


def test_reports_are_shown_and_can_do_nothing(busy: Desk, page_of: Callable[..., Page]) -> None:
    page = page_of("rita", PATH)
    page.get_by_role("region", name="Model versions").get_by_role("link", name="Training").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("tiny-intent")
    assert page.evaluate("self.origin") == "null", "it belongs to no origin"
    reply = busy.of("rita").get(page.url)
    assert "sandbox" in reply.headers["content-security-policy"]
    assert "script" not in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "tiny-intent/20260101-000000-abcdef",
        "tiny-intent/triage",
        "tiny-intent/..%2f..%2fadmin.key",
        "tiny-intent/..",
        "tiny/intent-{version}",
        "secret/{version}",
    ],
)
def test_other_files_are_no_reports(busy: Desk, path: str) -> None:
    version = (busy.server.home / "versions.txt").read_text(encoding="utf-8").split()[0]
    assert busy.of("rita").get(f"/app/reports/{path.format(version=version)}").status_code == 404
    assert busy.of("rita").get(f"/app/reports/tiny-intent/{version}").status_code == 200
    assert busy.of("ann").get(f"/app/reports/tiny-intent/{version}").status_code == 403
