"""Whether an average holds a response: Fsp, Fmp, Hotelling's T2, the bootstrap, and looking again.

All of these certify a response of unknown form. Once the form is known, following it takes a third
of the sweeps (hearing.md 5.2); see `ionm.detectors.baep`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ionm.residual import autocovariance, effective_points, toeplitz
from ionm.stream import Samples


@dataclass(frozen=True, slots=True)
class Verdict:
    """A statistic with its chance in noise alone.

    Parameters
    ----------
    statistic
        The value.
    p_value
        Chance of one as large.
    """

    statistic: float
    p_value: float


def f_tail(value: float, v1: float, v2: float) -> float:
    """Chance of an F of at least ``value`` with v1 and v2 degrees of freedom."""
    from scipy.special import fdtrc

    return float(fdtrc(v1, v2, value)) if value > 0 else 1.0


def fsp(sweeps: Samples, at: int) -> float:
    """Variance of the mean over the window, over that of the mean at a single point.

    Parameters
    ----------
    sweeps
        Shape (n_sweeps, n_samples): the window only.
    at
        Column of the single point.

    References
    ----------
    Elberling C, Don M. Quality estimation of averaged auditory brainstem responses. Scand Audiol
    1984;13:187-197.
    """
    noise = float(np.var(sweeps[:, at], ddof=1)) / len(sweeps)
    return float(np.var(np.mean(sweeps, axis=0), ddof=1)) / noise


def fmp(sweeps: Samples) -> float:
    """Fsp with the noise taken at every point of the window: ``E[Fmp] = 1 + P / RN**2``.

    Parameters
    ----------
    sweeps
        Shape (n_sweeps, n_samples): the window only.
    """
    noise = float(np.mean(np.var(sweeps, axis=0, ddof=1))) / len(sweeps)
    return float(np.var(np.mean(sweeps, axis=0), ddof=1)) / noise


def fmp_of(average: Samples, noise: float) -> float:
    """Fmp of an average whose residual noise (V) is known: also that of a weighted one (Silva 2009)."""
    return float(np.var(average, ddof=1)) / (noise * noise)


def fmp_verdict(average: Samples, noise: float, differences: Samples, sweeps: float) -> Verdict:
    """Fmp with the degrees of freedom of this recording's own noise.

    Parameters
    ----------
    average
        The window, shape (n_samples,), in V.
    noise
        Its residual noise, in V.
    differences
        Stretches of the same noise without response, in V, shape (n_stretches, at least n_samples);
        twice as long or more, or the degrees of freedom come out high (see `autocovariance`).
    sweeps
        Effective number of sweeps behind ``noise``: its degrees of freedom.
    """
    c = autocovariance(differences, len(average))
    v1 = effective_points(toeplitz(c))
    value = fmp_of(average, noise)
    return Verdict(value, f_tail(value, v1, max(sweeps - 1, 1.0) * v1))


def hotelling(features: Samples) -> Verdict:
    """Hotelling's T2: whether the mean of many features over sweeps (or blocks of them) is not zero.

    Parameters
    ----------
    features
        Shape (n_sweeps, n_features), n_sweeps > n_features: mean voltages of time bins, say.

    Returns
    -------
    Verdict
        With the equivalent F.

    References
    ----------
    Chesnaye MA, Bell SL, Harte JM, Simpson DM. Objective measures for detecting the auditory brainstem
    response: comparisons of specificity, sensitivity and detection time. Int J Audiol 2018;57:468-478.
    """
    n, q = features.shape
    mean = np.mean(features, axis=0)
    s = np.atleast_2d(np.cov(features, rowvar=False))
    t2 = n * float(mean @ np.linalg.solve(s, mean))
    value = t2 * (n - q) / (q * (n - 1))
    return Verdict(value, f_tail(value, q, n - q))


def time_bins(sweeps: Samples, bins: int) -> Samples:
    """Mean voltage of equal stretches, shape (n_sweeps, bins), each sweep freed of its mean first.

    The last bin is left out: after the mean is taken off, it follows from the others.
    """
    size = sweeps.shape[1] // (bins + 1)
    cut = sweeps[:, : size * (bins + 1)]
    cut = cut - cut.mean(axis=1)[:, None]
    return np.asarray(cut.reshape(len(cut), bins + 1, size).mean(axis=2)[:, :bins])


def bootstrap(value: float, null: Samples) -> float:
    """Chance of a statistic of at least ``value``, given draws of it that hold no response.

    Never below ``1 / (n + 1)``: use 499 draws or more.
    """
    return (1 + int(np.count_nonzero(null >= value))) / (len(null) + 1)


def random_averages(record: Samples, sweeps: int, length: int, draws: int, seed: int) -> Samples:
    """Averages over random onsets of the same continuous record: what it gives without locking.

    Parameters
    ----------
    record
        Shape (n_samples,), in V.
    sweeps, length
        Of each average; ``length`` in samples.
    draws
        How many.
    seed
        Of the onsets.

    Returns
    -------
    Samples
        Shape (draws, length), in V.

    References
    ----------
    Lv J, Simpson DM, Bell SL. Objective detection of evoked potentials using a bootstrap technique.
    Med Eng Phys 2007;29:191-198.
    """
    onsets = np.random.default_rng(seed).integers(0, len(record) - length + 1, (draws, sweeps))
    windows = np.lib.stride_tricks.sliding_window_view(record, length)
    return np.stack([windows[some].mean(axis=0) for some in onsets])


STEP = 0.02
"""Grid, in units of chi-square, on which the stopping limits are computed: they err by half of it."""


def stopping_limits(alpha: float, stages: int) -> tuple[float, ...]:
    """Limits for the sum of ``-2 log(p)`` of independent stages: looking at each costs alpha in all.

    Each stage spends an equal part of alpha. The sum's density, given that no earlier stage stopped,
    is carried from stage to stage by convolution.

    References
    ----------
    Chesnaye MA, Bell SL, Harte JM, Simpson DM. The convolutional group sequential test: reducing test
    time for evoked potentials. IEEE Trans Biomed Eng 2020;67:697-705.
    """
    if not 0 < alpha < 1 or stages < 1:
        raise ValueError(f"need 0 < alpha < 1 and stages >= 1, got alpha={alpha:g}, stages={stages}")
    top = 2 * (math.log(stages / alpha) + 3 * stages) + 40  # chi-square with 2 degrees per stage: beyond all
    edges = np.arange(0.0, top, STEP)
    one = np.diff(-np.exp(-edges / 2))  # of -2 log(p) for a uniform p
    mass = one
    limits = []
    for stage in range(stages):
        if stage:
            size = 2 * len(one)
            mass = np.fft.irfft(np.fft.rfft(mass, size) * np.fft.rfft(one, size), size)[: len(one)]
            mass = np.maximum(mass, 0.0)
        above = np.cumsum(mass[::-1])[::-1]
        first = int(np.searchsorted(-above, -alpha / stages))
        limits.append(float(edges[first]) + STEP * (stage + 1) / 2)  # a sum of cells lies half a step up each
        mass = np.where(np.arange(len(mass)) < first, mass, 0.0)
    return tuple(limits)


class Sequential:
    """Evidence from independent stages, looked at after each, at one false alarm in 1 / alpha for all.

    Parameters
    ----------
    alpha
        Chance that noise alone ever stops it.
    stages
        How many looks there are at most.
    """

    def __init__(self, alpha: float, stages: int) -> None:
        self._limits = stopping_limits(alpha, stages)
        self._sum = 0.0
        self.looks = 0

    def push(self, p_value: float) -> bool | None:
        """Take one stage's p-value: True detected, False the last look was in vain, None go on."""
        if self.looks == len(self._limits):
            raise ValueError(f"need at most {len(self._limits)} looks, got one more")
        self._sum -= 2 * math.log(max(p_value, 1e-300))
        self.looks += 1
        if self._sum >= self._limits[self.looks - 1]:
            return True
        return False if self.looks == len(self._limits) else None
