"""Traces of sweeps made by hand: a response of known size and place in noise, tails of zero weight."""

import numpy as np

from ionm.detectors.tail import tails
from ionm.detectors.template import Grid, Trace
from ionm.detectors.waveform import Course

BIN = 0.2e-3  # s
N_BINS, ZERO = 750, 500  # -100 to 50 ms
FIT, WINDOW = slice(513, 535), slice(535, 625)  # 2.5 to 7 ms, 7 to 25 ms
DECAYS = np.zeros((3, 2 * (WINDOW.stop - FIT.start)))
GRID = Grid(
    BIN,
    ZERO,
    N_BINS,
    FIT,
    WINDOW,
    tails((np.arange(N_BINS) + 0.5 - ZERO) * BIN, (0.7e-3, 3e-3, 9e-3), 0.0, None),
    2,
    slice(2 * FIT.start, 2 * WINDOW.stop),
    FIT.start * BIN,
    DECAYS,
    Course(slice(0, DECAYS.shape[1]), 2 * (WINDOW.start - FIT.start), DECAYS.shape[1], 10, DECAYS),
)
SIGMA = 10e-6  # V


def response(at=11e-3, width=0.5e-3):
    """A derivative of a Gaussian, peak to peak 1, on all bins."""
    z = (GRID.times - at) / width
    return -z * np.exp(0.5 - 0.5 * z * z) / 2


def traces(rng, sizes, *, delays=None, colour=None, extra=0.0):
    """Sweeps with responses of these sizes (V) in noise."""
    out = []
    for i, size in enumerate(sizes):
        noise = rng.standard_normal(N_BINS + 60)
        if colour is not None:
            noise = np.convolve(noise, colour, "full")[: noise.size] / np.linalg.norm(colour)
        row = SIGMA * noise[60:] + extra
        row += size * response(11e-3 + (0.0 if delays is None else delays[i]))
        data = np.repeat(row, 2)[None]
        out.append(Trace(GRID, row.tobytes(), (10, 490), data, 0, 0.0, None, (0.0, 0.0, 0.0)))
    return out
