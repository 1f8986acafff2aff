"""Residual noise and mains synchrony against closed forms."""

import math

import numpy as np
import pytest

from ionm.residual import (
    LARGEST_MAINS_GAIN_DB,
    autocovariance,
    effective_points,
    ensemble_noise,
    mains_gain,
    rms,
    signal_to_noise,
    split_half,
    toeplitz,
    worst_mains_gain,
)


def test_the_scatter_of_the_sweeps_gives_the_noise_of_their_mean():
    sweeps = np.random.default_rng(0).normal(0, 2e-6, (400, 300)) + np.sin(np.arange(300))

    assert ensemble_noise(sweeps) == pytest.approx(0.1e-6, rel=0.02)


def test_the_root_mean_square_is_that():
    assert rms(np.array([3.0, -4.0])) == pytest.approx(math.sqrt(12.5))


def test_halves_of_pure_signal_correlate_and_a_constant_half_says_nothing():
    wave = np.sin(np.arange(100) / 7)

    assert split_half(wave, 3 * wave + 1) == pytest.approx(1.0)
    assert split_half(wave, np.ones(100)) == 0.0


@pytest.mark.parametrize(("r", "db"), [(0.30, -0.7), (0.50, 3.0), (0.70, 6.7), (0.90, 12.6)])
def test_split_half_correlations_mean_the_tabulated_ratios(r, db):
    """hearing.md 5.1."""
    assert 10 * math.log10(signal_to_noise(r)) == pytest.approx(db, abs=0.05)


def test_white_noise_has_one_independent_point_per_sample_but_the_mean():
    assert effective_points(np.eye(81)) == pytest.approx(80)


def test_the_autocovariance_of_a_moving_average_is_found():
    white = np.random.default_rng(1).standard_normal((400, 501))

    found = autocovariance(white[:, 1:] + white[:, :-1], 4)

    np.testing.assert_allclose(found, [2.0, 1.0, 0.0, 0.0], atol=0.02)
    np.testing.assert_array_equal(toeplitz(found[:2]), [[found[0], found[1]], [found[1], found[0]]])


WORST = [
    # rate 1/s, sweeps, mains Hz, dB (hearing.md 1.3)
    (10.0, 200, 50, 0), (20.0, 400, 60, 0), (30.0, 200, 60, 0), (40.0, 400, 50, 0),
    (11.1, 200, 50, -20), (11.1, 200, 60, -25), (11.1, 400, 50, -22), (11.1, 400, 60, -36),
    (11.4, 200, 50, -21), (11.4, 200, 60, 0), (11.4, 400, 50, -52), (11.4, 400, 60, 0),
    (21.1, 200, 50, -26), (21.1, 200, 60, -27), (21.1, 400, 50, -29), (21.1, 400, 60, -32),
    (27.1, 200, 50, -36), (27.1, 200, 60, -10), (27.1, 400, 50, -36), (27.1, 400, 60, -13),
    (33.3, 200, 50, -6), (33.3, 200, 60, -20), (33.3, 400, 50, -16), (33.3, 400, 60, -22),
    (37.7, 200, 50, -26), (37.7, 200, 60, -28), (37.7, 400, 50, -29), (37.7, 400, 60, -39),
    (39.1, 200, 50, -21), (39.1, 200, 60, -21), (39.1, 400, 50, -33), (39.1, 400, 60, -33),
    (43.9, 200, 50, -25), (43.9, 200, 60, -27), (43.9, 400, 50, -43), (43.9, 400, 60, -34),
    (44.7, 200, 50, -28), (44.7, 200, 60, -25), (44.7, 400, 50, -29), (44.7, 400, 60, -33),
    (47.3, 200, 50, -25), (47.3, 200, 60, -25), (47.3, 400, 50, -38), (47.3, 400, 60, -36),
]  # fmt: skip


@pytest.mark.parametrize(("rate", "sweeps", "mains", "db"), WORST)
def test_the_table_of_mains_synchrony_is_met_to_a_decibel(rate, sweeps, mains, db):
    """hearing.md 9.7."""
    assert worst_mains_gain(rate, sweeps, mains)[0] == pytest.approx(db, abs=1.0)


def test_the_gain_is_what_an_average_of_a_sine_leaves():
    rate, n, frequency = 43.9, 200, 350.0
    onsets = np.arange(n) / rate

    left = abs(np.mean(np.exp(2j * np.pi * frequency * onsets)))

    assert mains_gain(rate, n, frequency) == pytest.approx(left, rel=1e-9)


def test_the_harmonic_that_is_locked_is_named():
    assert worst_mains_gain(11.4, 400, 60.0) == (0.0, 19)
    assert worst_mains_gain(27.1, 400, 60.0)[1] == 14
    assert worst_mains_gain(27.1, 400, 60.0)[0] > LARGEST_MAINS_GAIN_DB
    assert worst_mains_gain(43.9, 400, 50.0)[0] < LARGEST_MAINS_GAIN_DB
