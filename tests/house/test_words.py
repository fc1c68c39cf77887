"""Every word of the pages stands in every language, with the same places for values."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from scripts.words import PAGES, gathered
from service.pages.words import LANGUAGES, read_language

PLACES = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
TRANSLATED = sorted(LANGUAGES.keys() - {"en"})


def forms(word: str | Sequence[str] | None) -> list[str]:
    """Return the forms of a word: one, or singular and plural; none where it awaits its translation."""
    if word is None:
        return []
    return [word] if isinstance(word, str) else list(word)


def catalogue(tag: str) -> Catalog:
    with (PAGES / "locales" / tag / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, tag)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_word_is_translated_and_none_is_left_over(tag: str) -> None:
    wanted = {forms(message.id)[0] for message in gathered() if message.id}
    assert len(wanted) > 100
    said = {forms(message.id)[0] for message in catalogue(tag) if message.id and any(forms(message.string))}
    assert said == wanted, f"run `make words`: {sorted(said ^ wanted)}"


@pytest.mark.parametrize("tag", TRANSLATED)
def test_translations_keep_the_places_for_values(tag: str) -> None:
    for message in catalogue(tag):
        if message.id:
            wanted = sorted(PLACES.findall(forms(message.id)[-1]))  # the plural names every value
            for string in forms(message.string):
                assert sorted(PLACES.findall(string)) == wanted, string


def test_a_language_is_read_as_translators_wrote_it() -> None:
    chinese = read_language("zh")
    assert chinese.translations.gettext("Review") == "审阅"
    assert chinese.percent(0.934) == "93.4%"
    assert chinese.percent(None) == "\u2013"
