"""The lateral spread response: is it there in this sweep, how large, and when.

While a vessel presses on the facial nerve, stimulating one branch makes a muscle of another
branch answer after about 10 ms (Isu 1996; Ishikawa 1996). One sweep is enough to see it.

Each sweep is judged by its own background:

1. take away what the stimulus leaves behind (`ionm.detectors.tail`);
2. keep the band of a response: a moving average over one phase minus one over five;
3. take the swing of the most prominent turn in the search window (`waveform.turn`) and divide it
   by the RMS of the sweep's own background in the same band: the statistic;
4. compare it with the same statistic of stretches without a response, of this sweep and of
   those before it (`quality.NullTail`): the p-value;
5. a response must also turn on both sides at the full rate and be as large as the floor;
6. area, duration and turns of a present one are read to the end of the sweep or, where that is not valid, of
   the window (`waveform.Shape`).

So the false alarm rate stays near its setting in any background whose past is known (in sparse motor
units and heavy tails up to 1.7 % for 1 %, tests/detectors/test_lsr.py), and a slow tail does not count:
it has no turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ionm.compiled import fastest
from ionm.detectors.background import TINY, Background
from ionm.detectors.swing import Geometry, Reading, Swings
from ionm.detectors.tail import orthonormal, tails
from ionm.detectors.template import Grid, Trace
from ionm.detectors.waveform import Course, whole
from ionm.errors import SetupError
from ionm.events import Measurement, Sweep
from ionm.stream import Samples
from ionm.sweeps import Layout

PASS = 0.78
"""Share of a response's peak to peak that the band lets through, for the detection limit.

Computed for one cycle of a sine, in the band of phase 1 ms: 0.64, 0.76, 0.83, 0.87, 0.79 and 0.68 for
2, 2.5, 3, 4, 5 and 6 ms; their middle is used. A cycle of 8 ms passes with 0.49 only."""

SHALLOW = 0.1
"""Share of its swing by which a response must stand out on its shallower side. A response in silence
stands out by half its peak to peak or more; a ripple on the flank of a larger deflection by less than
a tenth (our choice)."""


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
                    f"background {first:g} to {last:g} s must end before the stimulus or begin "
                    "after the window"
                )

    def start(self, layout: Layout) -> RunningLsr:
        """A fresh running test.

        Raises
        ------
        SetupError
            If a sweep does not hold the window or a background, or the rate is too low.
        """
        return RunningLsr(self, layout)


@dataclass(frozen=True, slots=True)
class _Stretch:
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
        self._fs = fs
        self._begin = (self._needed.start - zero) / fs - layout.delay  # s after the stimulus
        geometry, raw, full = _geometry(spec, layout)
        # after-discharges may outlast the window: form is measured to the end of the sweep, if that is valid
        self._behind = slice(min(self._needed.stop, layout.length - 1), layout.length)
        lead = layout.columns(spec.window).start - self._needed.start
        stop, n = self._needed.stop - self._needed.start, layout.length - self._needed.start
        decays, rest = np.ascontiguousarray(full[:, self._needed.start :]), round(spec.phase * fs)
        needed_decays = np.ascontiguousarray(decays[:, :stop])

        def course(first: int, size: int) -> Course:
            return fastest(Course)(slice(first, first + size), lead, stop, rest, decays[:, :size])

        self._swings = fastest(Swings)(geometry)
        self._course, self._longer = course(self._needed.start, stop), course(self._needed.start, n)
        self._grid = Grid(
            geometry.bin / fs,
            (zero - geometry.offset) / geometry.bin,
            geometry.n_bins,
            geometry.fit,
            geometry.window,
            raw,
            geometry.bin,
            self._needed,
            self._begin,
            needed_decays,
            course(0, stop),  # the same on the needed columns alone
        )
        self._whole = fastest(whole)
        self._stretches = [_stretch(background, geometry, layout) for background in spec.background]
        self._backgrounds = [fastest(Background)() for _ in layout.rows]
        self._share = 1.0

    def push(self, sweep: Sweep, reasons: Sequence[str | None]) -> list[Measurement]:
        """Judge the layout's rows of one sweep; ``reasons``: per row why it cannot be judged, or None."""
        rows, reference, valid, whole = self._layout.rows, self._layout.reference, sweep.valid, self._whole
        why = [
            reason if reason is not None or whole(valid, (row,), self._needed) else "gap"
            for row, reason in zip(rows, reasons, strict=True)
        ]
        sound = (
            rows
            if not any(why)
            else tuple(row for row, reason in zip(rows, why, strict=True) if reason is None)
        )
        if not sound:
            return [Measurement(None, reason=reason) for reason in why]
        if not self._spec.crosstalk or reference is None or not whole(valid, (reference,), self._needed):
            reference = None
        bins = NO_BACKGROUND
        for stretch in self._stretches:
            if whole(valid, sound, stretch.columns):
                bins, self._share = stretch.bins, stretch.share
                break
        reads = self._swings.read(sweep.data, bins, reference)
        return [
            Measurement(None, reason=reason) if reason is not None else self._judge(sweep, i, read, bins)
            for i, (reason, read) in enumerate(zip(why, reads, strict=True))
        ]

    def _judge(self, sweep: Sweep, i: int, read: Reading, bins: tuple[int, int, int]) -> Measurement:
        background, share, alpha, floor = (
            self._backgrounds[i],
            self._share,
            self._spec.alpha,
            self._spec.floor,
        )
        noise = background.noise(read)
        if noise is None or noise <= TINY:
            return Measurement(None, reason="gap" if noise is None else "electrode_off")
        statistic = read.window / noise
        p_value = background.chance(statistic, share)
        # a response of this size is found in every second sweep, in one of three nine times in ten
        limit = max(floor, background.threshold(alpha, share) * noise / PASS)
        row = self._layout.rows[i]
        first, width, count = bins
        trace = Trace(
            self._grid,
            read.trace,
            (first, first + width * count),
            sweep.data,
            row,
            read.level,
            read.copy,
            read.weights,
        )
        if p_value < alpha:
            seen = (row,) if read.copy is None else (row, read.copy[0])
            course = self._longer if self._whole(sweep.valid, seen, self._behind) else self._course
            shape = course.shape(sweep.data, row, read.level, read.copy, read.weights, background.reach())
            size = background.amplitude(shape.swing)
            if size >= floor and shape.prominence >= max(floor / 2, SHALLOW * shape.swing):
                return Measurement(
                    present=True,
                    amplitude=size,
                    latency=shape.onset / self._fs + self._begin,
                    peak_latency=shape.peak / self._fs + self._begin,
                    statistic=statistic,
                    p_value=p_value,
                    noise=noise,
                    detection_limit=limit,
                    area=shape.area / self._fs,
                    duration=(shape.end - shape.onset) / self._fs,
                    turns=shape.turns,
                    trace=trace,
                )
        return Measurement(
            present=False,
            statistic=statistic,
            p_value=p_value,
            noise=noise,
            detection_limit=limit,
            trace=trace,
        )


NO_BACKGROUND = (0, 1, 0)


def _geometry(spec: Lsr, layout: Layout) -> tuple[Geometry, Samples, Samples]:
    """The layout in bins of a quarter of a phase; the decays on them, and orthonormal at the full rate."""
    size = max(1, int(layout.fs * spec.phase / 4))
    offset = layout.zero % size
    n_bins = (layout.length - offset) // size

    def bins(stretch: tuple[float, float]) -> slice:
        columns = layout.columns(stretch)
        return slice(
            max(0, -(-(columns.start - offset) // size)), min(n_bins, (columns.stop - offset) // size)
        )

    times = (np.arange(layout.length, dtype=np.float64) - layout.zero) / layout.fs
    samples = tails(times, spec.taus, spec.clean_from, layout.seen)
    raw = samples[:, offset : offset + n_bins * size].reshape(len(spec.taus), n_bins, size).mean(axis=2)
    window, fit = bins(spec.window), bins((spec.clean_from, spec.window[0]))
    mix = orthonormal(raw, fit)
    decays = np.ascontiguousarray(mix @ raw)
    half = max(1, round(spec.phase * layout.fs / size / 2))
    geometry = Geometry(
        layout.rows,
        size,
        offset,
        n_bins,
        half,
        window,
        fit,
        np.ascontiguousarray(decays[:, fit]),
        decays,
        spec.floor,
    )
    return geometry, raw, mix @ samples


def _stretch(stretch: tuple[float, float], g: Geometry, layout: Layout) -> _Stretch:
    """A background in bins, without the edges of the sweep, where the band is not defined."""
    columns, edge = layout.columns(stretch), 5 * g.half
    first = max(edge, -(-(columns.start - g.offset) // g.bin))
    available = min(g.n_bins - edge, (columns.stop - g.offset) // g.bin) - first
    if available < 1:
        raise SetupError(
            f"the background from {stretch[0] * 1e3:g} to {stretch[1] * 1e3:g} ms lies within "
            f"{edge * g.bin / layout.fs * 1e3:g} ms of the sweep's edge"
        )
    wanted = g.window.stop - g.window.start
    width = min(wanted, available)
    return _Stretch(columns, (first, width, available // width), wanted / width)
