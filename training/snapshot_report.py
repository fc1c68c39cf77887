"""What is told of a snapshot beside its rows: figures and names, and no text."""

from __future__ import annotations

from collections import Counter
from typing import Any

from feedback.snapshots import Recorded
from tasks.declaration import OUT_OF_SCOPE, Task
from training.snapshot_choice import count_reasons
from training.snapshot_records import Content


def report_of(task: Task, content: Content, recorded: Recorded) -> dict[str, Any]:
    """Return what is told of a snapshot; no text is in it."""
    snapshot = recorded.snapshot
    by_source = Counter(row.source for row in content.train)
    by_label = {name: Counter(row.source for row in content.train if row.label == name) for name in task.label_names}
    return {
        "task": task.name,
        "sha256": snapshot.sha256,
        "number": snapshot.number,
        "previous": snapshot.previous,
        "revision": snapshot.revision,
        "labels": task.label_names,
        "taken_at": snapshot.created_at.isoformat(),
        "rows": {
            "base": by_source["base"],
            "reviewed": by_source["reviewed"],
            "out_of_scope": sum(row.label == OUT_OF_SCOPE for row in content.train),
            "doubted": sum(row.doubted for row in content.train),
            "gold": len(content.gold),
        },
        "by_label": by_label,
        "new_reviewed": recorded.new_reviewed,
        "aside": count_reasons(content.aside),
        "sent_back": recorded.sent_back,
        "asked": recorded.asked,
    }
