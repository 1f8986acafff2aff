"""The course of one LSR against its baseline: its size now, what speaks for a change, its state.

`ionm.branch` says which sweeps may be judged; here they are judged.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from ionm.baseline import N_SWEEPS, Baseline, ValidSweep
from ionm.change import change_point
from ionm.detectors.lsr import Lsr
from ionm.detectors.recognition import Recognition
from ionm.detectors.template import Trace
from ionm.events import Measurement, StateChange
from ionm.states import GRADES, Loss, Outcome, Return, State, grade, score
from ionm.stream import Trigger

MODALITY = "lsr"
"""As events name it."""

NOISY = 0.5
"""Detection limit, as a share of the baseline, above which an absence could not be seen."""

QUIET = 0.4
"""The same below which it can be seen again (our choice: a fifth less, so that a hold does not flicker)."""

PATIENCE = 15
"""Sweeps over which the test for absence may gather evidence before the noise counts as too high for it (our
choice: seven seconds at two stimuli a second)."""

STEADY = 0.9
"""Share of the baseline's sweeps in which a steady LSR answers (our choice)."""

SAME_LATENCY = 2.5e-3
"""Largest change of onset latency of an LSR that returns, in s. Its early part is constant (Isu 1996,
Ishikawa 1996); our choice leaves room for a changed first phase."""

ELSEWHERE = 0.05
"""Smallest chance that a response at another latency is counted with: it needs some sixteen sweeps to be told
(our choice: onsets are misread now and then, and another stimulator's response is no return)."""

RECENT = 5
"""Valid sweeps whose median amplitude grades the state (design)."""

HISTORY = 64
"""Valid sweeps among which the moment of a change is looked for."""


class _Judged(NamedTuple):
    """A valid sweep under the baseline's stimulus: its score, what was expected of it, its amplitude."""

    trigger: int
    score: float
    expected: float
    size: float


class Tracking:
    """The course of one derivation's LSR.

    Parameters
    ----------
    derivation
        As events name it.
    test
        The template-free test.
    """

    def __init__(self, derivation: str, test: Lsr) -> None:
        self.baseline: Baseline | None = None
        self.state = State.UNKNOWN
        self.lost = False  # a loss was found and not stated
        self._derivation = derivation
        self._test = test
        self._template: Recognition | None = None
        self._loss: Loss | None = None
        self._return = Return()
        self._level: float | None = None  # the LSR's present amplitude, in V
        self._recent: deque[Measurement] = deque(maxlen=RECENT)  # under the baseline's stimulus
        self._levels: deque[float] = deque(maxlen=N_SWEEPS)  # amplitudes while the LSR was there
        self._limits: deque[float] = deque(maxlen=RECENT)
        self._history: deque[_Judged] = deque(maxlen=HISTORY)

    def measure(self, free: Measurement) -> Measurement:
        """A sweep by the patient's template, where there is one, joined with the template-free test."""
        if self._template is None or free.present is None or not isinstance(free.trace, Trace):
            return free
        return self._template.judge(free, free.trace)

    def percent(self, amplitude: float | None) -> float | None:
        """An amplitude in percent of the baseline's."""
        if self.baseline is None or self.baseline.amplitude is None or amplitude is None:
            return None
        return 100 * amplitude / self.baseline.amplitude

    def keep(self, measurement: Measurement) -> None:
        """Take a valid sweep under the baseline's stimulus for the medians."""
        self._recent.append(measurement)

    def hear(self, measurement: Measurement) -> None:
        """Take what a sweep says of the noise."""
        if measurement.detection_limit is not None:
            self._limits.append(measurement.detection_limit)

    def limit_percent(self, sweeps: int) -> float | None:
        """Detection limit of so many sweeps together, in percent of the baseline."""
        if not self._limits:
            return None
        return self.percent(median(self._limits) / math.sqrt(sweeps))

    def drowned(self, measurement: Measurement) -> bool:
        """Whether a response of half the baseline would be missed even in `PATIENCE` such sweeps."""
        limit = self.percent(measurement.detection_limit)
        return not measurement.present and limit is not None and limit > 100 * NOISY * math.sqrt(PATIENCE)

    def clear(self) -> None:
        """Forget what speaks for a change (after a hold)."""
        self._return.clear()
        if self._loss is not None:
            self._loss.clear()

    def follow(self, found: Baseline, sweeps: Sequence[ValidSweep]) -> None:
        """Learn from an accepted baseline what the LSR looks like and how often it misses."""
        self.baseline, self._template = found, None
        measured = [valid.measurement for valid in sweeps]
        traces = [m.trace for m in measured if isinstance(m.trace, Trace)]
        if found.template is not None:
            self._template = Recognition(found.template, traces, self._test.alpha)
            measured = [self._template.judge(m, t, known=True) for m, t in zip(measured, traces, strict=True)]
            self.baseline = replace(
                found,
                amplitude=self._template.amplitude,
                latency=self._template.onset,
                hits=sum(1 for m in measured if m.present),
            )
        self._return.clear()
        self._recent.extend(measured)
        self._history.clear()
        self._levels.clear()
        self._level = self.baseline.amplitude
        self._limits.clear()
        self._limits.extend(m.detection_limit for m in measured if m.detection_limit is not None)
        scores = [self._scores(m) for m in measured]
        self._loss = Loss(scores) if found.elicited else None
        for valid, m, (own, expected) in zip(sweeps, measured, scores, strict=True):
            self._history.append(_Judged(valid.trigger.sample, own, expected, _size(m)))

    def _scores(self, measurement: Measurement) -> tuple[float, float]:
        """A sweep's score, and the one that the LSR's present size would have in its noise."""
        level = self._level or 0.0
        if self._template is not None and measurement.estimate is not None and measurement.noise:
            expected = self._template.expected(level, measurement.noise)
            return self._template.score(measurement), max(LEAST, expected)
        limit = measurement.detection_limit or level
        expected = score(self._test.alpha) * level / limit if limit else USUAL
        return score(min(measurement.chance, 0.5)), max(LEAST, min(expected, USUAL))

    def decide(
        self, sample: int, trigger: Trigger, measurement: Measurement, *, doubtful: bool
    ) -> StateChange | None:
        """Judge one sweep; ``doubtful``: a loss found now could be a drug's, and is not stated.

        Returns
        -------
        StateChange or None
            What follows; `lost` says whether a loss was found and not stated.
        """
        self.lost = False
        own, expected = self._scores(measurement)
        self._history.append(_Judged(trigger.sample, own, expected, _size(measurement)))
        if self.state in (State.ABSENT, State.NOT_ELICITED):
            chance = _chance(measurement)
            if not self._at_its_place(measurement):
                chance = max(chance, ELSEWHERE)
            if not self._return.push(chance, trigger.sample):
                return None
            return self._come_back(sample, trigger)
        if self._loss is None:
            return None
        outcome = self._loss.push(own, expected, trigger.sample)
        if outcome is Outcome.LOST:
            if doubtful:
                self.lost = True
                return None
            since, interval = self._changed(trigger, lost=True)
            return self.go(State.ABSENT, sample, since, interval, "misses beyond chance")
        if outcome is Outcome.WEAKER:
            self._levels.clear()
            self._loss.clear()
            self._levels.extend(_size(m) for m in self._recent)
        elif self._loss.since is None:
            self._levels.append(_size(measurement))
        if self._levels and self._loss.since is None:
            self._level = max(median(self._levels), 0.0)
        percent, limit = self._median_percent(), self.limit_percent(RECENT)
        if self.state not in GRADES or percent is None or limit is None or len(self._recent) < RECENT:
            return None  # where most sweeps show nothing, the test for absence decides, not a grade
        now = grade(percent, limit, self.state)
        if now is self.state:
            return None
        since, interval = self._graded(percent)
        return self.go(now, sample, since, interval, "median of the last five valid sweeps")

    def _come_back(self, sample: int, trigger: Trigger) -> StateChange:
        """Responses beyond chance where there were none."""
        since, interval = self._changed(trigger, lost=False)
        back = State.REAPPEARED if self.state is State.ABSENT else State.PRESENT
        found = [m for m in self._recent if m.present] or list(self._recent)
        self._levels.clear()
        self._levels.extend(_size(m) for m in found)
        self._level = median(self._levels)
        if back is State.PRESENT and self.baseline is not None:
            # the baseline had none: these responses are the reference
            latencies = [m.latency for m in found if m.latency is not None]
            if latencies:
                self.baseline = replace(self.baseline, amplitude=self._level, latency=median(latencies))
            self._loss = Loss()  # how often it misses is not known yet
        return self.go(back, sample, since, interval, "responses beyond chance")

    def _at_its_place(self, measurement: Measurement) -> bool:
        """Whether a response begins where the baseline's LSR does: its early part has a constant latency."""
        if self.baseline is None or self.baseline.latency is None or measurement.latency is None:
            return True
        return abs(measurement.latency - self.baseline.latency) <= SAME_LATENCY

    def _changed(self, trigger: Trigger, *, lost: bool) -> tuple[int, tuple[int, int] | None]:
        """First sweep of a loss or a return, and the interval that holds the moment."""
        model = self._loss if self._loss is not None else Loss()
        if len(self._history) < 2:
            return trigger.sample, None
        there, gone = [], []
        for judged in self._history:
            absent, present, _ = model.likelihoods(judged.score, judged.expected)
            there.append(present)
            gone.append(absent)
        triggers = [judged.trigger for judged in self._history]
        return change_point(there, gone, triggers) if lost else change_point(gone, there, triggers)

    def _graded(self, percent: float) -> tuple[int, tuple[int, int] | None]:
        """The same for a change of size to the median of the last five sweeps."""
        sizes = [judged.size for judged in self._history]
        if self.baseline is None or self.baseline.amplitude is None or len(sizes) <= RECENT:
            return self._history[-1].trigger, None
        now, then = percent / 100 * self.baseline.amplitude, median(sizes[:-RECENT])
        error = median(m.noise or 0.0 for m in self._recent)
        old, new = (error**2 + (Loss.SPREAD * level) ** 2 for level in (then, now))
        return change_point(
            [-0.5 * ((s - then) ** 2 / old + math.log(old)) for s in sizes],
            [-0.5 * ((s - now) ** 2 / new + math.log(new)) for s in sizes],
            [judged.trigger for judged in self._history],
        )

    def _median_percent(self) -> float | None:
        """Median of the last five amplitudes; None where it is no amplitude.

        An LSR that was intermittent at the baseline is graded by its responses alone: that it
        misses now and then is how it is.
        """
        amplitudes = [_size(m) for m in self._recent]
        if self.baseline is not None and self.baseline.hits < STEADY * self.baseline.sweeps:
            amplitudes = [_size(m) for m in self._recent if m.present]
        middle = median(amplitudes) if amplitudes else 0.0
        return self.percent(middle) if middle > 0 else None

    def go(
        self, state: State, sample: int, since: int, interval: tuple[int, int] | None, reason: str
    ) -> StateChange:
        """Pass to another state."""
        previous, self.state = self.state, state
        if state not in GRADES or previous not in GRADES:  # a further change comes after this one
            while self._history and self._history[0].trigger < since:
                self._history.popleft()
        self._return.clear()
        sweeps = RECENT if self._loss is None else max(1, min(self._loss.weighed, PATIENCE))
        if self._loss is not None and not (state in GRADES and previous in GRADES):
            self._loss.clear()  # misses that brought a lower grade go on counting
        absent = state in (State.ABSENT, State.NOT_ELICITED)
        return StateChange(
            sample,
            MODALITY,
            self._derivation,
            state,
            previous,
            since,
            None if absent else self._median_percent(),
            self.limit_percent(sweeps if state is State.ABSENT else RECENT),
            reason,
            interval,
        )


LEAST = 1.0
"""Lowest score that is expected of an LSR that is there: a weaker one cannot be told from none."""

USUAL = 6.0
"""Score that is expected without a template, at most: a clear response has a chance of 1e-9."""


def _size(measurement: Measurement) -> float:
    """A sweep's amplitude for a median: the template's, or nothing where no response was found."""
    if measurement.estimate is not None:
        return measurement.estimate
    return measurement.amplitude or 0.0


def _chance(measurement: Measurement) -> float:
    """Chance of the sweep in noise alone."""
    if measurement.estimate is not None and measurement.p_value is not None:
        return measurement.p_value
    return measurement.chance
