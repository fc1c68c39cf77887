"""`regrade db`: the database behind everything that is remembered."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from regrade.environment import prepare
from regrade.options import AsJson
from regrade.output import console, print_json, print_table, say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from feedback.copying import TableProof
    from feedback.store import Store

app = typer.Typer(no_args_is_help=True, help="Look after the database: its state, its tables, moving it.")


@app.command("status", epilog="Example: `regrade db status --json`")
def status(as_json: AsJson = False) -> None:
    """Show the kind of database, whether its tables fit this release, its size and the rows of each table."""
    settings = prepare()
    from feedback.inspection import describe_store
    from feedback.store import Store

    with closing(Store(settings.store_url)) as store:
        state = describe_store(store)
    facts = {
        "database": state.kind,
        "revision": state.revision,
        "up_to_date": state.up_to_date,
        "size_bytes": state.size,
    }
    if as_json:
        print_json(facts | {"rows": state.rows})
        return
    print_table(("", ""), [(name.replace("_", " "), value) for name, value in facts.items()])
    print_table(("table", "rows"), list(state.rows.items()))
    if not state.up_to_date:
        say("the tables are of another release; `regrade db upgrade`, or the next start, fits them")


@app.command("upgrade", epilog="Example: `regrade db upgrade`")
def upgrade() -> None:
    """Make or change the tables so that they fit this release; every start does so by itself."""
    settings = prepare()
    from feedback.inspection import describe_store
    from feedback.store import Store

    with closing(Store(settings.store_url)) as store:
        before = describe_store(store).revision
        store.upgrade()
        after = describe_store(store).revision
    say(f"the tables are at revision {after}" + (" already" if before == after else f"; before: {before or 'none'}"))


@app.command("copy", epilog="Example: `regrade db copy --to postgresql://regrade@db.example.com/regrade`")
def copy(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="Database to copy to: empty, or an interrupted copy of this one.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy everything into another database and compare both, row for row. Stop the service before.

    Exit code 1: they differ. Ids and sequences are kept. After it, set REGRADE_DATABASE_URL to the new database.
    """
    settings = prepare()
    from feedback.store import Store

    with ExitStack() as stack:
        source, target = (stack.enter_context(closing(store)) for store in (Store(settings.store_url), _open(to)))
        if source.engine.url == target.engine.url:
            raise typer.BadParameter("is the database that is in use; give another one", param_hint="--to")
        proofs = _copy(source, target)
    if as_json:
        print_json({"tables": [_facts(proof) for proof in proofs]})
    else:
        print_table(
            ("table", "rows here", "rows there", "SHA-256", "same"),
            [(p.table, *p.rows, p.sha256[1][:16], "yes" if p.same else "NO") for p in proofs],
        )
    if not all(proof.same for proof in proofs):
        from core.errors import ConflictError

        raise ConflictError(
            "the copy differs from what is here: something wrote to it meanwhile; copy again to an empty one"
        )
    say(f"{sum(proof.rows[0] for proof in proofs):,} rows are the same on both sides")


def _open(to: str) -> Store:
    from core.errors import SettingError
    from feedback.store import Store

    try:
        return Store(to)
    except SettingError as error:
        raise typer.BadParameter(str(error).replace("REGRADE_DATABASE_URL", "it"), param_hint="--to") from error


def _copy(source: Store, target: Store) -> list[TableProof]:
    """Copy with a bar for each table."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from feedback.copying import copy_store
    from feedback.inspection import describe_store

    totals = describe_store(source).rows
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        tables: dict[str, TaskID] = {}

        def advance(table: str, rows: int) -> None:
            if table not in tables:
                tables[table] = bars.add_task(table, total=totals[table])
            bars.update(tables[table], advance=rows)

        return copy_store(source, target, advance)


def _facts(proof: TableProof) -> dict[str, object]:
    here, there = ({"rows": rows, "sha256": sha} for rows, sha in zip(proof.rows, proof.sha256, strict=True))
    return {"table": proof.table, "here": here, "there": there, "same": proof.same}
