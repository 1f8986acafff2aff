"""The numbers of the LSR's test, from samples alone: no memory, no decision.

One sweep's rows are brought to bins, freed from offset, artefact tail and crosstalk, and brought
to the band of a response; then the swings of the search window and of the background's stretches
are read off (`ionm.detectors.lsr` says what they mean).

Every sum runs in a fixed order, so that the compiled form of `Swings` gives the same bits; take it
by ``fastest(Swings)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ionm.detectors.waveform import total, turn
from ionm.stream import Samples

MAX_CROSSTALK = 0.5
"""A larger share of the M-control is no crosstalk but the same signal; it is not taken away."""


class Geometry(NamedTuple):
    """Where everything lies, in bins of ``bin`` samples from sample ``offset`` on.

    Parameters
    ----------
    rows
        The rows that are judged.
    bin, offset, n_bins
        Samples a bin, first sample, number of bins.
    half
        Half a phase.
    window, fit
        The search window, at least one bin and not the first; the stretch on which tails are fitted.
    basis
        Orthonormal decays on ``fit``, shape (n_decays, n_fit).
    decays
        The same decays on all bins (zero before the stimulus), shape (n_decays, n_bins).
    least
        RMS, in V, that the M-control must have on ``fit`` beside the decays before a copy of it is looked
        for. Of a smaller one no copy matters, and its share would be that of noise to noise.
    """

    rows: tuple[int, ...]
    bin: int
    offset: int
    n_bins: int
    half: int
    window: slice
    fit: slice
    basis: Samples
    decays: Samples
    least: float


class Reading(NamedTuple):
    """What one sweep shows in one judged row.

    Parameters
    ----------
    level
        The row's offset, in V.
    copy
        What was taken away of the M-control: its row, its share, its offset in V; None if nothing.
    weights
        Of the decays, in V.
    window
        Swing of the most prominent turn (`ionm.detectors.waveform.turn`) in the search window, in the
        band, in V.
    swings, energies, ranges
        Of each stretch of background: the same swing (V), mean square in the band (V^2),
        peak to peak of the cleaned trace (V).
    trace
        The row in bins, level and without the copy of the M-control, tails still in it: 8 bytes each, in V.
    """

    level: float
    copy: tuple[int, float, float] | None
    weights: tuple[float, ...]
    window: float
    swings: tuple[float, ...]
    energies: tuple[float, ...]
    ranges: tuple[float, ...]
    trace: bytes


class Swings:
    """Reads the sweeps of one geometry.

    Parameters
    ----------
    geometry
        Where everything lies.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry

    def read(
        self, data: Samples, background: tuple[int, int, int], reference: int | None
    ) -> tuple[Reading, ...]:
        """Read one sweep, every judged row by itself.

        Parameters
        ----------
        data
            Shape (n_rows, n_samples), in V.
        background
            First bin, bins of one stretch, number of stretches; zero stretches for a sweep without
            background, which is then levelled by the bin before the window.
        reference
            Row of the M-control if it may be used in this sweep, or None.
        """
        g = self._geometry
        first, width, count = background
        quiet = slice(first, first + width * count) if count else slice(g.window.start - 1, g.window.start)
        stretches = [slice(first + i * width, first + (i + 1) * width) for i in range(count)]
        control = None
        if reference is not None:
            m, m_level = _levelled(_binned(data[reference], g), quiet)
            own = m[g.fit]
            for decay in g.basis:  # what the decays cannot explain
                own = own - total(m[g.fit] * decay) * decay
            energy = total(own * own)
            control = (m, own, energy, m_level) if energy > own.size * (g.least * g.least) else None
        found = []
        for row in g.rows:
            trace, level = _levelled(_binned(data[row], g), quiet)
            copy = None
            if control is not None and reference is not None:
                m, own, energy, m_level = control
                share = total(trace[g.fit] * own) / energy
                if 0 < abs(share) <= MAX_CROSSTALK:
                    trace = trace - share * m
                    copy = reference, share, m_level
            before = trace.tobytes()
            weights = tuple(total(trace[g.fit] * decay) for decay in g.basis)
            for weight, decay in zip(weights, g.decays, strict=True):
                trace = trace - weight * decay
            band = _band(trace, g.half)
            found.append(
                Reading(
                    level,
                    copy,
                    weights,
                    turn(band[g.window]).swing,
                    tuple(turn(band[stretch]).swing for stretch in stretches),
                    tuple(total(band[stretch] * band[stretch]) / width for stretch in stretches),
                    tuple(float(trace[stretch].max() - trace[stretch].min()) for stretch in stretches),
                    before,
                )
            )
        return tuple(found)


def _binned(row: Samples, g: Geometry) -> Samples:
    """Means of ``bin`` samples each."""
    used = row[g.offset : g.offset + g.n_bins * g.bin]
    sums = used[:: g.bin].copy()
    for k in range(1, g.bin):
        sums += used[k :: g.bin]
    sums *= 1 / g.bin
    return sums


def _levelled(trace: Samples, quiet: slice) -> tuple[Samples, float]:
    """The trace without its offset, and the offset."""
    level = total(trace[quiet]) / (quiet.stop - quiet.start)
    return trace - level, level


def _band(trace: Samples, half: int) -> Samples:
    """Mean over one phase minus mean over five, centred; the edges are zero."""
    phase = 2 * half
    n = trace.size - 5 * phase + 1
    band = np.zeros_like(trace)
    if n > 0:
        sums = trace[: n + 4 * phase].copy()  # of one phase from each bin on
        for k in range(1, phase):
            sums += trace[k : k + n + 4 * phase]
        near = sums[2 * phase : 2 * phase + n]
        wide = sums[:n] + sums[phase : phase + n] + near + sums[3 * phase : 3 * phase + n] + sums[4 * phase :]
        band[5 * half : 5 * half + n] = near * (1 / phase) - wide * (1 / (5 * phase))
    return band
