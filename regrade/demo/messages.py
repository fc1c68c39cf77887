"""What the demo sends: messages with the label that is right, in an order and with variations as real ones have."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from core.errors import DataError
from core.text import text_fault
from tasks.declaration import OUT_OF_SCOPE

FOLDER = Path(__file__).parent / "texts"

_TYPOS, _COPIES, _NEAR_COPIES = 0.08, 0.03, 0.04
"""Shares of messages with a slip of the keys, sent again as they were, and sent again in other words."""

_REMEMBERED = 50
_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_WORD = re.compile(r"[A-Za-z]{4,}")
_BEGINNINGS = ("Hi, ", "Hello! ", "hey, ", "Sorry to bother you. ", "Again: ")
_ENDS = (" Thanks", " thanks in advance!", " pls", " Regards", "!!", " ...")

_VALUES: dict[str, Sequence[str]] = {
    "name": ("Mara", "Tobias", "Mrs Okafor", "Jun", "Priya", "Leonie", "Mr Haddad", "Sanne", "Declan", "Yusuf"),
    "city": ("Leeds", "Utrecht", "Graz", "Porto", "Malmö", "Galway", "Turin", "Brno", "Bergen", "Lyon"),
    "item": ("desk lamp", "kettle", "rain jacket", "headset", "bookshelf", "stroller", "blender", "backpack", "drill",
             "office chair", "tablet cover", "running watch"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "country": ("Poland", "Vietnam", "Chile", "Kenya", "Norway", "Turkey", "Canada", "Peru", "Spain", "Indonesia"),
    "company": ("Arvelle Foods", "Nordhaven Shipping", "Quillon Therapeutics", "Bastide Retail", "Orrery Semiconductor",
                "Kestrel Mining", "Lumen & Vale", "Tarnwick Homes", "Solvane Energy", "Pellior Motors"),
    "ticker": ("ARVL", "NHVN", "QLLN", "BSTD", "ORRY", "KSTL", "TRNW", "SLVN", "PLLR"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """A text, the name of its label or `out_of_scope`, and whether people find it hard."""

    text: str
    label: str
    hard: bool


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why the row at `line` (from 1, the header being the first) is not used."""

    line: int
    msg: str


def starter_messages(task: str) -> Path | None:
    """Return the file of the demo's own messages for `task`, or None where it has none."""
    file = FOLDER / f"{task}.csv"
    return file if file.is_file() else None


def read_messages(file: Path, labels: Collection[str]) -> tuple[list[Message], list[RowFault]]:
    """Return the messages of a CSV file with the columns `text`, `label` and, if there is one, `hard`; and its faults.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            rows = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read ({error}); give a CSV file in UTF-8") from error
    if not {"text", "label"} <= set(columns):
        raise DataError(f"{file} has the columns {', '.join(columns) or '(none)'}; expected text and label")
    messages, faults = [], []
    for line, row in rows:
        message = Message((row["text"] or "").strip(), (row["label"] or "").strip(), bool(row.get("hard")))
        fault = _fault(message, labels)
        if fault is None:
            messages.append(message)
        else:
            faults.append(RowFault(line, fault))
    return messages, faults


def _fault(message: Message, labels: Collection[str]) -> str | None:
    if (fault := text_fault(message.text)) is not None:
        return f"the text {fault}"
    if message.label in labels or message.label == OUT_OF_SCOPE:
        return None
    return f"label {message.label[:60]!r} is none of the task's; expected one of them, or {OUT_OF_SCOPE}"


def stream(messages: Sequence[Message], random: Random, *, vary: bool = True) -> Iterator[Message]:
    """Yield `messages` (at least one) without end, each once in every round, in an order of chance.

    With `vary`, slots such as `{name}` are filled, some messages get a slip of the keys, and some come again.
    """
    latest: deque[Message] = deque(maxlen=_REMEMBERED)
    while True:
        for one in random.sample(list(messages), len(messages)):
            message = replace(one, text=fill(one.text, random)) if vary else one
            if vary and random.random() < _TYPOS:
                message = replace(message, text=mistype(message.text, random), hard=True)
            yield message
            latest.append(message)
            if vary and random.random() < _COPIES:
                yield random.choice(latest)
            if vary and random.random() < _NEAR_COPIES:
                yield _reworded(random.choice(latest), random)


def fill(text: str, random: Random) -> str:
    """Return `text` with its slots filled: `{item}`, `{amount}`, `{order}`, `{email}` and the like."""
    return _SLOT.sub(lambda slot: _value(slot[1], random), text)


def _value(slot: str, random: Random) -> str:
    name = slot.rstrip("0123456789")
    if name in _VALUES:
        return random.choice(_VALUES[name])
    if name in _MADE:
        low, high, form = _MADE[name]
        return form.format(random.randint(low, high))
    if name == "date":
        return f"the {random.choice(['3rd', '9th', '14th', '21st', '27th'])}"
    if name == "amount":
        return f"{random.choice('£€$')}{random.randint(4, 240)}.{random.choice(['00', '50', '95', '99'])}"
    if name == "email":
        return f"{random.choice(['mara.lind', 'j.haddad', 'sanne77', 'oktober'])}{random.randint(1, 99)}@example.org"
    return f"{{{slot}}}"


_MADE: dict[str, tuple[int, int, str]] = {
    "days": (2, 12, "{}"),
    "order": (10_000, 999_999, "order #{}"),
    "phone": (100, 999, "+44 20 7946 0{}"),
    "pct": (2, 24, "{}"),
    "less": (3, 19, "{}"),
    "mn": (21, 480, "{}"),
}
"""Numbers by slot: the least, the greatest, and how it is written. `less` is always below `mn`."""


def mistype(text: str, random: Random) -> str:
    """Return `text` with two letters of one word exchanged, one left out or one doubled, where it has a long word."""
    words = list(_WORD.finditer(text))
    if not words:
        return text.lower()
    word = random.choice(words)
    place = random.randrange(word.start(), word.end() - 1)
    slips = (text[place + 1] + text[place], text[place], text[place] * 2 + text[place + 1])
    return text[:place] + random.choice(slips) + text[place + 2 :]


def _reworded(message: Message, random: Random) -> Message:
    if random.random() < 0.5:
        return replace(message, text=random.choice(_BEGINNINGS) + message.text)
    return replace(message, text=message.text.rstrip(".!") + random.choice(_ENDS))
