"""`regrade lineage`: where a prediction came from, and where an answer went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store
from regrade.options import AsJson
from regrade.output import console, print_json

if TYPE_CHECKING:
    from rich.tree import Tree

EPILOG = "Example: `regrade lineage 01a2021e-44ad-70f8-848b-5a8e3d463412`"

_NOTES = {
    "demo": "demo data: it never trains",
    "erased": "its text was erased, from snapshots too; models that learnt from it before are named by the erasure",
    "merged": "an exact copy: it was merged into item {same_as}",
    "check": "a check item: its answer is known, and measures annotators",
    "audit": "an audit: it measures the model, and so never trains",
    "open": "the item is open: nothing is resolved that could train",
    "uncounted": "no resolution rests on this answer",
    "unused": "no snapshot has used it yet",
    "files": "trained from files: no run and no snapshot of people's answers",
}


def lineage(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of a prediction, an item, an answer or a run; a model version; or the first digits of a "
            "snapshot's hash.",
        ),
    ],
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=500, help="Reviewed items and snapshots at most, each.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Show which reviewed items made a prediction what it is, or how far an answer went.

    A prediction comes from a version, that from a run, a snapshot and its reviewed items. An answer goes into
    snapshots, from which runs learn; it shows what their gates said, and what went live.
    """
    settings = prepare()
    from service.lineage_view import describe_lineage, find_lineage
    from tasks.catalogue import find_tasks

    with opened_store(settings) as store:
        found = describe_lineage(find_lineage(store, identifier, list(find_tasks(settings)), limit))
    if as_json:
        print_json(found)
    else:
        console().print(_tree(found), soft_wrap=True)


def _tree(found: dict[str, Any]) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(f"{found['kind']} {found['id']} of {found['task']}"))
    for branch, lines in _branches(found):
        _add(tree.add(Text(branch)), lines)
    for note in found["notes"]:
        tree.add(Text(f"note: {_NOTES[note].format(**found['item'] or {})}"))
    return tree


def _add(tree: Tree, lines: list[Any]) -> None:
    """Put lines under a branch; a pair is a line with lines of its own."""
    from rich.text import Text

    for line in lines:
        if isinstance(line, tuple):
            _add(tree.add(Text(line[0])), line[1])
        else:
            tree.add(Text(line))


def _branches(found: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield what stands under the id: a line, and the lines below it."""
    if said := found["prediction"]:
        yield f"said {_label(said)} at {said['confidence']:.1%}, {_when(said['created_at'])}", []
    if said := found["answer"]:
        undone = ", taken back" if said["undone"] else ""
        yield f"{said['annotator']} said {_label(said, said['kind'])}, {_when(said['created_at'])}{undone}", []
    if item := found["item"]:
        yield f"item {item['item_id']}: {item['state']}, asked about for {item['reason']}", _predictions(item)
    if found["run"]:
        yield _run(found["run"]), []
    if found["model"]:
        yield _model(found["model"])
    if found["snapshot"]:
        yield _snapshot(found["snapshot"]), [("reviewed items, the newest first", _used(found["snapshot"]))]
    for made in found["made"] or ():
        yield _run(made["run"]), _times(made["deployments"])
    for one in found["reached"] or ():
        yield _reached(one)


def _predictions(item: dict[str, Any]) -> list[Any]:
    return [f"prediction {one}" for one in item["predictions"]]


def _model(model: dict[str, Any]) -> tuple[str, list[Any]]:
    about = [model["method"] or "", "live" if model["is_live"] else "", "" if model["stored"] else "not stored here"]
    lines: list[Any] = _times(model["deployments"])
    if model["parent"]:
        lines.append(f"made of version {model['parent']}")
    if model["run"]:
        lines.append(_run(model["run"]))
    if model["snapshot"]:
        lines.append((_snapshot(model["snapshot"]), [("reviewed items, the newest first", _used(model["snapshot"]))]))
    return f"model version {model['version']} ({', '.join(filter(None, about)) or 'not live'})", lines


def _reached(one: dict[str, Any]) -> tuple[str, list[Any]]:
    holds = "" if one["holds"] else ", which holds no more"
    live = "; the live version has learnt from it" if one["is_live"] else ""
    lines: list[Any] = [f"answer {answer}" for answer in one["answer_ids"]]
    for reach in one["used_by"]:
        runs: list[Any] = [(_run(made["run"]), _times(made["deployments"])) for made in reach["made"]]
        lines.append((_snapshot(reach["snapshot"]), runs))
    if one["snapshots"] > len(one["used_by"]):
        lines.append(f"and {one['snapshots'] - len(one['used_by']):,} more snapshots; see --limit")
    if one["until"] is not None:
        lines.append(f"left out again by snapshot {one['until']}")
    used = f"used by {one['snapshots']:,} snapshot{'' if one['snapshots'] == 1 else 's'}"
    return f"resolved as {_label(one)}{holds}: {used}{live}", lines


def _snapshot(one: dict[str, Any]) -> str:
    erased = f", {one['erased']:,} erased since" if one["erased"] else ""
    rows = f"{one['rows']:,} rows, {one['reviewed']:,} of them reviewed{erased}"
    return f"snapshot {one['number']} ({one['sha256'][:16]}, {_when(one['created_at'])}): {rows}"


def _used(snapshot: dict[str, Any]) -> list[Any]:
    lines = [
        f"{one['item_id']} {_label(one)}: {one['text'] or '(erased)'}"
        + (f" (from snapshot {one['first']} on)" if one["first"] != snapshot["number"] else "")
        for one in snapshot["items"]
    ]
    rest = snapshot["reviewed"] - len(lines)
    return [*lines, f"and {rest:,} more; see --limit"] if rest > 0 else lines


def _run(run: dict[str, Any]) -> str:
    gate = f", gate: {run['gate']['decision']} against {run['champion']}" if run["gate"] else ""
    version = f" → version {run['version']}" if run["version"] else ""
    return f"{run['mode']} run {run['run_id']}: {run['status']}{gate}{version}"


def _times(deployments: list[dict[str, Any]]) -> list[Any]:
    return [f"went live {_when(one['created_at'])} ({one['actor']}: {one['reason']})" for one in deployments]


def _label(one: dict[str, Any], otherwise: str = "no label") -> str:
    names = one["labels"] if one["labels"] is not None else [one["label"]] if one["label"] is not None else []
    return ", ".join(repr(name) for name in names) or otherwise


def _when(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
