"""How large the LSR was before and after a change, and steps too small to change its state.

Everything is in percent of the baseline. Of an intermittent LSR only the responses count: how often it
misses is the business of `ionm.states`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

WINDOW = 30.0
"""A level is the median over so many seconds (our choice: at 1 Hz an error of a few percent)."""

MEMORY = 240.0
"""How long sweeps are kept, in s: an intermittent LSR is found absent up to minutes after it went."""

N = 40
"""Responses among which a step is looked for (our choice: half a minute to a minute and a half)."""

EDGE = 8
"""Fewest responses on either side of a step, and fewest that place a change of grade."""

RECENT = 10
"""Responses that show whether the LSR has grown back (our choice: the five that grade a state waver)."""

SMALLEST = 0.75
"""A step leaves at most this share of the level before it (our choice: half of the way to REDUCED)."""

CLEAR = 5.0
"""Difference of the two sides in standard errors (our choice: steady responses give one in tens of
thousands of sweeps, benchmarks/attribution.py)."""

LIKELY = 2.7
"""A place is within a step's interval if its likelihood, as -2 ln, lies so near to the best one's (90 % of
chi-squared with one degree of freedom; Gaussian scatter)."""


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
        self._row: deque[tuple[int, float]] = deque(maxlen=N)  # in which a step is looked for

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

    def now(self) -> float | None:
        """Level of the newest responses since the last fall or hold; None where there are none."""
        newest = [percent for _, percent in self._row][-RECENT:]
        return _median(newest) if newest else None

    def control_before(self, first: int) -> float | None:
        """The M-control's level up to a change."""
        found = _level(self._control, first - self._window, first)
        return found if found is not None else _newest(self._control, first)

    def control_after(self, second: int) -> float | None:
        """The M-control's level since a change."""
        return _level(self._control, second - 1, second + 2 * self._window)

    def moment(self) -> tuple[int, int] | None:
        """Where among the newest responses the largest change lies; None where they are too few."""
        row = list(self._row)
        if len(row) < EDGE:
            return None
        found = _Split([percent for _, percent in row], 2)
        return row[found.earliest - 1][0], row[found.latest][0]

    def _step(self) -> tuple[int, int] | None:
        row = self._row
        if len(row) < 2 * EDGE:
            return None
        values = [percent for _, percent in row]
        if sum(values[-EDGE:]) > (1 + SMALLEST) / 2 * sum(values[:EDGE]):
            return None  # far from one
        found = _Split(values, 2)
        k = found.best
        if not EDGE <= k <= len(values) - EDGE:
            return None  # not enough is seen of what follows it
        if _median(values[k:]) > SMALLEST * _median(values[:k]) or found.clearness < CLEAR:
            return None
        interval = row[found.earliest - 1][0], row[found.latest][0]
        row.clear()
        return interval


class _Split:
    """Where values step down, by least squares: the second side begins with value ``best``.

    ``earliest`` and ``latest`` bound it; ``clearness`` is the step in standard errors.
    """

    def __init__(self, values: Sequence[float], edge: int) -> None:
        n, total = len(values), sum(values)
        spread = sum(v * v for v in values) - total * total / n
        left = sum(values[: edge - 1])
        gains = {}  # how much of the squared spread a step here explains
        for k in range(edge, n - edge + 1):
            left += values[k - 1]
            step = left / k - (total - left) / (n - k)
            gains[k] = step * abs(step) * k * (n - k) / n
        self.best = max(gains, key=gains.__getitem__)
        rest = max(spread - gains[self.best], 1e-9 * max(spread, 1.0))
        likely = [k for k, gain in gains.items() if n * math.log(max(spread - gain, rest) / rest) <= LIKELY]
        self.earliest, self.latest = likely[0], likely[-1]
        self.clearness = math.sqrt(max(gains[self.best], 0.0) * (n - 2) / rest)


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
