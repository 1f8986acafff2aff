from typing import Any

import pytest

from ionm.sinks.verdict import clock, course, note_in_words, overall, titration

BASELINE = {"elicited": True, "amplitude_uv": 266.0}
NOT_ELICITED = {"elicited": False, "amplitude_uv": None}
LIFTED = {"event": "vessel-lifted", "t": 99.0, "attributes": {"vessel": "AICA"}}


def facts(state: str, **more: Any) -> dict[str, Any]:
    return {
        "baseline": BASELINE,
        "baselines_refused": [],
        "final_state": state,
        "held_at_end": [],
        "amplitude_uv": None,
        "percent_of_baseline": None,
        "detection_limit_percent": 8.2,
        "losses_s": [],
        "reappearances_s": [],
        "last_valid_s": 200.0,
        **more,
    }


def whole(**derivations: dict[str, Any]) -> str:
    return overall({"derivations": derivations})


PRESENT = facts("PRESENT", amplitude_uv=260.0, percent_of_baseline=97.7)
ABSENT = facts("ABSENT", losses_s=[100.5])
HELD = facts("ABSENT", losses_s=[100.5], held_at_end=["cautery"])
SILENT = facts("NOT_ELICITED", baseline=NOT_ELICITED)
UNKNOWN = facts("UNKNOWN", baseline=None)


def test_a_loss_is_told_with_its_time_the_note_before_it_and_its_limit() -> None:
    assert course(ABSENT, [LIFTED]) == (
        "LSR present at baseline (266 µV), lost at 1:40 (100.5 s), 1.5 s after note vessel-lifted (AICA), "
        "absent at the end; a response above 8 % of baseline would have been seen."
    )


def test_a_persisting_response_is_the_surgeons_decision() -> None:
    assert course(PRESENT, []) == (
        "LSR present at baseline (266 µV); LSR still present (98 % of baseline, 260 µV); the surgeon decides."
    )


def test_a_response_that_came_back_is_present_again() -> None:
    back = facts(
        "REAPPEARED", losses_s=[100.5], reappearances_s=[130.0], amplitude_uv=90.0, percent_of_baseline=34
    )

    said = course(back, [])

    assert "lost at 1:40 (100.5 s), back at 2:10 (130.0 s)" in said
    assert said.endswith("LSR again present (34 % of baseline, 90 µV); the surgeon decides.")


def test_many_losses_are_counted() -> None:
    often = facts("ABSENT", losses_s=[10.0, 30.0, 50.0], reappearances_s=[20.0, 40.0])

    assert "lost 3 times (first at 0:10 (10.0 s)) and back 2 times, last lost at 0:50" in course(often, [])


def test_a_hold_at_the_end_takes_the_place_of_a_verdict() -> None:
    said = course(HELD, [])

    assert "cannot be judged at the end: cautery; last judged at 3:20 (200.0 s): absent" in said
    assert "absent at the end" not in said


@pytest.mark.parametrize(
    ("note", "named"),
    [
        ({"event": "vessel-lifted", "t": 101.0, "attributes": {}}, False),  # after the loss
        ({"event": "tof", "t": 100.0, "attributes": {"count": "4"}}, False),  # a reading
        ({"event": "dura-open", "t": -200.0, "attributes": {}}, False),  # more than five minutes before
        ({"event": "dura-open", "t": -199.0, "attributes": {}}, True),
    ],
)
def test_only_an_act_shortly_before_a_loss_is_named_beside_it(note: dict[str, Any], named: bool) -> None:
    assert ("after note" in course(ABSENT, [note])) is named


def test_without_baseline_the_reason_is_told() -> None:
    refused = facts("UNKNOWN", baseline=None, baselines_refused=["only 3 valid sweeps, need 20"])

    assert course(refused, []) == "no baseline (refused: only 3 valid sweeps, need 20); cannot be judged."


def test_a_response_not_elicited_is_no_loss() -> None:
    assert course(SILENT, []) == "LSR not elicited at baseline; none appeared."


def test_a_response_that_appeared_after_the_baseline_is_told() -> None:
    later = facts("PRESENT", baseline=NOT_ELICITED, amplitude_uv=80.0)

    assert course(later, []) == (
        "LSR not elicited at baseline, a response appeared later; "
        "LSR still present (80 µV); the surgeon decides."
    )


def test_what_is_not_known_is_said() -> None:
    rare = facts("PRESENT")
    dim = facts("ABSENT", detection_limit_percent=None)
    never = facts("PRESENT", held_at_end=["no_stimulus"], last_valid_s=None)
    held = facts("REDUCED", held_at_end=["gap"], amplitude_uv=90.0, percent_of_baseline=34.0)

    assert "present (in fewer than half of the last five sweeps)" in course(rare, [])
    assert "its detection limit is not known" in course(dim, [])
    assert course(never, []).endswith("cannot be judged at the end: no valid sweep.")
    assert course(held, []).endswith("last judged at 3:20 (200.0 s): reduced (34 % of baseline, 90 µV).")
    assert course({**SILENT, "held_at_end": ["noise"]}, []).endswith("half the baseline LSR could be missed.")


def test_resolved_only_if_gone_in_every_elicited_branch() -> None:
    assert whole(a=ABSENT, b=ABSENT, c=SILENT).startswith(
        "Resolved: the LSR is gone in every elicited branch (2"
    )
    assert whole(a=ABSENT, b=PRESENT).startswith(
        "Not resolved: LSR present at the end in b; the surgeon decides."
    )
    assert whole(a=ABSENT, b=HELD).startswith(
        "Cannot be said: b could not be judged at the end; the LSR was gone"
    )


def test_a_present_response_outweighs_one_that_cannot_be_judged() -> None:
    assert "Not resolved" in whole(a=HELD, b=PRESENT)
    assert "Cannot be judged at the end: a." in whole(a=HELD, b=PRESENT)


def test_where_nothing_was_elicited_nothing_is_resolved() -> None:
    assert whole(a=SILENT, b=SILENT).startswith("No LSR was elicited at baseline in any branch")
    assert whole(a=SILENT, b=UNKNOWN).startswith(
        "Cannot be judged: no derivation has a baseline with an LSR."
    )


def test_a_derivation_without_baseline_is_named_beside_the_verdict() -> None:
    assert "Never judged, for want of a baseline: b." in whole(a=ABSENT, b=UNKNOWN)


def test_reappearances_are_counted() -> None:
    back = facts("ABSENT", losses_s=[10.0, 30.0], reappearances_s=[20.0])

    assert whole(a=back, b=ABSENT).endswith("Reappeared 1 time during the case (a 1).")
    assert whole(b=ABSENT).endswith("No reappearance was seen.")


def test_no_vessel_is_given_as_a_cause() -> None:
    said = whole(a=ABSENT) + course(ABSENT, [LIFTED])

    assert not {"because", "caused", "due to", "offending"}.intersection(said.split())


def test_a_titration_tells_where_there_were_responses() -> None:
    assert titration([1, 2, 3], [None, 2e-4, 1e-4], "mA") == (
        "a response in 2 of 3 judged sweeps, at 2 to 3 mA; largest 200 µV at 2 mA."
    )
    assert (
        titration([1, 2], [None, 2e-4], "")
        == "a response in 1 of 2 judged sweeps, at 2; largest 200 µV at 2."
    )
    assert titration([1], [None], "V") == "no response in 1 judged sweep."


def test_times_and_notes_in_words() -> None:
    assert [clock(0), clock(59.9), clock(3600)] == ["0:00", "0:59", "1:00:00"]
    assert note_in_words("tof", {"count": "3"}) == "tof (count=3)"
    assert note_in_words("closure", {}) == "closure"
