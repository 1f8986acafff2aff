"""Ongoing muscle activity: motor units firing on their own, and the spasm that fires all muscles at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal

from ionm.simulate.facial_nerve import scatter
from ionm.simulate.seeds import generator
from ionm.simulate.waves import Volleys
from ionm.stream import Samples


@dataclass(frozen=True, slots=True)
class MotorUnits:
    """Background EMG as a sum of motor-unit trains, each a renewal process with its own potential.

    The model is De Luca's (1979): independent gamma-distributed intervals, one constant potential
    per unit. The figures are general knowledge: 8 to 20 discharges/s at low effort, intervals with
    a coefficient of variation of 0.15 to 0.3, facial potentials of some 4 ms.

    Parameters
    ----------
    units
        How many fire; 0 for a silent muscle.
    size
        Mean peak-to-peak of a potential at the electrode, in V: small, since under anaesthesia the
        active units of a quiet muscle are few and far.
    rate
        Lowest and highest mean rate of a unit, in 1/s.
    variation
        Coefficient of variation of the intervals.

    References
    ----------
    De Luca CJ. Physiology and mathematics of myoelectric signals. IEEE Trans Biomed Eng
    1979;26:313-325.
    """

    units: int = 4
    size: float = 12e-6
    rate: tuple[float, float] = (8.0, 16.0)
    variation: float = 0.25

    def volleys(self, seconds: float, seed: int, muscle: str) -> Volleys:
        """Every discharge of one muscle in a case of this length."""
        onset, size, width = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
        for unit in range(self.units):
            rng = generator(seed, "motor units", muscle, unit)
            rate = rng.uniform(*self.rate)
            regular = self.variation**-2
            count = int(seconds * rate * 1.2) + 50
            times = np.cumsum(rng.gamma(regular, 1.0 / (regular * rate), count)) - rng.uniform(0, 1 / rate)
            times = times[(times > 0) & (times < seconds)]
            onset.append(times)
            size.append(np.full(len(times), self.size * float(scatter(rng, 0.7, 1)[0])))
            width.append(np.full(len(times), rng.uniform(0.18e-3, 0.35e-3)))  # s; 12 widths: 2 to 4 ms
        return _single(np.concatenate(onset), np.concatenate(size), np.concatenate(width), 2)


@dataclass(frozen=True, slots=True)
class Interference:
    """Background EMG as stationary Gaussian noise, 20 to 500 Hz: many units far away.

    Parameters
    ----------
    rms
        In V.
    """

    rms: float = 5e-6

    def block(self, fs: float, seed: int, muscle: str, number: int, length: int) -> Samples:
        """Samples of one block; the block before it is made again, so that any block stands alone.

        Parameters
        ----------
        fs
            In Hz.
        seed
            The case's seed.
        muscle
            Name.
        number
            Of the block.
        length
            Of every block, in samples; at least 0.5 s for the filter to settle.
        """
        numbers = [b for b in (number - 1, number) if b >= 0]
        white = [generator(seed, "interference", muscle, b).standard_normal(length) for b in numbers]
        sos = scipy.signal.butter(2, (20.0, 500.0), "bandpass", fs=fs, output="sos")
        impulse = np.zeros(round(fs / 2))
        impulse[0] = 1.0
        gain = np.sqrt(np.sum(scipy.signal.sosfilt(sos, impulse) ** 2))
        shaped: Samples = scipy.signal.sosfilt(sos, np.concatenate(white))[-length:] * (self.rms / gain)
        return shaped


def spasm(spans: list[tuple[float, float]], muscles: tuple[str, ...], seed: int) -> dict[str, Volleys]:
    """The discharges of a hemifacial spasm in every muscle of the side.

    Bursts of high-frequency discharges strike the muscles of all branches at the same moments (the
    published description; what the rates are is general knowledge: 4 to 8 bursts/s, 3 to 12
    discharges each at 150 to 350 Hz). A muscle takes part in four discharges of five, after its own
    constant conduction time and with its own size.

    Parameters
    ----------
    spans
        Begin and end of each spasm, in s.
    muscles
        Names.
    seed
        The case's seed.
    """
    common = generator(seed, "spasm")
    times = [np.zeros(0)]
    for begin, end in spans:
        burst = begin
        while True:
            burst += float(common.gamma(3.0, 1.0 / (3.0 * 6.0)))  # s: 6 bursts/s on average
            if burst >= end:
                break
            gaps = 1.0 / common.uniform(150.0, 350.0, int(common.integers(3, 13)))  # s
            discharges = burst + np.cumsum(gaps)
            times.append(discharges[discharges < end])
    events = np.concatenate(times)
    found = {}
    for muscle in muscles:
        rng = generator(seed, "spasm", muscle)
        delay = rng.uniform(0.0, 1.5e-3)  # s: the branches differ in length by centimetres
        size = rng.uniform(80e-6, 250e-6) * scatter(rng, 0.5, len(events))  # V; general knowledge
        size[rng.random(len(events)) < 0.2] = 0.0
        found[muscle] = _single(events + delay, size, np.full(len(events), 0.35e-3), 1)
    return found


def _single(onset: Samples, size: Samples, width: Samples, order: int) -> Volleys:
    """Responses of one volley each."""
    return Volleys(onset[:, None], size[:, None], width[:, None], (order,))
