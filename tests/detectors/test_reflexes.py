"""F-waves and blink reflex: each figure with the stimuli it needs, each clause on both sides."""

import pytest

from ionm.detectors.blink_reflex import Pulses, blink_reflex, collisions
from ionm.detectors.f_wave import f_waves
from ionm.errors import SetupError
from ionm.events import Measurement
from ionm.stream import Trigger


def wave(latency=9e-3, size=100e-6):
    return Measurement(True, size, latency)


M_WAVE = Measurement(True, 2e-3, 3e-3)
ABSENT = Measurement(False)


def test_f_waves_of_fifty_stimuli_have_every_figure():
    late = [wave(9e-3 + 0.02e-3 * i, (80 + i) * 1e-6) for i in range(40)] + [ABSENT] * 10

    found = f_waves(late, [M_WAVE] * 50)

    assert (found.stimuli, found.present) == (50, 40)
    assert found.persistence == pytest.approx(0.8)
    assert found.least == pytest.approx(9e-3)
    assert found.largest == pytest.approx(9.78e-3)
    assert found.mean == pytest.approx(9.39e-3)
    assert found.chronodispersion == pytest.approx(0.78e-3)
    assert found.f_to_m == pytest.approx(99.5e-6 / 2e-3)


@pytest.mark.parametrize(
    ("stimuli", "latency", "persistence", "chronodispersion"),
    [(9, False, False, False), (10, True, False, False), (19, True, False, False),
     (20, True, True, False), (49, True, True, False), (50, True, True, True)],
)  # fmt: skip
def test_each_figure_needs_its_number_of_stimuli(stimuli, latency, persistence, chronodispersion):
    found = f_waves([wave()] * stimuli, [M_WAVE] * stimuli)

    assert (found.least is not None) is latency
    assert (found.persistence is not None) is persistence
    assert (found.f_to_m is not None) is persistence
    assert (found.chronodispersion is not None) is chronodispersion


def test_sweeps_without_an_m_wave_or_a_verdict_do_not_count():
    found = f_waves([wave(), Measurement(None), wave()], [M_WAVE, M_WAVE, ABSENT])

    assert (found.stimuli, found.present) == (1, 1)


def test_f_windows_and_m_waves_must_be_of_the_same_sweeps():
    with pytest.raises(ValueError, match="need one M-wave per F-window, got 1 and 2"):
        f_waves([wave(), wave()], [M_WAVE])


def test_r1_counts_from_the_last_pulse_of_a_single_a_train_and_a_double_train():
    for pulses, last, kind in (
        (Pulses(), 0.0, "single"),
        (Pulses(5), 10e-3, "train"),
        (Pulses(5, second_train=50e-3), 60e-3, "double_train"),
    ):
        found = blink_reflex({"OrbOculi": wave(last + 11.6e-3)}, pulses)

        assert pulses.kind == kind
        assert pulses.last == pytest.approx(last)
        assert found.r1 is True
        assert found.latency == pytest.approx(11.6e-3)


def test_what_comes_before_8_or_after_20_ms_is_no_r1():
    for onset, there in ((7.9e-3, False), (8.1e-3, True), (19.9e-3, True), (20.1e-3, False)):
        assert blink_reflex({"OrbOculi": wave(onset)}, Pulses()).r1 is there


def test_moller_1991_an_r1_in_mentalis_is_a_synkinesis():
    found = blink_reflex({"OrbOculi": wave(11e-3), "Mentalis": wave(12e-3), "OrbOris": ABSENT}, Pulses())

    assert found.synkinesis == ("Mentalis",)


def test_without_a_verdict_in_orbicularis_oculi_there_is_none():
    found = blink_reflex({"OrbOculi": Measurement(None), "Mentalis": wave(12e-3)}, Pulses())

    assert (found.r1, found.latency, found.synkinesis) == (None, None, ("Mentalis",))


def test_the_blink_reflex_needs_orbicularis_oculi():
    with pytest.raises(SetupError, match="the blink reflex needs OrbOculi, got Mentalis"):
        blink_reflex({"Mentalis": wave()}, Pulses())


def test_moller_1991_a_supraorbital_stimulus_within_100_ms_collides_with_the_lsr():
    fs = 10_000.0
    triggers = [Trigger(0, "supraorbital"), Trigger(999, "zygomatic"), Trigger(2500, "click"),
                Trigger(5000, "mandibular"), Trigger(6000, "supraorbital")]  # fmt: skip

    found = collisions(triggers, fs, ("zygomatic", "mandibular"))

    assert [(a.sample, b.sample) for a, b in found] == [(0, 999)]
    assert len(collisions(triggers, fs, ("zygomatic", "mandibular"), least=0.5)) == 2


def test_pulses_that_cannot_be_right_are_refused():
    with pytest.raises(ValueError, match=r"need count >= 1 and interval > 0 s, got 0 and 0\.0025 s"):
        Pulses(0)
    with pytest.raises(
        ValueError, match=r"need a second train later than 0\.01 s, got second_train=0\.005 s"
    ):
        Pulses(5, second_train=5e-3)
