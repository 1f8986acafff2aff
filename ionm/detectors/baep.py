"""The brainstem potential: averages free of the filter's delay, and how good they are.

    sweeps > averages in banks > backwards through the filter > residual noise, Fmp, halves

The stream's filters run forwards in time and delay the waves, each by its own amount. The average runs
through the same cascade *backwards*: the two delays cancel, whatever the filter, and the gain is that
of the cascade squared. So latencies need no correction, and a baseline belongs to its filter.

What becomes known is a fact per row and block; it knows no baseline. The newest blocks are kept, so
that a baseline can be made of them at any time (`ionm.detectors.reference`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ionm.averaging import Average, Averaging, Block
from ionm.detectors.reference import Certification, Reference
from ionm.evidence import fmp_of
from ionm.residual import rms, split_half
from ionm.stream import Flags, Samples
from ionm.sweeps import Layout

Section = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Baep:
    """Settings.

    Parameters
    ----------
    averaging
        How sweeps become averages; the last bank is the one whose numbers are printed.
    certification
        What makes a baseline.
    remembered
        Blocks that a baseline is made of: 512 of 11 clicks are two minutes at 43.9/s, and leave 20 nV of
        a sweep noise of 1.5 uV. Half of them would double the false warnings, since what is wrong with a
        baseline is wrong with every comparison (own computation).
    """

    averaging: Averaging
    certification: Certification = field(default_factory=Certification)
    remembered: int = 512

    def __post_init__(self) -> None:
        if self.remembered < self.certification.least:
            raise ValueError(
                f"need at least the {self.certification.least} blocks of a baseline, got "
                f"remembered={self.remembered}"
            )

    def start(self, layout: Layout, sections: Sequence[Section]) -> RunningBaep:
        """A fresh running detector behind a cascade; `SetupError` if a sweep is too short for it."""
        return RunningBaep(self, layout, sections)


@dataclass(frozen=True, slots=True, eq=False)
class AverageMeasured:
    """A fact: what the averages of one row show.

    Parameters
    ----------
    sample
        Index of the last sample that was needed.
    row
        Of the layout.
    averages
        One per bank, free of the filter's delay.
    newest
        Mean of the newest block alone, likewise, shape (n_samples,), in V.
    newest_noise
        Its residual noise, in V.
    accepted
        Sweeps taken so far.
    rejected
        Sweeps refused so far, by reason.
    last_accepted
        Stimulus (sample index) of the newest sweep taken.
    fmp
        Of the last bank, over the residual noise of the noise stretch.
    split_half
        Correlation of the last bank's halves in the response window.
    noise_of_halves
        Residual noise of the last bank from its halves in the response window, in V.
    """

    sample: int
    row: int
    averages: tuple[Average, ...]
    newest: Samples
    newest_noise: float
    accepted: int
    rejected: Mapping[str, int]
    last_accepted: int
    fmp: float
    split_half: float
    noise_of_halves: float


class RunningBaep:
    """The averages with their memory, and the newest blocks."""

    def __init__(self, spec: Baep, layout: Layout, sections: Sequence[Section]) -> None:
        self._spec, self._layout = spec, layout
        self._averages = spec.averaging.start(layout)
        self._window = layout.columns(spec.certification.window)
        self._clean = layout.columns(spec.certification.clean)
        self._backwards = Backwards(sections)
        self._banks = range(len(spec.averaging.sizes))
        rows = range(len(layout.rows))
        self._blocks: list[deque[Block]] = [deque(maxlen=spec.remembered) for _ in rows]
        # of the newest blocks, in turn: the noise's power after both passes, and after the first
        self._powers = np.zeros((len(layout.rows), 2, spec.remembered))
        self._count = [0] * len(layout.rows)

    def push(
        self, known: int, stimulus: int, data: Samples, valid: Flags, reasons: Sequence[str | None]
    ) -> list[AverageMeasured]:
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

    def certify(self, row: int) -> Reference | str:
        """A baseline of the newest blocks of a row, or the reason why they cannot be one."""
        left = self._left(row)
        blocks = [
            replace(block, halves=self._backwards(block.halves), variance=left * block.variance)
            for block in self._blocks[row]
        ]
        return self._spec.certification.certify(blocks, self._layout)

    def forget(self) -> None:
        """Make no baseline of what came before: the stimulus has changed."""
        for blocks in self._blocks:
            blocks.clear()

    def _measure(self, known: int, row: int, block: Block) -> AverageMeasured:
        found = [a for bank in self._banks if (a := self._averages.average(row, bank)) is not None]
        traces = np.concatenate([block.difference[None], block.mean[None], *(a.halves for a in found)])
        traces = self._backwards(traces)
        noise = traces[0, self._clean]
        self._blocks[row].append(block)
        power = float(np.add.reduce(noise * noise)) / noise.size
        self._powers[row, :, self._count[row] % self._spec.remembered] = power, block.variance
        self._count[row] += 1
        left = math.sqrt(self._left(row))
        averages = tuple(
            Average(traces[2 * i + 2 : 2 * i + 4], average.shares, left * average.noise, average.sweeps)
            for i, average in enumerate(found)
        )
        printed = averages[-1]
        a, b = printed.halves
        return AverageMeasured(
            known,
            row,
            averages,
            traces[1],
            left * math.sqrt(block.variance / sum(block.counts)),
            self._averages.accepted[row],
            dict(self._averages.rejected[row]),
            self._averages.last_accepted[row] or 0,
            fmp_of(printed.whole[self._window], printed.noise),
            split_half(a[self._window], b[self._window]),
            rms(printed.difference[self._window]),
        )

    def _left(self, row: int) -> float:
        """What the cascade's second pass leaves of the noise's power, by the newest blocks."""
        both, one = np.add.reduce(self._powers[row], axis=1).tolist()
        return both / one if one > 0 else 1.0


class Backwards:
    """The second pass of a zero-phase filter: a cascade run over averages from their end to their begin.

    It starts in the steady state of the last sample. What that is wrong by has decayed to 1 % within the
    cascade's settling (10 ms at 100 Hz, order 2), so sweeps must go on that long behind their response.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        from scipy.signal import sosfilt_zi

        self._sos = np.array(sections, dtype=np.float64).reshape(-1, 6)
        self._zi = np.asarray(sosfilt_zi(self._sos))[:, None, :] if len(self._sos) else None

    def __call__(self, averages: Samples) -> Samples:
        """The filtered averages, shape (n, n_samples)."""
        if self._zi is None:
            return averages
        from scipy.signal import sosfilt

        reverse = averages[:, ::-1]
        start = self._zi * reverse[None, :, :1]
        filtered, _ = sosfilt(self._sos, reverse, axis=1, zi=start)
        return np.ascontiguousarray(filtered[:, ::-1])
