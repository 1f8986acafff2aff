"""Stimuli that keep step with the mains: hum then has the same phase in every sweep, like a response.

A rate that divides 50 or 60 Hz, or a multiple of it, holds the phase of the hum (facial.md 6.4).
The phases of the hum at the newest stimuli are added up as arrows of length 1,

    R = |sum exp(2 pi i f t)| / n,

for each mains frequency and its first multiples f; R is 1 where all phases are equal. A steady
rate whose phase advances by a share a of a cycle from sweep to sweep gives R = sin(n pi a) /
(n sin(pi a)): 0.9 is a quarter of a cycle over all n sweeps. Jittered stimuli give a small R, as
they should, and a stimulus left out changes nothing.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median


@dataclass(frozen=True, slots=True)
class MainsLock:
    """Settings of the watch on one site's stimuli.

    Parameters
    ----------
    mains
        Mains frequencies of the world, in Hz. The true one differs by a few hundredths; a rate that
        would lock to the nominal one is no better for it (our choice).
    multiples
        How many multiples of them count, 1 the mains itself. Hum is strong in the first few (general
        knowledge); the rates advised in facial.md 6.4 lock to none of five.
    stimuli
        How many stimuli are looked at together. As many as a baseline has sweeps: over those, hum
        in step would pass for a response (our choice).
    steady
        R from which they keep step: a quarter of a cycle over all of them (our choice).
    """

    mains: tuple[float, ...] = (50.0, 60.0)
    multiples: int = 5
    stimuli: int = 20
    steady: float = 0.9

    def __post_init__(self) -> None:
        if self.multiples < 1 or self.stimuli < 2 or not all(f > 0 for f in self.mains):
            raise ValueError(
                f"need mains > 0 Hz, multiples >= 1 and stimuli >= 2, got {self.mains}, "
                f"{self.multiples} and {self.stimuli}"
            )
        if not 0 < self.steady < 1:
            raise ValueError(f"need 0 < steady < 1, got steady={self.steady:g}")

    def start(self, fs: float) -> RunningMainsLock:
        """A fresh running watch on a stream of ``fs`` Hz."""
        return RunningMainsLock(self, fs)


@dataclass(frozen=True, slots=True)
class Step:
    """How the newest stimuli stand to the mains.

    Parameters
    ----------
    rate
        Of the stimuli, from their median interval, in Hz.
    frequency
        The mains frequency or multiple with which they keep step, in Hz; None if with none.
    steadiness
        R at that frequency, or the largest of all.
    """

    rate: float
    frequency: float | None
    steadiness: float


class RunningMainsLock:
    """The watch with its memory: the stimuli since it last looked."""

    def __init__(self, spec: MainsLock, fs: float) -> None:
        self._spec = spec
        self._fs = fs
        self._samples: list[int] = []
        self._sums = [[0j] * spec.multiples for _ in spec.mains]

    def push(self, sample: int) -> Step | None:
        """Take the sample of one stimulus; every ``stimuli`` of them, how they stand to the mains."""
        samples = self._samples
        if samples and sample <= samples[-1]:
            return None  # a second mark of one stimulus
        samples.append(sample)
        since = (sample - samples[0]) / self._fs  # small numbers keep the phase exact for days
        for frequency, sums in zip(self._spec.mains, self._sums, strict=True):
            arrow = turn = cmath.exp(2j * math.pi * math.fmod(frequency * since, 1.0))
            for k in range(len(sums)):
                sums[k] += arrow
                arrow *= turn
        if len(samples) < self._spec.stimuli:
            return None
        step = self._step()
        self._samples = []
        self._sums = [[0j] * self._spec.multiples for _ in self._spec.mains]
        return step

    def _step(self) -> Step:
        n = len(self._samples)
        found = [
            (abs(total) / n, frequency * (k + 1))
            for frequency, sums in zip(self._spec.mains, self._sums, strict=True)
            for k, total in enumerate(sums)
        ]
        rate = self._fs / median(b - a for a, b in pairwise(self._samples))
        locked = [(f, size) for size, f in found if size >= self._spec.steady]
        if not locked:
            return Step(rate, None, max(found)[0])
        frequency, size = min(locked)
        return Step(rate, frequency, size)
