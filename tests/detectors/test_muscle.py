"""What one muscle does: which pattern an element, a pause and an artefact belong to."""

import numpy as np
import pytest

from ionm.detectors.activity import Element
from ionm.detectors.muscle import Muscle
from ionm.detectors.synchrony import Synchrony
from ionm.detectors.trains import BAND, Rhythm, likeness, potential

UNIT = np.diff(np.hanning(18))
OTHER = np.random.default_rng(1).standard_normal(17)


class Told(list):
    """Takes stretches: (pattern, onset, end)."""

    def __call__(self, stretch):
        self.append((stretch.pattern, stretch.onset, stretch.end))


def element(onset, cells=4, peak=1e-4, shape=UNIT):
    return Element(onset, onset + cells, peak, onset + 2, shape=shape * peak)


def played(*elements, until=20_000, label=None):
    muscle, told = Muscle(1000.0, 20, 500), Told()
    for e in elements:
        muscle.advance(e.onset, told)
        muscle.take(e, label, elements[0].onset, told)
    muscle.advance(until, told)
    return told


def test_four_spikes_are_spikes_and_five_a_b_train():
    assert [p for p, *_ in played(*(element(t) for t in (0, 300, 450, 900)))] == ["spike"] * 4
    assert played(*(element(t) for t in (0, 300, 450, 900, 1100))) == [
        ("b_train", 0, None),
        ("b_train", 0, 1104),
    ]


def test_a_pause_of_more_than_half_a_second_ends_a_b_train():
    times = [0, 300, 450, 900, 1100, 1590, 2200, 2300]

    told = played(*(element(t) for t in times))

    assert ("b_train", 0, 1594) in told
    assert [p for p, *_ in told].count("spike") == 2


def test_eight_regular_discharges_of_one_unit_are_tonic_and_of_many_units_are_not():
    regular = [100 * i for i in range(12)]
    rng = np.random.default_rng(2)

    assert played(*(element(t) for t in regular)) == [("tonic", 0, None), ("tonic", 0, 1104)]
    mixed = [element(t, shape=rng.standard_normal(17)) for t in regular]
    assert {p for p, *_ in played(*mixed)} == {"b_train"}


def test_tonic_firing_may_miss_a_beat_and_hide_smaller_units():
    times = [100 * i for i in range(20) if i != 12]
    elements = [element(t) for t in times] + [element(t + 37, peak=2e-5, shape=OTHER) for t in times]

    told = played(*sorted(elements, key=lambda e: e.onset))

    assert told == [("tonic", 0, None), ("tonic", 0, 1904)]


def test_two_foreign_potentials_within_three_intervals_end_tonic_firing_before_the_first():
    elements = [element(100 * i) for i in range(20)]
    elements += [element(1130, peak=2e-4, shape=OTHER), element(1260, peak=2e-4, shape=OTHER)]

    told = played(*sorted(elements, key=lambda e: e.onset))

    assert told[:2] == [("tonic", 0, None), ("tonic", 0, 1104)]


def test_an_element_longer_than_half_a_second_is_a_c_train():
    told = played(element(100, cells=700))

    assert told == [("c_train", 100, None), ("c_train", 100, 800)]


def test_short_pauses_do_not_part_a_c_train_and_long_ones_do():
    parts = [element(120 * i, cells=100) for i in range(8)]

    told = played(*parts, element(5000, cells=100))

    assert [t for t in told if t[0] == "c_train"] == [("c_train", 0, None), ("c_train", 0, 940)]
    assert ("burst", 5000, 5100) in told


def test_a_spasm_goes_on_until_a_second_has_passed_without_one():
    told = played(*(element(t, cells=40) for t in (0, 150, 900)), label="spasm")

    assert told == [("spasm", 0, None), ("spasm", 0, 940)]


def test_what_is_synchronous_with_the_control_is_an_artefact():
    assert played(element(0), label="artefact") == [("artefact", 0, 4)]


@pytest.mark.parametrize(("onset", "end"), [(1000, 1000), (500, 1000)])
def test_an_artefact_withdraws_what_is_young_and_ends_what_is_old(onset, end):
    muscle, told = Muscle(1000.0, 20, 500), Told()
    for last in range(onset + 60, 1120, 20):
        muscle.segments.since = onset
        muscle.rhythm(Rhythm(100.0, onset, last, 1e-4, 1e-4), last, told, together=False, seen=True)
        if muscle.a_train.told is False:
            muscle.rhythm(Rhythm(104.0, onset, last, 1e-4, 1e-4), last, told, together=False, seen=True)
    muscle.drop(1130 if onset == 1000 else 1000, told)

    assert told[0] == ("a_train", onset, None)
    assert told[-1][:2] == ("a_train", onset)
    assert told[-1][2] == end
    assert not muscle.busy


def test_an_artefact_ends_a_c_train_and_a_spasm_too():
    for label, pattern in ((None, "c_train"), ("spasm", "spasm")):
        muscle, told = Muscle(1000.0, 20, 500), Told()
        muscle.take(element(100, cells=700), label, 100, told)
        muscle.drop(900, told)

        assert told == [(pattern, 100, None), (pattern, 100, 800)]


def test_a_potential_has_a_shape_only_where_the_signal_is_known():
    slow = np.zeros(160)
    slow[72:89] = UNIT

    assert potential(slow, 80) is not None
    assert potential(slow, 2) is None
    assert potential(slow, 500) is None


def test_one_unit_is_like_itself_in_noise_and_unlike_another():
    rng = np.random.default_rng(3)
    noisy = [likeness(UNIT + 0.05 * rng.standard_normal(17), UNIT, 0.05) for _ in range(200)]

    assert np.mean(noisy) == pytest.approx(1.0, abs=0.1)
    assert likeness(OTHER, UNIT, 0.0) < 0.6
    assert likeness(np.zeros(17), UNIT, 0.0) == 0.0


def test_a_tone_must_be_on_three_quarters_of_the_channels():
    synchrony = Synchrony(("OrbOculi", "OrbOris", "Mentalis", "Frontalis"))

    assert synchrony.tone({0: 100.0, 1: 101.0, 2: 102.0}) == {0, 1, 2}
    assert synchrony.tone({0: 100.0, 1: 101.0, 2: 110.0}) == set()
    assert synchrony.tone({0: 100.0, 1: 101.0}) == set()


def test_the_band_of_an_a_train_is_60_to_210_hz_and_what_an_estimate_may_be_off_by():
    assert pytest.approx(60 * 0.98) == BAND[0]
    assert pytest.approx(210 * 1.02, abs=0.5) == BAND[1]


def test_units_that_fire_alone_too_meet_by_chance_and_are_no_spasm():
    synchrony = Synchrony(("Frontalis", "Mentalis"))
    said = []
    for k in range(12):
        for row in (0, 1):
            own = Element(100 * k + 50 * row * (k % 3 > 0), 100 * k + 55, 1e-4, 0)
            synchrony.take(row, own)
            if row:
                said.append(synchrony.of(row, own, [None, None]))

    assert said == [None] * 12
