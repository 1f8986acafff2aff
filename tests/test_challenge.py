"""Stimuli stronger than the baseline's, and what follows an LSR that was not elicited at first."""

from __future__ import annotations

import pytest
from test_judge import Case

from ionm.events import Response
from ionm.sinks import verdict
from ionm.sinks.summary import Summary


def summarised(case: Case) -> dict[str, object]:
    summary = Summary(1000.0, ["zygomatic>Mentalis"])
    for event in case.events:
        summary.write(event)
    return summary.close(case.now + 100, {})


@pytest.fixture
def lost() -> Case:
    made = Case()
    made.sweeps(20, 200.0)
    made.sweeps(6, None)
    assert made.state == "ABSENT"
    return made


def test_a_response_to_a_stronger_stimulus_is_no_reappearance_and_is_told(lost: Case) -> None:
    events = lost.sweeps(10, 200.0, mA="15")

    whole = summarised(lost)
    course = whole["derivations"]["zygomatic>Mentalis"]
    assert lost.state == "ABSENT"
    assert all(e.above_baseline for e in events if isinstance(e, Response) and e.role == "lsr")
    assert course["present_above_baseline"] == 10
    assert course["amplitude_uv"] is None
    assert verdict.overall(whole).startswith(
        "Gone at the baseline's stimulus, but a stronger one is answered"
    )


def test_silence_at_a_stronger_stimulus_confirms_the_absence(lost: Case) -> None:
    lost.sweeps(5, None, mA="15")

    whole = summarised(lost)
    assert whole["derivations"]["zygomatic>Mentalis"]["confirmed_at_ma"] == 15.0
    assert verdict.overall(whole).startswith("Resolved")


def test_silence_at_a_stronger_stimulus_is_a_loss() -> None:
    case = Case()
    case.sweeps(20, 200.0)

    case.sweeps(6, None, mA="15")

    assert case.state == "ABSENT"


def test_an_lsr_that_comes_after_not_elicited_is_its_own_reference() -> None:
    case = Case()
    case.sweeps(20, None)
    assert case.state == "NOT_ELICITED"

    case.sweeps(30, 150.0)
    responses = [e for e in case.events if isinstance(e, Response) and e.role == "lsr"]
    case.sweeps(20, None)

    assert case.states == ["NOT_ELICITED", "PRESENT", "ABSENT"]
    assert responses[-1].percent_of_baseline == pytest.approx(100.0)


def test_three_misses_are_needed_however_long_the_lsr_was_there() -> None:
    case = Case()
    case.sweeps(200, 200.0)

    case.sweeps(2, None)
    assert case.state == "PRESENT"
    case.sweeps(1, None)

    assert case.state == "ABSENT"
