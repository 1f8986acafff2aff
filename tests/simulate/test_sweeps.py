from __future__ import annotations

import numpy as np
import pytest

from ionm.simulate import (
    Drift,
    Interference,
    LateralSpread,
    Mains,
    MotorUnits,
    MWave,
    noise_sweeps,
    response_sweeps,
    sweep_times,
)

WINDOW = {"fs": 20000.0, "pre": 5e-3, "post": 50e-3}


def test_a_sweep_runs_from_before_its_mark_up_to_its_end():
    times = sweep_times(**WINDOW)

    assert len(times) == 1100
    assert times[0] == -5e-3
    assert times[100] == 0.0
    assert times[-1] == pytest.approx(50e-3 - 1 / 20000)


def test_responses_have_their_truth_and_nothing_before_their_onset():
    found = response_sweeps(LateralSpread(), np.ones(300), **WINDOW, seed=1)
    times = sweep_times(**WINDOW)

    np.testing.assert_allclose(np.ptp(found.data, axis=1), found.size, rtol=0.01)
    assert not found.data[:, times < 9.5e-3].any()
    first = times[np.argmax(np.abs(found.data) >= 0.05 * found.size[:, None], axis=1)]
    np.testing.assert_allclose(first, found.onset, atol=1.6 / 20000)


def test_sweeps_without_response_are_empty_and_have_no_latency():
    level = np.array([1.0, 0.0, 1.0])

    found = response_sweeps(MWave(), level, **WINDOW, seed=1)

    assert not found.data[1].any()
    assert found.size[1] == 0.0
    assert np.isnan(found.onset[1])
    assert found.size[[0, 2]].min() > 1e-3


def test_white_noise_alone_has_its_density_and_the_seed_its_noise():
    one, again, other = (noise_sweeps(200, **WINDOW, seed=seed) for seed in (1, 1, 2))

    assert one.shape == (200, 1100)
    assert np.std(one) == pytest.approx(30e-9 * 100, rel=0.01)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("part", "rms"),
    [
        ({"background": Interference(rms=6e-6)}, 6e-6),
        ({"mains": Mains(size=10e-6, harmonics=())}, None),
        ({"drift": Drift(size=50e-6)}, None),
        ({"background": MotorUnits(units=5, size=30e-6)}, None),
    ],
)
def test_each_part_of_the_noise_can_sound_alone(part, rms):
    noise = noise_sweeps(150, **WINDOW, seed=3, white=0.0, **part)

    assert 1e-6 < np.std(noise) < 100e-6
    if rms is not None:
        assert np.std(noise) == pytest.approx(rms, rel=0.1)


def test_hum_changes_its_phase_from_sweep_to_sweep():
    noise = noise_sweeps(110, **WINDOW, seed=3, white=0.0, mains=Mains(size=10e-6))

    assert np.std(noise.mean(axis=0)) < 0.15 * np.std(noise)
