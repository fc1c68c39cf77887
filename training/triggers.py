"""When the retraining job begins by itself: a list of small questions about what is known of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from feedback.new_reviews import DRIFT, LOW_ACCURACY, Known
from feedback.runs import RunMode
from tasks.declaration import Retrain
from tasks.moments import fires_between, is_within


class Due(NamedTuple):
    """A run that is due, and the `trigger` that says so."""

    mode: RunMode
    trigger: str


Trigger = Callable[[Known, Retrain], Due | None]


def by_cron(known: Known, when: Retrain) -> Due | None:
    """Begin a full run at each moment of `cron`; of those that were missed, the last one counts for all."""
    since = _latest(known.cron_at, known.live_since)
    if when.cron is None or since is None or fires_between(when.cron, since, known.now, when.timezone) is None:
        return None
    return Due("full", "cron")


def after_items_full(known: Known, when: Retrain) -> Due | None:
    """Begin a full run after `full_after` newly reviewed items."""
    return Due("full", "new items") if 0 < when.full_after <= known.new_since_full else None


def after_items_fast(known: Known, when: Retrain) -> Due | None:
    """Begin a fast run after `fast_after` newly reviewed items."""
    return Due("fast", "new items") if 0 < when.fast_after <= known.new else None


def by_age(known: Known, when: Retrain) -> Due | None:
    """Begin a fast run where the oldest reviewed item that nothing has learnt from is `oldest_hours` old."""
    if when.oldest_hours is None or known.oldest_new is None:
        return None
    return Due("fast", "old items") if known.now - known.oldest_new >= timedelta(hours=when.oldest_hours) else None


def by_accuracy(known: Known, when: Retrain) -> Due | None:
    """Begin a full run when the accuracy on live traffic has fallen under `audit_below`, once for each fall."""
    wanted = when.audit_below is not None and _is_news(known.fell_at, known.fall_at) and _is_enough(known, when)
    return Due("full", LOW_ACCURACY) if wanted else None


def by_drift(known: Known, when: Retrain) -> Due | None:
    """Begin a full run when traffic has drifted by `drift_above`, once each time that it does."""
    wanted = when.drift_above is not None and _is_news(known.drifted_at, known.drift_at) and _is_enough(known, when)
    return Due("full", DRIFT) if wanted else None


def _is_news(since: datetime | None, asked: datetime | None) -> bool:
    return since is not None and (asked is None or asked < since)


def _is_enough(known: Known, when: Retrain) -> bool:
    """Tell whether people have reviewed enough since the last full run that another would find out something."""
    return known.new_since_full >= max(1, when.fast_after)


TRIGGERS: Sequence[Trigger] = (by_cron, after_items_full, by_accuracy, by_drift, after_items_fast, by_age)
"""In the order in which they are asked: full runs first, as they learn all that a fast one would."""


def due(known: Known, when: Retrain, triggers: Sequence[Trigger] = TRIGGERS) -> Due | None:
    """Return the run that is due now, if any: one at a time, not in quiet hours, and not before it has cooled down."""
    if known.at_work or known.live_since is None or _is_quiet(known, when) or _is_hot(known, when):
        return None
    return next((found for trigger in triggers if (found := trigger(known, when)) is not None), None)


def _is_quiet(known: Known, when: Retrain) -> bool:
    return when.quiet_hours is not None and is_within(when.quiet_hours, known.now, when.timezone)


def _is_hot(known: Known, when: Retrain) -> bool:
    return known.ended_at is not None and known.now - known.ended_at < timedelta(minutes=when.cool_down_minutes)


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
