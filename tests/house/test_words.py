"""Every word of the pages stands in every language, with the same places for values."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po

from scripts.words import PAGES, gathered
from service.pages.words import LANGUAGES, read_language

PLACES = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
TRANSLATED = sorted(LANGUAGES.keys() - {"en"})


def told(word: str | tuple[str, ...]) -> str:
    """Return the form of a word that names every value: the plural, where there are two."""
    return word if isinstance(word, str) else word[-1]


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_word_is_translated_and_none_is_left_over(tag: str) -> None:
    path = PAGES / "locales" / tag / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        known = read_po(file, tag)
    wanted = {message.id for message in gathered() if message.id}
    assert len(wanted) > 100
    said = {message.id for message in known if message.id and any(message.string)}
    assert said == wanted, f"run `make words`: {sorted(map(told, said ^ wanted))}"


@pytest.mark.parametrize("tag", TRANSLATED)
def test_translations_keep_the_places_for_values(tag: str) -> None:
    with (PAGES / "locales" / tag / "LC_MESSAGES" / "messages.po").open("rb") as file:
        known = read_po(file, tag)
    for message in known:
        if message.id:
            strings = (
                [message.string] if isinstance(message.string, str) else message.string
            )
            for string in strings:
                assert sorted(PLACES.findall(string)) == sorted(
                    PLACES.findall(told(message.id))
                ), string


def test_a_language_is_read_as_translators_wrote_it() -> None:
    chinese = read_language("zh")
    assert chinese.translations.gettext("Review") == "审阅"
    assert chinese.percent(0.934) == "93.4%"
    assert chinese.percent(None) == "\u2013"
