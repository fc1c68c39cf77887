"""`python -m benchmarks.peers`: measure, print the tables, and keep the result."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.common import RESULTS, ROOT, keep_result, machine, need_tool
from benchmarks.peers import __doc__ as about_peers
from benchmarks.peers.environments import PeerError, packages_of, python_of
from benchmarks.peers.hugging_face import write_hugging_face
from benchmarks.peers.measuring import Bench, Turn, take_turn
from benchmarks.peers.model import Model
from benchmarks.peers.plan import FULL, QUICK, Plan
from benchmarks.peers.raw import RawLoop
from benchmarks.peers.registry import PEERS, TASK, Peer
from benchmarks.peers.report import describe, write_page
from benchmarks.peers.running import Place
from benchmarks.peers.traffic import REAL, Bodies, pools
from benchmarks.versions import live_folder
from core.settings import Settings, load_settings

SAMPLES = 24
"""Texts by which it is checked that a peer answers as the model does."""


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=about_peers, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="the main figures, in about 12 minutes")
    parser.add_argument("--rounds", type=int, help="of all peers, one after the other")
    parser.add_argument("--seconds", type=int, help="of each closed loop; whole ones")
    parser.add_argument("--clients", type=int, nargs="+", help="only closed loops of so many")
    parser.add_argument("--texts", type=int, nargs="+", help="only closed loops of so many texts a request")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "regrade-peers"
    parser.add_argument("--work", type=Path, default=cache, help="folder of the peers' environments: 8 GB; %(default)s")
    parser.add_argument("--keep", help="name of the result in benchmarks/results; default peers or peers-quick")
    parser.add_argument("--page", action="store_true", help="write tables and picture of the kept result into docs/")
    parser.add_argument("--kept", action="store_true", help="measure nothing: print the kept result again")
    return parser.parse_args(words)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the command line asks for."""
    plan = QUICK if options.quick else FULL
    cases = tuple(
        case
        for case in plan.cases
        if case.clients in (options.clients or [case.clients]) and case.texts in (options.texts or [case.texts])
    )
    return replace(plan, cases=cases, rounds=options.rounds or plan.rounds, seconds=options.seconds or plan.seconds)


def installed(peers: Sequence[Peer], work: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Make the peers' environments; return the Python of each, and why the others have none."""
    pythons, failures = {}, {}
    for peer in peers:
        try:
            pythons[peer.name] = python_of(peer, work)
        except PeerError as error:
            failures[peer.name] = str(error)
            print(f"{peer.name}: {error}", flush=True)
    return pythons, failures


def measure(
    settings: Settings, plan: Plan, peers: Sequence[Peer], pythons: dict[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Measure the peers in rounds, each round in another order, the raw loop before every turn.

    Yields all turns so far after each round: a run that is ended early keeps the rounds that it finished.
    """
    version = live_folder(settings, TASK)
    turns: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, texts = Path(scratch), pools()
        hugging_face = folder / "hugging-face"
        write_hugging_face(version, hugging_face)
        place = Place(folder, version, hugging_face, settings.bentoml_home, len(os.sched_getaffinity(0)))
        samples = texts[REAL][:SAMPLES]
        labels = [answer["label"] for answer in Model(version).classify(samples)]
        bench = Bench(plan, place, Bodies(folder, texts), samples, labels)
        raw = RawLoop(place, texts[REAL])
        for number in range(plan.rounds):
            for peer in in_order([peer for peer in peers if peer.name in pythons], number):
                limits = {str(size): asdict(raw.run(size, plan.seconds)) for size in (1, 64)}
                turn = take_turn(bench, peer, pythons[peer.name])
                turns.append({"round": number, "peer": peer.name, "raw": limits, **as_kept(turn)})
                tell(number, peer, turn)
            yield turns


def in_order(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Return the order of a round: the given one in the first, a fixed random one in each other.

    So nobody is always after the same one, or always when the machine is warm.
    """
    return Random(number).sample(peers, len(peers)) if number else list(peers)


def as_kept(turn: Turn) -> dict[str, Any]:
    """Return a turn as it is kept in a result."""
    closed = [{**asdict(case), **asdict(load)} for case, load in turn.closed.items()]
    return {**asdict(replace(turn, closed={})), "closed": closed}


def tell(number: int, peer: Peer, turn: Turn) -> None:
    """Say how a turn went."""
    failed = f"; FAILED {'; '.join(turn.failures)}" if turn.failures else ""
    print(f"round {number + 1}: {peer.name}: {turn.peak:,.0f} texts/s, up in {turn.start_s:.1f} s{failed}", flush=True)


def main() -> None:
    """Measure, print, and keep the result."""
    options = options_of()
    name = options.keep or ("peers-quick" if options.quick else "peers")
    if not options.kept:
        need_tool("wrk")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the peer that stands, as Ctrl-C does
        about, settings = machine(), load_settings()
        os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
        plan, peers = plan_of(options), [peer for peer in PEERS if peer.name in options.peers]
        pythons, failures = installed(peers, options.work)
        described = [
            {"name": peer.name, "settings": peer.argued, "packages": packages_of(pythons[peer.name])}
            for peer in peers
            if peer.name in pythons
        ]
        for turns in measure(settings, plan, peers, pythons):
            result = {"plan": asdict(plan), "peers": described, "not_installed": failures, "turns": turns}
            keep_result(name, result, about)
    path = RESULTS / f"{name}.json"
    if not path.exists():
        sys.exit(f"{path} is not there; measure first, without --kept")
    result = json.loads(path.read_text(encoding="utf-8"))
    print(describe(result))
    if options.page:
        write_page(result, ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "peers.svg")
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
