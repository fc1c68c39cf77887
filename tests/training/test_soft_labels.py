from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.encoding import Encoder, load_encoder
from service.head import Head
from tasks.declaration import Task
from training.examples import Examples, encode_rows, weigh
from training.finetune import FineTuner, seeded
from training.head import refit_head
from training.losses import Goals, contrastive_loss, total_loss
from training.model import load_network
from training.network_inference import run_network
from training.rows import Row

LABELS = 3


@pytest.fixture(scope="module")
def encoder(base_folder: Path) -> Encoder:
    return load_encoder(base_folder / "tokenizer.json", 32)


@pytest.fixture(scope="module")
def examples(tiny_rows: list[Row], encoder: Encoder, task: Task) -> Examples:
    return encode_rows(tiny_rows, encoder, task.label_names)


def made_up(n: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    embedding = torch.nn.functional.normalize(torch.randn(n, 8, generator=generator), dim=1)
    return torch.randn(n, LABELS, generator=generator), embedding, torch.arange(n) % LABELS


def test_certain_rows_of_equal_weight_lose_as_plain_labels_do() -> None:
    logits, embedding, targets = made_up()
    soft = torch.nn.functional.one_hot(targets, LABELS).float()
    plain = total_loss(logits, embedding, Goals(targets), 0.1, 0.5)
    assert total_loss(logits, embedding, Goals(targets, soft, torch.ones(12)), 0.1, 0.5) == pytest.approx(float(plain))


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    logits, embedding, targets = made_up(4)
    twice = torch.tensor([0, 1, 2, 3, 3])
    weights = torch.tensor([1.0, 1.0, 1.0, 2.0])
    heavy = total_loss(logits, embedding, Goals(targets, None, weights / weights.mean()), 0.0, 0.0)
    doubled = total_loss(logits[twice], embedding[twice], Goals(targets[twice]), 0.0, 0.0)
    assert float(heavy) == pytest.approx(float(doubled), rel=1e-5)


def test_only_confident_rows_are_drawn_to_their_like() -> None:
    logits, embedding, targets = made_up()
    soft = torch.nn.functional.one_hot(targets, LABELS).float()
    soft[:3] = torch.tensor([0.6, 0.4, 0.0])
    unsure = targets.clone()
    unsure[:3] = 0
    found = total_loss(logits, embedding, Goals(unsure, soft), 0.0, 1.0) - total_loss(
        logits, embedding, Goals(unsure, soft), 0.0, 0.0
    )
    assert float(found) == pytest.approx(float(contrastive_loss(embedding[3:], targets[3:])), rel=1e-4)


@given(st.lists(st.floats(0.2, 1.5), min_size=2, max_size=20))
def test_weights_are_scaled_to_a_mean_of_one_or_left_out(weights: list[float]) -> None:
    n = len(weights)
    targets = np.arange(n, dtype=np.int64) % 2
    found = weigh(Examples([], targets), np.eye(2, dtype=np.float32)[targets], np.array(weights, dtype=np.float32))
    assert found.soft is None
    if len({np.float32(weight) for weight in weights}) == 1:
        assert found.weights is None
    else:
        assert found.weights is not None
        assert found.weights.mean() == pytest.approx(1.0, rel=1e-4)


def test_fine_tuning_on_soft_labels_is_less_sure(
    base_folder: Path, encoder: Encoder, task: Task, examples: Examples
) -> None:
    certain = np.eye(LABELS, dtype=np.float32)[examples.targets]
    unsure = 0.6 * certain + 0.4 / LABELS
    confidence = []
    for soft in (certain, unsure):
        with seeded(3):
            network = load_network(base_folder, LABELS, 0.1)
        rows = weigh(examples, soft, np.ones(len(examples), dtype=np.float32))
        FineTuner(network, encoder, task.training, advance=lambda *_, **__: None).fit(rows)
        logits = run_network(network, encoder, examples.encodings).logits
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        confidence.append(float(chances.max(axis=1).mean()))
    assert confidence[1] < confidence[0] - 0.1


def test_the_old_head_is_where_its_own_answers_leave_it() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 8)).astype(np.float32)
    old = Head(rng.normal(size=(LABELS, 8)).astype(np.float32), rng.normal(size=LABELS).astype(np.float32))
    chances = np.exp(old.logits(points) / 0.7)
    own = (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
    weights = np.ones(200, dtype=np.float32)
    same = refit_head(old, points, own, weights, temperature=0.7, pull=0.3)
    assert same.weight == pytest.approx(old.weight, abs=1e-2)
    fresh = rng.normal(size=(1, 8)).astype(np.float32)
    wanted = np.eye(LABELS, dtype=np.float32)[[int(old.logits(fresh).argmin())]]
    moved = refit_head(
        old, np.vstack([points, fresh]), np.vstack([own, wanted]), np.append(weights, 5.0), temperature=0.7, pull=0.3
    )
    label = int(wanted.argmax())
    assert moved.logits(fresh)[0, label] > old.logits(fresh)[0, label] + 0.5
    assert (moved.logits(points).argmax(axis=1) == old.logits(points).argmax(axis=1)).mean() > 0.85


def test_a_stronger_pull_stays_nearer() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(50, 4)).astype(np.float32)
    old = Head(np.zeros((2, 4), dtype=np.float32), np.zeros(2, dtype=np.float32))
    wanted = np.eye(2, dtype=np.float32)[(points[:, 0] > 0).astype(int)]
    lengths = [
        float(np.abs(refit_head(old, points, wanted, np.ones(50, np.float32), temperature=1.0, pull=pull).weight).sum())
        for pull in (0.1, 1.0, 100.0)
    ]
    assert lengths == sorted(lengths, reverse=True)
