"""How snapshots are shown at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regrade.output import print_table, say

if TYPE_CHECKING:
    from feedback.quarantines import Quarantine
    from feedback.snapshots import SnapshotRecord
    from training.snapshot_diff import SnapshotDiff
    from training.snapshot_rows import Snapshot, SnapshotRow


def facts_of(record: SnapshotRecord, snapshot: Snapshot, held: Sequence[Quarantine], examples: int) -> dict[str, Any]:
    """Return all that is told of a snapshot, with some rows of each kind."""
    from training.snapshot_file import read_report

    aside = [
        {"reason": one.reason, "detail": one.detail, "text": one.text, "label": one.label, "line": one.line}
        | {"item_id": one.item_id}
        for one in snapshot.aside[:examples]
    ]
    report = {**read_report(snapshot.path), "erased": record.erased, "path": str(snapshot.path)}
    quarantines = [
        {"person": one.person, "reason": one.reason, "since": one.since, "figures": one.figures} for one in held
    ]
    rows = [_row_facts(row) for row in [*snapshot.rows, *snapshot.outside][:examples]]
    return {**report, "quarantines": quarantines, "examples": {"rows": rows, "aside": aside}}


def show_snapshot(record: SnapshotRecord, snapshot: Snapshot, held: Sequence[Quarantine], examples: int) -> None:
    """Print the same for people."""
    print_table(("", ""), _headlines(record, snapshot))
    print_table(("label", "base", "reviewed"), _by_label(snapshot), title="rows that train")
    if record.aside:
        print_table(("reason", "rows"), sorted(record.aside.items(), key=lambda one: -one[1]), title="set aside")
        shown = [(one.reason, one.label, one.text) for one in snapshot.aside[:examples]]
        if shown:
            print_table(("reason", "label", "text"), shown)
    for one in held:
        figures = ", ".join(f"{name} {value}" for name, value in one.figures.items())
        say(f"in quarantine: {one.person}, since {one.since:%Y-%m-%d %H:%M} UTC ({one.reason}: {figures})", "yellow")


def _headlines(record: SnapshotRecord, snapshot: Snapshot) -> list[tuple[str, Any]]:
    doubted = sum(row.doubted for row in snapshot.rows)
    return [
        ("snapshot", f"{record.number} of {record.task}, revision {record.revision}"),
        ("taken", f"{record.created_at:%Y-%m-%d %H:%M} UTC"),
        ("sha256", record.sha256),
        ("file", snapshot.path),
        (
            "rows",
            f"{record.rows:,}, {record.reviewed:,} of them reviewed ({snapshot.new_reviewed:,} for the first time)",
        ),
        ("out of scope", f"{len(snapshot.outside):,}"),
        ("doubted", f"{doubted:,} base rows that count half, since their label is likely to be wrong"),
        ("gold held out", f"{len(snapshot.gold):,}"),
        ("erased since", f"{record.erased:,}"),
    ]


def _by_label(snapshot: Snapshot) -> list[tuple[str, int, int]]:
    from collections import Counter

    counts = Counter((row.label, row.source) for row in [*snapshot.rows, *snapshot.outside])
    labels = sorted({label for label, _ in counts})
    return [(label, counts[label, "base"], counts[label, "reviewed"]) for label in labels]


def record_facts(one: SnapshotRecord) -> dict[str, Any]:
    """Return what the store knows of a snapshot."""
    return {name: getattr(one, name) for name in type(one).__slots__}


def record_row(one: SnapshotRecord) -> tuple[Any, ...]:
    """Return the same as the row of a table."""
    aside = sum(one.aside.values())
    return one.number, f"{one.created_at:%Y-%m-%d %H:%M}", one.rows, one.reviewed, aside, one.erased, one.sha256[:16]


def _row_facts(row: SnapshotRow) -> dict[str, Any]:
    soft = [{"label": label, "probability": chance} for label, chance in row.soft]
    lineage = ("item_id", "resolution_id", "prediction_id", "model_version", "revision", "answer_ids", "annotators")
    about = {name: getattr(row, name) for name in (*lineage, "line", "doubted")}
    return {"text": row.text, "label": row.label, "soft": soft, "weight": row.weight, "source": row.source, **about}


def diff_facts(found: SnapshotDiff, numbers: Sequence[int], examples: int) -> dict[str, Any]:
    """Return what changed between the snapshots of two numbers."""
    return {
        "before": numbers[0],
        "after": numbers[1],
        "added": len(found.added),
        "removed": len(found.removed),
        "relabelled": len(found.relabelled),
        "other": found.other,
        "by_label": {label: {"before": one, "after": other} for label, (one, other) in found.by_label.items()},
        "examples": {
            "added": [_row_facts(row) for row in found.added[:examples]],
            "removed": [_row_facts(row) for row in found.removed[:examples]],
            "relabelled": [
                {"text": one.after.text, "before": one.before.label, "after": one.after.label}
                for one in found.relabelled[:examples]
            ],
        },
    }


def show_diff(found: SnapshotDiff, numbers: Sequence[int], examples: int) -> None:
    """Print the same for people."""
    counts = [("added", len(found.added)), ("removed", len(found.removed)), ("relabelled", len(found.relabelled))]
    title = f"snapshot {numbers[0]} → {numbers[1]}"
    print_table(("", "rows"), [*counts, ("weighed or answered otherwise", found.other)], title=title)
    changed = [(label, *pair, pair[1] - pair[0]) for label, pair in found.by_label.items() if pair[0] != pair[1]]
    if changed:
        print_table(("label", "before", "after", "change"), changed)
    rows = [("added", "", row.label, row.text) for row in found.added[:examples]]
    rows += [("removed", row.label, "", row.text) for row in found.removed[:examples]]
    rows += [("relabelled", one.before.label, one.after.label, one.after.text) for one in found.relabelled[:examples]]
    if rows:
        print_table(("", "before", "after", "text"), rows)
