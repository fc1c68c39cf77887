"""How texts go into a peer and labels come out: JSON over HTTP, each in its own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """A body from texts, and the texts' labels from a reply."""

    body: Callable[[Sequence[str]], Any]
    labels: Callable[[Any], list[str]]


def _ours(texts: Sequence[str]) -> dict[str, Any]:
    return {"text": texts[0]} if len(texts) == 1 else {"texts": list(texts)}


def _inputs(name: str) -> Callable[[Sequence[str]], dict[str, Any]]:
    def body(texts: Sequence[str]) -> dict[str, Any]:
        return {"inputs": [{"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}

    return body


def _of_predictions(reply: Any) -> list[str]:
    return [one["label"] for one in reply["predictions"]]


OURS = Protocol(_ours, _of_predictions)
PLAIN = Protocol(lambda texts: {"texts": list(texts)}, lambda reply: [one["label"] for one in reply])
WRAPPED = Protocol(lambda texts: {"texts": list(texts)}, _of_predictions)
PIPELINE = Protocol(lambda texts: {"texts": list(texts)}, lambda reply: [one[0]["label"] for one in reply])
KSERVE_1 = Protocol(lambda texts: {"instances": list(texts)}, _of_predictions)
KSERVE_2 = Protocol(_inputs("texts"), lambda reply: list(reply["outputs"][0]["data"]))
HUGGING_FACE = Protocol(
    _inputs("array_inputs"), lambda reply: [json.loads(one)["label"] for one in reply["outputs"][0]["data"]]
)
