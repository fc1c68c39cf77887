"""How well answers of a crowd become labels, on real ones: 800 sentence pairs, ten votes each, 164 people, gold known.

`python -m benchmarks.crowd` takes about a minute. The data is that of Snow et al. 2008 ("Cheap and fast, but is it
good?", textual entailment). Votes of an item come in random order, 50 orders; a tie counts half. Published for all ten
votes: majority 89.7, votes weighted by gold-calibrated accuracy 92.7 (Snow et al. 2008); Dawid and Skene's plain
maximum likelihood is computed here as well. The adaptive part is the product's own loop: items come one after another,
`feedback.strategies.decide` resolves each or asks for another vote, and what is known of people is estimated again from
the resolved items after every 50.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, keep_result, machine
from feedback.aggregation import Aggregated, Priors, Votes, dawid_skene, majority, weighted_vote
from feedback.facts import Decision, Quality, Value, Vote
from feedback.strategies import decide
from tasks.declaration import Review

PUBLISHED = 92.7
"""The best that Snow et al. 2008 report for all votes."""
ORDERS = 50
PER_ITEM = 10
LABELS: list[Value] = [0, 1]
REFRESH_EVERY = 50
ADAPTIVE = [
    Review(strategy="crowd", answers=answers, most_answers=PER_ITEM, certainty=certainty)
    for answers, certainty in ((3, 0.9), (3, 0.95), (2, 0.975), (3, 0.975), (3, 0.99))
]
CHOSEN = ADAPTIVE[2]
"""The setting that the promise is about."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """`items`, `people` and `labels` are of shape `(8000,)`, the votes of an item together; `gold` is `(800,)`."""

    items: Ints
    people: Ints
    labels: Ints
    gold: Ints

    def votes(self, kept: NDArray[np.bool_]) -> Votes:
        """Return some of the votes as the aggregators take them."""
        n_people = int(self.people.max()) + 1
        return Votes(self.items[kept], self.people[kept], self.labels[kept], len(self.gold), n_people, 2)

    def credit(self, posterior: Floats) -> float:
        """Return the accuracy of a posterior in points, ties at half credit."""
        tied = np.isclose(posterior, posterior.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
        return float((tied[np.arange(len(self.gold)), self.gold] / tied.sum(axis=1)).mean() * 100)


@dataclass(frozen=True)
class Adaptive:
    """What asking until sure gives: points, votes an item, and points of all those votes aggregated once more."""

    answers: int
    certainty: float
    accuracy: float
    votes: float
    aggregated: float


def data_file() -> Path:
    """Return where the votes are, or would be."""
    return Path(os.environ.get("REGRADE_DATA", ROOT.parent / "shared" / "data")) / "snow_rte" / "votes.tsv"


def read_crowd() -> Crowd:
    """Read the votes, numbered in the order of the file, those of an item together."""
    with data_file().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    items = {name: number for number, name in enumerate(dict.fromkeys(row["orig_id"] for row in rows))}
    people = {name: number for number, name in enumerate(dict.fromkeys(row["!amt_worker_ids"] for row in rows))}
    rows.sort(key=lambda row: items[row["orig_id"]])
    gold = {items[row["orig_id"]]: int(row["gold"]) for row in rows}
    return Crowd(
        np.array([items[row["orig_id"]] for row in rows]),
        np.array([people[row["!amt_worker_ids"]] for row in rows]),
        np.array([int(row["response"]) for row in rows]),
        np.array([gold[number] for number in range(len(gold))]),
    )


def shuffled(crowd: Crowd, seed: int) -> Ints:
    """Return the votes of each item in random order, `(n_items, 10)`: positions in the crowd's arrays."""
    keys = np.random.default_rng(seed).random(len(crowd.items))
    order: Ints = np.lexsort((keys, crowd.items)).reshape(-1, PER_ITEM)
    return order


def accuracy(crowd: Crowd, method: Callable[[Votes], Aggregated], votes: int, orders: int) -> float:
    """Return the mean accuracy of a method, in points, from the first `votes` of each item."""
    scores = []
    for seed in range(1 if votes == PER_ITEM else orders):
        kept = np.zeros(len(crowd.items), dtype=bool)
        kept[shuffled(crowd, seed)[:, :votes].ravel()] = True
        scores.append(crowd.credit(method(crowd.votes(kept)).posterior))
    return float(np.mean(scores))


def plain_dawid_skene(votes: Votes) -> Aggregated:
    """Estimate by maximum likelihood: the published method, without what keeps people with few votes safe."""
    return dawid_skene(votes, priors=Priors(answers=1e-6, row_answers=1e-6))


def ask_until_sure(crowd: Crowd, review: Review, seed: int) -> Adaptive:
    """Let items come one after another, each asked about until it is resolved."""
    order, known = shuffled(crowd, seed), dict[str, Quality]()
    used, found = np.zeros(len(crowd.items), dtype=bool), np.zeros((len(crowd.gold), 2))
    for count, item in enumerate(np.random.default_rng(seed).permutation(len(crowd.gold)), start=1):
        decision, asked = _resolve(crowd, review, order[item], known)
        used[order[item][:asked]] = True
        for value, chance in decision.posterior:
            found[item, value] = chance  # type: ignore[index]
        if count % REFRESH_EVERY == 0:
            known = _known(crowd, used)
    again = crowd.credit(dawid_skene(crowd.votes(used)).posterior)
    return Adaptive(review.answers, review.certainty, crowd.credit(found), used.sum() / len(crowd.gold), again)


def _resolve(crowd: Crowd, review: Review, order: Ints, known: dict[str, Quality]) -> tuple[Decision, int]:
    """Ask in `order` until the item is resolved, or nobody is left; return how it ends and how many were asked."""
    said = [Vote(str(crowd.people[one]), int(crowd.labels[one])) for one in order]
    asked = review.answers
    while True:
        decision = decide(review, LABELS, said[:asked], known, pending=0, asked=asked)
        if decision.action != "ask" or asked == PER_ITEM:
            return decision, asked
        asked = min(PER_ITEM, asked + decision.more)


def _known(crowd: Crowd, used: NDArray[np.bool_]) -> dict[str, Quality]:
    result = dawid_skene(crowd.votes(used))
    return {
        str(one): Quality(
            float(result.accuracy[one]),
            confusion={true: {said: float(result.confusion[one, true, said]) for said in (0, 1)} for true in (0, 1)},
        )
        for one in np.unique(crowd.people[used])
    }


def adaptive(crowd: Crowd, review: Review, orders: int) -> Adaptive:
    """Return the mean over random orders."""
    runs = [ask_until_sure(crowd, review, seed) for seed in range(orders)]
    means = np.mean([(one.accuracy, one.votes, one.aggregated) for one in runs], axis=0)
    return Adaptive(review.answers, review.certainty, *(float(mean) for mean in means))


def main() -> None:
    """Measure, print, and keep the result."""
    if not data_file().exists():
        sys.exit(f"skipped: this benchmark needs {data_file()}; set REGRADE_DATA to the folder that holds snow_rte")
    about, crowd = machine(), read_crowd()
    methods = {
        "majority": majority,
        "Dawid and Skene": dawid_skene,
        "weighted": weighted_vote,
        "Dawid and Skene, no priors": plain_dawid_skene,
    }
    scores = {
        name: {votes: accuracy(crowd, method, votes, ORDERS) for votes in (3, 5, PER_ITEM)}
        for name, method in methods.items()
    }
    table = Table("method", "3 votes", "5 votes", "10 votes", title="Accuracy in points")
    for name, row in scores.items():
        table.add_row(name, *(f"{row[votes]:.2f}" for votes in (3, 5, PER_ITEM)))
    asked = [adaptive(crowd, review, ORDERS) for review in ADAPTIVE]
    loop = Table(
        "first answers", "certainty", "accuracy", "votes an item", "aggregated again", title="Asking until sure"
    )
    for one in asked:
        loop.add_row(
            str(one.answers), str(one.certainty), f"{one.accuracy:.2f}", f"{one.votes:.2f}", f"{one.aggregated:.2f}"
        )
    Console().print(table, loop)
    best = scores["Dawid and Skene"]
    chosen = asked[ADAPTIVE.index(CHOSEN)]
    published = max(PUBLISHED, scores["Dawid and Skene, no priors"][PER_ITEM])
    held = {
        "within 0.3 of the best published": best[PER_ITEM] >= published - 0.3,
        "never more than a point below majority": all(best[n] >= scores["majority"][n] - 1 for n in best),
        "asking until sure is within a point": chosen.accuracy >= best[PER_ITEM] - 1,
        "with at most half the votes": chosen.votes <= PER_ITEM / 2,
    }
    for promise, kept in held.items():
        print(f"{'held' if kept else 'BROKEN'}: {promise}")
    result = {"orders": ORDERS, "accuracy": scores, "adaptive": [asdict(one) for one in asked], "held": held}
    print(f"kept in {keep_result('crowd', result, about).relative_to(ROOT)}")
    sys.exit(0 if all(held.values()) else 1)


if __name__ == "__main__":
    main()
