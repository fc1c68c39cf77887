"""From figures to advice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regrade.advice import Advice, Figures, Served, Speed, advise, best_of

CURRENT = {"REGRADE_WORKERS": 4, "REGRADE_BATCH_TOKENS": 512}
FIGURES = Figures(
    runner="cpu",
    cores=4,
    available_mib=16_000.0,
    load=0.1,
    texts=2000,
    longest_tokens=60,
    max_length=128,
    truncated=0.0,
    one_by_one=900.0,
    unsorted=400.0,
    budgets=[Speed(128, 1000.0, 90.0), Speed(512, 1200.0, 95.0), Speed(2048, 1210.0, 140.0)],
    threads=[Speed(1, 1200.0, 95.0), Speed(4, 2600.0, 95.0)],
    processes=[Speed(1, 1200.0, 95.0), Speed(2, 2300.0, 95.0), Speed(4, 4300.0, 95.0)],
    shapes=[],
)


def advice_on(setting: str | None, figures: Figures, current: dict[str, int] = CURRENT) -> list[Advice]:
    return [one for one in advise(figures, current) if one.setting == setting]


def reasons(figures: Figures) -> str:
    return "\n".join(one.reason for one in advise(figures, CURRENT))


def test_what_is_near_the_best_stays_as_it_is() -> None:
    (workers,) = advice_on("REGRADE_WORKERS", FIGURES)
    (budget,) = advice_on("REGRADE_BATCH_TOKENS", FIGURES)
    assert (workers.value, budget.value) == (4, 512)
    assert workers.reason.startswith("as it is now")
    assert "3.58 times what one does, on 4 cores" in workers.reason
    assert "takes 45 MB less a worker than 2,048" in budget.reason


def test_what_is_not_near_the_best_is_changed() -> None:
    current = {"REGRADE_WORKERS": 1, "REGRADE_BATCH_TOKENS": 128}
    (workers,) = advice_on("REGRADE_WORKERS", FIGURES, current)
    (budget,) = advice_on("REGRADE_BATCH_TOKENS", FIGURES, current)
    assert (workers.value, budget.value) == (4, 512)
    assert workers.reason.startswith("now 1; ")
    assert budget.reason.startswith("now 128; ")


def test_processes_that_gain_nothing_are_not_advised() -> None:
    alike = [Speed(1, 1200.0, 95.0), Speed(2, 1210.0, 95.0), Speed(4, 1190.0, 95.0)]
    (workers,) = advice_on("REGRADE_WORKERS", replace(FIGURES, processes=alike), {**CURRENT, "REGRADE_WORKERS": 8})
    assert workers.value == 1
    assert "more do no better" in workers.reason


def test_memory_bounds_the_workers() -> None:
    served = [Served(1, 16, 800.0, 5.0, 9.0, 0, 300.0)]
    (workers,) = advice_on("REGRADE_WORKERS", replace(FIGURES, available_mib=800.0, served=served))
    assert workers.value == 2
    assert "a worker takes 300" in workers.reason


@pytest.mark.parametrize(
    ("many", "word"), [(2600.0, "4 processes of one thread 4,300"), (5000.0, "although 4 threads")]
)
def test_a_worker_has_one_thread_and_is_told_what_that_is_worth(many: float, word: str) -> None:
    threads = [Speed(1, 1200.0, 95.0), Speed(4, many, 95.0)]
    assert word in reasons(replace(FIGURES, threads=threads))


def test_a_gpu_has_no_threads_to_choose() -> None:
    assert "computes on the device" in reasons(replace(FIGURES, runner="cuda", threads=[]))


def test_one_core_is_no_mistake() -> None:
    alone = replace(FIGURES, cores=1, threads=FIGURES.threads[:1], processes=FIGURES.processes[:1])
    (workers,) = advice_on("REGRADE_WORKERS", alone)
    assert workers.value == 1
    assert "the one core there is" in reasons(alone)


def test_the_service_says_what_the_machine_can_do_where_it_was_measured() -> None:
    assert "900 texts/s one by one" in reasons(FIGURES)
    served = [Served(1, 16, 800.0, 5.0, 9.0, 0, None), Served(64, 4, 1100.0, 200.0, 300.0, 0, None)]
    assert "answered 800 requests/s of one text with 16 clients, 99 of 100 within 9 ms" in reasons(
        replace(FIGURES, served=served)
    )


def test_doubts_are_said() -> None:
    assert "measure again" not in reasons(FIGURES)
    doubtful = replace(FIGURES, load=3.0, texts=20, truncated=0.25, served=[Served(1, 16, 1.0, 1.0, 1.0, 7, None)])
    for words in ("load 3.0 on 4 cores", "only 20 texts", "25.0% of the texts", "7 requests failed"):
        assert words in reasons(doubtful)


def test_of_equals_the_smallest_is_best_unless_another_is_set() -> None:
    speeds = [Speed(1, 97.5, 0.0), Speed(2, 100.0, 0.0), Speed(4, 90.0, 0.0)]
    assert best_of(speeds).size == 1
    assert best_of(speeds, 2).size == 2
    assert best_of(speeds, 4).size == 1
