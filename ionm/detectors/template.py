"""The patient's own response, and how much of it is in a sweep.

Once a baseline shows what this patient's response looks like, a sweep is searched for exactly that. A
matched filter sees a response of 4 times the background's RMS where the eye and an amplitude rule need
10. The template is learnt from the baseline's sweeps alone and never changes afterwards, so a response of
constant latency cannot be absorbed by it.

How it is learnt stands in `ionm.detectors.learning`. Matching (`Matcher`) is the same at the search window
and at every stretch of background:

1. whiten the trace, take the decays out by least squares;
2. at each lag l: v_l = <trace, template shifted by l> / |template|; a lag costs (l / `JITTER`)^2 / 2,
   at most `FARTHEST`: the early part of a lateral spread response comes at a constant latency;
3. statistic = v / sqrt((nu s^2 + |rest|^2) / (nu + n)), v the best of v_l, s the background's RMS,
   rest = what the template leaves of the n bins. That is Student's likelihood ratio with nu degrees of
   freedom: a burst beside the template makes the sweep less certain (Kelly EJ, IEEE Trans Aerosp
   Electron Syst 1986;22:115-27 has the same form for an unknown level of noise).

Sources: matched filters, whitening and autoregressions are general knowledge of detection theory (Kay,
Fundamentals of statistical signal processing II, 1998); the constants are our choice, tried on white noise,
dense EMG and sparse motor units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ionm.detectors.waveform import LANES, Course
from ionm.quality import in_order
from ionm.stream import Samples

ORDER = 16
"""Of the autoregression, in bins of a quarter of a phase: four phases of memory."""

JITTER = 0.15e-3
"""Standard deviation of the latency from sweep to sweep, in s: the early part is constant (Isu 1996), and
twice the jitter of single fibres in health (general knowledge) is allowed."""

FARTHEST = 3.0
"""Most that a lag costs, in units of the background's RMS: a response that moved for good is still found."""

LAGS = 1.0e-3
"""Largest lag, in s."""

NU = 15.0
"""How many degrees of freedom the background's level is known with: few, so that a burst counts."""

STEP = 3.2e-3
"""Distance between the stretches of background that are compared with the window, in s."""


class Grid(NamedTuple):
    """Where the bins of a trace lie.

    Parameters
    ----------
    bin
        Length of one, in s.
    zero
        The stimulus, in bins (fractional).
    n_bins
        Their number.
    fit, window
        Where tails are fitted; where a response may lie.
    tails
        Decays as the bins show them, shape (n_tails, n_bins).
    size
        Samples in a bin.
    columns
        The samples from the begin of ``fit`` to the end of ``window``.
    begin
        The first of them, in s after the stimulus, without the filters' delay.
    decays
        What tails are made of on them, shape (n_decays, n_columns).
    course
        Reads the shape of a response off them.
    """

    bin: float
    zero: float
    n_bins: int
    fit: slice
    window: slice
    tails: Samples
    size: int
    columns: slice
    begin: float
    decays: Samples
    course: Course

    @property
    def times(self) -> Samples:
        """The bins' centres after the stimulus, in s."""
        times: Samples = (np.arange(self.n_bins, dtype=np.float64) + 0.5 - self.zero) * self.bin
        return times

    @property
    def reach(self) -> slice:
        """What a template covers: from where tails are fitted to the end of the window."""
        return slice(self.fit.start, self.window.stop)


class Trace(NamedTuple):
    """One row of a sweep in bins, level and free of crosstalk, tails still in it.

    Parameters
    ----------
    grid
        Where its bins lie.
    values
        ``n_bins`` numbers of 8 bytes, in V.
    background
        First bin and end of what holds no response.
    data, row
        The sweep at its full rate, shape (n_rows, n_samples), in V, and the trace's row in it.
    level, copy, weights
        What is not the response's: see `ionm.detectors.swing.Reading`.
    """

    grid: Grid
    values: bytes
    background: tuple[int, int]
    data: Samples
    row: int
    level: float
    copy: tuple[int, float, float] | None
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A patient's response, ready to be searched for.

    Parameters
    ----------
    grid
        Of the traces.
    whitener
        Of the background: coefficients of the newest bin and those before it.
    nuisance
        Whitened decays and offset, orthonormal, shape (n_nuisance, n_reach).
    shapes
        The whitened response at each lag, without the nuisance, of length 1; shape (n_lags, n_reach).
    sizes
        Their lengths before: whitened V of a response of the baseline's size, shape (n_lags,).
    lags, costs
        In bins; what each costs, in units of the background's RMS.
    response
        The response itself, in V, shape (n_reach,).
    hits
        Which of the sweeps hold it.
    shifts
        Their lags, in bins.
    scale
        What `Match.gain` is divided by: the median gain of the sweeps, each by the template of the others.
        Noise in a template makes every response look smaller than the template.
    """

    grid: Grid
    whitener: Samples
    nuisance: Samples
    shapes: Samples
    sizes: Samples
    lags: list[int]
    costs: Samples
    response: Samples
    hits: tuple[bool, ...]
    shifts: tuple[float, ...]
    scale: float = 1.0


class Found(NamedTuple):
    """What one trace shows of a template.

    Parameters
    ----------
    noise
        RMS of the background that the search window is set against, whitened V.
    variance
        Of this trace's own background, whitened V^2; None where it has none.
    matches
        The statistic of each stretch of background, set against the others and the past.
    values
        v at each lag in the search window, whitened V.
    best
        Index of the lag with the best costed value.
    alike
        Share of the window's energy that the template explains there.
    statistic
        Of the search window.
    """

    noise: float
    variance: float | None
    matches: tuple[float, ...]
    values: tuple[float, ...]
    best: int
    alike: float
    statistic: float


class Matcher:
    """Searches traces for one template. The compiled form has the same bits; take it by ``fastest(Matcher)``.

    Parameters
    ----------
    whitener, nuisance, shapes, costs
        Of the template.
    start
        First bin of the reach.
    step
        Bins from one stretch of background to the next.
    """

    def __init__(  # noqa: PLR0917
        self, whitener: Samples, nuisance: Samples, shapes: Samples, costs: Samples, start: int, step: int
    ) -> None:
        self._whitener, self._nuisance, self._shapes, self._costs = whitener, nuisance, shapes, costs
        self._start, self._step = start, step

    def read(self, values: bytes, background: tuple[int, int], past: float) -> Found:
        """The numbers of one trace.

        Parameters
        ----------
        values, background
            Of the trace.
        past
            Variance of the background of earlier traces, whitened V^2.
        """
        trace = np.frombuffer(values)
        length = self._shapes.shape[1]
        first, stop = background
        begin = max(first, self._whitener.size - 1)
        starts = [self._start, *range(begin, stop - length + 1, self._step)]
        white = filtered(trace, self._whitener)
        pieces = without(np.array([white[start : start + length] for start in starts]), self._nuisance)
        energies = sums(pieces * pieces).tolist()
        matched = sums(pieces[:, None, :] * self._shapes)
        variance = in_order(energies[1:]) / (len(energies) - 1) / length if len(energies) > 1 else None
        noise = math.sqrt(past if variance is None else max(variance, past))
        matches = []
        for i in range(1, len(starts)):
            others = (in_order(energies[1:]) - energies[i]) / max(len(energies) - 2, 1) / length
            beside = math.sqrt(max(others, past))
            best, _ = self._best(matched[i], beside)
            matches.append(_statistic(best, energies[i], beside, length))
        best, at = self._best(matched[0], noise)
        return Found(
            noise,
            variance,
            tuple(matches),
            tuple(matched[0].tolist()),
            at,
            best * best / energies[0] if energies[0] > 0 else 0.0,
            _statistic(best, energies[0], noise, length),
        )

    def _best(self, values: Samples, noise: float) -> tuple[float, int]:
        """The best value after the lags' costs, and its index."""
        costed = values - self._costs * noise
        at = int(np.argmax(costed))
        return float(costed[at]), at


def _statistic(matched: float, energy: float, noise: float, length: int) -> float:
    """Student's likelihood ratio as a signed distance, in RMS of the background; 0 where there is none."""
    rest = max(energy - matched * matched, 0.0)
    level = (NU * noise * noise + rest) / (NU + length)
    return matched / math.sqrt(level) if level > 0 else 0.0


def sums(products: Samples) -> Samples:
    """Sums over the last axis in the order of `ionm.detectors.waveform.total`."""
    *shape, n = products.shape
    padded = np.zeros((*shape, -(-n // LANES) * LANES))
    padded[..., :n] = products
    lanes = np.cumsum(padded.reshape(*shape, -1, LANES), axis=-2)[..., -1, :]
    sums: Samples = np.cumsum(lanes, axis=-1)[..., -1]
    return sums


def without(pieces: Samples, nuisance: Samples) -> Samples:
    """What the nuisance cannot explain."""
    for direction in nuisance:
        pieces = pieces - sums(pieces * direction)[..., None] * direction
    return pieces


def filtered(trace: Samples, whitener: Samples) -> Samples:
    """Traces, in the last axis, through the whitener; what lies before their first bin is zero."""
    out: Samples = whitener[0] * trace
    for delay in range(1, whitener.size):
        out[..., delay:] += whitener[delay] * trace[..., : trace.shape[-1] - delay]
    return out


def parabola(values: Sequence[float], best: int) -> tuple[float, float]:
    """Position and height of a peak, through the largest value and its neighbours."""
    if not 0 < best < len(values) - 1:
        return float(best), values[best]
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    if bend >= 0:
        return float(best), middle
    by = min(max(0.5 * (left - right) / bend, -0.5), 0.5)
    return best + by, middle - 0.25 * (left - right) * by
