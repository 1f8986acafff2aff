"""The published cuts of triggered EMG on both sides, and the search for a threshold."""

import pytest

from ionm.detectors.threshold import Threshold, ThresholdSearch
from ionm.detectors.triggered_emg import (
    percent_of_maximum,
    proximal_amplitude,
    proximal_threshold,
    proximal_to_distal,
)


@pytest.mark.parametrize(
    ("proximal", "verdict"), [(67e-6, "good"), (66e-6, "moderate"), (34e-6, "moderate"), (33e-6, "poor")]
)
def test_taha_1995_two_thirds_and_one_third_of_the_distal_response(proximal, verdict):
    assert proximal_to_distal(proximal, 100e-6).verdict == verdict


def test_mandpe_1998_200_uv():
    assert proximal_amplitude(200e-6).verdict == "good"
    assert proximal_amplitude(199e-6).verdict == "poor"


@pytest.mark.parametrize(
    ("threshold", "verdict"),
    [(0.1e-3, "good"), (0.11e-3, "moderate"), (0.2e-3, "moderate"), (0.3e-3, "poor")],
)
def test_selesnick_1996_a_tenth_and_two_tenths_of_a_milliampere(threshold, verdict):
    assert proximal_threshold(threshold).verdict == verdict


def test_laryngoscope_2013_half_of_the_maximum():
    assert percent_of_maximum(50e-6, 100e-6).verdict == "good"
    assert percent_of_maximum(49e-6, 100e-6).verdict == "poor"


def test_without_a_distal_response_there_is_no_ratio():
    with pytest.raises(ValueError, match="need a distal response > 0 V, got 0 V"):
        proximal_to_distal(1e-4, 0.0)
    with pytest.raises(ValueError, match="need a maximum > 0 V, got 0 V"):
        percent_of_maximum(1e-4, 0.0)


def test_a_threshold_is_the_lowest_strength_above_the_first_that_fails():
    found = ThresholdSearch()([(0.3, True), (0.2, True), (0.1, True), (0.05, False)])

    assert found == Threshold(0.1, 0.05)
    assert found.bracketed


def test_a_lucky_response_below_the_threshold_does_not_count():
    assert ThresholdSearch()([(0.3, True), (0.2, False), (0.1, True)]) == Threshold(0.3, 0.2)


def test_half_of_the_sweeps_of_a_strength_are_enough_and_what_cannot_be_judged_does_not_count():
    trials = [(0.2, True), (0.2, False), (0.2, None), (0.1, False), (0.1, False), (0.1, True)]

    assert ThresholdSearch()(trials) == Threshold(0.2, 0.1)


def test_a_threshold_may_lie_below_or_above_all_that_was_tried():
    assert ThresholdSearch()([(0.2, True)]) == Threshold(0.2, None)
    assert not ThresholdSearch()([(0.2, True)]).bracketed
    assert ThresholdSearch()([(0.2, False)]) == Threshold(None, 0.2)
    assert ThresholdSearch()([]) == Threshold(None, None)


def test_strengths_with_too_few_sweeps_do_not_count():
    assert ThresholdSearch(least=2)([(0.3, True), (0.3, True), (0.2, False)]) == Threshold(0.3, None)


def test_settings_that_cannot_be_right_are_refused():
    with pytest.raises(ValueError, match="need 0 < share <= 1 and least >= 1, got 0 and 1"):
        ThresholdSearch(share=0.0)
