"""The lateral spread response: is it there in this sweep, how large, and when.

While a vessel presses on the facial nerve, stimulating one branch makes a muscle of another
branch answer after about 10 ms (Isu 1996; Ishikawa 1996). One sweep is enough to see it.

Each sweep is judged by its own background:

1. take away what the stimulus leaves behind (`ionm.detectors.tail`);
2. keep the band of a response: a moving average over one phase minus one over three;
3. find the most prominent turn in the search window (`waveform.prominence`) and divide it by
   the RMS of the sweep's own background in the same band: the statistic;
4. compare it with the same statistic of stretches without a response, of this sweep and of
   those before it (`quality.NullTail`): the p-value.

So the false alarm rate stays the same in any background whose past is known, and a slow tail,
however large, does not count: it has no turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ionm.detectors.tail import Tail
from ionm.detectors.waveform import onset, prominence, turn
from ionm.errors import SetupError
from ionm.events import Measurement, Sweep
from ionm.quality import NullTail
from ionm.stream import Samples
from ionm.sweeps import Layout

TINY = 1e-12
"""Noise that no amplifier falls below, in V; keeps a dead channel from dividing by zero."""

PASS = 0.72
"""Share of a response's peak to peak that the band lets through, for the detection limit.

Closed form for a sine whose half period is one phase: sinc(1/2) - sinc(3/2) = 0.64 + 0.21 = 0.85;
for one of twice that duration sinc(1/4) - sinc(3/4) = 0.90 - 0.30 = 0.60; here their mean."""

SHALLOW = 0.1
"""Share of its swing by which a response must stand out on its shallower side. A response in silence
stands out by half its peak to peak or more; a ripple on the flank of a larger deflection by less than
a tenth (our choice)."""

MEMORY = 16
"""Sweeps whose backgrounds are remembered as the neighbours' (our choice: a quarter of a minute at one
stimulus a second). Their upper quartile is taken, so that a change is followed after twelve."""


@dataclass(frozen=True, slots=True)
class Lsr:
    """Settings of the per-sweep test.

    Parameters
    ----------
    window
        Where a response may lie after the stimulus, in s. For the LSR 7 to 25 ms: onset 7 to
        15 ms, polyphasic forms until 25 ms (general knowledge, facial.md 1.4).
    background
        Stretches of the sweep that hold no response, in s relative to the stimulus; the first
        one that is valid in a sweep is used.
    clean_from
        Begin of the stretch before the window on which tails are fitted, in s: where the mask
        of the artefact ends.
    phase
        Typical duration of one phase of the response, in s; sets the band of the test.
    taus
        Time constants of the artefact's tail, in s (`ionm.detectors.tail`); empty: no cleaning.
    crosstalk
        Whether a copy of the M-control is taken away.
    alpha
        Chance of calling noise a response, per sweep: the operating point of the test.
    floor
        Smallest amplitude called a response, in V. House rules are 20 to 50 uV (general
        knowledge, facial.md 1.6).
    """

    window: tuple[float, float]
    background: tuple[tuple[float, float], ...]
    clean_from: float
    phase: float
    taus: tuple[float, ...]
    crosstalk: bool
    alpha: float
    floor: float

    def __post_init__(self) -> None:
        if not 0 < self.clean_from < self.window[0] < self.window[1]:
            raise ValueError(
                f"need 0 < clean_from < window start < window end, got clean_from={self.clean_from:g} s, "
                f"window={self.window[0]:g} to {self.window[1]:g} s"
            )
        if not 0 < self.alpha < 0.25:
            raise ValueError(f"need 0 < alpha < 0.25, got alpha={self.alpha:g}")
        if not self.background:
            raise ValueError("need at least one stretch of background")
        for first, last in self.background:
            if not first < last or (first < self.window[1] and last > 0):
                raise ValueError(
                    f"background {first:g} to {last:g} s must end before the stimulus or begin after the window"
                )

    def start(self, layout: Layout) -> RunningLsr:
        """A fresh running test.

        Raises
        ------
        SetupError
            If a sweep does not hold the window or a background, or the rate is too low.
        """
        return RunningLsr(self, layout)


class _Background:
    """One stretch without a response: where its noise and its own swings are read, in bins."""

    def __init__(self, columns: slice, bins: slice, width: int) -> None:
        self.columns = columns
        self.bins = bins
        null_width = min(width, bins.stop - bins.start)
        firsts = np.arange(bins.start, bins.stop - null_width + 1, null_width)
        self.nulls = firsts[:, np.newaxis] + np.arange(null_width)
        self.share = width / null_width  # how many such stretches the search window is long

    def mean(self, traces: Samples) -> Samples:
        stretch = traces[:, self.bins]
        means: Samples = np.add.reduce(stretch, axis=1) / stretch.shape[1]
        return means


class _Past:
    """What the backgrounds of the last sound sweeps were like, per row."""

    def __init__(self, n_rows: int) -> None:
        self._variances = np.zeros((n_rows, MEMORY))  # of the band, in V^2
        self._swings = np.zeros((n_rows, MEMORY))  # mean square of the peak to peak, in V^2
        self._count = np.zeros(n_rows, dtype=np.intp)
        self.known = np.zeros(n_rows, dtype=bool)
        self.variance = np.zeros(n_rows)
        self.swing = np.zeros(n_rows)
        self.share = 1.0

    def follow(self, variance: Samples, swing: Samples, sound: Sequence[bool]) -> None:
        """Take one sweep's background into the rows that are sound."""
        for row, use in enumerate(sound):
            if use:
                if not self.known[row]:
                    self._variances[row], self._swings[row] = variance[row], swing[row]
                    self.known[row] = True
                place = self._count[row] % MEMORY
                self._variances[row, place], self._swings[row, place] = variance[row], swing[row]
                self._count[row] += 1
        upper, middle = (3 * MEMORY) // 4, MEMORY // 2
        self.variance = np.partition(self._variances, upper, axis=1)[:, upper]
        self.swing = np.partition(self._swings, middle, axis=1)[:, middle]


class RunningLsr:
    """The test with its memory: what the background of each row was like."""

    def __init__(self, spec: Lsr, layout: Layout) -> None:
        fs, zero = layout.fs, layout.zero
        if fs * spec.phase < 2:
            raise SetupError(
                f"fs={fs:g} Hz gives fewer than 2 samples for a phase of {spec.phase * 1e3:g} ms; "
                f"need at least {2 / spec.phase:g} Hz"
            )
        self._spec = spec
        self._layout = layout
        # the test runs on means over bins of a quarter of a phase
        self._bin = max(1, int(fs * spec.phase / 4))
        self._offset = zero % self._bin
        self._n_bins = (layout.length - self._offset) // self._bin
        self._half = max(1, round(spec.phase * fs / self._bin / 2))  # half a phase, in bins
        self._window = self._bins(spec.window)
        width = self._window.stop - self._window.start
        self._backgrounds = [_Background(layout.columns(b), self._bins(b), width) for b in spec.background]
        # a response lies in the window; the stretch before it belongs to the tails
        self._needed = layout.columns((spec.clean_from, spec.window[1]))
        self._lead = layout.columns(spec.window).start - self._needed.start
        self._tail = None
        if spec.taus:
            centres = (np.arange(self._n_bins, dtype=np.float64) * self._bin + self._offset + (self._bin - 1) / 2 - zero) / fs
            self._tail = Tail(self._bins((spec.clean_from, spec.window[0])), centres, spec.taus)
            self._decays = self._tail.decays(centres)
            times = np.arange(self._needed.start - zero, self._needed.stop - zero, dtype=np.float64) / fs
            self._fine_decays = self._tail.decays(times)
        self._nulls = [NullTail() for _ in layout.rows]
        self._past = _Past(len(layout.rows))

    def push(self, sweep: Sweep, reasons: Sequence[str | None]) -> list[Measurement]:
        """Judge the layout's rows of one sweep; ``reasons``: per row why it cannot be judged, or None."""
        layout = self._layout
        why = [
            reason if reason is not None or sweep.valid[row, self._needed].all() else "gap"
            for row, reason in zip(layout.rows, reasons, strict=True)
        ]
        sound = [row for row, reason in zip(layout.rows, why, strict=True) if reason is None]
        stretches = (b for b in self._backgrounds if all(sweep.valid[row, b.columns].all() for row in sound))
        background = next(stretches, None) if sound else None
        if not sound or (background is None and not self._past.known.all()):
            return [Measurement(None, reason=reason or "gap") for reason in why]
        cleaned = self._clean(sweep, background)
        band = self._band(cleaned.traces)
        noise = self._noise(cleaned.traces, band, background, [reason is None for reason in why])
        swings = prominence(band[:, self._window])
        found = []
        for i, reason in enumerate(why):
            if reason is not None:
                found.append(Measurement(None, reason=reason))
            elif noise[i] <= TINY:
                found.append(Measurement(None, reason="electrode_off"))
            else:
                found.append(self._judge(sweep, i, float(swings[i]), float(noise[i]), cleaned))
        return found

    def _clean(self, sweep: Sweep, background: _Background | None) -> _Cleaned:
        """The rows' traces in bins, free of offset, artefact tail and crosstalk."""
        layout = self._layout
        bins = self._binned(sweep.data)
        # without a background of its own a sweep is levelled by the stretch just before the window
        level = background.mean(bins) if background is not None else bins[:, self._window.start - 1]
        bins -= level[:, np.newaxis]
        traces = bins[list(layout.rows)]
        reference = layout.reference if self._spec.crosstalk else None
        if reference is not None and not sweep.valid[reference, self._needed].all():
            reference = None
        if self._tail is None:
            return _Cleaned(traces, level, None, None, None)
        m = None if reference is None else bins[reference]
        crosstalk, weights = self._tail.fit(traces, m)
        traces -= weights @ self._decays
        if m is not None:
            traces -= crosstalk[:, np.newaxis] * m
        return _Cleaned(traces, level, reference, crosstalk, weights)

    def _noise(
        self, traces: Samples, band: Samples, background: _Background | None, sound: Sequence[bool]
    ) -> Samples:
        """RMS of the background in the band, per row, in V; what this sweep shows of it is remembered.

        It is that of the sweep or that of its neighbours, whichever is larger: in a background of
        sparse motor unit potentials the sweep's own may be silent by chance. A stretch that serves
        as an example of noise is not part of the noise it is compared with, just as the search
        window is not.
        """
        past = self._past
        if background is None:
            return np.sqrt(past.variance)
        stretches = band[:, background.nulls]
        energies = np.add.reduce(np.square(stretches), axis=2) / stretches.shape[2]
        total = np.add.reduce(energies, axis=1)
        count = energies.shape[1]
        variance = total / count
        others = (total[:, np.newaxis] - energies) / (count - 1) if count > 1 else energies
        beside = np.sqrt(np.maximum(others, past.variance[:, np.newaxis]))
        statistics = prominence(stretches) / np.maximum(beside, TINY)
        noise: Samples = np.sqrt(np.maximum(variance, past.variance))
        wide = traces[:, background.nulls]
        ranges = np.maximum.reduce(wide, axis=2) - np.minimum.reduce(wide, axis=2)
        past.follow(variance, np.add.reduce(np.square(ranges), axis=1) / count, sound)
        past.share = background.share
        for null, row, use in zip(self._nulls, statistics.tolist(), sound, strict=True):
            for value in row:
                if use and value > 0:
                    null.add(value)
        return noise

    def _judge(self, sweep: Sweep, i: int, swing: float, noise: float, cleaned: _Cleaned) -> Measurement:
        null = self._nulls[i]
        share = self._past.share
        statistic = swing / noise
        p_value = 1 - (1 - null.p_value(statistic)) ** share
        # a sine of one phase per half period passes the band with PASS of its peak to peak;
        # noise moves a swing by about its own RMS: 1.28 of them for nine in ten
        limit = max(self._spec.floor, (null.threshold(self._spec.alpha / share) + 1.28) * noise / PASS)
        absent = Measurement(False, None, None, None, statistic, p_value, noise, limit)
        if p_value >= self._spec.alpha:
            return absent
        y = self._fine(sweep, i, cleaned)
        found = turn(y[self._lead :])
        amplitude = math.sqrt(max(found.swing**2 - float(self._past.swing[i]), 0.0))
        if amplitude < self._spec.floor or found.prominence < max(self._spec.floor / 2, SHALLOW * found.swing):
            return absent
        found = replace(found, index=found.index + self._lead)
        rest = round(self._spec.phase * self._layout.fs)
        fs, delay = self._layout.fs, self._layout.delay
        begin = onset(y, found, noise, rest, max(0, self._lead - 2 * rest))
        zero = self._needed.start - self._layout.zero
        return Measurement(
            True,
            amplitude,
            (begin + zero) / fs - delay,
            (found.index + zero) / fs - delay,
            statistic,
            p_value,
            noise,
            limit,
        )

    def _fine(self, sweep: Sweep, i: int, cleaned: _Cleaned) -> Samples:
        """One row at the full rate, cleaned, from where the tails are fitted to the window's end."""
        row = self._layout.rows[i]
        y: Samples = sweep.data[row, self._needed] - cleaned.level[row]
        if cleaned.weights is not None and cleaned.crosstalk is not None:
            y -= cleaned.weights[i] @ self._fine_decays
            if cleaned.reference is not None:
                m = sweep.data[cleaned.reference, self._needed] - cleaned.level[cleaned.reference]
                y -= cleaned.crosstalk[i] * m
        return y

    def _bins(self, stretch: tuple[float, float]) -> slice:
        columns = self._layout.columns(stretch)
        first, last = columns.start - self._offset, columns.stop - self._offset
        return slice(max(0, -(-first // self._bin)), min(self._n_bins, last // self._bin))

    def _binned(self, data: Samples) -> Samples:
        used = data[:, self._offset : self._offset + self._n_bins * self._bin]
        total: Samples = used[:, :: self._bin].copy()
        for k in range(1, self._bin):
            total += used[:, k :: self._bin]
        total /= self._bin
        return total

    def _band(self, traces: Samples) -> Samples:
        """Mean over one phase minus mean over three, centred; the edges are zero."""
        near, far = self._half, 3 * self._half
        sums = np.zeros((traces.shape[0], traces.shape[1] + 1))
        np.cumsum(traces, axis=1, out=sums[:, 1:])
        n = traces.shape[1] - 2 * far + 1
        band = np.zeros_like(traces)
        inner = band[:, far : far + n]
        inner += sums[:, far + near : far + near + n] - sums[:, far - near : far - near + n]
        inner /= 2 * near
        inner -= (sums[:, 2 * far : 2 * far + n] - sums[:, :n]) / (2 * far)
        return band


@dataclass(frozen=True, slots=True, eq=False)
class _Cleaned:
    """A sweep's traces in bins, and what was taken from them."""

    traces: Samples
    level: Samples
    reference: int | None
    crosstalk: Samples | None
    weights: Samples | None
