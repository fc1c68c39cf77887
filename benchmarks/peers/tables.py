"""The tables of a result, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.plan import Case
from benchmarks.peers.reading import Figure, Ratio, Results, Turn, closed, of_turn, opened, overloaded, per, raw
from benchmarks.peers.registry import REGRADE
from benchmarks.peers.traffic import REAL

SPEED, CPU = "texts_per_s", "server_cpu_s_per_1000"


@dataclass(frozen=True)
class Column:
    """A heading, the figure below it, and its form."""

    heading: str
    figure: Figure
    form: str = "{:,.0f}"


def cases_of(plan: dict[str, Any]) -> list[Case]:
    """Return the closed loops of a result's plan."""
    return [Case(**one) for one in plan["cases"]]


def show(ratio: Ratio | None) -> str:
    """Return a ratio with its interval, such as `1.62 (1.55 to 1.70)`."""
    if ratio is None:
        return "-"
    interval = "" if ratio.low is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.mean:.2f}{interval}"


def _words(case: Case) -> str:
    kind = "" if case.kind == REAL else f"{case.kind} "
    return f"{case.texts} {kind}{'text' if case.texts == 1 else 'texts'}, {clients_of(case)}"


def clients_of(case: Case) -> str:
    """Return how many clients a closed loop has, in words."""
    return "1 client" if case.clients == 1 else f"{case.clients} clients"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; the first column is of words, the others of numbers."""
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_columns(results: Results, first: str, columns: Sequence[Column]) -> str:
    """Return a table of medians over rounds, a row a peer."""
    rows = [[name, *(_cell(results, name, column) for column in columns)] for name in results.names]
    return markdown([first, *(column.heading for column in columns)], rows)


def _cell(results: Results, name: str, column: Column) -> str:
    value = results.middle(name, column.figure)
    return "-" if value is None else column.form.format(value)


def one_text(results: Results, plan: dict[str, Any]) -> str:
    """Return requests a second by clients, and what each costs."""
    ordinary = [case for case in cases_of(plan) if case.is_ordinary]
    speeds = [Column(clients_of(case), closed(case, SPEED)) for case in ordinary]
    busy = [case for case in ordinary if case.clients in {16, 64}]
    tails = [Column(f"p99 ms, {case.clients}", closed(case, "p99_ms")) for case in busy]
    costs = [Column(f"CPU s per 1,000, {case.clients}", closed(case, CPU), "{:.2f}") for case in busy[:1]]
    table = of_columns(results, "1 text a request, requests/s", [*speeds, *tails, *costs])
    return f"{table}\n{_raw_row(results, len(speeds), len(tails), len(costs))}"


def _raw_row(results: Results, speeds: int, tails: int, costs: int) -> str:
    """Return the limit as a last row: it has no clients, and no latency."""
    speed, cost = (_over_all(results, raw(1, name)) for name in (SPEED, CPU))
    cells = ["raw loop", *[""] * (speeds - 1), f"{speed:,.0f}", *["-"] * tails, *[f"{cost:.2f}"] * costs]
    return f"| {' | '.join(cells)} |"


def _over_all(results: Results, figure: Figure) -> float:
    values = [value for name in results.names for value in results.by_round(name, figure).values()]
    return sorted(values)[len(values) // 2]


def several_texts(results: Results, plan: dict[str, Any]) -> str:
    """Return texts a second of every other closed loop."""
    others = [case for case in cases_of(plan) if not case.is_ordinary]
    columns = [Column(_words(case), closed(case, SPEED)) for case in others]
    return of_columns(results, "texts a request, texts/s", columns)


def open_loops(results: Results, plan: dict[str, Any]) -> str:
    """Return latencies at a constant rate, as shares of each one's own peak."""
    columns = []
    for share in plan["shares"]:
        columns.append(Column(f"p50 at {share:.0%}", opened(share, "p50_ms"), "{:.1f}"))
        columns.append(Column("p99", opened(share, "p99_ms"), "{:.1f}"))
        columns.append(Column("p99.9", opened(share, "p999_ms"), "{:.1f}"))
        columns.append(Column("queue's p99", opened(share, "simulated_p99_ms"), "{:.1f}"))
    return of_columns(results, "ms", columns)


def upkeep(results: Results, plan: dict[str, Any]) -> str:
    """Return memory, start-up and failures, and what overload did."""
    failed: Figure = lambda turn: sum(load["failed"] for load in (*turn["closed"], *turn["open"]))  # noqa: E731
    columns = [
        Column("start, s", of_turn("start_s"), "{:.1f}"),
        Column("memory, MiB", lambda turn: sum(turn["memory_mib"]) or None),
        Column("of which the largest process", lambda turn: max(turn["memory_mib"], default=None)),
        Column("failed requests", failed),
    ]
    if plan["overload_seconds"]:
        columns += [
            Column("good answers", overloaded("good_share"), "{:.2f}"),
            Column("refused", overloaded("refused_share"), "{:.0%}"),
            Column("no answer in 2 s", overloaded("unanswered_share"), "{:.0%}"),
            Column("p99 of a refusal, ms", overloaded("refusal_p99_ms"), "{:.0f}"),
            Column("normal again after, s", _back_after, "{:.1f}"),
        ]
    return of_columns(results, "", columns)


def _back_after(turn: Turn) -> float | None:
    """Return the seconds until all was normal again; infinite when it was not while it was watched."""
    overload = turn["overload"]
    return None if overload is None else math.inf if overload["back_after_s"] is None else overload["back_after_s"]


def beside_peers(results: Results, plan: dict[str, Any]) -> str:
    """Return how many times each peer's figures ours are, each relative to the raw loop just before."""
    headings, columns = [""], []
    for case in cases_of(plan):
        if case.kind == REAL and (case.texts, case.clients) in {(1, 16), (1, 64), (64, 4)}:
            words = _words(case)
            limit = raw(1 if case.texts == 1 else 64, SPEED)
            columns.append(per(closed(case, SPEED), limit))
            headings.append(f"{words}: throughput")
            if case.texts == 1:
                columns.append(closed(case, "p99_ms"))
                headings.append(f"{words}: p99")
    others = [name for name in results.names if name != REGRADE]
    rows = [[name, *(show(results.between(REGRADE, name, figure)) for figure in columns)] for name in others]
    return markdown(headings, rows)
