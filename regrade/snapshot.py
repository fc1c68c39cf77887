"""`regrade snapshot`: what models learn from, and what was set aside and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson, TaskName
from regrade.output import print_json, print_table, say
from regrade.snapshot_view import diff_facts, facts_of, record_facts, record_row, show_diff, show_snapshot

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.snapshots import SnapshotRecord
    from training.snapshot_rows import Snapshot

app = typer.Typer(no_args_is_help=True, help="Show and compare what models learn from.")

Name = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A number, a hash or six digits of it, or `latest`.")]
_Examples = Annotated[int, typer.Option(min=0, help="Rows of each kind that are shown.")]


@app.command("list", epilog="Example: `regrade snapshot list support-intent`")
def list_snapshots(
    task: TaskName,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest snapshots to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the snapshots of a task, newest first."""
    settings = prepare()
    from feedback.snapshots import list_snapshots as find

    with opened_store(settings) as store:
        found = find(store, _known(settings, task), limit)
    if as_json:
        print_json({"snapshots": [record_facts(one) for one in found]})
    elif found:
        print_table(
            ("number", "taken", "rows", "reviewed", "aside", "erased", "sha256"), [record_row(one) for one in found]
        )
    else:
        say(
            f"no snapshot of {task} yet; `regrade retrain {task} --once` takes one, and so does `regrade snapshot take`"
        )


@app.command("take", epilog="Example: `regrade snapshot take support-intent`")
def take(task: TaskName, as_json: AsJson = False) -> None:
    """Take a snapshot now, as a run would: clean, set aside, and send what people must settle to the queue."""
    settings = prepare()
    from tasks.catalogue import find_task
    from training.snapshot import take_snapshot

    with opened_store(settings) as store:
        snapshot = take_snapshot(settings, store, find_task(settings, task))
    _print(settings, snapshot.sha256, task, 5, as_json=as_json)


@app.command("show", epilog="Example: `regrade snapshot show support-intent latest --examples 20`")
def show(task: TaskName, snapshot: Name = "latest", examples: _Examples = 5, as_json: AsJson = False) -> None:
    """Show one snapshot: what trains, by label and source; what was set aside and why; sources in quarantine."""
    settings = prepare()
    _print(settings, snapshot, _known(settings, task), examples, as_json=as_json)


@app.command("diff", epilog="Example: `regrade snapshot diff support-intent 3 latest`")
def diff(
    task: TaskName,
    before: Annotated[str, typer.Argument(metavar="A", help="The one before; as for `show`.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The one after.")] = "latest",
    examples: _Examples = 5,
    as_json: AsJson = False,
) -> None:
    """Compare two snapshots of a task: rows added, removed and relabelled, and all rows by label."""
    settings = prepare()
    from training.snapshot_diff import compare

    sides = [_read(settings, _known(settings, task), name)[1] for name in (before, after)]
    found = compare(*sides)
    if as_json:
        print_json(diff_facts(found, [one.number for one in sides], examples))
    else:
        show_diff(found, [one.number for one in sides], examples)


@app.command("release", epilog="Example: `regrade snapshot release support-intent ann`")
def release(
    task: TaskName, person: Annotated[str, typer.Argument(help="Whose answers; `regrade snapshot show` names them.")]
) -> None:
    """Let the answers of a source train that were set aside as a flood: you have looked at them."""
    settings = prepare()
    from feedback.quarantines import release as let_go

    with opened_store(settings) as store:
        since = let_go(store, operator(), _known(settings, task), person)
    say(f"what {person} said of {task} since {since:%Y-%m-%d %H:%M} UTC trains from the next snapshot on")


def _known(settings: Settings, task: str) -> str:
    from tasks.catalogue import find_task

    return find_task(settings, task).task.name


def _read(settings: Settings, task: str, name: str) -> tuple[SnapshotRecord, Snapshot]:
    from feedback.snapshots import find_snapshot
    from training.snapshot import read_snapshot
    from training.snapshot_erasure import settle_erasures

    with opened_store(settings) as store:
        settle_erasures(store, settings.home)
        record = find_snapshot(store, task, name)
    return record, read_snapshot(settings, task, record.sha256)


def _print(settings: Settings, name: str, task: str, examples: int, *, as_json: bool) -> None:
    from feedback.quarantines import list_quarantines

    record, snapshot = _read(settings, task, name)
    with opened_store(settings) as store:
        held = list_quarantines(store, task)
    if as_json:
        print_json(facts_of(record, snapshot, held, examples))
    else:
        show_snapshot(record, snapshot, held, examples)
