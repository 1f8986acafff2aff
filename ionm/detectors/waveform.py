"""Measures of a waveform: prominence, peak to peak, onset. Pure functions of samples."""

from __future__ import annotations

import numpy as np

from ionm.stream import Samples


def prominence(traces: Samples) -> Samples:
    """How far the most prominent turn stands out on *both* sides.

    A slow tail that only rises or only falls has none, however large it is; a response that
    begins and ends within the trace has that of its largest peak or trough.

    Parameters
    ----------
    traces
        Shape (..., n_samples), in V.

    Returns
    -------
    ndarray
        Shape (...), in V.
    """
    backwards = traces[..., ::-1]
    low = np.maximum(np.minimum.accumulate(traces, axis=-1), np.minimum.accumulate(backwards, axis=-1)[..., ::-1])
    high = np.minimum(np.maximum.accumulate(traces, axis=-1), np.maximum.accumulate(backwards, axis=-1)[..., ::-1])
    peak = np.maximum.reduce(traces - low, axis=-1)
    trough = np.maximum.reduce(high - traces, axis=-1)
    larger: Samples = np.maximum(peak, trough)
    return larger


def turn(trace: Samples) -> tuple[int, float]:
    """The most prominent turn of one trace, and how far it stands above its deeper side.

    For a response in silence the second is the peak to peak; beside a larger deflection that
    is still falling it is the swing from the turn between the two.

    Parameters
    ----------
    trace
        Shape (n_samples,), in V.

    Returns
    -------
    index : int
        Of the turn.
    size : float
        In V.
    """
    sides = [np.minimum.accumulate(trace), np.minimum.accumulate(trace[::-1])[::-1]]
    peaks = trace - np.maximum(*sides)
    depths = [np.maximum.accumulate(trace), np.maximum.accumulate(trace[::-1])[::-1]]
    troughs = np.minimum(*depths) - trace
    peak, trough = int(np.argmax(peaks)), int(np.argmax(troughs))
    if peaks[peak] >= troughs[trough]:
        return peak, float(trace[peak] - min(sides[0][peak], sides[1][peak]))
    return trough, float(max(depths[0][trough], depths[1][trough]) - trace[trough])


def onset(trace: Samples, peak: int, noise: float, rest: int) -> float:
    """Where the response that peaks at ``peak`` begins.

    It begins where it first reaches 5 % of its peak to peak. Walking back from the peak, that
    is where the trace has stayed below a level for ``rest`` samples. The level is 5 % of the
    peak to peak or, where that drowns, 2.5 times the noise; then the rising edge is drawn on
    to the 5 % point by its own slope. A trace that never rests before the peak (the direct
    response still runs) gives the turn from which it rises to the peak.

    Parameters
    ----------
    trace
        Shape (n_samples,), in V, level with zero before the response.
    peak
        Index of the response's most prominent turn.
    noise
        RMS of the background, in V.
    rest
        How many quiet samples end the walk.

    Returns
    -------
    float
        Position, in samples (fractional).
    """
    size = np.abs(trace[: peak + 1])
    swing = float(trace.max() - trace.min())
    target = 0.05 * swing
    level = max(target, 2.5 * noise)
    loud = np.flatnonzero(size >= level)
    breaks = np.flatnonzero(np.diff(loud) > rest)
    first = int(loud[breaks[-1] + 1]) if breaks.size else int(loud[0]) if loud.size else peak
    if first < rest and not breaks.size:
        rising = trace[peak] >= trace[first : peak + 1].min() and trace[peak] > trace[: peak + 1].mean()
        return float(first + (np.argmin if rising else np.argmax)(trace[first : peak + 1]))
    if first == 0:
        return 0.0
    low, high = float(size[first - 1]), float(size[first])
    crossing = first - (high - level) / (high - low) if high > low else float(first)
    if level > target:
        higher = np.flatnonzero(size[first:] >= min(2 * level, 0.5 * swing))
        run = int(higher[0]) if higher.size else 0
        slope = (float(size[first + run]) - high) / run if run else 0.0
        if slope > 0:
            crossing -= min((level - target) / slope, float(rest))
    return crossing
