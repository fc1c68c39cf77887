"""How far the live version's recent traffic is from its first: labels, confidence and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.settings import Settings
from feedback.deployments import Deployment
from feedback.store import Store
from feedback.traffic_samples import Sampled, first_traffic, kept_texts, latest_traffic
from feedback.watches import Reference, Shift, Watched
from service.artifact import INT8, TOKENIZER, read_manifest, verify_files
from service.encoding import load_encoder
from service.model_store import version_folder
from service.runner import Floats, OrtRunner
from tasks.declaration import Task
from training.drift import aligned, bin_edges, binned, shift_of
from training.inference import run_all
from training.text_shift import shift_of_texts

TEXTS = 300
"""Texts of either side that are compared: enough to see that somewhat less than a third are of another kind."""

_LEAST_TEXTS = 100


def look_at_traffic(
    settings: Settings, store: Store, task: Task, live: Deployment, watched: Watched, limit: float, moment: datetime
) -> Watched:
    """Return `watched` with its reference, if there is enough traffic for one, and how labels and confidence stand.

    Raises:
        UnavailableError: the store is away.
    """
    least = task.watch.drift_texts
    if watched.reference is None:
        since = max(live.created_at, _kept_since(settings, moment))
        first = first_traffic(store, task.name, live.version, since, least)
        if first is None:
            return watched
        watched = replace(watched, reference=make_reference(first.until, first.sample))
    reference = watched.reference
    recent = latest_traffic(store, task.name, live.version, reference.until, least) if reference else None
    if reference is None or recent is None:
        return watched
    confidence = binned([one.confidence for one in recent], reference.edges)
    found = [
        shift_of("labels", *aligned(reference.labels, Counter(one.label for one in recent)), limit),
        shift_of("confidence", reference.confidence, confidence, limit),
    ]
    return _with(watched, found)


def make_reference(until: datetime, sample: Sequence[Sampled]) -> Reference:
    """Return what later traffic is held against, from a sample of the first."""
    confidences = [one.confidence for one in sample]
    edges = bin_edges(confidences)
    labels = Counter(one.label for one in sample)
    return Reference(until, dict(labels), edges, binned(confidences, edges), some_of([one.id for one in sample]))


def some_of(ids: Sequence[str]) -> list[str]:
    """Return up to `TEXTS` of `ids`, evenly taken."""
    every = max(1.0, len(ids) / TEXTS)
    return [ids[int(place * every)] for place in range(min(TEXTS, len(ids)))]


def look_at_texts(settings: Settings, store: Store, task: Task, watched: Watched, moment: datetime) -> Watched:
    """Return `watched` with how its texts stand, computed by the live version's own graph.

    Where the texts of the reference are no longer kept, the oldest day that is takes their place.

    Raises:
        NotFoundError: this host does not hold the version.
        ModelError: it is damaged.
        UnavailableError: the store is away.
    """
    reference, least = watched.reference, task.watch.drift_texts
    if reference is None:
        return watched
    first = kept_texts(store, reference.ids)
    if len(first) < _LEAST_TEXTS:
        again = first_traffic(store, task.name, watched.version, _kept_since(settings, moment), least)
        if again is None:
            return replace(watched, texts_at=moment)
        reference = replace(reference, ids=some_of([one.id for one in again.sample]))
        first = kept_texts(store, reference.ids)
    recent = latest_traffic(store, task.name, watched.version, reference.until, least)
    last = kept_texts(store, some_of([one.id for one in recent])) if recent else []
    watched = replace(watched, reference=reference, texts_at=moment)
    if min(len(first), len(last)) < _LEAST_TEXTS:
        return watched
    found = embed(task.name, watched.version, [*first, *last])
    return _with(watched, [shift_of_texts(found[: len(first)], found[len(first) :])])


def embed(task: str, version: str, texts: Sequence[str]) -> Floats:
    """Return the embeddings `(n_texts, width)` of redacted texts, as the served graph of a version computes them.

    Raises:
        NotFoundError: this host does not hold the version.
        ModelError: it is damaged.
    """
    folder = version_folder(task, version)
    manifest = read_manifest(folder)
    verify_files(folder, manifest, (INT8, TOKENIZER))
    encoder = load_encoder(folder / TOKENIZER, manifest.max_length)
    encodings = [encoder.encode(text) for text in texts]
    return run_all(OrtRunner(folder, "cpu", INT8).run, encoder, encodings).embeddings


def _kept_since(settings: Settings, moment: datetime) -> datetime:
    """Return from when on predictions are certain to be kept, which they are until they are `keep_days` old."""
    return moment - 0.9 * timedelta(days=settings.keep_days)


def _with(watched: Watched, found: Sequence[Shift]) -> Watched:
    """Return `watched` with these shifts in place of those of the same aspects."""
    aspects = {one.aspect for one in found}
    return replace(watched, shifts=[*(one for one in watched.shifts if one.aspect not in aspects), *found])
