"""Average the sweeps of one site: in blocks, weighted by their noise, forgetting, in two halves.

Sweeps are summed in blocks of so many *stimuli* (rejected ones count, so the grid is the stream's).
A complete block k of n_k accepted sweeps with noise variance s_k**2 enters every bank with weight
w_k = 1 / s_k**2, after what the bank holds has been multiplied by its forgetting factor f::

    W = f W + w_k n_k        S = f S + w_k sum(x)
    Q = f**2 Q + w_k**2 n_k s_k**2        K = f**2 K + w_k**2 n_k

    average S / W        residual noise sqrt(Q) / W        effective sweeps W**2 / K

With f = 1 this is Elberling and Wahlgreen's weighted mean, with w_k = 1 besides the plain one; with
f < 1 it is the Kalman filter of a local level that has reached its steady gain. The noise is the
scatter of the sweeps about their block's mean in a stretch that holds no response: weights that saw
the response would favour small ones.

Every sum is kept for two halves, by pairs of stimuli (1 2, 5 6 ... against 3 4, 7 8 ...), so that
clicks of alternating polarity cancel within each half. Sums have a fixed order: no cutting of the
stream changes a bit.

References
----------
Elberling C, Wahlgreen O. Estimation of auditory brainstem response, ABR, by means of Bayesian
inference. Scand Audiol 1985;14:89-96. Don M, Elberling C. Evaluating residual background noise in
human auditory brain-stem responses. J Acoust Soc Am 1994;96:2746-57 (blocks of 32 instead of 250).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ionm.stream import Flags, Samples
from ionm.sweeps import Layout

REMEMBERED = 31
"""Blocks whose middle noise the floor refers to: about 8 s at 43.9 clicks/s (our choice)."""


@dataclass(frozen=True, slots=True)
class Averaging:
    """How sweeps become averages.

    Parameters
    ----------
    noise
        Begin and end of the stretch that holds no response, relative to the stimulus, in s.
    judged
        Begin and end of the stretch whose samples must be valid and small, in s.
    reject
        A sweep with a larger absolute value there, in V, after the filters, is refused ("amplitude").
        20 to 40 uV is a starting point in the operating room (general knowledge; hearing.md 1.1).
    sizes
        Effective number of sweeps of each bank; `math.inf` never forgets. The defaults watch, warn and
        print (hearing.md 5.5: below 400 false alarms, above it seconds are lost).
    block
        Stimuli per block: 11 at 43.9/s are an update every 0.25 s. A block of one sweep would have a
        weight of 5 to 40 degrees of freedom, whose scatter costs up to 1.7 times the sweeps.
    weighted
        False gives every block the same weight.
    floor
        No block counts as quieter than this fraction of the middle variance of the newest blocks: an
        amplifier that has died must not outweigh all else (hearing.md 4).
    """

    noise: tuple[float, float]
    judged: tuple[float, float]
    reject: float
    sizes: tuple[float, ...] = (200.0, 400.0, 800.0)
    block: int = 11
    weighted: bool = True
    floor: float = 0.25

    def __post_init__(self) -> None:
        if not self.reject > 0:
            raise ValueError(f"need reject > 0 V, got reject={self.reject:g} V")
        if self.block < 4:
            raise ValueError(f"need blocks of at least 4 stimuli, got block={self.block}")
        if not self.sizes or not all(size > self.block for size in self.sizes):
            raise ValueError(f"need banks larger than a block of {self.block}, got sizes={self.sizes}")
        if not 0 <= self.floor < 1:
            raise ValueError(f"need 0 <= floor < 1, got floor={self.floor:g}")

    def start(self, layout: Layout) -> RunningAverages:
        """Fresh averages of the layout's rows; `SetupError` if a sweep does not hold the stretches."""
        return RunningAverages(self, layout)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What the newest complete block holds of one row.

    Parameters
    ----------
    halves
        Mean of the accepted sweeps of either half, shape (2, n_samples), in V.
    counts
        Accepted sweeps of either half.
    variance
        Of one sweep's noise, in V**2.
    """

    halves: Samples
    counts: tuple[int, int]
    variance: float

    @property
    def mean(self) -> Samples:
        """Mean of all accepted sweeps, shape (n_samples,), in V."""
        a, b = self.counts
        return np.asarray((a * self.halves[0] + b * self.halves[1]) / (a + b))

    @property
    def difference(self) -> Samples:
        """The halves' difference, scaled to the noise of one sweep, shape (n_samples,), in V."""
        a, b = self.counts
        return np.asarray((self.halves[0] - self.halves[1]) * math.sqrt(a * b / (a + b)))


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """One row's average.

    Parameters
    ----------
    halves
        Mean of either half, shape (2, n_samples), in V.
    shares
        Weight of either half in the whole; they add up to 1.
    noise
        Residual noise of the whole, in V, from the noise stretch.
    sweeps
        Effective number of sweeps.
    """

    halves: Samples
    shares: tuple[float, float]
    noise: float
    sweeps: float

    @property
    def whole(self) -> Samples:
        """The average, shape (n_samples,), in V."""
        return np.asarray(self.shares[0] * self.halves[0] + self.shares[1] * self.halves[1])

    @property
    def difference(self) -> Samples:
        """The halves' difference, scaled to the noise of the whole, shape (n_samples,), in V."""
        a, b = self.shares
        return np.asarray(math.sqrt(a * b) * (self.halves[0] - self.halves[1]))


class RunningAverages:
    """The banks with their memory, for all rows side by side.

    Attributes
    ----------
    accepted : list of int
        Per row: sweeps taken.
    rejected : list of dict
        Per row: sweeps refused, by reason.
    last_accepted : list of int or None
        Per row: stimulus (sample index) of the newest sweep taken.
    """

    def __init__(self, spec: Averaging, layout: Layout) -> None:
        self._spec = spec
        self._noise = layout.columns(spec.noise)
        self._judged = layout.columns(spec.judged)
        rows = list(layout.rows)
        n = len(rows)
        self._pick = None if rows == list(range(n)) else rows
        self._banks = [[_Bank(size, spec.block, layout.length) for size in spec.sizes] for _ in range(n)]
        self._total = np.zeros((2, n, layout.length))  # of the block under way, by half
        self._square = np.zeros((n, self._noise.stop - self._noise.start))
        self._fresh = np.empty((n, layout.length))
        self._counts = [[0, 0] for _ in range(n)]
        self._stimuli = 0
        self._variances: list[deque[float]] = [deque(maxlen=REMEMBERED) for _ in range(n)]
        self.accepted = [0] * n
        self.rejected: list[dict[str, int]] = [{} for _ in range(n)]
        self.last_accepted: list[int | None] = [None] * n

    def push(
        self, sample: int, data: Samples, valid: Flags, reasons: Sequence[str | None]
    ) -> Mapping[int, Block] | None:
        """Take one sweep; what enters the banks when it completes a block.

        Parameters
        ----------
        sample
            Of its stimulus.
        data, valid
            Shape (n_rows, n_samples) of the sweep, data in V.
        reasons
            Per row of the layout: why it is not to be used, or None.

        Returns
        -------
        mapping or None
            None unless the block is complete; else by row what entered. A row of which less than half a
            block was accepted is missing: its sweeps wait for the next block.
        """
        if self._pick is not None:
            data, valid = data[self._pick], valid[self._pick]
        half = self._stimuli >> 1 & 1
        self._stimuli += 1
        refused = self._refuse(data, valid, reasons)
        if not any(refused):
            self._add(half, slice(None), data)
        for row, reason in enumerate(refused):
            if reason is not None:
                self.rejected[row][reason] = self.rejected[row].get(reason, 0) + 1
                continue
            if any(refused):
                self._add(half, slice(row, row + 1), data[row : row + 1])
            self.accepted[row] += 1
            self.last_accepted[row] = sample
            self._counts[row][half] += 1
        return self._complete() if self._stimuli % self._spec.block == 0 else None

    def average(self, row: int, bank: int) -> Average | None:
        """What a bank holds of a row; None before both halves hold something."""
        return self._banks[row][bank].average()

    def _refuse(self, data: Samples, valid: Flags, reasons: Sequence[str | None]) -> list[str | None]:
        # a sample outside the judged stretch may be invalid but must be a number: a sum keeps NaN for ever
        totals = np.add.reduce(data, axis=1).tolist()
        sound = [
            math.isfinite(total) and bool(flags[self._judged].all())
            for total, flags in zip(totals, valid, strict=True)
        ]
        judged = data[:, self._judged]
        high, low = judged.max(axis=1).tolist(), judged.min(axis=1).tolist()
        limit = self._spec.reject
        return [
            reason
            if reason is not None
            else "invalid"
            if not sound[row]
            else None
            if -limit <= low[row] and high[row] <= limit
            else "amplitude"
            for row, reason in enumerate(reasons)
        ]

    def _add(self, half: int, rows: slice, data: Samples) -> None:
        total = self._total[half, rows]
        np.add(total, data, out=total)
        stretch = data[:, self._noise]
        squared = self._fresh[rows, self._noise]
        np.multiply(stretch, stretch, out=squared)
        np.add(self._square[rows], squared, out=self._square[rows])

    def _complete(self) -> dict[int, Block]:
        """Move the complete block into the banks."""
        found = {}
        for row, (a, b) in enumerate(self._counts):
            if a + b < self._spec.block // 2 or not a or not b:
                continue
            totals = self._total[:, row]
            variance = self._variance(row, a + b)
            if variance > 0:
                weight = 1.0 / variance if self._spec.weighted else 1.0
                for bank in self._banks[row]:
                    bank.add(totals, (a, b), weight, variance)
                found[row] = Block(totals / np.array([[a], [b]]), (a, b), variance)
            else:
                self.rejected[row]["flat"] = self.rejected[row].get("flat", 0) + a + b
                self.accepted[row] -= a + b
            totals[:] = 0.0
            self._square[row] = 0.0
            self._counts[row] = [0, 0]
        return found

    def _variance(self, row: int, n: int) -> float:
        """Of one sweep, from their scatter about the block's mean, not below the floor."""
        total = self._total[0, row, self._noise] + self._total[1, row, self._noise]
        variance = float(np.add.reduce(self._square[row] - total * total / n)) / ((n - 1) * total.size)
        if variance <= 0.0:
            return 0.0
        newest = self._variances[row]
        newest.append(variance)
        return max(variance, self._spec.floor * sorted(newest)[len(newest) // 2])


class _Bank:
    """One row's sums in one bank."""

    def __init__(self, size: float, block: int, length: int) -> None:
        # forgetting by f per block of b sweeps, Q / W**2 tends to s**2 / N with N = b (1 + f) / (1 - f)
        self._forget = 1.0 if math.isinf(size) else (size - block) / (size + block)
        self._sums = np.zeros((2, length))
        self._part = np.empty((2, length))
        self._weights = [0.0, 0.0]
        self._q = self._k = 0.0

    def add(self, totals: Samples, counts: tuple[int, int], weight: float, variance: float) -> None:
        f, n = self._forget, counts[0] + counts[1]
        np.multiply(self._sums, f, out=self._sums)
        np.multiply(totals, weight, out=self._part)
        np.add(self._sums, self._part, out=self._sums)
        self._weights = [f * w + weight * count for w, count in zip(self._weights, counts, strict=True)]
        self._q = f * f * self._q + weight * weight * n * variance
        self._k = f * f * self._k + weight * weight * n

    def average(self) -> Average | None:
        a, b = self._weights
        if not a or not b:
            return None
        whole = a + b
        halves = self._sums / np.array([[a], [b]])
        return Average(halves, (a / whole, b / whole), math.sqrt(self._q) / whole, whole * whole / self._k)
