"""The LSR's states: their table, the sequential tests and the grades that move between them.

`ionm.branch` feeds them sweep by sweep; that it keeps to `TRANSITIONS` is held by tests/test_judge.py.

1. Only a derivation with role ``lsr`` has a state.
2. A hold freezes the state (`ionm.branch` keeps the holds); nothing here is called meanwhile.
3. ``ABSENT`` and the way back from it are decided by sequential tests over sweeps
   (`Loss`, `Return`); the grades in between by the median amplitude of the last five valid
   sweeps, in percent of the baseline.
4. ``REAPPEARED`` follows only ``ABSENT`` and leaves only to ``ABSENT``: it happens in a third of
   cases (Ren 2020: 547 of 1705) and is never smoothed away.
"""

from __future__ import annotations

import math
from enum import StrEnum

from ionm.quality import bet


class State(StrEnum):
    """What is known of the LSR in one derivation."""

    UNKNOWN = "UNKNOWN"
    NOT_ELICITED = "NOT_ELICITED"
    PRESENT = "PRESENT"
    REDUCED = "REDUCED"
    NEAR_ABSENT = "NEAR_ABSENT"
    ABSENT = "ABSENT"
    REAPPEARED = "REAPPEARED"


GRADES = (State.PRESENT, State.REDUCED, State.NEAR_ABSENT)

TRANSITIONS: dict[State, tuple[State, ...]] = {
    State.UNKNOWN: (State.PRESENT, State.NOT_ELICITED),  # by a baseline
    State.NOT_ELICITED: (State.PRESENT,),  # by `Return`
    State.PRESENT: (State.REDUCED, State.NEAR_ABSENT, State.ABSENT),
    State.REDUCED: (State.PRESENT, State.NEAR_ABSENT, State.ABSENT),
    State.NEAR_ABSENT: (State.PRESENT, State.REDUCED, State.ABSENT),
    State.ABSENT: (State.REAPPEARED,),  # by `Return`
    State.REAPPEARED: (State.ABSENT,),  # by `Loss`
}

REDUCED_BELOW = 50.0
"""Percent of baseline: reduced by half, a widespread house rule (general knowledge, facial.md 1.6);
Pan 2025 found 48.5 % to separate clinical improvement."""

NEAR_ABSENT_BELOW = 13.5
"""Percent of baseline: reduced by 86.5 %, which Pan 2025 found to predict complete resolution."""

HYSTERESIS = 5.0
"""Percentage points by which a grade must be passed to go back up (our choice: the median of five
amplitudes that vary by 10 % has a standard error of about 5 points)."""


def grade(percent: float, limit_percent: float, now: State) -> State:
    """The grade for a median amplitude, or ``now`` where it has not left its own.

    Parameters
    ----------
    percent
        Median amplitude of the last five valid sweeps, in percent of the baseline.
    limit_percent
        Detection limit, in percent of the baseline: what lies below it cannot be graded
        ``NEAR_ABSENT``, because it could not be told from nothing.
    now
        The present state, one of `GRADES`.
    """
    reduced, near = REDUCED_BELOW, NEAR_ABSENT_BELOW
    if now in (State.REDUCED, State.NEAR_ABSENT):
        reduced += HYSTERESIS
    if now is State.NEAR_ABSENT:
        near += HYSTERESIS
    if percent <= near and limit_percent < NEAR_ABSENT_BELOW:
        return State.NEAR_ABSENT
    if percent <= reduced:
        return State.REDUCED
    return State.PRESENT


class Loss:
    """Sequential test for "the LSR is gone", from misses in a row.

    Each sweep without a response multiplies the odds for absence by the chance of a miss when
    it is gone over that when it is there; a response divides them; they never fall below one
    (Page's cumulative sum: Page ES, Biometrika 1954;41:100-15). How often a present LSR misses
    is learnt from the patient, so an intermittent LSR needs more misses before it is called
    absent.

    Parameters
    ----------
    hits, sweeps
        Sweeps with a response, and all valid ones, at the baseline.
    alpha
        Chance of calling noise a response, per sweep.
    """

    THRESHOLD = math.log(5e3)
    """False losses come at most once in about this many sweeps, in natural logarithms of odds, if
    misses are independent: three misses of an LSR seen in 20 of 20 sweeps, eight of one seen in 14."""

    STEADIEST = 0.96
    """Highest rate of responses that is believed: however steady, an LSR is not called absent before
    three misses in a row (house rules ask for three of five sweeps, general knowledge)."""

    MOST = 100  # sweeps in which the rate of misses is learnt; older ones fade

    def __init__(self, hits: int, sweeps: int, alpha: float) -> None:
        self._hits, self._sweeps = float(hits), float(sweeps)
        self._alpha = alpha
        self._misses = 0  # since the last response
        self.odds = 0.0
        self.since: int | None = None

    def _rate(self) -> float:
        return min(self.STEADIEST, (self._hits + 1) / (self._sweeps + 2))  # Laplace's rule of succession

    def push(self, present: bool, p_value: float, trigger: int) -> bool:  # noqa: FBT001
        """Take one valid sweep; True once the test decides for absence.

        A response shows that the LSR was there all along: it and the misses before it teach how
        often this LSR misses.
        """
        rate = self._rate()
        if present:
            if self.odds > 0.0:
                self.odds += math.log(self._alpha / rate)
            self._learn(self._misses)
        elif self.since is None:
            self.since = trigger
        if not present and not self._alpha <= p_value <= DOUBT * self._alpha:
            self._misses += 1
            self.odds += math.log((1 - self._alpha) / (1 - rate))
        if present and self.odds <= 0.0:
            self.odds, self.since = 0.0, None
        return self.odds >= self.THRESHOLD

    def _learn(self, misses: int) -> None:
        self._hits += 1
        self._sweeps += 1 + misses
        if self._sweeps > self.MOST:
            fade = self.MOST / self._sweeps
            self._hits, self._sweeps = self._hits * fade, self._sweeps * fade
        self._misses = 0

    def clear(self) -> None:
        """Forget the misses so far (after a hold)."""
        self.odds, self.since, self._misses = 0.0, None, 0


DOUBT = 5.0
"""A sweep without a response whose p-value lies between alpha and so many times alpha speaks neither for
nor against (our choice). Below alpha it shows a swing too small to be a response: a miss."""


class Return:
    """Sequential test for "a response is there", from the p-values of sweeps in a row.

    Each p-value is a bet against noise (`ionm.quality.bet`); the gains multiply and never fall below
    one. In noise alone the gain reaches `THRESHOLD` at most once in that many sweeps.
    """

    THRESHOLD = math.log(1e6)

    def __init__(self) -> None:
        self.gain = 0.0
        self.since: int | None = None

    def push(self, p_value: float, trigger: int) -> bool:
        """Take one valid sweep; True once the test decides for a response."""
        gain = self.gain + bet(p_value)
        if gain <= 0.0:
            self.gain, self.since = 0.0, None
            return False
        if self.since is None:
            self.since = trigger
        self.gain = gain
        return gain >= self.THRESHOLD

    def clear(self) -> None:
        """Forget the evidence so far (after a hold)."""
        self.gain, self.since = 0.0, None
