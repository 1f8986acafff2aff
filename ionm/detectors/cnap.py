"""The cochlear nerve's own potential (CNAP) and the electrocochleogram: N1 every fraction of a second.

An electrode on the nerve, or near the cochlea, sees some 25 uV where the scalp sees half of one: a
handful of sweeps is enough, and each block of them is measured by itself, free of the filter's delay.
N1 is the deepest trough in its window; its size is taken to the crest behind it, its noise from the
scatter of the block's sweeps.

References
----------
hearing.md 3: N1 at 4.32 ms (standard deviation 0.37 ms, tube included), median 25 uV (quartiles 15.6
and 35.4) in 11 nerves near normal.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ionm.averaging import Averaging, Block
from ionm.detectors.baep import Backwards, Section
from ionm.residual import rms
from ionm.stream import Flags, Samples
from ionm.sweeps import Layout

POWER = 1.645
"""Normal deviate of the 95 % in a detection limit."""


@dataclass(frozen=True, slots=True)
class Cnap:
    """Settings.

    Parameters
    ----------
    averaging
        Only its blocks are used: 11 sweeps are a quarter of a second at 43.9/s. A sweep noise of 3 uV
        then leaves 0.9 uV (hearing.md 3: six sweeps suffice for a twentieth of 25 uV).
    window
        Begin and end of where N1 is looked for after the stimulus, in s: the norm and 2 ms of delay.
    crest
        How far behind N1 the crest may lie, in s.
    negative
        Whether N1 points down in the recording; False where the inputs are the other way round.
    found
        Least size of an N1 that is there, in its standard deviations.
    """

    averaging: Averaging
    window: tuple[float, float] = (3.2e-3, 7.0e-3)
    crest: float = 1.5e-3
    negative: bool = True
    found: float = 5.0

    def start(self, layout: Layout, sections: Sequence[Section]) -> RunningCnap:
        """A fresh running detector behind a cascade; `SetupError` if a sweep is too short for it."""
        return RunningCnap(self, layout, sections)


@dataclass(frozen=True, slots=True)
class CnapMeasured:
    """A fact: N1 in one row's newest block.

    Parameters
    ----------
    sample
        Index of the last sample that was needed.
    row
        Of the layout.
    latency, latency_sd
        Of N1 after the stimulus, in s; None where absent.
    amplitude
        From N1 to the crest behind it, in V; None where absent.
    detection_limit
        Size of an N1 that would be seen 95 times of 100, in V.
    sweeps
        In the block.
    """

    sample: int
    row: int
    latency: float | None
    latency_sd: float | None
    amplitude: float | None
    detection_limit: float
    sweeps: int

    @property
    def present(self) -> bool:
        """Whether N1 stands out of the noise."""
        return self.amplitude is not None


class RunningCnap:
    """The blocks with their memory."""

    def __init__(self, spec: Cnap, layout: Layout, sections: Sequence[Section]) -> None:
        self._spec, self._layout = spec, layout
        self._averages = spec.averaging.start(layout)
        self._window = layout.columns(spec.window)
        self._clean = layout.columns(spec.averaging.judged)
        layout.columns((spec.window[0], spec.window[1] + spec.crest))
        self._crest = round(spec.crest * layout.fs)
        self._backwards = Backwards(sections)

    @property
    def rejected(self) -> list[dict[str, int]]:
        """Per row: sweeps refused so far, by reason."""
        return self._averages.rejected

    def push(
        self, known: int, stimulus: int, data: Samples, valid: Flags, reasons: Sequence[str | None]
    ) -> list[CnapMeasured]:
        """Take one sweep; the facts that become known, one for each row whose block is complete.

        Parameters
        ----------
        known
            Index of the last sample that was needed.
        stimulus
            Sample of the stimulus.
        data, valid
            Shape (n_rows, n_samples), data in V.
        reasons
            Per row of the layout: why it is not to be used, or None.
        """
        blocks = self._averages.push(stimulus, data, valid, reasons)
        return [self._measure(known, row, block) for row, block in blocks.items()] if blocks else []

    def _measure(self, known: int, row: int, block: Block) -> CnapMeasured:
        count = sum(block.counts)
        mean, difference = self._backwards(np.stack([block.mean, block.difference]))
        noise = difference[self._clean] / math.sqrt(count)
        trace = -mean if self._spec.negative else mean
        top = self._window.start + int(np.argmax(trace[self._window]))
        behind = trace[top : top + self._crest]
        amplitude = float(behind[0] - behind.min())
        sd = math.sqrt(2.0) * rms(noise)
        limit = (self._spec.found + POWER) * sd
        a, b, c = trace[top - 1 : top + 2].tolist()
        curve = 2 * b - a - c
        # a largest value at the window's edge is the flank of something else
        if amplitude < self._spec.found * sd or not (b > a and b >= c):
            return CnapMeasured(known, row, None, None, None, limit, count)
        fs = self._layout.fs
        latency = (top + 0.5 * (c - a) / curve - self._layout.zero) / fs
        slope = rms(noise[2:] - noise[:-2]) / 2
        return CnapMeasured(known, row, latency, slope / curve / fs, amplitude, limit, count)


@dataclass(frozen=True, slots=True)
class CnapBaseline:
    """N1 as it was: medians of the newest blocks.

    Parameters
    ----------
    latency
        In s.
    amplitude
        In V.
    blocks
        How many.
    """

    latency: float
    amplitude: float
    blocks: int

    @classmethod
    def of(cls, measured: Sequence[CnapMeasured], least: int = 20) -> CnapBaseline | str:
        """A baseline of measurements, or the reason why they cannot be one.

        Parameters
        ----------
        measured
            Of one row, oldest first; the last ``least`` are used: 5 s at 43.9/s.
        least
            Needed; N1 must be there in nine of ten.
        """
        newest = deque(measured, maxlen=least)
        if len(newest) < least:
            return f"only {len(newest)} blocks of sweeps, need {least}"
        latencies = [m.latency for m in newest if m.latency is not None]
        amplitudes = [m.amplitude for m in newest if m.amplitude is not None]
        if len(latencies) < 0.9 * least:
            return f"N1 in {len(latencies)} of {least} blocks only"
        return cls(median(latencies), median(amplitudes), least)

    def measures(self, measured: CnapMeasured) -> dict[str, float | None]:
        """What `ionm.criteria` judges: ``n1_shift`` in s, ``n1_gain``, ``n1_lost``.

        ``n1_lost`` is 1.0 only where half of the baseline's N1 would have been seen, and None where it
        would not.
        """
        if measured.amplitude is not None and measured.latency is not None:
            return {
                "n1_shift": measured.latency - self.latency,
                "n1_gain": measured.amplitude / self.amplitude,
                "n1_lost": 0.0,
            }
        seen = 0.5 * self.amplitude >= measured.detection_limit
        return {"n1_shift": None, "n1_gain": None, "n1_lost": 1.0 if seen else None}
