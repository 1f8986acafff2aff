"""What an amplifier's recovery from the stimulus looks like: a sum of exponential decays.

The decays are fitted on the stretch *before* the search window of one sweep only and drawn on from
there (`ionm.detectors.swing`). Nothing is learnt from earlier sweeps, so a response of constant
latency cannot be absorbed and made to vanish.
"""

from __future__ import annotations

import numpy as np

from ionm.stream import Samples


class Tail:
    """A set of decays that is orthonormal on the times where it is fitted.

    Parameters
    ----------
    fit
        Times after the stimulus where tails are fitted, in s, shape (n_fit,).
    taus
        Time constants, in s. Tails of stimulus artefacts decay with 0.5 to 4 ms (facial.md 6.3); a
        few constants span what lies between them. Empty: no tail is modelled.
    """

    def __init__(self, fit: Samples, taus: tuple[float, ...]) -> None:
        self._taus = np.array(taus)
        _, triangle = np.linalg.qr(self._raw(fit))
        self._mix = np.linalg.inv(triangle)

    def decays(self, times: Samples) -> Samples:
        """The decays at some times after the stimulus (in s; zero before it), shape (n_decays, n_times)."""
        return np.ascontiguousarray((self._raw(times) @ self._mix).T)

    def _raw(self, times: Samples) -> Samples:
        after = times[:, np.newaxis] >= 0
        return np.where(after, np.exp(-np.maximum(times, 0)[:, np.newaxis] / self._taus), 0.0)
