"""Fine-tune the encoder end to end, with early stopping on validation rows, or for a fixed number of epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import Parameter
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.tensorboard import SummaryWriter

from core.settings import available_cores
from service.encoding import Encoder
from tasks.declaration import Training
from training.calibrate import fit_temperature, log_loss
from training.examples import Examples, as_tensors, shuffled_batches
from training.fitted import Epoch
from training.losses import total_loss
from training.model import Network
from training.network_inference import run_network
from training.progress import Advance

_CLIP = 1.0
_NOT_DECAYED = ("bias", "LayerNorm.weight", "layer_norm.weight", "norm.weight")


@dataclass
class Fit:
    """A course of fine-tuning: its `epochs` and the number of the `best`, whose weights the network now has."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0


class FineTuner:
    """Fits one network by one recipe; the same seed, rows and machine give the same weights."""

    def __init__(
        self, network: Network, encoder: Encoder, recipe: Training, *, logs: Path | None = None, advance: Advance
    ) -> None:
        """Fit `network` in place; TensorBoard scalars go to the folder `logs`, progress in texts to `advance`."""
        self.network = network
        network.mixed = has_bfloat16()
        self.encoder = encoder
        self.recipe = recipe
        self._advance = advance
        self._writer = SummaryWriter(str(logs)) if logs else None

    def fit(self, train: Examples, validation: Examples | None = None, stop_after: int | None = None) -> Fit:
        """Fine-tune on `train` and leave the network with the weights of the best epoch.

        With `validation` the best epoch is the last whose accuracy is within one standard error of the highest (the
        rule of Breiman et al. 1984, in favour of the lower learning rate), and `patience` epochs below that end the
        fit. `stop_after` replaces the recipe's number of epochs, the learning rate falling to 0 at its end: that is how
        a model is refitted on all rows for the number of epochs that validation chose.
        """
        with seeded(self.recipe.seed):
            self._start_head(train)
            optimiser = self._optimiser()
            most = stop_after or self.recipe.epochs
            steps = -(-len(train) // self.recipe.batch_size) * most
            schedule = LambdaLR(optimiser, warm_then_linear(round(steps * self.recipe.warmup), steps))
            fit = self._epochs(train, validation, schedule, most)
        if self._writer:
            self._writer.close()
        return fit

    def _epochs(self, train: Examples, validation: Examples | None, schedule: LambdaLR, most: int) -> Fit:
        rng = np.random.default_rng(self.recipe.seed)
        fit, highest, kept = Fit(), 0.0, None
        for number in range(1, most + 1):
            loss = self._pass(train, rng, schedule)
            held_loss, held_accuracy = self._validate(validation) if validation else (None, None)
            epoch = Epoch(number, loss, held_loss, held_accuracy, float(schedule.get_last_lr()[0]))
            fit.epochs.append(epoch)
            self._log(epoch)
            if validation is None or held_accuracy is None:
                fit.best = number
                continue
            highest = max(highest, held_accuracy)
            if held_accuracy >= highest - standard_error(highest, len(validation)):
                fit.best = number
                kept = {name: value.clone() for name, value in self.network.state_dict().items()}
            elif number - fit.best >= self.recipe.patience:
                break
        if kept is not None:
            self.network.load_state_dict(kept)
        return fit

    def _pass(self, train: Examples, rng: np.random.Generator, schedule: LambdaLR) -> float:
        """Take one optimiser step for each batch; return the mean loss a text."""
        self.network.train()
        lengths = [len(encoding.ids) for encoding in train.encodings]
        total = 0.0
        for positions in shuffled_batches(lengths, self.recipe.batch_size, rng):
            ids, mask, goals = as_tensors(train, positions, self.encoder)
            found = self.network(ids, mask)
            loss = total_loss(
                found["logits"], found["embedding"], goals, self.recipe.label_smoothing, self.recipe.contrastive
            )
            schedule.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
            schedule.optimizer.step()
            schedule.step()
            total += loss.item() * len(positions)
            self._advance(len(positions))
        return total / len(train)

    def _validate(self, validation: Examples) -> tuple[float, float]:
        """Return the log-loss at the best temperature, and the accuracy, on held-out rows.

        At the best temperature, because one is fitted afterwards anyway: the plain loss punishes a model for growing
        confident and would stop it while its answers still get better.
        """
        found = run_network(self.network, self.encoder, validation.encodings)
        loss = log_loss(found.logits, validation.targets, fit_temperature(found.logits, validation.targets))
        return loss, float((found.logits.argmax(axis=1) == validation.targets).mean())

    def _start_head(self, train: Examples) -> None:
        """Point the head at the mean embedding of each label's rows, before the encoder has learnt anything.

        A row counts for its most probable label, by its weight.
        """
        found = run_network(self.network, self.encoder, train.encodings)
        centroids = np.zeros((found.logits.shape[1], self.network.width), dtype=np.float32)
        weighed = found.embeddings if train.weights is None else train.weights[:, None] * found.embeddings
        np.add.at(centroids, train.targets, weighed)
        self.network.start_from(torch.from_numpy(centroids))

    def _optimiser(self) -> AdamW:
        """Return AdamW (Loshchilov and Hutter 2019): the head has its own rate, biases and norms no decay."""
        decayed: list[Parameter] = []
        plain: list[Parameter] = []
        for name, parameter in self.network.encoder.named_parameters():
            (plain if name.endswith(_NOT_DECAYED) else decayed).append(parameter)
        recipe = self.recipe
        return AdamW(
            [
                {"params": decayed, "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
                {"params": plain, "lr": recipe.learning_rate, "weight_decay": 0.0},
                # The cosine head uses only its weights' directions, so that decay would do nothing.
                {"params": list(self.network.head.parameters()), "lr": recipe.head_learning_rate, "weight_decay": 0.0},
            ],
            fused=True,
        )

    def _log(self, epoch: Epoch) -> None:
        self._advance(0, note=_describe(epoch))
        if self._writer is None:
            return
        self._writer.add_scalar("loss/train", epoch.train_loss, epoch.number)
        self._writer.add_scalar("learning_rate", epoch.learning_rate, epoch.number)
        if epoch.validation_loss is not None and epoch.validation_accuracy is not None:
            self._writer.add_scalar("loss/validation", epoch.validation_loss, epoch.number)
            self._writer.add_scalar("accuracy/validation", epoch.validation_accuracy, epoch.number)


def _describe(epoch: Epoch) -> str:
    held_out = "" if epoch.validation_accuracy is None else f", validation accuracy {epoch.validation_accuracy:.1%}"
    return f"epoch {epoch.number}: loss {epoch.train_loss:.3f}{held_out}"


def warm_then_linear(warm: int, total: int) -> Callable[[int], float]:
    """Return the learning rate's factor by step: up to 1 over `warm` steps, then straight down to 0 at `total`."""

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (total - step) / max(1, total - warm))

    return factor


def standard_error(share: float, n: int) -> float:
    """Return the standard error of a `share` (0 to 1) that was measured on `n` rows."""
    return math.sqrt(share * (1 - share) / n)


@cache
def has_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 itself (AVX512-BF16 or AMX); learning is then twice as fast.

    Elsewhere torch would imitate it, slowly. So that models are the same twice on one machine, not on any two.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make torch reproducible inside the block: seed, deterministic algorithms, one thread a core."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(available_cores())
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=before)
