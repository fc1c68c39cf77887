from __future__ import annotations

import pytest

from feedback.facts import Recording
from feedback.recent import recent_traffic
from feedback.recording import record
from feedback.store import Store
from feedback.texts import add_texts
from tests.support.predicted import predicted


def one(task: str, version: str, confidence: float) -> Recording:
    scores = (("parcel", confidence),)
    return predicted("where is it", task=task, version=version, confidence=confidence, scores=scores)


def test_recent_traffic_is_that_of_the_task_and_the_scores_those_of_the_version(store: Store) -> None:
    assert recent_traffic(store, "mail", "v1").scores == []
    assert recent_traffic(store, "mail", "v1").per_day == 0.0
    made = [one("mail", "v1", 0.5), one("mail", "v1", 0.75), one("mail", "v2", 0.9), one("shop", "v1", 0.1)]
    with store.write() as connection:
        add_texts(connection, [recording.text for recording in made])
        record(store, connection, made)
    found = recent_traffic(store, "mail", "v1")
    assert found.scores == [(0.75, 0.25), (0.5, 0.25)]
    assert recent_traffic(store, "mail", "v1", most=1).scores == [(0.75, 0.25)]
    assert found.per_day == pytest.approx(3.0), "a day has not gone by"
