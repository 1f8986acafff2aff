"""What an operating room adds to the channels: stimulus artefact, hum, cautery, loose electrodes, drift.

Each part is a frozen description. What is a function of time alone is computed from the time, so
that any block of a case can be made by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.simulate.seeds import generator
from ionm.stream import Samples


def _sines(times: Samples, rates: Samples, heights: Samples, phases: Samples) -> Samples:
    """A sum of sines no faster than 2 Hz, by straight lines between points 2 ms apart (within 2e-5)."""
    grid = np.arange(np.floor(times[0] * 500), np.ceil(times[-1] * 500) + 1) / 500
    total = np.zeros_like(grid)
    for rate, height, phase in zip(rates, heights, phases, strict=True):
        total += height * np.sin(2 * np.pi * rate * grid + phase)
    return np.interp(times, grid, total)


@dataclass(frozen=True, slots=True)
class StimulusArtefact:
    """A square pulse and the decaying tail behind it, proportional to the current.

    The pulse is the voltage gradient of the stimulus itself; the tail comes from the common-mode
    voltage, the coupling of the leads and the amplifier's high-pass (McGill 1982).

    Parameters
    ----------
    pulse
        Height of the pulse at 10 mA on the channel nearest to the stimulus, in V: saturating to
        several mV (general knowledge).
    width
        Of the pulse, in s.
    tails
        Pairs of height at 10 mA in V and time constant in s. Two of opposite sign give a
        biphasic decay.

    References
    ----------
    McGill KC, Cummins KL, Dorfman LJ, et al. On the nature and elimination of stimulus artifact in
    nerve signals evoked and recorded using surface electrodes. IEEE Trans Biomed Eng
    1982;29:129-137.
    """

    pulse: float = 5e-3
    width: float = 0.2e-3
    tails: tuple[tuple[float, float], ...] = ((1e-3, 0.5e-3),)

    @property
    def length(self) -> float:
        """Time after which every tail is below 1e-6 of its height, in s."""
        return self.width + max((14.0 * tau for _, tau in self.tails), default=0.0)

    def at(self, times: Samples) -> Samples:
        """The artefact of 10 mA at times after the stimulus, in V; ``times`` in s, any shape."""
        after = np.maximum(times - self.width, 0.0)
        tail = np.zeros_like(times)
        for height, tau in self.tails:
            tail += height * np.exp(-after / tau)
        return np.where(times < 0, 0.0, np.where(times < self.width, self.pulse, tail))


@dataclass(frozen=True, slots=True)
class Mains:
    """Hum with odd harmonics whose frequency wanders as a grid's does.

    Parameters
    ----------
    size
        Amplitude of the fundamental, in V; each channel has 0.5 to 1.5 of it.
    frequency
        In Hz.
    wander
        Standard deviation of the frequency, in Hz: 0.02, well inside the +-0.05 Hz that European
        grids call their standard range (general knowledge).
    harmonics
        Amplitudes of the 3rd, 5th and 7th relative to the fundamental.
    """

    size: float = 2e-6
    frequency: float = 50.0
    wander: float = 0.02
    harmonics: tuple[float, ...] = (0.35, 0.2, 0.1)

    def phase(self, times: Samples, seed: int) -> Samples:
        """Phase of the fundamental, in rad: the integral of a frequency that is a sum of slow sines."""
        rng = generator(seed, "mains")
        periods = np.array([17.0, 41.0, 113.0, 290.0])  # s, incommensurate
        starts = rng.uniform(0, 2 * np.pi, 4)
        # four sines of frequency, each of variance wander**2 / 4, integrated
        heights = self.wander / np.sqrt(2) * periods
        wandering = _sines(times, 1 / periods, heights, starts - np.pi / 2)
        return 2 * np.pi * self.frequency * times + rng.uniform(0, 2 * np.pi) + wandering

    def at(self, times: Samples, seed: int, channels: tuple[str, ...]) -> Samples:
        """Hum on some channels, shape (n_channels, n_times), in V; ``times`` in s."""
        wave = np.exp(1j * self.phase(times, seed))
        square = wave * wave
        waves = [wave]
        for _ in self.harmonics:
            waves.append(waves[-1] * square)
        hum = np.zeros((len(channels), len(times)))
        for row, channel in enumerate(channels):
            rng = generator(seed, "mains", channel)
            size = self.size * rng.uniform(0.5, 1.5)
            shifts = rng.uniform(-0.6, 0.6, len(waves))  # rad: the same field, other loops
            for harmonic, relative, shift in zip(waves, (1.0, *self.harmonics), shifts, strict=True):
                hum[row] += size * relative * (harmonic.imag * np.cos(shift) + harmonic.real * np.sin(shift))
        return hum


@dataclass(frozen=True, slots=True)
class Drift:
    """Slow wandering of the electrode potential: sines of 0.02 to 2 Hz, smaller the faster.

    Parameters
    ----------
    size
        Standard deviation, in V (tens to hundreds of uV, general knowledge).
    """

    size: float = 60e-6

    def at(self, times: Samples, seed: int, channel: str) -> Samples:
        """Drift on one channel, in V; ``times`` in s."""
        rng = generator(seed, "drift", channel)
        rates = 0.02 * 100.0 ** rng.random(12)  # Hz
        heights = 1.0 / rates
        heights *= np.sqrt(2.0) * self.size / np.sqrt(np.sum(heights**2))
        return _sines(times, rates, heights, rng.uniform(0, 2 * np.pi, 12))


def cautery(times: Samples, begin: float, end: float, *, left: float, rng: np.random.Generator) -> Samples:
    """Monopolar cautery: broadband noise beyond any amplifier's rails, then the amplifier's recovery.

    The sparks follow the mains, so the noise breathes at twice its frequency (general knowledge).

    Parameters
    ----------
    times
        In s.
    begin, end
        Of the cautery, in s.
    left
        Charge left at the end, in V: some mV of either sign.
    rng
        Draws one number per time.

    Returns
    -------
    Samples
        In V, to be added; recovers with 0.15 s (general knowledge) after the end.
    """
    during = (times >= begin) & (times < end)
    breath = 0.3 + np.abs(np.sin(2 * np.pi * 50.0 * times))
    noise = 15e-3 * breath * rng.standard_normal(len(times))  # V: clips +-10 mV half of the time
    after = np.where(times >= end, left * np.exp(-np.maximum(times - end, 0.0) / 0.15), 0.0)
    return np.where(during, noise, after)


def electrode_off(times: Samples, hum: Samples, kind: str, rng: np.random.Generator) -> Samples:
    """What a channel shows whose electrode has come off, in place of the muscle.

    Parameters
    ----------
    times
        In s.
    hum
        The channel's hum as a fraction of its fundamental, same shape.
    kind
        "mains": an open input picks up the mains, some mV. "flat": the inputs are shorted or the
        preamplifier is off, and only its own noise is left.
    rng
        Draws one number per time.
    """
    own = rng.standard_normal(len(times))
    if kind == "flat":
        return 0.3e-6 * own  # V
    return 2.5e-3 * hum + 40e-6 * own  # V


def movement(times: Samples, begin: float, size: float) -> Samples:
    """A tap or pull on an electrode: a fast step, a swing at 6 Hz and a decay of 0.25 s (general knowledge).

    Parameters
    ----------
    times
        In s.
    begin
        In s.
    size
        In V.
    """
    late = np.maximum(times - begin, 0.0)
    return size * (1 - np.exp(-late / 4e-3)) * np.cos(2 * np.pi * 6.0 * late) * np.exp(-late / 0.25)
