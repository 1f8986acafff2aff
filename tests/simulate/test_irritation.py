"""Free-run patterns in whole cases: where the script puts them, with their truth, and found again."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ionm.detectors.free_run import FreeRun
from ionm.events import ChannelHold, Finding
from ionm.filters.bandpass import Bandpass
from ionm.filters.blanking import Blanking, Mask
from ionm.free_running import FreeRunning
from ionm.protocol import load
from ionm.session import Session
from ionm.simulate import scenario, simulate_case, truth
from ionm.simulate.script import Irritation, Spasm
from ionm.simulate.trains import Pattern
from ionm.sinks.jsonl import line

FS = 5000.0
SCRIPT = scenario("irritation", minutes=1.2, fs=FS)
CASE = simulate_case(SCRIPT, 3)
TRUE = truth(CASE)
SPEC = FreeRunning(
    ("Frontalis", "OrbOculi", "OrbOris", "Mentalis"),
    (),
    (Bandpass(30.0, 1000.0, 2),),
    Blanking((Mask("*", 2.5e-3),), 1e-4),
    FreeRun(floor=30e-6),
)


def followed(case):
    session = Session((SPEC,), case.info)
    events = [e for part in case.chunks(0.5) for e in session.push(part)] + session.finish()
    found = [e for e in events if isinstance(e, Finding) and not e.active and e.offset > e.onset]
    return found, session.tallies()["free_run"]


FOUND, TALLY = followed(CASE)


def overlapping(entry):
    first, end = entry["onset_s"] * FS, entry["offset_s"] * FS
    return [f for f in FOUND if f.channel == entry["channel"] and f.onset < end and f.offset > first]


def patterns(kind):
    return [entry for entry in TRUE["patterns"] if entry["pattern"] == kind]


def test_the_truth_names_every_pattern_that_the_script_puts_in():
    scripted = [e for e in SCRIPT.events if isinstance(e, Irritation)]

    assert [(x["channel"], x["pattern"]) for x in TRUE["patterns"]] == [
        (e.muscle, e.pattern.pattern) for e in scripted
    ]
    assert all(
        x["onset_s"] == pytest.approx(e.pattern.begin, abs=2e-3)
        for x, e in zip(TRUE["patterns"], scripted, strict=True)
    )
    assert json.loads(json.dumps(TRUE["patterns"])) == TRUE["patterns"]


def test_a_case_without_patterns_is_what_it_was():
    plain = simulate_case(replace(SCRIPT, events=()), 3)

    assert "patterns" not in truth(plain)
    quiet, busy = plain.volts(20), CASE.volts(20)  # before anything happens
    assert np.array_equal(quiet, busy)


def test_patterns_stand_in_their_own_channel_only():
    alone = replace(SCRIPT, events=(Irritation("Mentalis", Pattern("a_train", 5.2, 0.5, 150e-6)),))
    face = replace(SCRIPT.face, crosstalk={})
    with_it = simulate_case(replace(alone, face=face), 3).volts(5)
    without = simulate_case(replace(alone, face=face, events=()), 3).volts(5)

    rows = np.abs(with_it - without).max(axis=1)
    assert rows[:3].max() == 0.0
    assert rows[3] == pytest.approx(150e-6, rel=0.1)


def test_a_muscle_that_is_not_recorded_is_refused():
    with pytest.raises(ValueError, match="no channel 'Platysma' in this face"):
        replace(SCRIPT, events=(Irritation("Platysma", Pattern("burst", 1.0, 0.1, 1e-4)),))


def test_a_spasm_of_the_face_leaves_the_masseter_alone():
    spares = scenario("irritation", minutes=1.2, fs=FS, spares=True)
    face = replace(spares.face, crosstalk={})
    row = spares.face.muscles.index("Masseter")
    traces = [
        simulate_case(replace(spares, face=face, events=events), 3).volts(10)
        for events in ((), (Spasm(10.0, 11.0),))
    ]

    assert np.array_equal(traces[0][row], traces[1][row])
    assert np.abs(traces[0] - traces[1])[:row].max(axis=1).min() > 50e-6


def test_every_a_train_is_found_with_its_begin_end_and_frequency():
    for entry in patterns("a_train"):
        (train,) = [f for f in overlapping(entry) if f.pattern == "a_train"]
        assert train.onset / FS == pytest.approx(entry["onset_s"], abs=0.08)  # one begins in a frame
        assert train.offset / FS == pytest.approx(entry["offset_s"], abs=0.06)
        assert train.frequency == pytest.approx(entry["frequency_hz"], rel=0.05)


def test_traintime_is_that_of_the_truth():
    true = {}
    for entry in patterns("a_train"):
        true[entry["channel"]] = true.get(entry["channel"], 0.0) + entry["offset_s"] - entry["onset_s"]

    for name, facts in TALLY["muscles"].items():
        assert facts["traintime_s"] == pytest.approx(true.get(name, 0.0), abs=0.12)
    assert TALLY["traintime_s"] == pytest.approx(sum(true.values()), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "told"), [("b_train_spikes", "b_train"), ("c_train", "c_train"), ("burst", "burst")]
)
def test_bursts_and_other_trains_are_called_so(kind, told):
    assert all(told in {f.pattern for f in overlapping(entry)} for entry in patterns(kind))


def test_the_spasm_is_labelled_in_every_branch():
    (span,) = [s for s in TRUE["spans"] if s["kind"] == "spasm"]

    spasms = [f for f in FOUND if f.pattern == "spasm"]
    assert {f.channel for f in spasms} == set(SPEC.muscles)
    for f in spasms:
        assert f.onset >= span["start_sample"] - 0.1 * FS
        assert f.offset <= span["stop_sample"] + 0.7 * FS


def test_where_nothing_was_put_in_little_is_found_and_no_a_train():
    inside = [f for entry in TRUE["patterns"] for f in overlapping(entry)]
    span = next(s for s in TRUE["spans"] if s["kind"] == "spasm")
    outside = [
        f
        for f in FOUND
        if f not in inside and not span["start_sample"] - FS < f.onset < span["stop_sample"] + FS
    ]

    assert Counter(f.pattern for f in outside)["a_train"] == 0
    assert len(outside) <= 3  # single units of the background


def test_the_lsr_says_the_same_beside_free_run_emg():
    modalities, _ = load("mvd-hfs").fit(CASE.info, None)
    sessions = [Session(modalities[:2], CASE.info), Session(modalities, CASE.info)]
    alone, beside = ([e for part in CASE.chunks(0.5) for e in s.push(part)] + s.finish() for s in sessions)

    others = [line(e, FS) for e in beside if not isinstance(e, (Finding, ChannelHold))]
    assert others == [line(e, FS) for e in alone]
    assert len(beside) > len(alone)
