"""A cheap key that near-copies of a text mostly share, so that they stand together in the queue.

Two minima of keyed hashes over the set of words (Broder 1997, "On the resemblance and containment of documents"): two
texts agree in each minimum with the probability that is the share of words they have in common.
"""

from __future__ import annotations

import re
from zlib import crc32

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
"""A run of letters and digits; each character of Chinese and Japanese by itself, because no space parts words there."""

_SPREAD, _BITS = 0x9E3779B1, 0xFFFFFFFF


def words_of(text: str) -> list[str]:
    """Return the words of a case-folded text, in order; each character of Chinese and Japanese is one."""
    return _WORD.findall(text)


def near_key(label: str, text: str) -> str:
    """Return 24 hexadecimal digits; texts of different `label` differ, and those of the same words agree."""
    hashes = [crc32(word.encode()) for word in set(words_of(text.casefold()))] or [0]
    first, second = min(hashes), min([one * _SPREAD & _BITS for one in hashes])
    return f"{crc32(label.encode()):08x}{first:08x}{second:08x}"
