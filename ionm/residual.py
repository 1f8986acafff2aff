"""How much noise an average still holds: from halves, from the sweeps' scatter, from mains synchrony."""

from __future__ import annotations

import math

import numpy as np

from ionm.stream import Samples

LARGEST_MAINS_GAIN_DB = -25.0
"""A click rate at which any harmonic in band passes the average by more is refused (hearing.md 1.3)."""


def rms(values: Samples) -> float:
    """Root of the mean square."""
    return math.sqrt(float(np.add.reduce(values * values)) / values.size)


def ensemble_noise(sweeps: Samples) -> float:
    """Residual noise of the plain mean, from the sweeps' scatter at each sample.

    Parameters
    ----------
    sweeps
        Shape (n_sweeps, n_samples), in V.

    Returns
    -------
    float
        In V.
    """
    return math.sqrt(float(np.mean(np.var(sweeps, axis=0, ddof=1))) / len(sweeps))


def split_half(a: Samples, b: Samples) -> float:
    """Correlation of the two halves over time, each freed of its mean; 0.0 if one of them is constant."""
    x, y = a - np.mean(a), b - np.mean(b)
    size = math.sqrt(float(np.add.reduce(x * x)) * float(np.add.reduce(y * y)))
    return float(np.add.reduce(x * y)) / size if size > 0 else 0.0


def signal_to_noise(r: float) -> float:
    """Power of the response over that of the residual noise, for a split-half correlation r < 1.

    ``2 r / (1 - r)``: each half holds the response and twice the noise power of the whole.
    """
    return 2 * r / (1 - r)


def autocovariance(noise: Samples, lags: int) -> Samples:
    """Autocovariance of stationary noise, averaged over many stretches.

    Parameters
    ----------
    noise
        Shape (n_stretches, n_samples), of mean zero, in V.
    lags
        How many, from lag 0 on; at most n_samples.

    Returns
    -------
    Samples
        Shape (lags,), in V**2. Each lag's sum is divided by n_samples, not by the number of its
        products: smaller at large lags, and never the autocovariance of nothing (no negative power).
    """
    n = noise.shape[1]
    power = np.abs(np.fft.rfft(noise, 2 * n, axis=1)) ** 2
    return np.asarray(np.fft.irfft(np.mean(power, axis=0), 2 * n)[:lags] / n)


def toeplitz(first: Samples) -> Samples:
    """The symmetric matrix whose entry (i, j) is ``first[abs(i - j)]``."""
    index = np.arange(len(first))
    return np.asarray(first[np.abs(index[:, None] - index[None, :])])


def effective_points(covariance: Samples) -> float:
    """How many independent samples the variance of a window of this noise is worth (Satterthwaite).

    ``v1 = tr(C)**2 / tr(C**2)``, with C the covariance of the window after its mean is taken off.

    Parameters
    ----------
    covariance
        Of the noise, shape (n_samples, n_samples).

    References
    ----------
    Satterthwaite FE. An approximate distribution of estimates of variance components. Biometrics
    Bull 1946;2:110-114.
    """
    c = covariance - covariance.mean(axis=0)
    c = c - c.mean(axis=1)[:, None]
    return float(np.trace(c)) ** 2 / float(np.add.reduce((c * c).ravel()))


def mains_gain(rate: float, sweeps: int, frequency: float) -> float:
    """What an average of so many sweeps leaves of a sine: 1 if it is locked to the stimuli.

    ``abs(sin(pi N f / r) / (N sin(pi f / r)))``

    Parameters
    ----------
    rate
        Stimuli per s.
    sweeps
        N, averaged.
    frequency
        f, in Hz.
    """
    cycles = frequency / rate
    turn = math.sin(math.pi * (cycles - round(cycles)))
    if abs(turn) < 1e-12:
        return 1.0
    return abs(math.sin(math.pi * sweeps * (cycles - round(cycles))) / (sweeps * turn))


def worst_mains_gain(rate: float, sweeps: int, mains: float, harmonics: int = 20) -> tuple[float, int]:
    """The largest gain, in dB, of the mains' harmonics 1 to ``harmonics``, and which harmonic it is.

    Parameters
    ----------
    rate
        Stimuli per s.
    sweeps
        Averaged.
    mains
        50 or 60 Hz.
    harmonics
        20 reach 1 to 1.2 kHz: beyond that mains have no power (general knowledge).
    """
    gain, which = max((mains_gain(rate, sweeps, k * mains), -k) for k in range(1, harmonics + 1))
    return 20 * math.log10(gain), -which
