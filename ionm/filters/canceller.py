"""The running form of `ionm.filters.line_noise`: tiles of samples, windows of two periods, oscillators.

Samples pass in tiles on a grid that begins with the stream, so that its cutting changes nothing: the
hum of a tile is foretold before it begins, and what it shows is learnt when it is full. The compiled
form of `Canceller` gives the same bits; sums over a window run in `LANES` running sums.
"""

from __future__ import annotations

import math

import numpy as np

from ionm.filters.mains import FIRST, LOCK, Clock, Hum, Noise, Sight
from ionm.filters.sos import LARGEST, check_array
from ionm.stream import Chunk, Flags, Samples

LANES = 8
"""Running sums of a window: vectors of any width then add in the same order."""

FARTHEST = 1.0
"""Hz from the nominal frequency: a clock that runs away has not found the mains (our choice)."""

LOST = 0.05
"""Turns of uncertainty from which on the phase is not known (our choice)."""

PATIENCE = 2.0
"""Seconds without any hum after which the search begins anew (our choice)."""

STALE = 10.0
"""Seconds without any window after which the hum is not known any more (our choice)."""


class Canceller:
    """Take hum away from a stream, tile by tile; the compiled form gives the same bits.

    Parameters
    ----------
    n_channels, fs
        Of the stream; ``fs`` in Hz.
    frequencies
        Nominal ones to be tried in turn, in Hz.
    n_harmonics
        Multiples of the fundamental, itself included.
    freeze
        Samples from a stimulus on in which nothing is learnt.
    """

    def __init__(
        self,
        n_channels: int,
        fs: float,
        frequencies: tuple[float, ...],
        n_harmonics: int,
        freeze: int,
    ) -> None:
        self._n_channels, self._fs = n_channels, fs
        self._frequencies, self._n_harmonics, self._freeze = frequencies, n_harmonics, freeze
        self._tile = tile_length(fs)
        self._dt = self._tile / fs
        self._next = -1  # index of the sample that continues the stream
        # of several frequencies' common multiples only the fundamental can tell which it is
        several = len(frequencies) > 1
        self._telling = [
            np.array([not (several and (k + 1) * f % 300.0 == 0.0) for k in range(n_harmonics)])
            for f in frequencies
        ]
        self._reset()

    def _reset(self) -> None:
        self._position = 0  # samples since the stream began, or began again after a gap
        self._filled = 0  # of the tile
        self._held = np.zeros(self._n_channels)
        self._buffer = np.zeros((self._n_channels, self._tile))
        self._spoilt = np.zeros((self._n_channels, 1), dtype=np.bool_)
        self._stimulated = False  # in this tile
        self._frozen = 0  # until this position
        self._window = -1  # tiles in it, or -1 for none
        self._period = self._length = 0  # samples of a period, tiles of a window
        self._noise = Noise.unknown(self._n_channels, self._n_harmonics)
        self._candidate = 0
        self._search()
        self._foretell()

    def _search(self) -> None:
        """Begin to look for hum, as if there had been none."""
        self._clock = Clock(self._frequencies[self._candidate])
        self._hum = Hum.unknown(self._n_channels, self._n_harmonics)
        self._locked = False
        self._age = 0  # tiles since the last window
        self._idle = 0.0  # s without hum

    def push(self, chunk: Chunk, stimuli: tuple[int, ...]) -> Chunk:
        """The chunk without its hum; ``stimuli`` are the samples of those that freeze it."""
        data, valid = chunk.data, chunk.valid
        check_array("data", data, np.float64, (self._n_channels, None), chunk.start)
        check_array("valid", valid, np.bool_, data.shape, chunk.start)
        out = np.empty(data.shape)
        if not out.size:
            return Chunk(out, valid, chunk.start, chunk.triggers, chunk.notes)
        if chunk.start != self._next:
            self._reset()
        origin = chunk.start - self._position
        self._next = chunk.stop
        ok = valid & (np.abs(data) <= LARGEST)
        begin, waiting = 0, 0
        while begin < chunk.n_samples:
            n = min(self._tile - self._filled, chunk.n_samples - begin)
            place = slice(begin, begin + n)
            self._pass(data[:, place], ok[:, place], out[:, place])
            self._filled += n
            self._position += n
            begin += n
            while waiting < len(stimuli) and stimuli[waiting] - origin < self._position:
                self._stimulated = True
                self._frozen = max(self._frozen, stimuli[waiting] - origin + self._freeze)
                waiting += 1
            if self._filled == self._tile:
                self._finish()
                self._filled = 0
        return Chunk(out, valid if ok.all() else ok, chunk.start, chunk.triggers, chunk.notes)

    def _pass(self, data: Samples, ok: Flags, out: Samples) -> None:
        """Subtract the hum within one tile; what is no sample holds the last output."""
        here = slice(self._filled, self._filled + data.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            out[:] = data - self._foretold[:, here]
        if not ok.all():
            for channel in np.flatnonzero(~ok.all(axis=1)):
                self._spoilt[channel] = True
                last = self._held[channel]
                for t in range(data.shape[1]):
                    if ok[channel, t]:
                        last = out[channel, t]
                    else:
                        out[channel, t] = last
        self._held = out[:, -1].copy()
        self._buffer[:, here] = out

    def _finish(self) -> None:
        """What is due when a tile is full: learn from it, then foretell the hum of the next."""
        self._age += 1
        begun = self._position - self._tile
        if self._stimulated or (self._window < 0 and begun < self._frozen):
            self._window = -1
        else:
            self._correlate()
        self._stimulated = False
        self._clock.advance(self._dt)
        if self._window == self._length:
            with np.errstate(over="ignore"):  # a quotient beyond all numbers decides as infinity does
                self._learn()
            self._window = -1
        elif self._age * self._dt > STALE:
            self._search()
        if self._window < 0:
            self._spoilt[:] = False
        self._foretell()

    def _foretell(self) -> None:
        """The oscillators of the next tile, shape (n_harmonics, n_samples), and its hum."""
        clock, n = self._clock, self._tile
        turns = (clock.frequency + 0.5 * clock.slope * self._dt) / self._fs
        cos, sin = np.empty((self._n_harmonics, n)), np.empty((self._n_harmonics, n))
        cos[0, 0], sin[0, 0] = math.cos(2.0 * math.pi * clock.phase), math.sin(2.0 * math.pi * clock.phase)
        c, s = math.cos(2.0 * math.pi * turns), math.sin(2.0 * math.pi * turns)
        done = 1
        while done < n:  # each step turns what is there on by its own length
            near, far = slice(done), slice(done, 2 * done)
            cos[0, far] = cos[0, near] * c - sin[0, near] * s
            sin[0, far] = cos[0, near] * s + sin[0, near] * c
            c, s = c * c - s * s, c * s + s * c
            done *= 2
        for k in range(1, self._n_harmonics):
            cos[k] = cos[k - 1] * cos[0] - sin[k - 1] * sin[0]
            sin[k] = cos[k - 1] * sin[0] + sin[k - 1] * cos[0]
        self._cos, self._sin = cos, sin
        hum = self._hum
        self._real = np.where(hum.taken, hum.real, 0.0)
        self._imag = np.where(hum.taken, hum.imag, 0.0)
        self._foretold = np.zeros((self._n_channels, n))
        for k in range(self._n_harmonics):
            wave = self._real[:, k : k + 1] * cos[k] - self._imag[:, k : k + 1] * sin[k]
            self._foretold = self._foretold + wave

    def _correlate(self) -> None:
        """Add a tile to the window's sums; the last row stands for a constant signal of 1."""
        rows, n = self._n_channels + 1, self._tile
        if self._window < 0:
            self._window = 0
            self._period = math.floor(self._fs / self._clock.frequency + 0.5)
            self._length = -(-(2 * self._period - 1) // n)
            self._sum = np.zeros((rows, LANES))
            self._sum_cos = np.zeros((rows, self._n_harmonics, LANES))
            self._sum_sin = np.zeros((rows, self._n_harmonics, LANES))
        j = np.arange(self._window * n, (self._window + 1) * n, dtype=np.float64)
        weight = np.maximum(np.minimum(j + 1.0, 2.0 * self._period - 1.0 - j), 0.0)
        weighted = np.empty((rows, n))
        weighted[:-1] = self._buffer * weight
        weighted[-1] = weight
        for a in range(0, n, LANES):
            part = weighted[:, a : a + LANES]
            self._sum += part
            self._sum_cos += part[:, np.newaxis] * self._cos[:, a : a + LANES]
            self._sum_sin += part[:, np.newaxis] * self._sin[:, a : a + LANES]
        self._window += 1

    def _learn(self) -> None:
        """What a whole window says of clock, noise and hum."""
        total, cosines, sines = (_sum(s) for s in (self._sum, self._sum_cos, self._sum_sin))
        area = float(self._period) * float(self._period)
        level = total[:-1, np.newaxis] / area
        real = 2.0 * (cosines[:-1] - level * cosines[-1]) / area + self._real
        imag = -2.0 * (sines[:-1] - level * sines[-1]) / area + self._imag
        dt = self._age * self._dt
        age = (self._length * self._tile - (self._period - 1)) / self._fs
        self._age = 0

        clock, hum, noise = self._clock, self._hum, self._noise
        size = hum.size()
        leak = np.zeros((self._n_channels, 1))
        for k in range(self._n_harmonics):
            leak = leak + size[:, k : k + 1]
        detuned = 9.0 * clock.p22 / (clock.frequency * clock.frequency)
        seen = Sight(real, imag, ~self._spoilt, detuned * detuned * leak)
        clock.forget(dt)
        error, information = hum.phase(seen, noise.variance, clock.prior(age))
        moved = turned = 0.0
        if information > 0.0:
            # the least variance, (3e-7 turns)^2, keeps the covariance sound in float64
            moved, turned = clock.correct(error, 1.0 / information + 1e-13, age, dt)
        noise.follow(seen, moved)
        hum.correct(seen.turned(turned), noise, dt, locked=self._locked)
        if not self._locked and clock.p22 < LOCK * LOCK and hum.count.max() >= FIRST:
            self._locked = True
        there = bool((hum.taken & self._telling[self._candidate]).any())
        self._idle = 0.0 if there else self._idle + dt
        astray = abs(clock.frequency - self._frequencies[self._candidate]) > FARTHEST
        if astray or clock.p11 > LOST * LOST or self._idle > PATIENCE:
            self._candidate = (self._candidate + 1) % len(self._frequencies)
            self._search()


def tile_length(fs: float) -> int:
    """Samples between two looks at the clock: 32 at 10 kHz and more, fewer below; 1 to 3 ms."""
    return 32 if fs >= 10_000.0 else 16 if fs >= 5_000.0 else 8


def _sum(lanes: Samples) -> Samples:
    """The sum of the running sums (last axis), from the first to the last."""
    total = lanes[..., 0]
    for lane in range(1, LANES):
        total = total + lanes[..., lane]
    return total
