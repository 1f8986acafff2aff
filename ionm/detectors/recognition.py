"""Whether the patient's own response is in a sweep: the template's match against its own background.

The match of the search window is set against that of stretches without a response, of this sweep and
of those before it, just as `ionm.detectors.lsr` does for a response of unknown form; both chances are
joined, so that a response that came back in another form is still seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from ionm.compiled import fastest
from ionm.detectors.background import MEMORY, TINY
from ionm.detectors.learning import learn, long_enough
from ionm.detectors.template import LAGS, STEP, Found, Matcher, Template, Trace, parabola
from ionm.events import Measurement
from ionm.quality import NullTail, bet
from ionm.stream import Samples

KNOWN = 0.9
"""Share of the false alarms that is granted to the template; the rest is for other forms (our choice)."""

ALIKE = 0.5
"""Share of a sweep's energy in the window that the template explains where its amplitude is the template's
(our choice: below it the response has another form, and is measured by itself)."""

OFFSET = 10.0
"""Added to a match before its chance is read off a Pareto tail. This is nearly an exponential one; matches in
white noise, dense EMG, sparse motor units and heavy tails fall off somewhat faster (our choice)."""

SHAPE = 0.05
"""Error of an amplitude read off a template because no two responses have quite the same shape, as a share
(our choice: that of polyphasic simulated responses)."""

SMALLEST = 0.1
"""Least that is remembered of a match: far below the middle."""

LEAST_SPREAD = 0.7
"""Smallest standard deviation of matches that is believed; in white noise it is about one."""

NULLS = 512
"""Stretches of background that are remembered: some twenty sweeps."""


class Recognition:
    """The template of one derivation with its memory: what its background looks like to the template.

    Parameters
    ----------
    template
        What is searched for.
    traces
        The sweeps from which it was learnt.
    alpha
        Chance of calling noise a response, per sweep.
    """

    def __init__(self, template: Template, traces: Sequence[Trace], alpha: float) -> None:
        self._template = template
        self._matcher = fastest(Matcher)(
            template.whitener,
            template.nuisance,
            template.shapes,
            template.costs,
            template.grid.reach.start,
            max(1, round(STEP / template.grid.bin)),
        )
        self._alpha = alpha
        self._null = fastest(NullTail)(NULLS)
        self._variances: deque[float] = deque(maxlen=MEMORY)
        self._past = 0.0
        self._middles: deque[float] = deque(maxlen=MEMORY)  # of the matches in the background
        self._spreads: deque[float] = deque(maxlen=MEMORY)
        ideal = _Ideal(template, traces)
        self.amplitude, self.onset, self.peak = ideal.amplitude, ideal.onset, ideal.peak
        self._onset_error, self._size_error = ideal.onset_error, ideal.amplitude_error
        near = float(template.shapes[len(template.lags) // 2] @ template.shapes[len(template.lags) // 2 + 1])
        self._curvature = math.sqrt(max(2 * (1 - near), 1e-6)) / template.grid.bin  # of a match of 1, in 1/s
        self._volts = [self.amplitude / (float(size) * template.scale) for size in template.sizes]
        self._first, self._bin = template.lags[0], template.grid.bin
        for trace in traces:
            self._match(trace)

    def judge(self, free: Measurement, trace: Trace, *, known: bool = False) -> Measurement:
        """One sweep's measurement by the template, joined with that of the template-free test.

        ``known``: the template was learnt from it, and its background is remembered already.
        """
        found = self._match(trace, remember=not known)
        noise, statistic = found.noise, found.statistic
        if noise <= TINY:
            return free
        best = found.best
        own = self._null.p_value(statistic + OFFSET)
        p_value = min(1.0, own / KNOWN, free.chance / (1 - KNOWN))
        lag, value = parabola(found.values, best)
        volts = self._volts[best]  # of one unit of match
        present = p_value < self._alpha
        alike = found.alike > ALIKE or value * volts > 0.5 * (free.amplitude or 0.0)
        amplitude = latency = peak_latency = amplitude_error = latency_error = None
        if present and free.present and not (own < self._alpha and alike):
            amplitude, latency, peak_latency = free.amplitude, free.latency, free.peak_latency
        elif present and value > 0:
            level = max(value / statistic, noise) if statistic > 0 else noise  # with what lies beside it
            later = (self._first + lag) * self._bin
            # the best of several lags is a little too large
            amplitude = value * math.sqrt(max(1 - (noise / value) ** 2, 0.25)) * volts
            amplitude_error = math.hypot(level * volts, self._size_error, SHAPE * amplitude)
            latency, peak_latency = self.onset + later, self.peak + later
            latency_error = math.hypot(min(level / (value * self._curvature), LAGS), self._onset_error)
        limit = max(self._null.threshold(self._alpha * KNOWN) - OFFSET, 1.0)
        return Measurement(
            present,
            amplitude,
            latency,
            peak_latency,
            statistic,
            p_value,
            noise * volts,
            limit * noise * volts,
            None,
            amplitude_error,
            latency_error,
            value * volts,
            # the form is this sweep's own, even where size and latency are read off the template
            free.area if present else None,
            free.duration if present else None,
            free.turns if present else None,
            trace=trace,
        )

    def unexpected(self, trace: Trace) -> float:
        """Chance of as good a match in noise alone."""
        found = self._match(trace)
        return self._null.p_value(found.statistic + OFFSET) if found.noise > TINY else 1.0

    def score(self, measurement: Measurement) -> float:
        """A sweep's match as a standard score: about standard normal without a response."""
        return self._standard(measurement.statistic or 0.0)

    def expected(self, amplitude: float, error: float) -> float:
        """The score of a response of this amplitude in a sweep where its error is this."""
        return self._standard(amplitude / error)

    def _standard(self, statistic: float) -> float:
        if not self._middles:
            return statistic
        middle = math.fsum(self._middles) / len(self._middles)
        return (statistic - middle) / max(math.fsum(self._spreads) / len(self._spreads), LEAST_SPREAD)

    def _match(self, trace: Trace, *, remember: bool = True) -> Found:
        """One trace; what it shows of the background is remembered."""
        found = self._matcher.read(trace.values, trace.background, self._past)
        if remember and found.variance is not None:
            self._null.extend([max(match + OFFSET, SMALLEST) for match in found.matches])
            ordered = sorted(found.matches)
            middle = ordered[len(ordered) // 2]
            self._middles.append(middle)
            self._spreads.append(ordered[(84 * len(ordered)) // 100] - middle)
            self._variances.extend((found.variance,) * (1 if self._variances else MEMORY))
            self._past = sorted(self._variances)[3 * MEMORY // 4]
        return found


def replicates(traces: Sequence[Trace], template: Template, alpha: float) -> float:
    """Evidence that sweeps hold a common response, as the logarithm of the odds against noise.

    Nothing is in common if the mean of the background is as large as that of the window: hum that is locked
    to the stimulus.

    A template learnt from every other sweep must find itself in those between, and the reverse. Each half
    is a test of its own, of bets that noise alone wins on average nothing (`ionm.quality.bet`); their
    mean is one, too.
    """
    length = template.grid.window.stop - template.grid.window.start
    quiet = [np.frombuffer(t.values)[slice(*t.background)] for t in traces if long_enough(t)]
    if np.ptp(template.response) < STANDS_OUT * _left(quiet, length, len(traces))[1]:
        return 0.0
    gains = []
    for known, asked in ((traces[::2], traces[1::2]), (traces[1::2], traces[::2])):
        own = learn(known)
        if own is None:
            return 0.0
        half = Recognition(own, known, alpha)
        chances = [half.unexpected(trace) for trace in asked]
        gains += [math.fsum(bet(chance, kappa) for chance in chances) for kappa in KAPPAS]
    most = max(gains)
    return most + math.log(math.fsum(math.exp(gain - most) for gain in gains) / len(gains))


STANDS_OUT = 1.3
"""How much larger than what averaging leaves of the background a common response must be (our choice: noise
alone exceeds it now and then, locked hum hardly)."""

KAPPAS = 0.25, 0.6, 0.85
"""Bets on responses that are clear, faint and very faint in a single sweep (our choice)."""


class _Ideal:
    """The response of the baseline at the full rate: the mean of the sweeps that hold it."""

    def __init__(self, template: Template, traces: Sequence[Trace]) -> None:
        grid = template.grid
        held = [(t, by) for t, by, hit in zip(traces, template.shifts, template.hits, strict=True) if hit]
        mean = np.mean([_cleaned(trace, by) for trace, by in held], axis=0)
        noise, swing = _left([_quiet(trace) for trace in traces if long_enough(trace)], mean.size, len(held))
        reach = max(REACH * noise, swing / 2)
        found = grid.course.shape(mean[None], 0, 0.0, None, (0.0,) * len(grid.tails), reach)
        fs = grid.size / grid.bin
        self.amplitude = math.sqrt(max(found.swing**2 - swing**2, 0.25 * found.swing**2))
        self.amplitude_error = math.sqrt(2) * reach / REACH  # of a difference of two turns
        self.onset, self.peak = grid.begin + found.onset / fs, grid.begin + found.peak / fs
        rise = max(found.peak - found.onset, 1.0) / fs
        slope = max(self.amplitude / 2, TINY) / rise
        self.onset_error = math.hypot(reach / 2 / slope, 1 / (fs * math.sqrt(12)))


REACH = 3.0
"""RMS of the mean's background that it seldom exceeds before a response (general knowledge: three sigma)."""


def _left(quiet: Sequence[Samples], length: int, count: int) -> tuple[float, float]:
    """What averaging ``count`` sweeps leaves of the background: RMS, and peak to peak in ``length``."""
    noise = float(np.sqrt(np.mean([np.var(row) for row in quiet]) / count))
    shortest = min(row.size for row in quiet)
    mean = np.mean([row[:shortest] for row in quiet], axis=0)
    swings = [np.ptp(mean[i : i + length]) for i in range(0, shortest - length + 1, length)]
    return noise, float(np.median(swings)) if swings else 2 * REACH * noise


def _cleaned(trace: Trace, shift: float) -> Samples:
    """A row at the full rate, brought to the template's latency, without what is not the response's."""
    grid = trace.grid
    columns = np.arange(grid.columns.start, grid.columns.stop)
    row = trace.data[trace.row, grid.columns] - trace.level
    if trace.copy is not None:
        other, share, level = trace.copy
        row = row - share * (trace.data[other, grid.columns] - level)
    for weight, decay in zip(trace.weights, grid.decays, strict=True):
        row = row - weight * decay
    moved: Samples = np.interp(columns + shift * grid.size, columns, row)
    return moved


def _quiet(trace: Trace) -> Samples:
    """The background of a row at the full rate."""
    first, stop = trace.background
    size = trace.grid.size
    return trace.data[trace.row, first * size : stop * size]
