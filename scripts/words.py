"""Gather the words of the pages, and bring every language's catalogue up to them; new ones await a translator."""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PAGES = Path(__file__).resolve().parents[1] / "service" / "pages"
_METHODS = [("templates/*.html.j2", "jinja2"), ("**.py", "python")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
_HEADER = "# The words of the pages in this language; `make words` adds what is new."


def gathered() -> Catalog:
    """Return every word that the pages' templates and modules mark, without translations."""
    found = Catalog()
    marked = extract_from_dir(
        PAGES,
        _METHODS,
        {"templates/*.html.j2": {"silent": "false"}},
        keywords=_KEYWORDS,
    )
    for _, _, message, comments, context in marked:
        found.add(message, auto_comments=comments, context=context)
    return found


def renewed(path: Path) -> Catalog:
    """Return the catalogue at `path` with exactly the words that there are now, and what it says of them."""
    with path.open("rb") as file:
        known = read_po(file, path.parents[1].name)
    fresh = Catalog(known.locale, project="regrade", header_comment=_HEADER, fuzzy=False)
    for message in gathered():
        if message.id:
            said = known.get(message.id)
            fresh.add(message.id, said.string if said else None, flags=message.flags)
    return fresh


def main() -> int:
    """Write the catalogues; return 1 if a word of one awaits its translation."""
    waiting = 0
    for path in sorted((PAGES / "locales").glob("*/LC_MESSAGES/messages.po")):
        catalogue = renewed(path)
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, sort_output=True, ignore_obsolete=True)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not _is_passing(line)), encoding="utf-8")
        missing = [message.id for message in catalogue if message.id and not any(_strings(message.string))]
        waiting += len(missing)
        sys.stdout.write(f"{path.parents[1].name}: {len(catalogue)} words, {len(missing)} without a translation\n")
        for word in missing:
            sys.stdout.write(f"  {word!r}\n")
    return 1 if waiting else 0


def _is_passing(line: str) -> bool:
    """Tell whether a header line changes with every run, so that it would make every change of words a conflict."""
    return line.startswith(
        (
            '"POT-Creation-Date',
            '"PO-Revision-Date',
            '"Generated-By',
            '"Last-Translator',
            '"Language-Team',
            '"Report-Msgid',
        )
    )


def _strings(said: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [said] if isinstance(said, str) else list(said or ())


if __name__ == "__main__":
    sys.exit(main())
