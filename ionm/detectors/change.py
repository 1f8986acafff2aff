"""What the newest averages say against a baseline, in the numbers that criteria judge.

A change *warns* when a wave V that is later by `WARN.late` or smaller than `WARN.small` explains the
average better than a harmless one; the logarithm of the ratio is the evidence. It is a sequential test:
a gross change gathers evidence at once, a doubtful one late, noise hardly ever. Which bank is asked is
a matter of speed against false alarms: the fastest watches, the second warns, the last is printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ionm.averaging import Average
from ionm.detectors.following import Followed, Likelihood
from ionm.detectors.reference import Reference

FOUND = 2.6
"""Deviate from which wave V is there: noise alone reaches it in one search of twenty (own computation)."""

POWER = 1.645
"""Half of wave V must be seen with a chance of 95 % before "lost" is said (hearing.md 2.5)."""

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


def compare(reference: Reference, averages: Sequence[Average]) -> Compared:
    """The averages of all banks, fastest first, against a baseline.

    Parameters
    ----------
    reference
        The baseline.
    averages
        Free of the filter's delay, one per bank; the first watches, the second warns, the last is printed.
    """
    fast = reference.follow(averages[0])["V"]
    middle = reference.follow(averages[min(1, len(averages) - 1)])["V"]
    printed = reference.follow(averages[-1])
    v, i, iii = printed["V"], printed.get("I"), printed.get("III")
    measures: dict[str, float | None] = {
        "v_shift": v.shift,
        "v_shift_low": v.low,
        "v_gain": v.gain,
        "v_gain_high": v.gain + ONE_SIDED * v.gain_sd,
        "v_lost": _lost(v),
        "i_shift": None if i is None else i.shift,
        "i_iii": None if i is None or iii is None else iii.shift - i.shift,
        "i_iii_low": None if i is None or iii is None else iii.low - i.high,
        "watch_evidence": WATCH.evidence(fast.likelihood),
        "warn_evidence": WARN.evidence(middle.likelihood),
    }
    return Compared(printed, measures)


def _lost(v: Followed) -> float | None:
    """1.0 if wave V is not there and half of it would have been seen, 0.0 if it is there, else None."""
    if v.statistic >= FOUND:
        return 0.0
    return 1.0 if 0.5 / v.gain_sd >= FOUND + POWER else None
