"""Conditions that several of the queue's statements share."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, and_, bindparam, literal_column, select
from sqlalchemy.sql.selectable import NamedFromClause

from feedback.schema import encounters, items, resolutions

HOLDS: ColumnElement[bool] = and_(items.c.id == resolutions.c.item_id, items.c.resolution_id == resolutions.c.id)
"""That a resolution is the one that holds of its item, which is found by its id: `resolution_id` has no index."""

_ONE: ColumnElement[int] = literal_column("1")


def met_by_person(item_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Say of a row of `encounters` that the bound `person` has met this item."""
    return and_(encounters.c.item_id == item_id, encounters.c.annotator == bindparam("person"))


def none_of(table: Table | NamedFromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that no row of `table` fulfils `conditions`, to be looked up for each row of the enclosing statement.

    The offset, which skips nothing, keeps PostgreSQL from making a join of it that reads the whole table before the
    first row comes out.
    """
    rows = select(_ONE).select_from(table).where(*conditions).offset(0).correlate_except(table)
    return ~rows.exists()
