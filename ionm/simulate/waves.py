"""Volleys: the muscle action potentials every simulated response is a sum of.

A muscle fibre's intracellular potential is ``z**3 * exp(-z)`` along the fibre (Rosenfalck 1969),
``z`` being the time since onset in units of a width. Fibres that fire with a gamma-distributed
dispersion raise the exponent and keep the form ``z**n * exp(-z)``. Outside the fibre an electrode
over the end plate sees its first derivative, one further away the second; the slow repolarisation
that is left is the potential itself. So a volley has an *order*:

0. slow and positive;
1. a synchronous volley over the end plates, recorded between two needles: negative, then positive.
   The second needle sees the same potential half as large and 2.5 widths later, which makes the
   positive phase 0.85 of the negative one, with a faint third (0.65 to 0.95 in the open bipolar
   M-waves of man and rodent that this was compared with);
2. a single motor unit away from its end plates: positive, negative, positive.

All are exact functions of continuous time that vanish before the onset: a latency may lie between
two samples at any rate.

References
----------
Rosenfalck P. Intra- and extracellular potential fields of active nerve and muscle fibres.
Acta Physiol Scand Suppl 1969;321:1-168. The derivatives and the dispersion are general knowledge
of volume-conductor theory. Open M-waves: the packages RecruitmentCurveFitting 1.2.8 (human) and
MonStim-Plotter (rodent).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.stream import Samples

SUPPORT = 30.0
"""Widths after the onset beyond which every volley is below 1e-5 of its size."""

_EXPONENT = (3, 3, 7)  # per order: single-fibre form; 7 for units away from the end plate (dispersed)
_SIGN = (1.0, -1.0, 1.0)  # order 1 is negative first, the slow after-potential positive
_SECOND, _LATER = 0.5, 2.5  # of order 1 at the second needle: relative size; delay, in widths


def _plain(z: Samples, order: int) -> Samples:
    """The ``order``-th derivative of ``z**n * exp(-z)``, with its sign."""
    n = _EXPONENT[order]
    late = np.exp(-z) * _SIGN[order]
    if order == 0:
        return z**n * late
    if order == 1:
        return z ** (n - 1) * (n - z) * late
    return z ** (n - 2) * (z * z - 2 * n * z + n * (n - 1)) * late


def _between_needles(z: Samples, order: int) -> Samples:
    """What the needle pair records, not yet scaled; ``z`` in widths, from 0 on."""
    near = _plain(z, order)
    if order != 1:
        return near
    return near - _SECOND * np.where(z > _LATER, _plain(np.maximum(z - _LATER, 0.0), order), 0.0)


_SPAN = tuple(float(np.ptp(_between_needles(np.arange(0.0, SUPPORT, 1e-3), order))) for order in range(3))


def shape(z: Samples, order: int) -> Samples:
    """One volley of peak-to-peak size 1.

    Parameters
    ----------
    z
        Time since the onset, in widths; any shape.
    order
        0, 1 or 2.
    """
    inside = (z > 0) & (z < SUPPORT)
    return np.where(inside, _between_needles(np.where(inside, z, 1.0), order), 0.0) / _SPAN[order]


@dataclass(frozen=True, slots=True, eq=False)
class Volleys:
    """Many responses, each a sum of the same number of volleys.

    Parameters
    ----------
    onset
        Shape (n_responses, n_volleys), in s.
    size
        Same shape: peak-to-peak, in V; 0 where a volley is left out, negative where turned over.
    width
        Same shape, in s.
    order
        Shape (n_volleys,): 0, 1 or 2.
    """

    onset: Samples
    size: Samples
    width: Samples
    order: tuple[int, ...]

    def delayed(self, by: Samples) -> Volleys:
        """The same responses, each later by its own time in s; shape (n_responses,)."""
        return Volleys(self.onset + by[:, None], self.size, self.width, self.order)

    def at(self, times: Samples) -> Samples:
        """The waveforms, in V, shape (n_responses, n_times); ``times`` in s."""
        out = np.zeros((len(self.onset), len(times)))
        for k, order in enumerate(self.order):
            rows = np.flatnonzero(self.size[:, k])
            z = (times[None, :] - self.onset[rows, k, None]) / self.width[rows, k, None]
            out[rows] += self.size[rows, k, None] * shape(z, order)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Train:
    """Every volley of one muscle in a case, in order of onset, ready to be sampled block by block.

    Parameters
    ----------
    onset, size, width
        Shape (n_volleys,), in s, V peak-to-peak and s; not empty.
    order
        0, 1 or 2 for all.
    """

    onset: Samples
    size: Samples
    width: Samples
    order: int

    def add_to(self, out: Samples, fs: float, start: int) -> None:
        """Add the samples from index ``start`` on to ``out``, shape (n_samples,), in V; ``fs`` in Hz."""
        longest = SUPPORT * float(self.width.max())
        first, last = np.searchsorted(self.onset, (start / fs - longest, (start + len(out)) / fs))
        onset, size, width = self.onset[first:last], self.size[first:last], self.width[first:last]
        if not len(onset):
            return
        index = np.ceil(onset * fs).astype(np.int64)[:, None] + np.arange(int(longest * fs) + 1)
        values = size[:, None] * shape((index / fs - onset[:, None]) / width[:, None], self.order)
        index -= start
        inside = (index >= 0) & (index < len(out))
        np.add.at(out, index[inside], values[inside])


def trains(responses: list[Volleys]) -> list[Train]:
    """The volleys of many responses sorted by time, one train per order; empty ones left out."""
    found = []
    for order in range(3):
        parts = [
            (volleys.onset[:, k], volleys.size[:, k], volleys.width[:, k])
            for volleys in responses
            for k in range(len(volleys.order))
            if volleys.order[k] == order
        ]
        if not parts:
            continue
        onset, size, width = (np.concatenate([part[i] for part in parts]) for i in range(3))
        sequence = np.argsort(onset, kind="stable")
        sequence = sequence[size[sequence] != 0]
        if len(sequence):
            found.append(Train(onset[sequence], size[sequence], width[sequence], order))
    return found
