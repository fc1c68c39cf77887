"""Do the pages keep their speed when the queue is long and its past longer? And does the desk wait for the server?

Run: `python -m benchmarks.pages [--rounds N]`. A service runs on each of two stores, of 1,000 open and 1,000 resolved
items and of 100,000 and 1,000,000, filled by SQL with what was predicted, answered and audited over sixty days; on
SQLite, and on PostgreSQL where that is here. Every page that the service has is fetched as an admin, and what the pages
load from the API, in turns, so that what else the machine does touches both alike. Then, in Chromium, somebody answers
at the desk while every reply of the service is held back for two seconds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import select

from benchmarks.common import ROOT, keep_result, machine
from benchmarks.desk import HELD_S, waits
from benchmarks.filling import Size, databases, filled_store
from core.roles import Caller
from core.settings import load_settings
from feedback.deployments import record_first_deployment
from feedback.keys import create_key
from feedback.schema import duties
from feedback.store import Store
from feedback.summaries import read_summaries
from service.housekeeping import LEASE_S, usual_duties
from tasks.declaration import read_task
from tests.support.pages import all_pages
from tests.support.server import free_port, serve_home, wait_until

SMALL, LARGE = Size(1_000, 1_000), Size(100_000, 1_000_000)
LIMIT = 1.5
TASK = "tiny-intent"

_LOADED: dict[str, dict[str, object] | None] = {
    f"GET /v1/tasks/{TASK}/guideline": None,
    f"GET /v1/queue/{TASK}/stats": None,
    f"GET /v1/queue/{TASK}/mine": None,
    f"GET /v1/queue/{TASK}/disputes": None,
    f"GET /v1/queue/{TASK}/examples?label=parcel": None,
    f"POST /v1/queue/{TASK}/similar": {"text": "my parcel has not come", "count": 5},
    f"POST /v1/queue/{TASK}/claim": {"count": 2},
    f"POST /v1/queue/{TASK}/claim like": {"count": 2, "like": "{id}"},
}
"""What pages ask the API for by and by, with its bodies: told, but no page. `similar` looks at the latest 4,000
resolved texts, and so at less where there are only 1,000."""

_PAGE = " /app"


@dataclass(frozen=True)
class Place:
    """A running service with a filled store: its clients, by cookie and by key, and an item in it."""

    url: str
    key: str
    pages: httpx.Client
    api: httpx.Client
    item_id: str


def main() -> None:
    """Fill, serve, fetch in turns, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        subprocess.run([sys.executable, "-m", "tests.support.tiny", str(home)], cwd=ROOT, check=True)
        with databases() as urls:
            results = {kind: _compare(url, home, Path(folder) / kind, rounds) for kind, url in urls.items()}
            desk = _desk(urls["sqlite"], home, Path(folder) / "desk")
    keep_result("pages", {"small": SMALL, "large": LARGE, "rounds": rounds, "databases": results, "desk": desk}, about)
    worst = max(figures["ratio"] for found in results.values() for what, figures in found.items() if _PAGE in what)
    print(f"worst ratio of a page {worst:.2f}, limit {LIMIT:g}: {'kept' if worst <= LIMIT else 'MISSED'}")
    sys.exit(worst > LIMIT)


def _compare(url: str, home: Path, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Fetch everything from both sizes `rounds` times, in turns; return and print medians in milliseconds."""
    times: dict[tuple[str, Size], list[float]] = {}
    with ExitStack() as exits:
        places = {
            size: exits.enter_context(_serving(url, home, folder / str(size.open), size)) for size in (SMALL, LARGE)
        }
        for number in range(-2, rounds):  # twice without counting, so that files, plans and pages are warm
            for what in _everything():
                for size, place in places.items():
                    took = _fetch(place, what, home)
                    if number >= 0:
                        times.setdefault((what, size), []).append(took)
    print(f"{'':<44} {'small ms':>9} {'large ms':>9} {'ratio':>6}   {url.partition(':')[0]}")
    return {what: _figures(what, times) for what in _everything()}


def _everything() -> list[str]:
    return [*(f"GET {page.template}" for page in all_pages()), *_LOADED]


def _figures(what: str, times: dict[tuple[str, Size], list[float]]) -> dict[str, float]:
    small, large = (statistics.median(times[what, size]) for size in (SMALL, LARGE))
    print(f"{what:<44} {small:9.2f} {large:9.2f} {large / small:6.2f}")
    return {"small_ms": round(small, 3), "large_ms": round(large, 3), "ratio": round(large / small, 3)}


def _fetch(place: Place, what: str, home: Path) -> float:
    """Ask for `what` and return the milliseconds until all of it is here."""
    method, path = what.split(" ")[:2]
    values = {"{task}": TASK, "{id}": place.item_id, "{version}": _version(home)}
    for name, value in values.items():
        path = path.replace(name, value)
    client = place.pages if path.startswith("/app") else place.api
    body = {name: values.get(str(value), value) for name, value in (_LOADED.get(what) or {}).items()}
    began = time.perf_counter()
    reply = client.request(method, path, json=body) if body else client.request(method, path)
    took = (time.perf_counter() - began) * 1000
    if reply.status_code != 200:
        raise RuntimeError(f"{what} answered {reply.status_code}: {reply.text[:300]}")
    return took


@contextmanager
def _serving(url: str, home: Path, folder: Path, size: Size) -> Iterator[Place]:
    """Serve a filled store until the block ends, with its figures worked out."""
    shutil.copytree(home, folder)
    with filled_store(url, read_task(folder / "tasks" / TASK), size, _version(home)) as store:
        key = _make_ready(store, home)
        address = url.format(f"queue{size.open}")
        with (
            serve_home(folder, folder / "log", 1, free_port(), REGRADE_DATABASE_URL=address) as server,
            httpx.Client(base_url=server.url, timeout=60) as pages,
            httpx.Client(base_url=server.url, timeout=60, headers={"Authorization": f"Bearer {key}"}) as api,
        ):
            pages.post("/app/sign-in", data={"key": key})
            wait_until(lambda: _is_settled(store), 600)
            yield Place(server.url, key, pages, api, _claimed_item(api))


def _is_settled(store: Store) -> bool:
    """Tell whether the figures are there, and each rare duty was done once: those look at much at the first start."""
    with store.read() as connection:
        done = set(connection.scalars(select(duties.c.name).where(duties.c.done_at.is_not(None))))
    rare = {duty.name for duty in usual_duties(load_settings(), dict) if duty.every_s >= LEASE_S}
    return done >= rare and bool(read_summaries(store, [TASK]))


def _make_ready(store: Store, home: Path) -> str:
    """Make the model live and return an admin's key."""
    record_first_deployment(store, TASK, _version(home), "first version", "benchmark")
    return create_key(store, Caller("benchmark", "admin"), person="root", role="admin")[1]


def _claimed_item(api: httpx.Client) -> str:
    items = api.post(f"/v1/queue/{TASK}/claim", json={"count": 1}).json()["items"]
    return str(items[0]["item_id"])


def _version(home: Path) -> str:
    return (home / "versions.txt").read_text(encoding="utf-8").split()[0]


def _desk(url: str, home: Path, folder: Path) -> dict[str, object] | None:
    """Answer at the desk with every reply held back; return the milliseconds from key to next item, if measured."""
    with _serving(url.replace("{}", "desk-{}"), home, folder, SMALL) as place:
        measured = waits(place.url, place.key, TASK)
    if not measured:
        print("Chromium is not here: the desk is not measured")
        return None
    worst = max(measured)
    print(
        f"desk, replies held back for {HELD_S:g} s: next item after {statistics.median(measured):.1f} ms "
        f"(median of {len(measured)}), {worst:.1f} ms at most"
    )
    return {"held_s": HELD_S, "answers": len(measured), "median_ms": statistics.median(measured), "max_ms": worst}


if __name__ == "__main__":
    main()
