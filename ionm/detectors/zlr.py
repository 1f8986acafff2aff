"""The Z-L response (ZLR): which current on an artery's wall makes which facial muscles answer, and how fast.

While an artery presses on the facial nerve, a weak current on its wall excites the nerve across the
contact (Zheng 2012, rat). Each sweep is judged by itself (`ionm.detectors.lsr`, with the window of the
protocol); here the sweeps under one current are taken together.

A muscle answers a current if at least half of its valid sweeps show a response, and two of them or
more. With the sweep's own chance of 1 % for a false response, two sweeps of noise both show one in one
of ten thousand muscles.

A current that spreads to the facial nerve itself gives a response of the same latency; nothing here
tells the two apart (general knowledge). The threshold is the hint: it is far lower on the nerve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ionm.events import Measurement

LEAST = 2
"""Responses that a current must at least have: one may be chance (our choice)."""

SHARE = 0.5
"""Share of the valid sweeps that must show a response (our choice: the threshold in the usual sense,
the current that is answered half of the time)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one muscle shows under one current.

    Parameters
    ----------
    muscle
        The channel.
    responses, sweeps
        Sweeps with a response, and all that could be judged.
    latency, earliest, latest
        Onset after the stimulus: median and range, in s; None without a response.
    amplitude
        Median of the responses, in V; None without one.
    """

    muscle: str
    responses: int
    sweeps: int
    latency: float | None
    earliest: float | None
    latest: float | None
    amplitude: float | None

    @property
    def present(self) -> bool:
        """Whether the muscle answers this current."""
        return self.responses >= LEAST and self.responses >= SHARE * self.sweeps

    @classmethod
    def of(cls, muscle: str, measurements: Iterable[Measurement]) -> Answer:
        """The sweeps of one muscle taken together; those that cannot be judged do not count."""
        valid = [m for m in measurements if m.present is not None]
        found = [m for m in valid if m.present]
        latencies = [m.latency for m in found if m.latency is not None]
        amplitudes = [m.amplitude for m in found if m.amplitude is not None]
        return cls(
            muscle,
            len(found),
            len(valid),
            median(latencies) if latencies else None,
            min(latencies, default=None),
            max(latencies, default=None),
            median(amplitudes) if amplitudes else None,
        )


@dataclass(frozen=True, slots=True)
class Current:
    """What one current brought, in mA; None if the marks do not say it."""

    ma: float | None
    answers: tuple[Answer, ...]

    @property
    def muscles(self) -> tuple[str, ...]:
        """The muscles that answer."""
        return tuple(answer.muscle for answer in self.answers if answer.present)

    @property
    def best(self) -> Answer | None:
        """The answer of the muscle that answers most often; None if none does."""
        present = [answer for answer in self.answers if answer.present]
        return max(present, key=lambda answer: answer.responses / answer.sweeps, default=None)

    @classmethod
    def of(cls, ma: float | None, measured: Mapping[str, Sequence[Measurement]]) -> Current:
        """From the measurements of each muscle."""
        return cls(ma, tuple(Answer.of(muscle, found) for muscle, found in measured.items()))


def threshold(currents: Iterable[Current]) -> Current | None:
    """The lowest current that some muscle answers; None if none is answered."""
    answered = [current for current in currents if current.muscles]
    return min(answered, key=lambda c: float("inf") if c.ma is None else c.ma, default=None)
