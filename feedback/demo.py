"""What `regrade demo` plays, as the store tells it from real data; taking it out is `feedback/clearing.py`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, literal_column, or_, select

from core.demo import DEMO_LANGUAGE, DEMO_SUBJECT
from feedback.schema import texts
from feedback.store import Store

_LANGUAGE: ColumnElement[str] = literal_column(f"'{DEMO_LANGUAGE}'")
"""Written into the statement, because a partial index serves only a condition that is known when it is planned."""


def is_demo(language: ColumnElement[str]) -> ColumnElement[bool]:
    """Say of the `language` of predictions or items that they are demo data."""
    return language == _LANGUAGE


def is_real(language: ColumnElement[str]) -> ColumnElement[bool]:
    """Say of the `language` of predictions or items that they are not demo data.

    Whatever is learned from people's answers leaves demo items out by it.
    """
    return or_(language.is_(None), language != _LANGUAGE)


def has_demo_data(store: Store) -> bool:
    """Tell whether there is a demo text, by one look into an index.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        found = connection.execute(select(texts.c.id).where(texts.c.subject == DEMO_SUBJECT).limit(1)).first()
    return found is not None
