"""The report of one run: what went in, what was set aside, and champion against candidate, gate by gate.

One HTML file in the run's folder. It holds texts, and so belongs to those who may see the data.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.runs import Run
from service.run_store import RUN_REPORT
from tasks.declaration import Task
from training.candidate import Candidate
from training.charts import reliability_chart
from training.gate import Evidence, Verdict
from training.report import environment
from training.run_charts import gain_chart, label_chart
from training.run_tables import bins_of, flips, label_changes
from training.snapshot_rows import Snapshot

_MOST_ASIDE = 200


@dataclass(frozen=True)
class RunStory:
    """All that a run's report tells of; `seconds` is by stage."""

    run: Run
    snapshot: Snapshot
    candidate: Candidate
    evidence: Evidence
    verdict: Verdict
    seconds: dict[str, float]


def write_run_report(folder: Path, task: Task, story: RunStory) -> Path:
    """Write the report of a run into its `folder` and return its path."""
    evidence, verdict, snapshot = story.evidence, story.verdict, story.snapshot
    changes = label_changes(evidence.gold, evidence.labels, snapshot)
    primary = _figures(verdict, "accuracy")
    wanted = 0.0 if task.gate.test == "superiority" else -task.gate.margin
    content = (
        environment()
        .get_template("run.html.j2")
        .render(
            run=story.run,
            task=task,
            snapshot=snapshot,
            candidate=story.candidate,
            evidence=evidence,
            verdict=verdict,
            primary=primary,
            seconds=story.seconds,
            changes=changes,
            flips=flips(evidence, snapshot.gold),
            sources=Counter(row.source for row in [*snapshot.rows, *snapshot.outside]),
            aside=snapshot.aside[:_MOST_ASIDE],
            reasons=Counter(one.reason for one in snapshot.aside).most_common(),
            gain=gain_chart(primary, wanted),
            labels=label_chart(changes),
            reliability=reliability_chart(
                bins_of(evidence.gold, evidence.gold.champion), bins_of(evidence.gold, evidence.gold.candidate)
            ),
        )
    )
    draft = folder / f".{RUN_REPORT}.{os.getpid()}"
    draft.write_text(content, encoding="utf-8")
    return draft.replace(folder / RUN_REPORT)


def _figures(verdict: Verdict, name: str) -> dict[str, Any]:
    return next((dict(check.figures) for check in verdict.checks if check.name == name), {})
