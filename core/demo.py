"""How what `regrade demo` plays is marked, so that it can be told from real data everywhere and taken out again.

The subject of its texts is the mark: a text with it, and all that comes of it, is demo data. The language of what is
predicted and asked is set by it, so that a queue can be claimed with or without demo items.
"""

from __future__ import annotations

DEMO_SUBJECT = "regrade-demo"
"""Subject of every demo text."""

DEMO_LANGUAGE = "und-x-demo"
"""Language of demo predictions and items: a BCP 47 tag for private use (RFC 5646, 2.2.7), which no real text has."""

DEMO_PEOPLE = ("demo-ada", "demo-ben", "demo-cleo", "demo-rita", "demo-shop")
"""Who plays: three annotators, a reviewer, and an application. They are given nothing but demo items."""


def language_of(subject: str | None, language: str | None) -> str | None:
    """Return the language of what is said of a text with `subject`: `language`, unless it is a demo text."""
    return DEMO_LANGUAGE if subject == DEMO_SUBJECT else language
