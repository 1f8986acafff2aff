"""How the patient's template is learnt from the baseline's sweeps.

From N sweeps of binned traces (`ionm.detectors.swing`), m their mean:

1. The background is modelled as an autoregression of order 16: its autocorrelation, plus a floor of
   white noise so that no frequency counts as silent (Levinson-Durbin).
2. m = decays + response + noise. The decays (an amplifier's tail, an offset) have free weights; the
   response is smooth (a Gaussian process, scale `SMOOTH`) and lies in the search window; the noise has
   the background's covariance over N. The response is read off as kriging with drift does.
3. Sweeps that hold it are brought to its latency and averaged anew, twice.

Sources: Levinson-Durbin, kriging and Gaussian processes are general knowledge (Rasmussen CE, Williams CKI,
Gaussian processes for machine learning, 2006, section 2.7); the constants are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ionm.compiled import fastest
from ionm.detectors.template import (
    FARTHEST,
    JITTER,
    LAGS,
    ORDER,
    Grid,
    Template,
    Trace,
    filtered,
    parabola,
    sums,
    without,
)
from ionm.stream import Samples

WHITE = 0.3
"""Share of the background's power that is taken for white. More makes the filter duller, less lets it
trust frequencies of which twenty sweeps know too little."""

SMOOTH = 0.4e-3
"""Scale of the response's shape, in s: about half a phase of 1 ms."""

LEAST_KNOWN = 0.5
"""Share of the sweeps that must have a background long enough for a template (our choice)."""

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
    length = grid.reach.stop - grid.reach.start
    sweeps = np.array([np.frombuffer(trace.values) for trace in traces])
    spans = [(i, slice(*t.background)) for i, t in enumerate(traces) if long_enough(t)]
    if len(spans) < LEAST_KNOWN * len(traces):
        return None
    correlation = _autocorrelation([sweeps[i, span] for i, span in spans], length)
    if correlation[0] <= 0:
        return None
    whitener = _levinson(correlation, ORDER)
    nuisance = _nuisance(grid, whitener)
    white = filtered(sweeps, whitener)
    level = float(np.sqrt(np.median([np.mean(white[i, span] ** 2) for i, span in spans])))
    pieces = without(white[:, grid.reach], nuisance)
    furthest = int(LAGS / grid.bin)
    lags = list(range(-furthest, furthest + 1))
    costs = np.minimum(0.5 * (np.array(lags) * grid.bin / JITTER) ** 2, FARTHEST)
    hits, shifts = [True] * len(sweeps), [0] * len(sweeps)
    for repeat in range(ROUNDS):
        held = [i for i, hit in enumerate(hits) if hit]
        rows = np.array([np.roll(sweeps[i], -shifts[i])[grid.reach] for i in held])
        parts = _responses(rows, correlation, grid)  # by linearity, of each sweep
        response = np.cumsum(parts, axis=0)[-1]
        shapes = without(filtered(_shifted(response, lags), whitener), nuisance)
        sizes = np.sqrt(sums(shapes * shapes))
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
        matched = sums(pieces[:, None, :] * shapes) / level
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
    shapes = without(filtered(_shifted(response, near), whitener), nuisance)
    values: list[float] = (sums(shapes * piece) / sums(shapes * shapes)).tolist()
    at, gain = parabola(values, 1)
    return at - 1, gain


SCALE = 0.5, 1.1
"""Between these the scale is believed: a template of which responses show less than half is noise."""


def _shifted(response: Samples, lags: Sequence[int]) -> Samples:
    """The response so many bins later, shape (n_lags, n_reach)."""
    out = np.zeros((len(lags), response.size))
    for row, lag in zip(out, lags, strict=True):
        row[max(lag, 0) : row.size + min(lag, 0)] = response[max(-lag, 0) : row.size - max(lag, 0)]
    return out


def long_enough(trace: Trace) -> bool:
    """Whether a trace's background holds a stretch as long as a template reaches."""
    first, stop = trace.background
    needed: int = trace.grid.window.stop - trace.grid.fit.start + ORDER
    return stop - first >= needed


def _autocorrelation(backgrounds: Sequence[Samples], length: int) -> Samples:
    """Of the background's bins, shape (length,), mean of all sweeps."""
    found = []
    for background in backgrounds:
        level = background - background.mean()
        size = 2 * level.size + length  # so that nothing comes round
        found.append(np.fft.irfft(np.abs(np.fft.rfft(level, size)) ** 2, size)[:length] / level.size)
    mean: Samples = np.mean(found, axis=0)
    return mean


def _levinson(correlation: Samples, order: int) -> Samples:
    """Coefficients that whiten noise of this autocorrelation (Levinson-Durbin), with a white floor."""
    r = correlation[: order + 1].copy()
    r[0] /= 1 - WHITE
    a, error = np.zeros(order + 1), r[0]
    a[0] = 1.0
    for k in range(1, order + 1):
        reflection = -float(sums(a[:k] * r[k:0:-1])) / error
        a[: k + 1] = a[: k + 1] + reflection * a[: k + 1][::-1]
        error *= 1 - reflection**2
    return a


def _nuisance(grid: Grid, whitener: Samples) -> Samples:
    """What is not the response's in the reach: whitened decays and an offset, orthonormal."""
    columns = [filtered(decay, whitener)[grid.reach] for decay in grid.tails]
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
    n, lead = grid.reach.stop - grid.reach.start, grid.window.start - grid.fit.start
    mean = np.cumsum(rows, axis=0)[-1] / len(rows)
    noise = correlation / len(rows)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    ramp = max(1, round(SMOOTH / grid.bin))
    taper = np.clip((np.arange(n) - lead + ramp) / ramp, 0, 1)
    drift = np.vstack([grid.tails[:, grid.reach], np.ones(n)])
    rest = mean - mean.mean()
    if lead > len(drift):
        rest = mean - np.linalg.lstsq(drift[:, :lead].T, mean[:lead], rcond=1e-3)[0] @ drift
    power = max(float(np.mean(rest[lead:] ** 2)) - float(noise[0]), 0.1 * float(noise[0]))
    smooth = power * np.outer(taper, taper) * np.exp(-0.5 * (apart * grid.bin / SMOOTH) ** 2)
    covariance = smooth + noise[apart]
    covariance[np.diag_indices(n)] += 1e-6 * noise[0]
    solved = _solved(covariance, np.vstack([drift, rows / len(rows)]).T).T
    drifted, inverse = solved[: len(drift)], solved[len(drift) :]
    normal = sums(drift[:, None, :] * drifted)
    weights = _solved(normal, sums(drift[:, None, :] * inverse)).T
    free = inverse - sums(weights[:, None, :] * drifted.T)
    found: Samples = np.einsum("ij,kj->ik", free, smooth)  # without BLAS
    return found


def _solved(matrix: Samples, columns: Samples) -> Samples:
    """The solutions of a positive definite system, by elimination in a fixed order.

    LAPACK's would depend on how many threads its library has, in the last bits (the few columns of
    `_nuisance` are too small for that).
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
