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


@pytest.mark.parametrize(("answered", "sample"), [(True, 2000), (False, 1000 + 30_000)])
def test_the_hold_of_a_bolus_ends_when_the_lsr_answers_or_its_time_has_passed(answered, sample):
    drugs = Drugs(FS)
    drugs.take(note("bolus"), has_control=True)
    assert drugs.over(sample, answered=answered) == ()  # nothing is held

    drugs.held = True

    assert drugs.over(1500, answered=False) == ()
    assert drugs.over(sample, answered=answered) == ("bolus",)
    assert drugs.over(sample, answered=answered) == ()


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
