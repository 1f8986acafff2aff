"""One derivation with role ``lsr``: its baseline, its holds and its state.

- A sweep that cannot be judged gives a hold with its reason; the next one that can ends it.
- A sweep whose own background hides half the baseline says nothing if it shows no response.
- A sweep whose M-control is below half its baseline says nothing about the LSR: the stimulus did
  not arrive, or the muscle cannot answer.
- While any reason stands, the state is frozen and the evidence gathered so far is dropped.

The rules of the states themselves stand in `ionm.states`, those of the baseline in `ionm.baseline`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from ionm.baseline import N_SWEEPS, Baseline, Stimulus, Strength, ValidSweep, certify
from ionm.derivation import Derivation
from ionm.detectors.lsr import Lsr
from ionm.events import ArtefactMark, BaselineTaken, Event, Hold, Measurement, StateChange
from ionm.states import GRADES, Loss, Return, State, grade
from ionm.stream import Trigger

MODALITY = "lsr"
"""What its events call themselves."""

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

STEADY = 0.9
"""Share of the baseline's sweeps in which a steady LSR answers (our choice)."""

SAME_LATENCY = 2.5e-3
"""Largest change of onset latency of an LSR that returns, in s. Its early part is constant (Isu 1996,
Ishikawa 1996); our choice leaves room for a changed first phase."""

RECENT = 5
"""Valid sweeps whose median amplitude grades the state (design)."""

BY_SWEEP = (
    "m_control_lost",
    "foreign_stimulus",
    "gap",
    "saturation",
    "electrode_off",
    "cautery",
    "no_stimulus",
)
"""Reasons that the next valid sweep takes back, unless a mark still stands."""

BY_STIMULUS = ("intensity_low", "no_baseline")
"""Reasons that a sweep gives by its stimulus alone: it may still be part of a new baseline."""


class Branch:
    """One derivation with role ``lsr``: its baseline, holds and state."""

    def __init__(self, derivation: Derivation, test: Lsr, fs: float, start: int) -> None:
        self.derivation = derivation
        self.baseline: Baseline | None = None
        self.state = State.UNKNOWN
        self.silent = False
        self.above = False
        self._test = test
        self._fs = fs
        self._newest: deque[ValidSweep] = deque(maxlen=N_SWEEPS)  # whatever their stimulus
        self._refusal = ""  # the newest reason why there is no baseline
        self._untried = 0  # valid sweeps since a provisional baseline was last tried
        self._loss: Loss | None = None
        self._return = Return()
        self._marks: list[tuple[str, str]] = []  # (who, reason) of artefacts that stand
        self._reasons: list[str] = []  # in the order in which they came
        self._same: Stimulus | None = None  # the newest that is known to be the baseline's
        self._last: int | None = None  # stimulus of the last valid sweep
        self._intervals: deque[int] = deque(maxlen=RECENT)
        self._recent: deque[ValidSweep] = deque(maxlen=RECENT)  # under the baseline's stimulus
        self._limits: deque[float] = deque(maxlen=RECENT)
        self.deadline = start + int(SILENCE * fs)  # without a valid sweep it falls silent here

    # holds

    def fall_silent(self, sample: int) -> list[Event]:
        """No valid sweep came in time."""
        self.silent = True
        return self.hold("no_stimulus", sample)

    def mark(self, mark: ArtefactMark) -> list[Event]:
        """An artefact began or ended on the derivation's channel."""
        key = (mark.channel, mark.reason)
        if mark.active:
            if key not in self._marks:
                self._marks.append(key)
            return self.hold(mark.reason, mark.sample)
        if key in self._marks:
            self._marks.remove(key)
        # the hold stays until a sweep shows that the derivation can be judged again
        return []

    def hold(self, reason: str, sample: int) -> list[Event]:
        """A reason not to judge began."""
        if reason in self._reasons:
            return []
        self._reasons.append(reason)
        self._return.clear()
        if self._loss is not None:
            self._loss.clear()
        return [Hold(sample, self.derivation.name, True, reason, tuple(self._reasons))]  # noqa: FBT003

    def _release(self, gone: Sequence[str], sample: int) -> list[Event]:
        ended = [r for r in self._reasons if r in gone]
        if not ended:
            return []
        self._reasons = [r for r in self._reasons if r not in gone]
        newest = self._reasons[-1] if self._reasons else ended[-1]
        return [Hold(sample, self.derivation.name, bool(self._reasons), newest, tuple(self._reasons))]

    # sweeps

    def sweep(
        self,
        sample: int,
        trigger: Trigger,
        stimulus: Stimulus,
        measurement: Measurement,
        control: Measurement | None,
    ) -> tuple[Measurement, float | None, list[Event]]:
        """Take one sweep; what is shown of it, its percent of baseline, and what follows.

        ``above`` says afterwards whether its stimulus was stronger than the baseline's.
        """
        self.above = False
        percent = self._percent(measurement.amplitude)
        strength = Strength.SAME
        if self.baseline is not None and stimulus is not self._same:
            strength = stimulus.against(self.baseline.stimulus)
            if strength is Strength.SAME:
                self._same = stimulus
        reason = self._reason(strength, measurement, control)
        valid = ValidSweep(trigger, measurement, control)
        if reason is not None:
            weakened = reason == "m_control_lost" and control is not None and control.present
            if (reason in BY_STIMULUS or weakened) and not self._marks:
                self._keep(valid)  # the next baseline may be made of it
            if not measurement.present:
                measurement = replace(measurement, present=None, reason=reason)
            if reason == "gap" and self._last is None:
                return measurement, percent, []  # the recording began within this sweep: nothing was lost
            return measurement, percent, self.hold(reason, sample)
        if self._last is not None:
            self._intervals.append(trigger.sample - self._last)
        self._last = trigger.sample
        self.silent = False
        self.deadline = sample + self._patience()
        events: list[Event] = []
        if self._reasons:
            standing = [r for _, r in self._marks]
            taken_back = BY_SWEEP if self.baseline is None else (*BY_SWEEP, *BY_STIMULUS)
            events += self._release([r for r in taken_back if r not in standing], sample)
        if self._marks:
            return measurement, percent, events
        if strength is Strength.ABOVE:
            self._keep(valid)
            self.above = True
            if not measurement.present and not self._reasons and not self._drowned(measurement):
                events += self._decide(sample, trigger, measurement)  # silence even at a stronger stimulus
            return measurement, percent, events
        if measurement.detection_limit is not None:
            self._limits.append(measurement.detection_limit)
        if self._drowned(measurement):
            return (
                replace(measurement, present=None, reason="noise"),
                percent,
                events + self._watch_noise(sample),
            )
        self._keep(valid)
        self._recent.append(valid)
        if self.state is State.UNKNOWN:
            if self._untried >= N_SWEEPS:
                events += self.take_baseline(sample, "provisional: the first 20 valid sweeps")
            return measurement, percent, events
        events += self._watch_noise(sample)
        if not self._reasons:
            events += self._decide(sample, trigger, measurement)
        return measurement, percent, events

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
        least = M_BACK if "m_control_lost" in self._reasons else M_LOST
        if control.amplitude is None or control.amplitude < least * self.baseline.m_amplitude:
            return "m_control_lost"
        return None

    def _percent(self, amplitude: float | None) -> float | None:
        if self.baseline is None or self.baseline.amplitude is None or amplitude is None:
            return None
        return 100 * amplitude / self.baseline.amplitude

    def _limit_percent(self) -> float | None:
        """Median detection limit of the last five valid sweeps, in percent of the baseline."""
        limits = sorted(self._limits)
        return self._percent(limits[len(limits) // 2]) if limits else None

    def _drowned(self, measurement: Measurement) -> bool:
        """Whether a response of half the baseline could have been there unseen: then a miss says nothing."""
        limit = self._percent(measurement.detection_limit)
        return not measurement.present and limit is not None and limit > 100 * NOISY

    def _median_percent(self) -> float | None:
        """Median of the last five amplitudes, a missing response counted as nothing.

        An LSR that was intermittent at the baseline is graded by its responses alone: that it
        misses now and then is how it is.
        """
        baseline = self.baseline
        amplitudes = sorted([s.measurement.amplitude or 0.0 for s in self._recent])
        if baseline is not None and baseline.hits < STEADY * baseline.sweeps:
            amplitudes = [a for a in amplitudes if a > 0]
        return self._percent(amplitudes[len(amplitudes) // 2]) if amplitudes else None

    def _shown_percent(self) -> float | None:
        """The same for people: None, never 0, where most of the five show no response."""
        return self._median_percent() or None

    def _watch_noise(self, sample: int) -> list[Event]:
        limit = self._limit_percent()
        if limit is not None and limit > 100 * NOISY:
            return self.hold("noise", sample)
        if limit is not None and limit < 100 * QUIET and "noise" in self._reasons:
            return self._release(["noise"], sample)
        return []

    # states

    def take_baseline(self, sample: int, why: str) -> list[Event]:
        """Make the newest valid sweeps the baseline, or refuse them with a reason."""
        self._untried = 0
        found = certify(self._newest)
        name, modality = self.derivation.name, MODALITY
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
            return [BaselineTaken(sample, modality, name, False, found, {})]  # noqa: FBT003
        self.baseline, self._same = found, None
        self._loss = Loss(found.hits, found.sweeps, self._test.alpha)
        self._return.clear()
        values = {
            "elicited": found.elicited,
            "amplitude_uv": None if found.amplitude is None else found.amplitude * 1e6,
            "latency_ms": None if found.latency is None else found.latency * 1e3,
            "m_amplitude_uv": None if found.m_amplitude is None else found.m_amplitude * 1e6,
            "responses": found.hits,
            "sweeps": found.sweeps,
            "stimulus": str(found.stimulus),
            "interval_s": found.interval / self._fs,
        }
        self._recent.extend(self._newest)
        first = self._newest[0].trigger.sample
        state = State.PRESENT if found.elicited else State.NOT_ELICITED
        events: list[Event] = [BaselineTaken(sample, modality, name, True, why, values)]  # noqa: FBT003
        events += self._release(["no_baseline"], sample)
        if state is not self.state and self.state is not State.REAPPEARED:
            events.append(self._go(state, sample, first, why))
        return events

    def _decide(self, sample: int, trigger: Trigger, measurement: Measurement) -> list[Event]:
        present = bool(measurement.present)
        if self.state in (State.ABSENT, State.NOT_ELICITED):
            chance = measurement.chance if self._at_its_place(measurement) else 1.0
            if not self._return.push(chance, trigger.sample):
                return []
            since = self._return.since or trigger.sample
            back = State.REAPPEARED if self.state is State.ABSENT else State.PRESENT
            if back is State.PRESENT:
                self._adopt()
            return [self._go(back, sample, since, "responses beyond chance")]
        if self._loss is None:
            return []
        p_value = measurement.p_value if measurement.p_value is not None else 1.0
        if self._loss.push(present, p_value, trigger.sample):
            since = self._loss.since if self._loss.since is not None else trigger.sample
            return [self._go(State.ABSENT, sample, since, "misses beyond chance")]
        percent, limit = self._median_percent(), self._limit_percent()
        if self.state not in GRADES or not percent or limit is None or len(self._recent) < RECENT:
            return []  # where most sweeps show nothing, the test for absence decides, not a grade
        now = grade(percent, limit, self.state)
        if now is self.state:
            return []
        return [
            self._go(now, sample, self._recent_triggers(now, limit), "median of the last five valid sweeps")
        ]

    def _adopt(self) -> None:
        """Make the responses that ended NOT_ELICITED the reference: the baseline had none."""
        found = [s.measurement for s in self._recent if s.measurement.present]
        amplitudes = sorted(m.amplitude for m in found if m.amplitude is not None)
        latencies = sorted(m.latency for m in found if m.latency is not None)
        if self.baseline is not None and amplitudes and latencies:
            amplitude, latency = amplitudes[len(amplitudes) // 2], latencies[len(latencies) // 2]
            self.baseline = replace(self.baseline, amplitude=amplitude, latency=latency)
        self._loss = Loss(0, 0, self._test.alpha)  # how often it misses is not known yet

    def _at_its_place(self, measurement: Measurement) -> bool:
        """Whether a response begins where the baseline's LSR does: its early part has a constant latency."""
        if self.baseline is None or self.baseline.latency is None or measurement.latency is None:
            return True
        return abs(measurement.latency - self.baseline.latency) <= SAME_LATENCY

    def _recent_triggers(self, now: State, limit: float) -> int:
        """Trigger of the first of the last five sweeps that by itself has the new grade."""
        for valid in self._recent:
            if grade(self._percent(valid.measurement.amplitude or 0.0) or 0.0, limit, self.state) is now:
                return valid.trigger.sample
        return self._recent[-1].trigger.sample

    def _go(self, state: State, sample: int, since: int, reason: str) -> StateChange:
        previous, self.state = self.state, state
        self._return.clear()
        if self._loss is not None and not (state in GRADES and previous in GRADES):
            self._loss.clear()  # misses that brought a lower grade go on counting
        percent = None if state in (State.ABSENT, State.NOT_ELICITED) else self._shown_percent()
        return StateChange(
            sample,
            MODALITY,
            self.derivation.name,
            state,
            previous,
            since,
            percent,
            self._limit_percent(),
            reason,
        )
