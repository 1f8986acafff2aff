"""What facial muscles answer to a stimulus of a facial branch: M-wave, F-wave and lateral spread.

Every kind of response is a frozen description with ``volleys(level, rng)``: one response for each
entry of ``level``, with its onsets counted from the stimulus in s. ``level`` is the fraction of the
motor units that answer (recruitment, relaxant and, for the lateral spread, its scripted gain); at 0
there is no response. Each call draws the same count of random numbers whatever the levels are, so a
case with a lost response has the noise of the case without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.simulate.waves import Volleys
from ionm.stream import Samples


def scatter(rng: np.random.Generator, variation: float, count: int) -> Samples:
    """Factors of mean 1 around 1: log-normal with this coefficient of variation."""
    sigma = np.sqrt(np.log1p(variation**2))
    factors: Samples = np.exp(sigma * rng.standard_normal(count) - sigma**2 / 2)
    return factors


@dataclass(frozen=True, slots=True)
class Recruitment:
    """Which fraction of a nerve's fibres a current excites: a Boltzmann curve (general knowledge).

    Parameters
    ----------
    half
        Current that excites half of them, in mA. Facial branches with needles: about 3 to 6 mA
        (general knowledge; cases are run at 5 to 25 mA).
    slope
        In mA: from 27 % to 73 % within two slopes.
    """

    half: float = 4.0
    slope: float = 0.6

    def level(self, ma: Samples) -> Samples:
        """The fraction for currents in mA."""
        return 1.0 / (1.0 + np.exp((self.half - ma) / self.slope))


@dataclass(frozen=True, slots=True)
class MWave:
    """The direct motor response of the stimulated branch's muscle: two phases and a slow tail.

    Parameters
    ----------
    latency
        Onset after the stimulus, in s. 1.5 to 4 ms for a distal branch (general knowledge); normal
        limits 3.9 ms temporal branch to Frontalis, 4.5 ms stylomastoid to nasolabial (Medeiros 1996).
    size
        Peak-to-peak of the two phases, in V; 0.3 to 3 mV with needles (general knowledge).
    width
        Of the action potential, in s: the negative phase lasts nearly three widths (1.5 to 3 ms,
        general knowledge).
    tail
        Slow positive after-potential as a fraction of ``size``: 5 %. The open human M-waves that the
        shape was compared with swing back by up to 14 %.
    tail_width
        In s; its peak lies three widths after the onset.
    variation
        Coefficient of variation of the size from one stimulus to the next (general knowledge).
    recruitment
        Against the current.
    """

    latency: float = 2.6e-3
    size: float = 1.5e-3
    width: float = 0.6e-3
    tail: float = 0.05
    tail_width: float = 2.5e-3
    variation: float = 0.03
    recruitment: Recruitment = Recruitment()

    def volleys(self, level: Samples, rng: np.random.Generator) -> Volleys:
        """One response per level."""
        size = self.size * level * scatter(rng, self.variation, len(level))
        return Volleys(
            np.full((len(level), 2), self.latency),
            np.column_stack([size, self.tail * size]),
            np.tile([self.width, self.tail_width], (len(level), 1)),
            (1, 0),
        )


@dataclass(frozen=True, slots=True)
class LateralSpread:
    """The lateral spread response: an early constant part of one or several waves, then after-discharges.

    The early part comes about 10 ms after the stimulus and hardly jitters; after it some motor
    axons go on firing at 250 to 350 Hz, differently each time (Ishikawa 1996; rates: general
    knowledge of the needle EMG in hemifacial spasm).

    Parameters
    ----------
    latency
        Onset of the first wave, in s: about 10 ms (Isu 1996, Ishikawa 1996).
    size
        Peak-to-peak of the first wave at baseline, in V: tens of uV to over 1 mV (general knowledge).
    width
        In s.
    waves
        1 for a monophasic (single-wave) response, more for a polyphasic one (Amano 2022 tells the
        two forms apart). Wave k is smaller by ``decay**k`` and turned over at random but constantly
        for the derivation (``form``).
    spacing
        Mean time from wave to wave, in s.
    decay
        Size of a wave relative to the one before it.
    jitter
        Standard deviation of the latency, in s.
    variation
        Coefficient of variation of the size.
    after_discharge
        Probability that a response is followed by after-discharges.
    form
        Seed of the polyphasic form.
    recruitment
        Against the current: the threshold lies above the M-wave's (general knowledge).
    """

    latency: float = 10.0e-3
    size: float = 250e-6
    width: float = 0.45e-3
    waves: int = 1
    spacing: float = 2.2e-3
    decay: float = 0.75
    jitter: float = 0.08e-3
    variation: float = 0.12
    after_discharge: float = 0.15
    form: int = 0
    recruitment: Recruitment = Recruitment(half=5.5, slope=0.8)

    def __post_init__(self) -> None:
        if self.waves < 1:
            raise ValueError(f"a lateral spread response has at least one wave, got waves={self.waves}")

    def volleys(self, level: Samples, rng: np.random.Generator) -> Volleys:
        """One response per level: ``waves`` early volleys, then up to five after-discharges."""
        n, late = len(level), 5
        form = np.random.default_rng(self.form)
        spacing = self.spacing * form.uniform(0.6, 1.4, self.waves)
        turned = np.where(form.random(self.waves) < 0.3, -1.0, 1.0)
        spacing[0], turned[0] = 0.0, 1.0
        onset = self.latency + np.cumsum(spacing)[None, :] + self.jitter * rng.standard_normal((n, 1))
        # later waves come over more of the short circuit and jitter among themselves
        onset[:, 1:] += self.jitter * rng.standard_normal((n, self.waves - 1))
        each = np.stack([scatter(rng, self.variation, n) for _ in range(self.waves)], axis=1)
        size = self.size * level[:, None] * each * turned * self.decay ** np.arange(self.waves)

        interval = 1.0 / rng.uniform(250.0, 350.0, (n, late))  # s, from 250-350 Hz
        count = np.where(rng.random(n) < self.after_discharge, rng.integers(1, late + 1, n), 0)
        again = np.where(np.arange(late)[None, :] < count[:, None], rng.uniform(0.15, 0.6, (n, late)), 0.0)
        # single axons' discharges: they are lost together with the response that starts them
        again *= self.size * np.minimum(level, 1.0)[:, None]
        after = onset[:, -1:] + np.cumsum(interval, axis=1)
        return Volleys(
            np.hstack([onset, after]),
            np.hstack([size, again]),
            np.full((n, self.waves + late), self.width),
            (1,) * (self.waves + late),
        )


@dataclass(frozen=True, slots=True)
class FWave:
    """The recurrent discharge of a few motor neurons, in the stimulated branch's own muscle only.

    Latencies from mentalis-region norms (F norms 2018): earliest 8.97 ms, spread 0.80 ms.

    Parameters
    ----------
    latency
        Earliest onset, in s.
    spread
        Chronodispersion: latest minus earliest onset, in s.
    size
        Mean peak-to-peak of one motor unit's discharge, in V (1 to 5 % of an M-wave, general knowledge).
    width
        In s.
    persistence
        Fraction of stimuli with an F-wave; falls under anaesthesia, rises in hemifacial spasm
        (Ishikawa 1996).
    units
        Motor units of the pool that may answer, each with its own constant latency and size.
    form
        Seed of the pool.
    recruitment
        Against the current.
    """

    latency: float = 8.97e-3
    spread: float = 0.80e-3
    size: float = 25e-6
    width: float = 0.35e-3
    persistence: float = 0.5
    units: int = 8
    form: int = 0
    recruitment: Recruitment = Recruitment(half=5.0, slope=0.8)

    def volleys(self, level: Samples, rng: np.random.Generator) -> Volleys:
        """One response per level: each unit of the pool answers or not, all together with the persistence."""
        n = len(level)
        pool = np.random.default_rng(self.form)
        latency = self.latency + self.spread * np.sort(pool.random(self.units))
        size = self.size * scatter(pool, 0.5, self.units)
        alone = 1.0 - (1.0 - self.persistence) ** (1.0 / self.units)
        answers = rng.random((n, self.units)) < alone * np.minimum(level, 1.0)[:, None]
        jitter = 0.03e-3  # s, of a single axon (general knowledge)
        onset = latency + jitter * rng.standard_normal((n, self.units))
        return Volleys(
            onset,
            np.where(answers, size, 0.0) * np.minimum(level, 1.0)[:, None],
            np.full((n, self.units), self.width),
            (1,) * self.units,
        )


Response = MWave | LateralSpread | FWave
