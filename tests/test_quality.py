"""Chances from the recording's own background: ranks within what was seen, a Pareto tail beyond."""

from itertools import pairwise

import numpy as np
import pytest

from ionm.quality import NullTail


def learnt(values, capacity=256):
    null = NullTail(capacity)
    for value in values:
        null.extend([float(value)])
    return null


def test_before_anything_was_seen_the_prior_judges():
    null = NullTail()

    assert len(null) == 0
    assert null.median() == 0.0
    assert null.p_value(1.0) == 1.0
    assert null.p_value(6.0001) <= 0.25
    assert null.p_value(30.0) < 1e-2


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_nothing_is_no_evidence(value):
    assert learnt(range(1, 100)).p_value(value) == 1.0


@pytest.mark.parametrize("n", [0, 1, 3, 10, 40, 256, 700])
def test_a_larger_statistic_is_never_more_likely(n):
    null = learnt(np.random.default_rng(n).lognormal(1.5, 0.3, n))

    chances = [null.p_value(value) for value in np.geomspace(0.1, 1000, 400)]

    assert all(0 < chance <= 1 for chance in chances)
    assert all(b <= a for a, b in pairwise(chances))


@pytest.mark.parametrize("chance", [0.05, 0.01, 1e-3, 1e-6])
def test_the_threshold_is_the_inverse_of_the_chance(chance):
    null = learnt(np.random.default_rng(1).lognormal(1.5, 0.3, 256))

    assert null.p_value(null.threshold(chance)) == pytest.approx(chance, rel=1e-6)


@pytest.mark.parametrize("q", [0.05, 0.01, 0.002])
def test_the_tail_of_a_pareto_background_is_met(q):
    """Survival (x/x0)^-4, slope 1/4: closed form. Mean over 60 backgrounds of 256."""
    rng = np.random.default_rng(2)
    truth = 5.0 * q**-0.25

    chances = [learnt(5.0 * (1 + rng.pareto(4.0, 256))).p_value(truth) for _ in range(60)]

    assert np.mean(chances) == pytest.approx(q, rel=0.35)


@pytest.mark.parametrize("q", [0.01, 0.001])
def test_a_lighter_tail_is_overstated_rather_than_understated(q):
    """Rayleigh: survival exp(-x^2 / 2)."""
    rng = np.random.default_rng(3)
    truth = np.sqrt(-2 * np.log(q))

    chances = [learnt(rng.rayleigh(1.0, 256)).p_value(truth) for _ in range(60)]

    assert np.mean(chances) > 0.9 * q


def test_only_the_newest_values_are_remembered():
    null = learnt([*([100.0] * 300), *np.random.default_rng(4).lognormal(1.5, 0.3, 264)])

    assert len(null) == 256
    assert null.median() == pytest.approx(np.exp(1.5), rel=0.1)
    assert null.p_value(100.0) < 1e-3


def test_the_median_is_the_middle_value():
    assert learnt([1.0, 2.0, 50.0]).median() == pytest.approx(2.0)
