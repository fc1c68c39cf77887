"""Whether the live version disappoints: three measures beside those of the version before, looked at again and again.

A version is worse where a measure is worse beyond chance and beyond the limit of `[watch]`. How often chance may
deceive is spent over the looks: the k-th at a measure gets 1 / (k (k + 1)) of the measure's third of `alpha`. As that
sums to 1, equal versions are called worse at most `alpha` of the time, however the looks hang together and however
many there are (Bonferroni's inequality, as a spending function after Lan and DeMets 1983). Looks follow when the
evidence has grown by half, so that they are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.stats import beta, fisher_exact  # type: ignore[import-untyped]

from feedback.observations import Observed
from feedback.sampling import Drawn, strata_of
from feedback.watches import Comparison, Measure
from tasks.declaration import Watch
from training.drift import aligned, stability

_GROWTH = 1.5
"""By how much the evidence must have grown since the last look."""

_LEAST: Mapping[Measure, int] = {"accuracy": 30, "reports": 100, "labels": 200}
"""Evidence on either side without which nothing is said: reviewed predictions for `accuracy`, else predictions."""

_Look = Callable[[Observed, Observed, Watch, int, float], Comparison]


def level_of(number: int, alpha: float) -> float:
    """Return the level of the look `number`, from 1, at one of the three measures."""
    return alpha / len(_LEAST) / (number * (number + 1))


def compare(live: Observed, before: Observed, limits: Watch, known: Sequence[Comparison]) -> list[Comparison]:
    """Return the last look at each measure: a new one where there is enough new evidence, else the one of `known`."""
    last = {one.measure: one for one in known}
    found = (_next(measure, live, before, limits, last.get(measure)) for measure in _LEAST)
    return [one for one in found if one is not None]


def _next(
    measure: Measure, live: Observed, before: Observed, limits: Watch, had: Comparison | None
) -> Comparison | None:
    n, n_before = _evidence(measure, live), _evidence(measure, before)
    enough = min(n, n_before) >= _LEAST[measure] and (had is None or n >= _GROWTH * had.n)
    if not enough or (measure == "labels" and limits.labels == 0):
        return had
    number = had.number + 1 if had else 1
    return _LOOKS[measure](live, before, limits, number, level_of(number, limits.alpha))


def _evidence(measure: Measure, observed: Observed) -> int:
    drawn = observed.drawn
    return int((~np.isnan(drawn.wrong)).sum()) if measure == "accuracy" else drawn.n_traffic


def of_accuracy(live: Observed, before: Observed, limits: Watch, number: int, level: float) -> Comparison:
    """Compare the accuracy on all traffic, each answer weighed by how likely it was to be looked at.

    The one-sided interval of the difference must lie above 0. It follows from that of each stratum of either version
    (Zou and Donner 2008, "Construction of confidence limits about effect measures"), which is exact (Clopper and
    Pearson 1934): of a few audits, one that happens to be wrong says less than approximations make of it.
    """
    (now, above), (then, below) = _error(live.drawn, level, lowest=True), _error(before.drawn, level, lowest=False)
    about = (1 - now, 1 - then, now - then, limits.margin, level)
    n = _evidence("accuracy", live)
    return Comparison("accuracy", number, n, *about, significant=now - then > sqrt(above + below))


def _error(drawn: Drawn, level: float, *, lowest: bool) -> tuple[float, float]:
    """Return the share of wrong answers, and the square of how far its lower or upper limit is from it.

    The limits are of what the version is like: that all of its traffic was reviewed does not make it certain.
    """
    strata = strata_of(drawn)
    shares = np.array([one.size for one in strata]) / sum(one.size for one in strata)
    errors, rows = (np.array(values) for values in zip(*((one.error, one.seen) for one in strata), strict=True))
    wrong, right = errors * rows, (1 - errors) * rows
    ends = (wrong, right + 1) if lowest else (wrong + 1, right)
    limits = beta.ppf(level if lowest else 1 - level, *(np.maximum(end, 1e-9) for end in ends))
    return float(shares @ errors), float(((shares * (limits - errors)) ** 2).sum())


def of_reports(live: Observed, before: Observed, limits: Watch, number: int, level: float) -> Comparison:
    """Compare how many predictions were reported wrong, by Fisher's exact test.

    Half a report is added to either side, so that none before is no division by 0. Reports come late: what has not
    been said of the latest predictions speaks for the live version.
    """
    n, m = live.drawn.n_traffic, before.drawn.n_traffic
    table = [[live.reported, max(0, n - live.reported)], [before.reported, max(0, m - before.reported)]]
    p_value = float(fisher_exact(table, alternative="greater").pvalue)
    times = ((live.reported + 0.5) / (n + 1)) / ((before.reported + 0.5) / (m + 1))
    about = (live.reported / n, before.reported / m, times, limits.reports, level)
    return Comparison("reports", number, n, *about, significant=p_value <= level)


def of_labels(live: Observed, before: Observed, limits: Watch, number: int, level: float) -> Comparison:
    """Compare how often each label was predicted, by the population stability index."""
    index = stability(*aligned(before.labels, live.labels), level)
    about = (index.value, 0.0, index.excess, limits.labels, level)
    return Comparison("labels", number, live.drawn.n_traffic, *about, significant=index.value > index.chance)


_LOOKS: Mapping[Measure, _Look] = {"accuracy": of_accuracy, "reports": of_reports, "labels": of_labels}


def why_worse(version: str, before: str, found: Sequence[Comparison]) -> str | None:
    """Say in a sentence why `version` is worse than the one before; None where it is not."""
    reasons = list(_reasons(found))
    return f"{version} does worse than {before} did: {'; '.join(reasons)}" if reasons else None


def _reasons(found: Sequence[Comparison]) -> Iterator[str]:
    for one in found:
        if not one.is_worse:
            continue
        chance = f"by chance in {one.level:.2%} of cases at most"
        if one.measure == "accuracy":
            yield f"{one.now:.1%} of its answers are right, after {one.before:.1%} ({one.n:,} reviewed; {chance})"
        elif one.measure == "reports":
            yield f"{one.now:.2%} of its answers are reported wrong, after {one.before:.2%} ({one.n:,} given; {chance})"
        else:
            yield f"it gives other labels, at a stability index of {one.loss:.2f} ({one.n:,} given; {chance})"
