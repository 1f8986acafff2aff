"""Find waves I, III and V in an average: latency and size with their uncertainty, or an explicit "not found".

The average is smoothed; every local maximum that stands out of the noise above the trough behind it
is a candidate. Of all ways to give the three names to candidates, in order and with names left over,
the one is taken that agrees best with what is known of latencies and intervals and explains the
largest peaks.

References
----------
Norms: hearing.md 1.4 (general knowledge). The idea of scoring peaks by prior latency and prominence:
bburan/abr (described in hearing.md 6.1), whose priors are a rodent's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from ionm.residual import toeplitz
from ionm.stream import Samples

NAMES = ("I", "III", "V")

LATENCIES = {"I": (1.65e-3, 0.35e-3), "III": (3.8e-3, 0.45e-3), "V": (5.7e-3, 0.7e-3)}
"""Mean and width of what is expected, in s, without tube: the norms at 70 to 90 dB nHL, widened for
softer clicks, fast rates and disease."""

INTERVALS = {("I", "III"): (2.15e-3, 0.3e-3), ("III", "V"): (1.9e-3, 0.3e-3), ("I", "V"): (4.0e-3, 0.45e-3)}
"""Mean and width of the intervals, in s: twice the norms' standard deviation, for disease."""

WORTH = 10.0
"""The largest deviate that a peak is credited with: beyond it size says nothing about the name."""

ABSENT = 3.5
"""What a name costs that is given to no peak: as much as a peak that is barely there gains."""


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave of an average.

    Parameters
    ----------
    latency, latency_sd
        Of the peak after the stimulus, and its standard deviation, in s.
    amplitude, amplitude_sd
        From the peak to the trough behind it, and its standard deviation, in V. Raised by noise, by 4 to
        16 % at a tenth of itself (hearing.md 5.4); changes are better read from `ionm.detectors.following`.
    """

    latency: float
    latency_sd: float
    amplitude: float
    amplitude_sd: float


@dataclass(frozen=True, slots=True)
class Picking:
    """Settings.

    Parameters
    ----------
    tube
        Delay of the earphone's tube, in s: 0.9 ms for inserts (Van Campen 1992), 0 for others.
    begin, end
        Where waves are looked for, in s after the stimulus, tube included.
    smooth
        Standard deviation of the smoothing kernel, in s: 0.1 ms passes 1.3 kHz at half power.
    trough
        How far behind a peak its trough may lie, in s.
    found
        Least amplitude, in its standard deviations, of a wave that is there. 4: noise alone has some
        ten independent peaks in 10 ms, of which one in a few hundred averages exceeds it.
    """

    tube: float = 0.9e-3
    begin: float = 1.0e-3
    end: float = 10.5e-3
    smooth: float = 0.1e-3
    trough: float = 1.8e-3
    found: float = 4.0

    def pick(
        self, average: Samples, noise: float, covariance: Samples, zero: int, fs: float
    ) -> Mapping[str, Wave | None]:
        """The waves of an average.

        Parameters
        ----------
        average
            Shape (n_samples,), free of filter delay, in V.
        noise
            Its residual noise, in V.
        covariance
            Autocovariance of the noise, lag by lag, of any scale.
        zero
            Column of the stimulus.
        fs
            In Hz.
        """
        reach = math.ceil(4 * self.smooth * fs)
        at = np.arange(-reach, reach + 1) / (self.smooth * fs)
        kernel = np.exp(-0.5 * at * at)
        kernel /= np.add.reduce(kernel)
        trace = np.convolve(average, kernel, mode="same")
        slope_kernel = np.gradient(kernel)
        span = len(kernel) + math.ceil(self.trough * fs)
        lags = np.zeros(span)
        known = covariance[:span] / covariance[0]
        lags[: len(known)] = known
        matrix = noise * noise * toeplitz(lags)
        slope_sd = math.sqrt(_form(slope_kernel, matrix, 0))
        first, last = zero + round(self.begin * fs), zero + round(self.end * fs)
        last = min(last, len(trace) - 2)
        inside = np.arange(first, last)
        tops = inside[(trace[inside] > trace[inside - 1]) & (trace[inside] >= trace[inside + 1])]
        candidates = []
        for top in tops.tolist():
            behind = trace[top : top + math.ceil(self.trough * fs)]
            higher = np.flatnonzero(behind > trace[top])
            bottom = int(np.argmin(behind[: higher[0]] if len(higher) else behind))
            amplitude = float(behind[0] - behind[bottom])
            sd = math.sqrt(max(2 * (_form(kernel, matrix, 0) - _form(kernel, matrix, bottom)), 1e-30))
            if amplitude < self.found * sd:
                continue
            a, b, c = trace[top - 1 : top + 2].tolist()
            curve = a - 2 * b + c
            latency = (top + 0.5 * (a - c) / curve - zero) / fs
            candidates.append(Wave(latency, slope_sd / -curve / fs, amplitude, sd))
        return self._name(candidates)

    def _name(self, candidates: list[Wave]) -> Mapping[str, Wave | None]:
        choices: list[Wave | None] = [None, *candidates]
        best: tuple[float, tuple[Wave | None, ...]] = (-math.inf, (None, None, None))
        for some in product(choices, repeat=len(NAMES)):
            here = [wave for wave in some if wave is not None]
            if any(a.latency >= b.latency for a, b in pairwise(here)):
                continue
            score = self._score(dict(zip(NAMES, some, strict=True)))
            if score > best[0]:
                best = score, some
        return dict(zip(NAMES, best[1], strict=True))

    def _score(self, waves: Mapping[str, Wave | None]) -> float:
        score = 0.0
        for name, wave in waves.items():
            if wave is None:
                score -= ABSENT
                continue
            mean, width = LATENCIES[name]
            score += min(wave.amplitude / wave.amplitude_sd, WORTH)
            score -= 0.5 * ((wave.latency - self.tube - mean) / width) ** 2
        for (one, other), (mean, width) in INTERVALS.items():
            a, b = waves[one], waves[other]
            if a is not None and b is not None:
                score -= 0.5 * ((b.latency - a.latency - mean) / width) ** 2
        return score


def _form(kernel: Samples, matrix: Samples, lag: int) -> float:
    """Covariance of two outputs of the kernel so many samples apart."""
    n = len(kernel)
    return float(kernel @ matrix[:n, lag : lag + n] @ kernel)
