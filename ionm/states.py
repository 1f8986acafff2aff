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
from collections.abc import Sequence
from enum import StrEnum
from statistics import NormalDist

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


class Outcome(StrEnum):
    """What a test for loss says after a sweep."""

    OPEN = "open"
    LOST = "lost"
    WEAKER = "weaker"


class Loss:
    """Sequential test for "the LSR is gone".

    Each sweep has a score: its match in standard deviations of matches of the background. Three
    explanations are weighed, from the first sweep on that speaks for a loss:

    - gone: N(0, 1), or once in `RARE` N(0, `WILD`^2), the background's own likeness of a response;
    - there as before: the LSR misses with a probability learnt from this patient, else
      N(m, 1 + (`SPREAD` m)^2) with m the score that its present size would have in this sweep's noise;
    - there, but weaker: the same with `WEAK` m, without misses.

    It is gone once "gone" is `THRESHOLD` times likelier than "as before" *and* `AGAINST_WEAK` times likelier
    than "weaker" (Page's cumulative sum: Page ES, Biometrika 1954;41:100-15). An LSR that answered weakly
    from some sweep on is no loss: its new size is then what is expected.

    Parameters
    ----------
    baseline
        Score and expected score of the baseline's sweeps: they teach how often this LSR misses.
    """

    THRESHOLD = math.log(1e4)
    """False losses come at most once in about this many sweeps, if misses are independent and as frequent as
    believed: three clear misses of an LSR that never missed in the baseline's twenty sweeps."""

    AGAINST_WEAK = math.log(20)
    """Odds against an LSR that fell to less than half, which is rarer than one that went (our choice)."""

    WEAKER = math.log(1e3)
    """Odds for "weaker" against "as before" from which the LSR's size is learnt anew (our choice)."""

    SPREAD = 0.3
    """Coefficient of variation of a present LSR (general knowledge: needle recordings vary by 10 to 30 %)."""

    WEAK = 0.4

    RARE, WILD = 0.05, 3.0
    """Tail of the matches in sparse motor units: one in a hundred beyond 4, one in a thousand beyond 6."""

    STEADIEST = 0.02
    """Rarest misses that are believed (our choice: one in fifty sweeps)."""

    MOST = 100  # sweeps in which the rate of misses is learnt; older ones fade

    def __init__(self, baseline: Sequence[tuple[float, float]] = ()) -> None:
        self._missed, self._sweeps = 0.5, 1.0  # Jeffreys' prior
        self._pending: list[tuple[float, float]] = []
        for _ in range(3):  # the rate decides what was a miss, and the misses decide the rate
            shares = [self._share(score, expected) for score, expected in baseline]
            self._missed, self._sweeps = 0.5 + math.fsum(shares), 1.0 + len(shares)
        self.odds = 0.0
        self.against_weak = 0.0
        self.since: int | None = None

    def push(self, score: float, expected: float, trigger: int) -> Outcome:
        """Take one valid sweep.

        A sweep that shows the LSR tells that it was there all along: what came before teaches how often it
        misses.
        """
        gone, before, weaker = self.likelihoods(score, expected)
        odds = self.odds + gone - before
        self._pending.append((score, expected))
        if odds <= 0.0:
            self._learn()
            return Outcome.OPEN
        if self.since is None:
            self.since = trigger
        self.odds = odds
        self.against_weak += gone - weaker
        if odds - self.against_weak > self.WEAKER and self.against_weak < 0:
            return Outcome.WEAKER
        lost = odds >= self.THRESHOLD and self.against_weak >= self.AGAINST_WEAK
        return Outcome.LOST if lost else Outcome.OPEN

    @property
    def weighed(self) -> int:
        """Sweeps since the first that speaks for a loss."""
        return len(self._pending)

    def _rate(self) -> float:
        more = math.sqrt(max(self._missed - 1.0, 0.0))  # of few misses the rate may be higher
        return min(max(self.STEADIEST, (self._missed + more) / self._sweeps), 0.9)

    def likelihoods(self, score: float, expected: float) -> tuple[float, float, float]:
        """Of one sweep: logarithms of the likelihoods of "gone", "as before" and "weaker"."""
        rare = math.log(self.RARE)
        gone = _mixed(
            math.log(1 - self.RARE) + _normal(score, 0.0, 1.0), rare + _normal(score, 0.0, self.WILD**2)
        )
        rate = self._rate()
        there = _normal(min(score, expected), expected, 1 + (self.SPREAD * expected) ** 2)  # or larger
        before = _mixed(math.log(rate) + gone, math.log(1 - rate) + there)
        low = self.WEAK * expected
        return gone, before, _normal(score, low, 1 + (self.SPREAD * low) ** 2)

    def _share(self, score: float, expected: float) -> float:
        """Chance that a sweep was a miss, if the LSR is there."""
        gone, before, _ = self.likelihoods(score, expected)
        return min(1.0, self._rate() * math.exp(gone - before))

    def _learn(self) -> None:
        for score, expected in self._pending:
            share = self._share(score, expected)
            self._missed, self._sweeps = self._missed + share, self._sweeps + 1
        if self._sweeps > self.MOST:
            fade = self.MOST / self._sweeps
            self._missed, self._sweeps = self._missed * fade, self._sweeps * fade
        self.clear()

    def clear(self) -> None:
        """Forget what speaks for a loss (after a hold)."""
        self.odds, self.against_weak, self.since = 0.0, 0.0, None
        self._pending.clear()


def _normal(x: float, mean: float, variance: float) -> float:
    """Logarithm of the normal density, without its constant."""
    return -0.5 * ((x - mean) ** 2 / variance + math.log(variance))


def _mixed(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers given as logarithms."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


SUREST = 1e-12
"""Smallest chance that is turned into a score, and its distance from one."""


def score(chance: float) -> float:
    """The score of a p-value: standard normal in noise alone."""
    return _NORMAL.inv_cdf(1.0 - min(max(chance, SUREST), 1 - 1e-3))


_NORMAL = NormalDist()


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
