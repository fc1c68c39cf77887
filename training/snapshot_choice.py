"""Which rows of a snapshot train: clean → second opinion → settle, by the rules of `training/snapshot_clean.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import DataError, ModelError, NotFoundError
from core.settings import Settings
from feedback.quarantines import Suspicion
from feedback.reviewed_items import ReviewedItem
from tasks.declaration import OUT_OF_SCOPE, Task
from training.champion import Champion, open_champion
from training.floods import find_floods
from training.kept_arrays import kept_array
from training.near import near_twins
from training.second_opinion import Opinion, base_errors, opinion_of
from training.snapshot_clean import (
    AUDIT,
    GOLD,
    LABEL_ERROR,
    NEAR_GOLD,
    QUARANTINED,
    UNCERTAIN,
    UNTRUSTED,
    Cleaning,
    asked_once,
)
from training.snapshot_rows import DOUBTED_WEIGHT, Aside, SnapshotRow, reviewed_row, supporters
from training.snapshot_sources import Material, hashes_of, is_quarantined

Advance = Callable[..., object]
"""Called with a number of units done, which is always 0 here; `note` says what is worked on."""


@dataclass(frozen=True)
class Chosen:
    """What trains, what was found on the way, `suspected` sources, and texts that are `unlikely` to be as labelled.

    `unasked` says why the live model was not asked for a second opinion; None: it was.
    """

    train: list[SnapshotRow]
    cleaning: Cleaning
    suspected: Sequence[Suspicion]
    unlikely: Sequence[str]
    unasked: str | None


def choose_rows(settings: Settings, task: Task, material: Material, advance: Advance) -> Chosen:
    """Say of every row whether it trains."""
    cleaning = Cleaning(list(material.faults))
    advance(0, note="cleaning")
    base = _clean_base(settings, material, cleaning)
    items = {item.resolution_id: item for item in material.reviews.items}
    reviewed = _clean_reviewed(task, material, cleaning)
    champion, why_not = _open(settings, task, material.champion)
    opinion, errors = Opinion(), list[tuple[SnapshotRow, str]]()
    if champion is not None:
        advance(0, note="asking the live model")
        mine = [items[str(row.resolution_id)] for row in reviewed]
        opinion = opinion_of(champion, task, mine, material.sources.released)
        errors = base_errors(settings, champion, task, base)
    suspected = find_floods(opinion.heard, task.label_names)
    reviewed = _without_floods(reviewed, items, suspected, cleaning)
    reviewed = _without_errors(reviewed, opinion, cleaning)
    train = cleaning.settled(base, reviewed, asked_once(items.values()))
    doubted = {row.line for row, _ in errors}
    train = [
        replace(row, doubted=True, weight=DOUBTED_WEIGHT) if row.source == "base" and row.line in doubted else row
        for row in train
    ]
    _check_labels(task, train, cleaning.aside)
    there = {row.line for row in train if row.doubted}
    return Chosen(train, cleaning, suspected, [row.text for row, _ in errors if row.line in there], why_not)


def _open(settings: Settings, task: Task, version: str | None) -> tuple[Champion | None, str | None]:
    """Return the live version, or why it cannot be asked: then floods and label errors are not looked for."""
    if version is None:
        return None, "no version is live"
    try:
        return open_champion(settings, task, version), None
    except (ModelError, NotFoundError) as error:
        return None, str(error)


def _clean_base(settings: Settings, material: Material, cleaning: Cleaning) -> list[SnapshotRow]:
    gold = material.gold_texts

    def twins(texts: Sequence[str]) -> Sequence[bool]:
        found = kept_array(settings.home / "cache" / "twins", (texts, gold), lambda: near_twins(texts, gold))
        return [bool(one) for one in found]

    return cleaning.unmeasured(cleaning.readable(material.base), hashes_of(gold), twins, GOLD, NEAR_GOLD)


def _clean_reviewed(task: Task, material: Material, cleaning: Cleaning) -> list[SnapshotRow]:
    reviews, quality = material.reviews, material.reviews.quality
    untrusted = {person for person, known in quality.items() if not known.trusted}
    rows = []
    for item in reviews.items:
        row = reviewed_row(item, task, quality)
        voices = supporters(item)
        if item.value is None:
            cleaning.set_aside(row, UNCERTAIN, f"it was resolved under revision {item.revision}")
        elif voices and untrusted.issuperset(voices):
            cleaning.set_aside(row, UNTRUSTED)
        elif is_quarantined(item, material.sources.quarantined):
            cleaning.set_aside(row, QUARANTINED)
        else:
            rows.append(row)
    rows, gold = cleaning.readable(rows), material.gold_texts
    rows = cleaning.unmeasured(rows, hashes_of(gold), _twins_of(gold), GOLD, NEAR_GOLD)
    return cleaning.unmeasured(rows, hashes_of(material.audits), _twins_of(material.audits), AUDIT, AUDIT)


def _twins_of(measured: Sequence[str]) -> Callable[[Sequence[str]], Sequence[bool]]:
    return lambda texts: [bool(one) for one in near_twins(texts, measured)]


def _without_floods(
    rows: Sequence[SnapshotRow],
    items: Mapping[str, ReviewedItem],
    suspected: Sequence[Suspicion],
    cleaning: Cleaning,
) -> list[SnapshotRow]:
    since = {one.person: one.since for one in suspected}
    return cleaning.keep(
        rows, lambda row: QUARANTINED if is_quarantined(items[str(row.resolution_id)], since) else None
    )


def _without_errors(rows: Sequence[SnapshotRow], opinion: Opinion, cleaning: Cleaning) -> list[SnapshotRow]:
    """Leave out rows that are to be asked about again, as the live model is sure of another label."""
    doubted = {item.resolution_id: item.item_id for item in opinion.doubted({str(row.resolution_id) for row in rows})}
    cleaning.doubted |= {item: resolution for resolution, item in doubted.items()}
    return cleaning.keep(rows, lambda row: LABEL_ERROR if row.resolution_id in doubted else None)


def _check_labels(task: Task, train: Sequence[SnapshotRow], aside: Sequence[Aside]) -> None:
    found = {row.label for row in train} - {OUT_OF_SCOPE}
    if len(found) < 2:
        raise DataError(
            f"{task.name} has usable rows for {len(found)} of its labels; expected at least 2. "
            f"{len(aside)} rows are set aside: {dict(count_reasons(aside)) or 'none'}"
        )


def count_reasons(aside: Sequence[Aside]) -> dict[str, int]:
    """Return how many rows were set aside for each reason, the commonest first."""
    return dict(Counter(one.reason for one in aside).most_common())
