"""The facial motor evoked potential: is it there, is it the nerve's, and how large, late, long and complex.

Transcranial stimulation of the face lies so close to the nerve that the current may excite it directly. So
a response counts as a motor evoked potential only if it begins more than 10 ms after the *first* pulse (Dong
2005, Baek 2018) and at least 3 ms later than the direct response to the *last* pulse (our margin: what the
central and nuclear way adds at least). The single-pulse control is not used: in hemifacial spasm a single
pulse evokes a true response on the spasm side in 74 % (Wilkinson & Kaufmann 2014).

Onset rule, time zero at the first pulse: the first swing beyond `high` times the background's SD that is part
of the response, followed back to where the trace last lay within `low` times the SD.

References
----------
Dong CCJ et al. Clin Neurophysiol 2005;116:588. Baek SH et al. KJCLS 2018;50:470.
Wilkinson MF, Kaufmann AM. J Neurosurg 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.errors import SignalError
from ionm.stream import Flags, Samples


@dataclass(frozen=True, slots=True)
class Mep:
    """What one sweep shows; what is absent is None.

    Parameters
    ----------
    present
        Whether a motor evoked potential is there; None when it cannot be judged.
    amplitude
        Peak to peak, in V.
    onset
        After the first pulse, in s.
    area
        Of the rectified response, in V s.
    duration
        From onset to end, in s.
    turns
        Changes of direction by more than a tenth of the amplitude.
    direct
        A response that begins too early to be one, by its onset in s.
    noise
        SD of the background, in V.
    reason
        Why it cannot be judged: "saturation", "stimulus_artefact", "noise", "gap".
    """

    present: bool | None
    amplitude: float | None = None
    onset: float | None = None
    area: float | None = None
    duration: float | None = None
    turns: int | None = None
    direct: float | None = None
    noise: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FacialMep:
    """Settings of the measurement.

    Parameters
    ----------
    begin, end
        Where a response may begin and must be over, after the first pulse, in s. The onset lies at 11 to
        16 ms (general knowledge).
    earliest
        A motor evoked potential begins later than this after the first pulse, in s (Dong 2005, Baek 2018).
    later
        And this much later than the direct response after the last pulse, in s (our choice).
    direct
        Usual latency of the direct response after a pulse, in s: 4.5 ms from an intracranial stimulation
        of the nerve (magnetic FN study 1992); used when the case does not know its own.
    background
        Length of the prestimulus stretch that gives the noise, in s.
    high, low
        Multiples of the background's SD: a response passes ``high``, its onset is where it leaves ``low``.
        Noise alone passes 5 once in a million samples; 2.5 is left by the reference onsets of 202 open MEPs.
    least
        Smallest amplitude, in V: what is smaller is lost in a needle's own noise (general knowledge).
    pause
        Longest pause inside a response, in s: between the phases of polyphasic ones (our choice).
    noisiest
        SD of a background beyond which nothing is judged, in V: that of dense EMG (general knowledge).
    """

    begin: float = 5e-3
    end: float = 60e-3
    earliest: float = 10e-3
    later: float = 3e-3
    direct: float = 4.5e-3
    background: float = 40e-3
    high: float = 5.0
    low: float = 2.5
    least: float = 20e-6
    pause: float = 5e-3
    noisiest: float = 50e-6

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise ValueError(f"need 0 <= begin < end, got begin={self.begin:g} s, end={self.end:g} s")
        if not 0 < self.low <= self.high:
            raise ValueError(f"need 0 < low <= high, got low={self.low:g}, high={self.high:g}")

    def __call__(
        self, sweep: Samples, valid: Flags, zero: int, fs: float, *, last_pulse: float = 0.0,
        direct: float | None = None,
    ) -> Mep:  # fmt: skip
        """Measure one sweep.

        Parameters
        ----------
        sweep
            Shape (n_samples,), in V; the pulses masked or blanked.
        valid
            Same shape.
        zero
            Sample of the first pulse.
        fs
            In Hz.
        last_pulse
            Of the last pulse after the first, in s.
        direct
            The case's own latency of the direct response after a pulse, in s.

        Raises
        ------
        SignalError
            If the sweep is too short for the settings.
        """
        first, stop = zero + round(self.begin * fs), zero + round(self.end * fs)
        start = zero - round(self.background * fs)
        if start < 0 or stop > len(sweep):
            raise SignalError(
                f"expected a sweep from -{self.background:g} to {self.end:g} s, "
                f"got {-zero / fs:g} to {(len(sweep) - zero) / fs:g} s"
            )
        before = sweep[start:zero][valid[start:zero]]
        if len(before) < 0.5 * (zero - start) or not valid[first:stop].all():
            return Mep(None, reason="gap")
        middle = float(np.median(before))
        # by the median deviation where the SD is far more: a spontaneous potential is no noise
        robust, spread = 1.4826 * float(np.median(np.abs(before - middle))), float(np.std(before))
        noise = spread if spread <= 2.0 * robust else robust
        trace = sweep[first:stop] - middle
        size = np.abs(trace)
        reason = self._unfit(sweep[first:stop], size, spread, noise)
        if reason is not None:
            return Mep(None, noise=noise, reason=reason)
        return self._measure(trace, size, noise, fs, last_pulse + (self.direct if direct is None else direct))

    def _unfit(self, samples: Samples, size: Samples, spread: float, noise: float) -> str | None:
        """Why the sweep cannot be judged, if so."""
        largest = float(size.max())
        top = np.flatnonzero(size >= largest * (1.0 - 1e-9))
        if len(top) >= FLAT and np.ptp(samples[top[0] : top[0] + FLAT]) == 0.0 and largest > 0.0:
            return "saturation"
        if max(noise, 0.5 * spread) > self.noisiest:
            return "noise"
        # what is largest at the begin of the window and only decays began with the stimulus
        if size[0] > max(self.high * noise, self.least, 0.5 * largest):
            return "stimulus_artefact"
        return None

    def _measure(self, trace: Samples, size: Samples, noise: float, fs: float, direct: float) -> Mep:
        early: float | None = None
        for a, b in self._responses(size, noise, fs):
            onset = self.begin + self._crossing(size, a, self.low * noise) / fs
            part = trace[a:b]
            amplitude = float(part.max() - part.min())
            if amplitude < self.least:
                continue
            if onset <= self.earliest or onset < direct + self.later:
                early = onset if early is None else early
                continue
            area = float(np.sum(size[a:b])) / fs
            turns = _turns(part, 0.1 * amplitude)
            return Mep(
                present=True, amplitude=amplitude, onset=onset, area=area, duration=(b - a) / fs, turns=turns,
                direct=early, noise=noise,
            )  # fmt: skip
        return Mep(present=False, direct=early, noise=noise)

    def _responses(self, size: Samples, noise: float, fs: float) -> list[tuple[int, int]]:
        """Begin and end, in samples, of what passes the high limit."""
        above = np.flatnonzero(size > max(self.high * noise, 0.1 * self.least, SHARE * float(size.max())))
        if not len(above):
            return []
        breaks = np.flatnonzero(np.diff(above) > self.pause * fs)
        found = []
        for first, last in zip(
            above[np.r_[0, breaks + 1]], above[np.r_[breaks, len(above) - 1]], strict=True
        ):
            a, b = int(first), int(last)
            while a > 0 and size[a - 1] > self.low * noise:
                a -= 1
            while b < len(size) - 1 and size[b + 1] > self.low * noise:
                b += 1
            found.append((a, b + 1))
        return found

    def _crossing(self, size: Samples, first: int, limit: float) -> float:
        """Where, between two samples, the limit was passed."""
        if first == 0:
            return 0.0
        below, above = float(size[first - 1]), float(size[first])
        return first - (above - limit) / (above - below) if above > below else float(first)


SHARE = 0.03
"""Share of the largest swing below which a swing before it is drift of the background (our choice)."""

FLAT = 4
"""Samples of one value at the largest deflection that are no potential but a rail."""


def _turns(part: Samples, least: float) -> int:
    """How often a trace changes direction by more than ``least``."""
    turns, extreme, direction = 0, float(part[0]), 0
    for value in part.tolist():
        if (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            if direction == 0 and abs(value - extreme) > least:
                direction = 1 if value > extreme else -1
            if direction != 0:
                extreme = value
        elif abs(value - extreme) > least:
            turns, direction, extreme = turns + 1, -direction, value
    return turns
