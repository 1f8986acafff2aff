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
        Length of a block, in s. 20 ms: a mains period at 50 Hz, a fifth of the shortest cautery.
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

    block: float = 0.02
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
        self._low = np.array([low for low, _ in rails])
        self._high = np.array([high for _, high in rails])
        self._parts: list[tuple[Samples, Flags]] = []  # of the open block
        self._used = 0
        self._begin: int | None = None
        self._stimuli: list[int] = []  # those that may still blind a block
        self._usual: Samples | None = None  # slow median of the logarithm of the peak to peak
        self._loud_from = np.zeros(n)  # peak to peak of a loud block
        self._dead = np.zeros(n, dtype=np.int64)
        self._quiet = {reason: np.full(n, self._hang) for reason in REASONS}
        self._active = {reason: np.zeros(n, dtype=bool) for reason in REASONS}
        self._calm = True  # no channel is flat, missing or marked

    def push(self, chunk: Chunk, ahead: tuple[tuple[int, str], ...] = ()) -> list[ArtefactMark]:
        """Marks that began or ended; ``ahead`` holds (sample, site) of stimuli just behind the chunk."""
        if self._begin is None:
            self._begin = chunk.start
        if chunk.triggers:
            self._stimuli += [t.sample for t in chunk.triggers]
        n = chunk.n_samples
        if self._used + n < self._length:
            self._parts.append((chunk.data, chunk.valid))
            self._used += n
            return []
        stimuli = self._stimuli + [sample for sample, _ in ahead] if ahead else self._stimuli
        marks: list[ArtefactMark] = []
        done = 0
        while self._used + n - done >= self._length:
            take = self._length - self._used
            self._parts.append((chunk.data[:, done : done + take], chunk.valid[:, done : done + take]))
            done += take
            begin, stop = self._begin, self._begin + self._length
            if not any(begin - self._after < s < stop + self._ahead for s in stimuli):
                marks += self._judge(*self._block(), stop - 1)
            self._parts, self._used, self._begin = [], 0, stop
        if self._stimuli:
            self._stimuli = [s for s in self._stimuli if s > self._begin - self._after]
        if done < n:
            self._parts.append((chunk.data[:, done:], chunk.valid[:, done:]))
            self._used = n - done
        return marks

    def _block(self) -> tuple[Samples, Flags]:
        if len(self._parts) == 1:
            return self._parts[0]
        data, valid = zip(*self._parts, strict=True)
        return np.concatenate(data, axis=1), np.concatenate(valid, axis=1)

    def _judge(self, data: Samples, valid: Flags, sample: int) -> list[ArtefactMark]:
        missing = ~np.logical_and.reduce(valid, axis=1)
        if missing.any():
            data = np.where(valid, data, 0.0)
        top, bottom = np.maximum.reduce(data, axis=1), np.minimum.reduce(data, axis=1)
        swing = top - bottom
        flat = (swing < self._spec.flat) | missing
        clipped = (top >= self._high) | (bottom <= self._low)
        loud = self._follow_level(swing, flat)
        if self._calm and not (flat | clipped | loud).any():
            return []
        self._dead = np.where(flat, self._dead + 1, 0)
        off = self._dead >= self._off_blocks
        broad = loud & self._broadband(data, swing) if loud.any() else loud
        strikes = np.count_nonzero(broad) >= max(2, self._spec.share * swing.size)
        seen = {"cautery": np.full(swing.shape, strikes), "electrode_off": off, "saturation": clipped & ~off}
        marks = [mark for reason in REASONS for mark in self._follow(reason, seen[reason], sample)]
        self._calm = not (flat.any() or any(active.any() for active in self._active.values()))
        return marks

    def _follow_level(self, swing: Samples, flat: Flags) -> Flags:
        """Which channels are much louder than usual; what is usual follows slowly.

        A slow median: up or down by a fixed step, so that no burst can carry it away.
        """
        if self._usual is None:
            self._usual = np.log(np.maximum(swing, self._spec.flat))
            self._loud_from = np.exp(self._usual) * self._spec.louder
        loud: Flags = swing > self._loud_from
        step = np.sign(swing * self._spec.louder - self._loud_from) * np.where(loud, LOUD_STEP, STEP)
        self._usual = self._usual + np.where(flat, 0.0, step)
        self._loud_from = np.exp(self._usual) * self._spec.louder
        return loud

    def _broadband(self, data: Samples, swing: Samples) -> Flags:
        bend = np.maximum.reduce(np.abs(np.diff(data, n=2, axis=1)), axis=1)
        broad: Flags = bend > self._spec.broadband * swing
        return broad

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
"""Steps of the slow median a block, in nepers: a usual level that doubles is followed in 0.7 s,
a loud stretch that is eight times as loud is taken for the usual one after 20 s (our choice)."""
