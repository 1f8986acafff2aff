"""Responses to inject: shapes that ionm's simulator makes, and shapes that it does not make.

A `Bank` holds noise-free responses of one shape, drawn with a latency jitter and a scatter of their size and
placed as real ones are: anywhere within half a sample of the mark. Truths are those of `ionm.simulate.truth`:
onset where the response first reaches 5 % of its peak to peak.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from backgrounds import DATA, Samples, table
from scipy.interpolate import CubicSpline

from ionm.simulate import LateralSpread, measure
from ionm.simulate.facial_nerve import scatter
from ionm.simulate.seeds import generator

STEP = 10e-6  # s, of the fine grid
LENGTH = 0.05  # s after the mark
VARIETIES = tuple((jitter, variation) for jitter in (0.0, 0.1e-3, 0.2e-3) for variation in (0.0, 0.1, 0.3))
"""Latency jitter in s and coefficient of variation of the size."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Noise-free responses whose peak to peak is 1 V on average (before any scatter).

    Parameters
    ----------
    shape
        Name of the shape.
    jitter, variation
        Of the latency, in s, and of the size.
    data
        Shape (n_responses, n_samples), in V, from the mark on.
    size
        Shape (n_responses,): peak to peak, in V.
    onset
        Shape (n_responses,), in s after the stimulus.
    """

    shape: str
    jitter: float
    variation: float
    data: Samples
    size: Samples
    onset: Samples


@dataclass(frozen=True)
class Waveform:
    """A shape of its own: samples on the fine grid, beginning at its latency in s."""

    name: str
    wave: Samples
    latency: float

    def draw(self, count: int, fs: float, jitter: float, variation: float, rng: np.random.Generator) -> Bank:
        wave = self.wave / np.ptp(self.wave)
        grid = np.arange(wave.size) * STEP
        first = int(np.argmax(np.abs(wave) >= 0.05))
        onset = self.latency + grid[first] + jitter * rng.standard_normal(count)
        size = scatter(rng, variation, count) if variation else np.ones(count)
        beside = rng.uniform(-0.5, 0.5, count) / fs
        times = np.arange(round(LENGTH * fs)) / fs
        late = (onset - grid[first] + beside)[:, None]
        data = size[:, None] * np.interp(times[None, :] - late, grid, wave, left=0.0, right=0.0)
        return Bank(self.name, jitter, variation, data, size, onset)


@dataclass(frozen=True)
class Simulated:
    """A shape of ionm's own simulator, after-discharges included."""

    name: str
    form: dict[str, float | int]

    def draw(self, count: int, fs: float, jitter: float, variation: float, rng: np.random.Generator) -> Bank:
        mean = LateralSpread(size=1.0, jitter=0.0, variation=0.0, after_discharge=0.0, **self.form)
        scale = 1.0 / measure(mean.volleys(np.ones(1), rng))[0][0]
        spread = LateralSpread(size=scale, jitter=jitter, variation=variation, **self.form)
        volleys = spread.volleys(np.ones(count), rng)
        size, onset, _ = measure(volleys)
        beside = rng.uniform(-0.5, 0.5, count) / fs
        times = np.arange(round(LENGTH * fs)) / fs
        return Bank(self.name, jitter, variation, volleys.delayed(beside).at(times), size, onset)


Shape = Waveform | Simulated


def _smooth_ends(wave: Samples, taper: float) -> Samples:
    """Without the line between its ends, which fade over ``taper`` s."""
    wave = wave - np.linspace(wave[0], wave[-1], wave.size)
    n = round(taper / STEP)
    fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    wave[:n] *= fade
    wave[-n:] *= fade[::-1]
    return wave


def _measured(
    title: str, name: str, strengths: tuple[float, float], span: tuple[float, float], latency: float
) -> Waveform:
    """Average of a table's sweeps within strengths, between two times in ms."""
    sweeps, times, strength, _ = table(name)
    average = sweeps[(strength >= strengths[0]) & (strength <= strengths[1])].mean(axis=0)
    kept = np.isfinite(average)
    fine = np.arange(span[0], span[1], STEP * 1e3)
    return Waveform(title, _smooth_ends(CubicSpline(times[kept], average[kept])(fine), 0.4e-3), latency)


def _gamma_sine() -> Waveform:
    t = np.arange(0.0, 12e-3, STEP)
    return Waveform(
        "gamma-windowed sine", (t / 2e-3) ** 2 * np.exp(-t / 1.2e-3) * np.sin(2 * np.pi * 350 * t), 9.0e-3
    )


def _single_phase() -> Waveform:
    t = np.arange(0.0, 10e-3, STEP)
    return Waveform("one phase", (t / 1e-3) ** 3 * np.exp(-t / 0.5e-3), 10.0e-3)


@cache
def shapes() -> tuple[Shape, ...]:
    """All shapes; those measured in animals and men only where the shared data are on this machine."""
    own: tuple[Shape, ...] = (
        Simulated("simulated, one wave", {}),
        Simulated("simulated, narrow", {"width": 0.3e-3, "latency": 8.5e-3}),
        Simulated("simulated, wide", {"width": 0.7e-3, "latency": 11.0e-3}),
        Simulated("simulated, three waves", {"waves": 3, "form": 1}),
        Simulated("simulated, five waves", {"waves": 5, "form": 4, "decay": 0.9, "latency": 9.0e-3}),
        _gamma_sine(),
        _single_phase(),
    )
    if not (DATA / "emg_mh_human").exists():
        return own
    return (
        *own,
        _measured(
            "rodent, measured",
            "emg_late_response_rodent/example_data_2.csv",
            (0.42, 0.56),
            (2.0, 4.9),
            10.0e-3,
        ),
        _measured(
            "rodent 2, measured",
            "emg_late_response_rodent/example_data_3.csv",
            (0.63, 0.72),
            (2.25, 4.8),
            10.5e-3,
        ),
        _measured(
            "H-reflex, measured", "emg_mh_human/example-waveforms.csv", (3.0, 4.0), (31.5, 44.5), 8.5e-3
        ),
    )


Draw = Callable[[int], Bank]


@cache
def bank(shape: int, variety: int, fs: float, seed: int, count: int = 400) -> Bank:
    """Responses of one of `shapes` in one of `VARIETIES`."""
    jitter, variation = VARIETIES[variety % len(VARIETIES)]
    every = shapes()
    rng = generator(seed, "bank", shape % len(every), variety % len(VARIETIES))
    return every[shape % len(every)].draw(count, fs, jitter, variation, rng)
