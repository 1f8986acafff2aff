from __future__ import annotations

import numpy as np
import pytest

from ionm.simulate import Drift, Mains, StimulusArtefact
from ionm.simulate.operating_room import cautery, electrode_off, movement

SECOND = np.arange(10000) / 10000.0


def test_the_artefact_is_a_pulse_and_a_tail_that_falls_by_e_in_its_time_constant():
    artefact = StimulusArtefact(pulse=5e-3, width=0.2e-3, tails=((1e-3, 2e-3),))

    values = artefact.at(np.array([-1e-6, 0.0, 0.1e-3, 0.2e-3, 2.2e-3]))

    np.testing.assert_allclose(values, [0.0, 5e-3, 5e-3, 1e-3, 1e-3 / np.e], rtol=1e-9)


def test_two_tails_of_opposite_sign_decay_through_zero():
    tail = StimulusArtefact(tails=((1e-3, 0.5e-3), (-0.3e-3, 3e-3))).at(np.arange(0.3e-3, 20e-3, 1e-4))

    assert tail[0] > 0 > tail.min()


def test_an_artefact_without_tails_ends_with_its_pulse():
    assert StimulusArtefact(tails=()).length == 0.2e-3
    assert not StimulusArtefact(tails=()).at(np.array([0.3e-3])).any()


def test_the_mains_wander_within_the_standard_range_of_a_grid():
    times = np.arange(0, 600, 0.1)
    frequency = np.diff(Mains(wander=0.02).phase(times, 1)) / (2 * np.pi * 0.1)

    assert np.abs(frequency - 50.0).max() < 0.06
    assert np.std(frequency) == pytest.approx(0.02, rel=0.3)


def test_hum_holds_the_fundamental_and_odd_harmonics_only():
    spectrum = np.abs(np.fft.rfft(Mains(size=1.0, wander=0.0).at(SECOND, 1, ("Mentalis",))[0])) / 5000

    assert 0.5 <= spectrum[50] <= 1.5
    np.testing.assert_allclose(spectrum[[150, 250, 350]] / spectrum[50], [0.35, 0.2, 0.1], rtol=1e-6)
    assert spectrum[[100, 200, 300, 450]].max() < 1e-9


def test_hum_is_the_same_however_the_time_is_cut():
    mains = Mains(size=1.0)
    whole = mains.at(SECOND + 77.0, 1, ("Mentalis",))[0]

    np.testing.assert_allclose(mains.at(SECOND[500:] + 77.0, 1, ("Mentalis",))[0], whole[500:], atol=1e-6)


def test_drift_is_slow_and_has_its_size():
    times = np.arange(0, 1000, 0.01)
    drift = np.stack([Drift(size=50e-6).at(times, seed, "Mentalis") for seed in range(5)])

    assert np.std(drift) == pytest.approx(50e-6, rel=0.2)
    assert np.abs(np.diff(drift)).max() < 20e-6


def test_cautery_saturates_an_amplifier_while_it_lasts_and_leaves_a_charge_that_decays():
    rng = np.random.default_rng(1)

    signal = cautery(SECOND, 0.2, 0.5, left=-4e-3, rng=rng)

    assert not signal[SECOND < 0.2].any()
    assert 0.3 < np.mean(np.abs(signal[2000:5000]) > 10e-3) < 0.7
    assert signal[5000] == pytest.approx(-4e-3)
    assert signal[6500] == pytest.approx(-4e-3 / np.e, rel=1e-6)


def test_a_loose_electrode_shows_the_mains_or_nothing():
    hum = np.sin(2 * np.pi * 50 * SECOND)

    assert np.ptp(electrode_off(SECOND, hum, "mains", np.random.default_rng(1))) > 4e-3
    assert np.ptp(electrode_off(SECOND, hum, "flat", np.random.default_rng(1))) < 5e-6


def test_a_movement_begins_at_its_moment_and_dies_away():
    signal = movement(SECOND, 0.3, 1e-3)

    assert not signal[SECOND < 0.3].any()
    assert np.abs(signal).max() > 0.8e-3
    assert np.abs(movement(SECOND + 4.0, 0.3, 1e-3)).max() < 1e-8
