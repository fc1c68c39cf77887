"""axe, the accessibility engine, finds nothing serious on any page, light or dark, large or small; nothing is cut off.

The pages are found in the service's routes: a new one is tested without being named here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from core.roles import Role
from tests.support.browser import Visits
from tests.support.desk import Desk
from tests.support.pages import all_pages
from tests.support.tour import PEOPLE, fill, signed_in, stops

pytestmark = pytest.mark.slow

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = {"serious", "critical"}
SANDBOXED = "/app/reports/"
SIZES = {"desktop": (1280, 800), "200 % zoom": (640, 400), "phone": (360, 740)}

_OVERFLOWING = """async () => {
  const root = document.documentElement;
  const end = performance.now() + 2000;
  while (root.scrollWidth > root.clientWidth && performance.now() < end) await new Promise(requestAnimationFrame);
  const width = root.clientWidth;
  if (root.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll("body *")].filter(
    (node) => node.getBoundingClientRect().right > width + 1 && getComputedStyle(node).position !== "fixed");
  return wide.slice(0, 8).map((node) => node.outerHTML.slice(0, 120));
}"""
"""The elements that make the page scroll sideways, once what follows the page's size has had time to."""

CASES = [
    pytest.param(page.template, role, id=f"{page.template} {role}")
    for page in all_pages()
    for role in sorted(page.roles)
]


@pytest.fixture(scope="module")
def values(desk: Desk) -> dict[str, str]:
    return fill(desk)


@pytest.fixture(scope="module")
def cookies(desk: Desk) -> dict[Role, dict[str, Any]]:
    return {role: signed_in(desk, person) for role, person in PEOPLE.items()}


@pytest.mark.parametrize(("template", "role"), CASES)
def test_every_page_can_be_used_by_everybody(
    visits: Visits, values: dict[str, str], cookies: dict[Role, dict[str, Any]], template: str, role: Role
) -> None:
    faults = []
    for stop in stops(values):
        if stop.template == template:
            page = visits.open(stop.path, storage_state=cookies[role], reduced_motion="reduce")
            if template.startswith(SANDBOXED):
                unbox(page)
            faults += [f"{stop.path} {fault}" for fault in look(page)]
            page.close()
    assert not faults, "\n".join(faults)


def unbox(page: Page) -> None:
    """Show a page that may run no script, not even axe, once more where it may."""
    content = page.request.get(page.url).text()
    page.goto("about:blank")
    page.set_content(content)


def look(page: Page) -> list[str]:
    """Return what is wrong with a page, in each size and colour scheme."""
    page.wait_for_load_state("networkidle")
    page.evaluate(AXE)
    faults = []
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        faults += [f"{name}: scrolls sideways because of {node}" for node in page.evaluate(_OVERFLOWING)]
        for scheme in ("light", "dark") if name != "200 % zoom" else ():
            page.emulate_media(color_scheme=scheme)
            faults += [f"{name}, {scheme}: {fault}" for fault in violations(page)]
    return faults


def violations(page: Page) -> list[str]:
    """Return the serious violations that axe finds, each with the elements it found them in."""
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:160] for node in one['nodes'][:5]]}"
        for one in found
        if one["impact"] in SERIOUS
    ]


def test_axe_and_the_ruler_see_what_is_wrong(visits: Visits) -> None:
    page = visits.open("/app/sign-in")
    page.evaluate("""() => {
      const wide = document.createElement("div");
      wide.style.width = "3000px";
      wide.append(document.createElement("input"));
      document.body.append(wide);
    }""")
    faults = look(page)
    assert any("label (critical)" in fault for fault in faults), faults
    assert any("scrolls sideways" in fault for fault in faults), faults


def test_the_theme_that_somebody_chose_is_kept(page_of: Callable[..., Page]) -> None:
    page = page_of("cai", color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
