"""The numbers of the LSR's test, from samples alone: no memory, no decision.

One sweep's rows are brought to bins, freed from offset, artefact tail and crosstalk, and brought
to the band of a response; then the swings of the search window and of the background's stretches
are read off (`ionm.detectors.lsr` says what they mean).

Every sum runs in a fixed order, so that the compiled form of this file gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.stream import Samples

MAX_CROSSTALK = 0.5
"""A larger share of the M-control is no crosstalk but the same signal; it is not taken away."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where everything lies, in bins of ``bin`` samples from sample ``offset`` on.

    Parameters
    ----------
    rows, reference
        The rows that are judged; the row of the M-control or None.
    bin, offset, n_bins
        Samples a bin, first sample, number of bins.
    half
        Half a phase.
    window, fit
        The search window; the stretch on which tails are fitted.
    basis
        Orthonormal decays on ``fit``, shape (n_decays, n_fit).
    decays
        The same decays on all bins (zero before the stimulus), shape (n_decays, n_bins).
    """

    rows: tuple[int, ...]
    reference: int | None
    bin: int
    offset: int
    n_bins: int
    half: int
    window: slice
    fit: slice
    basis: Samples
    decays: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Swings:
    """What one sweep shows, per judged row.

    Parameters
    ----------
    level
        Offset of *every* row of the sweep, in V.
    crosstalk, weights
        Share of the M-control, shape (n_rows,); weights of the decays in V, (n_rows, n_decays).
    window
        Prominence in the search window, in the band, in V.
    prominences, energies, ranges
        Of each stretch of background, shape (n_rows, n_stretches): prominence in the band (V),
        mean square in the band (V^2), peak to peak of the cleaned trace (V).
    """

    level: Samples
    crosstalk: Samples
    weights: Samples
    window: Samples
    prominences: Samples
    energies: Samples
    ranges: Samples


def swings(data: Samples, geometry: Geometry, background: tuple[int, int, int], *, crosstalk: bool) -> Swings:
    """Read one sweep.

    Parameters
    ----------
    data
        Shape (n_rows, n_samples), in V.
    geometry
        Where everything lies.
    background
        First bin, bins of one stretch, number of stretches; zero stretches for a sweep without
        background, which is then levelled by the bin before the window.
    crosstalk
        Whether the M-control of this sweep may be used.
    """
    g = geometry
    first, width, count = background
    bins = _binned(data, g)
    if count:
        level = _sum(bins[:, first : first + width * count]) / (width * count)
    else:
        level = bins[:, g.window.start - 1].copy()
    bins -= level[:, np.newaxis]
    traces = bins[list(g.rows)]
    shares = np.zeros(len(g.rows))
    stretch = traces[:, g.fit]
    if crosstalk and g.reference is not None:
        m = bins[g.reference]
        own = m[g.fit].copy()
        for decay in g.basis:  # what the decays cannot explain
            own -= _sum(m[g.fit] * decay) * decay
        energy = _sum(own * own)
        if energy > 0:
            shares = _sum(stretch * own) / energy
            shares[np.abs(shares) > MAX_CROSSTALK] = 0
            traces -= shares[:, np.newaxis] * m
            stretch = traces[:, g.fit]
    weights = np.stack([_sum(stretch * decay) for decay in g.basis], axis=1) if len(g.basis) else np.zeros((len(g.rows), 0))
    for j, decay in enumerate(g.decays):
        traces -= weights[:, j, np.newaxis] * decay
    band = _band(traces, g.half)
    stretches = np.arange(first, first + width * count).reshape(count, width)
    quiet = band[:, stretches]
    wide = traces[:, stretches]
    return Swings(
        level,
        shares,
        weights,
        prominence(band[:, g.window]),
        prominence(quiet),
        _sum(quiet * quiet) / max(width, 1),
        (wide.max(axis=2) - wide.min(axis=2)) if count else np.zeros((len(g.rows), 0)),
    )


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


def _sum(values: Samples) -> Samples:
    """Sum over the last axis from left to right (``np.sum`` adds in pairs, in an order of its own)."""
    total: Samples = np.cumsum(values, axis=-1)[..., -1]
    return total


def _binned(data: Samples, g: Geometry) -> Samples:
    used = data[:, g.offset : g.offset + g.n_bins * g.bin]
    total: Samples = used[:, :: g.bin].copy()
    for k in range(1, g.bin):
        total += used[:, k :: g.bin]
    total /= g.bin
    return total


def _band(traces: Samples, half: int) -> Samples:
    """Mean over one phase minus mean over three, centred; the edges are zero."""
    near, far = half, 3 * half
    sums = np.zeros((traces.shape[0], traces.shape[1] + 1))
    np.cumsum(traces, axis=1, out=sums[:, 1:])
    n = traces.shape[1] - 2 * far + 1
    band = np.zeros_like(traces)
    inner = (sums[:, far + near : far + near + n] - sums[:, far - near : far - near + n]) / (2 * near)
    band[:, far : far + n] = inner - (sums[:, 2 * far : 2 * far + n] - sums[:, :n]) / (2 * far)
    return band
