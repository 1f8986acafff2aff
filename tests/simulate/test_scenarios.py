from __future__ import annotations

import numpy as np
import pytest

from ionm.simulate import scenario, scenarios, simulate_case, truth

SHORT = {"minutes": 0.6, "fs": 2000.0, "rate": 2.3}


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_has_twenty_stimuli_per_site_before_its_baseline(name):
    case = simulate_case(scenario(name, **SHORT), 1)
    baseline = next(note.sample for note in case.notes if note.event == "baseline")

    for site in ("zygomatic", "mandibular"):
        assert sum(t.site == site and t.sample < baseline for t in case.triggers) >= 20


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_makes_signal_with_and_without_spares(name):
    case = simulate_case(scenario(name, **SHORT, spares=True), 1)

    assert case.info.names == ("Frontalis", "OrbOculi", "OrbOris", "Mentalis", "Nasalis", "Masseter")
    for number in (0, 20, 35):
        assert np.isfinite(case.volts(number)).all()
        assert (np.std(case.volts(number), axis=1) > 0).all()


def states(name):
    found = truth(simulate_case(scenario(name, **SHORT), 1))["derivations"]["zygomatic>Mentalis"]["intervals"]
    return [state["state"] for state in found]


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("lost-at-decompression", ["present", "absent"]),
        ("never-elicited", ["absent"]),
        ("cannot-judge", ["present"]),
        ("intermittent", ["present", "absent"]),
        ("two-step", ["present", "present", "absent"]),
        ("reappearing", ["present", "absent", "present", "present", "absent"]),
    ],
)
def test_a_scenario_is_what_its_name_says(name, last):
    assert states(name) == last


def test_an_early_loss_comes_before_any_vessel_is_touched():
    found = truth(simulate_case(scenario("lost-early", **SHORT), 1))
    lost = found["derivations"]["zygomatic>Mentalis"]["intervals"][-1]
    lifted = next(note["sample"] for note in found["notes"] if note["event"] == "vessel-lifted")

    assert lost["state"] == "absent"
    assert lost["start_sample"] < lifted


def test_the_case_that_cannot_be_judged_never_loses_its_response():
    case = simulate_case(scenario("cannot-judge", **SHORT), 1)

    answered = case.responses["zygomatic>Mentalis"][1].size.any(axis=1)

    assert answered.all()
    assert case.triggers[-1].sample < 0.8 * case.n_samples


def test_the_case_never_elicited_has_a_3_mv_m_wave_and_its_crosstalk():
    script = scenario("never-elicited", **SHORT)

    assert script.face.direct["zygomatic>OrbOculi"].size == 3e-3
    assert script.face.crosstalk["OrbOculi", "Mentalis"] == 0.08


def test_the_two_sites_alternate():
    sites = [t.site for t in simulate_case(scenario("quiet", **SHORT), 1).triggers]

    assert sites[:4] == ["zygomatic", "mandibular"] * 2
    assert sites[::2] == ["zygomatic"] * len(sites[::2])


def test_a_scenario_lasts_as_long_as_wanted_in_whole_seconds():
    assert scenario("persisting", minutes=10, fs=10000.0).seconds == 600
    assert scenario("persisting", minutes=1.51, fs=10000.0).seconds == 91


def test_a_case_too_short_for_its_baseline_is_refused_with_the_least_length():
    with pytest.raises(
        ValueError, match=r"20 sweeps of 1.1 Hz before the baseline need 1.06 minutes or more, got 1"
    ):
        scenario("persisting", minutes=1.0, fs=10000.0)


def test_an_unknown_scenario_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no scenario 'lost', only lost-at-decompression, lost-early"):
        scenario("lost", minutes=5, fs=10000.0)


def test_every_scenario_says_what_it_is_about():
    assert all(text.endswith(".") and "\n" not in text for text in scenarios().values())
