"""Somebody who answers at the review desk, in Chromium, while the service's replies are slow to come."""

from __future__ import annotations

import asyncio
import shutil

from playwright.async_api import Page, Route, async_playwright

from tests.support.browser import ARGUMENTS

HELD_S = 2.0
"""How long each reply of the API is held back."""
ANSWERS = 12
_THINK_S = 1.2
"""Seconds that the person looks at an item before they answer it."""

_WATCH = """() => {
  window.waits = [];
  let pressed = null;
  const text = document.getElementById("text");
  let shown = text.textContent;
  addEventListener("keydown", () => { pressed = performance.now(); }, true);
  new MutationObserver(() => {
    if (!text.textContent || text.textContent === shown || pressed === null) return;
    shown = text.textContent;
    const since = pressed;
    pressed = null;
    requestAnimationFrame(() => window.waits.push(performance.now() - since));
  }).observe(text, { childList: true, characterData: true, subtree: true });
}"""
"""Notes the milliseconds from each key to the frame in which another text is drawn."""


def waits(url: str, key: str, task: str) -> list[float]:
    """Answer `ANSWERS` items and return how many milliseconds each next one took; empty where Chromium is missing.

    Raises:
        RuntimeError: an item did not come.
    """
    program = shutil.which("chromium")
    return asyncio.run(_work(program, url, key, task)) if program else []


async def _work(program: str, url: str, key: str, task: str) -> list[float]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = await browser.new_page(base_url=url)
        await page.route("**/v1/**", _hold)
        await page.goto(f"/app/sign-in?next=/app/review/{task}")
        await page.fill("input[name=key]", key)
        await page.press("input[name=key]", "Enter")
        await page.wait_for_function("() => document.getElementById('text')?.textContent")
        await page.wait_for_timeout(3 * HELD_S * 1000)  # until the first items lie ahead
        await page.evaluate(_WATCH)
        measured = [await _answer(page, number) for number in range(ANSWERS)]
        await browser.close()
        return measured


async def _answer(page: Page, number: int) -> float:
    await page.wait_for_timeout(_THINK_S * 1000)
    await page.keyboard.press("1")
    await page.wait_for_function("number => window.waits.length > number", arg=number, timeout=10_000)
    return float(await page.evaluate("number => window.waits[number]", number))


async def _hold(route: Route) -> None:
    reply = await route.fetch()
    await asyncio.sleep(HELD_S)
    await route.fulfill(response=reply)
