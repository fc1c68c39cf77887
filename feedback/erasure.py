"""Erasing texts for good: every row that holds one or tells of it, and every copy on this host.

Facts stay where they say nothing without the text: that something was predicted, and how it was answered. What goes is
the text, and what was written about it: metadata, comments, proposed labels, sources, suggestions, hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from core.errors import Fault, InvalidError
from core.ids import new_id
from core.redaction import Redactor
from core.roles import Caller
from core.text import text_hash
from feedback import audit
from feedback.erased_rows import chunks, erase_rows
from feedback.leftovers import OwnRows, find_own_rows, sweep
from feedback.schema import erasures, texts
from feedback.snapshot_erasures import Unsettled, models_that_saw, note_unsettled
from feedback.spool import Spool
from feedback.store import Store
from feedback.texts import demo_hash
from tasks.declaration import Task

Versions = Callable[[str], Sequence[str]]
"""Gives the versions of a task that are kept."""


@dataclass(frozen=True)
class Wanted:
    """What is to be erased: all texts about `subject`, or all copies of a text, by `hashes` of its normalised forms.

    `forms` are the text as it was given and as the tasks redact it.
    """

    subject: str | None = None
    hashes: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Erasure:
    """What was erased, by `counts`; the `models` (`TASK:VERSION`) that had learnt from it; own data that still has it.

    `files` were rewritten or removed. `own_data` is not touched unless that was asked for. `unsettled`: files of
    snapshots may still hold it, and wait for the learning side, which alone can rewrite them.
    """

    id: str
    counts: Mapping[str, int]
    models: Sequence[str]
    own_data: Sequence[OwnRows]
    files: Sequence[Path] = field(default=())
    unsettled: bool = False


def wanted_erasure(subject: str | None, text: str | None, tasks: Collection[Task]) -> Wanted:
    """Return what to erase, by exactly one of `subject` and `text`.

    What is stored is redacted, by each task in its own way, so that all those forms of the text are looked for.

    Raises:
        InvalidError: neither or both are given, or one is blank.
    """
    if (subject is None) == (text is None):
        state = "neither was" if subject is None else "both were"
        raise InvalidError([Fault((), f"exactly one of subject and text is expected, but {state} given")])
    if subject is not None:
        if not subject.strip():
            raise InvalidError([Fault(("subject",), "is blank; expected the id that predictions were sent with")])
        return Wanted(subject=subject)
    if not str(text).strip():
        raise InvalidError([Fault(("text",), "is blank; expected the text to erase")])
    forms = {str(text), *(Redactor(task.redact)(str(text)) for task in tasks)}
    hashes = frozenset({*map(text_hash, forms), *map(demo_hash, forms)})
    return Wanted(hashes=hashes, forms=frozenset(forms))


def erase(
    store: Store,
    spool: Spool,
    home: Path,
    caller: Caller,
    wanted: Wanted,
    versions: Versions,
    *,
    own_data: bool = False,
) -> Erasure:
    """Erase what is `wanted` from the store, this host's spool, and reports under `home`; may be repeated.

    Snapshots are only told of it: `training/snapshot_erasure.py` takes it out of their files.

    With `own_data` the rows of own tasks' data files that hold it go too; otherwise they are only named.

    Raises:
        UnavailableError: the store is away, or its file could not be overwritten; do it again.
    """
    with store.read() as connection:
        contents = _find(connection, wanted)
    own = find_own_rows(home, wanted.hashes | {text_hash(content) for content in contents.values()})
    spooled = _drop_spooled(spool, wanted, contents.keys())
    files = sweep(home, {*contents.values(), *wanted.forms, *(text for rows in own for text in rows.texts)})
    models = {f"{rows.task}:{version}" for rows in own for version in versions(rows.task)}
    if own_data:
        for rows in own:
            rows.remove()
    erasure_id = new_id()
    with store.write() as connection:
        store.lock(connection, "erasure")
        found = _find(connection, wanted)
        models |= models_that_saw(connection, found)
        counts = erase_rows(store, connection, found)
        counts |= {"spooled": spooled, "files": len(files), "own_rows": sum(len(rows.lines) for rows in own)}
        row = {"id": erasure_id, "actor": caller.person, "counts": counts, "models": sorted(models)}
        connection.execute(erasures.insert().values(row | {"created_at": store.now(connection)}))
        hashes = wanted.hashes.union(map(text_hash, found.values()))
        unsettled = note_unsettled(store, connection, home, Unsettled(erasure_id, wanted.subject, hashes))
        audit.note(connection, caller, "erase", erasure_id, texts=counts["texts"], items=counts["items"])
    # Reports of what was just erased may have come in between.
    counts["spooled"] += _drop_spooled(spool, wanted, found.keys())
    store.wipe()
    return Erasure(erasure_id, counts, sorted(models), () if own_data else own, files, unsettled)


def _find(connection: Connection, wanted: Wanted) -> dict[str, str]:
    """Return the contents of the wanted texts, by id."""
    conditions: list[ColumnElement[bool]] = [texts.c.sha256.in_(some) for some in chunks(wanted.hashes)]
    if wanted.subject is not None:
        conditions.append(texts.c.subject == wanted.subject)
    found: dict[str, str] = {}
    for condition in conditions:
        rows = connection.execute(select(texts.c.id, texts.c.content).where(condition))
        found |= {identifier: content for identifier, content in rows}  # noqa: C416 - a result is no mapping
    return found


def _drop_spooled(spool: Spool, wanted: Wanted, ids: Collection[str]) -> int:
    """Drop what is wanted from the spool, and the reports of it: they come after what they tell of."""
    known = set(ids)

    def unwanted(_: str, fact: Mapping[str, Any]) -> bool:
        found = _is_wanted(fact, wanted, known)
        if found:
            known.add(fact["id"])
        return found

    return spool.drop(unwanted)


def _is_wanted(fact: Mapping[str, Any], wanted: Wanted, ids: Collection[str]) -> bool:
    """Tell whether a fact that waits in the spool holds what is wanted, or tells of it."""
    text = fact.get("text") or {}
    comment = fact.get("comment")
    return (
        (wanted.subject is not None and text.get("subject") == wanted.subject)
        or text.get("sha256") in wanted.hashes
        or fact.get("prediction_id") in ids
        or (comment is not None and text_hash(comment) in wanted.hashes)
    )
