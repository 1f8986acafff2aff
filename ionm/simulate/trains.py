"""Free-run EMG patterns with their truth: spikes, bursts, A-, B- and C-trains, tonic firing.

The classes are those of Romstöck (2000) and Prell (2007). Sourced from Prell 2007 is the A-train's pattern
(sudden begin and end, monotonous, high frequency, low amplitude) and its link to palsy; the figures of all
classes are general knowledge of the field (no open recording of an A-train exists). Each pattern is a sum
of the single potentials of `ionm.simulate.waves`.

References
----------
Romstöck J, Strauss C, Fahlbusch R. Continuous electromyography monitoring of motor cranial nerves during
cerebellopontine angle surgery. J Neurosurg 2000;93:586-593.
Prell J, Rampp S, Romstöck J, et al. Train time as a quantitative electromyographic parameter for facial
nerve function. J Neurosurg 2007;106:826-832. doi 10.3171/jns.2007.106.5.826.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ionm.simulate.waves import Train, Volleys, trains
from ionm.stream import Samples

PATTERNS = ("spike", "burst", "a_train", "b_train_spikes", "b_train_bursts", "c_train", "tonic")
"""What can be made; both kinds of B-train are reported as ``b_train``."""

VISIBLE = 0.1
"""A pattern begins and ends where its noise-free trace first and last passes this share of its peak."""


@dataclass(frozen=True, slots=True)
class PatternTruth:
    """What was put into a channel.

    Parameters
    ----------
    pattern
        One of `PATTERNS`.
    onset, offset
        In s; see `VISIBLE`.
    frequency
        Potentials per second in an A-train, elements per second in a B-train or tonic firing, in Hz; None
        where the class has none.
    peak
        Largest absolute value of the trace, in V.
    """

    pattern: str
    onset: float
    offset: float
    frequency: float | None
    peak: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """One stretch of free-run activity.

    Parameters
    ----------
    pattern
        One of `PATTERNS`.
    begin
        Of the first potential, in s.
    seconds
        Length; a spike has its own.
    peak
        Largest absolute value, in V.
    frequency
        Of potentials (A-train), of elements (B-train, tonic), in Hz; None draws one from the class's range.
    """

    pattern: str
    begin: float
    seconds: float
    peak: float
    frequency: float | None = None

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise ValueError(f"unknown pattern {self.pattern!r}, need one of {', '.join(PATTERNS)}")
        if not (self.seconds > 0 and self.peak > 0):
            raise ValueError(f"need seconds > 0 and peak > 0, got {self.seconds:g} s and {self.peak:g} V")

    def volleys(self, rng: np.random.Generator) -> tuple[Volleys, PatternTruth]:
        """Its potentials, scaled to the peak, and the truth."""
        onset, size, width, order, frequency = _MAKERS[self.pattern](self.seconds, self.frequency, rng)
        column = (onset + self.begin)[:, None], size[:, None], width[:, None]
        (train,) = trains([Volleys(*column, (order,))])
        first, last, height = _visible(train)
        scaled = Volleys(column[0], column[1] * (self.peak / height), column[2], (order,))
        return scaled, PatternTruth(self.pattern, first, last, frequency, self.peak)

    def add_to(self, out: Samples, fs: float, rng: np.random.Generator) -> PatternTruth:
        """Add the pattern to the samples of a channel, shape (n_samples,), in V; ``fs`` in Hz."""
        volleys, truth = self.volleys(rng)
        for train in trains([volleys]):
            train.add_to(out, fs, 0)
        return truth


def _visible(train: Train) -> tuple[float, float, float]:
    """Begin and end (s) and height (V) of the sampled train, on a grid of 0.1 ms."""
    fs = 10_000.0  # Hz
    start = int(np.floor(train.onset[0] * fs)) - 1
    trace = np.zeros(int(np.ceil((train.onset[-1] - train.onset[0] + 30 * train.width.max()) * fs)) + 2)
    train.add_to(trace, fs, start)
    height = float(np.abs(trace).max())
    (seen,) = np.nonzero(np.abs(trace) >= VISIBLE * height)
    return (start + int(seen[0])) / fs, (start + int(seen[-1]) + 1) / fs, height


Made = tuple[Samples, Samples, Samples, int, float | None]
"""Onsets (s), relative sizes, widths (s), order of the potentials, frequency (Hz)."""


def _renewal(seconds: float, rate: float, variation: float, rng: np.random.Generator) -> Samples:
    """Times of a gamma renewal process from 0 s on, with this coefficient of variation."""
    regular = variation**-2
    gaps = rng.gamma(regular, 1.0 / (regular * rate), int(seconds * rate * 2) + 20)
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    return times[times < seconds]


def _scatter(rng: np.random.Generator, spread: float, count: int) -> Samples:
    return np.exp(spread * rng.standard_normal(count))


def _spike(_seconds: float, _frequency: float | None, rng: np.random.Generator) -> Made:
    # a single bi- or triphasic potential below 20 ms: 12 widths are 3 to 10 ms
    return np.zeros(1), np.ones(1), np.array([rng.uniform(0.25e-3, 0.8e-3)]), int(rng.integers(1, 3)), None


def _burst(seconds: float, _frequency: float | None, rng: np.random.Generator) -> Made:
    # overlapping potentials of several units: irregular, 100 to 250 a second
    onset = _renewal(max(seconds - 4e-3, 8e-3), rng.uniform(100.0, 250.0), 0.7, rng)
    return onset, _scatter(rng, 0.5, len(onset)), rng.uniform(0.2e-3, 0.45e-3, len(onset)), 2, None


def _a_train(seconds: float, frequency: float | None, rng: np.random.Generator) -> Made:
    # 60 to 210 Hz; "monotonous": intervals vary by 2 to 6 %, sizes by 8 %, the frequency glides by up to 8 %
    rate = rng.uniform(60.0, 210.0) if frequency is None else frequency
    count = max(3, round(seconds * rate))
    glide = 1.0 + rng.uniform(-0.04, 0.04) * np.linspace(-1.0, 1.0, count)
    gaps = glide / rate * (1.0 + rng.uniform(0.02, 0.06) * rng.standard_normal(count))
    onset = np.concatenate([[0.0], np.cumsum(np.maximum(gaps, 0.5 / rate))])[:count]
    # from single potentials with pauses between them to a sinusoid, whose potentials fill the period
    width = rng.uniform(0.25e-3, max(0.3e-3, 0.1 / rate))
    found = (count - 1) / float(onset[-1])
    return (
        onset,
        1.0 + 0.08 * rng.standard_normal(count),
        np.full(count, width),
        int(rng.integers(1, 3)),
        found,
    )


def _b_train(seconds: float, frequency: float | None, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Onsets and sizes of the elements: 2.5 to 10 a second, regular or not, growing at first."""
    rate = rng.uniform(4.0, 10.0) if frequency is None else frequency
    onset = _renewal(seconds, rate, rng.uniform(0.3, 0.5), rng)
    gaps = np.clip(np.diff(onset), 0.06, 0.45)  # s; the class allows 0.5 s between elements
    onset = np.concatenate([[0.0], np.cumsum(gaps)])
    growth = np.minimum(1.0, 0.4 + 3.0 * np.arange(len(onset)) / len(onset))
    return onset, growth * _scatter(rng, 0.25, len(onset))


def _b_train_spikes(seconds: float, frequency: float | None, rng: np.random.Generator) -> Made:
    onset, size = _b_train(seconds, frequency, rng)
    rate = (len(onset) - 1) / float(onset[-1]) if len(onset) > 1 else None
    return onset, size, np.full(len(onset), rng.uniform(0.25e-3, 0.5e-3)), 2, rate


def _b_train_bursts(seconds: float, frequency: float | None, rng: np.random.Generator) -> Made:
    rate = rng.uniform(2.5, 4.5) if frequency is None else frequency  # 1/s
    starts, sizes = _b_train(seconds, rate, rng)
    starts = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(starts), 0.16))])
    onset, size, width = [], [], []
    for start, relative in zip(starts, sizes, strict=True):
        own, scale, wide, _, _ = _burst(rng.uniform(0.035, 0.1), None, rng)
        onset.append(own + start)
        size.append(scale * relative)
        width.append(wide)
    found = (len(starts) - 1) / float(starts[-1]) if len(starts) > 1 else None
    return np.concatenate(onset), np.concatenate(size), np.concatenate(width), 2, found


def _c_train(seconds: float, _frequency: float | None, rng: np.random.Generator) -> Made:
    # an interference pattern: several units at once, potentials that overlap without a pattern
    onset = _renewal(seconds, rng.uniform(150.0, 350.0), 0.9, rng)
    return onset, _scatter(rng, 0.6, len(onset)), rng.uniform(0.2e-3, 0.5e-3, len(onset)), 2, None


def _tonic(seconds: float, frequency: float | None, rng: np.random.Generator) -> Made:
    # one unit, 6 to 20 discharges a second, intervals that vary by 8 to 15 %
    rate = rng.uniform(6.0, 20.0) if frequency is None else frequency
    onset = _renewal(seconds, rate, rng.uniform(0.08, 0.15), rng)
    found = (len(onset) - 1) / float(onset[-1]) if len(onset) > 1 else None
    size = 1.0 + 0.05 * rng.standard_normal(len(onset))
    return onset, size, np.full(len(onset), rng.uniform(0.25e-3, 0.5e-3)), 2, found


_MAKERS: dict[str, Callable[[float, float | None, np.random.Generator], Made]] = {
    "spike": _spike,
    "burst": _burst,
    "a_train": _a_train,
    "b_train_spikes": _b_train_spikes,
    "b_train_bursts": _b_train_bursts,
    "c_train": _c_train,
    "tonic": _tonic,
}
