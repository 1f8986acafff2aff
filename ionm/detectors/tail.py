"""Take from a sweep what the stimulus leaves behind: artefact tail and volume-conducted M-wave.

Both are modelled on the stretch *before* the search window only and drawn on from there:
two exponential decays (an amplifier's recovery) and a copy of the M-control's own trace (volume
conduction has no delay). Everything is fitted on the one sweep; nothing is learnt from earlier
sweeps, so a response of constant latency cannot be absorbed and made to vanish.
"""

from __future__ import annotations

import numpy as np

from ionm.stream import Samples

MAX_CROSSTALK = 0.5
"""A larger share of the M-control is no crosstalk but the same signal; it is not taken away."""


class Tail:
    """The model for one layout of sweeps.

    Parameters
    ----------
    fit
        Columns on which the tails are fitted.
    times
        Time of every column after the stimulus, in s, shape (n_columns,).
    taus
        Time constants of the decays, in s. Tails of stimulus artefacts decay with 0.5 to 4 ms
        (facial.md 6.3); two constants span what lies between them.
    """

    def __init__(self, fit: slice, times: Samples, taus: tuple[float, ...]) -> None:
        self._fit = fit
        decays = np.exp(-np.maximum(times[fit], 0)[:, np.newaxis] / np.array(taus))
        basis, triangle = np.linalg.qr(decays)
        self._basis = basis
        self._inverse = np.linalg.inv(triangle)
        self._taus = np.array(taus)

    def decays(self, times: Samples) -> Samples:
        """The model's decays at other times after the stimulus, shape (n_decays, n_times).

        They are zero before the stimulus.
        """
        grown = np.exp(-np.maximum(times, 0)[:, np.newaxis] / self._taus) @ self._inverse
        grown[times < 0] = 0
        return np.ascontiguousarray(grown.T)

    def fit(self, traces: Samples, reference: Samples | None) -> tuple[Samples, Samples]:
        """Fit the tails of some traces.

        Parameters
        ----------
        traces
            Shape (n_rows, n_columns), in V.
        reference
            Trace of the M-control, shape (n_columns,); None where there is none to trust.

        Returns
        -------
        crosstalk : ndarray
            Share of the reference in each trace, shape (n_rows,).
        weights : ndarray
            Weights of `decays`, in V, shape (n_rows, n_decays).
        """
        stretch = traces[:, self._fit]
        crosstalk = np.zeros(len(traces))
        if reference is not None:
            m = reference[self._fit]
            own = m - self._basis @ (m @ self._basis)  # what the decays cannot explain
            energy = float(own @ own)
            if energy > 0:
                crosstalk = (stretch @ own) / energy
                crosstalk[np.abs(crosstalk) > MAX_CROSSTALK] = 0
                stretch = stretch - crosstalk[:, np.newaxis] * m
        return crosstalk, stretch @ self._basis
