"""What `ionm.filters.line_noise` believes of mains, hum and noise, and how a window corrects it.

The compiled canceller gives the same bits, so everything is in a fixed order: sums run over
channels and harmonics from the first to the last; sines, logarithms and exponentials are the C
library's. Numbers with a dimension are in V, s, Hz and turns (cycles of the fundamental).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionm.stream import Flags, Samples

# the mains as a clock; general knowledge where no source stands
OFFSET = 0.25  # Hz, how far the frequency is expected from its nominal value (grids keep within 0.2 Hz)
SLOPE = 0.005  # Hz/s, how fast it is expected to change
JERK = 3e-6  # Hz^2/s^3, density of the slope's random walk: best of 1e-9 to 1e-5 on simulated grids
SURPRISE = 16.0  # squared standard errors (4 of them) that a phase may be off before it is a surprise
WRAP = 1 / 64  # squared turns (1/8) up to which a harmonic's own phase is unambiguous

# the hum of one channel at one harmonic; our choices
WANDER = 5e-4  # relative change in a second, so that a quarter of an hour may change it by 1.5 %
FIRST = 8  # windows before anything is taken away, and that a late channel averages
LOCK = 0.05  # Hz of uncertainty below which windows may be averaged for longer than SHORT
SHORT = 4  # windows of memory until then
ON, OFF = 25.0, 8.0  # times its variance that hum's size squared must exceed: to be taken away, to stay so
EARLY = 16  # windows during which the noise is little known
OUTLIER = 9.0  # times the noise's variance beyond which a window counts for less
LEEWAY = 400.0  # times the amplitude's own variance that it may be off besides, without being an outlier
CHANGE = 20.0  # times its variance beyond which the mean of the last deviations is a change of the hum
LAST = 32  # windows of that mean
RECENT, LONG = 8, 64  # windows of the noise's two memories
FALL, RISE = (
    2.5,
    1.5,
)  # differences of their logarithms (low values scatter more) at which the long begins anew
FLOOR = 1e-24  # V^2, noise that no amplifier falls below
EULER = 0.5772156649015329  # what the mean logarithm of an exponential variable falls short by
TINY = 1e-300  # keeps a quotient of two zeros finite


@dataclass(slots=True)
class Clock:
    """Phase (turns), frequency (Hz) and slope (Hz/s) of the mains with their covariance.

    The state is that at the begin of the next tile. A phase that was measured ``age`` seconds ago
    corrects it as in any Kalman filter.
    """

    frequency: float
    phase: float = 0.0
    slope: float = 0.0
    p11: float = 1e-12
    p12: float = 0.0
    p13: float = 0.0
    p22: float = OFFSET * OFFSET
    p23: float = 0.0
    p33: float = SLOPE * SLOPE
    surprises: int = 0
    last: float = 0.0

    def advance(self, dt: float) -> None:
        """Let the state go on by ``dt``."""
        self.phase += self.frequency * dt + 0.5 * self.slope * dt * dt
        self.phase -= math.floor(self.phase)
        self.frequency += self.slope * dt

    def forget(self, dt: float) -> None:
        """Let the covariance grow by ``dt``."""
        square = dt * dt
        cube = square * dt
        self.p11 = (
            self.p11
            + 2.0 * dt * self.p12
            + square * (self.p13 + self.p22)
            + cube * self.p23
            + 0.25 * square * square * self.p33
            + JERK * square * cube / 20.0
        )
        self.p12 = (
            self.p12
            + dt * (self.p22 + self.p13)
            + 1.5 * square * self.p23
            + 0.5 * cube * self.p33
            + JERK * square * square / 8.0
        )
        self.p13 = self.p13 + dt * self.p23 + 0.5 * square * self.p33 + JERK * cube / 6.0
        self.p22 = self.p22 + 2.0 * dt * self.p23 + square * self.p33 + JERK * cube / 3.0
        self.p23 = self.p23 + dt * self.p33 + 0.5 * JERK * square
        self.p33 = self.p33 + JERK * dt

    def prior(self, age: float) -> float:
        """Variance of the phase ``age`` seconds ago."""
        a, b = -age, 0.5 * age * age
        return (
            self.p11
            + 2.0 * a * self.p12
            + 2.0 * b * self.p13
            + a * a * self.p22
            + 2.0 * a * b * self.p23
            + b * b * self.p33
        )

    def correct(self, error: float, variance: float, age: float, dt: float) -> tuple[float, float]:
        """Take a measured phase error (turns); how far the state moved, and how far it should have been.

        A surprising error is bounded the first time. Comes another of the same sign, the phase has
        jumped; a third says that the frequency is wrong.
        """
        a, b = -age, 0.5 * age * age
        total = self.prior(age) + variance
        if error * error > SURPRISE * total:
            self.surprises = self.surprises + 1 if self.surprises and error * self.last > 0.0 else 1
            if self.surprises == 1:
                error = math.copysign(math.sqrt(SURPRISE * total), error)
            else:
                self.p11 += error * error
                if self.surprises > 2:
                    self.p22 += (error / dt) * (error / dt)
        else:
            self.surprises = 0
        g1 = self.p11 + a * self.p12 + b * self.p13
        g2 = self.p12 + a * self.p22 + b * self.p23
        g3 = self.p13 + a * self.p23 + b * self.p33
        total = g1 + a * g2 + b * g3 + variance
        k1, k2, k3 = g1 / total, g2 / total, g3 / total
        self.phase += k1 * error
        self.frequency += k2 * error
        self.slope += k3 * error
        self.p11 -= k1 * g1
        self.p12 -= k1 * g2
        self.p13 -= k1 * g3
        self.p22 -= k2 * g2
        self.p23 -= k2 * g3
        self.p33 -= k3 * g3
        self.last = error
        return k1 * error, error * (total - variance) / total


@dataclass(frozen=True, slots=True)
class Sight:
    """What one window shows: amplitudes (V) relative to the clock, shape (n_channels, n_harmonics).

    ``ok`` tells the channels of which every sample was one, ``leak`` what may have leaked in from
    other harmonics while the clock is not sure of its frequency (V^2), both of shape (n_channels, 1).
    """

    real: Samples
    imag: Samples
    ok: Flags
    leak: Samples

    def turned(self, turns: float) -> Sight:
        """As a clock that is ``turns`` ahead would have seen it."""
        c, s = math.cos(2.0 * math.pi * turns), math.sin(2.0 * math.pi * turns)
        x, y = np.empty_like(self.real), np.empty_like(self.imag)
        a, b = c, s
        for k in range(x.shape[1]):
            x[:, k] = self.real[:, k] * a + self.imag[:, k] * b
            y[:, k] = self.imag[:, k] * a - self.real[:, k] * b
            a, b = a * c - b * s, a * s + b * c
        return Sight(x, y, self.ok, self.leak)


@dataclass(slots=True)
class Noise:
    """What is known of everything but the hum, arrays of shape (n_channels, n_harmonics).

    Its variance in one window is half the mean square by which one window's amplitude differs from
    the last one's (``real``, ``imag``). It is followed as a logarithm, which no burst carries far:
    by a ``recent`` and a ``long`` memory. ``seen`` are the windows of each channel.
    """

    real: Samples
    imag: Samples
    recent: Samples
    long: Samples
    variance: Samples
    seen: NDArray[np.int64]

    @classmethod
    def unknown(cls, n_channels: int, n_harmonics: int) -> Noise:
        """Before any window."""
        a, b, c, d = np.zeros((4, n_channels, n_harmonics))
        certainly = np.ones((n_channels, n_harmonics))  # V^2: nothing is known
        return cls(a, b, c, d, certainly, np.zeros((n_channels, 1), dtype=np.int64))

    def follow(self, seen: Sight, moved: float) -> None:
        """Take one window; ``moved`` turns the clock goes ahead after it."""
        ok = seen.ok
        self.seen[ok] += 1
        x, y = seen.real - self.real, seen.imag - self.imag
        size = _each(math.log, (x * x + y * y) / 2.0 + FLOOR) + EULER
        use = ok & (self.seen >= 2)
        windows = np.maximum(self.seen - 1, 1)
        recent = self.recent + (size - self.recent) / np.minimum(windows, RECENT)
        long = self.long + (size - self.long) / np.minimum(windows, LONG)
        long = np.where((long - recent > FALL) | (recent - long > RISE), recent, long)
        self.recent = np.where(use, recent, self.recent)
        self.long = np.where(use, long, self.long)
        mean = np.zeros(ok.shape)
        for harmonic in range(x.shape[1]):
            mean = mean + self.long[:, harmonic : harmonic + 1]
        mean = mean / x.shape[1]
        believed = np.where(self.seen < EARLY, np.maximum(self.long, mean), self.long)
        self.variance = np.where(use, _each(math.exp, believed), self.variance)
        after = seen.turned(moved)
        self.real = np.where(ok, after.real, self.real)
        self.imag = np.where(ok, after.imag, self.imag)


@dataclass(slots=True)
class Hum:
    """What is believed of the hum, arrays of shape (n_channels, n_harmonics).

    Its complex amplitude (V) relative to the clock, the variance of that (V^2), the mean of the last
    deviations from it, and whether it is taken away. ``count`` are the windows of each channel.
    """

    real: Samples
    imag: Samples
    variance: Samples
    drift_real: Samples
    drift_imag: Samples
    taken: Flags
    count: NDArray[np.int64]

    @classmethod
    def unknown(cls, n_channels: int, n_harmonics: int) -> Hum:
        """Before any window."""
        a, b, c, d, e = np.zeros((5, n_channels, n_harmonics))
        taken = np.zeros((n_channels, n_harmonics), dtype=np.bool_)
        return cls(a, b, c, d, e, taken, np.zeros((n_channels, 1), dtype=np.int64))

    def size(self) -> Samples:
        """The amplitudes' squares, in V^2."""
        return self.real * self.real + self.imag * self.imag

    def phase(self, seen: Sight, noise: Samples, prior: float) -> tuple[float, float]:
        """The clock's error at the window's middle, in turns, and its information, in 1/turns^2.

        ``prior`` is the error's expected variance. Every amplitude counts by what it says beyond its
        own uncertainty, and only once its phase cannot be off by a whole turn of its own.
        """
        size = self.size()
        variance = self.variance + seen.leak
        sure = seen.ok & (self.count >= 2) & (size > 4.0 * variance)
        x, y = seen.real - self.real, seen.imag - self.imag
        spread = np.maximum(noise, (x * x + y * y) / OUTLIER) + seen.leak + variance
        share = (1.0 - 4.0 * variance / np.maximum(size, TINY)) / spread
        share = np.where(sure, share, 0.0)
        along = share * (self.real * seen.real + self.imag * seen.imag)
        across = share * (self.real * seen.imag - self.imag * seen.real)
        weight = share * size
        error = information = 0.0
        for k in range(size.shape[1]):
            near = turned = w = 0.0
            for channel in range(size.shape[0]):
                near += float(along[channel, k])
                turned += float(across[channel, k])
                w += float(weight[channel, k])
            order = float(k + 1)
            if w > 0.0 and order * order * prior < WRAP * (1.0 + prior * information):
                turn = math.atan2(turned, near) / (2.0 * math.pi * order)
                if information > 0.0:
                    turn += math.floor((error - turn) * order + 0.5) / order
                more = 2.0 * w * (2.0 * math.pi * order) * (2.0 * math.pi * order)
                information += more
                error += more * (turn - error) / information
        return error, information

    def correct(self, seen: Sight, noise: Noise, dt: float, *, locked: bool) -> None:
        """Correct every amplitude by what was seen of it, and decide what is taken away."""
        ok, variance = seen.ok, noise.variance
        self.count[ok] += 1
        x, y = seen.real - self.real, seen.imag - self.imag
        distance = x * x + y * y
        grown = self.variance + WANDER * WANDER * dt * self.size()
        spread = np.maximum(variance, distance / OUTLIER)
        clip = np.minimum(1.0, np.sqrt((OUTLIER * variance + LEEWAY * grown) / np.maximum(distance, TINY)))
        drift_x = self.drift_real + (clip * x - self.drift_real) / LAST
        drift_y = self.drift_imag + (clip * y - self.drift_imag) / LAST
        # the mean's variance: of an exponential mean of n, 1 / (2 n - 1)
        limit = CHANGE * (variance / (2.0 * LAST - 1.0) + grown)
        followed = ok & (self.count > FIRST) if locked else np.zeros_like(ok)
        changed = followed & (drift_x * drift_x + drift_y * drift_y > limit)
        steady = followed & ~changed
        self.drift_real = np.where(ok, np.where(steady, drift_x, 0.0), self.drift_real)
        self.drift_imag = np.where(ok, np.where(steady, drift_y, 0.0), self.drift_imag)

        windows = np.maximum(self.count, 1).astype(np.float64)
        mean = 1.0 / (windows if locked else np.minimum(windows, float(SHORT)))
        gain = np.where(changed, 1.0, np.where(steady, grown / (grown + spread), mean))
        averaged = np.where(self.count == 1, distance, spread * mean)
        left = np.where(changed, spread, np.where(steady, (1.0 - gain) * grown, averaged))
        self.real = np.where(ok, self.real + gain * x, self.real)
        self.imag = np.where(ok, self.imag + gain * y, self.imag)
        self.variance = np.where(ok, left, grown)

        known = np.maximum(noise.seen, 1)
        least = np.where(self.taken, OFF, ON * (1.0 + EARLY / known)) * (self.variance + seen.leak)
        self.taken = (self.count >= FIRST) & (self.size() > least)


def _each(function: object, values: Samples) -> Samples:
    """A function of the C library, of every value: numpy's own may differ in the last bit."""
    return np.array([function(v) for v in values.ravel().tolist()]).reshape(values.shape)  # type: ignore[operator]
