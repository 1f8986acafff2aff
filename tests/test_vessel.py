"""The naming of vessels, rule by rule, on events made by hand."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.events import (
    Attribution,
    BaselineTaken,
    Gap,
    Hold,
    Measurement,
    NoteTaken,
    Response,
    StateChange,
    Sweep,
)
from ionm.manoeuvres import Kind, act_of, nearness
from ionm.protocol import load
from ionm.protocols import FOREVER
from ionm.session import Session
from ionm.simulate import scenario, simulate_case
from ionm.sinks.jsonl import line
from ionm.sinks.naming import sentence
from ionm.stream import Channel, Note, StreamInfo, Trigger
from ionm.vessel import Vessels

FS = 1000.0  # so that samples are milliseconds
LSR, CONTROL, OTHER = "zygomatic>Mentalis", "zygomatic>OrbOculi", "mandibular>OrbOculi"
INFO = StreamInfo(FS, (Channel("Mentalis"), Channel("OrbOculi")))
SWEEP = Sweep(0, Trigger(0, "zygomatic"), np.zeros((1, 1)), np.ones((1, 1), bool), 0)
LOST = 200_000  # sample of the first stimulus without an LSR in most cases


class Case:
    """One derivation; a stimulus every second, its sweep known 50 ms later."""

    def __init__(self, *, control=True, derivation=LSR):
        self.running = Vessels().start(INFO, 0)
        self.control = control
        self.derivation = derivation
        self.said = []
        self.now = 0
        self.attributes = {"mA": "10"}
        self.state = "UNKNOWN"
        self.later = []  # notes that are still to come

    def give(self, event):
        """Hand over an event as the judge does: what is due comes first."""
        if event.sample > self.running.deadline:
            self.said += self.running.pass_time(event.sample)
        self.said += self.running.follow(event)

    def start(self):
        """An accepted baseline and a present LSR."""
        self.sweeps(10)
        self.give(BaselineTaken(self.now + 50, "lsr", self.derivation, True, "", {}))
        self.change("PRESENT", since=self.now)
        return self

    def sweeps(self, n, percent=100.0, m=100.0):
        for _ in range(n):
            self.sweep(percent, m)
        return self

    def sweep(self, percent=100.0, m=100.0):
        """One stimulus: LSR and M-wave in percent of their baselines, None for no response."""
        self.now += 1000
        while self.later and self.later[0].accepted <= self.now:
            self.give(NoteTaken(self.later[0].accepted, self.later.pop(0)))
        if self.control:
            self.give(self.response(CONTROL, "m_control", m))
        self.give(self.response(self.derivation, "lsr", percent))

    def response(self, derivation, role, percent):
        site, channel = derivation.split(">")
        found = Measurement(percent is not None, None if percent is None else percent * 1e-6)
        trigger = Trigger(self.now, site, self.attributes)
        return Response(
            self.now + 50, "lsr", derivation, site, channel, role, trigger, found, percent, SWEEP, 0
        )

    def change(self, state, *, since, interval=None, percent=None):
        previous, self.state = self.state, state
        sample = self.now + 50
        self.give(
            StateChange(sample, "lsr", self.derivation, state, previous, since, percent, 10.0, "", interval)
        )

    def note(self, at, event, *, accepted=None, **attributes):
        """Written down for sample ``at``; the notes are given in order when their time has come."""
        self.later.append(Note(at, at if accepted is None else accepted, event, attributes))
        self.later.sort(key=lambda note: note.accepted)
        return self

    def until(self, sample, percent=100.0, m=100.0):
        """Stimuli before ``sample``."""
        while self.now + 1000 < sample:
            self.sweep(percent, m)
        return self

    def lose(self, interval=(LOST - 1000, LOST), m=100.0):
        """The LSR is missed in three sweeps: absent."""
        self.sweeps(3, None, m)
        self.change("ABSENT", since=self.now - 2000, interval=interval)
        return self

    def drop(self, percent, state):
        """It is smaller in five sweeps."""
        self.sweeps(5, percent)
        first = self.now - 4000
        self.change(state, since=first, interval=(first - 1000, first), percent=percent)
        return self

    def hold(self, *reasons, reason="", sample=None):
        """The standing reasons."""
        at = self.now + 50 if sample is None else sample
        self.give(Hold(at, self.derivation, bool(reasons), reason or (reasons or ("",))[-1], reasons))

    @property
    def last(self):
        return self.said[-1]

    @property
    def answer(self):
        """(vessel, manoeuvre, role, reason) of the last line."""
        said = self.said[-1]
        return said.vessel, said.manoeuvre, said.role, said.evidence["reason"]


AICA = ("AICA", "vessel-lifted", "confirming", None)


def lost(*notes, control=True, **settings):
    """A case with notes (sample, event, vessel or None) that loses its LSR at `LOST` and runs on."""
    case = Case(control=control).start()
    for at, event, vessel in notes:
        case.note(at, event, **({"vessel": vessel} if vessel else {}))
    case.until(LOST).lose(**settings)
    return case.sweeps(120, None)


def test_one_vessel_lifted_before_a_loss_is_named_with_its_evidence():
    case = lost((LOST - 3000, "vessel-lifted", "AICA"))

    assert case.answer == AICA
    evidence = case.last.evidence
    assert evidence["lag_s"] == 2.0
    assert evidence["before_percent"] == 100.0
    assert evidence["after_percent"] is None
    assert evidence["detection_limit_percent"] == 10.0
    assert (evidence["m_before_percent"], evidence["m_after_percent"]) == (100.0, 100.0)
    assert evidence["sustained"]
    assert evidence["interval"] == [LOST - 1000, LOST]
    assert evidence["candidates"] == [{"vessel": "AICA", "share": case.last.score}]
    assert evidence["steps"][0]["acts"] == [
        {"vessel": "AICA", "manoeuvre": "vessel-lifted", "note_sample": LOST - 3000, "lag_s": 2.0}
    ]


def test_a_loss_is_first_told_when_it_is_known_and_again_when_it_has_stood_a_minute():
    first, second = lost((LOST - 3000, "vessel-lifted", "AICA")).said

    assert (first.sample, first.evidence["sustained"]) == (LOST + 2050, False)
    assert (second.sample, second.evidence["sustained"]) == (LOST + 60_000, True)
    assert first.score < second.score


@pytest.mark.parametrize(
    ("at", "named"),
    [
        (LOST - 61_000, True),
        (LOST - 61_001, False),
        (LOST + 30_000, True),
        (LOST + 30_001, False),
    ],
)
def test_notes_count_from_a_minute_before_the_change_to_half_a_minute_after(at, named):
    case = lost((at, "vessel-lifted", "AICA"))

    assert (case.last.vessel == "AICA") is named
    if not named:
        assert case.last.role == "not_attributable"


def test_the_uncertainty_of_the_moment_widens_the_span():
    notes = [(LOST - 70_000, "vessel-lifted", "AICA")]

    assert lost(*notes).last.vessel is None
    assert lost(*notes, interval=(LOST - 10_000, LOST)).last.vessel == "AICA"


def test_without_an_interval_the_last_judged_sweep_before_the_loss_begins_it():
    case = lost((LOST - 3000, "vessel-lifted", "AICA"), interval=None)

    assert case.last.evidence["interval"] == [LOST - 1000, LOST]


@pytest.mark.parametrize(("gap", "role"), [(60_000, "inconclusive"), (60_001, "guiding")])
def test_a_second_vessel_within_the_span_makes_it_inconclusive(gap, role):
    case = lost((LOST - 1000 - gap, "teflon-in", "PICA"), (LOST - 3000, "vessel-lifted", "AICA"))

    assert case.last.role == role
    assert case.last.vessel == (None if role == "inconclusive" else "AICA")
    if role == "inconclusive":
        vessels = {c["vessel"] for c in case.last.evidence["candidates"]}
        assert (vessels, case.last.score) == ({"PICA", "AICA"}, 0.0)


def test_a_note_that_comes_after_the_loss_changes_the_answer_when_it_comes():
    case = lost((LOST + 20_000, "vessel-lifted", "AICA"))

    assert [a.vessel for a in case.said] == [None, "AICA", "AICA"]
    assert case.said[1].sample == LOST + 20_000
    assert case.last.evidence["lag_s"] == -20.0


def test_a_note_set_back_to_the_time_of_its_act_counts_from_there():
    case = Case().start().note(LOST - 5000, "vessel-lifted", accepted=LOST + 90_000, vessel="AICA")
    case.until(LOST).lose().sweeps(120, None)

    assert [a.vessel for a in case.said] == [None, "AICA"]
    assert case.last.sample == LOST + 90_000
    assert case.answer == AICA


def test_a_compound_name_is_one_vessel_in_any_order_and_case():
    case = lost((LOST - 30_000, "vessel-lifted", "VA+AICA"), (LOST - 3000, "teflon-in", "aica+va"))

    assert case.answer == ("aica+va", "teflon-in", "confirming", None)
    assert lost(
        (LOST - 30_000, "vessel-lifted", "VA+AICA"), (LOST - 3000, "teflon-in", "AICA")
    ).last.role == ("inconclusive")


def test_an_act_without_a_vessel_is_named_as_an_act_alone():
    case = lost((LOST - 3000, "teflon-in", None))

    assert case.answer == (None, "teflon-in", "confirming", None)
    assert "A manoeuvre, confirming" in sentence(line(case.last, FS))


def test_an_act_without_a_vessel_is_no_second_vessel():
    case = lost((LOST - 20_000, "vessel-lifted", "AICA"), (LOST - 3000, "teflon-in", None))

    assert case.answer == AICA


@pytest.mark.parametrize("event", ["arachnoid-open", "vessel-released", "teflon-out", "coagulated"])
def test_an_act_on_a_vessel_that_does_not_decompress_it_is_indirect(event):
    case = lost((LOST - 3000, event, "AICA"))

    assert case.answer == ("AICA", event, "indirect", None)
    assert case.last.score < lost((LOST - 3000, "vessel-lifted", "AICA")).last.score


def test_an_lsr_that_outlasted_another_vessel_was_a_guide():
    case = lost((LOST - 120_000, "teflon-in", "PICA"), (LOST - 3000, "vessel-lifted", "AICA"))

    assert case.answer == ("AICA", "vessel-lifted", "guiding", None)


def test_an_act_before_the_lsr_was_followed_guides_nobody():
    assert lost((5000, "teflon-in", "PICA"), (LOST - 3000, "vessel-lifted", "AICA")).answer == AICA


def test_the_score_falls_with_the_lag_and_is_lower_after_the_change():
    near, far, after = (
        lost((LOST + lag, "vessel-lifted", "AICA")).last.score for lag in (-3000, -31_000, 30_000)
    )

    assert near > far > after > 0
    assert nearness(-20.0) == pytest.approx(nearness(40.0))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(LOST - 90_000, LOST + 40_000),
            st.sampled_from(
                ["vessel-lifted", "teflon-in", "teflon-out", "arachnoid-open", "csf-drained", "mac"]
            ),
            st.sampled_from(["AICA", "PICA", "VA", None]),
        ),
        max_size=6,
    )
)
def test_all_shares_and_the_unattributable_add_up_to_one(notes):
    case = lost(*notes)

    for said in case.said:
        shares = [candidate["share"] for candidate in said.evidence["candidates"]]
        assert all(0 <= share <= 1 for share in shares)
        assert sum(shares) + said.evidence["unattributable"] == pytest.approx(1.0)
        assert 0 <= said.evidence["unattributable"] <= 1
        assert 0 <= said.score <= 1
        assert (said.score > 0) is (said.manoeuvre is not None)
        assert sentence(line(said, FS)).endswith(".")
    assert all(a.sample <= b.sample for a, b in pairwise(case.said))


def test_a_loss_with_the_opening_is_early_and_not_attributable():
    case = lost((LOST - 20_000, "csf-drained", None), (LOST + 40_000, "vessel-lifted", "AICA"))

    assert case.answer == (None, None, "not_attributable", "before_decompression")


@pytest.mark.parametrize(("vessel_at", "named"), [(LOST - 3000, True), (LOST + 25_000, False)])
def test_of_an_opening_act_and_a_vessel_the_nearer_one_counts(vessel_at, named):
    case = lost((LOST - 11_000, "arachnoid-open", None), (vessel_at, "vessel-lifted", "AICA"))

    assert (case.last.vessel == "AICA") is named
    if not named:
        assert case.last.evidence["reason"] == "before_decompression"


def test_a_delayed_loss_without_an_act_is_never_guessed():
    case = lost((LOST - 90_000, "teflon-in", "AICA"))

    assert case.answer == (None, None, "not_attributable", "no_manoeuvre")
    assert case.last.evidence["unattributable"] == 1.0


@pytest.mark.parametrize(
    ("event", "attributes", "seconds"),
    [
        ("bolus", {"drug": "propofol"}, 300),
        ("relaxant", {"drug": "rocuronium"}, 300),
        ("mac", {"value": "0.8"}, 600),
    ],
)
@pytest.mark.parametrize("outside", [0, 1])
def test_a_drug_bars_a_name_for_its_time(event, attributes, seconds, outside):
    begin = 700_000
    case = Case().start().note(begin - 1000 - seconds * 1000 - outside, event, **attributes)
    case.note(begin - 3000, "vessel-lifted", vessel="AICA")
    case.until(begin).lose((begin - 1000, begin)).sweeps(70, None)

    assert case.answer == (AICA if outside else (None, None, "not_attributable", event))


def test_a_drug_noted_up_to_half_a_minute_later_takes_the_name_back():
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").note(LOST + 30_000, "bolus")
    case.until(LOST).lose().sweeps(70, None)

    assert [a.vessel for a in case.said] == ["AICA", None]
    assert case.last.evidence["reason"] == "bolus"


@pytest.mark.parametrize(
    ("event", "values", "named"),
    [
        ("tof", ["4"], True),
        ("tof", ["4", "4"], True),
        ("tof", ["4", "2"], False),
        ("mac", ["0"], True),
        ("mac", ["0.80"], False),
    ],
)
def test_a_reading_bars_a_name_only_where_it_shows_a_change(event, values, named):
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA")
    for k, value in enumerate(values):
        case.note(LOST - 60_000 + k, event, value=value)
    case.until(LOST).lose().sweeps(70, None)

    assert (case.last.vessel == "AICA") is named
    assert named or case.last.evidence["reason"] == event


def test_the_same_reading_written_otherwise_is_no_change():
    case = Case().start().note(20_000, "mac", value="0.8").note(LOST - 60_000, "mac", value="0.80")
    case.note(LOST - 3000, "vessel-lifted", vessel="AICA")

    assert case.until(700_000).lose((699_000, 700_000)).last.evidence["reason"] == "no_manoeuvre"
    assert "mac" not in {e["reason"] for e in case.last.evidence["steps"][0]["excluded"]}


@pytest.mark.parametrize(("ago", "named"), [(60_000, False), (61_000, True)])
def test_a_changed_stimulus_bars_a_name_for_a_minute(ago, named):
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA")
    case.until(LOST - 1000 - ago)
    case.attributes = {"mA": "12"}
    case.until(LOST).lose().sweeps(70, None)

    assert (case.last.vessel == "AICA") is named
    assert named or case.last.evidence["reason"] == "intensity_change"


def test_the_same_current_written_otherwise_is_no_change():
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST - 20_000)
    case.attributes = {"mA": "10.0"}

    assert case.until(LOST).lose().sweeps(70, None).answer == AICA


def test_a_stronger_stimulus_after_the_loss_only_tests_it():
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST).lose()
    case.attributes = {"mA": "20"}

    assert case.sweeps(70, None).answer == AICA


@pytest.mark.parametrize("reason", ["no_stimulus", "foreign_stimulus", "m_control_lost", "cautery", "gap"])
@pytest.mark.parametrize(("ago", "named"), [(5000, False), (5001, True)])
def test_a_hold_near_the_loss_bars_a_name(reason, ago, named):
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST - 20_000)
    case.hold(reason)
    case.until(LOST - 6000)
    case.hold(reason=reason, sample=LOST - 1000 - ago)
    case.now = LOST - 1000
    case.lose().sweeps(70, None)

    assert (case.last.vessel == "AICA") is named
    assert named or case.last.evidence["reason"] == reason


@pytest.mark.parametrize(("reason", "named"), [("electrode_off", False), ("cautery", True)])
def test_an_electrode_found_off_soon_after_was_off_before(reason, named):
    case = (
        Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST).lose().sweeps(20, None)
    )
    case.hold(reason)

    assert (case.last.vessel == "AICA") is named
    assert named or case.last.evidence["reason"] == reason


@pytest.mark.parametrize(("m", "named"), [(75.0, True), (74.0, False)])
def test_an_m_control_that_falls_too_bars_a_name(m, named):
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA")
    case.until(LOST).lose(m=m).sweeps(70, None, m)

    assert (case.last.vessel == "AICA") is named
    assert named or case.last.evidence["reason"] == "m_control"


def test_a_weaker_m_control_lowers_the_score_and_none_leaves_a_doubt():
    steady = lost((LOST - 3000, "vessel-lifted", "AICA")).last.score
    weaker = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA")
    weaker.until(LOST).lose(m=85.0).sweeps(70, None, 85.0)
    without = lost((LOST - 3000, "vessel-lifted", "AICA"), control=False)

    assert weaker.last.score == pytest.approx(0.85 * steady)
    assert without.last.score == pytest.approx(0.8 * steady)
    assert without.last.evidence["m_before_percent"] is None


def test_another_branch_that_falls_at_the_same_time_is_no_doubt():
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST)
    other = Case(derivation=OTHER)
    other.running = case.running
    other.now, other.state = case.now - 1000, "PRESENT"
    other.sweep()
    other.change("ABSENT", since=LOST, interval=(LOST - 1000, LOST))

    case.lose().sweeps(70, None)

    alone = lost((LOST - 3000, "vessel-lifted", "AICA"))
    assert other.said[0].vessel == "AICA"
    assert case.answer == AICA
    assert [a.score for a in case.said if a.derivation == LSR] == [a.score for a in alone.said]


def additive(*, first="VA", second="AICA", percent=40.0, state="REDUCED"):
    case = Case().start().note(98_000, "vessel-lifted", vessel=first)
    case.note(298_000, "vessel-lifted", vessel=second)
    case.until(100_000)
    if state is None:
        case.sweeps(5, percent)
    else:
        case.drop(percent, state)
    case.until(300_000, percent)
    return case.lose((299_000, 300_000)).sweeps(70, None)


def test_part_with_one_vessel_and_the_rest_with_another_name_both():
    case = additive()

    assert case.answer == ("VA+AICA", "vessel-lifted", "guiding", None)
    assert [step["vessel"] for step in case.last.evidence["steps"]] == ["VA", "AICA"]
    assert [step["before_percent"] for step in case.last.evidence["steps"]] == [100.0, 40.0]
    assert "100 to 40 % with vessel-lifted (VA), then 40 to 0 %" in sentence(line(case.last, FS))
    assert [a.vessel for a in case.said][:2] == ["VA", "VA"]


def test_a_step_that_changes_no_state_is_part_of_it_too():
    case = additive(percent=65.0, state=None)

    assert case.last.vessel == "VA+AICA"
    assert case.said[0].sample > 300_000  # a step alone is not told


def test_two_falls_with_one_vessel_name_it_once():
    assert additive(first="AICA").answer == AICA


def test_a_fall_that_goes_on_within_a_minute_is_one_fall():
    case = Case().start().note(98_000, "vessel-lifted", vessel="AICA").until(100_000)
    case.drop(40.0, "REDUCED").sweeps(40, 40.0)
    case.lose((case.now, case.now + 1000)).sweeps(70, None)

    assert case.answer == AICA
    assert len(case.last.evidence["steps"]) == 1
    assert case.last.evidence["interval"][0] == 98_000 + 1000


def test_what_little_a_near_absent_lsr_had_left_needs_no_new_cause():
    case = Case().start().note(98_000, "vessel-lifted", vessel="AICA").until(100_000)
    case.drop(10.0, "NEAR_ABSENT").sweeps(200, 10.0)
    case.lose((case.now, case.now + 1000)).sweeps(70, None)

    assert case.answer == AICA
    assert case.last.evidence["state"] == "ABSENT"


def test_a_grade_that_wavers_about_its_border_is_no_new_fall():
    case = Case().start().note(98_000, "vessel-lifted", vessel="AICA").until(100_000)
    case.drop(48.0, "REDUCED").sweeps(100, 48.0)
    case.change("PRESENT", since=case.now, percent=56.0)
    case.sweeps(100, 52.0)
    case.change("REDUCED", since=case.now, percent=49.0)

    assert case.answer == AICA
    assert len(case.last.evidence["steps"]) == 1


def test_a_slow_fade_across_a_border_is_no_fall_of_a_vessel():
    case = Case().start().note(98_000, "vessel-lifted", vessel="AICA")
    for percent in np.linspace(100, 50, 90):
        case.sweep(float(percent))
    case.change("REDUCED", since=case.now, interval=(case.now - 1000, case.now), percent=50.0)

    assert case.last.role == "not_attributable"
    assert case.last.evidence["reason"] == "gradual"


def test_most_of_it_lost_early_leaves_no_name_for_the_rest():
    case = Case().start().note(98_000, "csf-drained").note(298_000, "vessel-lifted", vessel="AICA")
    case.until(100_000).drop(30.0, "REDUCED").until(300_000, 30.0).lose((299_000, 300_000)).sweeps(70, None)

    assert case.answer == (None, None, "not_attributable", "before_decompression")
    assert [step["vessel"] for step in case.last.evidence["steps"]] == [None, "AICA"]


def test_the_larger_part_with_a_vessel_is_named():
    case = Case().start().note(98_000, "csf-drained").note(298_000, "vessel-lifted", vessel="AICA")
    case.until(100_000).sweeps(5, 70.0).until(300_000, 70.0).lose((299_000, 300_000)).sweeps(70, None)

    assert case.answer == AICA
    assert case.last.score < lost((LOST - 3000, "vessel-lifted", "AICA")).last.score


def reversed_case(*, released="PICA", back=80.0):
    case = Case().start().note(98_000, "vessel-lifted", vessel="PICA").until(100_000)
    case.lose((99_000, 100_000)).until(200_000, None)
    if released:
        case.note(198_000, "vessel-released", vessel=released)
    case.sweeps(4, back)
    case.change("REAPPEARED", since=200_000, interval=(199_000, 200_000), percent=back)
    case.note(298_000, "teflon-in", vessel="PICA").until(300_000, back)
    return case


def test_a_reappearance_takes_the_name_back():
    case = reversed_case()

    assert case.answer == (None, None, "not_attributable", "reappeared")
    assert case.last.evidence["reversed"]
    assert [act["manoeuvre"] for act in case.last.evidence["undone_by"]] == ["vessel-released"]
    assert "the LSR is back" in sentence(line(case.last, FS))


def test_what_came_back_and_went_again_with_its_vessel_was_a_guide_and_scores_higher():
    case = reversed_case().lose((299_000, 300_000)).sweeps(70, None)
    unreversed = reversed_case(released=None).lose((299_000, 300_000)).sweeps(70, None)

    assert case.answer == ("PICA", "teflon-in", "guiding", None)
    assert case.last.evidence["reversed"]
    assert not unreversed.last.evidence["reversed"]
    assert case.last.score > unreversed.last.score
    assert "reversed when it was let go" in sentence(line(case.last, FS))


def test_another_vessel_let_go_reverses_nothing():
    case = reversed_case(released="VA").lose((299_000, 300_000)).sweeps(70, None)

    assert not case.last.evidence["reversed"]


def test_what_went_unexplained_and_came_back_in_part_stays_on_the_account():
    case = Case().start().note(98_000, "csf-drained").until(100_000)
    case.lose((99_000, 100_000)).until(200_000, None)
    case.sweeps(4, 20.0)
    case.change("REAPPEARED", since=200_000, percent=20.0)
    case.note(298_000, "vessel-lifted", vessel="AICA").until(300_000, 20.0)
    case.lose((299_000, 300_000)).sweeps(70, None)

    assert case.answer == (None, None, "not_attributable", "before_decompression")


def test_a_partial_fall_that_grows_back_takes_the_name_back():
    case = Case().start().note(98_000, "vessel-lifted", vessel="AICA").until(100_000)
    case.drop(40.0, "REDUCED").sweeps(30, 40.0)
    case.sweeps(10, 95.0)
    case.change("PRESENT", since=case.now, percent=95.0)

    assert case.answer == (None, None, "not_attributable", "returned")
    assert case.running.deadline == FOREVER


def test_a_loss_that_does_not_last_a_minute_was_never_sustained():
    case = (
        Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST).lose().sweeps(40, None)
    )
    case.sweeps(4, 90.0)
    case.change("REAPPEARED", since=case.now, percent=90.0)
    case.sweeps(60, 90.0)

    assert [a.evidence["sustained"] for a in case.said] == [False, False]
    assert case.last.vessel is None


def test_a_hold_puts_off_that_a_loss_has_stood():
    case = (
        Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST).lose().sweeps(40, None)
    )
    case.hold("cautery")
    case.sweeps(40, None)
    assert not case.last.evidence["sustained"]
    assert case.running.deadline == FOREVER

    case.hold(reason="cautery")

    assert (case.last.sample, case.last.evidence["sustained"]) == (case.now + 50, True)


def test_a_sweep_that_a_hold_takes_back_counts_for_nothing():
    case = Case().start().note(LOST - 3000, "vessel-lifted", vessel="AICA").until(LOST - 30_000)
    for _ in range(20):
        case.sweep(30.0)  # weaker stimuli: the hold follows each
        case.hold("intensity_low")
        case.hold(reason="intensity_low")

    case.until(LOST).lose().sweeps(70, None)

    assert case.last.evidence["before_percent"] == 100.0


def test_a_new_baseline_begins_anew():
    case = Case().start().note(98_000, "vessel-lifted", vessel="VA").until(100_000).drop(40.0, "REDUCED")
    case.until(200_000, 40.0)
    case.give(BaselineTaken(case.now + 50, "lsr", LSR, True, "", {}))
    case.change("PRESENT", since=case.now)
    case.note(298_000, "vessel-lifted", vessel="AICA").until(300_000)
    case.lose((299_000, 300_000)).sweeps(70, None)

    assert case.last.vessel == "AICA"
    assert len(case.last.evidence["steps"]) == 1


def test_events_of_others_are_let_pass():
    running = Vessels().start(INFO, 0)

    assert list(running.follow(Gap(5, 0, 5))) == []
    assert (
        list(running.follow(StateChange(5, "lsr", "unknown", "ABSENT", "PRESENT", 0, None, None, ""))) == []
    )
    assert running.deadline == FOREVER
    assert list(running.finish(9)) == []


def test_notes_are_read_by_what_they_do():
    kinds = {
        (event, vessel): (act := act_of(Note(0, 0, event, {"vessel": vessel}))) and act.kind
        for event in ("vessel-lifted", "teflon-out", "arachnoid-open", "irrigation")
        for vessel in ("", "AICA")
    }

    assert kinds[("vessel-lifted", "")] is Kind.DECOMPRESSIVE
    assert kinds[("teflon-out", "AICA")] is Kind.UNDOING
    assert kinds[("arachnoid-open", "")] is Kind.OPENING
    assert kinds[("arachnoid-open", "AICA")] is Kind.ON_VESSEL
    assert kinds[("irrigation", "")] is None
    assert kinds[("irrigation", "AICA")] is Kind.ON_VESSEL


@cache
def attributed(seconds):
    """Attribution lines of a simulated case, cut into chunks of this length."""
    case = simulate_case(scenario("reappearing", minutes=1.5, fs=5000, rate=2.3), 3)
    session = Session((load("mvd-hfs").modality(),), case.info, follower=Vessels())
    events = [e for chunk in case.chunks(seconds) for e in session.push(chunk)] + session.finish()
    assert all(a.sample <= b.sample for a, b in pairwise(events))
    return [line(e, 5000.0) for e in events if isinstance(e, Attribution)]


@pytest.mark.parametrize("seconds", [0.013, 0.4])
def test_no_cutting_of_the_stream_changes_an_attribution(seconds):
    assert attributed(seconds) == attributed(1.0)
    assert {entry["vessel"] for entry in attributed(1.0)} == {"PICA", None}


def test_the_spec_is_a_plain_value():
    assert Vessels() == replace(Vessels())
    assert repr(Vessels()) == "Vessels()"
