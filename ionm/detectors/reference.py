"""A baseline of an evoked potential: certified as a response, its waves found, ready to be followed.

Fmp and Hotelling's T2 must both call it a response, and wave V must be found above a noise that is
small against it; otherwise there is a reason instead of a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ionm.averaging import Average, Block
from ionm.detectors.following import Followed, Follower, Following, Learnt
from ionm.detectors.waves import Picking, Wave
from ionm.evidence import Verdict, fmp_verdict, hotelling, time_bins
from ionm.residual import autocovariance
from ionm.stream import Samples
from ionm.sweeps import Layout

BINS = 12
"""Time bins of Hotelling's T2: 16 were used for single sweeps (hearing.md 5.2); blocks are fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A certified baseline of one derivation.

    Parameters
    ----------
    average
        Free of the filter's delay, shape (n_samples,), in V.
    noise
        Its residual noise, in V.
    sweeps
        How many it holds.
    waves
        I, III and V, None where not found; V is there.
    fmp, t2
        Why it is a response.
    follower
        Compares an average with it.
    """

    average: Samples
    noise: float
    sweeps: int
    waves: Mapping[str, Wave | None]
    fmp: Verdict
    t2: Verdict
    follower: Follower = field(repr=False)

    def follow(self, average: Average) -> Mapping[str, Followed]:
        """Shift and gain of each wave that the baseline has, in an average free of the filter's delay."""
        return self.follower.follow(average.whole, average.noise)


@dataclass(frozen=True, slots=True)
class Certification:
    """What makes a baseline.

    Parameters
    ----------
    window
        Begin and end of the response after the stimulus, in s, tube included: 1 to 9 ms behind a tube of
        0.9 ms (hearing.md 5.2).
    clean
        Begin and end of what holds no artefact: there the halves of a block differ by noise only, in s.
    picking
        How waves are found.
    following
        How they will be followed.
    least
        Blocks needed: 64 of 11 sweeps are 16 s at 43.9/s, 57 nV at a sweep noise of 1.5 uV.
    alpha
        Chance that noise passes, for Fmp and for T2 (our choice: one in a thousand each).
    quiet
        Largest residual noise as a share of wave V: a tenth (hearing.md 0.5).
    """

    window: tuple[float, float] = (1.9e-3, 9.9e-3)
    clean: tuple[float, float] = (0.8e-3, 18.0e-3)
    picking: Picking = field(default_factory=Picking)
    following: Following = field(default_factory=Following)
    least: int = 64
    alpha: float = 0.001
    quiet: float = 0.1

    def __post_init__(self) -> None:
        if self.least < 2 * BINS:
            raise ValueError(f"need at least {2 * BINS} blocks for a baseline, got least={self.least}")

    def certify(self, blocks: Sequence[Block], layout: Layout) -> Reference | str:
        """A baseline from blocks, or the reason why they cannot be one.

        Parameters
        ----------
        blocks
            Free of the filter's delay, their variance that of such sweeps.
        layout
            Of the sweeps.
        """
        if len(blocks) < self.least:
            return f"only {len(blocks)} blocks of sweeps, need {self.least}"
        means = np.stack([block.mean for block in blocks])
        counts = np.array([sum(block.counts) for block in blocks], dtype=np.float64)
        weights = counts / np.array([block.variance for block in blocks])
        total = float(np.add.reduce(weights))
        average = np.add.reduce(means * (weights / total)[:, None], axis=0)
        noise, sweeps = 1 / math.sqrt(total), int(np.add.reduce(counts))
        window, clean = layout.columns(self.window), layout.columns(self.clean)
        differences = np.stack([block.difference / math.sqrt(block.variance) for block in blocks])[:, clean]
        fmp = fmp_verdict(average[window], noise, differences, sweeps)
        t2 = hotelling(time_bins(means[:, window], BINS))
        if fmp.p_value > self.alpha or t2.p_value > self.alpha:
            return (
                f"no response: chance of Fmp {fmp.statistic:.2f} is {fmp.p_value:.2g}, "
                f"of T2 (as F) {t2.statistic:.2f} {t2.p_value:.2g}"
            )
        covariance = autocovariance(differences, differences.shape[1])
        waves = self.picking.pick(average, noise, covariance, layout.zero, layout.fs)
        v = waves["V"]
        if v is None:
            return f"no wave V above a residual noise of {noise * 1e9:.0f} nV"
        if noise > self.quiet * v.amplitude:
            return (
                f"noise: {noise * 1e9:.0f} nV is more than {100 * self.quiet:g} % "
                f"of a wave V of {v.amplitude * 1e9:.0f} nV"
            )
        latencies = {name: wave.latency for name, wave in waves.items() if wave is not None}
        learnt = Learnt(average, noise, covariance, latencies, layout.zero, layout.fs)
        return Reference(average, noise, sweeps, waves, fmp, t2, self.following.learn(learnt))
