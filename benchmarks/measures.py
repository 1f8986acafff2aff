"""Figures of merit with their intervals: rates, areas under ROC curves, false alarms per hour."""

from __future__ import annotations

import numpy as np
from backgrounds import Samples
from scipy import stats


def proportion(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson's interval for ``hits`` of ``n``."""
    if n == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def poisson_upper(count: int, level: float = 0.95) -> float:
    """One-sided upper limit of a Poisson mean of which ``count`` were seen."""
    return float(stats.chi2.ppf(level, 2 * (count + 1)) / 2)


def placements(there: Samples, gone: Samples) -> tuple[Samples, Samples]:
    """Share of the other group's scores below (there) or above (gone) each score; ties count half."""
    n, m = len(there), len(gone)
    joint = stats.rankdata(np.concatenate([there, gone]))
    own_there, own_gone = stats.rankdata(there), stats.rankdata(gone)
    return (joint[:n] - own_there) / m, 1.0 - (joint[n:] - own_gone) / n


def auc(there: Samples, gone: Samples) -> tuple[float, float]:
    """Area under the ROC curve of scores, larger for a response, and its standard error (DeLong 1988)."""
    if not len(there) or not len(gone):
        return float("nan"), float("nan")
    a, b = placements(there, gone)
    error = (
        np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
        if min(len(a), len(b)) > 1
        else np.nan
    )
    return float(a.mean()), float(error)


def auc_difference(
    there: tuple[Samples, Samples],
    gone: tuple[Samples, Samples],
    groups: tuple[Samples, Samples] | None = None,
) -> tuple[float, float]:
    """Difference of two methods' areas on the same sweeps, and its standard error.

    Without groups that of DeLong; with ``groups`` (an index per sweep, there and gone) the sum of a group's
    placements is the unit, for sweeps of one row that share a response's shape.
    """
    first, second = placements(there[0], gone[0]), placements(there[1], gone[1])
    a, b = first[0] - second[0], first[1] - second[1]
    difference = float(a.mean())
    if groups is None:
        return difference, float(np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b)))
    every = np.union1d(*groups)
    total = np.zeros(every.size)
    for values, group in ((a, groups[0]), (b, groups[1])):
        total += np.bincount(np.searchsorted(every, group), values - values.mean(), every.size) / len(values)
    return difference, float(np.sqrt(np.sum(total**2) * every.size / (every.size - 1)))


def sensitivity_at(there: Samples, gone: Samples, specificity: float) -> float:
    """Share of ``there`` above the score that a share ``1 - specificity`` of ``gone`` exceeds."""
    if not len(there) or not len(gone):
        return float("nan")
    limit = np.quantile(gone, specificity, method="higher")
    return float((there > limit).mean())


def curve(there: Samples, gone: Samples) -> tuple[Samples, Samples]:
    """False and true positive rates over all thresholds."""
    limits = np.unique(np.concatenate([there, gone]))[::-1]
    if limits.size > 2000:
        limits = limits[np.linspace(0, limits.size - 1, 2000).astype(int)]
    there, gone = np.sort(there), np.sort(gone)
    true = 1 - np.searchsorted(there, limits, side="left") / len(there)
    false = 1 - np.searchsorted(gone, limits, side="left") / len(gone)
    return np.concatenate([[0.0], false, [1.0]]), np.concatenate([[0.0], true, [1.0]])


def middle(delays: Samples, share: float) -> float:
    """The quantile of delays that may be infinite: what was never stated."""
    if not len(delays):
        return float("nan")
    ordered = np.sort(delays)
    return float(ordered[min(int(np.ceil(share * len(ordered))) - 1 if share else 0, len(ordered) - 1)])
