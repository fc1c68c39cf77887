"""What operators see at `/metrics`: Prometheus counters and histograms, summed over the workers.

BentoML runs prometheus-client in multiprocess mode; counters and histograms add up by themselves. Children are looked
up once a model version and kept, because finding them by label on the hot path costs more than counting does.
What every text and request counts is tallied first, and handed over every `FLUSH_S` and before `/metrics` is answered.
Labels are bounded: endpoints are route templates, never raw paths, and tasks are known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.artifact import Manifest
from service.classifier import Classifier
from service.tallies import CounterTally, HistogramTally, Tallies

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MODEL = ("task", "version")


FLUSH_S = 0.1
"""Seconds for which other workers' `/metrics` may not know what was counted here."""


class _ModelMetrics(NamedTuple):
    """The children of one model version."""

    queue_wait: HistogramTally
    batch_texts: HistogramTally
    tokens: CounterTally
    padding: CounterTally
    confidence: HistogramTally
    out_of_scope: HistogramTally
    labels: tuple[CounterTally, ...]


class Metrics:
    """The service's own metrics, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric; once a registry."""
        self._requests = Counter(
            "regrade_requests_total", "Requests answered.", ("endpoint", *_MODEL, "status"), registry=registry
        )
        self._latency = Histogram(
            "regrade_request_seconds",
            "Time from the request's head to the reply's.",
            ("endpoint", *_MODEL),
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue_wait = Histogram(
            "regrade_queue_wait_seconds", "Wait before computing began.", _MODEL, buckets=_SECONDS, registry=registry
        )
        self._batch_texts = Histogram(
            "regrade_batch_texts",
            "Texts in a batch.",
            _MODEL,
            buckets=(1, 2, 3, 4, 6, 8, 16, 32, 64),
            registry=registry,
        )
        self._tokens = Counter("regrade_tokens_total", "Tokens computed, padding left out.", _MODEL, registry=registry)
        self._padding = Counter("regrade_padding_tokens_total", "Padding tokens computed.", _MODEL, registry=registry)
        self._confidence = Histogram(
            "regrade_confidence",
            "Calibrated confidence of the answers.",
            _MODEL,
            buckets=[step / 20 for step in range(1, 21)],
            registry=registry,
        )
        self._out_of_scope = Histogram(
            "regrade_out_of_scope",
            "Out-of-scope score of the texts.",
            _MODEL,
            buckets=[step / 10 for step in range(1, 11)],
            registry=registry,
        )
        self._labels = Counter("regrade_predictions_total", "Answers by label.", (*_MODEL, "label"), registry=registry)
        self._repeated = Counter(
            "regrade_repeats_total", "Answers to exact repeats that were kept from before.", _MODEL, registry=registry
        )
        self._dropped = Counter(
            "regrade_dropped_total",
            "Requests that were not computed: queue full, waited too long (expired), caller gone, or failed.",
            (*_MODEL, "reason"),
            registry=registry,
        )
        self._live = Gauge(
            "regrade_live_version",
            "1 for the version that answers, 0 for one that did before.",
            _MODEL,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._webhooks = Counter(
            "regrade_webhook_deliveries_total",
            "Attempts to send to webhooks: delivered, retried later, or failed for good.",
            ("outcome",),
            registry=registry,
        )
        self._webhooks_waiting = Gauge(
            "regrade_webhook_oldest_seconds",
            "Age of the oldest event that some webhook has yet to take; 0: none waits.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._reviews = Counter(
            "regrade_reviews_total", "Predictions that a person is asked about.", (*_MODEL, "reason"), registry=registry
        )
        self._recorded = Counter("regrade_records_total", "Predictions written into the store.", registry=registry)
        self._record_seconds = Histogram(
            "regrade_record_seconds",
            "Time in which the store took a batch of predictions, commit included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._lost = Counter(
            "regrade_records_lost_total",
            "Predictions and reports that neither the store nor the spool kept.",
            registry=registry,
        )
        self._spooled = Gauge(
            "regrade_spool_entries",
            "Predictions and reports that wait on this host for the store.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._of_version: dict[str, _ModelMetrics] = {}
        self._tallies = tallies = Tallies()
        self._of_endpoint = lru_cache(maxsize=1024)(lambda *of: tallies.histogram(self._latency.labels(*of)))
        self._of_status = lru_cache(maxsize=4096)(lambda *of: tallies.counter(self._requests.labels(*of)))

    def flush(self) -> None:
        """Hand what was tallied to Prometheus; safe in any thread."""
        self._tallies.flush()

    def _children(self, classifier: Classifier) -> _ModelMetrics:
        version = classifier.manifest.version
        children = self._of_version.get(version)
        if children is None:
            model, tallies = (classifier.manifest.task, version), self._tallies
            children = self._of_version[version] = _ModelMetrics(
                tallies.histogram(self._queue_wait.labels(*model)),
                tallies.histogram(self._batch_texts.labels(*model)),
                tallies.counter(self._tokens.labels(*model)),
                tallies.counter(self._padding.labels(*model)),
                tallies.histogram(self._confidence.labels(*model)),
                tallies.histogram(self._out_of_scope.labels(*model)),
                tuple(tallies.counter(self._labels.labels(*model, name)) for name in classifier.label_names),
            )
        return children

    def answered(self, endpoint: str, task: str, version: str, status: int, seconds: float) -> None:
        """Count a reply; `endpoint` is a route's template, `task` and `version` are empty where there is none."""
        with self._tallies.lock:
            self._of_status(endpoint, task, version, str(status)).add()
            self._of_endpoint(endpoint, task, version).add(seconds)

    def queue_waited(self, classifier: Classifier, seconds: float) -> None:
        """Count how long a request waited before its first text was taken."""
        with self._tallies.lock:
            self._children(classifier).queue_wait.add(seconds)

    def computed(self, classifier: Classifier, lengths: Sequence[int], longest: int) -> None:
        """Count one batch of texts of `lengths` tokens, or its part of one that is padded to `longest`."""
        tokens = sum(lengths)
        with self._tallies.lock:
            children = self._children(classifier)
            children.batch_texts.add(len(lengths))
            children.tokens.add(tokens)
            children.padding.add(longest * len(lengths) - tokens)

    def predicted(self, classifier: Classifier, label: int, confidence: float, out_of_scope: float) -> None:
        """Count one answer: `label` is its position among the model's outputs."""
        with self._tallies.lock:
            children = self._children(classifier)
            children.confidence.add(confidence)
            children.out_of_scope.add(out_of_scope)
            children.labels[label].add()

    def repeated(self, classifier: Classifier) -> None:
        """Count an answer that was kept from before."""
        self._repeated.labels(classifier.manifest.task, classifier.manifest.version).inc()

    def dropped(self, classifier: Classifier, reason: str) -> None:
        """Count a request that was not computed."""
        self._dropped.labels(classifier.manifest.task, classifier.manifest.version, reason).inc()

    def asked(self, classifier: Classifier, reason: str) -> None:
        """Count a prediction that a person is asked about."""
        self._reviews.labels(classifier.manifest.task, classifier.manifest.version, reason).inc()

    def recorded(self, predictions: int, seconds: float) -> None:
        """Count a batch that the store took."""
        self._recorded.inc(predictions)
        self._record_seconds.observe(seconds)

    def records_lost(self, records: int) -> None:
        """Count what could not be kept anywhere."""
        self._lost.inc(records)

    def spooled(self, entries: int) -> None:
        """Say how much waits in the spool."""
        self._spooled.set(entries)

    def went_live(self, new: Manifest, old: Manifest | None) -> None:
        """Say which version answers from now on."""
        if old is not None:
            self._live.labels(old.task, old.version).set(0)
        self._live.labels(new.task, new.version).set(1)

    def webhook_tried(self, outcome: str) -> None:
        """Count an attempt to send to a webhook: `delivered`, `retried` or `failed`."""
        self._webhooks.labels(outcome).inc()

    def webhooks_waited(self, oldest_s: float) -> None:
        """Say how old the oldest event is that some webhook has yet to take, in seconds."""
        self._webhooks_waiting.set(oldest_s)
