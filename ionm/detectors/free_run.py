"""Free-run EMG: what each muscle does on its own, told as findings.

Activity on a fixed grid (`ionm.detectors.activity`) gives spikes and bursts; a rhythm in it
(`ionm.detectors.periodicity`) gives A-trains; repetition gives B-trains and tonic firing, continuity C-trains
(`ionm.detectors.trains`). What all branches do in the same moment is a spasm, what all
channels do is an artefact. Nothing here is an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ionm.detectors.activity import CELLS, Block, Element, Frame, NoiseLevel, RunningGrid
from ionm.detectors.muscle import Muscle
from ionm.detectors.periodicity import periodicity
from ionm.detectors.synchrony import Synchrony
from ionm.detectors.trains import BAND, WINDOW, Stretch, is_mains, potential, rhythm
from ionm.events import ArtefactMark, Finding
from ionm.stream import Chunk, Flags, Samples, StreamInfo


@dataclass(frozen=True, slots=True)
class FreeRun:
    """Settings of the free-run detector; the stream should be a high-passed one (20 to 50 Hz).

    Parameters
    ----------
    frames
        What stimuli blind. Clicks leave a millisecond at most in a facial needle, a transcranial train
        is followed by its response for 0.1 s (general knowledge).
    high, low
        Limits in multiples of the noise's RMS: an element must pass ``high`` once and is carried by what
        passes ``low``. In Gaussian noise of 30 to 1000 Hz a
        channel passes 5.0 a dozen times an hour (measured), whatever happened before.
    floor
        Largest absolute value, in V, that an element must pass as well; 0.0 for none. A-trains need not.
    least
        Lowest possible noise, in V: the amplifier's own (general knowledge).
    largest
        Largest A-train, in V: twice the 500 uV they rarely exceed (general knowledge after Romstöck 2000).
    potential
        Smallest potential of an A-train in multiples of the noise's RMS: less than ``low``, as its time is
        known.
    strength, second
        Lowest correlation one and two periods apart of an A-train; see `ionm.detectors.periodicity`.
    longest_spike, longest_burst
        In s: 20 ms and "up to a few hundred ms" (general knowledge).
    """

    frames: tuple[Frame, ...] = (Frame(), Frame("click", 0.0, 1e-3), Frame("tes", 2e-3, 0.1))
    high: float = 5.0
    low: float = 3.5
    floor: float = 0.0
    least: float = 1e-6
    largest: float = 1e-3
    potential: float = 3.0
    strength: float = 0.6
    second: float = 0.4
    longest_spike: float = 0.02
    longest_burst: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ValueError(f"need 0 < low <= high, got low={self.low:g}, high={self.high:g}")

    def start(self, info: StreamInfo) -> RunningFreeRun:
        """A fresh running detector; `SetupError` if the stream is too slow for A-trains."""
        return RunningFreeRun(self, info)


class RunningFreeRun:
    """The detector with its memory."""

    def __init__(self, spec: FreeRun, info: StreamInfo) -> None:
        self._spec, self._names = spec, info.names
        self._grid = RunningGrid(spec.frames, info)
        self._rate = info.fs / self._grid.cell  # cells a second
        n = info.n_channels
        spike, burst = round(spec.longest_spike * self._rate), round(spec.longest_burst * self._rate)
        self._noise = NoiseLevel(n, spec.least)
        self._muscles = [Muscle(self._rate, spike, burst) for _ in range(n)]
        self._synchrony = Synchrony(info.names)
        self._learning: list[Block] | None = []
        self._marks: list[ArtefactMark] = []
        self._marked = np.zeros((len(REASONS), n), dtype=bool)
        self._any_marked = False
        self._cells = 0
        self._seen = np.zeros(n, dtype=np.int64)  # cells that were not blind
        self._open = np.zeros(n, dtype=bool)  # something goes on in the channel
        self._peaks = np.zeros((n, WINDOW))
        self._slow, self._known = np.zeros((n, 2 * WINDOW)), np.zeros((n, 2 * WINDOW), dtype=bool)
        self._since_blind = 0  # cells; from a window on, all is known

    def push(self, chunk: Chunk, marks: Sequence[ArtefactMark] = ()) -> list[Finding]:
        """Findings that became known; ``marks`` are those of artefact stamped in this chunk."""
        self._marks += marks
        findings: list[Finding] = []
        for block, sample in self._grid.push(chunk):
            if self._learning is None:
                findings += self._take(block, sample)
                continue
            self._learning.append(block)
            if len(self._learning) == NoiseLevel.LEARNING:
                waiting, self._learning = self._learning, None
                self._noise.begin(waiting)
                for earlier in waiting:
                    findings += self._take(earlier, sample)
        return findings

    def close(self, sample: int) -> list[Finding]:
        """End whatever goes on, because no more samples follow; known at ``sample``."""
        tell = _Tell(sample, self._grid.start, self._grid.cell, self._rate, self._names)
        for row, muscle in enumerate(self._muscles):
            muscle.drop(self._cells, tell.on(row), young=0)
        return tell.findings

    @property
    def watched(self) -> tuple[float, dict[str, float]]:
        """For how long the channels were followed, and per channel what of it was not blind, in s."""
        seen = (self._seen / self._rate).tolist()
        return self._cells / self._rate, dict(zip(self._names, seen, strict=True))

    @property
    def noise(self) -> dict[str, float]:
        """Per channel, the RMS of its noise, in V."""
        return dict(zip(self._names, self._noise.rms().tolist(), strict=True))

    @property
    def blind(self) -> dict[str, float]:
        """Per channel, the share of the time so far that was blind."""
        shares = 1.0 - self._seen / max(self._cells, 1)
        return dict(zip(self._names, shares.tolist(), strict=True))

    def _take(self, block: Block, sample: int) -> list[Finding]:
        """Findings of one block that became known at a sample."""
        tell = _Tell(sample, self._grid.start, self._grid.cell, self._rate, self._names)
        if self._marks:
            self._apply_marks(block.cell, sample, tell)
        known = block.known
        if self._any_marked:
            known = np.ones(block.peak.shape, dtype=bool) if known is None else known
            known[np.logical_or.reduce(self._marked, axis=0)] = False
        rms = self._noise.rms()
        peaks = block.peak if known is None else np.where(known, block.peak, 0.0)  # without M-waves
        top = np.maximum.reduce(peaks, axis=1)
        rows = (top > self._spec.low * rms) | self._open
        self._noise.follow(block, known, top > self._spec.high * rms)
        self._remember(peaks, block.slow, known)
        if rows.any():
            self._follow(block, known, np.flatnonzero(rows).tolist(), rms, tell)
        self._cells += CELLS
        if known is None:
            self._seen += CELLS
        else:
            self._seen += np.count_nonzero(known, axis=1)
        return tell.findings

    def _apply_marks(self, cell: int, sample: int, tell: _Tell) -> None:
        """Artefacts that began or ended by now."""
        for mark in [m for m in self._marks if m.sample <= sample]:
            self._marks.remove(mark)
            row = self._names.index(mark.channel)
            self._marked[REASONS.index(mark.reason), row] = mark.active
            if mark.active:
                self._muscles[row].drop(cell, tell.on(row))
                self._open[row] = self._muscles[row].busy
        self._any_marked = bool(self._marked.any())

    def _remember(self, peaks: Samples, slow: Samples, known: Flags | None) -> None:
        for memory, new in ((self._peaks, peaks), (self._slow, slow)):
            width = new.shape[1]
            memory[:, :-width] = memory[:, width:]
            memory[:, -width:] = new
        if known is None and self._since_blind >= WINDOW:
            return
        self._since_blind = self._since_blind + CELLS if known is None else 0
        self._known[:, : -2 * CELLS] = self._known[:, 2 * CELLS :]
        self._known[:, -2 * CELLS :] = True if known is None else np.repeat(known, 2, axis=1)

    def _follow(self, block: Block, known: Flags | None, rows: list[int], rms: Samples, tell: _Tell) -> None:
        """Follow the channels in which something goes on."""
        end = block.cell + CELLS
        closed: list[tuple[int, Element]] = []
        for row in rows:
            noise = float(rms[row])
            elements = self._muscles[row].segments.take(
                block.cell,
                int(self._seen[row]),
                block.peak[row].tolist(),
                block.upward[row].tolist(),
                None if known is None else known[row].tolist(),
                frame_end=block.frame_end,
                low=self._spec.low * noise,
                high=max(self._spec.high * noise, self._spec.floor),
            )
            for element in elements:
                element.shape = potential(self._slow[row], 2 * (element.at - (end - WINDOW)))
                element.noise = noise
                closed.append((row, element))
                self._synchrony.take(row, element)
        self._rhythms(rows, rms, end, tell)
        going_on = [muscle.segments.open for muscle in self._muscles] if closed else []
        for row, element in closed:
            label = self._synchrony.of(row, element, going_on)
            since = self._synchrony.since(row) if label == "spasm" else 0
            self._muscles[row].take(element, label, since, tell.on(row))
        for row in rows:
            self._muscles[row].advance(end, tell.on(row))
            self._open[row] = self._muscles[row].busy

    def _rhythms(self, rows: list[int], rms: Samples, end: int, tell: _Tell) -> None:
        """Look for A-trains in the channels that have been active for long enough."""
        # a train that goes on is looked at in every second block
        every = end % (2 * CELLS) == 0
        chosen = [row for row in rows if self._muscles[row].wants_rhythm(end, every=every)]
        if not chosen:
            return
        spec, found = self._spec, {}
        window, known = self._slow[chosen], self._known[chosen]
        shown = periodicity(window, known, rms[chosen], LONGEST_PERIOD)
        trains = [self._muscles[row].a_train for row in chosen]
        need = np.array([KEEP if train.recognised else 1.0 for train in trains])
        good = (shown.strength >= need * spec.strength) & (shown.second >= need * spec.second)
        good &= shown.valley <= VALLEY * shown.strength
        for i in np.flatnonzero(good).tolist():
            row, train = chosen[i], trains[i]
            period = 0.5 * float(shown.period[i])
            if train.recognised and train.halved(self._rate / period):
                period *= 0.5  # every other potential was lost in noise
            if shown.strength[i] >= HUM and is_mains(self._rate / period):
                self._muscles[row].hum(end)
            if not BAND[0] <= self._rate / period <= BAND[1]:
                continue
            floor = max(spec.potential * float(rms[row]), SMALLER * train.height)
            peaks = self._peaks[row].tolist()
            this = rhythm(
                peaks, end - WINDOW, self._rate / period, period=period, floor=floor, begun=train.recognised
            )
            if this is not None and this.height <= spec.largest:
                found[row] = this
        together = self._synchrony.tone({row: this.frequency for row, this in found.items()})
        seen = np.count_nonzero(known, axis=1) >= JUDGED * known.shape[1]
        for i, row in enumerate(chosen):
            self._muscles[row].rhythm(
                found.get(row), end, tell.on(row), together=row in together, seen=bool(seen[i])
            )


REASONS = ("cautery", "electrode_off", "saturation", "drill")
"""Marks of artefact that blind a channel."""

JUDGED = 0.85
"""Share of a window that must have been seen to say that there is no rhythm: clicks leave more."""

SMALLER = 0.35
"""Share of its usual height below which nothing belongs to an A-train any more."""

KEEP = 0.6
"""Share of the evidence of a rhythm that is enough for it to go on."""

HUM = 0.9
"""Correlation at a period of the mains from which a window is hum: a loose electrode shows nothing else."""

VALLEY = 0.5
"""Share of the correlation at the period that it must fall below in between: a pattern with pauses."""

LONGEST_PERIOD = 44
"""Samples of the slow signal, about 22 ms (45 Hz): a unit slower than an A-train shows its own period."""


class _Tell:
    """Collects findings: turns cells into samples and the number of a channel into its name."""

    def __init__(self, sample: int, start: int, cell: int, rate: float, names: tuple[str, ...]) -> None:
        self.findings: list[Finding] = []
        self._sample, self._start, self._cell, self._rate, self._names = sample, start, cell, rate, names

    def on(self, row: int) -> Callable[[Stretch], None]:
        """What takes the stretches of one channel."""

        def tell(stretch: Stretch) -> None:
            end = stretch.end
            length = 0 if end is None else end - stretch.onset
            self.findings.append(
                Finding(
                    self._sample,
                    self._names[row],
                    stretch.pattern,
                    end is None,
                    self._start + stretch.onset * self._cell,
                    None if end is None else self._start + end * self._cell,
                    stretch.peak,
                    None if stretch.frequency is None else stretch.frequency * self._rate,
                    stretch.regularity,
                    stretch.blind / length if length else 0.0,
                    stretch.elements,
                )
            )

        return tell
