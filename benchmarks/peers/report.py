"""A result in words, tables and a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.peers import promises, tables
from benchmarks.peers.picture import OURS, Chart, Line, draw
from benchmarks.peers.reading import Results, closed, opened
from benchmarks.peers.registry import REGRADE

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

BUSY = 1.0
"""Load average before the first round from which a result says that it is not to be relied on."""


def describe(result: dict[str, Any]) -> str:
    """Return the tables of a result in Markdown."""
    results, plan = Results(result["turns"]), result["plan"]
    parts = [
        _caption(result),
        _section("Promises", promises.as_table(results)),
        _section("Who is ahead of us", _list(promises.who_is_ahead(results)) or "Nobody with the same model."),
        _section("Ours, times theirs", tables.beside_peers(results, plan)),
        _section("One text a request", tables.one_text(results, plan)),
        _section("Several texts a request, short and long ones", tables.several_texts(results, plan)),
        _section("Latency at a constant rate, by share of each one's own peak", tables.open_loops(results, plan)),
        _section("Memory, start-up, and three times the peak", tables.upkeep(results, plan)),
        _section("Settings", _list(_settings(one) for one in result["peers"])),
    ]
    if problems := [*_not_installed(result), *_failures(result)]:
        parts.append(_section("What failed", _list(problems)))
    return "\n\n".join(parts)


def _caption(result: dict[str, Any]) -> str:
    about, plan = result["machine"], result["plan"]
    shares = [load["client_cpu_share"] for turn in result["turns"] for load in (*turn["closed"], *turn["open"])]
    late = [load["sent_late_p99_ms"] for turn in result["turns"] for load in turn["open"]]
    client = f"the clients took up to {max(shares, default=0):.0%} of a core"
    late_words = f"the open loop's was at most {max(late, default=0):.1f} ms late in sending (p99)"
    rounds = 1 + max((turn["round"] for turn in result["turns"]), default=-1)
    busy = "" if about["load_before"] < BUSY else " **The machine was busy with other work: do not rely on these.**"
    return (
        f"{result['date'][:10]}, commit {result['commit']}, {about['cores']} cores ({about['cpu']}), load "
        f"{about['load_before']} before the first round; medians of {rounds} rounds, {plan['seconds']} s a "
        f"closed loop, {plan['open_seconds']:g} s an open one; {client}, and {late_words}.{busy}"
    )


def _section(heading: str, body: str) -> str:
    return f"### {heading}\n\n{body}"


def _list(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _settings(peer: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in peer["packages"].items())
    return f"**{peer['name']}**: {peer['settings']} ({versions})."


def _not_installed(result: dict[str, Any]) -> list[str]:
    return [f"**{name}**: {_one_line(why)}" for name, why in result["not_installed"].items()]


def _failures(result: dict[str, Any]) -> list[str]:
    return [
        f"**{turn['peer']}**, round {turn['round'] + 1}: {_one_line(failure)}"
        for turn in result["turns"]
        for failure in turn["failures"]
    ]


def _one_line(words: str) -> str:
    return " ".join(words.split())[:300].replace("|", "/").replace("<", "&lt;")


def write_page(result: dict[str, Any], page: Path, picture: Path) -> None:
    """Put the tables of a result between the marks of `page`, and draw `picture`."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    shown = f"![Throughput by clients, and p99 by load]({os.path.relpath(picture, page.parent)})"
    page.write_text(f"{before}{BEGIN}\n\n{shown}\n\n{describe(result)}\n\n{END}{after}", encoding="utf-8")
    draw(picture, charts(result))


def charts(result: dict[str, Any]) -> list[Chart]:
    """Return throughput by clients, and p99 by share of the peak."""
    results, plan = Results(result["turns"]), result["plan"]
    ordinary = [case for case in tables.cases_of(plan) if case.is_ordinary]
    speeds = {case.clients: closed(case, tables.SPEED) for case in ordinary}
    tails = {share: opened(share, "p99_ms") for share in plan["shares"]}
    return [
        Chart(
            "Requests/s by clients, one text each",
            [(clients, str(clients)) for clients in speeds],
            _lines(results, speeds),
        ),
        Chart(
            "p99 in ms, by share of each one's own peak",
            [(share, f"{share:.0%}") for share in tails],
            _lines(results, tails),
        ),
    ]


def _lines(results: Results, figures: dict[Any, Any]) -> list[Line]:
    lines = []
    for number, name in enumerate(results.names):
        points = [(x, results.middle(name, figure)) for x, figure in figures.items()]
        known = [(float(x), y) for x, y in points if y is not None]
        if known:
            lines.append(Line(name, known, OURS if name == REGRADE else number))
    return lines
