"""Follow known waves: by how much each is late and how large it is, against its own baseline.

The baseline average is cut, with soft edges, into one piece per wave. A new average is modelled as the
sum of these pieces, each with its own shift and gain, and an offset, in noise of the recording's own
covariance C (generalised least squares). With p(d) the product of the average with a piece shifted by
d, and e(d) the piece's energy, both after whitening and after the other waves are taken out::

    gain = p(d) / e(d)        support(d) = max(p(d), 0)**2 / e(d) / noise**2 - (d / prior)**2

The shift is where the support is largest. All shifts whose support is less by no more than a quantile
of chi-square lie in its confidence interval, so that a rival peak widens the interval instead of
misleading. The waves are taken in turn until they settle. Shift and gain per wave are unbiased where
the largest peak, peak-to-trough and the whole window's gain are not (hearing.md 5.3, 5.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ionm.errors import SetupError
from ionm.residual import toeplitz
from ionm.stream import Samples

QUANTILE = 2.706
"""Of chi-square with one degree of freedom: 90 % of intervals hold the truth, 5 % miss on either side."""

ROUNDS = 2
"""Turns through the waves: a third changes nothing that noise would not (tried by hand)."""

OFFSET = 10.0
"""Variance of the free offset relative to the noise's: large, so that it is free."""


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """How well every shift and gain of one wave explain an average.

    Parameters
    ----------
    shifts
        Those tried, in s.
    product, energy
        Of the average with the wave, and of the wave, at every shift, over the power of the noise.
    unlikely
        What a shift costs before anything was seen.
    """

    shifts: Samples
    product: Samples
    energy: Samples
    unlikely: Samples

    def largest(self, earliest: float, latest: float, smallest: float, largest: float) -> float:
        """Twice the logarithm of the best likelihood ratio against no wave, within limits.

        Parameters
        ----------
        earliest, latest
            Limits of the shift, in s; exact to half a step.
        smallest, largest
            Limits of the gain.
        """
        half = 0.5 * float(self.shifts[1] - self.shifts[0])
        first, last = np.searchsorted(self.shifts, (earliest - half, latest + half))
        part = slice(int(first), int(last))
        p, e = self.product[part], self.energy[part]
        gain = np.minimum(np.maximum(p / e, smallest), largest)
        return float((gain * (2 * p - gain * e) - self.unlikely[part]).max())


@dataclass(frozen=True, slots=True)
class Followed:
    """One wave in a new average, against the baseline.

    Parameters
    ----------
    shift
        Later than at baseline by this, in s.
    low, high
        Ends of the shift's 90 % interval, in s.
    gain
        Size relative to the baseline.
    gain_sd
        Standard deviation of the gain.
    statistic
        The wave over its noise: the largest normal deviate of all shifts.
    likelihood
        Of all shifts and gains.
    """

    shift: float
    low: float
    high: float
    gain: float
    gain_sd: float
    statistic: float
    likelihood: Likelihood = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What a baseline average teaches.

    Parameters
    ----------
    average
        Shape (n_samples,), in V.
    noise
        Its residual noise, in V.
    covariance
        Autocovariance of the noise, lag by lag, of any scale.
    latencies
        Of the waves found, in s after the stimulus, in order of time; one to three.
    zero
        Column of the stimulus.
    fs
        In Hz.
    """

    average: Samples
    noise: float
    covariance: Samples
    latencies: Mapping[str, float]
    zero: int
    fs: float


@dataclass(frozen=True, slots=True)
class Following:
    """Settings.

    Parameters
    ----------
    before, behind
        What is modelled begins so long before the first wave and ends so long behind the last, in s.
        The trough behind wave V and the largest shift lie within 4 ms (hearing.md 5.2 uses 1 to 9 ms).
    earlier, later
        Largest shifts searched, in s. A wave later by 2.5 ms, two and a half times critical, is lost to
        the eye as well (our choice).
    prior
        Standard deviation of the shifts thought likely before anything was seen, in s. It costs a far
        peak what noise must not give it for nothing, and pulls a shift of 1 ms known to 0.1 ms by 0.01 ms.
    closer
        How much shorter than at baseline the interval of two neighbours may become, and how near a wave
        may come to where the next one stood, in s: injuries make intervals longer, and without this a
        wave III is now and then taken for the wave V behind it.
    step
        Of the shifts tried, in s; the largest support is interpolated between them.
    rate
        Samples are thinned to this rate, in Hz: more than three times what a 3 kHz low-pass leaves.
    edge
        Length of a piece's soft edge, in s.
    floor
        White noise added to the covariance, as a share of its variance: what is known of the noise is
        not known so well that the quietest frequencies may decide. At 0.1 the latency stays within
        10 % of its bound, and a halved wave V reads 0.50 to 0.53 in noise of any colour (tried by hand).
    """

    before: float = 0.65e-3
    behind: float = 3.9e-3
    earlier: float = 0.8e-3
    later: float = 2.5e-3
    prior: float = 1.0e-3
    closer: float = 0.5e-3
    step: float = 0.05e-3
    rate: float = 10e3
    edge: float = 0.4e-3
    floor: float = 0.1

    def learn(self, baseline: Learnt) -> Follower:
        """A follower of the baseline's waves; `SetupError` if the average is too short for them."""
        return Follower(self, baseline)


class Follower:
    """The pieces of one baseline, whitened, at every shift.

    Attributes
    ----------
    names : tuple of str
        Of the waves, in order of time.
    """

    def __init__(self, spec: Following, baseline: Learnt) -> None:
        fs, waves = baseline.fs, tuple(baseline.latencies.values())
        if not 1 <= len(waves) <= 3:
            raise ValueError(
                f"need one to three waves to follow, got {', '.join(baseline.latencies) or 'none'}"
            )
        thin = max(1, int(fs / spec.rate))
        first = baseline.zero + round((waves[0] - spec.before) * fs)
        last = baseline.zero + round((waves[-1] + spec.behind) * fs)
        if first < 0 or last > len(baseline.average):
            raise SetupError(
                f"an average from {-baseline.zero / fs * 1e3:.1f} to "
                f"{(len(baseline.average) - baseline.zero) / fs * 1e3:.1f} ms does not hold the window from "
                f"{(first - baseline.zero) / fs * 1e3:.1f} to {(last - baseline.zero) / fs * 1e3:.1f} ms"
            )
        self.names = tuple(baseline.latencies)
        self._columns = slice(first, last, thin)
        count = len(range(first, last, thin))
        lags = np.zeros(count)
        known = baseline.covariance[: count * thin : thin] / baseline.covariance[0]
        lags[: len(known)] = known
        noise = toeplitz(lags)
        self._whiten = np.linalg.inv(np.linalg.cholesky(noise + spec.floor * np.eye(count) + OFFSET))
        left = self._whiten @ noise @ self._whiten.T  # of the noise, when whitened: the floor is not in it
        self._step = spec.step
        self._still, beyond = round(spec.earlier / spec.step), round(spec.later / spec.step)
        self.shifts: Samples = spec.step * np.arange(-self._still, beyond + 1, dtype=np.float64)
        self._closer = round(spec.closer / spec.step)
        # a wave never comes where the next one stood: it would explain that one away
        self._latest = [self._still + round((b - a) / spec.step) - self._closer for a, b in pairwise(waves)]
        self._unlikely = (self.shifts / spec.prior) ** 2
        times = (np.arange(len(baseline.average)) - baseline.zero) / fs
        at = times[self._columns]
        pieces, self._spread, self._excess = [], [], []
        for share in _shares(times, waves, spec.edge):
            whole = baseline.average * share
            piece = np.stack([np.interp(at - d, times, whole) for d in self.shifts]) @ self._whiten.T
            pieces.append(piece)
            still = piece[self._still]
            # what the floor made the energy promise too much or too little
            self._spread.append(float(still @ left @ still / (still @ still)))
            # what the baseline's own noise adds to the energy
            own = self._whiten * share[self._columns]
            self._excess.append(baseline.noise**2 * float(np.trace(own @ noise @ own.T)))
        self._pieces = np.array(pieces)  # (waves, shifts, samples)
        self._energy = [np.add.reduce(piece * piece, axis=1) for piece in pieces]
        self._cross = [[b @ a.T for b in pieces] for a in pieces]  # [wave][other][place of the other, shift]
        self._noise = baseline.noise

    def follow(self, average: Samples, noise: float) -> dict[str, Followed]:
        """Shift and gain of every wave in an average.

        Parameters
        ----------
        average
            Shape (n_samples,), as the baseline's, in V.
        noise
            Its residual noise, in V.
        """
        products = self.products(average)
        count = len(self.names)
        places = [self._still] * count
        # the baseline's noise is in the difference too
        variance = noise * noise + self._noise * self._noise
        found = {}
        for turn in range(ROUNDS):
            for wave in range(count):
                own, energy = self._alone(wave, places, products)
                power = variance * self._spread[wave]
                there = np.maximum(own, 0.0)
                support = there * there / (energy * power) - self._unlikely
                # no wave takes the place of its neighbour
                if wave > 0:
                    support[: max(places[wave - 1] - self._closer, 0)] = -np.inf
                if wave < count - 1:
                    support[min(places[wave + 1] + self._closer, self._latest[wave]) + 1 :] = -np.inf
                places[wave] = int(support.argmax())
                if turn == ROUNDS - 1:
                    found[self.names[wave]] = self._read(wave, own, energy, support, power)
        return found

    def products(self, average: Samples) -> Samples:
        """Every wave at every shift times an average: what `follow` needs of it, and linear in it."""
        x = np.add.reduce(self._whiten * average[self._columns], axis=1)
        return np.asarray(np.add.reduce(self._pieces * x, axis=2))

    def last(self, products: Samples, noise: float, at: Mapping[str, Followed]) -> Likelihood:
        """The likelihood of the last wave alone, the others taken out at known shifts.

        Parameters
        ----------
        products
            Of an average (`products`).
        noise
            Its residual noise, in V.
        at
            The waves as followed elsewhere; their shifts are used.
        """
        places = [self._still + round(at[name].shift / self._step) for name in self.names]
        wave = len(places) - 1
        own, energy = self._alone(wave, places, products)
        power = (noise * noise + self._noise * self._noise) * self._spread[wave]
        ratio = self._ratio(wave, float(energy[self._still]))
        return self._likelihood(own, energy, power, ratio)

    def _ratio(self, wave: int, energy: float) -> float:
        """What corrects a gain for the noise in the baseline's own energy."""
        # with a baseline of mostly noise the correction would divide by nothing
        return energy / max(energy - self._excess[wave], 0.25 * energy)

    def _likelihood(self, own: Samples, energy: Samples, power: float, ratio: float) -> Likelihood:
        return Likelihood(
            self.shifts, own / (ratio * power), energy / (ratio * ratio * power), self._unlikely
        )

    def _alone(self, wave: int, places: list[int], products: Samples) -> tuple[Samples, Samples]:
        """Product and energy of a wave at every shift, the others taken out where they are now."""
        own, energy = products[wave] + 0.0, self._energy[wave]
        first: tuple[int, Samples, float, float] | None = None
        for other in range(len(places)):
            if other == wave:
                continue
            at = places[other]
            across = self._cross[wave][other][at]
            product, left = float(products[other, at]), float(self._energy[other][at])
            if first is None:
                first = other, across, product, left
            else:  # freed of the first: Gram-Schmidt, for two others at most
                one, across_one, product_one, left_one = first
                share = float(self._cross[other][one][places[one], at]) / left_one
                across = across - share * across_one
                product -= share * product_one
                left -= share * share * left_one
            own = own - across * (product / left)
            energy = energy - across * across / left
        return own, energy

    def _read(self, wave: int, own: Samples, energy: Samples, support: Samples, variance: float) -> Followed:
        place = int(support.argmax())
        largest, offset = _vertex(support, place)
        level = min(largest - QUANTILE, float(support[place]))
        inside = np.flatnonzero(support >= level)
        here = float(energy[place])
        ratio = self._ratio(wave, here)
        return Followed(
            self._step * (place - self._still + offset),
            self._step * (_crossing(support, int(inside[0]), -1, level) - self._still),
            self._step * (_crossing(support, int(inside[-1]), 1, level) - self._still),
            ratio * max(float(own[place]), 0.0) / here,
            ratio * math.sqrt(variance / here),
            max(float(own[place]), 0.0) / math.sqrt(here * variance),
            self._likelihood(own, energy, variance, ratio),
        )


def _shares(times: Samples, latencies: tuple[float, ...], edge: float) -> list[Samples]:
    """Soft windows that add up to one, parted half-way between neighbouring waves."""
    rises = [
        np.sin(np.pi / 2 * np.clip((times - (a + b) / 2) / edge + 0.5, 0.0, 1.0)) ** 2
        for a, b in pairwise(latencies)
    ]
    opens, closes = [np.ones_like(times), *rises], [*rises, np.zeros_like(times)]
    return [a - b for a, b in zip(opens, closes, strict=True)]


def _vertex(values: Samples, place: int) -> tuple[float, float]:
    """Height and offset, in steps, of the parabola through a largest value and its neighbours."""
    if not 0 < place < len(values) - 1 or not np.isfinite(values[place - 1 : place + 2]).all():
        return float(values[place]), 0.0
    a, b, c = values[place - 1 : place + 2].tolist()
    curve = min(a - 2 * b + c, -1e-12)  # three equal values have no vertex of their own
    offset = 0.5 * (a - c) / curve
    return b - 0.25 * (a - c) * offset, offset


def _crossing(values: Samples, place: int, way: int, level: float) -> float:
    """Where, in steps from the start, the values fall below the level beyond ``place``."""
    if not 0 <= place + way < len(values):
        return float(place)
    inside, outside = float(values[place]), float(values[place + way])
    return place + way * (inside - level) / (inside - outside)
