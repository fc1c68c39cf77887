"""`regrade demo`: fill the pages with something to look at, and take it out again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson
from regrade.output import console, print_json, print_table, say, warn

if TYPE_CHECKING:
    from core.settings import Settings
    from regrade.demo.counts import Counts

EPILOG = (
    "Examples: `regrade demo`, `regrade demo --minutes 10 --rate 8`, `regrade demo --task tickets --texts mine.csv`, "
    "`regrade demo --clear`.\n\n"
    "Exit codes: 0 played or cleared, 1 failed, or demo data is still coming in, 2 wrong usage or setting, "
    "130 interrupted: what was played until then stays."
)

_MINUTES = 3.0

_WRITTEN_AFTER_S = 3.0
"""Seconds after which the service has written whatever it was sent before: it takes 2."""


def demo(  # noqa: PLR0913, PLR0917 - one for each option
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="How long to play; 0: until Ctrl-C. Default: 3.")
    ] = None,
    messages: Annotated[
        int | None, typer.Option("--messages", min=1, help="Play until so many messages were sent, instead.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=200, help="Messages a second, of all tasks.")] = 4.0,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Play this task; may be repeated. Default: every starter task.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option("--texts", help="CSV with columns text and label, for one --task of your own.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of the service. Default: from the settings.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Choose messages and answers as this number says.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all demo data out again, and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a stream of messages against the running service, with simulated people who answer some of them.

    All of it is marked as demo data. It goes into the service's own store, so run this where the service runs.
    """
    if minutes is not None and messages is not None:
        raise typer.BadParameter("give --minutes or --messages, not both", param_hint="--minutes")
    settings = prepare()
    if clear:
        _clear(settings, as_json=as_json)
        return
    from regrade.demo.access import entered
    from regrade.demo.cast import chosen_tasks, ready_tasks
    from regrade.demo.counts import watch
    from regrade.demo.play import play

    chosen = chosen_tasks(settings, task or (), texts)
    lasts = None if messages else _MINUTES if minutes is None else minutes
    address = (url or _address(settings)).rstrip("/")
    interrupted = False
    with entered(settings, address, [one.name for one in chosen]) as access:
        cast = ready_tasks(chosen, access.tasks)
        say(f"playing {', '.join(one.name for one in cast)}; open {address}/app meanwhile, and end it with Ctrl-C")
        with play(access, cast, rate=rate, most=messages, seed=seed) as scene:
            try:
                watch(scene.counts, scene.sends, lasts * 60 if lasts else None, messages)
            except KeyboardInterrupt:
                interrupted = True
    _show(scene.counts, address, as_json=as_json)
    if interrupted:
        raise typer.Exit(130)


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - where it is reached
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _show(found: Mapping[str, Counts], url: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "tasks": {name: asdict(counts) for name, counts in found.items()}})
    else:
        rows = [(name, *asdict(counts).values()) for name, counts in found.items()]
        print_table(("task", *(name.replace("_", " ") for name in asdict(next(iter(found.values()))))), rows)
    for name in found:
        say(f"look at {url}/app/tasks/{name}, {url}/app/review/{name} and {url}/app/adjudicate/{name}")
    say("all of it is marked as demo data; `regrade demo --clear` takes it out again, and nothing else")


def _clear(settings: Settings, *, as_json: bool) -> None:
    """Clear twice, because the service may be about to write what was sent a moment ago."""
    from feedback.clearing import clear_demo
    from feedback.demo import has_demo_data
    from feedback.spool import Spool

    spool = Spool(settings.home / "spool.sqlite3")
    with opened_store(settings) as store, console(stderr=True).status("clearing demo data"):
        counts = Counter(clear_demo(store, spool, operator()))
        time.sleep(_WRITTEN_AFTER_S)
        counts.update(clear_demo(store, spool, operator()))
        left = has_demo_data(store)
    spool.close()
    _show_cleared(counts, as_json=as_json)
    if left:
        warn("demo data is still coming in: end `regrade demo` where it plays, and clear again")
        raise typer.Exit(1)


def _show_cleared(counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"cleared": dict(counts)})
    elif counts:
        print_table(("cleared", "rows"), _rows(counts))
    else:
        say("there was no demo data")


def _rows(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return [(name.replace("_", " "), n) for name, n in sorted(counts.items())]
