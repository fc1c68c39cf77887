"""`regrade keys`: who may come in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.keys import Key

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@app.command("create", epilog="Example: `regrade keys create --person anna --role annotator --task support-intent`")
def create(
    person: Annotated[str, typer.Option("--person", help="Who will use the key; answers are kept under this name.")],
    role: Annotated[str, typer.Option("--role", help="What the key may do: app, annotator, reviewer or admin.")],
    task: Annotated[
        list[str] | None, typer.Option("--task", help="A task the key is good for; may be repeated. Default: all.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When it ends: days such as `90d`, or a date. Default: never.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is kept nowhere and shown only this once.

    The first key ends open mode: from then on every request needs one.
    """
    ends = read_expiry(expires, datetime.now(UTC)) if expires is not None else None
    settings = prepare()
    from feedback.keys import create_key

    check_tasks(settings, task or ())
    with opened_store(settings) as store:
        key, secret = create_key(
            store, operator(), person=person, role=role, tasks=task or None, expires_at=ends, note_text=note
        )
    if as_json:
        print_json(_facts(key) | {"key": secret})
        return
    print_table(("", ""), [*_shown(key).items(), ("key", secret)])
    say("keep the key where its holder finds it; it is not shown again")


@app.command("list", epilog="Example: `regrade keys list --json`")
def list_them(as_json: AsJson = False) -> None:
    """List every key ever made, without secrets."""
    settings = prepare()
    from feedback.keys import list_keys

    with opened_store(settings) as store:
        found = list_keys(store)
    if as_json:
        print_json({"keys": [_facts(key) for key in found]})
    elif found:
        rows = [_shown(key) for key in found]
        print_table(list(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say("no keys yet: the service is in open mode; make one with `regrade keys create --person NAME --role ROLE`")


@app.command("revoke", epilog="Example: `regrade keys revoke 0199f1c2-…`")
def revoke(key: Annotated[str, typer.Argument(metavar="ID", help="A key that `regrade keys list` shows.")]) -> None:
    """Let nobody in with a key any more, from within 2 s on."""
    settings = prepare()
    from feedback.keys import revoke_key

    with opened_store(settings) as store:
        revoked = revoke_key(store, operator(), key)
    say(f"revoked {key}, a key of {revoked.person}")


def read_expiry(text: str, now: datetime) -> datetime:
    """Return the moment that `text` names: days from `now`, or a date (the start of that day) or moment in UTC.

    Raises:
        BadParameter: it names none.
    """
    days = _DAYS.fullmatch(text)
    if days is not None:
        return now + timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"got {text!r}; expected days such as 90d, or a date such as {now + timedelta(days=90):%Y-%m-%d}",
            param_hint="--expires",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def check_tasks(settings: Settings, names: Sequence[str]) -> None:
    """Check that tasks exist.

    Raises:
        TaskError: one does not.
    """
    from tasks.catalogue import find_task

    for name in names:
        find_task(settings, name)


def _facts(key: Key) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(key)
    moments = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return facts | {name: facts[name].isoformat() if facts[name] else None for name in moments}


def _shown(key: Key) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": key.id,
        "begins": key.prefix,
        "person": key.person,
        "role": key.role,
        "tasks": "all" if key.tasks is None else ", ".join(key.tasks),
        "state": "revoked" if key.revoked_at else "good" if key.is_good(now) else "expired",
        "expires": _day(key.expires_at, "never"),
        "last used": _day(key.last_used_at, "never"),
        "note": key.note,
    }


def _day(moment: datetime | None, otherwise: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else otherwise
