"""Take the pictures of the pages that the README shows: `screenshots.py`, or `screenshots.py --url URL --key KEY`.

Without a URL a service is started on an empty store with the models of `BENTOML_HOME` (`var/bentoml` if it is not set;
what is missing there is trained first), and `regrade demo` fills it. Needs Chromium and the development tools.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
TASK = "support-intent"
SIZE = {"width": 1280, "height": 800}
LIMIT_BYTES = 250_000
READY_S = 1_200
"""Seconds until a service must be ready that may have to train its models first."""
SETTLE_S = 15
"""Seconds that the service has to work out the figures of what the demo played last."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking"]


REVIEW = """
[review]
strategy = "combined"
answers = 2
most_answers = 2

[triage]
audit = 0.1
"""
"""How people are asked while the pictures are taken: so that somebody disagrees, and figures come within minutes."""


def _desk(page: Page) -> None:
    """Show a message of some length: the demo's emoji need a font that not every machine has."""
    for _ in range(6):
        page.wait_for_selector("#text:not(:empty)")
        text = page.locator("#text").inner_text()
        if len(text) > 30 and text.isascii() and page.locator("#labels .suggested").count():
            return
        page.keyboard.press(";")
        page.wait_for_timeout(300)


def _disputes(page: Page) -> None:
    page.wait_for_selector("#votes > *")


def _charts(page: Page) -> None:
    page.wait_for_selector(".main-svg")
    page.locator("#confidence").evaluate("heading => scrollTo(0, heading.getBoundingClientRect().top + scrollY - 40)")
    page.wait_for_timeout(500)


def _try(page: Page) -> None:
    page.locator("main textarea").first.fill("still no parcel!! and can i change the address to my office?")
    with page.expect_response("**/predict"):
        page.keyboard.press("Control+Enter")


def _nothing(page: Page) -> None:
    """Take the page as it comes."""


SHOTS: Mapping[str, tuple[str, Callable[[Page], None]]] = {
    "desk": (f"/app/review/{TASK}", _desk),
    "adjudicate": (f"/app/adjudicate/{TASK}", _disputes),
    "task": (f"/app/tasks/{TASK}", _nothing),
    "charts": (f"/app/tasks/{TASK}", _charts),
    "try": (f"/app/try/{TASK}", _try),
    "people": ("/app/admin/people", _nothing),
}
"""Each picture: its page, and what to wait for or do there."""


def main() -> None:
    """Start a service if none is named, and take every picture, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a service that runs already, and has something to show")
    parser.add_argument("--key", help="a key of an admin there")
    parser.add_argument("--only", nargs="*", choices=sorted(SHOTS), default=sorted(SHOTS), help="these pictures only")
    parser.add_argument("--to", type=Path, default=IMAGES, help="the folder for the pictures")
    given = parser.parse_args()
    if bool(given.url) != bool(given.key):
        parser.error("give --url and --key together, or neither")
    program = shutil.which("chromium")
    if program is None:
        sys.exit("screenshots: Chromium is not here; on Debian: apt-get install chromium")
    given.to.mkdir(parents=True, exist_ok=True)
    if given.url:
        take(program, given.url, given.key, given.only, given.to)
        return
    with playing() as (url, key):
        take(program, url, key, given.only, given.to)


def take(program: str, url: str, key: str, names: list[str], folder: Path) -> None:
    """Take the pictures `names` of the service at `url`, signed in with `key`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        for scheme in ("light", "dark"):
            page = _signed_in(browser, url, key, scheme)
            for name in names:
                path, ready = SHOTS[name]
                page.goto(path)
                ready(page)
                page.wait_for_load_state("networkidle")
                _keep(page, folder / f"{name}-{scheme}.png")
        browser.close()


def _signed_in(browser: Browser, url: str, key: str, scheme: str) -> Page:
    page = browser.new_page(
        base_url=url,
        viewport=SIZE,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="en-GB",
        reduced_motion="reduce",
    )
    page.goto("/app/sign-in")
    page.fill("input[name=key]", key)
    page.press("input[name=key]", "Enter")
    page.wait_for_url("**/app")
    return page


def _keep(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    size = path.stat().st_size
    say(f"{path.name}: {size // 1000} kB")
    if size > LIMIT_BYTES:
        sys.exit(f"screenshots: {path} has {size:,} bytes; expected at most {LIMIT_BYTES:,}")


@contextmanager
def playing() -> Iterator[tuple[str, str]]:
    """Serve on an empty store and play the demo; give the address and an admin's key."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {
            "BENTOML_HOME": str(ROOT / "var" / "bentoml"),
            **os.environ,
            "REGRADE_HOME": home,
            "REGRADE_PORT": str(port),
            "REGRADE_TASKS": f"{TASK},finance-sentiment",
            "REGRADE_WORKERS": "1",
            "BENTOML_DO_NOT_TRACK": "True",
            "HF_HUB_OFFLINE": "1",
        }
        environment.pop("REGRADE_DATABASE_URL", None)
        _ask_several(Path(home))
        key = _make_key(environment, "anna", "admin")
        voters = [_make_key(environment, person, "annotator") for person in ("ben", "carla")]
        with _served(environment, port) as url:
            say("playing the demo for two minutes")
            _regrade(environment, "demo", "--url", url, "--minutes", "2", "--rate", "10", "--seed", "7")
            for number, voter in enumerate(voters):
                _vote(url, voter, number)
            time.sleep(SETTLE_S)
            yield url, key


def _ask_several(home: Path) -> None:
    """Let two people answer each item, in a copy of the task."""
    folder = home / "tasks" / TASK
    shutil.copytree(ROOT / "tasks" / TASK, folder)
    with (folder / "task.toml").open("a", encoding="utf-8") as file:
        file.write(REVIEW)


def _make_key(environment: Mapping[str, str], person: str, role: str) -> str:
    made = _regrade(environment, "keys", "create", "--person", person, "--role", role, "--json")
    return str(json.loads(made)["key"])


def _vote(url: str, key: str, number: int) -> None:
    """Answer some of what the demo left open with the model's suggestion number `number`, so that people disagree."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        claimed = client.post(f"/v1/queue/{TASK}/claim", json={"count": 8}).raise_for_status().json()["items"]
        for item in claimed:
            label = item["suggestions"][number]["label"] if item["suggestions"] else "complaint"
            said = {"lease_token": item["lease_token"], "label": label}
            client.post(f"/v1/queue/items/{item['item_id']}/answer", json=said).raise_for_status()


@contextmanager
def _served(environment: Mapping[str, str], port: int) -> Iterator[str]:
    """Run `regrade serve` until the block ends."""
    say("starting a service; where models are missing, it trains them first")
    process = subprocess.Popen([sys.executable, "-m", "regrade", "serve"], cwd=ROOT, env=dict(environment))
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + READY_S
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("screenshots: the service did not start; it says why above")
            time.sleep(0.5)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


def _regrade(environment: Mapping[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "regrade", *words]
    result = subprocess.run(command, cwd=ROOT, env=dict(environment), stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(f"screenshots: `regrade {words[0]}` failed; it says why above")
    return result.stdout


def say(message: str) -> None:
    """Tell the user something."""
    sys.stdout.write(f"screenshots: {message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
