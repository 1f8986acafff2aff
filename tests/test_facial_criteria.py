"""Published criteria of the facial MEP, one test per clause, on both sides of each limit."""

import pytest

from ionm.facial_criteria import FACIAL_CRITERIA, may_warn, threshold_measures


def raised(name, **measures):
    running = FACIAL_CRITERIA[name].start()
    running.push(measures)
    return bool(running.standing)


def test_dong_2005_half_of_the_baseline_or_less_warns():
    assert raised("dong-2005-50", mep_ratio=0.5)
    assert not raised("dong-2005-50", mep_ratio=0.501)


def test_dong_2005_35_percent_of_the_baseline_or_less_is_critical():
    assert raised("dong-2005-35", mep_ratio=0.35)
    assert not raised("dong-2005-35", mep_ratio=0.351)


def test_dong_2005_loss_is_critical_and_a_small_response_is_no_loss():
    assert raised("dong-2005-loss", mep_lost=1.0)
    assert not raised("dong-2005-loss", mep_lost=0.0, mep_ratio=0.05)


def test_bovo_2021_half_is_lost_although_the_stimulus_was_raised():
    assert raised("bovo-2021", mep_ratio=0.5, stimulus_raised=1.0)
    assert not raised("bovo-2021", mep_ratio=0.5, stimulus_raised=0.0)
    assert not raised("bovo-2021", mep_ratio=0.51, stimulus_raised=1.0)


def test_bovo_2021_a_third_lost_warns_in_schwannoma():
    assert raised("bovo-2021-vs", mep_ratio=0.7)
    assert not raised("bovo-2021-vs", mep_ratio=0.71)


def test_greve_2020_the_threshold_rises_by_20_ma():
    assert raised("greve-2020-iamt20", **threshold_measures(60.0, 80.0, None, None))
    assert not raised("greve-2020-iamt20", **threshold_measures(60.0, 79.9, None, None))


def test_greve_2020_the_threshold_rises_by_a_fifth_over_the_other_side():
    assert raised("greve-2020-bfbmt20", **threshold_measures(50.0, 66.1, 50.0, 55.0))
    assert not raised("greve-2020-bfbmt20", **threshold_measures(50.0, 65.9, 50.0, 55.0))


def test_a_fall_of_both_sides_alike_is_anaesthesia_and_not_flagged_by_the_bilateral_threshold():
    measures = threshold_measures(60.0, 84.0, 50.0, 70.0)

    assert measures["threshold_bilateral"] == pytest.approx(0.0)
    assert not raised("greve-2020-bfbmt20", **measures)


def test_without_the_other_side_there_is_no_bilateral_threshold():
    assert threshold_measures(60.0, 84.0, None, 70.0)["threshold_bilateral"] is None


@pytest.mark.parametrize("name", FACIAL_CRITERIA)
def test_what_cannot_be_measured_raises_nothing_and_every_criterion_names_its_source(name):
    assert not raised(name)
    assert "20" in FACIAL_CRITERIA[name].source


def test_fukuda_2009_a_fall_of_orbicularis_oculi_alone_never_warns_in_decompression():
    fallen = {"OrbOculi": True, "OrbOris": False, "Mentalis": None}

    assert may_warn(fallen, "excitability") == ()
    assert may_warn(fallen, "injury_watch") == ("OrbOculi",)


def test_orbicularis_oculi_counts_beside_another_muscle():
    assert may_warn({"OrbOculi": True, "Mentalis": True}, "excitability") == ("OrbOculi", "Mentalis")
    assert may_warn({"OrbOculi": False, "Mentalis": True}, "excitability") == ("Mentalis",)
    assert may_warn({}, "excitability") == ()


def test_another_purpose_is_refused():
    with pytest.raises(ValueError, match="unknown purpose 'watch', need injury_watch or excitability"):
        may_warn({}, "watch")
