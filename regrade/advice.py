"""From what `regrade bench` measured to what to set, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEAR_ENOUGH = 0.97
"""Share of the best throughput from which less memory, or fewer processes, count for more than the rest of it."""

USABLE = 0.8
"""Share of the free memory that workers may fill."""

BUSY = 0.5
"""Load a core before the measurement from which other work will have disturbed it."""

FEW_TEXTS = 200


@dataclass(frozen=True)
class Speed:
    """Texts a second of `size` (processes, threads or padded tokens), and the memory of one process in MiB."""

    size: int
    texts_per_s: float
    memory_mib: float


@dataclass(frozen=True)
class Shape:
    """The `seconds` that a run of so many `texts` of so many `tokens` takes."""

    texts: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Served:
    """What the real service did over loopback: `texts` in a request, from `clients` at once; times in milliseconds.

    `memory_mib` is that of one of its workers, None where it could not be read.
    """

    texts: int
    clients: int
    texts_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    memory_mib: float | None


@dataclass(frozen=True)
class Figures:
    """All that was measured, of one version on this machine.

    `one_by_one` and `unsorted` are texts a second of one process without sorting by length; `budgets`, `threads` and
    `processes` with it. `load` is the machine's load before, in processes that wanted a core.
    """

    runner: str
    cores: int
    available_mib: float
    load: float
    texts: int
    longest_tokens: int
    max_length: int
    truncated: float
    one_by_one: float
    unsorted: float
    budgets: Sequence[Speed]
    threads: Sequence[Speed]
    processes: Sequence[Speed]
    shapes: Sequence[Shape]
    served: Sequence[Served] = ()


@dataclass(frozen=True)
class Advice:
    """A setting, or None for what can be said beside, the value to give it, and why."""

    setting: str | None
    value: int | None
    reason: str


def advise(figures: Figures, current: Mapping[str, int]) -> list[Advice]:
    """Return what to set and why, most important first; `current` holds the settings' values now, by variable."""
    workers = _workers(figures, current["REGRADE_WORKERS"])
    budget = _budget(figures, current["REGRADE_BATCH_TOKENS"])
    found = [workers, _threads(figures), budget, _capacity(figures), *_doubts(figures)]
    return [_beside(advice, current) for advice in found]


def _beside(advice: Advice, current: Mapping[str, int]) -> Advice:
    """Say whether a setting has the value already."""
    if advice.setting is None or advice.setting not in current:
        return advice
    now = current[advice.setting]
    said = "as it is now" if now == advice.value else f"now {now}"
    return Advice(advice.setting, advice.value, f"{said}; {advice.reason}")


def best_of(speeds: Sequence[Speed], current: int | None = None) -> Speed:
    """Return the size `current` if its throughput is near the best, else the smallest size of which that is true."""
    enough = NEAR_ENOUGH * max(speed.texts_per_s for speed in speeds)
    near = [speed for speed in speeds if speed.texts_per_s >= enough]
    return min(near, key=lambda speed: (speed.size != current, speed.size))


def _workers(figures: Figures, current: int) -> Advice:
    best = best_of(figures.processes, current)
    one = figures.processes[0]
    each = max([speed.memory_mib for speed in figures.processes] + [one.memory_mib or 0.0 for one in figures.served])
    fitting = max(1, int(USABLE * figures.available_mib // each)) if each else best.size
    if fitting < best.size:
        reason = (
            f"{best.size} would be faster, but {figures.available_mib:,.0f} MB are free and a worker takes {each:,.0f}"
        )
        return Advice("REGRADE_WORKERS", fitting, reason)
    if best.size == 1:
        return Advice("REGRADE_WORKERS", 1, f"one process does {one.texts_per_s:,.0f} texts/s, and more do no better")
    gain = best.texts_per_s / one.texts_per_s
    return Advice(
        "REGRADE_WORKERS",
        best.size,
        f"{best.size} processes do {best.texts_per_s:,.0f} texts/s, {gain:.2f} times what one does, on "
        f"{figures.cores} cores",
    )


def _threads(figures: Figures) -> Advice:
    """Threads are no setting: a worker has one, and here is what that is worth."""
    if not figures.threads:
        return Advice(None, None, f"threads: the {figures.runner} runner computes on the device")
    many = max(figures.threads, key=lambda speed: speed.size)
    alike = next((speed for speed in figures.processes if speed.size == many.size), None)
    if many.size == 1 or alike is None:
        return Advice(None, 1, "threads: one a worker, on the one core there is")
    if alike.texts_per_s >= many.texts_per_s:
        reason = (
            f"threads: one a worker; {many.size} threads in one process do {many.texts_per_s:,.0f} texts/s, "
            f"{many.size} processes of one thread {alike.texts_per_s:,.0f}"
        )
    else:
        reason = (
            f"threads: one a worker, although {many.size} threads in one process do {many.texts_per_s:,.0f} texts/s "
            f"and {many.size} processes {alike.texts_per_s:,.0f} here: processes leave each request on its own core"
        )
    return Advice(None, 1, reason)


def _budget(figures: Figures, current: int) -> Advice:
    best, most = best_of(figures.budgets, current), max(figures.budgets, key=lambda speed: speed.texts_per_s)
    reason = f"{best.texts_per_s:,.0f} texts/s; the best, {most.size:,}, does {most.texts_per_s:,.0f}"
    largest = max(figures.budgets, key=lambda speed: speed.size)
    saved = largest.memory_mib - best.memory_mib
    if saved >= 1.0:
        reason += f"; it takes {saved:,.0f} MB less a worker than {largest.size:,}"
    return Advice("REGRADE_BATCH_TOKENS", best.size, reason)


def _capacity(figures: Figures) -> Advice:
    """Say what this machine can do: measured through the service where it was, else without HTTP."""
    gain = best_of(figures.budgets).texts_per_s / figures.one_by_one
    sorting = f"requests of many texts gain {gain:.2f} times by sorting them by length"
    single = next((one for one in figures.served if one.texts == 1), None)
    if single is None:
        return Advice(None, None, f"one process does {figures.one_by_one:,.0f} texts/s one by one; {sorting}")
    return Advice(
        None,
        None,
        f"the whole service answered {single.texts_per_s:,.0f} requests/s of one text with {single.clients} clients, "
        f"99 of 100 within {single.p99_ms:.0f} ms, its client on the same cores; {sorting}",
    )


def _doubts(figures: Figures) -> list[Advice]:
    """Say what makes the figures less certain, or worse than they need be."""
    found = []
    if figures.load / figures.cores >= BUSY:
        found.append(f"the machine was busy before (load {figures.load:.1f} on {figures.cores} cores): measure again")
    if figures.texts < FEW_TEXTS:
        found.append(f"only {figures.texts} texts: give more with --texts, or --recorded for real traffic")
    if figures.truncated > 0:
        found.append(
            f"{figures.truncated:.1%} of the texts are longer than the model sees ({figures.max_length} tokens)"
        )
    if any(one.failed for one in figures.served):
        found.append(f"{sum(one.failed for one in figures.served):,} requests failed; see what the service logs")
    return [Advice(None, None, one) for one in found]
