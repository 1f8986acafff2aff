"""The judge, clause by clause of the design's section on the LSR, on facts made by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ionm.baseline import N_SWEEPS
from ionm.derivation import Derivation
from ionm.events import (
    ArtefactMark,
    BaselineTaken,
    Gap,
    Hold,
    Measurement,
    NoteTaken,
    Response,
    StateChange,
    Sweep,
    SweepMeasured,
)
from ionm.judge import Judge
from ionm.protocol import load
from ionm.states import GRADES, TRANSITIONS, State
from ionm.stream import Channel, Note, StreamInfo, Trigger

FS = 1000.0  # so that samples are milliseconds
LSR, CONTROL = "zygomatic>Mentalis", "zygomatic>OrbOculi"
INFO = StreamInfo(FS, (Channel("Mentalis"), Channel("OrbOculi")))
DERIVATIONS = (Derivation("zygomatic", "Mentalis", "lsr"), Derivation("zygomatic", "OrbOculi", "m_control"))
SPEC = replace(load("mvd-hfs").modality(), derivations=DERIVATIONS)
UV = 1e-6


class Case:
    """A judge with one derivation, fed by hand; stimuli come every ``interval`` ms."""

    def __init__(self, *, control=True, interval=1000):
        spec = SPEC if control else replace(SPEC, derivations=DERIVATIONS[:1])
        self.control = control
        self.judge = Judge((spec,), INFO, 0)
        self.events = list(self.judge.begin(0))
        self.interval = interval
        self.now = 0

    def push(self, *facts, notes=(), stop=None, gap=None):
        new = self.judge.push([facts], notes, self.now + 51 if stop is None else stop, gap)
        self.events += new
        return new

    def sweep(
        self, uv, *, m=1000.0, limit=20.0, p=None, reason=None, m_reason=None, latency=11e-3, **attributes
    ):
        """One stimulus; ``uv`` and ``m`` in uV, None for no response."""
        self.now += self.interval
        trigger = Trigger(self.now, "zygomatic", {"mA": "10", **attributes})
        lsr = self.measured(uv, reason, p, limit, latency)
        controls = (self.measured(m, m_reason, None, 30.0, 3e-3),) if self.control else ()
        rows = np.zeros((1 + len(controls), 4))
        sweep = Sweep(self.now + 50, trigger, rows, np.ones(rows.shape, dtype=bool), 1)
        return self.push(SweepMeasured(self.now + 50, sweep, (lsr, *controls)))

    @staticmethod
    def measured(uv, reason, p, limit, latency):
        if reason is not None:
            return Measurement(None, reason=reason)
        chance = p if p is not None else (0.6 if uv is None else 1e-8)
        found = (None, None, None) if uv is None else (uv * UV, latency, latency + 2e-3)
        return Measurement(uv is not None, *found, 5.0, chance, 2e-6, limit * UV)

    def sweeps(self, n, uv, **settings):
        return [event for _ in range(n) for event in self.sweep(uv, **settings)]

    def note(self, event, **attributes):
        self.now += 60
        return self.push(notes=[Note(self.now, self.now, event, attributes)])

    def mark(self, reason, *, active, channel="Mentalis"):
        self.now += 60
        return self.push(ArtefactMark(self.now, channel, reason, active))

    def wait(self, milliseconds):
        self.now += milliseconds
        return self.push()

    @property
    def state(self):
        changes = [e for e in self.events if isinstance(e, StateChange)]
        return changes[-1].state if changes else "UNKNOWN"

    @property
    def states(self):
        return [e.state for e in self.events if isinstance(e, StateChange)]

    @property
    def reasons(self):
        """The reasons that stand."""
        return [e for e in self.events if isinstance(e, Hold)][-1].reasons

    def baselines(self):
        return [e for e in self.events if isinstance(e, BaselineTaken)]


@pytest.fixture
def case():
    """With an accepted baseline of 200 uV at 10 mA, M-wave of 1000 uV."""
    made = Case()
    made.sweeps(20, 200.0)
    assert made.state == "PRESENT"
    assert made.reasons == ()
    return made


@pytest.fixture
def absent(case):
    """The same after the LSR has gone."""
    case.sweeps(6, None)
    assert case.state == "ABSENT"
    return case


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


# baseline


def test_before_a_baseline_the_state_is_unknown_and_held():
    case = Case()

    (hold,) = case.events
    assert (hold.sample, hold.derivation, hold.active, hold.reasons) == (0, LSR, True, ("no_baseline",))
    assert not kinds(case.sweeps(19, 200.0), StateChange)
    assert case.reasons == ("no_baseline",)


def test_the_first_twenty_valid_sweeps_are_a_provisional_baseline():
    case = Case()
    case.sweeps(19, 200.0)
    case.sweep(None, reason="gap")

    (taken,) = kinds(case.sweep(240.0), BaselineTaken)

    assert taken.accepted
    assert "provisional" in taken.reason
    assert taken.values["amplitude_uv"] == pytest.approx(200.0)
    assert taken.values["m_amplitude_uv"] == pytest.approx(1000.0)
    assert (taken.values["responses"], taken.values["sweeps"], taken.values["stimulus"]) == (20, 20, "mA=10")
    assert taken.values["interval_s"] == 1.0
    change = kinds(case.events, StateChange)[-1]
    assert (change.state, change.previous, change.since) == ("PRESENT", "UNKNOWN", 1000)


def test_a_noted_baseline_takes_the_last_twenty_valid_sweeps_before_it(case):
    case.sweeps(5, 390.0)
    case.sweeps(10, 400.0)
    case.sweep(None, reason="saturation")
    case.sweeps(10, 420.0)

    taken = kinds(case.note("baseline"), BaselineTaken)[0]

    assert taken.accepted
    assert taken.reason == "note/baseline"
    assert taken.values["amplitude_uv"] == pytest.approx(410.0)


def test_a_noted_baseline_of_another_modality_is_not_the_lsrs(case):
    case.sweeps(20, 400.0)

    assert not kinds(case.note("baseline", modality="baep"), BaselineTaken)
    assert kinds(case.note("baseline", modality="lsr"), BaselineTaken)


def test_a_baseline_from_too_few_sweeps_is_refused_with_its_reason():
    case = Case()
    case.sweeps(7, 200.0)

    (taken,) = kinds(case.note("baseline"), BaselineTaken)

    assert not taken.accepted
    assert taken.reason == "only 7 valid sweeps, need 20"
    assert case.state == "UNKNOWN"


def test_a_baseline_over_varying_current_is_refused():
    case = Case()
    for current in range(20):
        case.sweep(200.0, mA=str(current))

    (taken,) = case.baselines()
    assert not taken.accepted
    assert "the stimulus varied" in taken.reason
    assert case.reasons == ("no_baseline",)


def test_a_current_is_the_same_however_it_is_written():
    case = Case()
    case.sweeps(10, 200.0, mA="10")
    case.sweeps(10, 200.0, mA="10.0")

    assert case.state == "PRESENT"
    assert not kinds(case.sweep(200.0, mA="1e1"), Hold)


def test_a_baseline_noted_at_a_higher_current_is_taken_there(case):
    case.sweeps(20, 300.0, mA="14")

    taken = kinds(case.note("baseline"), BaselineTaken)[0]

    assert taken.accepted
    assert taken.values["stimulus"] == "mA=14"
    assert taken.values["amplitude_uv"] == pytest.approx(300.0)


def test_a_baseline_noted_at_a_lower_current_is_taken_there_and_ends_the_hold(case):
    case.sweeps(20, 150.0, mA="8")
    assert case.reasons[0] == "intensity_low"

    taken = kinds(case.note("baseline"), BaselineTaken)[0]
    case.sweep(150.0, mA="8")

    assert taken.accepted
    assert taken.values["stimulus"] == "mA=8"
    assert case.reasons == ()


def test_a_change_of_rate_is_no_other_stimulus(case):
    case.interval = 400

    events = case.sweeps(30, 200.0)

    assert not kinds(events, Hold)
    assert not kinds(events, StateChange)


# NOT_ELICITED


def test_not_elicited_needs_twenty_sweeps_a_sound_m_control_and_no_lsr():
    case = Case()
    case.sweeps(20, None)

    assert case.states == ["NOT_ELICITED"]
    assert case.reasons == ()
    assert case.baselines()[0].values["amplitude_uv"] is None


@pytest.mark.parametrize(("answers", "elicited"), [(18, ["NOT_ELICITED"]), (17, [])])
def test_not_elicited_is_not_said_where_the_m_control_answers_too_rarely(answers, elicited):
    case = Case()
    case.sweeps(answers, None)
    case.sweeps(20 - answers, None, m=None)

    assert case.states == elicited


def test_not_elicited_is_not_said_without_an_m_control():
    case = Case(control=False)
    case.sweeps(20, None)

    (taken,) = case.baselines()
    assert not taken.accepted
    assert "M-control" in taken.reason
    assert case.reasons == ("no_baseline",)


def test_not_elicited_is_not_said_in_noise_that_hides_an_lsr():
    case = Case()
    case.sweeps(20, None, limit=250.0)

    (taken,) = case.baselines()
    assert not taken.accepted
    assert "noise" in taken.reason


def test_a_few_responses_are_neither_elicited_nor_not():
    case = Case()
    case.sweeps(17, None)
    case.sweeps(3, 100.0)

    (taken,) = case.baselines()
    assert not taken.accepted
    assert taken.reason == "weak: a response in 3 of 20 sweeps"


def test_a_later_appearance_after_not_elicited_is_present_never_reappeared():
    case = Case()
    case.sweeps(20, None)
    case.sweeps(4, 150.0)

    assert case.states == ["NOT_ELICITED", "PRESENT"]


def test_an_lsr_that_appeared_late_can_be_lost():
    case = Case()
    case.sweeps(20, None)
    case.sweeps(20, 150.0)
    case.sweeps(20, None)

    assert case.states == ["NOT_ELICITED", "PRESENT", "ABSENT"]


# grades


@pytest.mark.parametrize(
    ("percent", "state"),
    [
        (100.0, "PRESENT"),
        (50.5, "PRESENT"),
        (49.5, "REDUCED"),
        (14.0, "REDUCED"),
        (13.0, "NEAR_ABSENT"),
    ],
)
def test_the_grade_follows_the_reduction_from_baseline(case, percent, state):
    case.sweeps(10, 2 * percent, limit=10.0)

    assert case.state == state
    if state != "PRESENT":
        assert kinds(case.events, StateChange)[-1].percent_of_baseline == pytest.approx(percent)


def test_near_absent_only_while_13_5_percent_of_baseline_exceeds_the_detection_limit(case):
    case.sweeps(10, 26.0, limit=61.0)  # of five sweeps together: 13.6 % of 200 uV

    assert case.state == "REDUCED"


def test_the_grade_is_the_median_of_the_last_five_valid_sweeps(case):
    events = case.sweeps(2, 60.0)
    assert not kinds(events, StateChange)
    case.sweep(None, reason="cautery")  # not valid: it does not count

    (change,) = kinds(case.sweep(60.0), StateChange)

    assert (change.state, change.previous) == ("REDUCED", "PRESENT")
    assert change.since == 21_000  # the first of the small ones
    assert change.percent_of_baseline == pytest.approx(30.0)


def test_two_outliers_among_five_change_nothing(case):
    for _ in range(10):
        case.sweeps(2, 20.0)
        case.sweeps(3, 200.0)

    assert case.states == ["PRESENT"]


def test_a_grade_can_go_back_up(case):
    case.sweeps(5, 60.0)
    case.sweeps(5, 200.0)

    assert case.states == ["PRESENT", "REDUCED", "PRESENT"]


def test_a_grade_at_its_limit_does_not_flicker(case):
    for _ in range(10):
        case.sweeps(5, 98.0)
        case.sweeps(5, 102.0)

    assert case.states == ["PRESENT", "REDUCED"]


def test_percent_of_baseline_stands_beside_every_response(case):
    shown = {e.derivation: e for e in kinds(case.sweep(50.0, m=800.0), Response)}

    assert shown[LSR].percent_of_baseline == pytest.approx(25.0)
    assert shown[CONTROL].percent_of_baseline == pytest.approx(80.0)


# ABSENT and REAPPEARED


def test_absent_comes_by_misses_in_a_row_and_prints_its_detection_limit(case):
    case.sweeps(6, None)

    change = kinds(case.events, StateChange)[-1]
    assert change.state == "ABSENT"
    assert change.since == 21_000
    assert change.percent_of_baseline is None
    assert change.detection_limit_percent == pytest.approx(10.0 / 3**0.5)  # of three sweeps of 10 % each


def test_one_or_two_misses_of_a_steady_lsr_are_not_yet_absent(case):
    for _ in range(10):
        case.sweeps(2, None)
        case.sweeps(8, 200.0)

    assert "ABSENT" not in case.states


def misses_until_absent(case):
    for n in range(1, 60):
        if "ABSENT" in [e.state for e in kinds(case.sweep(None), StateChange)]:
            return n
    return 60


def test_an_intermittent_lsr_needs_more_misses():
    needed = {}
    for every in (1, 2, 3):  # present in every sweep, in every second, in every third
        case = Case()
        for i in range(40):
            case.sweep(200.0 if i % every == 0 else None)
        needed[every] = misses_until_absent(case)

    assert needed[1] < needed[2] < needed[3]


def test_an_lsr_that_becomes_intermittent_is_learnt_and_not_called_absent():
    """Three misses in five from now on; each run is short of the loss of a steady LSR."""
    rng = np.random.default_rng(2)
    steady, faded = Case(), Case()
    steady.sweeps(20, 200.0)
    faded.sweeps(20, 200.0)
    for _ in range(40):
        faded.sweeps(2, None)
        faded.sweeps(int(rng.integers(1, 4)), 200.0)
    assert "ABSENT" not in faded.states

    assert misses_until_absent(faded) > misses_until_absent(steady)


def test_reappeared_follows_only_absent_and_leaves_only_to_absent(absent):
    absent.sweeps(4, 200.0)
    assert absent.states[-2:] == ["ABSENT", "REAPPEARED"]
    absent.sweeps(10, 40.0)
    assert absent.state == "REAPPEARED"
    absent.sweeps(12, None)
    absent.sweeps(4, 200.0)

    assert absent.states[-4:] == ["ABSENT", "REAPPEARED", "ABSENT", "REAPPEARED"]


def test_reappeared_dates_from_the_first_response(absent):
    start = absent.now
    absent.sweeps(4, 200.0)

    assert kinds(absent.events, StateChange)[-1].since == start + 1000


def test_one_chance_response_does_not_undo_absent(absent):
    for _ in range(20):
        absent.sweep(60.0, p=0.009)
        absent.sweeps(8, None)

    assert absent.state == "ABSENT"


def test_a_noted_baseline_does_not_lead_out_of_absent(absent):
    """The last twenty valid sweeps still hold the responses from before the loss."""
    (taken,) = kinds(absent.note("baseline"), BaselineTaken)

    assert not taken.accepted
    assert absent.state == "ABSENT"


def test_a_noted_baseline_does_not_lead_out_of_reappeared(absent):
    absent.sweeps(25, 120.0)
    assert absent.state == "REAPPEARED"

    absent.note("baseline")

    assert absent.state == "REAPPEARED"


@pytest.mark.parametrize("seed", range(30))
def test_any_course_keeps_to_the_table_of_transitions(seed):
    rng = np.random.default_rng(seed)
    case = Case()
    for _ in range(25):
        uv = rng.choice([None, 20.0, 60.0, 200.0])
        settings = {
            "m": rng.choice([1000.0, 1000.0, 1000.0, 300.0]),
            "mA": rng.choice(["10", "10", "10", "8", "12"]),
        }
        if rng.random() < 0.15:
            case.note("baseline")
        case.sweeps(int(rng.integers(1, 25)), uv, **settings)

    for change in kinds(case.events, StateChange):
        assert change.state in TRANSITIONS[State(change.previous)]


def test_states_and_holds_are_told_once_each():
    case = Case()
    case.sweeps(20, 200.0)
    for uv in (None, 200.0, 50.0, None):
        case.sweeps(15, uv)

    changes = kinds(case.events, StateChange)
    assert all(a.state == b.previous for a, b in pairwise(changes))
    assert all(e.state != e.previous for e in changes)


def test_the_table_lets_reappeared_follow_absent_only():
    assert [s for s, following in TRANSITIONS.items() if State.REAPPEARED in following] == [State.ABSENT]
    assert TRANSITIONS[State.REAPPEARED] == (State.ABSENT,)
    assert TRANSITIONS[State.ABSENT] == (State.REAPPEARED,)
    assert all(State.ABSENT in TRANSITIONS[state] for state in GRADES)


# holds


def test_an_lsr_that_falls_together_with_its_m_control_is_never_absent(case):
    for k in range(1, 60):
        fall = 0.9**k
        case.sweep(200 * fall if 200 * fall > 20 else None, m=1000 * fall)

    assert "ABSENT" not in case.states
    assert case.reasons == ("m_control_lost", "no_stimulus")


def test_the_m_control_is_lost_below_half_its_baseline(case):
    assert not kinds(case.sweep(None, m=501.0), Hold)

    (hold,) = kinds(case.sweep(None, m=499.0), Hold)

    assert (hold.active, hold.reason) == (True, "m_control_lost")


def test_a_response_under_a_lost_m_control_is_shown_but_does_not_count(case):
    before = case.states
    shown = [kinds(case.sweep(40.0, m=None), Response)[0] for _ in range(10)]

    assert all(e.measurement.present for e in shown)
    assert case.states == before


def test_an_absence_under_a_lost_m_control_is_shown_as_unknown(case):
    shown = kinds(case.sweep(None, m=None), Response)[0]

    assert shown.measurement.present is None
    assert shown.measurement.reason == "m_control_lost"


def test_an_m_control_that_cannot_be_judged_holds_an_absence(case):
    (hold,) = kinds(case.sweep(None, m_reason="saturation"), Hold)
    assert hold.reason == "saturation"

    case.sweep(200.0, m_reason="saturation")  # a response needs no witness
    assert case.reasons == ()


@pytest.mark.parametrize("reason", ["saturation", "electrode_off", "cautery", "gap", "foreign_stimulus"])
def test_a_sweep_that_cannot_be_judged_holds_until_one_that_can(case, reason):
    (begun,) = kinds(case.sweep(None, reason=reason), Hold)
    case.sweeps(30, None, reason=reason)
    assert case.states == ["PRESENT"]
    (ended,) = kinds(case.sweep(200.0), Hold)

    assert (begun.active, begun.reason, begun.reasons) == (True, reason, (reason,))
    assert (ended.active, ended.reasons) == (False, ())


@pytest.mark.parametrize("reason", ["saturation", "electrode_off", "cautery"])
def test_a_mark_of_artefact_holds_at_once_and_until_a_sweep_after_its_end(case, reason):
    (begun,) = kinds(case.mark(reason, active=True), Hold)
    assert (begun.sample, begun.reason) == (case.now, reason)
    case.sweep(200.0)
    assert case.reasons == (reason,)
    assert not kinds(case.mark(reason, active=False), Hold)

    (ended,) = kinds(case.sweep(200.0), Hold)

    assert not ended.active


def test_a_mark_on_another_channel_holds_nothing(case):
    assert not kinds(case.mark("cautery", active=True, channel="Frontalis"), Hold)


def test_a_hold_starts_with_its_first_reason_and_ends_with_its_last(case):
    case.mark("cautery", active=True)
    case.sweep(None, reason="saturation")
    case.mark("cautery", active=False)
    case.sweep(200.0)

    told = [(e.active, e.reason, e.reasons) for e in kinds(case.events, Hold)][-3:]
    assert told == [
        (True, "cautery", ("cautery",)),
        (True, "saturation", ("cautery", "saturation")),
        (False, "saturation", ()),
    ]


def test_a_hold_freezes_the_state(case):
    case.mark("cautery", active=True)
    case.sweeps(30, None)

    assert case.states == ["PRESENT"]


def test_sweeps_under_a_hold_do_not_count_afterwards(case):
    case.mark("cautery", active=True)
    case.sweeps(10, 50.0)
    case.mark("cautery", active=False)

    case.sweeps(2, 200.0)

    assert case.states == ["PRESENT"]


def test_a_hold_drops_the_misses_before_it(case):
    needed = misses_until_absent(steady_case())
    case.sweeps(needed - 1, None)
    case.sweep(None, reason="gap")

    case.sweeps(needed - 1, None)

    assert "ABSENT" not in case.states


def steady_case():
    made = Case()
    made.sweeps(20, 200.0)
    return made


def test_cautery_notes_hold_and_release(case):
    case.note("cautery-on")
    case.note("cautery-on")  # pressed twice
    case.sweep(200.0)
    assert case.reasons == ("cautery",)
    case.note("cautery-off")
    case.sweep(200.0)

    assert case.reasons == ()


def test_a_gap_is_passed_on_and_holds(case):
    gap = Gap(case.now + 500, case.now + 100, case.now + 500)
    case.now += 500

    events = case.push(gap=gap)

    assert events[0] is gap
    assert [e.reason for e in kinds(events, Hold)] == ["gap"]


def test_no_stimulus_for_ten_seconds_is_held_at_its_sample(case):
    last = case.now + 50
    events = case.wait(30_000)

    (hold,) = kinds(events, Hold)
    assert (hold.sample, hold.reason) == (last + 10_000, "no_stimulus")
    (ended,) = kinds(case.sweep(200.0), Hold)
    assert not ended.active


def test_no_stimulus_waits_for_five_intervals_at_slow_rates():
    case = Case(interval=3000)
    case.sweeps(20, 200.0)
    last = case.now + 50

    (hold,) = kinds(case.wait(40_000), Hold)

    assert hold.sample == last + 15_000


def test_sweeps_that_are_not_valid_do_not_count_as_stimuli(case):
    case.sweeps(15, None, reason="saturation")

    assert case.reasons == ("saturation", "no_stimulus")


def test_no_stimulus_after_a_time_at_higher_current_still_comes_after_ten_seconds(case):
    case.sweeps(30, 200.0, mA="12")
    case.sweeps(5, 200.0)
    last = case.now + 50

    (hold,) = kinds(case.wait(60_000), Hold)

    assert hold.sample == last + 10_000


def test_noise_is_held_when_the_detection_limit_exceeds_half_the_baseline(case):
    # fifteen sweeps together see a quarter of what one sees
    assert not kinds(case.sweeps(5, 200.0, limit=385.0), Hold)

    (hold,) = kinds(case.sweeps(5, None, limit=390.0), Hold)

    assert (hold.active, hold.reason) == (True, "noise")
    assert "ABSENT" not in case.states


def test_noise_is_released_when_an_absence_can_be_seen_again(case):
    case.sweeps(5, 200.0, limit=400.0)
    assert case.reasons == ("noise",)
    case.sweeps(5, 200.0, limit=320.0)
    assert case.reasons == ("noise",)

    case.sweeps(5, 200.0, limit=300.0)

    assert case.reasons == ()


def test_below_the_baselines_current_intensity_is_low(case):
    (hold,) = kinds(case.sweep(None, mA="8"), Hold)
    assert hold.reason == "intensity_low"
    case.sweeps(30, None, mA="8")
    assert case.states == ["PRESENT"]

    case.sweep(200.0)
    assert case.reasons == ()


def test_another_pulse_width_is_no_lower_intensity_and_the_baseline_holds_again_after_it():
    made = Case()
    made.sweeps(20, 200.0, width="0.2")

    (hold,) = kinds(made.sweep(200.0, width="0.1"), Hold)
    assert hold.reason == "no_baseline"
    (ended,) = kinds(made.sweep(200.0, width="0.2"), Hold)
    assert not ended.active


def test_a_stronger_stimulus_to_the_other_side_is_not_compared():
    made = Case()
    made.sweeps(20, 200.0, side="L")

    (hold,) = kinds(made.sweep(200.0, side="R", mA="12"), Hold)

    assert hold.reason == "no_baseline"


def test_above_the_baselines_current_silence_keeps_absent(absent):
    events = absent.sweeps(20, None, mA="15")

    assert not kinds(events, StateChange)
    assert not kinds(events, Hold)


def test_above_the_baselines_current_a_response_is_never_reappeared(absent):
    absent.sweeps(20, 300.0, mA="15")

    assert absent.state == "ABSENT"


def test_with_trains_a_response_is_never_reappeared_and_intensity_not_low(absent):
    events = absent.sweeps(20, 300.0, pulses="4")

    assert not kinds(events, StateChange)
    assert not kinds(events, Hold)


# order


def test_a_note_is_passed_on_where_it_is_accepted(case):
    (taken,) = kinds(case.note("vessel-lifted", vessel="AICA"), NoteTaken)

    assert taken.sample == taken.note.accepted == case.now
    assert taken.note.attributes == {"vessel": "AICA"}


def test_at_one_sample_gap_mark_sweep_and_note_come_in_this_order(case):
    at = case.now + 1000
    trigger = Trigger(at - 50, "zygomatic", {"mA": "10"})
    rows = np.zeros((2, 4))
    sweep = Sweep(at, trigger, rows, np.ones(rows.shape, dtype=bool), 1)
    lsr, control = (
        case.measured(200.0, None, None, 20.0, 11e-3),
        case.measured(1000.0, None, None, 30.0, 3e-3),
    )
    facts = [
        SweepMeasured(at, sweep, (lsr, control)),
        ArtefactMark(at, "Mentalis", "cautery", True),
    ]

    events = case.judge.push([facts], [Note(at, at, "dura-open")], at + 1, Gap(at, at, at))

    order = [type(e).__name__ for e in events if not isinstance(e, Hold)]
    assert order == ["Gap", "Response", "Response", "NoteTaken"]
    assert [e.reason for e in kinds(events, Hold)][:2] == ["gap", "cautery"]


def test_the_derivations_of_one_site_are_judged_by_themselves():
    derivations = (DERIVATIONS[0], Derivation("zygomatic", "OrbOris", "lsr"), DERIVATIONS[1])
    info = StreamInfo(FS, (*INFO.channels, Channel("OrbOris")))
    judge = Judge((replace(SPEC, derivations=derivations),), info, 0)
    judge.begin(0)
    events = []
    for k in range(1, 41):
        here, there = (200.0, 200.0) if k <= N_SWEEPS else (None, 200.0)
        found = [Case.measured(uv, None, None, 20.0, 11e-3) for uv in (here, there, 1000.0)]
        rows = np.zeros((3, 4))
        trigger = Trigger(1000 * k, "zygomatic")
        sweep = Sweep(1000 * k + 50, trigger, rows, np.ones(rows.shape, dtype=bool), 1)
        facts = [SweepMeasured(1000 * k + 50, sweep, tuple(found))]
        events += judge.push([facts], [], 1000 * k + 51)

    assert [(e.derivation, e.state) for e in kinds(events, StateChange)][-1] == (LSR, "ABSENT")
    assert [e.state for e in kinds(events, StateChange) if e.derivation == "zygomatic>OrbOris"] == ["PRESENT"]


def test_a_sweep_known_at_the_very_end_of_the_silence_still_ends_it(case):
    silence = 10_000
    for late, held in ((0, False), (1, True)):
        case.now += silence - case.interval + late  # the next sweep is known so much after the last one

        events = case.sweep(200.0)

        assert [e.reason for e in kinds(events, Hold) if e.active] == ["no_stimulus"] * held


# drugs


@pytest.mark.parametrize(("event", "attributes"), [("relaxant", {}), ("tof", {"count": "2"})])
def test_a_relaxant_before_the_baseline_is_left_to_the_m_control(event, attributes):
    case = Case()
    case.note(event, **attributes)
    case.sweeps(20, 200.0)

    assert case.reasons == ()
    assert case.state == "PRESENT"


def test_no_twitch_holds_until_twitches_come_back(case):
    case.note("tof", count="0")
    assert case.reasons == ("relaxant",)
    case.sweeps(30, None)
    assert case.state == "PRESENT"

    case.note("tof", count="1")

    assert case.reasons == ()


def test_a_bolus_delays_a_loss_and_a_chance_response_does_not_end_the_delay(case):
    case.note("bolus", drug="propofol")
    case.sweeps(10, None)
    assert case.reasons == ("bolus",)

    case.sweep(200.0)
    assert case.reasons == ("bolus",)
    case.sweeps(285, None)
    assert case.state == "PRESENT"
    case.sweeps(20, None)

    assert case.state == "ABSENT"


def test_responses_end_the_delay_of_a_bolus(case):
    case.note("bolus", drug="propofol")
    case.sweeps(10, None)

    case.sweeps(3, 200.0)

    assert case.reasons == ()
    assert case.states == ["PRESENT"]


def test_an_m_control_that_seldom_answers_is_none():
    case = Case()
    for k in range(20):
        case.sweep(200.0, m=1000.0 if k < 3 else None)
    case.sweeps(6, None, m=None)

    assert case.baselines()[-1].values["m_amplitude_uv"] is None
    assert case.baselines()[-1].values["m_responses"] == 3
    assert case.state == "ABSENT"


def test_responses_at_another_latency_are_told_late(absent):
    absent.sweeps(8, 300.0, latency=14e-3)
    assert absent.state == "ABSENT"

    absent.sweeps(20, 300.0, latency=14e-3)

    assert absent.state == "REAPPEARED"


# titration before anyone asked for a baseline


def test_twenty_sweeps_under_a_stronger_stimulus_replace_a_provisional_baseline():
    case = Case()
    case.sweeps(25, None, mA="5")
    assert case.state == "NOT_ELICITED"

    case.sweeps(19, 200.0, mA="10")
    assert case.state == "NOT_ELICITED"
    case.sweep(200.0, mA="10")

    assert case.state == "PRESENT"
    assert case.baselines()[-1].values["stimulus"] == "mA=10"


def test_a_baseline_that_someone_asked_for_is_not_replaced():
    case = Case()
    case.sweeps(20, 200.0, mA="5")
    case.note("baseline")
    taken = len(case.baselines())

    case.sweeps(40, 400.0, mA="10")

    assert len(case.baselines()) == taken


def test_silence_under_a_stronger_stimulus_replaces_nothing():
    case = Case()
    case.sweeps(25, None, mA="5")
    taken = len(case.baselines())

    case.sweeps(40, None, mA="10")

    assert len(case.baselines()) == taken
    assert case.state == "NOT_ELICITED"


def test_an_absence_is_challenged_by_a_stronger_stimulus_and_keeps_its_baseline(absent):
    taken = len(absent.baselines())

    absent.sweeps(40, None, mA="20")

    assert len(absent.baselines()) == taken
    assert absent.state == "ABSENT"
