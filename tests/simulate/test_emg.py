from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from ionm.simulate import Interference, MotorUnits
from ionm.simulate.emg import spasm


def test_a_motor_unit_fires_as_a_renewal_process_with_its_rate_and_variation():
    volleys = MotorUnits(units=1, rate=(10.0, 10.0), variation=0.2).volleys(400.0, 1, "Mentalis")
    gaps = np.diff(volleys.onset[:, 0])

    assert 1 / np.mean(gaps) == pytest.approx(10.0, rel=0.03)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(0.2, rel=0.1)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.06
    assert np.ptp(volleys.size) == 0.0


def test_a_muscle_without_active_units_is_silent():
    assert len(MotorUnits(units=0).volleys(10.0, 1, "Mentalis").onset) == 0


def test_muscles_fire_independently():
    one = MotorUnits(units=1).volleys(5.0, 1, "Mentalis").onset
    other = MotorUnits(units=1).volleys(5.0, 1, "OrbOris").onset

    assert one.shape != other.shape or not np.allclose(one, other)


def test_interference_has_its_rms_and_lies_between_20_and_500_hz():
    fs, n = 5000.0, 5000
    signal = np.concatenate([Interference(rms=8e-6).block(fs, 2, "OrbOris", b, n) for b in range(40)])

    f, power = scipy.signal.welch(signal, fs, nperseg=2048)
    inside = power[(f > 20) & (f < 500)].sum() / power.sum()

    assert np.sqrt(np.mean(signal**2)) == pytest.approx(8e-6, rel=0.03)
    assert inside > 0.75


def test_blocks_of_interference_join_without_a_step():
    fs, n = 5000.0, 5000
    signal = np.concatenate([Interference().block(fs, 2, "OrbOris", b, n) for b in range(60)])
    steps = np.abs(np.diff(signal))

    assert np.mean(steps[n - 1 :: n]) < 2 * np.mean(steps)


def test_a_spasm_strikes_all_muscles_at_the_same_moments():
    found = spasm([(1.0, 4.0), (6.0, 7.0)], ("Frontalis", "Mentalis"), 3)
    one, other = (found[m].onset[:, 0] for m in ("Frontalis", "Mentalis"))

    assert len(one) > 50
    assert np.ptp(one - other) < 1e-9
    assert abs(one[0] - other[0]) < 1.5e-3
    assert ((one > 1.0) & (one < 4.002) | (one > 6.0) & (one < 7.002)).all()


def test_a_spasm_is_made_of_high_frequency_bursts():
    onset = spasm([(0.0, 20.0)], ("Mentalis",), 4)["Mentalis"].onset[:, 0]
    gaps = np.diff(np.sort(onset))

    assert 0.5 < np.mean(gaps < 1 / 150) < 0.95


def test_no_spasm_makes_no_discharge():
    assert len(spasm([], ("Mentalis",), 4)["Mentalis"].onset) == 0
