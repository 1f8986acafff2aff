"""Tails are fitted before the window and drawn on behind it."""

import numpy as np
import pytest
from scipy import signal

from ionm.detectors.tail import orthonormal, tails

TIMES = np.arange(-20, 120) * 0.25e-3
FIT = slice(30, 48)  # 2.5 to 7 ms
TAUS = (1e-3, 4e-3)


def model(taus=TAUS, begin=0.0, seen=None):
    """The decays of a sweep, orthonormal on the fitted stretch."""
    raw = tails(TIMES, taus, begin, seen)
    return orthonormal(raw, FIT) @ raw


def explained(decays, trace):
    """What the model takes from a trace, everywhere: projection on the decays of the fitted stretch."""
    return (decays[:, FIT] @ trace[FIT]) @ decays


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("size", [1e-3, -5e-3])
def test_a_decay_with_one_of_its_time_constants_is_taken_away_entirely(tau, size):
    trace = np.where(TIMES >= 0, size * np.exp(-np.maximum(TIMES, 0) / tau), 0.0)

    left = trace - explained(model(), trace)

    assert np.abs(left[TIMES >= 0]).max() < 1e-9 * abs(size)


@pytest.mark.parametrize("tau", [1.4e-3, 2e-3, 3e-3])
def test_of_a_decay_in_between_less_than_a_twentieth_is_left_behind_the_fit(tau):
    trace = np.exp(-np.maximum(TIMES, 0) / tau)

    left = trace - explained(model(), trace)

    assert np.abs(left[TIMES >= 7e-3]).max() < 0.055 * trace[FIT].max()


def test_the_decays_are_orthonormal_on_the_fitted_stretch_and_zero_before_the_stimulus():
    decays = model()

    np.testing.assert_allclose(decays[:, FIT] @ decays[:, FIT].T, np.eye(2), atol=1e-12)
    assert not decays[:, TIMES < 0].any()
    assert decays.shape == (2, TIMES.size)


def test_decays_are_modelled_as_mask_and_filters_show_them():
    """A high-pass of first order behind a mask that ends at 2.5 ms: nothing is left behind the fit."""
    pole = np.exp(-2 * np.pi * 10 * 0.25e-3)

    def seen(trace):
        return signal.lfilter([(1 + pole) / 2, -(1 + pole) / 2], [1, -pole], trace)

    masked = np.where(TIMES >= 2.5e-3, 1e-3 * np.exp(-np.maximum(TIMES, 0) / 4e-3), 0.0)

    left = seen(masked) - explained(model(begin=2.5e-3, seen=seen), seen(masked))

    assert np.abs(left[TIMES >= 7e-3]).max() < 1e-9


def test_what_comes_later_than_the_fit_does_not_change_it():
    """A response in the window cannot be absorbed."""
    trace = 1e-4 * np.exp(-((TIMES - 12e-3) ** 2) / (2 * 1e-6))
    trace[TIMES < 7.5e-3] = 0

    np.testing.assert_array_equal(explained(model(), trace), 0.0)


def test_without_time_constants_nothing_is_taken_away():
    assert tails(TIMES, (), 0.0, None).shape == (0, TIMES.size)
    assert model(()).shape == (0, TIMES.size)
