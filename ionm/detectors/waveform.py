"""Where a response turns and where it begins. Pure functions of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.stream import Samples


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
    """The most prominent turn of one trace, shape (n_samples,), in V."""
    low_left, low_right = np.minimum.accumulate(trace), np.minimum.accumulate(trace[::-1])[::-1]
    high_left, high_right = np.maximum.accumulate(trace), np.maximum.accumulate(trace[::-1])[::-1]
    peaks = trace - np.maximum(low_left, low_right)
    troughs = np.minimum(high_left, high_right) - trace
    peak, trough = int(np.argmax(peaks)), int(np.argmax(troughs))
    if peaks[peak] >= troughs[trough]:
        swing = float(trace[peak] - min(low_left[peak], low_right[peak]))
        return Turn(peak, float(peaks[peak]), swing, upward=True)
    swing = float(max(high_left[trough], high_right[trough]) - trace[trough])
    return Turn(trough, float(troughs[trough]), swing, upward=False)


def onset(trace: Samples, found: Turn, noise: float, rest: int, earliest: int) -> float:
    """Where the response with this turn begins.

    It begins where it first reaches 5 % of its peak to peak. Walking back from the turn, that is
    where the trace has stayed below a level for ``rest`` samples. The level is 5 % of the swing
    or, where that drowns, 2.5 times the noise; then the rising edge is drawn on to the 5 % point by
    its own slope. Where the trace comes to no rest after ``earliest`` (the direct response still
    runs), the response begins where it turns towards its peak.

    Parameters
    ----------
    trace
        Shape (n_samples,), in V, level with zero before the response.
    found
        The response's turn.
    noise
        RMS of the background, in V.
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
    level = max(target, 2.5 * noise)
    loud = np.flatnonzero(size >= level)
    breaks = np.flatnonzero(np.diff(loud) > rest)
    first = int(loud[breaks[-1] + 1]) if breaks.size else int(loud[0]) if loud.size else found.index
    if first <= earliest:
        before = trace[earliest : found.index + 1]
        return float(earliest + (np.argmin(before) if found.upward else np.argmax(before)))
    low, high = float(size[first - 1]), float(size[first])
    crossing = first - (high - level) / (high - low) if high > low else float(first)
    if level > target:
        higher = np.flatnonzero(size[first:] >= min(2 * level, 0.5 * found.swing))
        run = int(higher[0]) if higher.size else 0
        slope = (float(size[first + run]) - high) / run if run else 0.0
        if slope > 0:
            crossing -= min((level - target) / slope, float(rest))
    return crossing
