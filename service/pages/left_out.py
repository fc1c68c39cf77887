"""What plotly.js would add to a page, and is kept from adding."""

from __future__ import annotations

import re

_STYLE = re.compile(rb'document\.getElementById\("([0-9a-f]{64})"\)')


def unwanted_styles(script: bytes) -> list[str]:
    """Return the ids of the style elements that plotly.js adds as it is loaded, unless an element has the id already.

    They are for its maps, which nothing here draws, and the Content-Security-Policy forbids them: a page that has
    elements with these ids has no error on its console.
    """
    return sorted({found.decode() for found in _STYLE.findall(script)})
