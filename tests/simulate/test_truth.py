from __future__ import annotations

import json

import numpy as np
import pytest

from ionm.simulate import MWave, measure, scenario, simulate_case, truth
from ionm.simulate.script import (
    Cautery,
    ElectrodeOff,
    Movement,
    Noted,
    Pause,
    Relaxant,
    SetLateral,
    Spasm,
    TriggerFault,
)
from ionm.simulate.waves import Volleys

FS = 10000


def test_a_measured_response_agrees_with_its_closed_form():
    volleys = Volleys(np.array([[4e-3]]), np.array([[1e-3]]), np.array([[0.5e-3]]), (1,))

    size, onset, peak = measure(volleys)

    assert size[0] == pytest.approx(1e-3, rel=1e-3)
    assert peak[0] == pytest.approx(4e-3 + (3 - np.sqrt(3)) * 0.5e-3, abs=20e-6)
    assert abs(volleys.at(onset)[0, 0]) == pytest.approx(0.05e-3, rel=0.02)


def test_responses_in_the_truth_agree_with_the_noise_free_signal(bare):
    case = simulate_case(bare(fs=50000.0), 1)
    data = np.hstack([chunk.data for chunk in case.chunks(1.0)])

    for entry in truth(case)["stimuli"]:
        start = entry["trigger_sample"]
        for row, name in enumerate(("zygomatic>OrbOculi", "zygomatic>Mentalis")):
            response, wave = entry["responses"][name], data[row, start : start + 2000] * 1e6
            first = np.argmax(np.abs(wave) >= 0.05 * np.ptp(wave)) / 50
            assert response["peak_to_peak_uv"] == pytest.approx(np.ptp(wave), rel=2e-3)
            assert response["peak_ms"] == pytest.approx(np.argmax(np.abs(wave)) / 50, abs=0.05)
            assert response["onset_ms"] == pytest.approx(first, abs=0.05)


def test_a_derivation_that_does_not_answer_is_left_out(bare):
    case = simulate_case(bare(SetLateral(2.0, 0.0)), 1)

    for entry in truth(case)["stimuli"]:
        assert ("zygomatic>Mentalis" in entry["responses"]) == (entry["time_s"] < 2.0)
        assert "zygomatic>OrbOculi" in entry["responses"]


def test_intervals_are_sample_exact_cover_the_case_and_join(bare):
    script = bare(
        SetLateral(0.0, 1.0, probability=0.5), SetLateral(1.00005, 0.0), SetLateral(3.0, 1.0, over=0.5)
    )

    intervals = truth(simulate_case(script, 1))["derivations"]["zygomatic>Mentalis"]["intervals"]

    keys = ("start_sample", "stop_sample", "state", "gain_start", "gain_stop", "probability")
    assert [tuple(i[key] for key in keys) for i in intervals] == [
        (0, 10001, "present", 1.0, 1.0, 0.5),
        (10001, 30000, "absent", 0.0, 0.0, 1.0),
        (30000, 35000, "present", 0.0, 1.0, 1.0),
        (35000, 40000, "present", 1.0, 1.0, 1.0),
    ]


def test_a_stretch_that_changes_nothing_is_no_new_interval(bare):
    script = bare(SetLateral(1.0, 1.0), SetLateral(2.0, 1.0, over=1.0))

    intervals = truth(simulate_case(script, 1))["derivations"]["zygomatic>Mentalis"]["intervals"]

    assert [(i["start_sample"], i["stop_sample"]) for i in intervals] == [(0, 40000)]


def test_every_derivation_has_its_role():
    found = truth(simulate_case(scenario("persisting", minutes=0.6, fs=2000.0, rate=2.3), 1))["derivations"]

    assert {name: entry["role"] for name, entry in found.items()} == {
        "zygomatic>Frontalis": "spare",
        "zygomatic>OrbOculi": "m_control",
        "zygomatic>OrbOris": "lsr",
        "zygomatic>Mentalis": "lsr",
        "mandibular>Frontalis": "lsr",
        "mandibular>OrbOculi": "lsr",
        "mandibular>OrbOris": "spare",
        "mandibular>Mentalis": "m_control",
    }


def test_faulty_marks_are_told(bare):
    faults = (TriggerFault(0.0, 0.6, "missed mark"), TriggerFault(0.9, 1.0, "missed stimulus"))

    stimuli = truth(simulate_case(bare(*faults), 1))["stimuli"]

    assert [(s["trigger_sample"] is None, s["delivered"], bool(s["responses"])) for s in stimuli[:3]] == [
        (True, True, True),
        (False, False, False),
        (False, True, True),
    ]


def test_spans_say_where_what_and_on_which_channels(bare):
    both = ["OrbOculi", "Mentalis"]
    case = simulate_case(
        bare(
            Cautery(0.5, 0.8),
            ElectrodeOff(0.9, 1.2, "Mentalis"),
            Movement(1.3),
            Movement(1.4, "Mentalis"),
            Spasm(1.5, 1.7),
            Pause(1.8, 2.0),
            TriggerFault(2.1, 2.2, "double mark"),
            Relaxant(2.3, 0.1, onset=0.1, hold=0.1, recovery=0.2),
            Relaxant(3.0, 0.1, recovery=None),
            Cautery(5.0, 6.0),
        ),
        1,
    )

    spans = [tuple(span.values()) for span in truth(case)["spans"]]

    assert spans == [
        ("cautery", 5000, 8000, both),
        ("electrode_off", 9000, 12000, ["Mentalis"]),
        ("movement", 13000, 23000, both),
        ("movement", 14000, 24000, ["Mentalis"]),
        ("spasm", 15000, 17000, both),
        ("pause", 18000, 20000, both),
        ("double_mark", 21000, 22000, both),
        ("relaxant", 23000, 27000, both),
        ("relaxant", 30000, 40000, both),
    ]


def test_the_truth_is_plain_json_and_carries_its_origin(bare):
    case = simulate_case(bare(Noted(1.0, "teflon-in", {"vessel": "AICA"})), 9)

    found = json.loads(json.dumps(truth(case)))

    assert (found["version"], found["scenario"], found["seed"], found["fs"]) == (1, "bare", 9, 10000.0)
    assert (found["n_samples"], found["side"], found["channels"]) == (40000, "L", ["OrbOculi", "Mentalis"])
    assert found["notes"] == [{"sample": 10000, "event": "teflon-in", "attributes": {"vessel": "AICA"}}]


def test_many_responses_are_measured_as_one_by_one():
    volleys = MWave(variation=0.3).volleys(np.ones(450), np.random.default_rng(1))
    one = Volleys(volleys.onset[:1], volleys.size[:1], volleys.width[:1], volleys.order)

    np.testing.assert_array_equal([a[0] for a in measure(volleys)], [a[0] for a in measure(one)])
