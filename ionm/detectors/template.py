"""The patient's own response, and how much of it is in a sweep.

Once a baseline shows what this patient's response looks like, a sweep is searched for exactly that. A
matched filter sees a response of 4 times the background's RMS where the eye and an amplitude rule need
10. The template is learnt from the baseline's sweeps alone and never changes afterwards, so a response of
constant latency cannot be absorbed by it.

Learning (`learn`), from N sweeps of binned traces (`ionm.detectors.swing`), m their mean:

1. The background is modelled as an autoregression of order 16: its autocorrelation, plus a floor of
   white noise so that no frequency counts as silent (Levinson-Durbin).
2. m = decays + response + noise. The decays (an amplifier's tail, an offset) have free weights; the
   response is smooth (a Gaussian process, scale `SMOOTH`) and lies in the search window; the noise has
   the background's covariance over N. The response is read off as kriging with drift does.
3. Sweeps that hold it are brought to its latency and averaged anew, twice.

Matching (`Matcher`), the same at the search window and at every stretch of background:

4. whiten the trace, take the decays out by least squares;
5. at each lag l: v_l = <trace, template shifted by l> / |template|; a lag costs (l / `JITTER`)^2 / 2,
   at most `FARTHEST`: the early part of a lateral spread response comes at a constant latency;
6. statistic = v / sqrt((nu s^2 + |rest|^2) / (nu + n)), v the best of v_l, s the background's RMS,
   rest = what the template leaves of the n bins. That is Student's likelihood ratio with nu degrees of
   freedom: a burst beside the template makes the sweep less certain (Kelly EJ, IEEE Trans Aerosp
   Electron Syst 1986;22:115-27 has the same form for an unknown level of noise).

Sources: matched filters and whitening are general knowledge of detection theory (Kay, Fundamentals of
statistical signal processing II, 1998); the constants are our choice, tried on white noise, dense EMG and
sparse motor units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ionm.compiled import fastest
from ionm.detectors.waveform import LANES, Course
from ionm.quality import in_order
from ionm.stream import Samples

ORDER = 16
"""Of the autoregression, in bins of a quarter of a phase: four phases of memory."""

WHITE = 0.3
"""Share of the background's power that is taken for white. More makes the filter duller, less lets it
trust frequencies of which twenty sweeps know too little."""

SMOOTH = 0.4e-3
"""Scale of the response's shape, in s: about half a phase of 1 ms."""

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
    taus
        Time constants of tails, in s.
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
    taus: tuple[float, ...]
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


ROUNDS = 3
"""How often sweeps are brought to a common latency and averaged anew."""

CLEAR = 3.0
"""Background's RMS beyond which a sweep's own latency is trusted (general knowledge: three sigma)."""

HELD = 1.5, 0.35
"""A sweep holds the response if its match is above so many RMS and above this share of the upper quartile."""


def learn(traces: Sequence[Trace]) -> Template | None:
    """The template of some sweeps of one derivation; None if their background is too short to know it.

    Whether it is a response at all is another question (`ionm.baseline.certify`).
    """
    grid = traces[0].grid
    sweeps = np.array([np.frombuffer(trace.values) for trace in traces])
    spans = [slice(*trace.background) for trace in traces]
    correlation = _autocorrelation(
        [sweep[span] for sweep, span in zip(sweeps, spans, strict=True)], grid.reach.stop - grid.reach.start
    )
    if correlation is None:
        return None
    whitener = _levinson(correlation, ORDER)
    nuisance = _nuisance(grid, whitener)
    white = _filtered(sweeps, whitener)
    level = float(
        np.sqrt(np.median([np.mean(row[span] ** 2) for row, span in zip(white, spans, strict=True)]))
    )
    pieces = _without(white[:, grid.reach], nuisance)
    furthest = int(LAGS / grid.bin)
    lags = list(range(-furthest, furthest + 1))
    costs = np.minimum(0.5 * (np.array(lags) * grid.bin / JITTER) ** 2, FARTHEST)
    hits, shifts = [True] * len(sweeps), [0] * len(sweeps)
    for repeat in range(ROUNDS):
        held = [i for i, hit in enumerate(hits) if hit]
        rows = np.array([np.roll(sweeps[i], -shifts[i])[grid.reach] for i in held])
        parts = _responses(rows, correlation, grid)  # by linearity, of each sweep
        response = np.cumsum(parts, axis=0)[-1]
        shapes = _without(_filtered(_shifted(response, lags), whitener), nuisance)
        sizes = np.sqrt(_sums(shapes * shapes))
        if not sizes.all() or level == 0:
            break
        shapes /= sizes[:, None]
        if repeat == ROUNDS - 1:
            others = (response - parts) * (len(held) / (len(held) - 1))
            gains = [
                _gain(pieces[i], other, shifts[i], whitener, nuisance)
                for i, other in zip(held, others, strict=True)
            ]
            exact = [0.0] * len(sweeps)
            for i, (by, _) in zip(held, gains, strict=True):
                exact[i] = shifts[i] + by
            return Template(
                grid,
                whitener,
                nuisance,
                shapes,
                sizes,
                lags,
                costs,
                response,
                tuple(hits),
                tuple(exact),
                float(np.clip(np.median([gain for _, gain in gains]), *SCALE)),
            )
        matched = _sums(pieces[:, None, :] * shapes) / level
        best = np.argmax(matched - costs, axis=1)
        size = matched[np.arange(len(best)), best]
        found = size > max(HELD[0], HELD[1] * float(np.quantile(size, 0.75)))
        hits = found.tolist() if found.sum() > 1 else [True] * len(sweeps)
        shifts = np.where(size > CLEAR, np.array(lags)[best], 0).tolist()
    return None


def _gain(
    piece: Samples, response: Samples, shift: int, whitener: Samples, nuisance: Samples
) -> tuple[float, float]:
    """How much later than a lag a response is in a whitened piece, in bins, and how much of it."""
    near = [shift - 1, shift, shift + 1]
    shapes = _without(_filtered(_shifted(response, near), whitener), nuisance)
    values: list[float] = (_sums(shapes * piece) / _sums(shapes * shapes)).tolist()
    at, gain = parabola(values, 1)
    return at - 1, gain


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


SCALE = 0.5, 1.1
"""Between these the scale is believed: a template of which responses show less than half is noise."""


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
        white = _filtered(trace, self._whitener)
        pieces = _without(np.array([white[start : start + length] for start in starts]), self._nuisance)
        energies = _sums(pieces * pieces).tolist()
        matched = _sums(pieces[:, None, :] * self._shapes)
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


def _sums(products: Samples) -> Samples:
    """Sums over the last axis in the order of `ionm.detectors.waveform.total`."""
    *shape, n = products.shape
    padded = np.zeros((*shape, -(-n // LANES) * LANES))
    padded[..., :n] = products
    lanes = np.cumsum(padded.reshape(*shape, -1, LANES), axis=-2)[..., -1, :]
    sums: Samples = np.cumsum(lanes, axis=-1)[..., -1]
    return sums


def _without(pieces: Samples, nuisance: Samples) -> Samples:
    """What the nuisance cannot explain."""
    for direction in nuisance:
        pieces = pieces - _sums(pieces * direction)[..., None] * direction
    return pieces


def _filtered(trace: Samples, whitener: Samples) -> Samples:
    """Traces, in the last axis, through the whitener; what lies before their first bin is zero."""
    out: Samples = whitener[0] * trace
    for delay in range(1, whitener.size):
        out[..., delay:] += whitener[delay] * trace[..., : trace.shape[-1] - delay]
    return out


def _shifted(response: Samples, lags: Sequence[int]) -> Samples:
    """The response so many bins later, shape (n_lags, n_reach)."""
    out = np.zeros((len(lags), response.size))
    for row, lag in zip(out, lags, strict=True):
        row[max(lag, 0) : row.size + min(lag, 0)] = response[max(-lag, 0) : row.size - max(lag, 0)]
    return out


def _autocorrelation(backgrounds: Sequence[Samples], length: int) -> Samples | None:
    """Of the background's bins, shape (length,), mean of all sweeps; None if none is long enough."""
    found = []
    for background in backgrounds:
        if background.size > 4 * ORDER:
            level = background - background.mean()
            power = np.abs(np.fft.rfft(level, 2 * level.size + length)) ** 2
            found.append(np.fft.irfft(power)[:length] / level.size)
    if not found:
        return None
    mean: Samples = np.mean(found, axis=0)
    return mean if mean[0] > 0 else None


def _levinson(correlation: Samples, order: int) -> Samples:
    """Coefficients that whiten noise of this autocorrelation (Levinson-Durbin), with a white floor."""
    r = correlation[: order + 1].copy()
    r[0] /= 1 - WHITE
    a, error = np.zeros(order + 1), r[0]
    a[0] = 1.0
    for k in range(1, order + 1):
        reflection = -float(_sums(a[:k] * r[k:0:-1])) / error
        a[: k + 1] = a[: k + 1] + reflection * a[: k + 1][::-1]
        error *= 1 - reflection**2
    return a


def _nuisance(grid: Grid, whitener: Samples) -> Samples:
    """What is not the response's in the reach: whitened decays and an offset, orthonormal."""
    times = grid.times
    decays = [np.where(times > 0, np.exp(-np.maximum(times, 0) / tau), 0.0) for tau in grid.taus]
    columns = [_filtered(decay, whitener)[grid.reach] for decay in decays]
    columns.append(np.ones(grid.reach.stop - grid.reach.start))
    basis, _ = np.linalg.qr(np.array(columns).T)
    return np.ascontiguousarray(basis.T)


def _responses(rows: Samples, correlation: Samples, grid: Grid) -> Samples:
    """What each row adds to the response in their mean: kriging with the decays as drift.

    Parameters
    ----------
    rows
        Shape (n_rows, n_reach), in V.
    correlation
        Of the noise of one row.
    """
    times = grid.times[grid.reach]
    n, lead = times.size, grid.window.start - grid.fit.start
    mean = np.cumsum(rows, axis=0)[-1] / len(rows)
    noise = correlation / len(rows)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    ramp = max(1, round(SMOOTH / grid.bin))
    taper = np.clip((np.arange(n) - lead + ramp) / ramp, 0, 1)
    drift = np.array([*(np.exp(-times / tau) for tau in grid.taus), np.ones(n)])
    rest = mean - mean.mean()
    if lead > len(drift):
        rest = mean - np.linalg.lstsq(drift[:, :lead].T, mean[:lead], rcond=1e-3)[0] @ drift
    power = max(float(np.mean(rest[lead:] ** 2)) - float(noise[0]), 0.1 * float(noise[0]))
    smooth = power * np.outer(taper, taper) * np.exp(-0.5 * (apart * grid.bin / SMOOTH) ** 2)
    covariance = smooth + noise[apart]
    covariance[np.diag_indices(n)] += 1e-6 * noise[0]
    solved = _solved(covariance, np.vstack([drift, rows / len(rows)]).T).T
    drifted, inverse = solved[: len(drift)], solved[len(drift) :]
    normal = _sums(drift[:, None, :] * drifted)
    weights = _solved(normal, _sums(drift[:, None, :] * inverse)).T
    free = inverse - _sums(weights[:, None, :] * drifted.T)
    found: Samples = np.einsum("ij,kj->ik", free, smooth)  # without BLAS
    return found


def _solved(matrix: Samples, columns: Samples) -> Samples:
    """The solutions of a positive definite system, by elimination in a fixed order.

    LAPACK's would depend on how many threads its library has, in the last bits.
    """
    work = np.hstack([matrix, columns])
    fastest(eliminate)(work)
    return work[:, len(matrix) :]


def eliminate(work: Samples) -> None:
    """Solve a positive definite system in place: shape (n, n + n_columns), the matrix first.

    The compiled form gives the same bits; take it by ``fastest(eliminate)``.
    """
    n = len(work)
    for k in range(n):
        work[k + 1 :, k + 1 :] -= (work[k + 1 :, k] / work[k, k])[:, None] * work[k, k + 1 :]
    for k in reversed(range(n)):
        work[k, n:] /= work[k, k]
        work[:k, n:] -= work[:k, k, None] * work[k, n:]
