from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.__main__ import in_order, options_of, plan_of
from benchmarks.peers.open_loop import read_overload, simulated_latencies, summarise
from benchmarks.peers.plan import FULL, QUICK, Case
from benchmarks.peers.promises import promises, who_is_ahead
from benchmarks.peers.reading import Results, closed, ratio_over
from benchmarks.peers.registry import PEERS
from benchmarks.peers.report import BEGIN, END, describe, write_page
from benchmarks.peers.traffic import REAL

SPEEDS = {"regrade": 900.0, "bentoml": 500.0, "fastapi inline": 1000.0}


def load(case: Case, speed: float) -> dict[str, Any]:
    figures = {"p50_ms": 1.0, "p99_ms": 2000 / speed, "p999_ms": 4.0, "max_ms": 5.0, "failed": 0, "requests": 100}
    costs = {"texts_per_s": speed, "server_cpu_s_per_1000": 2000 / speed, "client_cpu_share": 0.1, "seconds": 1.0}
    return {"kind": case.kind, "texts": case.texts, "clients": case.clients, **figures, **costs}


def turn(number: int, peer: str, machine: float) -> dict[str, Any]:
    """A turn on a machine that runs at a share of its speed."""
    speed = SPEEDS[peer] * machine
    limit = {"texts_per_s": 1000.0 * machine, "server_cpu_s_per_1000": 2 / machine}
    at_half = {"share": 0.5, "rate": speed / 2, "p50_ms": 1.0, "p99_ms": 3.0, "p999_ms": 4.0, "failed": 0}
    return {
        "round": number,
        "peer": peer,
        "raw": {"1": limit, "64": limit},
        "start_s": 3.0,
        "memory_mib": [200.0, 100.0],
        "closed": [load(case, speed) for case in QUICK.cases],
        "open": [{**at_half, "simulated_p99_ms": 2.0, "sent_late_p99_ms": 0.1, "client_cpu_share": 0.1}],
        "overload": None,
        "failures": [],
    }


def result() -> dict[str, Any]:
    turns = [turn(number, peer, 1 - number / 4) for number in range(3) for peer in SPEEDS]
    turns[-1] |= {"closed": [], "open": [], "failures": ["did not start: no | room"]}
    plan = {"rounds": 3, "seconds": 1, "open_seconds": 1.0, "overload_seconds": 1.0, "shares": [0.5]}
    plan["cases"] = [{"kind": case.kind, "texts": case.texts, "clients": case.clients} for case in QUICK.cases]
    about = {"cpu": "a processor", "cores": 2, "memory_gib": 8, "python": "3.11", "load_before": 0.1}
    described = [{"name": name, "settings": "the best", "packages": {"onnxruntime": "1"}} for name in SPEEDS]
    rest = {"plan": plan, "peers": described, "not_installed": {"litserve": "no wheel"}, "turns": turns}
    return {"date": "2026-01-01T00:00:00", "commit": "abc", "machine": about, **rest}


def test_a_ratio_has_an_interval_that_holds_its_mean() -> None:
    ratio = ratio_over([1.0, 2.0, 4.0])
    assert ratio is not None
    assert ratio.mean == pytest.approx(2)
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < 1
    assert ratio.high > 4  # 2 degrees of freedom: wide
    assert ratio.low * ratio.high == pytest.approx(4)


def test_one_round_has_no_interval_and_none_no_ratio() -> None:
    one = ratio_over([3.0])
    assert one is not None
    assert one.mean == pytest.approx(3)
    assert one.low is one.high is None
    assert ratio_over([]) is None


def test_peers_are_compared_in_the_rounds_that_both_have() -> None:
    results = Results(result()["turns"])
    ratio = results.between("regrade", "fastapi inline", closed(Case(REAL, 1, 16), "texts_per_s"))
    assert ratio is not None
    assert ratio.mean == pytest.approx(0.9)
    assert len(results.by_round("fastapi inline", closed(Case(REAL, 1, 16), "texts_per_s"))) == 2


def test_promises_are_judged_and_those_ahead_are_named() -> None:
    results = Results(result()["turns"])
    judged = {promise.words: promise for promise in promises(results)}
    assert judged["1 text, 16 clients: throughput, of the raw loop's"].verdict == "yes"
    assert judged["1 text, 16 clients: throughput, times the better stock BentoML's"].verdict == "yes"
    assert judged["64 texts, 4 clients: throughput, of the sorted raw loop's"].verdict == "**no**"
    assert judged["1 text, 16 clients: throughput, times a pipeline's"].verdict == "not measured"
    ahead = who_is_ahead(results)
    assert any(line.startswith("fastapi inline is faster with 16 clients") for line in ahead)
    assert not any("bentoml" in line for line in ahead)


def test_the_report_names_every_peer_and_what_failed(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "peers.svg"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    write_page(json.loads(json.dumps(result())), page, picture)
    words = page.read_text(encoding="utf-8")
    assert words.startswith("# Before")
    assert words.endswith("after\n")
    assert "old" not in words
    for name in SPEEDS:
        assert f"| {name} |" in words
    assert "did not start: no / room" in words
    assert "no wheel" in words
    lines = ET.fromstring(picture.read_text(encoding="utf-8")).findall(".//{*}polyline")
    assert len(lines) == 2 * len(SPEEDS)


def test_a_result_in_which_nothing_worked_is_still_told() -> None:
    empty = result()
    for one in empty["turns"]:
        one |= {"closed": [], "open": [], "failures": ["away"], "start_s": 0.0, "memory_mib": []}
    assert "not measured" in describe(empty)


@given(
    gaps=st.lists(st.floats(0, 0.1), min_size=1, max_size=60),
    service=st.lists(st.floats(0.001, 0.1), min_size=1, max_size=9),
    workers=st.integers(1, 4),
)
def test_a_queue_is_never_quicker_than_its_service_and_more_workers_never_slow_it(
    gaps: list[float], service: list[float], workers: int
) -> None:
    due, times = np.cumsum(gaps), np.array(service)
    needed = times[np.arange(due.size) % times.size]
    latencies = simulated_latencies(due, times, workers)
    assert (latencies >= needed - 1e-9).all()
    assert (simulated_latencies(due, times, due.size) <= needed + 1e-9).all()
    assert (simulated_latencies(due, times, workers + 1) <= latencies + 1e-9).all()


def test_one_worker_serves_in_turn() -> None:
    assert simulated_latencies(np.zeros(3), np.array([1.0]), 1).tolist() == [1, 2, 3]
    assert simulated_latencies(np.zeros(4), np.array([1.0]), 2).tolist() == [1, 1, 2, 2]


def rows(*answers: tuple[float, float, int, int]) -> Any:
    return np.array([(*answer, 0.0) for answer in answers])


def test_an_open_loop_without_an_answer_is_an_error_and_not_a_figure() -> None:
    with pytest.raises(ValueError, match="no request was answered"):
        summarise(rows((0.0, np.nan, 0, 0)), 0.5, 1.0, 0.0, None)


def test_failed_requests_of_an_open_loop_are_counted_apart() -> None:
    told = summarise(rows((0.0, 0.01, 200, 0), (0.1, 0.5, 500, 0)), 0.5, 10.0, 0.1, 2.0)
    assert told.failed == 1
    assert told.p50_ms == pytest.approx(10)


def test_overload_tells_good_refused_and_unanswered_apart_and_when_it_is_over() -> None:
    before = [(at / 10, 0.01, 200, 0) for at in range(10)]
    during = [(1.0, 0.2, 200, 0), (1.2, 0.001, 429, 1), (1.4, np.nan, 0, 0), (1.6, 0.001, 429, 0)]
    after = [(2.1, 0.3, 200, 0), (2.6, 0.01, 200, 0), (3.1, 0.01, 200, 0)]
    told = read_overload(rows(*before, *during, *after), peak=2.0, begins=1.0, ends=2.0, client=0.1)
    assert (told.good_share, told.refused_share, told.unanswered_share) == (0.5, 0.25, 0.5)
    assert told.refusal_p99_ms == pytest.approx(1)
    assert told.back_after_s == 0.5


def test_overload_that_is_not_over_when_watching_ends_says_so() -> None:
    told = read_overload(rows((0.0, 0.01, 200, 0), (1.0, 0.2, 200, 0), (2.1, 0.5, 200, 0)), 1.0, 0.5, 2.0, 0.1)
    assert told.back_after_s is None


def test_options_narrow_the_plan() -> None:
    plan = plan_of(options_of(["--quick", "--clients", "16", "--texts", "1", "--rounds", "3"]))
    assert plan.cases == (Case(REAL, 1, 16),)
    assert (plan.rounds, plan.shares) == (3, QUICK.shares)
    assert plan_of(options_of([])) == FULL


def test_every_round_holds_every_peer_and_orders_differ() -> None:
    orders = [in_order(PEERS, number) for number in range(4)]
    assert orders[0] == list(PEERS)
    assert all(sorted(peer.name for peer in order) == sorted(peer.name for peer in PEERS) for order in orders)
    assert len({tuple(peer.name for peer in order) for order in orders}) == 4
    assert in_order(PEERS, 2) == orders[2]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_is_pinned_and_takes_one_text_and_many(peer: Any) -> None:
    assert all("==" in one for one in peer.requires)
    for texts in (["one"], ["one", "two"]):
        body = json.dumps(peer.protocol.body(texts))
        assert all(json.dumps(text) in body for text in texts)
