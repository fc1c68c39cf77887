"""Replace personal numbers by typed placeholders, before a text is judged or stored.

One function serves training and serving, so that what is stored is what was judged. It is on the hot path: a text
without a digit or an `@` costs one scan. Every pattern is linear in the length of the text.

Payment cards are checked with the Luhn algorithm (ISO/IEC 7812-1), IBANs with MOD 97-10 (ISO 13616, ISO/IEC 7064).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

Kind = Literal["email", "phone", "card", "iban", "account", "order"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of personal number that can be looked for."""

_SUSPECT = re.compile(r"[0-9@]")

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}\b")
_CARD = re.compile(r"(?<![\w-])[0-9](?:[ -]?[0-9]){12,18}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w#/.,-])(?:"
    r"\+[0-9]{1,3}(?:[ .()/-]{0,2}[0-9]){6,12}"  # international
    r"|\(?0[0-9]{1,4}\)?(?:[ ./-]?[0-9]){6,9}"  # national with trunk zero
    r"|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}"  # North American
    r"|[0-9]{3}-[0-9]{4}"  # North American, local
    r"|1[3-9][0-9]{9}"  # Chinese mobile
    r")(?![\w-])"
)
_WORDS = r"(?:number|num|no|nr|id|code|ref|reference)"
_JOIN = rf"\s{{0,3}}{_WORDS}?\.?\s{{0,3}}(?:is\s|was\s)?[:#=]?\s{{0,3}}"
_ACCOUNT = re.compile(
    rf"(?i)(\b(?:account|acct|a/c|customer|client|member(?:ship)?|iban|sort code){_JOIN})"
    r"((?=[\w-]{0,20}[0-9]{4})[A-Z0-9](?:[A-Z0-9-]{3,30}))(?!\w)"
)
_ORDER_NAMED = re.compile(
    r"(?i)(\b(?:order|ordr|purchase|booking|parcel|tracking|shipment|invoice|case|ticket|reference|ref|rma)"
    rf"{_JOIN})"
    r"((?=[\w-]{0,20}[0-9]{3})[A-Z0-9](?:[A-Z0-9-]{2,30}))(?!\w)"
)
_ORDER_BARE = re.compile(
    r"(?<![\w&])(?:"
    r"#\s?[A-Za-z]{0,4}-?[0-9][0-9A-Za-z-]{2,20}"  # 48213 after a number sign
    r"|(?=[A-Z0-9-]{6,24}(?![\w-]))[A-Z]{2,6}-?[0-9]{4,14}(?:-[A-Z0-9]{1,8}){0,2}"  # ORD-20391-B
    r"|[0-9]{3}-[0-9]{7}-[0-9]{7}"
    r")(?![\w-])"
)


def luhn_valid(digits: str) -> bool:
    """Tell whether `digits` (ASCII digits only) pass the Luhn check of payment card numbers."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_valid(candidate: str) -> bool:
    """Tell whether `candidate` (no spaces) has an IBAN's length and passes MOD 97-10."""
    if not 15 <= len(candidate) <= 34:
        return False
    rearranged = candidate[4:] + candidate[:4]
    return int("".join(str(int(char, 36)) for char in rearranged)) % 97 == 1


def _card(match: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", match[0])
    plausible = 13 <= len(digits) <= 19 and digits[0] in "23456" and luhn_valid(digits)
    return "<CARD>" if plausible else match[0]


def _iban(match: re.Match[str]) -> str:
    # Words after an IBAN look like more of it: drop whole groups from the end until the check digits agree, and
    # believe first in an end that has a digit, because one word in 97 agrees by chance.
    groups = match[0].split(" ")
    ends = sorted(range(1, len(groups) + 1), key=lambda end: (groups[end - 1].isalpha(), -end))
    for end in ends:
        if iban_valid("".join(groups[:end])):
            return " ".join(["<IBAN>", *groups[end:]])
    return match[0]


_STEPS: dict[Kind, tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = {
    "email": ((_EMAIL, "<EMAIL>"),),
    "iban": ((_IBAN, _iban),),
    "card": ((_CARD, _card),),
    "account": ((_ACCOUNT, r"\1<ACCOUNT>"),),
    "order": ((_ORDER_NAMED, r"\1<ORDER>"), (_ORDER_BARE, "<ORDER>")),
    "phone": ((_PHONE, "<PHONE>"),),
}
_ORDER_OF_WORK: tuple[Kind, ...] = ("email", "iban", "card", "account", "order", "phone")


class Redactor:
    """Replaces the chosen kinds of personal number; immutable, safe to share between threads."""

    def __init__(self, kinds: Sequence[Kind] = KINDS) -> None:
        """Look for `kinds` only; an empty sequence leaves every text as it is."""
        self.kinds = frozenset(kinds)
        self._steps = [step for kind in _ORDER_OF_WORK if kind in self.kinds for step in _STEPS[kind]]

    def __call__(self, text: str) -> str:
        """Return `text` with each personal number replaced by `<EMAIL>`, `<PHONE>`, `<CARD>` and so on."""
        if _SUSPECT.search(text) is None:
            return text
        for pattern, replacement in self._steps:
            text = pattern.sub(replacement, text)
        return text
