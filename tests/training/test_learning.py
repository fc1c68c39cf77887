from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, ModelError
from service.encoding import Encoder, load_encoder
from tasks.declaration import Task
from training.calibrate import calibrate, fit_temperature
from training.examples import Examples, encode_rows, shuffled_batches
from training.export import export_graphs
from training.finetune import FineTuner, Fit, seeded, warm_then_linear
from training.frozen import choose_strength, fit_head
from training.losses import contrastive_loss
from training.model import Network, load_network
from training.network_inference import run_network
from training.parity import Parity, _refuse_bad, check_parity
from training.rows import Row
from training.scope_fit import Signals, fit_curve, fit_statistics, with_curve


@pytest.fixture(scope="module")
def encoder(base_folder: Path) -> Encoder:
    return load_encoder(base_folder / "tokenizer.json", 32)


@pytest.fixture(scope="module")
def examples(tiny_rows: list[Row], encoder: Encoder, task: Task) -> Examples:
    return encode_rows(tiny_rows, encoder, task.label_names)


def fine_tune(base_folder: Path, encoder: Encoder, task: Task, examples: Examples) -> tuple[Network, Fit]:
    with seeded(3):
        network = load_network(base_folder, 3, 0.1)
    tuner = FineTuner(network, encoder, task.training, advance=lambda *_, **__: None)
    return network, tuner.fit(examples, examples.take(range(20)))


def test_fine_tuning_learns_and_is_the_same_twice(
    base_folder: Path, encoder: Encoder, task: Task, examples: Examples
) -> None:
    network, fit = fine_tune(base_folder, encoder, task, examples)
    again, _ = fine_tune(base_folder, encoder, task, examples)
    assert fit.epochs[-1].train_loss < fit.epochs[0].train_loss
    assert fit.best >= 1
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_export_says_what_the_network_says(
    base_folder: Path, encoder: Encoder, task: Task, examples: Examples, tmp_path: Path
) -> None:
    network, _ = fine_tune(base_folder, encoder, task, examples)
    export_graphs(network, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.fp32.onnx", "model.int8.bin", "model.int8.onnx"]
    encodings = examples.encodings
    parity = check_parity(run_network(network, encoder, encodings).logits, tmp_path, encoder, encodings, 1.0)
    assert parity.fp32_torch_max < 1e-4
    with torch.no_grad():
        network.head.weight.mul_(-1.0)  # type: ignore[operator]
    with pytest.raises(ModelError, match="differs from the trained network"):
        check_parity(run_network(network, encoder, encodings).logits, tmp_path, encoder, encodings, 1.0)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(2, 16))
def test_batches_hold_every_row_once(lengths: list[int], size: int) -> None:
    batches = shuffled_batches(lengths, size, np.random.default_rng(0))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert len(lengths) == 1 or all(len(batch) > 1 for batch in batches)


def test_the_learning_rate_rises_and_falls() -> None:
    factor = warm_then_linear(10, 110)
    assert [factor(step) for step in (0, 9, 10, 60, 110)] == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.0])


def test_contrastive_loss_is_lower_when_labels_are_together() -> None:
    together = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert contrastive_loss(together, torch.tensor([0, 0, 1, 1])) < contrastive_loss(
        together, torch.tensor([0, 1, 0, 1])
    )
    assert contrastive_loss(together, torch.tensor([0, 1, 2, 3])) == 0.0


def test_the_temperature_is_found_again() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(5, p=row) for row in chances], dtype=np.int64)
    assert fit_temperature((logits * 3).astype(np.float32), targets) == pytest.approx(3.0, rel=0.1)
    found = calibrate((logits * 3).astype(np.float32), targets)
    assert found.ece_after < 0.03 < found.ece_before
    assert calibrate(logits[:3].astype(np.float32), targets[:3]).temperature == 1.0


@pytest.mark.parametrize(("n", "margin", "lowest"), [(10, 2.2, 0.8), (40, 2.2, 0.6), (40, 5.0, 0.85), (400, 2.2, 0.35)])
def test_rows_that_are_all_right_do_not_make_every_confidence_one(n: int, margin: float, lowest: float) -> None:
    targets = np.arange(n, dtype=np.int64) % 2
    logits = (np.eye(2)[targets] * margin).astype(np.float32)
    found = calibrate(logits, targets)
    assert lowest < found.temperature < 1.0
    assert 0.0 < found.ece_after < found.ece_before


def test_hundreds_of_rows_outweigh_the_prior() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(800, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(5, p=row) for row in chances], dtype=np.int64)
    assert fit_temperature((logits * 3).astype(np.float32), targets) == pytest.approx(3.0, rel=0.1)
    few = fit_temperature((logits * 3).astype(np.float32)[:10], targets[:10])
    assert 1.0 < few < 2.5


def test_a_temperature_at_its_bound_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 300)
    logits = rng.normal(size=(300, 3)).astype(np.float32)
    with caplog.at_level(logging.WARNING, "regrade.calibrate"):
        calibrate(logits, targets)
        assert not caplog.records
        assert calibrate(logits * 1000, targets).temperature == pytest.approx(20.0, rel=0.01)
    assert "at a bound" in caplog.text


@pytest.mark.parametrize(("n", "flips", "refused"), [(12, 1, False), (40, 4, False), (60, 6, True), (512, 20, False)])
def test_a_version_is_refused_for_many_flips_and_not_for_one(n: int, flips: int, refused: bool) -> None:
    parity = Parity(n, 1e-6, 1e-7, 0.1, 0.01, (n - flips) / n)
    if not refused:
        _refuse_bad(parity)
        return
    with pytest.raises(ModelError, match="the int8 graph chooses"):
        _refuse_bad(parity)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2]])
def test_a_linear_head_keeps_labels_without_rows_out(labels: list[int]) -> None:
    rng = np.random.default_rng(0)
    targets = np.array(labels * 20, dtype=np.int64)
    points = (np.eye(4)[targets] + rng.normal(scale=0.1, size=(len(targets), 4))).astype(np.float32)
    weight, bias = fit_head(points, targets, 4, 10.0)
    assert ((points @ weight.T + bias).argmax(axis=1) == targets).all()
    strength, scores = choose_strength((points, targets), (points, targets), 4)
    assert scores[strength] == 1.0
    with pytest.raises(DataError, match="one label"):
        fit_head(points[:1], targets[:1], 4, 1.0)


def test_out_of_scope_statistics_tell_strangers() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2], 60)
    centres = rng.normal(size=(3, 16))
    own = (centres[targets] + rng.normal(scale=0.1, size=(180, 16))).astype(np.float32)
    strange = rng.normal(size=(100, 16)).astype(np.float32)
    statistics = fit_statistics(own[::2], targets[::2], 4)
    logits = {"own": own[1::2] @ centres.T, "strange": strange @ centres.T}
    inside = Signals(statistics.distances(own[1::2]), logits["own"].max(axis=1))
    outside = Signals(statistics.distances(strange), logits["strange"].max(axis=1))
    nothing = Signals(inside.distances[:0], inside.logits[:0])
    for some in (outside, nothing):
        curve = fit_curve(inside, some)
        fitted = with_curve(statistics, curve)
        assert (fitted.scores(strange, logits["strange"]) > 0.5).mean() > 0.95
        assert (fitted.scores(own[1::2], logits["own"]) > 0.5).mean() < 0.06
    assert fit_curve(nothing, outside).middle > outside.distances.max()


def test_the_relief_is_fitted_where_there_are_out_of_scope_rows() -> None:
    rng = np.random.default_rng(0)

    def signals(n: int, distance: float, logit: float) -> Signals:
        noise = rng.normal(size=(2, n)).astype(np.float32)
        return Signals(noise[0] + np.float32(distance), noise[1] + np.float32(logit))

    # Only the logit tells them apart, or only the distance: whatever the deviations say, the curve must find out.
    own = signals(2000, 10.0, 5.0)
    for foreign, low, high in ((signals(500, 10.2, 1.0), 3.0, np.inf), (signals(500, 14.0, 4.8), 0.0, 0.3)):
        curve = fit_curve(own, foreign)
        assert low < curve.relief < high
        assert curve.auroc > 0.99
        assert (own.strangeness(curve.relief) > curve.middle).mean() < 0.05
        assert (foreign.strangeness(curve.relief) > curve.middle).mean() > 0.95
    assert fit_curve(own, Signals(foreign.distances[:19], foreign.logits[:19])).relief == pytest.approx(1.0, rel=0.1)
