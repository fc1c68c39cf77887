"""Tables of learning: runs of the retraining job, their snapshots and trials, and versions that are pinned."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from feedback.schema.base import Id, Person, TaskName, UtcTime, metadata

_OPEN = text("status = 'open'")

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("mode", String(10), nullable=False),
    Column("trigger", String(40), nullable=False),
    Column("asked_by", Person, nullable=False),
    Column("promote", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("progress", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("champion", String(63)),
    Column("version", String(63)),
    Column("snapshot_sha256", String(64)),
    Column("gate", JSON(none_as_null=True)),
    Column("figures", JSON(none_as_null=True)),
    Column("message", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Index(None, "task", "id"),
    Index(None, "status", "id"),
    Index(None, "version"),
    Index(None, "snapshot_sha256"),
)
"""Executions of the retraining job. `mode` is `full` or `fast`; `promote` says whether a candidate that passes goes
live by itself. `state` is the step it is in, `status` how it stands: `queued`, `running`, `on_trial`, `promoted`,
`passed` (the gate said yes, but it was not to go live by itself), `rejected`, `inconclusive`, `unchanged` (nothing new
to learn), `failed` or `cancelled`. `progress`, 0 to 1, is that of the step. `champion` is the version it was compared
with, `version` the candidate; `gate` is the verdict, `figures` what else is worth telling; `message` says in a sentence
what came of it."""

trials = Table(
    "trials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("run_id", Id, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("version", String(63), nullable=False),
    Column("champion", String(63), nullable=False),
    Column("share", Float, nullable=False),
    Column("step", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    Column("message", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Index(None, "run_id"),
    Index("uq_trials_open", "task", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
)
"""Trials of a run's candidate, `version`, on live traffic beside its `champion`; a task has one `open` at most. A
`shadow` scores a `share` of the texts unseen, a `canary` answers a `share` of the requests, which rises `step` by step,
the present one `since` when. `status` is `open`, `passed`, `failed`, or `ended` where it came to nothing."""

trial_figures = Table(
    "trial_figures",
    metadata,
    Column("trial_id", Id, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("side", String(10), primary_key=True),
    Column("name", String(20), primary_key=True),
    Column("n", Float, nullable=False),
)
"""What services count of a trial, step by step, on the side of the `candidate` and of the `champion`."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("reviewed", Integer, nullable=False),
    Column("aside", JSON, nullable=False),
    Column("erased", Integer, nullable=False),
    Column("previous", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "task", "number", unique=True),
)
"""Data sets for training, whose rows are files in REGRADE_HOME. `rows` are all that train, `reviewed` those of them
that people answered; `aside` counts by reason what was found and not used. `erased` rows were taken out of the file
later: what is left of such a snapshot no longer has the hash that names it."""

snapshot_items = Table(
    "snapshot_items",
    metadata,
    Column("resolution_id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("until", Integer),
    Index(None, "item_id"),
    Index(None, "task", "number"),
)
"""The first snapshot of its task, by `number`, that used a resolution; later ones do too, up to the one numbered
`until`, which left it out: another holds by then, or it was set aside. Null: the newest one uses it."""

snapshot_erasures = Table(
    "snapshot_erasures",
    metadata,
    Column("erasure_id", Id, primary_key=True),
    Column("subject", String(200)),
    Column("hashes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Erasures that files of snapshots still wait for: rows about `subject`, or whose normalised text has one of `hashes`.

Serving installs cannot rewrite parquet files. A row goes with the text's last trace, when the files are rewritten."""

quarantines = Table(
    "quarantines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("person", Person, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("figures", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("released_at", UtcTime),
    Column("released_by", Person),
    Index(None, "task", "person"),
)
"""Sources of answers that look like a flood: what a person says of a task from `since` on does not train, until
somebody releases it. `reason` is the rule that was broken, `figures` by how much."""

pins = Table(
    "pins",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("version", String(63), primary_key=True),
    Column("actor", Person, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Versions that are never pruned, and that candidates are held against so that small steps don't add up to a slide."""
