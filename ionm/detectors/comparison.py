"""What the newest averages say against a baseline, in the numbers that criteria judge.

A change *warns* when a wave V that is later by `WARN.late` or smaller than `WARN.small` explains the
average better than a harmless one; the logarithm of the ratio is the evidence. It is a sequential test:
a gross change gathers evidence at once, a doubtful one late, noise hardly ever. Which bank is asked is
a matter of speed against false alarms: the fastest watches, the second warns, the last is printed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ionm.detectors.baep import AverageMeasured
from ionm.detectors.following import Followed, Likelihood
from ionm.detectors.reference import Reference
from ionm.stream import Samples

FOUND = 2.6
"""Deviate from which wave V is there: noise alone reaches it in one search of twenty (own computation)."""

POWER = 1.645
"""Half of wave V must be seen with a chance of 95 % before "lost" is said (hearing.md 2.5)."""

THERE = 0.3
"""Least gain of a wave whose lateness is asked for: a wave that is gone is not late (our choice)."""

ONE_SIDED = 1.282
"""Normal deviate of a one-sided 90 % limit."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What counts as a change, and what as harmless; between them lies what is neither.

    Parameters
    ----------
    late
        A shift of at least this is a change, in s.
    small
        A gain of at most this is one.
    still
        A shift of at most this is harmless, in s ...
    large
        ... if the gain is at least this.
    """

    late: float
    small: float
    still: float
    large: float

    def evidence(self, likelihood: Likelihood) -> float:
        """Twice the logarithm of the likelihood ratio of a change against a harmless one."""
        late = likelihood.largest(self.late, math.inf, 0.0, math.inf)
        small = likelihood.largest(-math.inf, math.inf, 0.0, self.small)
        harmless = likelihood.largest(-math.inf, self.still, self.large, math.inf)
        return max(late, small) - harmless


WARN = Regions(0.6e-3, 0.5, 0.4e-3, 0.7)
"""The limits of hearing.md 2.5 for a warning; what does not even call for watching is harmless."""

WATCH = Regions(0.4e-3, 0.7, 0.2e-3, 0.85)
"""The limits for watching; half of a shift that calls for it is harmless, and half of a loss."""


WINDOWS = (14, 20, 28, 40)
"""Blocks, of 11 sweeps say, over which a change may have come about: 3.5 to 10 s at 43.9/s (our choice)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The newest averages against one baseline.

    Parameters
    ----------
    printed
        Each wave of the baseline, in the last bank.
    measures
        What `ionm.criteria` judges, by name.
    """

    printed: Mapping[str, Followed]
    measures: Mapping[str, float | None]


class Comparison:
    """A baseline with the newest blocks against it.

    Averages that forget dilute a change with what was before. So the evidence for a warning is also
    gathered over the newest blocks alone, in windows of several lengths, of which the most telling counts
    (the generalised likelihood ratio test for a change at an unknown time).

    Parameters
    ----------
    reference
        The baseline.

    References
    ----------
    Willsky AS, Jones HL. A generalized likelihood ratio approach to the detection and estimation of jumps
    in linear systems. IEEE Trans Automat Contr 1976;21:108-112.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._blocks: deque[tuple[float, Samples]] = deque(maxlen=WINDOWS[-1])

    def push(self, fact: AverageMeasured) -> Compared:
        """Take the next fact of the baseline's row.

        Its first bank watches, the second warns, the last is printed.
        """
        follow, averages = self._reference.follow, fact.averages
        fast = follow(averages[0])["V"]
        middle = follow(averages[min(1, len(averages) - 1)])["V"]
        printed = follow(averages[-1])
        v, i, iii = printed["V"], printed.get("I"), printed.get("III")
        weight = 1.0 / (fact.newest_noise * fact.newest_noise)
        self._blocks.append((weight, weight * self._reference.follower.products(fact.newest)))
        measures: dict[str, float | None] = {
            "v_shift": v.shift,
            "v_shift_low": v.low,
            "v_gain": v.gain,
            "v_gain_high": v.gain + ONE_SIDED * v.gain_sd,
            "v_lost": _lost(v),
            "i_shift": None if i is None else i.shift,
            "i_iii": None if i is None or iii is None else iii.shift - i.shift,
            "iii_evidence": None if iii is None else _late(iii.likelihood),
            "watch_evidence": WATCH.evidence(fast.likelihood),
            "warn_evidence": WARN.evidence(middle.likelihood),
            "jump_evidence": self._jump(printed),
        }
        return Compared(printed, measures)

    def _jump(self, at: Mapping[str, Followed]) -> float | None:
        """The largest evidence of all windows; None before the shortest is full."""
        best: float | None = None
        total, weight = np.zeros_like(self._blocks[0][1]), 0.0
        for count, (w, products) in enumerate(reversed(self._blocks), start=1):
            total += products
            weight += w
            if count in WINDOWS:
                likelihood = self._reference.follower.last(total / weight, 1 / math.sqrt(weight), at)
                evidence = WARN.evidence(likelihood)
                best = evidence if best is None else max(best, evidence)
        return best


def _late(likelihood: Likelihood) -> float:
    """Evidence that a wave is later by 0.5 ms, the prewarning of Park 2021, against half of that."""
    late = likelihood.largest(0.5e-3, math.inf, THERE, math.inf)
    return late - likelihood.largest(-math.inf, 0.25e-3, THERE, math.inf)


def _lost(v: Followed) -> float | None:
    """1.0 if wave V is not there and half of it would have been seen, 0.0 if it is there, else None."""
    if v.statistic >= FOUND:
        return 0.0
    return 1.0 if 0.5 / v.gain_sd >= FOUND + POWER else None
