"""`regrade promote`, `rollback`, `pin` and `unpin`: which version is live, and which stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson, TaskName
from regrade.output import print_json, say

if TYPE_CHECKING:
    from feedback.promotion import Change

Version = Annotated[str, typer.Argument(metavar="VERSION", help="A version that `regrade models list` shows.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the deployment.")]

PROMOTE = "Example: `regrade promote support-intent 20261122-031500-3fa9c1`"
ROLLBACK = "Example: `regrade rollback support-intent --reason 'refunds are misread'`"
PIN = "Example: `regrade pin support-intent 20261122-031500-3fa9c1`"
UNPIN = "Example: `regrade unpin support-intent 20261122-031500-3fa9c1`"


def promote(
    task: TaskName,
    version: Version,
    force: Annotated[bool, typer.Option("--force", help="Without a passed gate; --reason is needed then.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a version live that passed the gate against what is live now; services swap within 2 s."""
    if force and not reason.strip():
        raise typer.BadParameter("needs a reason: say why with --reason", param_hint="--force")
    settings = prepare()
    from feedback.promotion import promote as run
    from service.model_store import check_version, version_folder
    from tasks.catalogue import find_task

    find_task(settings, task)
    check_version(task, version)
    with opened_store(settings) as store:
        change = run(store, operator(), task, version, version_folder, reason=reason.strip(), force=force)
    _report(change, as_json=as_json)


def rollback(
    task: TaskName,
    to: Annotated[
        str | None, typer.Option("--to", help="A version that was live before; default: the last one.")
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make the version before the live one live again; services swap within 2 s."""
    settings = prepare()
    from feedback.promotion import rollback as run
    from service.model_store import check_version
    from tasks.catalogue import find_task

    find_task(settings, task)
    with opened_store(settings) as store:
        change = run(store, operator(), task, check_version, to=to, reason=reason.strip())
    _report(change, as_json=as_json)


def pin(task: TaskName, version: Version) -> None:
    """Keep a version for good: it is never pruned, and later ones are held against the best of those."""
    settings = prepare()
    from feedback.pins import pin as run
    from service.model_store import version_folder
    from tasks.catalogue import find_task

    find_task(settings, task)
    version_folder(task, version)
    with opened_store(settings) as store:
        added = run(store, operator(), task, version)
    say(f"{version} of {task} is pinned" if added else f"{version} of {task} was pinned already")


def unpin(task: TaskName, version: Version) -> None:
    """Let a version that was pinned go when its time comes."""
    settings = prepare()
    from feedback.pins import unpin as run

    with opened_store(settings) as store:
        removed = run(store, operator(), task, version)
    say(f"{version} of {task} is not pinned any more" if removed else f"{version} of {task} was not pinned")


def _report(change: Change, *, as_json: bool) -> None:
    live = change.deployment
    if as_json:
        facts = {"task": live.task, "version": live.version, "previous": change.previous, "changed": change.changed}
        print_json(facts | {"reason": live.reason, "actor": live.actor, "created_at": live.created_at})
    elif change.changed:
        before = f"; before it was {change.previous}" if change.previous else ""
        say(f"{live.version} of {live.task} is live{before}; services take it up within 2 s", "bold")
    else:
        say(f"{live.version} of {live.task} is live already")
