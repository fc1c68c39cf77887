"""One course of the loop: texts come, triage picks, simulated people answer, the job retrains, and the test set tells.

Everything between a text and a live version is the product's own, called as its service and its scheduler call it.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.loop_home import ARMS, TASK, Arm, Point, keep_points, points_in
from benchmarks.loop_texts import Labelled, Texts, read_texts
from core.roles import REGRADE, Caller
from core.settings import Settings, load_settings
from feedback.answers import Said, answer
from feedback.deployments import live_deployments
from feedback.intake import Brought, take_in
from feedback.queue import claim
from feedback.recording import record
from feedback.run_leases import find_holder
from feedback.runs import Run
from feedback.stats import queue_stats
from feedback.store import Store, open_store
from service.classifier import Classifier, Judged, load_classifier
from service.exchange import NOBODY
from service.model_store import version_folder
from service.recordings import LEAST_SCORES, Recordings
from service.replies import prediction
from service.requests import PredictRequest
from tasks.catalogue import TaskFolder, find_task
from training.reorder import reorder_queue
from training.retrain import retrain_queued
from training.scheduler import Scheduler

ROUNDS = 12
ITEMS = 192
"""Items that people have time for in a round: after all rounds, with what was given at first, 30 % of the texts."""

ERROR = 0.05
"""How often each of three people is wrong, with a label drawn from all others."""

_CLAIMED = 8


@dataclass(frozen=True)
class Course:
    """A course in its `home`: which `arm` it is of, its texts, and where it keeps how far it is."""

    home: Path
    arm: Arm
    texts: Texts
    settings: Settings
    store: Store
    folder: TaskFolder
    random: Random

    @property
    def people(self) -> list[Caller]:
        """Who answers."""
        names = ("ann", "ben", "cem") if self.arm == "three people" else ("ann",)
        return [Caller(name, "annotator") for name in names]

    def live(self) -> Classifier:
        """Open the live version."""
        return load_classifier(version_folder(TASK, live_deployments(self.store)[TASK].version))


def play(home: Path, seed: int, arm: Arm) -> None:
    """Play the course in `home` to its end, from where it was stopped; `BENTOML_HOME` must be in `home`."""
    texts, settings = read_texts(seed), load_settings(home=home)
    points = points_in(home)
    with closing(open_store(settings.store_url)) as store:
        random = Random(f"{seed} {arm} {len(points)}")
        course = Course(home, arm, texts, settings, store, find_task(settings, TASK), random)
        recordings = Recordings(random, workers=1)
        if not points:
            points.append(measure(course, []))
        while len(points) <= ROUNDS:
            keep_points(home, points)
            send(course, recordings, len(points))
            people_answer(course, len(points) * ITEMS * len(course.people))
            points.append(measure(course, learn(course)))
        keep_points(home, points)


def send(course: Course, recordings: Recordings, number: int) -> None:
    """Send the texts of a round, from 1, unless that was done before the course was stopped."""
    sent = course.home / f"sent-{number}"
    if sent.exists():
        return
    stream = course.texts.stream
    texts = stream[len(stream) * (number - 1) // ROUNDS : len(stream) * number // ROUNDS]
    if course.arm == "random":
        take_in(course.store, course.folder.task, REGRADE, [Brought(text) for text in texts], 0.5)
    else:
        _predict(course, recordings, texts)
    sent.touch()


def _predict(course: Course, recordings: Recordings, texts: list[str]) -> None:
    """Do what the service does with texts: judge, triage, record."""
    model, task = course.live(), course.folder.task
    found = model.classify(texts)
    said = []
    for at, text in enumerate(texts):
        chances = found.scores.probabilities[at]
        judged = Judged(chances, float(found.scores.out_of_scope[at]), found.truncated[at], text)
        said.append((prediction(model, judged, chances.argsort()[::-1][:LEAST_SCORES].tolist()), text))
    facts = recordings.of(task, model.manifest, PredictRequest(text=texts[0]), NOBODY, said)
    with course.store.write() as connection:
        record(course.store, connection, facts)


def people_answer(course: Course, most: int) -> None:
    """Let people answer in turns until they have given `most` answers in all, or nothing is left that they may have."""
    tasks, idle = {TASK: course.folder.task}, 0
    while (left := most - answers_given(course)) > 0 and idle < len(course.people):
        idle = 0
        for person in course.people:
            held = claim(course.store, course.folder.task, person, min(_CLAIMED, left))
            for item in held:
                said = Said("label", _said(course, course.texts.truth[item.text]))
                answer(course.store, tasks, person, item.item_id, item.lease_token, said)
            idle += not held


def answers_given(course: Course) -> int:
    """Return how many answers people have given."""
    return sum(queue_stats(course.store, course.folder.task).answers_by_role.values())


def _said(course: Course, truth: str) -> str:
    if len(course.people) > 1 and course.random.random() < ERROR:
        return course.random.choice([label for label in course.texts.labels if label != truth])
    return truth


def learn(course: Course) -> list[Run]:
    """Do what the scheduler does: ask for the run that is due, work on it, reorder the queue; return what was run."""
    while find_holder(course.store, TASK) is not None:
        time.sleep(1.0)  # left by a process that was killed
    Scheduler(course.settings, course.store, _no_work).ask_if_due(course.folder)
    done = []
    while (run := retrain_queued(course.settings, course.store, course.folder)) is not None:
        done.append(run)
    live = live_deployments(course.store)[TASK].version
    reorder_queue(course.settings, course.store, course.folder, live)
    return done


def _no_work(folder: TaskFolder, run: Run) -> None:
    """Leave the work to `learn`."""


def measure(course: Course, done: list[Run]) -> Point:
    """Ask the live version, as it is served, about the test texts, and a candidate that is not live."""
    live, stats = course.live(), queue_stats(course.store, course.folder.task)
    version = live.manifest.version
    others = [run.version for run in done if run.gate is not None and run.version not in {None, version}]
    return Point(
        answers=course.texts.given + sum(stats.answers_by_role.values()),
        resolved=stats.resolved,
        waiting=stats.open,
        accuracy=accuracy(live, course.texts.test),
        version=version,
        run="; ".join(f"{run.mode}: {run.message}" for run in done) or "none",
        held_back=accuracy(load_classifier(version_folder(TASK, str(others[-1]))), course.texts.test)
        if others
        else None,
    )


def accuracy(model: Classifier, test: Labelled) -> float:
    """Return the share of the test rows that a version has right, as it is served."""
    best = model.classify([text for text, _ in test]).scores.probabilities.argmax(axis=1)
    right = [model.label_names[place] == label for place, (_, label) in zip(best, test, strict=True)]
    return float(np.mean(right))


def main() -> None:
    """Play one course; `benchmarks.loop` starts this in a process of its own, as `BENTOML_HOME` is read once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("arm", choices=ARMS)
    options = parser.parse_args()
    play(options.home, options.seed, options.arm)


if __name__ == "__main__":
    main()
