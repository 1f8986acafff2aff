"""When a response changed: the likeliest sweep, and an interval that keeps its promise."""

import math

import numpy as np
import pytest

from ionm.change import CONFIDENCE, change_point


def likelihoods(values, before, after):
    """Of normal values of standard deviation 1."""
    return [-0.5 * (v - before) ** 2 for v in values], [-0.5 * (v - after) ** 2 for v in values]


def test_a_clear_step_is_dated_between_its_two_stimuli():
    values = [10.0] * 6 + [0.0] * 4

    since, interval = change_point(*likelihoods(values, 10.0, 0.0), range(0, 1000, 100))

    assert since == 600
    assert interval == (500, 600)


def test_the_interval_is_the_smallest_set_of_sweeps_with_nine_tenths_of_the_probability():
    """Two sweeps are equally likely: one lies half way between the levels."""
    since, interval = change_point(*likelihoods([10.0, 10.0, 5.0, 0.0, 0.0], 10.0, 0.0), [0, 10, 20, 30, 40])

    assert since in {20, 30}
    assert interval == (10, 30)


def test_the_oldest_sweep_is_never_the_first_changed_one():
    since, interval = change_point(*likelihoods([0.0, 0.0, 0.0], 10.0, 0.0), [5, 6, 7])

    assert since == 6
    assert interval == (5, 6)


@pytest.mark.parametrize("step", [0.7, 1.5, 3.0, 6.0])
def test_the_interval_holds_the_change_as_often_as_it_says(step):
    """1000 simulated changes behind a random sweep; binomial bound of three standard deviations."""
    rng = np.random.default_rng(3)
    held = exact = 0
    for _ in range(1000):
        behind = int(rng.integers(0, 29))
        truth = 10 * (behind + rng.random())  # the moment lies between two stimuli
        values = rng.standard_normal(30) + step * (np.arange(30) <= behind)
        since, (first, last) = change_point(*likelihoods(values.tolist(), step, 0.0), range(0, 300, 10))
        held += first < truth <= last
        exact += since == 10 * (behind + 1)

    assert held >= 1000 * CONFIDENCE - 3 * math.sqrt(1000 * CONFIDENCE * (1 - CONFIDENCE))
    if step >= 6.0:
        assert exact >= 950


def test_likelihoods_of_any_size_overflow_nothing():
    since, _ = change_point([-1e9, -1e9, -2e9, -2e9], [-2e9, -2e9, -1e9, -1e9], [1, 2, 3, 4])

    assert since == 3
