"""Backgrounds to find responses in: what a muscle's channel carries when nobody stimulates.

Each is a `Background` whose ``raw`` gives continuous samples before any filter. Its scale means nothing:
whoever uses it brings the RMS behind the protocol's filter to a wanted value, so that the ratio of a response
(noise-free peak to peak over that RMS) is the same thing everywhere. Where something loud comes and goes (a
spasm, a drill), the samples with it are labelled and do not count for the RMS.

The real ones are the open recordings that the project shares (IONM_SHARED_DATA names their folder; their
README gives origin and licence): three needle EMG records of 12.7, 37.0 and 27.6 s, brought from 4 to the
wanted rate by `scipy.signal.resample_poly`. The sweeps of the rodent nerve and of the human H-reflex hold at
most 14 ms in a row that is free of a response, far less than a sweep, so they only give surrogates: an
autoregressive model of those stretches, driven by its own residuals drawn at random.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from ionm.simulate import Drift, Interference, Mains, MotorUnits
from ionm.simulate.emg import spasm
from ionm.simulate.seeds import generator
from ionm.simulate.waves import trains
from ionm.sources.sweeps import SweepTable

Samples = NDArray[np.float64]
Flags = NDArray[np.bool_]
Raw = Callable[[int, int, float, int], tuple[Samples, Flags]]

DATA = Path(os.environ.get("IONM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Background:
    """One background.

    Parameters
    ----------
    name
        As tables name it.
    kind
        "simulated", "surrogate" or "real".
    raw
        ``raw(rows, n_samples, fs, seed)``: samples of shape (rows, n_samples) in any scale, and flags of the
        same shape, True where something loud is on. The rows of a real one are all the same stretch; the seed
        says where in the record it begins, and behind its end it goes on at its begin.
    seconds
        How much of it there is, in s; None for as much as one likes.
    """

    name: str
    kind: str
    raw: Raw
    seconds: float | None = None


def _plain(data: Samples) -> tuple[Samples, Flags]:
    return data, np.zeros(data.shape, bool)


def _white(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    del fs
    return _plain(generator(seed, "white").standard_normal((rows, n)))


def _pink(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """Power falls with the frequency, from 1 Hz on."""
    length = next_fast_len(n, real=True)
    spectrum = rfft(generator(seed, "pink").standard_normal((rows, length)))
    spectrum *= 1 / np.sqrt(np.maximum(rfftfreq(length, 1 / fs), 1.0))
    return _plain(irfft(spectrum, length)[:, :n])


def _dense(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """The simulator's interference pattern, 20 to 500 Hz."""
    blocks = [Interference(1.0).block(fs, seed, f"row {row}", 0, n) for row in range(rows)]
    return _plain(np.array(blocks))


def _sparse(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """The simulator's four motor units, above an amplifier's noise."""
    out = 1.3e-6 * generator(seed, "white").standard_normal((rows, n))  # V: 30 nV per root Hz to 2 kHz
    for row in range(rows):
        for train in trains([MotorUnits().volleys(n / fs, seed, f"row {row}")]):
            train.add_to(out[row], fs, 0)
    return _plain(out)


def _heavy(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """Student's t with three degrees of freedom: normal over the root of a chi-squared."""
    del fs
    rng = generator(seed, "heavy")
    chi = rng.standard_gamma(1.5, (rows, n))
    return _plain(rng.standard_normal((rows, n)) / np.sqrt(chi))


def _hum(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """White noise and the simulator's mains, of twice its RMS."""
    out = generator(seed, "white").standard_normal((rows, n))
    times = np.arange(n) / fs
    out += Mains(size=2 * np.sqrt(2 * 2000 / (fs / 2))).at(
        times, seed, tuple(f"row {row}" for row in range(rows))
    )
    return _plain(out)


def _drift(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """White noise and the simulator's drift, of a hundred times its RMS."""
    out = generator(seed, "white").standard_normal((rows, n))
    times = np.arange(n) / fs
    for row in range(rows):
        out[row] += Drift(size=100.0).at(times, seed, f"row {row}")
    return _plain(out)


def _stretches(rng: np.random.Generator, seconds: float, off: float, on: float) -> list[tuple[float, float]]:
    """Begin and end of stretches of ``on`` s on average, after ``off`` s without, on average."""
    spans, now = [], float(rng.gamma(4.0, off / 4.0))
    while now < seconds:
        end = min(now + float(rng.gamma(4.0, on / 4.0)), seconds)
        spans.append((now, end))
        now = end + float(rng.gamma(4.0, off / 4.0))
    return spans


def _labels(spans: list[tuple[float, float]], n: int, fs: float) -> Flags:
    loud = np.zeros(n, bool)
    for begin, end in spans:
        loud[int(begin * fs) : int(end * fs) + 1] = True
    return loud


def _spasms(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """White noise of 10 uV behind the filter and the simulator's spasms, 2 s on average after 8 s without."""
    rng = generator(seed, "spasm spans")
    out = 10e-6 * np.sqrt(fs / 2 / 2000) * rng.standard_normal((rows, n))
    spans = _stretches(rng, n / fs, 8.0, 2.0)
    for row, volleys in enumerate(spasm(spans, tuple(f"row {row}" for row in range(rows)), seed).values()):
        for train in trains([volleys]):
            train.add_to(out[row], fs, 0)
    return out, np.tile(_labels(spans, n, fs), (rows, 1))


def _drill(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """White noise and tones of 200 to 1000 Hz of three times its RMS that glide by up to a third a second."""
    rng = generator(seed, "drill")
    out = rng.standard_normal((rows, n))
    spans = _stretches(rng, n / fs, 6.0, 2.0)
    for begin, end in spans:
        first, last = int(begin * fs), int(end * fs)
        times = np.arange(last - first) / fs
        frequency, glide = rng.uniform(200.0, 1000.0), rng.uniform(-0.33, 0.33)
        phase = 2 * np.pi * frequency * (times + glide * times**2 / 2)
        envelope = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.05)  # 50 ms to start and to stop
        size = 3 * np.sqrt(2 * 2000 / (fs / 2)) * rng.uniform(0.5, 1.5, rows)
        shift = rng.uniform(0, 2 * np.pi, rows)
        out[:, first:last] += size[:, None] * envelope * np.sin(phase + shift[:, None])
    return out, np.tile(_labels(spans, n, fs), (rows, 1))


SIMULATED = (
    Background("white", "simulated", _white),
    Background("pink", "simulated", _pink),
    Background("dense EMG", "simulated", _dense),
    Background("sparse units", "simulated", _sparse),
    Background("heavy tails (t3)", "simulated", _heavy),
    Background("mains", "simulated", _hum),
    Background("drift", "simulated", _drift),
    Background("spasms", "simulated", _spasms),
    Background("drill tones", "simulated", _drill),
)


# real ones


def resampled(data: Samples, fs: float, wanted: float) -> Samples:
    """Samples at another rate (last axis)."""
    ratio = Fraction(wanted / fs).limit_denominator(1000)
    return signal.resample_poly(data, ratio.numerator, ratio.denominator, axis=-1)


@cache
def _needle(name: str) -> tuple[Samples, float]:
    """One record of the needle EMG collection, in uV, and its rate; WFDB's format 16, one signal."""
    header = (DATA / "emg_needle" / f"{name}.hea").read_text().splitlines()
    fs, n = (float(part) for part in header[0].split()[2:4])
    storage, gain = header[1].split()[1:3]
    per_unit, unit = gain.split("/")
    if storage != "16" or unit.lower() != "mv":
        raise SystemExit(f"{name}.hea: expected format 16 in mV, got {storage} in {unit}")
    counts = np.fromfile(DATA / "emg_needle" / f"{name}.dat", "<i2").astype(float)
    if counts.size != n:
        raise SystemExit(f"{name}.dat: expected {n:g} samples, got {counts.size}")
    return counts / float(per_unit) * 1e3, fs


def _needle_background(name: str) -> Background:
    data, native = _needle(name)

    def raw(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
        found = resampled(data, native, fs)
        found = np.roll(found, -round(seed * 0.382 * found.size) % found.size)  # each seed begins elsewhere
        if n > found.size:
            raise ValueError(f"{name}: has {found.size / fs:.1f} s, {n / fs:.1f} s were asked for")
        return _plain(np.tile(found[:n], (rows, 1)))

    return Background(f"needle, {name.removeprefix('emg_')}", "real", raw, data.size / native)


@cache
def table(name: str) -> tuple[Samples, Samples, Samples, float]:
    """A sweep table: sweeps (n_sweeps, n_samples) in uV, times in ms, strengths, rate in Hz."""
    loaded = SweepTable(DATA / name)
    fs = loaded.rows[0].fs
    segments, marks = loaded.segments(fs), loaded.annotations(fs)
    sweeps = [loaded.read([0], s.offset, s.offset + s.n_samples)[0] for s in segments]
    lead = marks[0][0] - segments[0].start
    strengths = [float(text.split("=")[1].split("/")[0]) for _, text in marks]
    times = (np.arange(len(sweeps[0])) - lead) / fs * 1e3
    return np.array(sweeps) * 1e6, times, np.array(strengths), fs


def _surrogate(title: str, name: str, first: float, last: float, order: int) -> Background:
    """From the stretches of a sweep table between two times in ms, lines taken away."""
    sweeps, times, _, native = table(name)
    inside = (times >= first) & (times < last)
    stretches = signal.detrend(sweeps[:, inside], axis=1)
    stretches = stretches[np.isfinite(stretches).all(axis=1)]
    past = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(s, order + 1)[:, ::-1] for s in stretches]
    )
    weights = np.linalg.lstsq(past[:, 1:], past[:, 0], rcond=None)[0]
    poles = np.roots([1.0, *-weights])
    denominator = np.real(np.poly(poles / np.maximum(1.0, np.abs(poles) / 0.99)))  # stable
    residuals = past[:, 0] - past[:, 1:] @ weights
    residuals -= residuals.mean()

    def raw(rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
        count = int(np.ceil(n * native / fs)) + 1000
        drawn = generator(seed, "surrogate", name).choice(residuals, (rows, count))
        made = signal.lfilter([1.0], denominator, drawn)[:, 500:]
        return _plain(np.ascontiguousarray(resampled(made, native, fs)[:, :n]))

    return Background(title, "surrogate", raw)


def needles() -> tuple[Background, ...]:
    """The three records of needle EMG; none where the shared data are not on this machine."""
    if not (DATA / "emg_needle").exists():
        return ()
    return tuple(_needle_background(f"emg_{name}") for name in ("healthy", "neuropathy", "myopathy"))


def surrogates() -> tuple[Background, ...]:
    """Endless stretches like the rodent's (80 x 1 ms, prestimulus) and the human's (41 x 14 ms, late)."""
    if not (DATA / "emg_late_response_rodent").exists():
        return ()
    return (
        _surrogate("like rodent", "emg_late_response_rodent/example_data_2.csv", -1.0, 0.0, 3),
        _surrogate("like human leg", "emg_mh_human/example-waveforms.csv", 46.0, 60.1, 8),
    )
