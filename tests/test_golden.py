"""The committed recordings, from file to events: against the golden lines and against their truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures import make

LSR = ("zygomatic>Mentalis", "zygomatic>OrbOris", "mandibular>OrbOculi", "mandibular>Frontalis")


@pytest.fixture(scope="module", params=list(make.COMMITTED))
def replayed(request: pytest.FixtureRequest) -> tuple[str, list[dict[str, Any]]]:
    name = request.param
    return name, [json.loads(text) for text in make.lines(make.HERE / f"{name}.edf")]


def test_every_line_is_golden(replayed: tuple[str, list[dict[str, Any]]]) -> None:
    name, lines = replayed
    golden = [json.loads(text) for text in make.committed_lines(name)]

    first = next((i for i, (a, b) in enumerate(zip(lines, golden, strict=False)) if make.differs(a, b)), None)

    assert first is None, f"line {first}: {lines[first or 0]} instead of {golden[first or 0]}"
    assert len(lines) == len(golden)


def test_the_states_are_those_of_the_truth(replayed: tuple[str, list[dict[str, Any]]]) -> None:
    """No state is entered that the truth contradicts, and every loss and return is found in time."""
    name, lines = replayed
    truth = json.loads((make.HERE / f"{name}.truth.json").read_text())
    fs = truth["fs"]

    for derivation in LSR:
        intervals = truth["derivations"][derivation]["intervals"]
        changes = [x for x in lines if x["kind"] == "state" and x["derivation"] == derivation]
        for change in changes:
            there = [i for i in intervals if i["start_sample"] <= change["sample"] < i["stop_sample"]]
            gone = there[0]["state"] == "absent"
            assert not (change["state"] == "ABSENT" and not gone), (name, derivation, change)
            assert not (change["state"] in ("REAPPEARED", "PRESENT") and gone), (name, derivation, change)
        final = changes[-1]["state"] if changes else "UNKNOWN"
        if name == "never-elicited":
            assert final == "NOT_ELICITED"
        elif intervals[-1]["state"] == "absent":
            lost = next(c for c in reversed(changes) if c["state"] == "ABSENT")
            assert 0 <= (lost["sample"] - intervals[-1]["start_sample"]) / fs < 5.0
        else:
            assert final in ("PRESENT", "REDUCED")


def test_what_cannot_be_judged_is_held_with_its_reason() -> None:
    lines = [json.loads(text) for text in make.committed_lines("cannot-judge")]

    reasons = {reason for x in lines if x["kind"] == "hold" for reason in x["reasons"]}
    held = {x["derivation"]: x["active"] for x in lines if x["kind"] == "hold"}

    assert reasons >= {"no_baseline", "cautery", "saturation", "m_control_lost", "no_stimulus"}
    assert all(held[derivation] for derivation in LSR)
    assert not any(x["state"] == "ABSENT" for x in lines if x["kind"] == "state")
