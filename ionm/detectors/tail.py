"""What an amplifier's recovery from the stimulus looks like: a sum of exponential decays.

The mask hides their begin, and the filters behind it answer to what they then see: a step to each decay, and
the decay. So the decays are taken as they leave the filters, not as they come from the amplifier.

They are fitted on the stretch *before* the search window of one sweep only and drawn on from
there (`ionm.detectors.swing`). Nothing is learnt from earlier sweeps, so a response of constant
latency cannot be absorbed and made to vanish.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ionm.stream import Samples


def tails(
    times: Samples, taus: tuple[float, ...], begin: float, seen: Callable[[Samples], Samples] | None
) -> Samples:
    """The decays as a sweep shows them, shape (n_taus, n_samples); zero before the mask's end.

    Parameters
    ----------
    times
        Of the sweep's samples after the stimulus, in s.
    taus
        Time constants, in s. Tails of stimulus artefacts decay with 0.5 to 4 ms (facial.md 6.3); a
        few constants span what lies between them. Empty: no tail is modelled.
    begin
        Where the mask of the artefact ends, in s.
    seen
        What the filters behind it make of a trace.
    """
    decays = [np.where(times >= begin, np.exp(-np.maximum(times, 0) / tau), 0.0) for tau in taus]
    if seen is not None:
        decays = [seen(decay) for decay in decays]
    return np.array(decays).reshape(len(taus), times.size)


def orthonormal(decays: Samples, fit: slice) -> Samples:
    """The mixture of these decays, shape (n_decays, n_bins), that is orthonormal on ``fit``: times them."""
    _, triangle = np.linalg.qr(decays[:, fit].T)
    mix: Samples = np.linalg.inv(triangle).T
    return mix
