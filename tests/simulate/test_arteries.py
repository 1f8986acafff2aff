"""Stimulated arteries: which conduct, from which current on, until when, and what the truth says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ionm.simulate import Artery, Probe, probe_series, scenario, simulate_case, truth
from ionm.simulate.arteries import usual_zlr

MAPPED = simulate_case(scenario("mapped", minutes=2, fs=5000.0), 1)


def probed(case):
    return [s for s in truth(case)["stimuli"] if s["site"] == "probe"]


def test_the_marks_say_current_artery_and_place():
    probe = Probe(3.0, "AICA", 0.5, place="proximal")

    assert probe.marks == {"target": "AICA", "site": "proximal"}
    assert Probe(3.0, "AICA", 0.5).marks == {"target": "AICA"}
    triggers = [t for t in MAPPED.triggers if t.site == "probe"]
    assert {t.attributes["target"] for t in triggers} == {"AICA", "PICA"}
    assert {t.attributes["mA"] for t in triggers} == {"0.2", "0.5"}
    assert len(triggers) == 24


def test_a_series_raises_the_current_run_by_run():
    runs = probe_series(10.0, "PICA", (0.1, 0.3), count=5, place="loop")

    assert [(r.ma, r.count, r.place) for r in runs] == [(0.1, 5, "loop"), (0.3, 5, "loop")]
    assert runs[1].begin == pytest.approx(10.0 + 5 / 1.7 + 1.0)


def test_only_the_artery_on_the_nerve_is_answered_above_its_threshold_and_until_it_is_off():
    answered = {
        (s["attributes"]["target"], s["ma"], s["time_s"] < 66.0)
        for s in probed(MAPPED)
        if s["responses"].get("probe>Mentalis", {}).get("peak_to_peak_uv", 0.0) > 1.0
    }

    assert answered == {("AICA", 0.5, True)}


def test_the_truth_names_the_muscles_that_answer_a_probe_and_their_latency():
    facts = truth(MAPPED)

    assert facts["derivations"]["probe>Mentalis"] == {"role": "zlr"}
    answers = [s["responses"] for s in probed(MAPPED) if s["ma"] == 0.5 and s["responses"]]
    assert {name for found in answers for name in found} == {f"probe>{m}" for m in usual_zlr()}
    assert all(6.5 < found["probe>Mentalis"]["onset_ms"] < 8.0 for found in answers)
    others = [s for s in facts["stimuli"] if s["site"] != "probe"]
    assert all("attributes" not in s for s in others)


def test_a_probe_changes_nothing_before_its_first_stimulus():
    plain = simulate_case(replace(MAPPED.script, arteries=(), probes=()), 1)

    np.testing.assert_array_equal(MAPPED.volts(20), plain.volts(20))
    assert not np.array_equal(MAPPED.volts(56), plain.volts(56))


def test_an_artery_conducts_for_ever_unless_it_is_said_to_end():
    assert Artery("VA").until == float("inf")
