"""The out-of-scope score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.scope import Floats, ScopeStatistics, load_scope

RANDOM = np.random.default_rng(3)
WHITEN = RANDOM.normal(size=(16, 5)).astype(np.float32)
CENTROIDS = RANDOM.normal(size=(4, 5)).astype(np.float32)
STATISTICS = ScopeStatistics(WHITEN, CENTROIDS, middle=2.0, spread=0.5, relief=0.25)


@given(arrays(np.float32, (3, 16), elements=st.floats(-3, 3, width=32)))
def test_distances_are_those_to_the_nearest_centroid(embeddings: Floats) -> None:
    points = (embeddings @ WHITEN)[:, None, :].astype(np.float64)
    plain = np.linalg.norm(points - CENTROIDS[None], axis=2).min(axis=1)
    np.testing.assert_allclose(STATISTICS.distances(embeddings), plain, rtol=1e-3, atol=2e-2)


@given(
    arrays(np.float32, (20, 16), elements=st.floats(-100, 100, width=32)),
    arrays(np.float32, (20, 4), elements=st.floats(-30, 30, width=32)),
)
def test_scores_rise_with_the_distance_and_fall_with_the_largest_logit(embeddings: Floats, logits: Floats) -> None:
    scores = STATISTICS.scores(embeddings, logits)
    strangeness = STATISTICS.distances(embeddings) - np.float32(0.25) * logits.max(axis=1)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.diff(scores[np.argsort(strangeness)]) >= 0).all()


def test_a_text_at_the_middle_scores_a_half() -> None:
    flat = ScopeStatistics(np.eye(2, dtype=np.float32), np.zeros((1, 2), np.float32), middle=1.0, spread=0.3)
    assert flat.scores(np.array([[1.0, 0.0]], np.float32), np.zeros((1, 1), np.float32))[0] == np.float32(0.5)


def test_statistics_come_back_from_their_file(tmp_path: Path) -> None:
    STATISTICS.save(tmp_path / "scope.npz")
    embeddings, logits = (RANDOM.normal(size=(6, width)).astype(np.float32) for width in (16, 4))
    loaded = load_scope(tmp_path / "scope.npz")
    np.testing.assert_array_equal(loaded.scores(embeddings, logits), STATISTICS.scores(embeddings, logits))
