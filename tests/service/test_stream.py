"""A stream of unseen texts through a service of two workers: who is asked about what, and what is remembered of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stream import judge, post_all, read_rules, two_sided
from service.classifier import load_classifier
from tests.support.data import unseen_texts
from tests.support.server import run_server

TASK = "tiny-intent"


def home_that_doubts_half(source: Path, folder: Path, version: Path, texts: list[str]) -> Path:
    """Copy a home, with thresholds under which the model doubts about half of `texts`."""
    scores = load_classifier(version).classify(texts).scores
    confidence = float(np.median(scores.probabilities.max(axis=1)))
    home = folder / "source"
    shutil.copytree(source, home)
    manifest = home / version.relative_to(source) / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["thresholds"] = dict.fromkeys(content["thresholds"], confidence)
    content["scope_threshold"] = 1.0  # the little model has seen nothing like any of them
    manifest.write_text(json.dumps(content), encoding="utf-8")
    return home


@pytest.mark.slow
def test_each_doubtful_text_has_one_item_and_the_rest_are_drawn_by_chance(
    tiny_home: Path, tiny_version: Path, tmp_path: Path
) -> None:
    texts = unseen_texts(2_000)
    home = home_that_doubts_half(tiny_home, tmp_path, tiny_version, texts)
    with run_server(home, tmp_path) as server, server.client() as client:
        replies = post_all(client, TASK, texts)
        found = judge(client, read_rules(client, TASK), replies)
    assert found["faults"] == []
    assert found["texts"] == 2_000
    assert 500 < found["confident"] < 1_500
    assert {"low_confidence", "audit", "none"} <= found["reasons"].keys()


def test_a_share_that_is_not_drawn_by_chance_is_noticed() -> None:
    chances = [0.02] * 1_000
    assert two_sided(chances, 20) > 0.9
    assert two_sided(chances, 45) < 0.001
    assert two_sided(chances, 4) < 0.001
    assert two_sided([0.5, 0.5], 2) == pytest.approx(0.5)
