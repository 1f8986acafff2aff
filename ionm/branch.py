"""One derivation with role ``lsr``: its baseline, its template and its state.

- A sweep that cannot be judged gives a hold with its reason; the next one that can ends it.
- Once the baseline has shown what this patient's LSR looks like, every sweep is searched for that.
- A sweep in which an LSR of the baseline's size would drown says nothing if it shows none.
- A sweep whose M-control is below half its baseline says nothing about the LSR: the stimulus did
  not arrive, or the muscle cannot answer.
- While any reason stands, the state is frozen and the evidence gathered so far is dropped.

The rules of the states themselves stand in `ionm.states`, those of the baseline in `ionm.baseline`, the
bookkeeping of holds in `ionm.holds`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from ionm.baseline import N_SWEEPS, Baseline, Stimulus, Strength, ValidSweep, certify
from ionm.change import change_point
from ionm.derivation import Derivation
from ionm.detectors.lsr import Lsr
from ionm.detectors.recognition import Recognition
from ionm.detectors.template import Trace
from ionm.drugs import Drugs
from ionm.events import ArtefactMark, BaselineTaken, Event, Measurement, StateChange
from ionm.holds import BY_STIMULUS, Holds
from ionm.states import GRADES, Loss, Outcome, Return, State, grade, score
from ionm.stream import Note, Trigger

MODALITY = "lsr"
"""As events name it."""

SILENCE = 10.0
"""Shortest time without a valid sweep that is called "no stimulus", in s (design; our choice)."""

SILENT_INTERVALS = 5
"""The same in stimulus intervals: at slow rates ten seconds would be a single sweep."""

M_LOST = 0.5
"""Share of its baseline below which the M-control is lost (the field's usual 50 % criterion,
general knowledge)."""

M_BACK = 0.55
"""The same from which it is back (our choice: an M-control that drifts through a half does not flicker)."""

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

RECENT = 5
"""Valid sweeps whose median amplitude grades the state (design)."""

HISTORY = 64
"""Valid sweeps among which the moment of a change is looked for."""


class Shown(NamedTuple):
    """What is shown of one sweep, and what follows from it.

    Parameters
    ----------
    measurement
        By the patient's template, where there is one.
    percent
        Its amplitude in percent of the baseline's.
    above
        Whether its stimulus was stronger than the baseline's.
    events
        What follows.
    """

    measurement: Measurement
    percent: float | None
    above: bool
    events: list[Event]


class _Judged(NamedTuple):
    """A valid sweep under the baseline's stimulus: its score, what was expected of it, its amplitude."""

    trigger: int
    score: float
    expected: float
    measurement: Measurement


class Branch:
    """One derivation with role ``lsr``: its baseline, template and state."""

    def __init__(self, derivation: Derivation, test: Lsr, fs: float, start: int) -> None:
        self.derivation = derivation
        self.baseline: Baseline | None = None
        self.state = State.UNKNOWN
        self.silent = False
        self._test = test
        self._fs = fs
        self._holds = Holds(derivation.name)
        self._drugs = Drugs(fs)
        self._newest: deque[ValidSweep] = deque(maxlen=N_SWEEPS)  # whatever their stimulus
        self._refusal = ""  # the newest reason why there is no baseline
        self._untried = 0  # valid sweeps since a provisional baseline was last tried
        self._template: Recognition | None = None
        self._loss: Loss | None = None
        self._return = Return()
        self._level: float | None = None  # the LSR's present amplitude, in V
        self._same: Stimulus | None = None  # the newest that is known to be the baseline's
        self._last: int | None = None  # stimulus of the last valid sweep
        self._intervals: deque[int] = deque(maxlen=RECENT)
        self._recent: deque[Measurement] = deque(maxlen=RECENT)  # under the baseline's stimulus
        self._levels: deque[float] = deque(maxlen=N_SWEEPS)  # amplitudes while the LSR was there
        self._limits: deque[float] = deque(maxlen=RECENT)
        self._history: deque[_Judged] = deque(maxlen=HISTORY)
        self.deadline = start + int(SILENCE * fs)  # without a valid sweep it falls silent here

    # holds

    def fall_silent(self, sample: int) -> list[Event]:
        """No valid sweep came in time."""
        self.silent = True
        return self.hold("no_stimulus", sample)

    def mark(self, mark: ArtefactMark) -> list[Event]:
        """An artefact began or ended on the derivation's channel."""
        return self.hold(mark.reason, mark.sample) if self._holds.mark(mark) else []

    def hold(self, reason: str, sample: int) -> list[Event]:
        """A reason not to judge began."""
        events = self._holds.begin(reason, sample)
        if events:
            self._return.clear()
            if self._loss is not None:
                self._loss.clear()
        return events

    def drug(self, note: Note) -> list[Event]:
        """A note on relaxant, twitches or a bolus."""
        has_control = self.baseline is not None and self.baseline.m_amplitude is not None
        began, ended = self._drugs.take(note, has_control=has_control)
        if began is not None:
            return self.hold(began, note.accepted)
        return self._holds.end([ended], note.accepted) if ended is not None else []

    # sweeps

    def sweep(
        self,
        sample: int,
        trigger: Trigger,
        stimulus: Stimulus,
        free: Measurement,
        control: Measurement | None,
    ) -> Shown:
        """Take one sweep, as the template-free test measured it."""
        shown = free
        if self._template is not None and free.present is not None and isinstance(free.trace, Trace):
            shown = self._template.judge(free, free.trace)
        percent = self._percent(shown.amplitude)
        strength = Strength.SAME
        if self.baseline is not None and stimulus is not self._same:
            strength = stimulus.against(self.baseline.stimulus)
            if strength is Strength.SAME:
                self._same = stimulus
        reason = self._reason(strength, shown, control)
        valid = ValidSweep(trigger, free, control)
        if reason is not None:
            return self._cannot(reason, sample, valid, shown, percent)
        if self._last is not None:
            self._intervals.append(trigger.sample - self._last)
        self._last = trigger.sample
        self.silent = False
        self.deadline = sample + self._patience()
        events = self._holds.valid(sample, has_baseline=self.baseline is not None)
        if self._holds.marks:
            return Shown(shown, percent, False, events)  # noqa: FBT003
        above = strength is Strength.ABOVE
        if above or not self._drowned(shown):
            self._keep(valid)
        if above:
            if not shown.present and not self._holds.reasons and not self._drowned(shown):
                events += self._decide(sample, trigger, shown)  # silence even at a stronger stimulus
            return Shown(shown, percent, above, events)
        if shown.detection_limit is not None:
            self._limits.append(shown.detection_limit)
        if self._drowned(shown):
            nothing = replace(shown, present=None, reason="noise")
            return Shown(nothing, percent, above, events + self._watch_noise(sample))
        self._recent.append(shown)
        if self.state is State.UNKNOWN:
            if self._untried >= N_SWEEPS:
                events += self.take_baseline(sample, "provisional: the first 20 valid sweeps")
            return Shown(shown, percent, above, events)
        events += self._watch_noise(sample)
        events += self._holds.end(self._drugs.over(sample, answered=bool(shown.present)), sample)
        if not self._holds.reasons:
            events += self._decide(sample, trigger, shown)
        return Shown(shown, percent, above, events)

    def _cannot(
        self, reason: str, sample: int, valid: ValidSweep, shown: Measurement, percent: float | None
    ) -> Shown:
        """A sweep that says nothing about the LSR."""
        control = valid.m_control
        weakened = reason == "m_control_lost" and control is not None and control.present
        if (reason in BY_STIMULUS or weakened) and not self._holds.marks:
            self._keep(valid)  # the next baseline may be made of it
        if not shown.present:
            shown = replace(shown, present=None, reason=reason)
        begun_within = reason == "gap" and self._last is None  # nothing was lost
        events = [] if begun_within else self.hold(reason, sample)
        return Shown(shown, percent, False, events)  # noqa: FBT003

    def _patience(self) -> int:
        """How many samples may pass without a valid sweep."""
        shortest = int(SILENCE * self._fs)
        if not self._intervals or SILENT_INTERVALS * max(self._intervals) <= shortest:
            return shortest
        intervals = sorted(self._intervals)
        return max(shortest, SILENT_INTERVALS * intervals[len(intervals) // 2])

    def _keep(self, valid: ValidSweep) -> None:
        self._newest.append(valid)
        self._untried += 1

    def _reason(
        self, strength: Strength, measurement: Measurement, control: Measurement | None
    ) -> str | None:
        if measurement.present is None:
            return measurement.reason
        if self.baseline is None:
            return None
        if strength is Strength.BELOW:
            return "intensity_low"
        if strength is Strength.OTHER:
            return "no_baseline"
        if control is None or self.baseline.m_amplitude is None:
            return None
        if control.present is None:
            return control.reason if not measurement.present else None
        least = M_BACK if "m_control_lost" in self._holds.reasons else M_LOST
        if control.amplitude is None or control.amplitude < least * self.baseline.m_amplitude:
            return "m_control_lost"
        return None

    def _percent(self, amplitude: float | None) -> float | None:
        if self.baseline is None or self.baseline.amplitude is None or amplitude is None:
            return None
        return 100 * amplitude / self.baseline.amplitude

    def _limit_percent(self, sweeps: int) -> float | None:
        """Detection limit of so many sweeps together, in percent of the baseline."""
        if not self._limits:
            return None
        return self._percent(median(self._limits) / math.sqrt(sweeps))

    def _drowned(self, measurement: Measurement) -> bool:
        """Whether a response of half the baseline would be missed even in `PATIENCE` such sweeps."""
        limit = self._percent(measurement.detection_limit)
        return not measurement.present and limit is not None and limit > 100 * NOISY * math.sqrt(PATIENCE)

    def _median_percent(self) -> float | None:
        """Median of the last five amplitudes; None where it is no amplitude.

        An LSR that was intermittent at the baseline is graded by its responses alone: that it
        misses now and then is how it is.
        """
        amplitudes = [_size(m) for m in self._recent]
        if self.baseline is not None and self.baseline.hits < STEADY * self.baseline.sweeps:
            amplitudes = [_size(m) for m in self._recent if m.present]
        middle = median(amplitudes) if amplitudes else 0.0
        return self._percent(middle) if middle > 0 else None

    def _watch_noise(self, sample: int) -> list[Event]:
        limit = self._limit_percent(PATIENCE)
        if limit is not None and limit > 100 * NOISY:
            return self.hold("noise", sample)
        if limit is not None and limit < 100 * QUIET:
            return self._holds.end(["noise"], sample)
        return []

    # states

    def take_baseline(self, sample: int, why: str) -> list[Event]:
        """Make the newest valid sweeps the baseline, or refuse them with a reason."""
        self._untried = 0
        found = certify(self._newest, self._test)
        name = self.derivation.name
        if (
            isinstance(found, Baseline)
            and not found.elicited
            and self.state not in (State.UNKNOWN, State.NOT_ELICITED)
        ):
            found = f"no LSR in it; the state {self.state} and its baseline stand"
        if isinstance(found, Baseline) and self.state is State.ABSENT:
            found = "the LSR is ABSENT; the baseline before its loss stands"
        if isinstance(found, str):
            if found == self._refusal and why.startswith("provisional"):
                return []  # the same refusal is said once
            self._refusal = found
            return [BaselineTaken(sample, MODALITY, name, False, found, {})]  # noqa: FBT003
        self._adopt(found)
        values = {
            "elicited": found.elicited,
            "amplitude_uv": None if found.amplitude is None else found.amplitude * 1e6,
            "latency_ms": None if found.latency is None else found.latency * 1e3,
            "m_amplitude_uv": None if found.m_amplitude is None else found.m_amplitude * 1e6,
            "responses": found.hits,
            "sweeps": found.sweeps,
            "evidence": found.evidence,
            "stimulus": str(found.stimulus),
            "interval_s": found.interval / self._fs,
        }
        first = self._newest[0].trigger.sample
        state = State.PRESENT if found.elicited else State.NOT_ELICITED
        events: list[Event] = [BaselineTaken(sample, MODALITY, name, True, why, values)]  # noqa: FBT003
        events += self._holds.end(["no_baseline"], sample)
        if state is not self.state and self.state is not State.REAPPEARED:
            events.append(self._go(state, sample, first, None, why))
        return events

    def _adopt(self, found: Baseline) -> None:
        """Learn from an accepted baseline what the LSR looks like and how often it misses."""
        self.baseline, self._same, self._template = found, None, None
        measured = [valid.measurement for valid in self._newest]
        traces = [m.trace for m in measured if isinstance(m.trace, Trace)]
        if found.template is not None:
            self._template = Recognition(found.template, traces, self._test.alpha)
            self.baseline = replace(found, amplitude=self._template.amplitude, latency=self._template.onset)
            measured = [self._template.judge(m, t) for m, t in zip(measured, traces, strict=True)]
        self._return.clear()
        self._recent.extend(measured)
        self._history.clear()
        self._levels.clear()
        self._level = self.baseline.amplitude
        self._limits.clear()
        self._limits.extend(m.detection_limit for m in measured if m.detection_limit is not None)
        scores = [self._scores(m) for m in measured]
        self._loss = Loss(scores) if found.elicited else None
        for valid, m, (own, expected) in zip(self._newest, measured, scores, strict=True):
            self._history.append(_Judged(valid.trigger.sample, own, expected, m))

    def _scores(self, measurement: Measurement) -> tuple[float, float]:
        """A sweep's score, and the one that the LSR's present size would have in its noise."""
        level = self._level or 0.0
        if self._template is not None and measurement.noise:
            expected = self._template.expected(level, measurement.noise)
            return self._template.score(measurement), max(LEAST, expected)
        limit = measurement.detection_limit or level
        expected = score(self._test.alpha) * level / limit if limit else USUAL
        return score(min(measurement.chance, 0.5)), max(LEAST, min(expected, USUAL))

    def _decide(self, sample: int, trigger: Trigger, measurement: Measurement) -> list[Event]:
        own, expected = self._scores(measurement)
        self._history.append(_Judged(trigger.sample, own, expected, measurement))
        if self.state in (State.ABSENT, State.NOT_ELICITED):
            chance = _chance(measurement)
            if not self._return.push(chance if self._at_its_place(measurement) else 1.0, trigger.sample):
                return []
            return [self._come_back(sample, trigger)]
        if self._loss is None:
            return []
        outcome = self._loss.push(own, expected, trigger.sample)
        if outcome is Outcome.LOST:
            if self._drugs.bolus(sample):
                return self.hold("bolus", sample)
            since, interval = self._changed(trigger, lost=True)
            return [self._go(State.ABSENT, sample, since, interval, "misses beyond chance")]
        if outcome is Outcome.WEAKER:
            self._levels.clear()
            self._loss.clear()
            self._levels.extend(_size(m) for m in self._recent)
        elif self._loss.since is None:
            self._levels.append(_size(measurement))
        if self._levels and self._loss.since is None:
            self._level = max(median(self._levels), 0.0)
        percent, limit = self._median_percent(), self._limit_percent(RECENT)
        if self.state not in GRADES or percent is None or limit is None or len(self._recent) < RECENT:
            return []  # where most sweeps show nothing, the test for absence decides, not a grade
        now = grade(percent, limit, self.state)
        if now is self.state:
            return []
        since, interval = self._graded(percent)
        return [self._go(now, sample, since, interval, "median of the last five valid sweeps")]

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
        return self._go(back, sample, since, interval, "responses beyond chance")

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
        sizes = [_size(judged.measurement) for judged in self._history]
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

    def _go(
        self, state: State, sample: int, since: int, interval: tuple[int, int] | None, reason: str
    ) -> StateChange:
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
            self.derivation.name,
            state,
            previous,
            since,
            None if absent else self._median_percent(),
            self._limit_percent(sweeps if state is State.ABSENT else RECENT),
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
