"""A service with people and a browser for the tests of a module; what went wrong in the browser fails the test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import Visits, find_chromium, run_browser
from tests.support.desk import Desk, run_desk
from tests.support.page_tasks import PAGE_TASKS

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, for the fixtures that end after it."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session", autouse=True)
def _chromium() -> None:
    """Skip before anything is made ready where there is no browser."""
    find_chromium()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; for a module only, because Playwright's event loop would be in the way of other tests' loops."""
    with run_browser() as running:
        yield running


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A service with people of every role, and with the tasks for pages."""
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk"), more=PAGE_TASKS) as running:
        yield running


@pytest.fixture
def visits(browser: Browser, desk: Desk, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Visits]:
    """The test's pages; where it fails, pictures of them are in its temporary folder."""
    opened = Visits(browser, desk)
    try:
        yield opened
        if request.node.stash.get(FAILED, True) or opened.problems:
            opened.keep(tmp_path)
    finally:
        opened.close()
    assert not opened.problems, f"{'; '.join(opened.problems)}: see {tmp_path}"


@pytest.fixture
def page_of(visits: Visits) -> Callable[..., Page]:
    """Opens a page signed in as a person: `page_of("ann", "/app/review/many", color_scheme="dark")`."""
    return visits.of
