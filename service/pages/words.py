"""The languages of the pages: what each calls things, and how it writes numbers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations

LOCALES = Path(__file__).parent / "locales"
LANGUAGES = {"en": "English", "zh": "中文"}
"""What the pages speak, by language tag; the words in the code are English."""


@dataclass(frozen=True)
class Language:
    """A language of the pages: its BCP 47 `tag`, and the translations of their words."""

    tag: str
    locale: Locale
    translations: NullTranslations

    def number(self, value: float) -> str:
        """Write a number with the language's separators, to three decimals at most."""
        return str(format_decimal(value, locale=self.locale))

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Write a share, 0 to 1, as a percentage; a dash for None."""
        if share is None:
            return "\u2013"
        form = "#,##0%" if digits == 0 else f"#,##0.{'0' * digits}%"
        return str(format_percent(share, form, locale=self.locale))


def read_language(tag: str) -> Language:
    """Read a language of `LANGUAGES` from its catalogue, as translators write it: there is nothing to compile."""
    locale = Locale.parse(tag)
    path = LOCALES / tag / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return Language(tag, locale, NullTranslations())
    with path.open("rb") as file:
        catalogue = read_po(file, locale)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language(tag, locale, Translations(compiled))


def choose_language(chosen: str | None, accepted: str) -> str:
    """Return the tag to answer in: the one that was `chosen` before, else by the header `Accept-Language`."""
    if chosen in LANGUAGES:
        return chosen
    wanted = []
    for part in accepted.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        try:
            quality = float(parameters.partition("=")[2] or 1)
        except ValueError:
            quality = 0.0
        wanted.append((quality, tag.partition("-")[0].lower()))
    ordered = [tag for quality, tag in sorted(wanted, key=lambda one: -one[0]) if quality > 0]
    return negotiate_locale(ordered, list(LANGUAGES)) or "en"
