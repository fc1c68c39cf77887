"""What counts as a text, and when two texts are the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_TEXT_LENGTH = 10_000
"""Longest text accepted anywhere, in Unicode code points."""

_SPACE = re.compile(r"\s+")
_PLAIN = re.compile(r"[0-9A-Za-z]")
_BLANK_LOOKING = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and a symbol, by their category, that are drawn as nothing: Hangul fillers and the empty Braille cell."""


def text_fault(text: str) -> str | None:
    """Say what makes `text` unusable as something to classify, or return None when it is fine."""
    if not text:
        return "is empty; expected 1 to 10,000 characters"
    if len(text) > MAX_TEXT_LENGTH:
        return f"has {len(text):,} characters; expected at most {MAX_TEXT_LENGTH:,}: shorten or split it"
    if "\x00" in text:
        return f"contains U+0000 at position {text.index(chr(0))}; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"has a lone surrogate at position {error.start}; send valid Unicode"
    if not _readable(text):
        return "is blank: it has only white space or invisible characters; expected something to read"
    return None


def _readable(text: str) -> bool:
    # Nearly every text ends the first, cheap test; any other with something to read ends the loop at its first letter.
    if _PLAIN.search(text) is not None:
        return True
    return any(unicodedata.category(char)[0] in "LNPS" and char not in _BLANK_LOOKING for char in text)


def normalise(text: str) -> str:
    """Return the form under which copies of a text are the same: NFKC, case-folded, white space collapsed."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


def text_hash(text: str) -> str:
    """Return the SHA-256 of the normalised text, as 64 hexadecimal digits."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()
