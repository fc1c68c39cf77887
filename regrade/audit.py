"""`regrade audit`: what people changed, and the proof that nobody changed that."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store
from regrade.options import AsJson
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from feedback.audit import Entry

app = typer.Typer(no_args_is_help=True, help="Read the audit log, and check that it is whole.")


@app.command("list", epilog="Example: `regrade audit list --after 1000 --json`")
def list_them(
    after: Annotated[int, typer.Option("--after", min=0, help="Only entries whose ids follow this one.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Entries at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what people changed and what they were refused, oldest first."""
    settings = prepare()
    from feedback.audit import list_entries

    with opened_store(settings) as store:
        found = list_entries(store, after, limit)
    if as_json:
        entries = [asdict(entry) | {"created_at": entry.created_at.isoformat()} for entry in found]
        print_json({"entries": entries})
    elif found:
        print_table(("id", "when (UTC)", "who", "role", "did", "to", "details"), [_row(entry) for entry in found])
    else:
        say("no entries")


@app.command("verify", epilog="Example: `regrade audit verify --head 17:3fa9…`")
def verify(
    head: Annotated[
        str | None, typer.Option("--head", help="A head that `regrade audit head` printed before: it must be there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Seal what is not sealed yet, and check the whole chain; exit code 1 where something was changed."""
    settings = prepare()
    from feedback import audit

    expected = audit.Head.read(head) if head is not None else None
    with opened_store(settings) as store:
        audit.seal(store)
        faults = audit.verify(store, expected)
        now = audit.head(store)
    if as_json:
        print_json({"whole": not faults, "faults": faults, "head": str(now)})
    elif faults:
        print_table(("what is wrong",), [(fault,) for fault in faults])
    else:
        say(f"the log is whole: {now.seal:,} seals; head {now}")
    if faults:
        raise typer.Exit(1)


@app.command("head", epilog="Example: `regrade audit head >> /media/elsewhere/heads`")
def head(as_json: AsJson = False) -> None:
    """Seal what is not sealed yet and print the head of the chain, to be kept where others cannot change it."""
    settings = prepare()
    from feedback import audit

    with opened_store(settings) as store:
        audit.seal(store)
        now = audit.head(store)
    if as_json:
        print_json({"seal": now.seal, "sha256": now.sha256})
    else:
        typer.echo(str(now))


def _row(entry: Entry) -> tuple[Any, ...]:
    details = " ".join(f"{name}={value}" for name, value in entry.details.items() if value is not None)
    when = f"{entry.created_at:%Y-%m-%d %H:%M:%S}"
    return entry.id, when, entry.actor, entry.role, entry.action, entry.object, details
