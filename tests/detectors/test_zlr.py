"""When a current counts as answered, and which is the threshold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.detectors.zlr import LEAST, SHARE, Answer, Current, threshold
from ionm.events import Measurement

YES, NO, UNSEEN = (
    Measurement(True, 100e-6, 7e-3, 8e-3),
    Measurement(False),
    Measurement(None, reason="cautery"),
)


def answer(hits, misses, unseen=0):
    return Answer.of("Mentalis", [YES] * hits + [NO] * misses + [UNSEEN] * unseen)


@pytest.mark.parametrize(
    ("hits", "misses", "present"),
    [(0, 5, False), (1, 0, False), (2, 0, True), (2, 2, True), (2, 3, False), (5, 5, True), (4, 5, False)],
)
def test_a_muscle_answers_with_two_responses_and_half_of_its_sweeps(hits, misses, present):
    assert answer(hits, misses).present is present


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_sweeps_that_cannot_be_judged_do_not_count(hits, misses, unseen):
    assert answer(hits, misses, unseen) == answer(hits, misses)
    assert answer(hits, misses).present is (hits >= LEAST and hits >= SHARE * (hits + misses))


def test_latency_and_amplitude_are_the_median_of_the_responses_with_their_range():
    found = [
        Measurement(True, size * 1e-6, onset * 1e-3, 9e-3)
        for size, onset in ((90, 7.4), (100, 7.1), (200, 7.2))
    ]

    seen = Answer.of("Mentalis", [*found, NO])

    assert (seen.responses, seen.sweeps) == (3, 4)
    assert (seen.latency, seen.earliest, seen.latest) == pytest.approx((7.2e-3, 7.1e-3, 7.4e-3))
    assert seen.amplitude == pytest.approx(100e-6)


def test_silence_has_no_latency():
    seen = answer(0, 4)

    assert (seen.latency, seen.earliest, seen.latest, seen.amplitude) == (None, None, None, None)


def current(ma, **muscles):
    return Current.of(ma, {name: [YES] * hits + [NO] * (4 - hits) for name, hits in muscles.items()})


def test_the_threshold_is_the_lowest_current_that_some_muscle_answers():
    series = [current(0.8, Mentalis=4), current(0.2, Mentalis=1), current(0.5, Mentalis=0, OrbOris=2)]

    assert threshold(series) is series[2]
    assert series[2].muscles == ("OrbOris",)
    assert series[1].best is None


def test_the_best_answer_is_that_of_the_muscle_that_answers_most_often():
    best = current(0.5, Mentalis=2, OrbOris=4, OrbOculi=3).best

    assert best is not None
    assert best.muscle == "OrbOris"


def test_a_current_that_is_not_marked_comes_last():
    unknown, known = current(None, Mentalis=4), current(0.9, Mentalis=4)

    assert threshold([unknown, known]) is known
    assert threshold([unknown]) is unknown
    assert threshold([]) is None
