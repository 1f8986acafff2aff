"""What is said of a named vessel, and the report's table of manoeuvres."""

from types import SimpleNamespace

import numpy as np
import pytest

from ionm.events import Measurement, Response, Sweep
from ionm.sinks.naming import WHY, sentence
from ionm.sinks.report.manoeuvres import manoeuvres
from ionm.sinks.report.points import Points
from ionm.stream import Note, Trigger

NAME = "zygomatic>Mentalis"


def act(vessel="AICA", manoeuvre="vessel-lifted", at=60_000):
    return {"vessel": vessel, "manoeuvre": manoeuvre, "note_sample": at, "lag_s": 2.0}


def step(*acts, vessel="AICA", manoeuvre="vessel-lifted", at=60_000, before=100.0, after=None):
    return {
        "vessel": vessel,
        "manoeuvre": manoeuvre,
        "note_sample": at,
        "before_percent": before,
        "after_percent": after,
        "acts": list(acts) or [act(vessel, manoeuvre, at)],
    }


def said(*steps, vessel="AICA", role="confirming", reason=None, **evidence):
    found = {
        "reason": reason,
        "steps": list(steps),
        "lag_s": 2.0,
        "m_before_percent": 100.0,
        "m_after_percent": 98.0,
        "sustained": True,
        "reversed": False,
        "unattributable": 0.06,
        **evidence,
    }
    return {
        "vessel": vessel,
        "manoeuvre": "vessel-lifted",
        "role": role,
        "score": 0.94 if vessel else 0.0,
        "evidence": found,
    }


def test_a_name_is_told_with_its_evidence():
    assert sentence(said(step())) == (
        "AICA, confirming: 100 to 0 % with vessel-lifted (AICA); noted 2 s before it, M-control 100 to 98 %; "
        "score 0.94, unattributable 0.06."
    )


def test_what_is_unknown_or_provisional_is_told_too():
    told = sentence(said(step(vessel=None), lag_s=-3.0, m_after_percent=None, sustained=False, reversed=True))

    assert "noted 3 s after it, no M-control, reversed when it was let go, not yet seen to last 60 s" in told
    assert "noted at the change" in sentence(said(step(), lag_s=0.0))


def test_a_part_that_cannot_be_named_is_told_as_such():
    steps = step(vessel=None, manoeuvre=None, at=None, before=100.0, after=70.0), step(before=70.0)

    assert "100 to 70 % with nothing that can be named, then 70 to 0 % with vessel-lifted (AICA)" in sentence(
        said(*steps)
    )


def test_two_vessels_are_both_told_and_none_is_named():
    line = said(
        step(act("VA"), act("AICA"), act(None)), vessel=None, role="inconclusive", reason="two_vessels"
    )

    assert sentence(line) == "Vessel inconclusive: acts on VA and AICA lie near the change."


@pytest.mark.parametrize("reason", [*WHY, "cautery", "m_control_lost"])
def test_every_reason_has_words(reason):
    told = sentence(said(step(), vessel=None, role="not_attributable", reason=reason))

    assert told.startswith("Vessel not attributable: ")
    assert "_" not in told.removeprefix("Vessel not_attributable")


def case(notes, lines, percents):
    """A case with a stimulus a second at 1 kHz; ``percents`` of baseline, None for no response."""
    points = Points()
    for k, percent in enumerate(percents):
        present = percent is not None
        found = Measurement(present, percent * 1e-6 if present else None)
        trigger = Trigger(k * 1000, "zygomatic")
        sweep = Sweep(0, trigger, np.zeros((1, 1)), np.ones((1, 1), bool), 0)
        points.push(
            Response(0, "lsr", NAME, "zygomatic", "Mentalis", "lsr", trigger, found, percent, sweep, 0)
        )
    written = [Note(at, at, event, {"vessel": vessel} if vessel else {}) for at, event, vessel in notes]
    return SimpleNamespace(
        fs=1000.0,
        notes=written,
        followed=[NAME],
        courses={NAME: SimpleNamespace(points=points)},
        attributions={NAME: lines},
    )


def test_every_act_has_its_levels_before_and_after():
    made = case(
        [(30_000, "tof", None), (40_000, "dura-open", None), (100_000, "teflon-in", "AICA")],
        [],
        [100.0] * 50 + [50.0] * 50 + [None] * 50,
    )

    first, second = manoeuvres(made)

    assert (first.number, first.t, first.event, first.vessel) == (2, 40.0, "dura-open", None)
    assert (first.cells[0].before, first.cells[0].after) == (100.0, 50.0)
    assert first.cells[0].change == -50.0
    assert (second.vessel, second.cells[0].before, second.cells[0].after) == ("AICA", 50.0, 0.0)
    assert second.cells[0].role is None


def test_levels_end_at_the_neighbouring_acts_and_need_three_sweeps():
    made = case([(20_000, "dura-open", None), (22_000, "csf-drained", None)], [], [100.0] * 22 + [None] * 9)

    first, second = manoeuvres(made)

    assert (first.cells[0].before, first.cells[0].after) == (100.0, None)
    assert (second.cells[0].before, second.cells[0].after) == (None, 0.0)
    assert second.cells[0].change is None


def test_a_named_act_has_its_role_and_the_levels_of_the_fall():
    notes = [(60_000, "vessel-lifted", "VA"), (100_000, "vessel-lifted", "AICA")]
    first = said(step(vessel="VA", after=40.0), vessel="VA")
    second = said(
        step(vessel="VA", after=40.0), step(at=100_000, before=40.0), vessel="VA+AICA", role="guiding"
    )

    va, aica = (row.cells[0] for row in manoeuvres(case(notes, [first, second], [77.0] * 150)))

    assert (va.before, va.after, va.role, va.undone) == (100.0, 40.0, "confirming", False)
    assert (aica.before, aica.after, aica.role) == (40.0, 0.0, "guiding")


def test_a_fall_that_was_taken_back_is_marked_as_reversed():
    back = said(vessel=None, role="not_attributable", reason="reappeared")

    (row,) = manoeuvres(case([(60_000, "vessel-lifted", "AICA")], [said(step()), back], [77.0] * 150))

    assert (row.cells[0].role, row.cells[0].undone) == ("confirming", True)


def test_acts_that_cannot_be_told_apart_are_inconclusive():
    acts = act("VA"), act("AICA", at=70_000), act(None, "dura-open", 50_000)
    unnamed = step(*acts, vessel=None, manoeuvre=None, at=None)
    line = said(unnamed, vessel=None, role="inconclusive", reason="two_vessels")
    notes = [(60_000, "vessel-lifted", "VA"), (70_000, "vessel-lifted", "AICA")]

    assert [row.cells[0].role for row in manoeuvres(case(notes, [line], [77.0] * 150))] == [
        "inconclusive"
    ] * 2
