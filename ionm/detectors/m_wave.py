"""The direct response of the stimulated branch's own muscle: it proves that the stimulus arrived.

An LSR that is missing while the M-wave is there is a finding; one that is missing together
with it is a fault of the stimulus or a drug. The M-wave of needle recordings has a latency of
1.5 to 4 ms and 0.3 to 3 mV (general knowledge, facial.md 1.4), far above the background, so
its peak to peak against that of the background is test enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ionm.compiled import fastest
from ionm.detectors.background import TINY
from ionm.detectors.waveform import Course, extent, whole
from ionm.events import Measurement, Sweep
from ionm.quality import NullTail
from ionm.sweeps import Layout

REACH = 2.5
"""RMS of the background beyond which its M-wave has begun: one sample in eighty of Gaussian noise."""

REST = 0.0005
"""Silence that ends the search for an onset, in s: longer than a crossing of zero between two phases
of an M-wave (our choice)."""


@dataclass(frozen=True, slots=True)
class MWave:
    """Settings of the M-control's measurement.

    Parameters
    ----------
    window
        Where the M-wave lies after the stimulus, in s.
    background
        Stretches without a response, in s relative to the stimulus; the first valid one is used.
    alpha
        Chance of calling noise a response, per sweep.
    floor
        Smallest amplitude called a response, in V.
    """

    window: tuple[float, float]
    background: tuple[tuple[float, float], ...]
    alpha: float
    floor: float

    def __post_init__(self) -> None:
        if not 0 < self.window[0] < self.window[1]:
            raise ValueError(f"need 0 < window start < end, got {self.window[0]:g} to {self.window[1]:g} s")

    def start(self, layout: Layout) -> RunningMWave:
        """A fresh running measurement; `SetupError` if a sweep does not hold the window."""
        return RunningMWave(self, layout)


class RunningMWave:
    """The measurement with its memory: the swings of the background."""

    def __init__(self, spec: MWave, layout: Layout) -> None:
        self._spec = spec
        self._row = layout.rows[0]
        self._window = layout.columns(spec.window)
        self._backgrounds = [layout.columns(stretch) for stretch in spec.background]
        self._size = self._window.stop - self._window.start
        self._fs = layout.fs
        self._begin = (self._window.start - layout.zero) / layout.fs - layout.delay  # s after the stimulus
        rest = round(REST * layout.fs)
        self._course = fastest(Course)(self._window, 0, self._size, rest, np.zeros((0, self._size)))
        self._extent, self._whole = fastest(extent), fastest(whole)
        self._null = fastest(NullTail)()
        self._noise: float | None = None

    def push(self, sweep: Sweep, reason: str | None) -> Measurement:
        """Measure one sweep; ``reason`` says why it cannot be judged, or None."""
        if reason is not None:
            return Measurement(None, reason=reason)
        data, valid, row, window, null = sweep.data, sweep.valid, self._row, self._window, self._null
        for background in self._backgrounds:
            if self._whole(valid, (row,), background):
                # a swing is compared with that of a window's length
                level, square, swing = self._extent(data, row, background, self._size)
                self._noise = math.sqrt(square)
                if self._noise > TINY and swing > 0:
                    null.extend((swing / self._noise,))
                break
        else:
            level = float(data[row, window.start])
        noise = self._noise
        if noise is None or not self._whole(valid, (row,), window):
            return Measurement(None, reason="gap")
        if noise <= TINY:
            return Measurement(None, reason="electrode_off")
        alpha, floor = self._spec.alpha, self._spec.floor
        swing = self._extent(data, row, window, self._size)[2]
        statistic = swing / noise
        p_value = null.p_value(statistic)
        limit = max(floor, null.threshold(alpha) * noise)
        beside = null.median() * noise
        size = math.sqrt(max(swing * swing - beside * beside, 0.0))
        present, amplitude, latency, peak_latency = False, None, None, None
        if p_value < alpha and size >= floor:
            begin, peak, *_ = self._course.shape(data, row, level, None, (), REACH * noise)
            present, amplitude = True, size
            latency, peak_latency = begin / self._fs + self._begin, peak / self._fs + self._begin
        return Measurement(present, amplitude, latency, peak_latency, statistic, p_value, noise, limit)
