"""What was chosen on the way to a version, whatever way it was learnt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.calibrate import Calibration
from training.risk import Answers
from training.scope_fit import Curve


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the data came to; the validation figures are None where nothing was held out."""

    number: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was chosen on held-out rows, for a model fitted `on_all_rows` or on the train part; the `epochs` of its fit.

    `held_out` are the answers to the calibration rows of the model that was fitted without them.
    """

    calibration: Calibration
    curve: Curve
    held_out: Answers
    chosen: dict[str, Any]
    on_all_rows: bool
    epochs: list[Epoch] = field(default_factory=list)
