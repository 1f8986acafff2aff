"""The lateral spread response: is it there in this sweep, how large, and when.

While a vessel presses on the facial nerve, stimulating one branch makes a muscle of another
branch answer after about 10 ms (Isu 1996; Ishikawa 1996). One sweep is enough to see it.

Each sweep is judged by its own background:

1. take away what the stimulus leaves behind (`ionm.detectors.tail`);
2. keep the band of a response: a moving average over one phase minus one over three;
3. find the most prominent turn in the search window (`swing.prominence`) and divide it by
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

from ionm.detectors.swing import Geometry, Swings, swings
from ionm.detectors.tail import Tail
from ionm.detectors.waveform import onset, turn
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


class _Past:
    """What the backgrounds of the last sound sweeps were like, per row."""

    def __init__(self, n_rows: int) -> None:
        self._variances = np.zeros((n_rows, MEMORY))  # of the band, in V^2
        self._swings = np.zeros((n_rows, MEMORY))  # mean square of the peak to peak, in V^2
        self._count = [0] * n_rows
        self.variance = [0.0] * n_rows
        self.swing = [0.0] * n_rows

    def known(self, row: int) -> bool:
        """Whether a background of the row has been seen."""
        return self._count[row] > 0

    def follow(self, row: int, variance: float, swing: float) -> None:
        """Take one sound sweep's background into a row."""
        place = slice(None) if self._count[row] == 0 else self._count[row] % MEMORY
        self._variances[row, place], self._swings[row, place] = variance, swing
        self._count[row] += 1
        self.variance[row] = sorted(self._variances[row].tolist())[3 * MEMORY // 4]
        self.swing[row] = sorted(self._swings[row].tolist())[MEMORY // 2]


@dataclass(frozen=True, slots=True)
class _Background:
    """One stretch without a response: its columns, and its bins as `swing.swings` takes them."""

    columns: slice
    bins: tuple[int, int, int]
    share: float  # how many of its stretches the search window is long


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
        # a response lies in the window; the stretch before it belongs to the tails
        self._needed = layout.columns((spec.clean_from, spec.window[1]))
        self._lead = layout.columns(spec.window).start - self._needed.start
        self._rest = round(spec.phase * fs)
        self._geometry, tail = _geometry(spec, layout)
        times = np.arange(self._needed.start - zero, self._needed.stop - zero, dtype=np.float64) / fs
        self._decays = tail.decays(times)
        self._backgrounds = [_background(stretch, self._geometry, layout) for stretch in spec.background]
        self._nulls = [NullTail() for _ in layout.rows]
        self._past = _Past(len(layout.rows))
        self._share = 1.0

    def push(self, sweep: Sweep, reasons: Sequence[str | None]) -> list[Measurement]:
        """Judge the layout's rows of one sweep; ``reasons``: per row why it cannot be judged, or None."""
        rows = self._layout.rows
        why = [
            reason if reason is not None or sweep.valid[row, self._needed].all() else "gap"
            for row, reason in zip(rows, reasons, strict=True)
        ]
        sound = [row for row, reason in zip(rows, why, strict=True) if reason is None]
        stretches = (b for b in self._backgrounds if all(sweep.valid[row, b.columns].all() for row in sound))
        background = next(stretches, None) if sound else None
        if not sound:
            return [Measurement(None, reason=reason) for reason in why]
        reference = self._layout.reference
        crosstalk = (
            self._spec.crosstalk and reference is not None and bool(sweep.valid[reference, self._needed].all())
        )
        bins = background.bins if background is not None else NO_BACKGROUND
        read = swings(sweep.data, self._geometry, bins, crosstalk=crosstalk)
        if background is not None:
            self._share = background.share
        found = []
        for i, reason in enumerate(why):
            noise = self._noise(i, read) if reason is None else 0.0
            if reason is not None:
                found.append(Measurement(None, reason=reason))
            elif not self._past.known(i):
                found.append(Measurement(None, reason="gap"))
            elif noise <= TINY:
                found.append(Measurement(None, reason="electrode_off"))
            else:
                found.append(self._judge(sweep, i, noise, read, crosstalk=crosstalk))
        return found

    def _noise(self, i: int, read: Swings) -> float:
        """RMS of the background in the band, in V; what this sweep shows of it is remembered.

        It is that of the sweep or that of its neighbours, whichever is larger: in a background of
        sparse motor unit potentials the sweep's own may be silent by chance. A stretch that serves
        as an example of noise is not part of the noise it is compared with, just as the search
        window is not.
        """
        energies = read.energies[i].tolist()
        past = self._past.variance[i]
        if not energies:
            return math.sqrt(past)
        total, count = math.fsum(energies), len(energies)
        variance = total / count
        examples = []
        for energy, size in zip(energies, read.prominences[i].tolist(), strict=True):
            others = (total - energy) / (count - 1) if count > 1 else energy
            beside = math.sqrt(max(others, past))
            if size > 0 and beside > TINY:
                examples.append(size / beside)
        self._nulls[i].extend(examples)
        self._past.follow(i, variance, math.fsum(r * r for r in read.ranges[i].tolist()) / count)
        return math.sqrt(max(variance, past))

    def _judge(self, sweep: Sweep, i: int, noise: float, read: Swings, *, crosstalk: bool) -> Measurement:
        null, share, spec = self._nulls[i], self._share, self._spec
        statistic = float(read.window[i]) / noise
        p_value = 1 - (1 - null.p_value(statistic)) ** share
        # noise moves a swing by about its own RMS: 1.28 of them for nine in ten
        limit = max(spec.floor, (null.threshold(spec.alpha / share) + 1.28) * noise / PASS)
        absent = Measurement(False, None, None, None, statistic, p_value, noise, limit)
        if p_value >= spec.alpha:
            return absent
        y = self._fine(sweep, i, read, crosstalk=crosstalk)
        found = turn(y[self._lead :])
        amplitude = math.sqrt(max(found.swing**2 - self._past.swing[i], 0.0))
        if amplitude < spec.floor or found.prominence < max(spec.floor / 2, SHALLOW * found.swing):
            return absent
        found = replace(found, index=found.index + self._lead)
        fs, delay = self._layout.fs, self._layout.delay
        begin = onset(y, found, noise, self._rest, max(0, self._lead - 2 * self._rest))
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

    def _fine(self, sweep: Sweep, i: int, read: Swings, *, crosstalk: bool) -> Samples:
        """One row at the full rate, cleaned, from where the tails are fitted to the window's end."""
        row, reference = self._layout.rows[i], self._layout.reference
        y: Samples = sweep.data[row, self._needed] - read.level[row]
        for weight, decay in zip(read.weights[i].tolist(), self._decays, strict=True):
            y -= weight * decay
        if crosstalk and reference is not None and read.crosstalk[i]:
            y -= read.crosstalk[i] * (sweep.data[reference, self._needed] - read.level[reference])
        return y


NO_BACKGROUND = (0, 1, 0)


def _geometry(spec: Lsr, layout: Layout) -> tuple[Geometry, Tail]:
    """The layout in bins of a quarter of a phase, and the model of the tails on them."""
    size = max(1, int(layout.fs * spec.phase / 4))
    offset = layout.zero % size
    n_bins = (layout.length - offset) // size

    def bins(stretch: tuple[float, float]) -> slice:
        columns = layout.columns(stretch)
        return slice(max(0, -(-(columns.start - offset) // size)), min(n_bins, (columns.stop - offset) // size))

    centres = (np.arange(n_bins, dtype=np.float64) * size + offset + (size - 1) / 2 - layout.zero) / layout.fs
    window, fit = bins(spec.window), bins((spec.clean_from, spec.window[0]))
    tail = Tail(centres[fit], spec.taus)
    half = max(1, round(spec.phase * layout.fs / size / 2))
    geometry = Geometry(
        layout.rows,
        layout.reference,
        size,
        offset,
        n_bins,
        half,
        window,
        fit,
        tail.decays(centres[fit]),
        tail.decays(centres),
    )
    return geometry, tail


def _background(stretch: tuple[float, float], g: Geometry, layout: Layout) -> _Background:
    columns = layout.columns(stretch)
    first = max(0, -(-(columns.start - g.offset) // g.bin))
    available = min(g.n_bins, (columns.stop - g.offset) // g.bin) - first
    wanted = g.window.stop - g.window.start
    width = min(wanted, available)
    return _Background(columns, (first, width, available // width), wanted / width)
