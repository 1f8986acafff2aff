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

from collections import deque
from dataclasses import replace
from typing import NamedTuple

from ionm.baseline import LEAST_REPLICATES, N_SWEEPS, Baseline, Stimulus, Strength, ValidSweep, certify
from ionm.derivation import Derivation
from ionm.detectors.lsr import Lsr
from ionm.drugs import Drugs
from ionm.events import ArtefactMark, BaselineTaken, Event, Measurement
from ionm.holds import BY_STIMULUS, Holds
from ionm.states import State
from ionm.stream import Note, Trigger
from ionm.tracking import MODALITY, NOISY, PATIENCE, QUIET, RECENT, Tracking

SILENCE = 10.0
"""Shortest time without a valid sweep that is called "no stimulus", in s (design; our choice)."""

SILENT_INTERVALS = 5
"""The same in stimulus intervals: at slow rates ten seconds would be a single sweep."""

M_LOST = 0.5
"""Share of its baseline below which the M-control is lost (the field's usual 50 % criterion,
general knowledge)."""

M_BACK = 0.55
"""The same from which it is back (our choice: an M-control that drifts through a half does not flicker)."""


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


class Branch:
    """One derivation with role ``lsr``: its baseline, template and state."""

    def __init__(
        self, derivation: Derivation, test: Lsr, fs: float, start: int, *, has_control: bool
    ) -> None:
        self.derivation = derivation
        self._has_control = has_control  # the site has an M-control
        self._tracking = Tracking(derivation.name, test)
        self.silent = False
        self._test = test
        self._fs = fs
        self._holds = Holds(derivation.name)
        self._drugs = Drugs(fs)
        self._newest: deque[ValidSweep] = deque(maxlen=N_SWEEPS)  # whatever their stimulus
        self._refusal = ""  # the newest reason why there is no baseline
        self._untried = 0  # valid sweeps since a provisional baseline was last tried
        self._provisional = False  # nobody asked for the baseline
        self._other: tuple[Stimulus, int] | None = None  # a stronger stimulus, and how often it came in a row
        self._same: Stimulus | None = None  # the newest that is known to be the baseline's
        self._last: int | None = None  # stimulus of the last valid sweep
        self._intervals: deque[int] = deque(maxlen=RECENT)
        self.deadline = start + int(SILENCE * fs)  # without a valid sweep it falls silent here

    @property
    def baseline(self) -> Baseline | None:
        """The accepted baseline."""
        return self._tracking.baseline

    @property
    def state(self) -> State:
        """The present state."""
        return self._tracking.state

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
            self._tracking.clear()
        return events

    def drug(self, note: Note) -> list[Event]:
        """A note on relaxant, twitches or a bolus."""
        has_control = self._has_control if self.baseline is None else self.baseline.m_amplitude is not None
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
        shown = self._tracking.measure(free)
        percent = self._tracking.percent(shown.amplitude)
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
        if above or not self._tracking.drowned(shown):
            self._keep(valid)
        if above:
            if not shown.present and not self._holds.reasons and not self._tracking.drowned(shown):
                events += self._decide(sample, trigger, shown)  # silence even at a stronger stimulus
            events += self._titrated(sample, stimulus)
            return Shown(shown, percent, above, events)
        self._other = None
        self._tracking.hear(shown)
        if self._tracking.drowned(shown):
            nothing = replace(shown, present=None, reason="noise")
            return Shown(nothing, percent, above, events + self._watch_noise(sample))
        self._tracking.keep(shown)
        if self.state is State.UNKNOWN:
            if self._untried >= N_SWEEPS:
                events += self.take_baseline(sample, "provisional: the first 20 valid sweeps")
            return Shown(shown, percent, above, events)
        events += self._watch_noise(sample)
        events += self._holds.end(self._drugs.over(sample, present=bool(shown.present)), sample)
        if not self._holds.reasons:
            events += self._decide(sample, trigger, shown)
        return Shown(shown, percent, above, events)

    def _titrated(self, sample: int, stimulus: Stimulus) -> list[Event]:
        """A stronger stimulus came.

        Twenty in a row that are answered replace a baseline without an LSR that nobody asked for: it was
        taken before the current had been found.
        """
        before = self._other[1] if self._other is not None and self._other[0] == stimulus else 0
        self._other = stimulus, before + 1
        responses = sum(1 for valid in self._newest if valid.measurement.present)
        enough = before + 1 >= N_SWEEPS and responses >= LEAST_REPLICATES
        if not self._provisional or self.state is not State.NOT_ELICITED or not enough:
            return []
        return self.take_baseline(sample, "provisional: 20 valid sweeps under a stronger stimulus")

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

    def _watch_noise(self, sample: int) -> list[Event]:
        limit = self._tracking.limit_percent(PATIENCE)
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
        self._same, self._other, self._provisional = None, None, why.startswith("provisional")
        self._tracking.follow(found, tuple(self._newest))
        values = {
            "elicited": found.elicited,
            "amplitude_uv": None if found.amplitude is None else found.amplitude * 1e6,
            "latency_ms": None if found.latency is None else found.latency * 1e3,
            "m_amplitude_uv": None if found.m_amplitude is None else found.m_amplitude * 1e6,
            "m_responses": found.m_hits,
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
            events.append(self._tracking.go(state, sample, first, None, why))
        return events

    def _decide(self, sample: int, trigger: Trigger, measurement: Measurement) -> list[Event]:
        change = self._tracking.decide(sample, trigger, measurement, doubtful=self._drugs.near(sample))
        if self._tracking.lost:
            return self.hold(self._drugs.delay(), sample)
        return [] if change is None else [change]
