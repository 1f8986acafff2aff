"""Many sweeps at once, without a case around them: noise-free responses and noise, apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.simulate.emg import Interference, MotorUnits
from ionm.simulate.facial_nerve import Response
from ionm.simulate.operating_room import Drift, Mains
from ionm.simulate.seeds import generator
from ionm.simulate.truth import measure
from ionm.simulate.waves import trains
from ionm.stream import Samples


@dataclass(frozen=True, slots=True, eq=False)
class ResponseSweeps:
    """Noise-free responses and their truth.

    Parameters
    ----------
    data
        Shape (n_sweeps, n_samples), in V.
    size
        Shape (n_sweeps,): peak-to-peak, in V; 0 where there is no response.
    onset, peak
        Shape (n_sweeps,), in s after the stimulus; nan where there is no response. See `measure`.
    """

    data: Samples
    size: Samples
    onset: Samples
    peak: Samples


def sweep_times(*, fs: float, pre: float, post: float) -> Samples:
    """Times of a sweep's samples after its mark, in s: ``-pre`` up to but without ``post``."""
    return np.arange(-round(pre * fs), round(post * fs)) / fs


def response_sweeps(
    response: Response, level: Samples, *, fs: float, pre: float, post: float, seed: int
) -> ResponseSweeps:
    """Noise-free sweeps of one kind of response, one for each level.

    Parameters
    ----------
    response
        An `MWave`, `LateralSpread` or `FWave`.
    level
        Shape (n_sweeps,): 1 for the full response, 0 for none.
    fs
        In Hz.
    pre, post
        Before and after the mark, in s.
    seed
        Of the responses' variation and of the place of each stimulus within half a sample of its mark.
    """
    volleys = response.volleys(level, generator(seed, "response sweeps"))
    size, onset, peak = measure(volleys)
    beside = generator(seed, "marks").uniform(-0.5, 0.5, len(level)) / fs
    data = volleys.delayed(beside).at(sweep_times(fs=fs, pre=pre, post=post))
    return ResponseSweeps(data, size, onset, peak)


def noise_sweeps(
    count: int,
    *,
    fs: float,
    pre: float,
    post: float,
    seed: int,
    white: float = 30e-9,
    background: MotorUnits | Interference | None = None,
    mains: Mains | None = None,
    drift: Drift | None = None,
    rate: float = 1.1,
) -> Samples:
    """Sweeps of noise alone, shape (n_sweeps, n_samples), in V.

    Parameters
    ----------
    count
        Number of sweeps.
    fs
        In Hz.
    pre, post
        Before and after the mark, in s.
    seed
        Of everything random.
    white
        White noise, in V per root Hz.
    background, mains, drift
        What else sounds; None for nothing.
    rate
        Of stimulation, in Hz: it sets where the sweeps lie in hum and drift. Background EMG is cut
        from an uninterrupted stretch instead.
    """
    times = sweep_times(fs=fs, pre=pre, post=post)
    shape = (count, len(times))
    out: Samples = generator(seed, "white sweeps").standard_normal(shape)
    out *= white * np.sqrt(fs / 2)
    if isinstance(background, MotorUnits):
        ongoing = np.zeros(out.size)
        for train in trains([background.volleys(out.size / fs, seed, "sweeps")]):
            train.add_to(ongoing, fs, 0)
        out += ongoing.reshape(shape)
    elif background is not None:
        length = max(out.size, round(fs))
        out += background.block(fs, seed, "sweeps", 0, length)[: out.size].reshape(shape)
    for row in range(count):
        moments = pre + row / rate + times
        if mains is not None:
            out[row] += mains.at(moments, seed, ("sweeps",))[0]
        if drift is not None:
            out[row] += drift.at(moments, seed, "sweeps")
    return out
