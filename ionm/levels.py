"""How large the LSR was before and after a change, and steps too small to change its state.

Everything is in percent of the baseline. Of an intermittent LSR only the responses count: how often it
misses is the business of `ionm.states`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

WINDOW = 30.0
"""A level is the median over so many seconds (our choice: at 1 Hz an error of a few percent)."""

MEMORY = 240.0
"""How long sweeps are kept, in s: an intermittent LSR is found absent up to minutes after it went."""

N = 10
"""Responses on either side of a step (our choice, with `SMALLEST` and `CLEAR` by what they do to steady
responses: see benchmarks/attribution.py)."""

SMALLEST = 0.75
"""A step leaves at most this share of the level before it (our choice: half of the way to REDUCED)."""

CLEAR = 0.95
"""Share of pairs of a response before and one after that a step must put in order: under chance alone
about 1 in 10 000 (Mann and Whitney's U <= 5 for 10 and 10)."""

ASIDE = 2
"""A step's moment is stated with so many responses on either side of the best place for it."""


class Levels:
    """The newest sweeps of one derivation and of its M-control.

    Parameters
    ----------
    fs
        Sampling rate, in Hz.
    """

    def __init__(self, fs: float) -> None:
        self._window, self._memory = round(WINDOW * fs), round(MEMORY * fs)
        self._judged: deque[int] = deque()  # triggers of judged sweeps, with or without a response
        self._responses: deque[tuple[int, float]] = deque()
        self._control: deque[tuple[int, float]] = deque()
        self._row: deque[tuple[int, float]] = deque(maxlen=2 * N)  # in which a step is looked for

    def clear(self) -> None:
        """Forget: a new baseline makes another percent."""
        for memory in (self._judged, self._responses, self._control, self._row):
            memory.clear()

    def restart_steps(self) -> None:
        """Look for the next step among later sweeps only."""
        self._row.clear()

    def judged(self, trigger: int, percent: float | None) -> tuple[int, int] | None:
        """Take one judged sweep; the interval of a step down that it completes, if any."""
        self._judged.append(trigger)
        while self._judged[0] < trigger - self._memory:
            self._judged.popleft()
        if percent is None:
            return None
        _remember(self._responses, trigger, percent, self._memory)
        self._row.append((trigger, percent))
        return self._step()

    def control(self, trigger: int, percent: float) -> None:
        """Take one sweep of the M-control; 0 stands for no answer."""
        _remember(self._control, trigger, percent, self._memory)

    def last_before(self, trigger: int) -> int:
        """The newest judged sweep before ``trigger``; ``trigger`` itself if none is known."""
        return next((t for t in reversed(self._judged) if t < trigger), trigger)

    def before(self, first: int) -> float | None:
        """Level up to a change after sample ``first``; the last response where the window holds none."""
        found = _level(self._responses, first - self._window, first)
        return found if found is not None else _newest(self._responses, first)

    def after(self, second: int) -> float | None:
        """Level since a change up to sample ``second``."""
        return _level(self._responses, second - 1, second + 2 * self._window)

    def control_before(self, first: int) -> float | None:
        """The M-control's level up to a change."""
        found = _level(self._control, first - self._window, first)
        return found if found is not None else _newest(self._control, first)

    def control_after(self, second: int) -> float | None:
        """The M-control's level since a change."""
        return _level(self._control, second - 1, second + 2 * self._window)

    def _step(self) -> tuple[int, int] | None:
        row = self._row
        if len(row) < 2 * N or row[-1][1] > SMALLEST * row[0][1]:
            return None
        values = [percent for _, percent in row]
        old, new = values[:N], values[N:]
        if _median(new) > SMALLEST * _median(old):
            return None
        if sum(b < a for a in old for b in new) < CLEAR * N * N:
            return None
        k = max(range(ASIDE + 1, 2 * N - ASIDE), key=lambda k: _split(values, k))
        interval = row[k - 1 - ASIDE][0], row[k + ASIDE][0]
        row.clear()
        return interval


def _remember(memory: deque[tuple[int, float]], trigger: int, percent: float, span: int) -> None:
    memory.append((trigger, percent))
    while memory[0][0] < trigger - span:
        memory.popleft()


def _level(memory: deque[tuple[int, float]], after: int, until: int) -> float | None:
    """Median of what was taken after one sample and up to another."""
    found = [percent for trigger, percent in memory if after < trigger <= until]
    return _median(found) if found else None


def _newest(memory: deque[tuple[int, float]], until: int) -> float | None:
    return next((percent for trigger, percent in reversed(memory) if trigger <= until), None)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _split(values: Sequence[float], k: int) -> float:
    """How much of the squared spread a step before value ``k`` explains."""
    n = len(values)
    difference = sum(values[:k]) / k - sum(values[k:]) / (n - k)
    return difference * difference * k * (n - k)
