"""The auditory pathway's answer to a click: five waves, and what rate, level and temperature do to them.

A wave is a Gaussian peak followed by a Gaussian trough; all are exact functions of continuous time, so
a latency may lie between two samples. Sizes and latencies are those of an adult at 10 clicks/s, 80 dB
nHL and 37 degrees, supra-aural earphone: latencies I 1.65, III 3.80, V 5.66 ms (hearing.md 1.4 and
7.2, general knowledge), wave V 0.54 uV from peak to trough (hearing.md 5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ionm.stream import Samples

NAMES = ("I", "II", "III", "IV", "V")

USUAL_RATE, USUAL_LEVEL, USUAL_TEMPERATURE = 10.0, 80.0, 37.0  # 1/s, dB nHL, degrees C

RATE_SHIFT = {"I": 0.1e-3, "II": 0.2e-3, "III": 0.3e-3, "IV": 0.45e-3, "V": 0.5e-3}
"""Delay from 10 to 100 clicks/s, in s: wave V 0.5 ms (hearing.md 1.2); the earlier waves less (general
knowledge)."""

RATE_LOSS = {"I": 0.6, "II": 0.6, "III": 0.5, "IV": 0.4, "V": 0.35}
"""Loss of size from 10 to 100 clicks/s: wave V keeps 0.87 at 43.9/s (general knowledge, hearing.md 1.2)."""

LEVEL_SHIFT = 0.35e-3
"""Delay of all waves per 10 dB below the usual level, in s (0.3 to 0.4 ms, general knowledge)."""

LEVEL_LOSS = {"I": 0.30, "II": 0.25, "III": 0.22, "IV": 0.15, "V": 0.12}
"""Loss of size per 10 dB below the usual level: the early waves vanish first (general knowledge)."""

COLD_SHIFT = {"I": 0.04e-3, "II": 0.08e-3, "III": 0.12e-3, "IV": 0.18e-3, "V": 0.20e-3}
"""Delay per degree C below 37, in s: wave V 0.20 ms, I-V 0.16 ms (Science 1981;212:356)."""


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave: a peak and the trough behind it.

    Parameters
    ----------
    latency
        Of the peak, in s.
    size
        Height of the peak above zero, in V.
    width
        Standard deviation of the peak, in s.
    trough
        Depth of the trough relative to the peak.
    behind
        From the peak to the trough, in s.
    trough_width
        Standard deviation of the trough, in s.
    """

    latency: float
    size: float
    width: float
    trough: float
    behind: float
    trough_width: float

    def at(self, times: Samples, shift: float, gain: float) -> Samples:
        """The wave later by ``shift`` s and ``gain`` times as large, in V; ``times`` in s."""
        after = times - (self.latency + shift)
        peak = np.exp(-0.5 * (after / self.width) ** 2)
        trough = np.exp(-0.5 * ((after - self.behind) / self.trough_width) ** 2)
        return np.asarray(gain * self.size * (peak - self.trough * trough))


USUAL = {
    "I": Wave(1.65e-3, 0.20e-6, 0.17e-3, 0.55, 0.55e-3, 0.22e-3),
    "II": Wave(2.75e-3, 0.09e-6, 0.17e-3, 0.5, 0.45e-3, 0.20e-3),
    "III": Wave(3.80e-3, 0.20e-6, 0.20e-3, 0.60, 0.60e-3, 0.22e-3),
    "IV": Wave(4.95e-3, 0.12e-6, 0.22e-3, 0.0, 0.5e-3, 0.2e-3),
    "V": Wave(5.66e-3, 0.31e-6, 0.28e-3, 0.62, 1.05e-3, 0.42e-3),
}
"""Sizes from the middle of the norms (hearing.md 1.4), general knowledge."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Under what the ear is stimulated.

    Parameters
    ----------
    rate
        Clicks per s.
    level
        In dB nHL.
    temperature
        Of the brain, in degrees C.
    """

    rate: float = USUAL_RATE
    level: float = USUAL_LEVEL
    temperature: float = USUAL_TEMPERATURE

    def of(self, name: str) -> tuple[float, float]:
        """Shift (s) and gain of one wave against the usual condition."""
        faster = (self.rate - USUAL_RATE) / 90.0
        softer = (USUAL_LEVEL - self.level) / 10.0
        colder = USUAL_TEMPERATURE - self.temperature
        shift = RATE_SHIFT[name] * faster + LEVEL_SHIFT * softer + COLD_SHIFT[name] * colder
        gain = (1 - RATE_LOSS[name] * faster) * max(1 - LEVEL_LOSS[name] * softer, 0.0)
        return shift, max(gain, 0.0)


State = Mapping[str, tuple[float, float]]
"""Per wave its shift (s) and gain; a wave left out is as usual."""


@dataclass(frozen=True, slots=True)
class Baep:
    """A brainstem auditory evoked potential.

    Parameters
    ----------
    waves
        By name.
    tube
        Delay of the insert earphone's tube, in s: 0.8 to 1.0 ms (Van Campen 1992); 0 for none.
    pedestal
        Height of the slow wave on which IV and V ride, in V (general knowledge).
    """

    waves: Mapping[str, Wave] = field(default_factory=lambda: USUAL)
    tube: float = 0.9e-3
    pedestal: float = 0.16e-6

    def at(self, times: Samples, state: State) -> Samples:
        """The potential at times after the stimulus, in V; ``times`` in s, any shape."""
        own = times - self.tube
        out = np.zeros_like(own)
        for name, wave in self.waves.items():
            out += wave.at(own, *state.get(name, (0.0, 1.0)))
        shift, gain = state.get("V", (0.0, 1.0))
        # 1.6 ms: slow enough to be lost to a 100 Hz high-pass for the most part
        return out + gain * self.pedestal * np.exp(-0.5 * ((own - 5.4e-3 - shift) / 1.6e-3) ** 2)


def contralateral(baep: Baep) -> Baep:
    """What the other ear's electrode sees: I hardly, III smaller, IV and V apart (general knowledge)."""
    factors = {"I": (0.1, 0.0), "II": (0.8, 0.0), "III": (0.6, 0.0), "IV": (0.9, -0.1e-3), "V": (0.9, 0.1e-3)}
    changed = {
        name: Wave(
            wave.latency + factors[name][1],
            wave.size * factors[name][0],
            wave.width,
            wave.trough,
            wave.behind,
            wave.trough_width,
        )
        for name, wave in baep.waves.items()
    }
    return Baep(changed, baep.tube, baep.pedestal)
