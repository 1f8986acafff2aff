from __future__ import annotations

import numpy as np
import pytest

from ionm.simulate import FWave, LateralSpread, MWave, Recruitment, measure


def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("response", [MWave(), LateralSpread(), LateralSpread(waves=4), FWave()])
def test_a_level_of_zero_is_silence_and_leaves_the_other_responses_as_they_were(response):
    level = np.ones(30)
    level[::3] = 0.0

    some, full = response.volleys(level, rng()), response.volleys(np.ones(30), rng())

    assert not some.size[::3].any()
    np.testing.assert_array_equal(some.size[1::3], full.size[1::3])
    np.testing.assert_array_equal(some.onset, full.onset)


def test_the_m_wave_begins_at_its_latency_has_its_size_and_leaves_a_slow_positive_tail():
    wave = MWave(latency=3e-3, size=2e-3, variation=0.0)
    volleys = wave.volleys(np.ones(1), rng())

    size, onset, peak = measure(volleys)
    late = volleys.at(np.array([10e-3, 12e-3]))

    assert size[0] == pytest.approx(2e-3, rel=0.05)
    assert 3.0e-3 < onset[0] < 3.2e-3
    assert 3.5e-3 < peak[0] < 4.5e-3
    assert late.min() > 50e-6


def test_amplitudes_vary_as_much_as_said_from_one_stimulus_to_the_next():
    size, _, _ = measure(LateralSpread(variation=0.2, after_discharge=0.0).volleys(np.ones(2000), rng()))

    assert np.std(size) / np.mean(size) == pytest.approx(0.2, abs=0.02)
    assert np.mean(size) == pytest.approx(250e-6, rel=0.02)


def test_the_early_lateral_spread_hardly_jitters():
    _, onset, _ = measure(LateralSpread(after_discharge=0.0).volleys(np.ones(500), rng()))

    assert np.std(onset) == pytest.approx(0.08e-3, rel=0.15)
    assert np.mean(onset) == pytest.approx(10.08e-3, abs=0.05e-3)


def test_after_discharges_follow_at_250_to_350_hz_after_the_said_fraction_of_responses():
    volleys = LateralSpread(after_discharge=0.3).volleys(np.ones(3000), rng())
    after = volleys.size[:, 1:] > 0

    gaps = np.diff(volleys.onset, axis=1)[after]

    assert np.mean(after.any(axis=1)) == pytest.approx(0.3, abs=0.03)
    assert gaps.min() >= 1 / 350
    assert gaps.max() <= 1 / 250


def test_a_polyphasic_form_is_constant_for_a_derivation_and_differs_between_forms():
    one, again = (LateralSpread(waves=4, form=1, jitter=0.0).volleys(np.ones(5), rng()) for _ in range(2))
    other = LateralSpread(waves=4, form=2, jitter=0.0).volleys(np.ones(5), rng())

    np.testing.assert_array_equal(one.onset[:, :4], again.onset[:, :4])
    assert np.ptp(one.onset[:, :4], axis=0).max() == 0.0
    assert not np.allclose(one.onset[:, 1:4], other.onset[:, 1:4])


def test_a_lateral_spread_without_a_wave_is_refused():
    with pytest.raises(ValueError, match="at least one wave, got waves=0"):
        LateralSpread(waves=0)


def test_the_f_wave_persists_as_often_as_said_between_its_earliest_and_latest_latency():
    volleys = FWave(persistence=0.6).volleys(np.ones(4000), rng())
    answered = volleys.size > 0

    assert np.mean(answered.any(axis=1)) == pytest.approx(0.6, abs=0.03)
    assert volleys.onset[answered].min() > 8.8e-3
    assert volleys.onset[answered].max() < 10.0e-3


def test_the_f_wave_differs_from_stimulus_to_stimulus():
    size, _, _ = measure(FWave(persistence=0.9).volleys(np.ones(200), rng()))

    assert len(np.unique(np.round(size[size > 0] * 1e7))) > 20


def test_half_of_the_fibres_answer_the_half_current_and_nearly_all_a_large_one():
    recruitment = Recruitment(half=5.0, slope=0.5)

    assert recruitment.level(np.array([5.0]))[0] == 0.5
    assert recruitment.level(np.array([10.0]))[0] > 0.999
    assert recruitment.level(np.array([2.0]))[0] < 0.01


def test_no_response_has_no_latency():
    size, onset, peak = measure(MWave().volleys(np.zeros(2), rng()))

    assert not size.any()
    assert np.isnan(onset).all()
    assert np.isnan(peak).all()
