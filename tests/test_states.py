"""Grades and the sequential tests behind ABSENT and the way back, against closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest

from ionm.quality import bet
from ionm.states import GRADES, TRANSITIONS, Loss, Outcome, Return, State, grade, score

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


def feed(test, scores, expected=10.0):
    """Sweeps until the test decides; how many it took, or None."""
    for n, found in enumerate(scores, 1):
        if test.push(found, expected, n) is Outcome.LOST:
            return n
    return None


def steady(n=20, expected=10.0):
    """A test taught by a baseline without a miss."""
    return Loss([(expected, expected)] * n)


def test_three_clear_misses_of_an_lsr_that_never_missed_decide():
    assert feed(steady(), [0.0] * 10) == 3


def test_the_odds_of_one_miss_are_those_of_the_model():
    """Closed form: gone is N(0, 1), or N(0, 9) once in twenty; there is a miss, or N(10, 10)."""
    loss = steady()
    normal = lambda x, mean, var: math.exp(-0.5 * (x - mean) ** 2 / var) / math.sqrt(var)  # noqa: E731
    gone = 0.95 * normal(0.5, 0, 1) + 0.05 * normal(0.5, 0, 9)
    rate = 0.5 / 21  # Jeffreys: no miss in twenty sweeps

    loss.push(0.5, 10.0, 1)

    assert loss.odds == pytest.approx(
        math.log(gone / (rate * gone + (1 - rate) * normal(0.5, 10, 10))), abs=1e-3
    )


def test_the_weaker_the_lsr_the_more_misses_are_needed():
    needed = [feed(steady(expected=m), [0.0] * 200, m) for m in (10.0, 6.0, 4.0, 3.0, 2.0)]

    assert all(a <= b for a, b in pairwise(needed))
    assert needed[0] < needed[-1] <= 40


def test_the_rarer_the_responses_the_more_misses_are_needed():
    needed = [
        feed(Loss([(10.0, 10.0)] * hits + [(0.0, 10.0)] * (20 - hits)), [0.0] * 500)
        for hits in range(20, 8, -1)
    ]

    assert all(a <= b for a, b in pairwise(needed))
    assert needed[0] < needed[-1]


def test_misses_are_dated_from_the_first():
    loss = steady()
    feed(loss, [10.0] * 5 + [0.0] * 3)

    assert loss.since == 6


def test_a_response_takes_misses_back():
    loss = steady()
    assert feed(loss, [0.0, 10.0, 10.0] * 40) is None
    assert (loss.odds, loss.since) == (0.0, None)


def test_an_lsr_that_fell_to_a_third_is_there_as_before():
    assert feed(steady(), [3.5] * 100) is None


def test_an_lsr_that_fell_to_a_quarter_is_weaker_and_not_lost():
    loss = steady()
    outcomes = [loss.push(2.5, 10.0, n) for n in range(1, 20)]

    assert Outcome.WEAKER in outcomes
    assert Outcome.LOST not in outcomes


def test_a_hold_drops_the_misses_so_far():
    loss = steady()
    feed(loss, [0.0, 0.0])
    loss.clear()

    assert feed(loss, [0.0, 0.0]) is None


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.3])
def test_false_losses_of_an_lsr_as_intermittent_as_at_its_baseline_are_rare(rate):
    """At most once in ten thousand sweeps, if misses are independent: 20 baselines, 2000 sweeps each."""
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(20):
        missed = rng.random(2020) < rate
        scores = np.where(missed, rng.standard_normal(2020), 8 + 2 * rng.standard_normal(2020))
        loss = Loss([(float(s), 8.0) for s in scores[:20]])
        for found in scores[20:]:
            if loss.push(float(found), 8.0, 0) is Outcome.LOST:
                false += 1
                loss.clear()

    assert false <= 4 + 3 * math.sqrt(4)


@pytest.mark.parametrize(("missing", "most"), [(0, 3), (2, 6), (6, 20)])
def test_a_loss_is_found_within_so_many_sweeps(missing, most):
    loss = Loss([(10.0, 10.0)] * (20 - missing) + [(0.0, 10.0)] * missing)

    assert feed(loss, [0.0] * 50) <= most


def test_a_score_is_the_normal_quantile_of_its_chance():
    assert score(0.01) == pytest.approx(2.3263, abs=1e-4)
    assert score(0.0) == score(1e-12) < 8
    assert score(1.0) == pytest.approx(-3.0902, abs=1e-4)


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
