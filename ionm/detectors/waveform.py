"""Where a response turns, begins and ends, and how large and ragged it is. Pure functions of samples.

Every sum runs in a fixed order, so that the compiled forms of `whole`, `extent` and `Course` give
the same bits; take them by ``fastest(...)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ionm.stream import Flags, Samples

LANES = 8
"""Running sums side by side: what one vector of the widest machine holds."""

PAUSE = 4
"""Rests (`Course`) that a discharge may come behind another and still belong to the response: 4 ms for phases
of 1 ms, the interval of after-discharges at 250 Hz, the slowest (facial.md 1.4)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The most prominent turn of a trace.

    Parameters
    ----------
    index
        Where it is.
    prominence
        How far it stands out on both sides, in V.
    swing
        How far it stands out on its deeper side, in V. For a response in silence this is the peak
        to peak; beside a larger deflection that still falls it is the swing from the turn between.
    upward
        Whether it is a peak (else a trough).
    """

    index: int
    prominence: float
    swing: float
    upward: bool


def turn(trace: Samples) -> Turn:
    """The most prominent turn of one trace, shape (n_samples,), in V.

    The one that stands out furthest on *both* sides: a slow tail that only rises or
    only falls has none, however large it is.
    """
    low_left, low_right = np.minimum.accumulate(trace), np.minimum.accumulate(trace[::-1])[::-1]
    high_left, high_right = np.maximum.accumulate(trace), np.maximum.accumulate(trace[::-1])[::-1]
    peaks = trace - np.maximum(low_left, low_right)
    troughs = np.minimum(high_left, high_right) - trace
    peak, trough = int(np.argmax(peaks)), int(np.argmax(troughs))
    if peaks[peak] >= troughs[trough]:
        return Turn(peak, float(peaks[peak]), float(trace[peak] - trace.min()), upward=True)
    return Turn(trough, float(troughs[trough]), float(trace.max() - trace[trough]), upward=False)


def onset(trace: Samples, found: Turn, reach: float, rest: int, earliest: int) -> float:
    """Where the response with this turn begins.

    It begins where it first reaches 5 % of its peak to peak. Walking back from the turn, that is
    where the trace has stayed below a level for ``rest`` samples. The level is 5 % of the swing
    or, where that drowns, the reach of the background; then the rising edge is drawn on to the 5 % point by
    its own slope. Where the trace comes to no rest after ``earliest`` (the direct response still
    runs), the response begins where it turns towards its peak.

    Parameters
    ----------
    trace
        Shape (n_samples,), in V, level with zero before the response.
    found
        The response's turn.
    reach
        How far the background reaches from zero, in V.
    rest
        How many quiet samples end the walk.
    earliest
        First sample at which a response may begin.

    Returns
    -------
    float
        Position, in samples (fractional).
    """
    size = np.abs(trace[: found.index + 1])
    target = 0.05 * found.swing
    level = max(target, reach)
    loud = np.flatnonzero(size >= level)
    breaks = np.flatnonzero(np.diff(loud) > rest)
    first = int(loud[breaks[-1] + 1]) if breaks.size else int(loud[0]) if loud.size else found.index
    if first <= earliest:
        before = trace[earliest : found.index + 1]
        return float(earliest + (np.argmin(before) if found.upward else np.argmax(before)))
    return first - _outside(size[first - 1 :], level, found.swing, rest)


def _outside(size: Samples, level: float, swing: float, rest: int) -> float:
    """How far outside its outermost loud sample a response reaches 5 % of its peak to peak, in samples.

    Parameters
    ----------
    size
        From the last quiet sample inwards, in V. The second one is loud, or it is the turn itself: one on the
        flank of a larger deflection may lie near zero.
    level, swing, rest
        See `onset`.
    """
    target = 0.05 * swing
    low, high = float(size[0]), float(size[1])
    if high < level:
        return 0.0
    outside = (high - level) / (high - low) if high > low else 0.0
    if level > target:
        higher = np.flatnonzero(size[1:] >= min(2 * level, 0.5 * swing))
        run = int(higher[0]) if higher.size else 0
        slope = (float(size[1 + run]) - high) / run if run else 0.0
        if slope > 0:
            outside += min((level - target) / slope, float(rest))
    return outside


def end(trace: Samples, found: Turn, reach: float, rest: int) -> float:
    """Where the response with this turn ends, after-discharges with it.

    From the turn on, it lasts as long as it exceeds 5 % of the swing and twice the reach of the background
    again within `PAUSE` rests, and then until it stays below the level (`onset`) for one rest. Beyond the
    last sample above the level it is drawn on to the 5 % point as at its onset. A response that still runs
    at the end of the trace ends there.

    Parameters
    ----------
    trace, found, reach, rest
        See `onset`.

    Returns
    -------
    float
        Position, in samples (fractional).
    """
    size = np.abs(trace[found.index :])
    target = 0.05 * found.swing
    level = max(target, reach)
    last = _last(size >= max(target, 2 * reach), PAUSE * rest)
    last += _last(size[last:] >= level, rest)
    if last + 1 == size.size:
        return float(found.index + last)
    outside = _outside(size[last + 1 :: -1], level, found.swing, rest)
    return min(found.index + last + outside, float(trace.size - 1))


def _last(loud: Flags, pause: int) -> int:
    """The last loud sample that is reached from the first in steps of at most ``pause``."""
    found = np.flatnonzero(loud[1:]) + 1
    breaks = np.flatnonzero(np.diff(found, prepend=0) > pause)
    within = found[: breaks[0]] if breaks.size else found
    return int(within[-1]) if within.size else 0


def turns(trace: Samples, step: float) -> int:
    """How often one trace, shape (n_samples,), in V, turns: changes of direction of more than ``step`` V.

    As in the analysis of turns in the interference pattern (Willison 1964, who asked for 100 uV), a turn
    counts if the trace moves by more than the step from the turn before it and to the one behind it. It
    comes from zero and goes back to zero.
    """
    count, rising = 0, None
    low = high = 0.0
    for value in (*trace.tolist(), 0.0):
        low, high = min(low, value), max(high, value)
        if rising is not False and high - value > step:
            count += rising is True
            rising, low = False, value
        elif rising is not True and value - low > step:
            count += rising is False
            rising, high = True, value
    return count


class Shape(NamedTuple):
    """What a response looks like, in samples of its trace and in V.

    Parameters
    ----------
    onset
        Where it begins (`onset`; fractional).
    peak
        Where its most prominent turn is.
    prominence, swing
        Of that turn (`Turn`).
    end
        Where it ends (`end`; fractional), or the trace if that is earlier.
    area
        Of the absolute trace from onset to end, in V times samples.
    turns
        Changes of direction from onset to end (`turns`) of more than 10 % of the swing or, where those
        drown, the background's peak to peak.
    """

    onset: float
    peak: int
    prominence: float
    swing: float
    end: float
    area: float
    turns: int


class Course:
    """Reads the shape of a response off one row of a sweep, at the full rate.

    Parameters
    ----------
    columns
        The stretch of the row that is looked at.
    lead, stop
        Where in it the window begins and ends in which the response may turn. Behind the window a response
        may go on (its after-discharges).
    rest
        How many quiet samples end the walk back to the onset; twice as many before the window a
        response may begin.
    decays
        What a tail is made of, shape (n_decays, n_columns).
    """

    def __init__(self, columns: slice, lead: int, stop: int, rest: int, decays: Samples) -> None:
        self._columns, self._lead, self._stop, self._rest, self._decays = columns, lead, stop, rest, decays

    def shape(  # noqa: PLR0917
        self,
        data: Samples,
        row: int,
        level: float,
        copy: tuple[int, float, float] | None,
        weights: tuple[float, ...],
        reach: float,
    ) -> Shape:
        """The shape of the response in one row.

        Parameters
        ----------
        data
            The sweep, shape (n_rows, n_samples), in V.
        row
            The response's row.
        level, copy, weights
            What is not the response's: see `ionm.detectors.swing.Reading`.
        reach
            How far the background reaches from its level, in V.
        """
        trace = data[row, self._columns] - level
        if copy is not None:
            other, share, other_level = copy
            trace -= share * (data[other, self._columns] - other_level)
        for weight, decay in zip(weights, self._decays, strict=True):
            trace -= weight * decay
        found = turn(trace[self._lead : self._stop])
        found = replace(found, index=found.index + self._lead)
        begin = onset(trace, found, reach, self._rest, max(0, self._lead - 2 * self._rest))
        close = end(trace, found, reach, self._rest)
        response = trace[max(0, math.ceil(begin)) : math.floor(close) + 1]
        area, step = total(np.abs(response)), 2 * max(0.05 * found.swing, reach)
        return Shape(begin, found.index, found.prominence, found.swing, close, area, turns(response, step))


def whole(valid: Flags, rows: tuple[int, ...], columns: slice) -> bool:
    """Whether every sample of a stretch of some rows is valid; ``valid`` has shape (n_rows, n_samples)."""
    return all(bool(valid[row, columns].all()) for row in rows)


def extent(data: Samples, row: int, columns: slice, length: int) -> tuple[float, float, float]:
    """Mean (V) and mean square about it (V^2) of a stretch of one row; peak to peak (V) of its begin.

    Parameters
    ----------
    data
        Shape (n_rows, n_samples), in V.
    row, columns
        The stretch.
    length
        How many samples its begin is long, if there are as many.
    """
    trace = data[row, columns]
    mean, begin = total(trace) / trace.size, trace[:length]
    return mean, total(np.square(trace - mean)) / trace.size, float(begin.max() - begin.min())


def total(values: Samples) -> float:
    """Sum of shape (n,) in a fixed order: `LANES` running sums side by side, then those from left to right.

    (``np.sum`` adds in pairs, in an order that may change with numpy and with the machine.)
    """
    rows = np.zeros((-(-values.size // LANES), LANES))
    rows.flat[: values.size] = values
    return float(np.cumsum(np.cumsum(rows, axis=0)[-1])[-1]) if values.size else 0.0
