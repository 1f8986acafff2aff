"""Stretches in which a channel shows no body signal: cautery, an electrode off, saturation.

The stream is looked at in blocks of fixed length on the sample clock. A block near a stimulus
is passed over. Each measure of a block is a largest value, which no cutting of the stream can
change in its last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.events import ArtefactMark
from ionm.stream import Chunk, Flags, Samples, StreamInfo

REASONS = ("cautery", "electrode_off", "saturation")


@dataclass(frozen=True, slots=True)
class Artefact:
    """Settings of the artefact marks.

    Every default is a choice of ours (no published detector of these was found), with the
    reasoning beside it.

    Parameters
    ----------
    block
        Length of a block, in s. 10 ms: half a mains period, a tenth of the shortest cautery.
    after_stimulus
        How long after a stimulus blocks are passed over, in s: artefact and M-wave are over.
    broadband
        Largest second difference over peak to peak from which a block is broadband. White
        noise gives about 1.2 at any rate; EMG below 1 kHz at most 0.4 at 10 kHz.
    louder
        How many times the channel's usual peak to peak a block of cautery has.
    share
        Share of the channels that cautery strikes at once.
    flat
        Peak to peak below which a block is flat, in V. Amplifiers are noisier than 0.05 uV.
    off_after
        How long a channel is flat or without samples before its electrode is called off, in s.
    hang
        How long an artefact must be absent before its mark ends, in s.
    """

    block: float = 0.01
    after_stimulus: float = 0.01
    broadband: float = 0.6
    louder: float = 8.0
    share: float = 0.75
    flat: float = 0.05e-6
    off_after: float = 0.1
    hang: float = 0.1

    def start(self, info: StreamInfo, ahead: int = 0) -> RunningArtefact:
        """A fresh running detector; it is told of stimuli ``ahead`` samples before they come."""
        return RunningArtefact(self, info, ahead)


class RunningArtefact:
    """The detector with its memory: the open block and what each channel is usually like."""

    def __init__(self, spec: Artefact, info: StreamInfo, ahead: int) -> None:
        self._spec = spec
        self._ahead = ahead
        self._names = info.names
        n = info.n_channels
        self._length = max(3, info.samples(spec.block))
        self._after = info.samples(spec.after_stimulus)
        self._off_blocks = max(1, round(spec.off_after / spec.block))
        self._hang = max(1, round(spec.hang / spec.block))
        rails = [channel.rails or (-np.inf, np.inf) for channel in info.channels]
        self._low = np.array([low for low, _ in rails])[:, np.newaxis]
        self._high = np.array([high for _, high in rails])[:, np.newaxis]
        self._open = np.zeros((n, self._length))
        self._open_valid = np.zeros((n, self._length), dtype=bool)
        self._used = 0
        self._begin: int | None = None
        self._stimuli: list[int] = []  # those that may still blind a block
        self._usual: Samples | None = None  # slow median of the logarithm of the peak to peak
        self._dead = np.zeros(n, dtype=np.int64)
        self._quiet = {reason: np.full(n, self._hang) for reason in REASONS}
        self._active = {reason: np.zeros(n, dtype=bool) for reason in REASONS}

    def push(self, chunk: Chunk, ahead: tuple[tuple[int, str], ...] = ()) -> list[ArtefactMark]:
        """Marks that began or ended; ``ahead`` holds (sample, site) of stimuli just behind the chunk."""
        if self._begin is None:
            self._begin = chunk.start
        self._stimuli += [t.sample for t in chunk.triggers]
        stimuli = self._stimuli + [sample for sample, _ in ahead]
        marks: list[ArtefactMark] = []
        done = 0
        while self._used + chunk.n_samples - done >= self._length:
            take = self._length - self._used
            if self._used == 0:
                data, valid = chunk.data[:, done : done + take], chunk.valid[:, done : done + take]
            else:
                self._fill(chunk, done, take)
                data, valid = self._open, self._open_valid
            done += take
            self._used = 0
            begin, stop = self._begin, self._begin + self._length
            if not any(begin - self._after < s < stop + self._ahead for s in stimuli):
                marks += self._judge(data, valid, stop - 1)
            self._begin = stop
        self._stimuli = [s for s in self._stimuli if s > self._begin - self._after]
        rest = chunk.n_samples - done
        if rest:
            self._fill(chunk, done, rest)
            self._used += rest
        return marks

    def _fill(self, chunk: Chunk, done: int, take: int) -> None:
        self._open[:, self._used : self._used + take] = chunk.data[:, done : done + take]
        self._open_valid[:, self._used : self._used + take] = chunk.valid[:, done : done + take]

    def _judge(self, data: Samples, valid: Flags, sample: int) -> list[ArtefactMark]:
        spec = self._spec
        missing = ~np.logical_and.reduce(valid, axis=1)
        if missing.any():
            data = np.where(valid, data, 0.0)
        top, bottom = np.maximum.reduce(data, axis=1), np.minimum.reduce(data, axis=1)
        swing = top - bottom
        clipped = (top >= self._high[:, 0]) | (bottom <= self._low[:, 0])
        flat = (swing < spec.flat) | missing
        self._dead = np.where(flat, self._dead + 1, 0)
        off = self._dead >= self._off_blocks
        loud = self._loud(data, swing, flat)
        cautery = np.full(swing.shape, np.count_nonzero(loud) >= max(2, spec.share * swing.size))
        return [
            mark
            for reason, seen in (("cautery", cautery), ("electrode_off", off), ("saturation", clipped & ~off))
            for mark in self._follow(reason, seen, sample)
        ]

    def _loud(self, data: Samples, swing: Samples, flat: Flags) -> Flags:
        level = np.log(np.maximum(swing, self._spec.flat))
        if self._usual is None:
            self._usual = level
        bound = self._usual + np.log(self._spec.louder)
        loud = level > bound
        # a slow median: up or down by a fixed step, so that no burst can carry it away
        step = np.where(loud, LOUD_STEP, STEP)
        self._usual = np.where(flat, self._usual, self._usual + step * np.sign(level - self._usual))
        if not loud.any():
            return np.zeros(swing.shape, dtype=bool)
        bend: Samples = np.maximum.reduce(np.abs(np.diff(data, n=2, axis=1)), axis=1)
        broadband: Flags = loud & (bend > self._spec.broadband * swing)
        return broadband

    def _follow(self, reason: str, seen: Flags, sample: int) -> list[ArtefactMark]:
        quiet, active = self._quiet[reason], self._active[reason]
        if not seen.any() and not active.any():
            return []
        self._quiet[reason] = quiet = np.where(seen, 0, quiet + 1)
        now = seen | (active & (quiet < self._hang))
        changed = np.flatnonzero(now != active)
        self._active[reason] = now
        return [ArtefactMark(sample, self._names[i], reason, bool(now[i])) for i in changed]


STEP = 0.02
LOUD_STEP = 0.002
"""Steps of the slow median a block, in nepers: a usual level that doubles is followed in 0.35 s,
a loud stretch is taken for the usual one after 10 s (our choice)."""
