"""Replace personal numbers by typed placeholders, before a text is judged or stored.

One function serves training and serving, so that what is stored is what was judged. It is on the hot path: a text
without a digit or an `@` costs one scan. Every pattern is linear in the length of the text.

Characters that are drawn as nothing, which web pages put into long numbers and telephones around them, are seen
through: such a text is read a few times more, and only what is replaced loses them.

Payment cards are checked with the Luhn algorithm (ISO/IEC 7812-1), IBANs with MOD 97-10 (ISO 13616, ISO/IEC 7064).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

Kind = Literal["email", "phone", "card", "iban", "account", "order"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of personal number that can be looked for."""

_Span = tuple[int, int, str]
"""Where something to replace starts and ends, and what replaces it."""

_SUSPECT = re.compile(r"[\d@\uff20\ufe6b]")

# Patterns are written in ASCII and matched on a copy of the text that has an ASCII character in the place of each of
# these. The full-width comma stays: a telephone number may follow it, but not an ASCII one, which may be a decimal one.
_ASCII_FORMS = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if code != 0xFF0C}
_ASCII_FORMS |= dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ") | dict.fromkeys(
    "\u2010\u2011\u2012\u2013\u2212", "-"
)
_ASCII_FORMS |= {"\ufe6b": "@", "\u2019": "'"}
_FOREIGN = re.compile(rf"[{''.join(map(re.escape, _ASCII_FORMS))}]|(?![0-9])\d")

# Drawn as nothing, or only around the character before: format characters, selectors of a form, the keycap.
_NOTHING = (
    r"\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef"
)
_UNSEEN = re.compile(rf"[{_NOTHING}]+")
# The same, but for those between a letter and a digit: there they may stand for a space.
_UNSEEN_IN_WORDS = re.compile(
    rf"(?<![^\W_])(?<![{_NOTHING}])[{_NOTHING}]++"
    rf"|(?<=[^\W\d_])[{_NOTHING}]++(?!\d)"
    rf"|(?<=\d)[{_NOTHING}]++(?![^\W\d_])"
)
_READINGS = 3

_DOMAIN = re.compile(r"@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"\b(?=([A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30})\b)")
_CARD_RUN = re.compile(r"(?<![0-9])[0-9](?:[ .-]{0,3}[0-9]){12,}+")
_DIGITS = re.compile(r"[0-9]+")
_PHONE = re.compile(
    # Neither inside a word nor the decimals of a number; `>` ends the placeholder of what was a number.
    r"(?=[0-9+(])(?:(?=[+(])|(?<![\w#/-])(?<![0-9>][.,]))(?:"
    r"\+[0-9]{1,3}(?:[ .()/-]{0,2}[0-9]){6,12}"  # international
    r"|\(?0[0-9]{1,4}\)?(?:[ ./-]?[0-9]){6,9}"  # national with trunk zero
    r"|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}"  # North American
    r"|[0-9]{3}-[0-9]{4}"  # North American, local
    r"|1[3-9][0-9]{9}"  # Chinese mobile
    r")(?![\w-])"
)

_CURRENCY = (
    r"(?:USD|EUR|GBP|INR|CNY|RMB|JPY|AUD|CAD|NZD|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RUB|UAH|ZAR|BRL|MXN|KRW|TWD|HKD|SGD|MYR"
    r"|THB|IDR|PHP|VND|AED|SAR|QAR|ILS|EGP|NGN|KES|PKR|BDT|LKR|RS)"
)
_PERIOD = r"(?:(?:FY|CY|Q[1-4]|H[12]|[1-4]Q|[12]H)-?){1,2}(?:[0-9]{4}|[0-9]{2})(?:-(?:[0-9]{4}|[0-9]{2}))?(?![\w-])"
_NOT_MONEY_OR_PERIOD = rf"(?!{_CURRENCY}-?[0-9]|{_PERIOD})"
# A currency before a further number belongs to that one: `invoice 20391 USD 500` is an invoice number and an amount.
_NOT_AMOUNT = (
    r"(?!(?:[.,][0-9]{1,3}){0,4}\s{0,2}(?:(?:k|m|mn|bn|thousand|million|billion|lakh|crore)\s{1,2})?"
    rf"(?:[$\u20ac\u00a3\u00a5\u20b9]|(?:{_CURRENCY}|dollars?|euros?|pounds?|rupees?|yen|yuan|francs?|bucks?|quid|cents?"
    r"|pence)(?![\w-]))(?!\s{0,2}[0-9]))"
)
_WORDS = r"(?:number|num|no|nr|id|code|ref|reference)"
_JOIN = rf"\s{{0,3}}{_WORDS}?\.?\s{{0,3}}(?:is\s|was\s)?[:#=]?\s{{0,3}}"
# Groups after the first need three digits, or `order 48213 20 days ago` would lose its days; pairs come in threes.
_GROUPED = (
    r"(?=[0-9](?:[ -]?[0-9]){5})(?>"
    r"[0-9]{2}(?:[ -][0-9]{2}){2,8}(?: [0-9]{7,10})?(?![\w-])"  # a sort code, perhaps with the account
    r"|[0-9]{4}(?:[ -][0-9]{4}){1,7}(?:[ -][0-9]{1,3})?(?![\w-])"
    r"|[0-9]{1,6}(?:[ -][0-9]{3,6}){1,8}(?![\w-]))"
)
_ACCOUNT = re.compile(
    rf"(?i)\b(?:account|acct|a/c|customer|client|member(?:ship)?|iban|sort code){_JOIN}"
    rf"({_GROUPED}{_NOT_AMOUNT}|(?=[\w-]{{0,20}}[0-9]{{4}})[A-Z0-9](?:[A-Z0-9-]{{3,30}})(?!\w))"
)
_ORDER_NAMED = re.compile(
    r"(?i)\b(?:order|ordr|purchase|booking|parcel|tracking|shipment|invoice|case|ticket|reference|ref|rma)"
    rf"{_JOIN}{_NOT_MONEY_OR_PERIOD}"
    rf"({_GROUPED}{_NOT_AMOUNT}"
    rf"|(?=[\w-]{{0,20}}[0-9]{{3}})(?>[A-Z0-9](?:[A-Z0-9-]{{2,30}})(?!\w)){_NOT_AMOUNT})"
)
_SIGNED = rf"#\s?(?:{_GROUPED}|[A-Za-z]{{0,4}}-?[0-9][0-9A-Za-z-]{{2,20}}(?![\w-]))"
_ORDER_BARE = re.compile(
    r"(?=[#A-Z0-9])(?:"
    rf"(?<![^\W0-9])(?<!&){_SIGNED}"  # 48213 after a number sign
    rf"|(?<![\w&]){_NOT_MONEY_OR_PERIOD}"
    r"(?=[A-Z0-9-]{6,24}(?![\w-]))[A-Z]{2,6}-?[0-9]{4,14}(?:-[A-Z0-9]{1,8}){0,2}(?![\w-])"  # ORD-20391-B
    r"|(?<![\w&])[0-9]{3}-[0-9]{7}-[0-9]{7}(?![\w-])"
    # What is joined by a number sign goes at once, or a second reading would find more than the first.
    rf")(?:{_SIGNED})*+"
)


_DOUBLED = str.maketrans("0123456789", "0246813579")


def luhn_valid(digits: str) -> bool:
    """Tell whether `digits` (ASCII digits only) pass the Luhn check of payment card numbers."""
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def iban_valid(candidate: str) -> bool:
    """Tell whether `candidate` (no spaces) has an IBAN's length and passes MOD 97-10."""
    if not 15 <= len(candidate) <= 34:
        return False
    rearranged = candidate[4:] + candidate[:4]
    return int("".join(str(int(char, 36)) for char in rearranged)) % 97 == 1


def _emails(text: str) -> Iterator[_Span]:
    floor = 0
    for domain in _DOMAIN.finditer(text):
        # The part before the `@` is read backwards, up to what the last address left: no character is read twice.
        start = at = domain.start()
        while start > floor and (text[start - 1].isalnum() or text[start - 1] in "_.+%-'"):
            start -= 1
        while start < at and text[start] == "'":  # a quotation mark around the address
            start += 1
        if start < at:
            floor = domain.end()
            yield start, floor, "<EMAIL>"


def _iban_length(candidate: str) -> int:
    # Words after an IBAN look like more of it: drop whole groups from the end until the check digits agree, and
    # believe first in an end that has a digit, because one word in 97 agrees by chance.
    groups = candidate.split(" ")
    ends = sorted(range(1, len(groups) + 1), key=lambda end: (groups[end - 1].isalpha(), -end))
    for end in ends:
        if iban_valid("".join(groups[:end])):
            return len(" ".join(groups[:end]))
    return 0


def _ibans(text: str) -> Iterator[_Span]:
    floor = 0
    for match in _IBAN.finditer(text):
        length = _iban_length(match[1]) if match.start() >= floor else 0
        if length:
            floor = match.start() + length
            yield match.start(), floor, "<IBAN>"


def _card_windows(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, (start, _) in enumerate(groups):
        if text[start] not in "23456":
            continue
        digits = ""
        for group_start, end in groups[first : first + 19]:
            digits += text[group_start : min(end, group_start + 20)]
            if len(digits) > 19:
                break
            if len(digits) >= 13 and luhn_valid(digits):
                yield start, end


def _cards(text: str) -> Iterator[_Span]:
    for run in _CARD_RUN.finditer(text):
        # Other numbers stand beside cards, and some windows over both agree by chance: windows that overlap go
        # together, so that none of them hides the end of the real one.
        begin = finish = 0
        for start, end in _card_windows(text, _card_groups(text, run)):
            if start >= finish:
                if finish:
                    yield begin, finish, "<CARD>"
                begin = start
            finish = max(finish, end)
        if finish:
            yield begin, finish, "<CARD>"


def _card_groups(text: str, run: re.Match[str]) -> list[tuple[int, int]]:
    groups = [group.span() for group in _DIGITS.finditer(text, run.start(), run.end())]
    first = _is_word(text[run.start() - 1 : run.start()])
    last = len(groups) - _is_word(text[run.end() : run.end() + 1])
    return groups[first:last]


def _is_word(char: str) -> bool:
    # Only ASCII: Chinese puts no space between a word and a number.
    return char.isascii() and (char.isalnum() or char == "_")


def _matches(pattern: re.Pattern[str], group: int, placeholder: str, text: str) -> Iterator[_Span]:
    for match in pattern.finditer(text):
        yield match.start(group), match.end(group), placeholder


_Step = Callable[[str], Iterator[_Span]]

_STEPS: dict[Kind, tuple[_Step, ...]] = {
    "email": (_emails,),
    "iban": (_ibans,),
    "card": (_cards,),
    "account": (partial(_matches, _ACCOUNT, 1, "<ACCOUNT>"),),
    "order": (partial(_matches, _ORDER_NAMED, 1, "<ORDER>"), partial(_matches, _ORDER_BARE, 0, "<ORDER>")),
    "phone": (partial(_matches, _PHONE, 0, "<PHONE>"),),
}
_ORDER_OF_WORK: tuple[Kind, ...] = ("email", "iban", "card", "account", "order", "phone")


def _in_ascii(text: str) -> str:
    def fold(match: re.Match[str]) -> str:
        return _ASCII_FORMS.get(match[0]) or str(unicodedata.decimal(match[0]))

    return text if text.isascii() else _FOREIGN.sub(fold, text)


def _replace(text: str, spans: Sequence[_Span]) -> str:
    pieces, done = [], 0
    for start, end, placeholder in spans:
        pieces += [text[done:start], placeholder]
        done = end
    return "".join([*pieces, text[done:]])


def _replace_cells(cells: Sequence[str], spans: Sequence[_Span]) -> list[str]:
    """Replace spans of cells: then a letter of a placeholder is a cell. What was unseen after a span stays."""
    pieces: list[str] = []
    done = 0
    for start, end, placeholder in spans:
        pieces += cells[done:start]
        pieces += placeholder
        pieces[-1] += cells[end - 1][1:]
        done = end
    return [*pieces, *cells[done:]]


def _seen_places(plain: str, unseen: re.Pattern[str]) -> list[int]:
    places: list[int] = []
    done = 0
    for run in unseen.finditer(plain):
        places += range(done, run.start())
        done = run.end()
    return [*places, *range(done, len(plain))]


class Redactor:
    """Replaces the chosen kinds of personal number; immutable, safe to share between threads."""

    def __init__(self, kinds: Sequence[Kind] = KINDS) -> None:
        """Look for `kinds` only; an empty sequence leaves every text as it is."""
        self.kinds = frozenset(kinds)
        self._steps = [step for kind in _ORDER_OF_WORK if kind in self.kinds for step in _STEPS[kind]]
        self._addresses = _STEPS["email"] if "email" in self.kinds else ()

    def __call__(self, text: str) -> str:
        """Return `text` with each personal number replaced by `<EMAIL>`, `<PHONE>`, `<CARD>` and so on."""
        if _SUSPECT.search(text) is None:
            return text
        hides = not text.isascii() and _UNSEEN.search(text) is not None
        return self._read_through(text) if hides else self._read(text)

    def _read(self, text: str) -> str:
        plain = _in_ascii(text)
        for step in self._steps:
            if spans := list(step(plain)):
                # The two differ in characters, never in positions, so the same spans fit both.
                text, plain = _replace(text, spans), _replace(plain, spans)
        return text

    def _read_through(self, text: str) -> str:
        """Read `text` as broken addresses, as broken numbers, as it is, and as broken words; again, until it stays.

        What would be found in part by a later reading goes by an earlier one. A replacement may show more to the next
        reading: a text that does not stay after a few is freed of all that is unseen, because only then is it certain
        that redacting again would change nothing.
        """
        for _ in range(_READINGS):
            before = text
            text = self._read_without(text, _UNSEEN, self._addresses)
            text = self._read_without(text, _UNSEEN_IN_WORDS, self._steps)
            text = self._read_without(self._read(text), _UNSEEN, self._steps)
            if text == before:
                return text
        return self._read(_UNSEEN.sub("", text))

    def _read_without(self, text: str, unseen: re.Pattern[str], steps: Sequence[_Step]) -> str:
        plain = _in_ascii(text)
        places = _seen_places(plain, unseen)
        if not places:
            return text
        # What is read is the seen characters; each keeps the unseen ones after it in its cell.
        cells = [text[start:end] for start, end in pairwise([*places, len(text)])]
        plain = "".join([plain[place] for place in places])
        for step in steps:
            if spans := list(step(plain)):
                cells, plain = _replace_cells(cells, spans), _replace(plain, spans)
        return text[: places[0]] + "".join(cells)

    def each(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return `values` with each of them redacted; the names stay."""
        return {name: self(value) for name, value in values.items()}
