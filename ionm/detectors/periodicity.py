"""How periodic a short window of EMG is, and at what rate: the heart of finding A-trains.

A pitch detector of the classical kind: the polarity with the larger potentials is kept, what lies
below a share of its peak is cut away (centre clipping, Sondhi MM, IEEE Trans Audio Electroacoust
1968;16:262-266), so that noise and smaller units do not count, and the remaining pulses are
correlated with themselves. Each pair of pulses one period apart adds to the correlation; what
has no partner takes away from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.stream import Flags, Samples

CLIP = 0.35  # share of the pulses' height below which everything is cut away; 0.3 is usual for pitch
CLIP_NOISE = 2.0  # and never below twice the noise
CAP = 1.5  # a pulse counts at most as this many usual ones: one large unit is no rhythm
FIRST_PEAK = 0.85  # the period is the first peak of the correlation of at least this share of the largest


@dataclass(frozen=True, slots=True, eq=False)
class Periodicity:
    """What each window shows; arrays of shape (n_windows,).

    Parameters
    ----------
    period
        In samples, with a fraction; 0.0 where nothing repeats.
    strength
        Correlation with the window one period earlier: 1.0 for a perfect rhythm.
    second
        The same two periods earlier: high in a train, low for a pair of potentials.
    valley
        Lowest correlation at a shorter delay.
    """

    period: Samples
    strength: Samples
    second: Samples
    valley: Samples


def periodicity(window: Samples, known: Flags, noise: Samples, longest: int) -> Periodicity:
    """The rhythm of some windows.

    Parameters
    ----------
    window
        Shape (n_windows, n_samples), in V, some thousand samples a second; n_samples a multiple of 4.
    known
        Same shape; False where nothing was seen.
    noise
        Shape (n_windows,): RMS of the noise, in V.
    longest
        Longest period looked for, in samples.
    """
    n, width = window.shape
    seen = np.where(known, window, 0.0)
    # the second largest of four quarters: one larger unit does not set it, and a train of 50 ms fills two
    quarters = seen.reshape(n, 4, width // 4)
    up = np.sort(np.maximum.reduce(quarters, axis=2), axis=1)[:, 2]
    down = np.sort(-np.minimum.reduce(quarters, axis=2), axis=1)[:, 2]
    height = np.maximum(up, down)
    turned = seen * np.where(up >= down, 1.0, -1.0)[:, None]
    clip = np.maximum(CLIP * height, CLIP_NOISE * noise)[:, None]
    pulses = np.minimum(np.maximum(turned - clip, 0.0), CAP * np.maximum(height[:, None] - clip, 0.0))
    smooth = pulses.copy()  # a pulse is not sharper than its jitter
    smooth[:, 1:] += 0.5 * pulses[:, :-1]
    smooth[:, :-1] += 0.5 * pulses[:, 1:]
    smooth *= known

    lags = min(2 * longest + 2, width)
    size = 1 << (width + lags - 1).bit_length()
    square = smooth * smooth
    spectrum = np.fft.rfft(smooth, size, axis=1)
    product = np.fft.irfft(spectrum * np.conj(spectrum), size, axis=1)[:, :lags]
    if known.all():
        energy = np.concatenate((np.zeros((n, 1)), np.cumsum(square, axis=1)), axis=1)
        both = energy[:, width : width - lags : -1] + energy[:, -1:] - energy[:, :lags]
    else:  # pairs of which one was not seen do not count
        flags, squares = np.fft.rfft(known, size, axis=1), np.fft.rfft(square, size, axis=1)
        cross = flags * np.conj(squares) + squares * np.conj(flags)
        both = np.fft.irfft(cross, size, axis=1)[:, :lags]
    floor = 1e-3 * (square.sum(axis=1)[:, None] + 1e-30)  # V**2: a silent window has no rhythm
    return _first_peak(2.0 * product / np.maximum(both, floor), longest)


def _first_peak(r: Samples, longest: int) -> Periodicity:
    """The first peak of each correlation that is almost as high as any."""
    n = len(r)
    inner = r[:, 1 : longest + 1]
    peak = (inner > r[:, :longest]) & (inner >= r[:, 2 : longest + 2])
    peak[:, 0] = False  # the flank of delay 0
    heights = np.where(peak, inner, 0.0)
    largest = np.maximum.reduce(heights, axis=1)
    lag = np.argmax(heights >= np.maximum(FIRST_PEAK * largest, 1e-9)[:, None], axis=1) + 1
    rows = np.arange(n)
    here, before, after = r[rows, lag], r[rows, lag - 1], r[rows, lag + 1]
    bend = before - 2.0 * here + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    period = np.where(largest > 0, lag + np.clip(shift, -0.5, 0.5), 0.0)
    double = np.clip(np.rint(2.0 * period).astype(np.int64), 1, r.shape[1] - 2)
    second = np.maximum(np.maximum(r[rows, double - 1], r[rows, double]), r[rows, double + 1])
    shorter = np.where(np.arange(r.shape[1])[None, :] < lag[:, None], r, np.inf)
    valley = np.minimum.reduce(shorter, axis=1)
    return Periodicity(period, np.where(largest > 0, here, 0.0), np.where(largest > 0, second, 0.0), valley)
