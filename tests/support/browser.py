"""A real browser for the tests of pages: the system's Chromium, driven by Playwright, with every page watched."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    sync_playwright,
)
from playwright.sync_api import (
    Error as PlaywrightError,
)

from tests.conftest import missing
from tests.support.desk import Desk

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 20_000
"""How long Playwright waits for what a test expects before it fails."""

_API = "/v1/"
_REPORTS = "/app/reports/"
_DEFECTS = {400, 405, 415, 422, 500}
"""Statuses of the API that a page provokes only by a defect of its own; the others are part of the protocol."""


def find_chromium() -> str:
    """Return the path of Chromium; skip the test where it is not installed."""
    return shutil.which("chromium") or missing("Chromium")


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Run Chromium until the block ends; skip where it is not installed.

    While Playwright runs, its event loop counts as running in this thread: nothing else may call `asyncio.run` there.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visits:
    """The pages that one test opens, each with cookies of its own, and whatever went wrong in any of them.

    Wrong is: an error on the console or in a script, something that the Content-Security-Policy forbids, a request to
    another origin, a reply with an error to anything but the API, or one of the API that tells of a defect.
    """

    def __init__(self, browser: Browser, desk: Desk) -> None:
        """Open pages of the service of `desk`, for its people."""
        self._browser = browser
        self._desk = desk
        self._origin = desk.server.url
        self._contexts: list[BrowserContext] = []
        self._allowed: list[re.Pattern[str]] = []
        self._problems: list[str] = []

    def of(self, person: str, path: str = "/app", **options: Any) -> Page:
        """Return a page at `path`, signed in as `person` through the sign-in page.

        `options` are those of Playwright's `new_context`: `viewport`, `color_scheme`, `locale`, …
        """
        page = self.open(f"/app/sign-in?next={path}", **options)
        page.locator("input[name=key]").fill(self._desk.keys[person])
        page.locator("input[name=key]").press("Enter")
        page.wait_for_url(f"{self._origin}{path}")
        return page

    def open(self, path: str = "/app", **options: Any) -> Page:
        """Return a page at `path` of somebody who is not signed in."""
        given = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options}
        context = self._browser.new_context(base_url=self._origin, service_workers="block", **given)
        context.set_default_timeout(WAIT_MS)
        context.on("console", self._hear)
        context.on("weberror", self._hear_error)
        context.on("request", self._see_request)
        context.on("response", self._see_response)
        self._contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    def allow(self, pattern: str) -> None:
        """Let what matches `pattern` (a regular expression, found anywhere in the words of a problem) be no problem."""
        self._allowed.append(re.compile(pattern))

    @property
    def problems(self) -> list[str]:
        """What went wrong so far and was not allowed."""
        return [one for one in self._problems if not any(pattern.search(one) for pattern in self._allowed)]

    def keep(self, folder: Path) -> None:
        """Write down how every page looks: a picture and its content."""
        (folder / "problems.txt").write_text("\n".join(self._problems), encoding="utf-8")
        pages = [page for context in self._contexts for page in context.pages]
        for number, page in enumerate(pages):
            with suppress(PlaywrightError):  # a page that hangs must not hide why the test failed
                page.screenshot(path=folder / f"page-{number}.png", full_page=True)
            if _REPORTS not in page.url:  # which run no script, not even what reads their content
                with suppress(PlaywrightError):
                    content = f"<!-- {page.url} -->\n{page.content()}"
                    (folder / f"page-{number}.html").write_text(content, encoding="utf-8")

    def close(self) -> None:
        """Close every page."""
        for context in self._contexts:
            context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        """Note an error on the console; those about requests are seen as such."""
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _hear_error(self, error: WebError) -> None:
        self._problems.append(f"script: {error.error}")

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._origin}/", "data:", "blob:")):
            self._problems.append(f"request to another origin: {request.url}")

    def _see_response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        wrong = response.status in _DEFECTS if path.startswith(_API) else response.status >= 400
        if wrong:
            self._problems.append(f"{response.status} for {response.request.method} {path}")
