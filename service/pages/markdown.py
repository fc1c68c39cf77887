"""Markdown as HTML for a page: what somebody wrote may shape it, but brings no markup of its own."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

_DEEPER = 2
"""Levels by which headings sink: those of the page itself stand above them."""


def _open_heading(
    _: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: MutableMapping[str, Any]
) -> str:
    return f"<{_sunk(tokens[index].tag)}>"


def _close_heading(
    _: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: MutableMapping[str, Any]
) -> str:
    return f"</{_sunk(tokens[index].tag)}>\n"


def _open_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Open links beside the page, which may hold unfinished work, and tell nobody where they were followed from."""
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, env)


def _sunk(tag: str) -> str:
    return f"h{min(6, int(tag[1:]) + _DEEPER)}"


def _make_reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.add_render_rule("heading_open", _open_heading)
    reader.add_render_rule("heading_close", _close_heading)
    reader.add_render_rule("link_open", _open_link)
    return reader


_READER = _make_reader()


@lru_cache(maxsize=64)
def render_markdown(source: str) -> Markup:
    """Return CommonMark with tables as HTML, which needs no further escaping.

    HTML in `source` is shown as text, links to scripts stay text, pictures are links; headings begin at level 3.
    """
    return Markup(_READER.render(source))  # noqa: S704 - the reader escapes whatever it was given
