"""How sure a measurement is: chances learnt from the recording's own background."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable


def in_order(values: Iterable[float]) -> float:
    """Sum from left to right (``sum`` does so only up to Python 3.11)."""
    total = 0.0
    for value in values:
        total += value
    return total


class NullTail:
    """Chance that noise alone gives a statistic as large as the one seen.

    The statistic (positive, scale-free: signal over noise) is also computed on stretches that
    hold no response; this object remembers the newest of those and turns a value into a
    p-value: by rank inside what was seen, by a Pareto tail beyond it. A Pareto tail (an
    exponential one on the logarithm) decays more slowly than that of Gaussian noise, so the
    chance is overstated rather than understated.

    Parameters
    ----------
    capacity
        How many background values are remembered. 256 values, five a sweep under ``mvd-hfs``, are
        fifty sweeps: long enough for a tail, short enough to follow a change of background (our
        choice).

    Notes
    -----
    The tail is made of the upper tenth of the values, but of ten at least: a sparse background
    (now and then a motor unit) is two populations, and the tail must be that of the louder one.
    Its slope ``xi`` is the mean excess of the logarithms (Hill BM, Ann Stat 1975;3:1163-74);
    slope and begin ``u`` are shrunk towards `XI_PRIOR` and `U_PRIOR` with the weight of
    `PRIOR_COUNT` values, so that the first sweeps of a case can be judged too.

    The compiled form gives the same bits; take it by ``fastest(NullTail)``.
    """

    # Gaussian noise in the LSR's band, white or of an EMG's spectrum, gave a slope of 0.10 to 0.13 and an
    # upper quartile of 4.8 to 5.2 (drawn once, by hand); more of both overstates chances at the start
    XI_PRIOR = 0.25
    U_PRIOR = math.log(6.0)
    PRIOR_COUNT = 4
    TAIL_COUNT = 10
    TAIL_SHARE = 0.1

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._recent: deque[float] = deque()
        self._ordered: list[float] = []
        self._share = 0.25  # chance of a value beyond u
        self._u = self.U_PRIOR
        self._xi = self.XI_PRIOR

    def __len__(self) -> int:
        return len(self._recent)

    def extend(self, values: Iterable[float]) -> None:
        """Remember the statistics (above zero) of some stretches without a response."""
        recent, ordered = self._recent, self._ordered
        for value in values:
            z = math.log(value)
            recent.append(z)
            insort(ordered, z)
        for _ in range(len(recent) - self._capacity):
            del ordered[bisect_left(ordered, recent.popleft())]
        if ordered:
            self._fit(ordered)

    def _fit(self, ordered: list[float]) -> None:
        n, prior = len(ordered), self.PRIOR_COUNT
        count = max(self.TAIL_COUNT, round(self.TAIL_SHARE * n))
        begin = n - count if count < n else (3 * n) // 4  # of few values the upper quarter is the tail
        first = ordered[begin]
        excess = in_order([z - first for z in ordered[begin:]])
        weight = n / (n + prior)
        self._share = min(0.25, count / n)
        self._u = weight * first + (1 - weight) * self.U_PRIOR
        self._xi = (excess + prior * self.XI_PRIOR) / (min(count, n // 4 + 1) + prior)

    def p_value(self, value: float) -> float:
        """Chance of a background statistic of at least ``value``; 1.0 for a value of 0."""
        if value <= 0:
            return 1.0
        z = math.log(value)
        if z > self._u:
            return self._share * math.exp(-(z - self._u) / self._xi)
        above = len(self._ordered) - bisect_left(self._ordered, z)
        return max(self._share, (above + 1) / (len(self._ordered) + 1))

    def median(self) -> float:
        """The middle of the background's statistics; 0.0 before any was seen."""
        return math.exp(self._ordered[len(self._ordered) // 2]) if self._ordered else 0.0

    def threshold(self, p_value: float) -> float:
        """The statistic whose chance is ``p_value`` (small)."""
        return math.exp(self._u + self._xi * math.log(self._share / p_value))


KAPPA = 0.25
SMALLEST_CHANCE = 1e-5
"""One sweep alone, a movement say, shall not decide: a smaller chance counts as this one."""


def bet(chance: float, kappa: float = KAPPA) -> float:
    """What one sweep gains by betting against noise, as a logarithm.

    A p-value is turned into a bet that pays ``kappa * p**(kappa - 1)``: in noise alone its mean is one
    (a calibrator: Vovk V, Wang R, Ann Stat 2021;49:1736-54), so gains may be multiplied over sweeps.
    """
    return math.log(kappa) + (kappa - 1) * math.log(max(chance, SMALLEST_CHANCE))
