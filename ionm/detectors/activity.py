"""When a muscle is active: the stream on a fixed grid, a noise level that survives hours, elements.

Invariants:

1. Everything is computed on whole blocks of ten cells of about 1 ms, counted from the first sample of the
   stream: no cutting into chunks can change a bit.
2. A cell that holds a sample that is not valid, or that lies in a stimulus frame, is *blind*: it
   neither begins nor ends anything, and does not count towards a pause.
3. A block becomes known as soon as no later stimulus can blind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ionm.errors import SetupError
from ionm.stream import Chunk, Flags, Samples, StreamInfo

CELLS = 10  # of a block
PIECES = 2  # of a block, 5 ms each, whose RMS the noise level follows: shorter than the pauses of dense EMG


@dataclass(frozen=True, slots=True)
class Frame:
    """What a stimulus blinds.

    Parameters
    ----------
    site
        The stimulated site, or "*" for every site without a frame of its own.
    before, after
        Begin before and end after the stimulus, in s. By default -2 to +40 ms: artefact, direct, lateral
        spread and late responses are over (after-discharge prolongs the frame).
    """

    site: str = "*"
    before: float = 2e-3
    after: float = 40e-3

    def __post_init__(self) -> None:
        if not (0 <= self.before <= 0.01 and 0 <= self.after <= 0.5):
            raise ValueError(
                f"need 0 <= before <= 0.01 s and 0 <= after <= 0.5 s, got before={self.before:g} s, "
                f"after={self.after:g} s for site {self.site!r}"
            )


@dataclass(slots=True, eq=False)
class Block:
    """Ten cells of every channel.

    Parameters
    ----------
    cell
        Number of the first cell, from the first of the stream.
    peak
        Largest absolute value of each cell, in V, shape (n_channels, 10).
    upward
        Same shape: whether that value is positive.
    slow
        The signal at two samples a cell, in V, shape (n_channels, 20).
    power
        Mean square of each piece, in V**2, shape (n_channels, 2).
    known
        Shape (n_channels, 10): False for blind cells; None when all were seen.
    frame_end
        Cell behind the newest stimulus frame.
    """

    cell: int
    peak: Samples
    upward: Flags
    slow: Samples
    power: Samples
    known: Flags | None
    frame_end: int


class RunningGrid:
    """Cuts a stream into blocks.

    Attributes
    ----------
    cell
        Samples in a cell: even, as close to 1 ms as that allows.
    """

    def __init__(self, frames: tuple[Frame, ...], info: StreamInfo) -> None:
        if info.fs < 2000.0:
            raise SetupError(f"free-run EMG needs fs >= 2000 Hz (potentials of some ms), got {info.fs:g} Hz")
        self.cell = 2 * max(1, round(info.fs / 2000.0))
        self._length = self.cell * CELLS
        self._spans = {f.site: (info.samples(f.before), info.samples(f.after)) for f in frames}
        self._ahead = max((before for before, _ in self._spans.values()), default=0)
        self._ahead = min(self._ahead, self._length)
        n = info.n_channels
        self._data, self._valid = np.zeros((n, self._length)), np.ones((n, self._length), dtype=bool)
        self._all_valid = True
        self._used = 0
        self._start = 0  # of the stream
        self._begin = -1  # of the open block, in samples from the stream's first
        self._waiting: Block | None = None
        self._frames: list[tuple[int, int]] = []
        self._frame_end = -(10**9)

    @property
    def start(self) -> int:
        """Index of the stream's first sample."""
        return self._start

    def push(self, chunk: Chunk) -> Iterator[tuple[Block, int]]:
        """Each block that became known, with the last sample that was needed."""
        if self._begin < 0:
            self._start, self._begin = chunk.start, 0
        for trigger in chunk.triggers:
            span = self._spans.get(trigger.site, self._spans.get("*"))
            if span is not None and span != (0, 0):
                at = trigger.sample - self._start
                self._frames.append((at - span[0], at + span[1]))
        done, n = 0, chunk.n_samples
        all_valid = bool(chunk.valid.all())
        while done < n:
            take = min(n - done, self._length - self._used)
            stop = self._used + take
            self._data[:, self._used : stop] = chunk.data[:, done : done + take]
            if not all_valid or not self._all_valid:
                self._note_valid(chunk.valid[:, done : done + take], stop)
            self._used, done = stop, done + take
            if self._waiting is not None and self._used >= self._ahead:
                yield self._release(), self._start + self._begin + self._ahead - 1
            if self._used == self._length:
                self._close()
                if self._ahead == 0:
                    yield self._release(), self._start + self._begin - 1

    def _note_valid(self, valid: Flags, stop: int) -> None:
        """Remember which samples are valid; all before were, if `_all_valid`."""
        if self._all_valid:
            self._valid[:] = True
        self._valid[:, self._used : stop] = valid
        self._all_valid = False

    def _close(self) -> None:
        data, n = self._data, len(self._data)
        known: Flags | None = None
        if not self._all_valid:
            known = np.logical_and.reduce(self._valid.reshape(n, CELLS, self.cell), axis=2)
            data = np.where(self._valid, data, 0.0)
        # half cells beside each other: reductions over the first axis are several times faster
        halves = np.ascontiguousarray(data.reshape(n, 2 * CELLS, self.cell // 2).transpose(2, 0, 1))
        top, bottom = np.maximum.reduce(halves, axis=0), -np.minimum.reduce(halves, axis=0)
        top = np.maximum(top[:, ::2], top[:, 1::2])
        bottom = np.maximum(bottom[:, ::2], bottom[:, 1::2])
        slow = np.add.reduce(halves, axis=0)
        slow *= 2.0 / self.cell
        halves *= halves
        power = np.add.reduce(np.add.reduce(halves, axis=0).reshape(n, PIECES, -1), axis=2)
        power *= PIECES / self._length
        self._waiting = Block(
            self._begin // self.cell, np.maximum(top, bottom), top >= bottom, slow, power, known, 0
        )
        self._begin += self._length
        self._used, self._all_valid = 0, True

    def _release(self) -> Block:
        """The waiting block, its stimulus frames applied."""
        if self._waiting is None:
            raise ValueError("no block is waiting")
        block, self._waiting = self._waiting, None
        if not self._frames:
            block.frame_end = self._frame_end
            return block
        begin, known = self._begin - self._length, block.known
        for first, last in self._frames:
            a = max((first - begin) // self.cell, 0)
            b = min(-((begin - last) // self.cell), CELLS)
            if a < b:
                known = np.ones(block.peak.shape, dtype=bool) if known is None else known
                known[:, a:b] = False
                if last - first >= self._length:  # a click has no after-discharge
                    self._frame_end = max(self._frame_end, block.cell + b)
        self._frames = [frame for frame in self._frames if frame[1] > self._begin]
        block.known, block.frame_end = known, self._frame_end
        return block


class NoiseLevel:
    """The noise of every channel, from the quiet end of the power of 5 ms pieces, followed slowly.

    The tenth and the quarter of the distribution are followed by fixed steps on the logarithm, up by the
    chance of a larger piece and down by that of a smaller one, so neither bursts nor hours carry them away;
    they lie in the pauses even of dense activity. How far they are apart tells how many degrees of
    freedom a piece has, that is the noise's bandwidth, and so where its mean lies: for chi-squared
    distributions of 1 to 40 degrees of freedom the mean is ``q25 * (q25 / q10)**1.22`` within 3 %
    (computed). Up the level doubles in 28 s at most, by blocks with activity ten times more slowly.
    """

    QUANTILES = np.array([[0.1], [0.25]])
    STEP = 0.01  # nepers a block: our choice, see above
    WHILE_ACTIVE = 0.1
    TO_MEAN = 1.22
    WIDEST = 1.0  # nepers between the quantiles, as of 2 degrees of freedom: more is activity
    LEARNING = 50  # blocks: half a second before the first verdict, which is then caught up with

    def __init__(self, n_channels: int, floor: float) -> None:
        self._floor = 2.0 * math.log(floor)
        self._levels = np.full((2, n_channels), self._floor)  # of the power, in nepers

    def begin(self, blocks: list[Block]) -> None:
        """Take the level from the first blocks."""
        powers = np.concatenate([block.power for block in blocks], axis=1)
        for row, power in enumerate(powers):
            seen = np.sort(power[power > 0])  # what was not seen has no power
            for level, quantile in zip(self._levels, self.QUANTILES[:, 0], strict=True):
                if len(seen):
                    level[row] = math.log(max(seen[int(quantile * len(seen))], 1e-30))

    def follow(self, block: Block, known: Flags | None, active: Flags) -> None:
        """Follow one block."""
        above = block.power.T[:, None, :] > np.exp(self._levels)
        step = np.add.reduce(above, axis=0) - PIECES * (1.0 - self.QUANTILES)
        if active.any():
            step[:, active] *= self.WHILE_ACTIVE
        if known is not None:
            step[:, ~np.logical_and.reduce(known, axis=1)] = 0.0
        self._levels += self.STEP * step

    def rms(self) -> Samples:
        """RMS of the noise, in V, shape (n_channels,)."""
        tenth, quarter = self._levels
        apart = np.minimum(np.maximum(quarter - tenth, 0.0), self.WIDEST)
        rms: Samples = np.exp(0.5 * np.maximum(quarter + self.TO_MEAN * apart, self._floor))
        return rms


@dataclass(slots=True)
class Element:
    """A spike or a burst: potentials without a pause; in cells.

    Parameters
    ----------
    onset, end
        First cell, and the cell behind the last.
    peak
        Largest absolute value, in V.
    at
        Cell of the peak.
    upward
        Whether the peak is positive.
    blind
        How many of its cells were blind.
    shape
        The slow signal around the peak, in V; None where it is not known any more.
    noise
        RMS of the channel's noise, in V.
    """

    onset: int
    end: int
    peak: float
    at: int
    upward: bool = False
    blind: int = 0
    shape: Samples | None = None
    noise: float = 0.0

    @property
    def cells(self) -> int:
        """How long it is."""
        return self.end - self.onset


class Segmenter:
    """The elements of one channel.

    An element begins where the low limit is passed and counts if it passes the high one. It ends when for
    `PAUSE` cells nothing passes the low limit or a fifth of its own recent peak, so that large potentials
    are told apart although small ones lie between them, and its first and last cell have a fifth of its
    peak. Pauses are counted in cells that were seen.

    Attributes
    ----------
    open
        The element that goes on, if any.
    since, last
        First and newest cell of the present activity, whatever its size.
    """

    PAUSE = 20  # cells; longer than the 17 ms between the potentials of an A-train of 60 Hz
    RELATIVE = 0.2
    FORGET = 0.99  # a cell: the recent peak falls to a third in 0.11 s
    LONGEST_BLIND = 150  # cells; a stimulus frame with after-discharge is bridged, a cautery is not
    AFTER_DISCHARGE = 100  # cells behind a stimulus frame that belong to it if activity goes on from it
    LONGEST_TRAIL = 1000  # cells; what is longer is no element but a C-train, which is not trimmed
    BREAK = 10  # cells: the longest pause in an after-discharge

    def __init__(self) -> None:
        self.open: Element | None = None
        self.since = 0
        self.last = -(10**9)
        self._clock = -(10**9)  # of `last`: how many cells had been seen
        self._recent = 0.0
        self._carried = 0  # clock and cell of the newest cell that carried the open element
        self._carried_at = 0
        self._discharge = -(10**9)  # newest cell of an after-discharge
        self._trail: list[tuple[int, float]] = []  # cells that carry the open element, with their peaks

    def live(self, clock: int) -> bool:
        """Whether anything was seen within a pause before the cell at this clock."""
        return clock - self._clock <= self.PAUSE

    def take(
        self, cell: int, clock: int, peaks: list[float], upward: list[bool], known: list[bool] | None, *,
        frame_end: int, low: float, high: float,
    ) -> list[Element]:  # fmt: skip
        """Elements that ended in some cells.

        Parameters
        ----------
        cell
            Number of the first.
        clock
            How many cells of this channel had been seen before it.
        peaks, upward, known
            Largest absolute value of each, in V, whether it is positive, and whether it was seen.
        frame_end
            Cell behind the newest stimulus frame.
        low, high
            The limits, in V.
        """
        closed: list[Element] = []
        for i, value in enumerate(peaks):
            if known is not None and not known[i]:
                continue
            clock += 1
            self._recent *= self.FORGET
            if value > low:
                if self._discharging(cell + i, frame_end, high):
                    self._discharge = cell + i
                    continue
                if not self.live(clock):
                    self.since = cell + i
                self.last, self._clock = cell + i, clock
                if self.open is None or value > self.RELATIVE * self._recent:
                    self._carry(cell + i, clock, value, upward=upward[i])
                    continue
            if self.open is not None and (
                clock - self._carried > self.PAUSE
                or cell + i - self._carried_at > self.PAUSE + self.LONGEST_BLIND
            ):
                if self.open.peak > high:
                    closed.append(self._trimmed(self.open))
                self.open = None
        return closed

    def _discharging(self, cell: int, frame_end: int, high: float) -> bool:
        """Whether activity behind a stimulus frame began in it."""
        if not 0 <= cell - frame_end < self.AFTER_DISCHARGE:
            return False
        if self.open is not None and self.open.peak > high:
            return False  # it was there before the stimulus
        return cell - max(frame_end, self._discharge) < self.BREAK

    def _carry(self, cell: int, clock: int, value: float, *, upward: bool) -> None:
        element = self.open
        if element is None:
            self.open = Element(cell, cell + 1, value, cell, upward)
            self._recent = value
            self._trail = [(cell, value)]
        else:
            if value > element.peak:
                element.peak, element.at, element.upward = value, cell, upward
            element.blind += (cell + 1 - element.end) - (clock - self._carried)
            element.end = cell + 1
            self._recent = max(self._recent, value)
            if len(self._trail) < self.LONGEST_TRAIL:
                self._trail.append((cell, value))
        self._carried, self._carried_at = clock, cell

    def _trimmed(self, element: Element) -> Element:
        """The element without what is small beside its peak at either end."""
        if len(self._trail) < self.LONGEST_TRAIL:
            cells = [cell for cell, value in self._trail if value >= self.RELATIVE * element.peak]
            element.onset, element.end = cells[0], cells[-1] + 1
            element.blind = min(element.blind, element.cells - len(cells))
        return element

    def drop(self) -> None:
        """Forget what is open: an artefact was recognised."""
        self.open = None
        self._clock = -(10**9)
