"""What drugs do to the judging of an LSR, clause by clause of the design."""

import pytest

from ionm.drugs import Drugs
from ionm.stream import Note

FS = 100.0


def note(event, sample=1000, **attributes):
    return Note(sample, sample, event, attributes)


def test_a_bolus_may_explain_a_loss_for_five_minutes_and_no_longer():
    drugs = Drugs(FS)
    assert not drugs.near(1000)

    assert drugs.take(note("bolus", drug="propofol"), has_control=True) == (None, None)

    assert drugs.near(1000)
    assert drugs.near(1000 + 300 * 100 - 1)
    assert not drugs.near(1000 + 300 * 100)


def test_a_second_bolus_begins_the_time_anew():
    drugs = Drugs(FS)
    drugs.take(note("bolus"), has_control=True)
    drugs.take(note("bolus", 20_000), has_control=True)

    assert drugs.near(20_000 + 29_999)


def test_the_hold_of_a_bolus_ends_when_its_time_has_passed():
    drugs = Drugs(FS)
    drugs.take(note("bolus"), has_control=True)
    assert drugs.over(31_000, present=False) == ()  # nothing is held

    assert drugs.delay() == "bolus"

    assert drugs.over(30_999, present=False) == ()
    assert drugs.over(31_000, present=False) == ("bolus",)
    assert drugs.over(31_001, present=False) == ()


def test_three_responses_of_five_show_that_the_muscle_answers():
    drugs = Drugs(FS)
    drugs.take(note("bolus"), has_control=True)
    for _ in range(5):
        drugs.over(1000, present=True)  # before the hold: they say nothing of it
    drugs.delay()
    drugs.take(note("tof", count="0"), has_control=True)

    ended = [drugs.over(2000, present=p) for p in (True, False, False, True, False, True, True)]

    assert ended == [(), (), (), (), (), (), ("bolus", "relaxant")]


@pytest.mark.parametrize(
    ("count", "control", "does"),
    [
        ("0", True, ("relaxant", None)),
        ("1", True, (None, "relaxant")),
        ("0", False, ("relaxant", None)),
        ("2", False, ("relaxant", None)),
        ("3", False, (None, "relaxant")),
        ("4", False, (None, "relaxant")),
        ("", True, (None, None)),
        ("two", True, (None, None)),
        ("inf", True, (None, None)),
        ("0.5", True, (None, None)),
        ("-1", False, (None, None)),
    ],
)
def test_twitches_hold_only_at_none_or_where_no_m_control_speaks(count, control, does):
    assert Drugs(FS).take(note("tof", count=count), has_control=control) == does


def test_a_relaxant_holds_only_without_an_m_control():
    assert Drugs(FS).take(note("relaxant"), has_control=True) == (None, None)
    assert Drugs(FS).take(note("relaxant"), has_control=False) == ("relaxant", None)


@pytest.mark.parametrize("event", ["mac", "temperature", "vessel-lifted"])
def test_other_notes_hold_nothing(event):
    assert Drugs(FS).take(note(event, value="1"), has_control=False) == (None, None)
