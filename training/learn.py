"""From clean rows to a network with its calibration: by fine-tuning, or by a head on the frozen encoder.

Both choose on a split: when to stop or how strongly to regularise, the temperature, the out-of-scope curve. The head is
then always fitted once more on all rows, which costs next to nothing; fine-tuning is done again only if the recipe says
`refit`, and otherwise the network of the train part is kept. The rows that certify are not here at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from service.artifact import INT8
from service.classifier import softmax
from service.encoding import Encoder, Encoding
from service.runner import OrtRunner
from tasks.declaration import Training
from training.base import BaseEncoder
from training.calibrate import Calibration, calibrate
from training.examples import Examples
from training.export import export_graphs
from training.finetune import FineTuner, has_bfloat16, seeded
from training.fitted import Fitted
from training.frozen import choose_strength, fit_head
from training.inference import Outputs, run_all
from training.model import Network, load_network
from training.progress import Stages
from training.risk import Answers
from training.scope_fit import Curve, Signals, fit_curve, fit_statistics, with_curve
from training.warm import load_encoder_of


@dataclass(frozen=True)
class Lesson:
    """What is learnt from: all rows as `examples`, their positions by part, and `outside` texts of no label."""

    examples: Examples
    parts: dict[str, list[int]]
    outside: list[Encoding]
    n_labels: int

    def part(self, name: str) -> Examples:
        """Return the rows of one part: `train`, `validation` or `calibration`."""
        return self.examples.take(self.parts[name])


@dataclass(frozen=True)
class Bench:
    """What learning works with: base encoder, tokenizer, recipe, a scratch folder, a TensorBoard folder, bars.

    `start` is the folder of a version whose encoder is fine-tuned further; None: the base encoder is.
    """

    base: BaseEncoder
    encoder: Encoder
    recipe: Training
    work: Path
    logs: Path
    stages: Stages
    start: Path | None = None

    def network(self, n_labels: int) -> Network:
        """Return a fresh network on the encoder to start from; its random parts are those of the recipe's seed."""
        with seeded(self.recipe.seed):
            network = load_network(self.base.folder, n_labels, self.recipe.dropout)
        if self.start is not None:
            load_encoder_of(self.start, network)
        return network

    def served(self, folder: Path, encodings: Sequence[Encoding], stage: str) -> Outputs:
        """Run `encodings` through the int8 graph in `folder`: what will be served is what is calibrated."""
        with self.stages.stage(stage, len(encodings)) as advance:
            return run_all(OrtRunner(folder, "cpu", INT8).run, self.encoder, encodings, advance)


@dataclass(frozen=True, kw_only=True)
class Learned(Fitted):
    """A network and what was chosen on the split."""

    network: Network


def learn_full(bench: Bench, lesson: Lesson) -> Learned:
    """Fine-tune end to end: once to choose the number of epochs and to calibrate, and, by recipe, again on all rows."""
    train, recipe = lesson.part("train"), bench.recipe
    trial = bench.network(lesson.n_labels)
    with bench.stages.stage("fine-tune", len(train) * recipe.epochs) as advance:
        tuner = FineTuner(trial, bench.encoder, recipe, logs=bench.logs / "choose", advance=advance)
        fit = tuner.fit(train, lesson.part("validation"))
    folder = bench.work / "trial"
    with bench.stages.stage("export for calibration"):
        export_graphs(trial, folder)
    everything = [*lesson.examples.encodings, *lesson.outside]
    found = _calibrate(lesson, bench.served(folder, everything, "calibrate"))
    return Learned(
        network=_refitted(bench, lesson, fit.best) if recipe.refit else trial,
        **found,
        chosen={"stopped_after_epochs": fit.best, "precision": "bfloat16" if has_bfloat16() else "float32"},
        on_all_rows=recipe.refit,
        epochs=fit.epochs,
    )


def _refitted(bench: Bench, lesson: Lesson, epochs: int) -> Network:
    """Return a fresh network fitted on all rows for the number of epochs that validation chose."""
    network = bench.network(lesson.n_labels)
    with bench.stages.stage("refit on all rows", len(lesson.examples) * epochs) as advance:
        tuner = FineTuner(network, bench.encoder, bench.recipe, logs=bench.logs / "refit", advance=advance)
        tuner.fit(lesson.examples, stop_after=epochs)
    return network


def learn_quick(bench: Bench, lesson: Lesson) -> Learned:
    """Fit a linear head on the frozen encoder's embeddings, as its own int8 graph computes them."""
    network = bench.network(lesson.n_labels)
    folder = bench.work / "trial"
    with bench.stages.stage("export the encoder"):
        export_graphs(network, folder)
    everything = [*lesson.examples.encodings, *lesson.outside]
    outputs = bench.served(folder, everything, "embed")
    embeddings, targets = outputs.embeddings[: len(lesson.examples)], lesson.examples.targets
    train, validation = (
        (embeddings[lesson.parts[name]], lesson.part(name).targets) for name in ("train", "validation")
    )
    with bench.stages.stage("fit the head"):
        strength, scores = choose_strength(train, validation, lesson.n_labels)
        weight, bias = fit_head(*train, lesson.n_labels, strength)
        trial = Outputs(outputs.embeddings @ weight.T + bias, outputs.embeddings)
        found = _calibrate(lesson, trial)
        network.set_linear(*fit_head(embeddings, targets, lesson.n_labels, strength))
    chosen = {"strength": strength, "validation_accuracy_by_strength": scores}
    return Learned(network=network, **found, chosen=chosen, on_all_rows=True)


class _Found(TypedDict):
    calibration: Calibration
    curve: Curve
    held_out: Answers


def _calibrate(lesson: Lesson, outputs: Outputs) -> _Found:
    """Fit temperature and out-of-scope curve on the calibration part; return them and the answers to its rows.

    `outputs` are those of a model fitted on the train part, for all examples in order and then the outside texts.
    """
    own, parts = len(lesson.examples), lesson.parts
    statistics = fit_statistics(outputs.embeddings[parts["train"]], lesson.part("train").targets, lesson.n_labels)
    distances, best = statistics.distances(outputs.embeddings), outputs.logits.max(axis=1)
    held_out, targets = parts["calibration"], lesson.part("calibration").targets
    logits = outputs.logits[held_out]
    calibration = calibrate(logits, targets)
    inside, outside = Signals(distances[held_out], best[held_out]), Signals(distances[own:], best[own:])
    curve = fit_curve(inside, outside)
    answers = Answers(
        softmax(logits.copy(), calibration.temperature).max(axis=1),
        with_curve(statistics, curve).scores(outputs.embeddings[held_out], logits),
        logits.argmax(axis=1) != targets,
    )
    return {"calibration": calibration, "curve": curve, "held_out": answers}
