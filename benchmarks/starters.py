"""The starters on their gold sets, on unseen texts, and on public sets where labels correspond.

`python -m benchmarks.starters` takes a minute or two. A check, never training data. The unseen texts were written by
an author who knew the labels' names and had seen neither data nor guideline. Public labels mean something else
than ours in places (a bank is not a shop; other people drew the line of `neutral`), so that these figures bound from
below what to expect.
"""

from __future__ import annotations

import ast
import csv
import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, data_folder, keep_result, machine
from benchmarks.versions import live_folder
from core.settings import load_settings
from service.classifier import load_classifier

Rows = list[tuple[str, str]]

UNSEEN = Path(__file__).parent / "unseen"

FROM_BANKING77 = {
    "Refund_not_showing_up": "refund_status",
    "request_refund": "refund_request",
    "transaction_charged_twice": "double_charge",
    "card_payment_not_recognised": "unknown_charge",
    "direct_debit_payment_not_recognised": "unknown_charge",
    "declined_card_payment": "payment_failed",
    "passcode_forgotten": "reset_password",
    "edit_personal_details": "update_details",
    "terminate_account": "close_account",
}
FROM_TWITTER = {"0": "negative", "1": "positive", "2": "neutral"}


def read(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def one_sentiment(path: Path) -> Iterator[tuple[str, str]]:
    """Yield SEntFiN's headlines whose entities all have one sentiment; a few rows of the file do not parse."""
    for row in read(path):
        try:
            found = set(ast.literal_eval(row["Decisions"]).values())
        except (SyntaxError, ValueError):
            continue
        if len(found) == 1:
            yield row["Title"], found.pop()


def sets() -> Iterator[tuple[str, str, Rows]]:
    """Yield task, name of the set, and its rows."""
    for task in ("support-intent", "finance-sentiment"):
        gold = [(row["text"], row["label"]) for row in read(ROOT / "tasks" / task / "gold.csv")]
        yield task, "own gold", [row for row in gold if row[1] != "out_of_scope"]
        yield task, "unseen", [(row["text"], row["label"]) for row in read(UNSEEN / f"{task}.csv")]
    data = data_folder()
    banking = read(data / "banking77" / "test.csv")
    mapped = [(row["text"], FROM_BANKING77[row["category"]]) for row in banking if row["category"] in FROM_BANKING77]
    yield "support-intent", "BANKING77 test, 9 of its intents", mapped
    tweets = read(data / "twitter_financial" / "sentiment-train.csv")
    yield "finance-sentiment", "finance tweets", [(row["text"], FROM_TWITTER[row["label"]]) for row in tweets]
    yield "finance-sentiment", "SEntFiN, one sentiment", list(one_sentiment(data / "sentfin" / "SEntFiN.csv"))


def main() -> None:
    """Measure, print, and keep the result."""
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    table, results = Table("task", "texts", "rows", "accuracy"), []
    for task, name, rows in sets():
        classifier = load_classifier(live_folder(settings, task))
        best = classifier.classify([text for text, _ in rows]).scores.probabilities.argmax(axis=1)
        pairs = zip(best, rows, strict=True)
        accuracy = sum(classifier.label_names[position] == label for position, (_, label) in pairs) / len(rows)
        table.add_row(task, name, f"{len(rows):,}", f"{accuracy:.1%}")
        results.append({"task": task, "texts": name, "rows": len(rows), "accuracy": accuracy})
    Console().print(table)
    print(f"kept in {keep_result('starters', {'results': results}, about).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
