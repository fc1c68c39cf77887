"""The watch over a test's pages sees what goes wrong in them: without it every other test here would prove less."""

from __future__ import annotations

import pytest

from tests.support.browser import Visits

WRONG = {
    "an error on the console": ("console.error('oh')", "console: oh"),
    "an error in a script": ("setTimeout(() => { throw new Error('oh') }, 0)", "script: oh"),
    "a style in an attribute": ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
    "a script in the page": (
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.stolen = 1'}))",
        "Content Security Policy",
    ),
    "another origin": ("void fetch('https://elsewhere.example/').catch(() => 0)", "elsewhere.example"),
    "a missing file": ("void fetch('/app/static/none/none.js')", "404 for GET /app/static/none/none.js"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_goes_wrong_is_seen(visits: Visits, what: str) -> None:
    page = visits.open("/app/sign-in")
    assert visits.problems == []
    script, told = WRONG[what]
    page.evaluate(f"() => {{ {script} }}")
    page.wait_for_timeout(100)
    assert any(told in problem for problem in visits.problems), visits.problems
    assert page.evaluate("window.stolen") is None
    visits.allow("")


def test_what_is_allowed_is_no_problem(visits: Visits) -> None:
    page = visits.open("/app/sign-in")
    page.evaluate("console.error('this is expected')")
    visits.allow("expected$|expected \\(")
    assert visits.problems == []
