"""Does the export say what the trained network says? Checked on real rows; an export that does not is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import ModelError
from service.artifact import FP32, INT8
from service.classifier import softmax
from service.encoding import Encoder, Encoding
from service.runner import Floats, OrtRunner
from training.inference import run_all

FP32_LIMIT = 1e-3
"""Largest difference allowed between a probability of the fp32 graph and of torch."""

INT8_AGREEMENT = 0.95
"""Smallest share of rows on which int8 and fp32 must choose the same label: where a task is hard, many rows lie near a
border and fall to either side of it without harm, and a broken graph agrees on far fewer."""

FEWEST_FLIPS = 5
"""Rows that must differ before the agreement counts: of few rows a single one near a border is over 5 % of them."""

MOST_ROWS = 512


@dataclass(frozen=True)
class Parity:
    """Differences on `n` rows: probabilities (0 to 1) by largest and mean absolute gap, labels by share that agree."""

    n: int
    fp32_torch_max: float
    fp32_torch_mean: float
    int8_fp32_max: float
    int8_fp32_mean: float
    int8_fp32_agreement: float


def check_parity(
    logits: Floats, folder: Path, encoder: Encoder, encodings: list[Encoding], temperature: float
) -> Parity:
    """Compare both graphs in `folder`, on up to 512 `encodings`, with the `logits` that what was learnt gives them.

    Raises:
        ModelError: fp32 differs from `logits` by more than 0.001, or int8 chooses another label than fp32 on more than
            5 % of the rows and on at least 5 of them.
    """
    trained = softmax(logits.copy(), temperature)
    exact = _probabilities(folder, FP32, encoder, encodings, temperature)
    small = _probabilities(folder, INT8, encoder, encodings, temperature)
    parity = Parity(
        n=len(encodings),
        fp32_torch_max=float(np.abs(exact - trained).max()),
        fp32_torch_mean=float(np.abs(exact - trained).mean()),
        int8_fp32_max=float(np.abs(small - exact).max()),
        int8_fp32_mean=float(np.abs(small - exact).mean()),
        int8_fp32_agreement=float((small.argmax(axis=1) == exact.argmax(axis=1)).mean()),
    )
    _refuse_bad(parity)
    return parity


def _refuse_bad(parity: Parity) -> None:
    if not parity.fp32_torch_max <= FP32_LIMIT:
        raise ModelError(
            f"the fp32 export differs from the trained network by {parity.fp32_torch_max:.2g} in a probability; "
            f"at most {FP32_LIMIT} is allowed: check the versions of torch and optimum-onnx against pyproject.toml"
        )
    flips = round(parity.n * (1.0 - parity.int8_fp32_agreement))
    if parity.int8_fp32_agreement < INT8_AGREEMENT and flips >= FEWEST_FLIPS:
        raise ModelError(
            f"the int8 graph chooses fp32's label on {parity.int8_fp32_agreement:.1%} of {parity.n} rows; at least "
            f"{INT8_AGREEMENT:.0%} is needed: train longer or on more data, or use another base encoder"
        )


def _probabilities(folder: Path, file: str, encoder: Encoder, rows: list[Encoding], temperature: float) -> Floats:
    return softmax(run_all(OrtRunner(folder, "cpu", file).run, encoder, rows).logits, temperature)
