"""Brainstem averages as a zero-phase filter leaves them, and noise of several colours."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.signal

from ionm.simulate.auditory import Baep

FS = 20_000.0
ZERO, LENGTH = 40, 440
SOS = scipy.signal.butter(2, (100, 3000), "bandpass", fs=FS, output="sos")
TIMES = np.arange(-2000, 4000) / FS
BAEP = Baep(tube=0.0)
TRUE = {"I": 1.65e-3, "III": 3.80e-3, "V": 5.65e-3}  # s, of the filtered peaks
SIZE = 0.54 / 0.51
"""Brings wave V, 100-3000 Hz forwards and backwards, to 0.54 uV from peak to trough (hearing.md 5.3)."""


def average(**state):
    """A noise-free average, V; states as shift in s and gain."""
    trace = scipy.signal.sosfiltfilt(SOS, BAEP.at(TIMES, state))
    return SIZE * trace[2000 - ZERO : 2000 - ZERO + LENGTH]


def v(shift, gain):
    """The state of waves IV and V together."""
    return {"IV": (shift, gain), "V": (shift, gain)}


@cache
def _known(exponent):
    """Gain per frequency for unit rms, and the autocovariance that it gives."""
    f = np.fft.rfftfreq(2 * LENGTH, 1 / FS)
    gain = np.abs(scipy.signal.sosfreqz(SOS, f, fs=FS)[1]) ** 2 / np.maximum(f, 10.0) ** (exponent / 2)
    exact = np.fft.irfft(gain**2, 2 * LENGTH)
    gain = gain / np.sqrt(2 * exact[0])
    return gain * np.sqrt(2 * LENGTH), (exact / exact[0])[:LENGTH]


class Colour:
    """Noise, 100-3000 Hz both ways, whose power falls by frequency to the exponent; rms 1."""

    def __init__(self, exponent, seed=1):
        self._gain, self.covariance = _known(exponent)
        self.rng = np.random.default_rng(seed)

    def draw(self, n):
        z = self.rng.standard_normal((n, 2, len(self._gain)))
        return np.fft.irfft((z[:, 0] + 1j * z[:, 1]) * self._gain, axis=1)[:, :LENGTH]
