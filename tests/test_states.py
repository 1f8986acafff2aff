"""Grades and the sequential tests behind ABSENT and the way back, against closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest

from ionm.quality import bet
from ionm.states import GRADES, TRANSITIONS, Loss, Return, State, grade

ALPHA = 0.01


def feed(test, presents, p=0.6):
    """Sweeps until the test decides; how many it took, or None."""
    for n, present in enumerate(presents, 1):
        if test.push(present, 1e-8 if present else p, n):
            return n
    return None


# grades


@pytest.mark.parametrize(
    ("percent", "now", "state"),
    [
        (50.01, "PRESENT", "PRESENT"),
        (50.0, "PRESENT", "REDUCED"),
        (13.51, "PRESENT", "REDUCED"),
        (13.5, "PRESENT", "NEAR_ABSENT"),
        (55.0, "REDUCED", "REDUCED"),
        (55.01, "REDUCED", "PRESENT"),
        (18.5, "NEAR_ABSENT", "NEAR_ABSENT"),
        (18.51, "NEAR_ABSENT", "REDUCED"),
        (200.0, "NEAR_ABSENT", "PRESENT"),
    ],
)
def test_a_reduction_by_half_and_by_86_5_percent_bound_the_grades(percent, now, state):
    assert grade(percent, 5.0, State(now)) == state


@pytest.mark.parametrize(("limit", "state"), [(13.49, "NEAR_ABSENT"), (13.5, "REDUCED"), (60.0, "REDUCED")])
def test_near_absent_only_while_13_5_percent_exceeds_the_detection_limit(limit, state):
    assert grade(10.0, limit, State.PRESENT) == state
    assert grade(10.0, limit, State.NEAR_ABSENT) == state


def test_a_grade_is_always_one_the_table_allows():
    for now in GRADES:
        for percent in np.linspace(0, 120, 241):
            found = grade(float(percent), 5.0, now)
            assert found is now or found in TRANSITIONS[now]


# loss


@pytest.mark.parametrize(("hits", "misses"), [(20, 3), (14, 8)])
def test_the_misses_that_the_documentation_names_decide(hits, misses):
    assert feed(Loss(hits, 20, ALPHA), [False] * 50) == misses


def test_the_rarer_the_responses_the_more_misses_are_needed():
    needed = [feed(Loss(hits, 20, ALPHA), [False] * 500) for hits in range(20, 4, -1)]

    assert all(a <= b for a, b in pairwise(needed))
    assert needed[0] < needed[-1]


def test_misses_are_dated_from_the_first():
    loss = Loss(20, 20, ALPHA)
    feed(loss, [True] * 5 + [False] * 3)

    assert loss.since == 6


def test_a_response_takes_misses_back():
    loss = Loss(20, 20, ALPHA)
    assert feed(loss, [False, True, True] * 40) is None
    assert (loss.odds, loss.since) == (0.0, None)


def test_doubtful_misses_do_not_count():
    assert feed(Loss(20, 20, ALPHA), [False] * 100, p=4.9 * ALPHA) is None
    assert feed(Loss(20, 20, ALPHA), [False] * 100, p=5.1 * ALPHA) == 3


def test_a_hold_drops_the_misses_so_far():
    loss = Loss(20, 20, ALPHA)
    feed(loss, [False, False])
    loss.clear()

    assert feed(loss, [False, False]) is None


@pytest.mark.parametrize("rate", [0.98, 0.9, 0.7])
def test_false_losses_of_an_lsr_as_intermittent_as_at_its_baseline_are_rare(rate):
    """Once in 2000 sweeps on average at most, if misses are independent; 20 baselines, 1000 sweeps each."""
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(20):
        loss = Loss(int(rng.binomial(20, rate)), 20, ALPHA)
        for present in rng.random(1000) < rate:
            if loss.push(bool(present), 1e-8 if present else 0.6, 0):
                false += 1
                loss.clear()

    assert false <= 10 + 3 * math.sqrt(10)


@pytest.mark.parametrize("rate", [1.0, 0.9, 0.7])
def test_a_loss_is_found_within_twelve_sweeps(rate):
    assert feed(Loss(round(20 * rate), 20, ALPHA), [False] * 50) <= 12


# the way back


def test_two_clear_responses_decide_and_one_does_not():
    test = Return()

    assert not test.push(1e-12, 1)
    assert test.push(1e-12, 2)
    assert test.since == 1


def test_in_noise_alone_the_return_is_as_rare_as_promised():
    """At most once in a million sweeps: uniform p-values, 300 000 of them."""
    rng = np.random.default_rng(8)
    test = Return()

    assert not any(test.push(float(p), n) for n, p in enumerate(rng.random(300_000)))


def test_the_bet_is_fair_or_worse():
    """Mean gain over uniform p-values is one (here slightly less: the smallest p is capped)."""
    p = (np.arange(200_000) + 0.5) / 200_000
    gains = np.exp([bet(float(x)) for x in p])

    assert 0.9 < gains.mean() <= 1.0


def test_weak_responses_add_up():
    test = Return()

    assert next(n for n in range(1, 100) if test.push(0.002, n)) < 8


def test_a_hold_drops_the_evidence_so_far():
    test = Return()
    test.push(1e-12, 1)
    test.clear()

    assert not test.push(1e-12, 2)
    assert test.since == 2
