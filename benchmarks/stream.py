"""A stream of unseen texts: is each doubtful one linked to exactly one item, and are the rest drawn as they should be?

`python -m benchmarks.stream` trains quickly on CLINC150 without its out-of-scope texts, serves with two workers, posts
2,000 texts of its test part (out-of-scope ones among them, drawn with a fixed seed) and asks the service, by its API,
what became of each. Prints what it found, and ends with 1 where a promise is broken.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console

from benchmarks.clinc150 import TASK, Texts, train
from benchmarks.common import data_folder, keep_result, machine, serving

TEXTS = 2_000
CLIENTS = 8
SEED = 7
PORT = 3977
ALPHA = 0.001
"""Chance of a false alarm when the drawn share is compared with the probabilities."""


@dataclass(frozen=True)
class Rules:
    """When the live version doubts: `thresholds` of the confidence by label, and that of the out-of-scope score."""

    thresholds: Mapping[str, float]
    scope: float

    def doubt(self, said: Mapping[str, Any]) -> str | None:
        """Return why a prediction is doubtful, or None."""
        if said["out_of_scope"] > self.scope:
            return "out_of_scope"
        return "low_confidence" if said["confidence"] < self.thresholds[said["label"]] else None


def read_rules(client: httpx.Client, task: str) -> Rules:
    """Ask the service for the rules in force."""
    told = next(one for one in client.get("/v1/tasks").json()["tasks"] if one["name"] == task)
    return Rules(told["thresholds"], told["scope_threshold"])


def post_all(client: httpx.Client, task: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Predict `texts`, one a request, from several clients at once; return the predictions in their order."""

    def post(text: str) -> dict[str, Any]:
        reply = client.post(f"/v1/tasks/{task}/predict", json={"text": text})
        reply.raise_for_status()
        return dict(reply.json()["predictions"][0])

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(post, texts))


def look_up(client: httpx.Client, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Get what is at `paths`."""

    def look(path: str) -> dict[str, Any]:
        reply = client.get(path)
        reply.raise_for_status()
        return dict(reply.json())

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(look, paths))


def judge(client: httpx.Client, rules: Rules, replies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare what was replied with what is remembered, and both with the rules; `faults` lists what is wrong."""
    kept = look_up(client, [f"/v1/predictions/{reply['id']}" for reply in replies])
    wanted = sorted({one["item"]["item_id"] for one in kept if one["item"]})
    items = dict(zip(wanted, look_up(client, [f"/v1/queue/items/{item}" for item in wanted]), strict=True))
    faults = [fault for reply, one in zip(replies, kept, strict=True) if (fault := fault_of(rules, reply, one, items))]
    places = Counter((one["text"].strip().casefold()) for one in items.values())
    faults += [f"{n} items have one text" for n in places.values() if n > 1]
    sure = [one for one in kept if rules.doubt(one) is None]
    drawn = sum(one["reason"] is not None for one in sure)
    chance = two_sided([one["inclusion"] for one in sure], drawn)
    if chance < ALPHA:
        faults.append(f"{drawn} confident predictions were drawn, which happens with a probability of {chance:.2g}")
    return {
        "texts": len(kept),
        "reasons": dict(Counter(one["reason"] or "none" for one in kept)),
        "items": len(items),
        "confident": len(sure),
        "drawn": drawn,
        "expected": sum(one["inclusion"] for one in sure),
        "probability": chance,
        "faults": faults,
    }


def fault_of(
    rules: Rules, reply: Mapping[str, Any], kept: Mapping[str, Any], items: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Say what is wrong with one prediction, or return None."""
    doubt, review, item = rules.doubt(kept), reply["review"], kept["item"]
    if (review is None) != (kept["reason"] is None) or (review is None) != (item is None):
        return f"{kept['id']}: the reply and the store disagree on whether somebody is asked"
    if doubt is not None and (kept["reason"], kept["inclusion"]) != (doubt, 1.0):
        return f"{kept['id']}: {doubt} was expected with certainty; got {kept['reason']}, {kept['inclusion']}"
    if doubt is None and kept["reason"] not in {None, "audit", "drift"}:
        return f"{kept['id']}: nothing is doubtful, and yet {kept['reason']}"
    if review is None:
        return None
    if review != {"item_id": item["item_id"], "reason": kept["reason"]}:
        return f"{kept['id']}: the reply says {review}; the store {item['item_id']}, {kept['reason']}"
    linked = items[item["item_id"]]["predictions"]
    return (
        None if linked.count(kept["id"]) == 1 else f"{kept['id']}: its item is linked {linked.count(kept['id'])} times"
    )


def two_sided(chances: Sequence[float], drawn: int) -> float:
    """Return the probability of a number as unlikely as `drawn` of independent events with `chances` (exact)."""
    mass = np.ones(1)
    for chance in chances:
        mass = np.convolve(mass, [1.0 - chance, chance])
    return float(min(1.0, 2.0 * min(mass[: drawn + 1].sum(), mass[drawn:].sum())))


def unseen_texts(parts: Mapping[str, Texts]) -> list[str]:
    """Draw the texts from the test part, a fifth or so of them out of scope, each once."""
    texts = [text for text, _ in (*parts["test"], *parts["oos_test"])]
    return random.Random(SEED).sample(texts, TEXTS)


def measure(folder: Path) -> dict[str, Any]:
    """Train, serve, post and judge."""
    parts: dict[str, Texts] = json.loads((folder / "data_full.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as work:
        home = Path(work)
        train(home, parts["train"], full=False)
        environment = {"REGRADE_HOME": work, "BENTOML_HOME": str(home / "bentoml"), "REGRADE_TASKS": TASK}
        environment |= {"REGRADE_WORKERS": "2", "REGRADE_PORT": str(PORT)}
        with (
            serving("service.app:Regrade", PORT, environment),
            httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client,
        ):
            replies = post_all(client, TASK, unseen_texts(parts))
            return judge(client, read_rules(client, TASK), replies)


def main() -> None:
    """Measure, print, and keep the result."""
    about = machine()
    found = measure(data_folder() / "clinc150")
    console = Console()
    console.print_json(json.dumps(found))
    keep_result("stream", found, about)
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
