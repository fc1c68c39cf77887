"""Thirty reviewed items for each starter task, over HTTP alone: a good batch must pass the gate, a bad one must fail.

`python -m benchmarks.batches` takes a few minutes. It serves copies of the home with the starters' live versions. The
texts of `benchmarks/unseen` come as traffic; thirty of those that triage asks about are answered, rightly or each with
a wrong label drawn at random, and the fast run begins by itself. Accuracy before and after is that of the other texts.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.caller import OPEN, POLL_S, Caller, whole_service
from benchmarks.common import ROOT, keep_result, machine
from benchmarks.starters import UNSEEN, read
from benchmarks.versions import live_folder
from core.settings import Settings, load_settings

TASKS = ("support-intent", "finance-sentiment")
BATCH = 30
DOUBTFUL = {"low_confidence", "out_of_scope"}
_AT_ONCE = 64
_BEGIN_S, _RUN_S = 120.0, 1800.0
"""Seconds within which a run begins that is due, and within which it ends; both by far, for machines that are busy."""


@dataclass(frozen=True)
class Outcome:
    """What came of one batch; shares are of the texts that nobody answered."""

    task: str
    batch: str
    confirmations: int
    status: str
    message: str
    seconds: float
    before: float
    after: float
    checks: dict[str, str]

    @property
    def is_right(self) -> bool:
        """Whether a good batch went live, and a bad one was refused for what it does."""
        return self.status == ("promoted" if self.batch == "good" else "rejected")


def play(settings: Settings, task: str, batch: str) -> Outcome:
    """Serve a copy of the live version of `task` and have one batch answered."""
    rows = [(row["text"], row["label"]) for row in read(UNSEEN / f"{task}.csv")]
    random.Random(0).shuffle(rows)
    with tempfile.TemporaryDirectory() as work:
        home = copy_home(settings, task, Path(work) / "home")
        with whole_service(home, [task]) as caller:
            said = predict_all(caller, task, [text for text, _ in rows])
            asked = [at for at, one in enumerate(said) if one["review"] and one["review"]["reason"] in DOUBTFUL][:BATCH]
            if len(asked) < BATCH:
                sys.exit(f"triage asks about only {len(asked)} of the texts for {task}; {BATCH} are needed")
            given = labels_of(caller, task, [rows[at][1] for at in asked], batch)
            caller.answer(task, {said[at]["review"]["item_id"]: one for at, one in zip(asked, given, strict=True)})
            started = time.monotonic()
            run = caller.wait_for_run(_begun(caller, task), _RUN_S)
            seconds = time.monotonic() - started
            live = run["version"] if run["status"] == "promoted" else run["champion"]
            caller.wait_for_version(task, live, rows[0][0])
            now = predict_all(caller, task, [text for text, _ in rows])
    others = sorted(set(range(len(rows))) - set(asked))
    before, after = (sum(one[at]["label"] == rows[at][1] for at in others) / len(others) for one in (said, now))
    confirmed = sum(said[at]["label"] == one for at, one in zip(asked, given, strict=True))
    checks = {one["name"]: one["outcome"] for one in (run["gate"] or {}).get("checks", [])}
    return Outcome(task, batch, confirmed, run["status"], run["message"], round(seconds, 1), before, after, checks)


def labels_of(caller: Caller, task: str, labels: Sequence[str], batch: str) -> list[str]:
    """Return the labels to answer with: `labels` in a good batch, any other of the task's for each in a bad one."""
    if batch == "good":
        return list(labels)
    told = next(one for one in caller.get("/v1/tasks")["tasks"] if one["name"] == task)
    names, chance = [label["name"] for label in told["labels"]], random.Random(1)
    return [chance.choice([name for name in names if name != label]) for label in labels]


def predict_all(caller: Caller, task: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Predict any number of texts."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(texts), _AT_ONCE):
        found += caller.predict(task, texts[start : start + _AT_ONCE])[1]
    return found


def _begun(caller: Caller, task: str) -> str:
    """Return the id of the run that the answers have begun."""
    end = time.monotonic() + _BEGIN_S
    while time.monotonic() < end:
        runs = caller.get(f"/v1/runs?task={task}&limit=1")["runs"]
        if runs and (runs[0]["status"] in OPEN or runs[0]["gate"]):
            return str(runs[0]["run_id"])
        time.sleep(POLL_S)
    raise RuntimeError(f"no run of {task} began within {_BEGIN_S:g} s of the {BATCH}th answer")


def copy_home(settings: Settings, task: str, home: Path) -> Path:
    """Lay out a home with the live version of `task`, which the first start makes live."""
    source = live_folder(settings, task)
    target = home / "bentoml" / "models" / task
    target.mkdir(parents=True)
    shutil.copytree(source, target / source.name)
    (target / "latest").write_text(source.name, encoding="utf-8")
    return home


def main() -> None:
    """Play every batch, print, and keep the result."""
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    outcomes = []
    for task, batch in product(TASKS, ("good", "bad")):
        outcomes.append(play(settings, task, batch))
        print(f"{task}, {batch} batch: {outcomes[-1].message}", flush=True)
    table = Table("task", "batch", "confirmations", "run", "seconds", "others before", "after", "why")
    for one in outcomes:
        shares = (f"{one.before:.1%}", f"{one.after:.1%}")
        cells = (str(one.confirmations), one.status, f"{one.seconds:.1f}", *shares, one.message)
        table.add_row(one.task, one.batch, *cells)
    Console(width=160).print(table)
    print(f"kept in {keep_result('batches', {'batch': BATCH, 'outcomes': outcomes}, about).relative_to(ROOT)}")
    if not all(one.is_right for one in outcomes):
        sys.exit("a good batch did not go live, or a bad one was not refused")


if __name__ == "__main__":
    main()
