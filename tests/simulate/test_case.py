from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.simulate import (
    Amplifier,
    FWave,
    Interference,
    Mains,
    MotorUnits,
    MWave,
    Room,
    StimulusArtefact,
    scenario,
    simulate_case,
)
from ionm.simulate.script import (
    Cautery,
    ElectrodeOff,
    Intensity,
    Movement,
    Noted,
    Pause,
    Relaxant,
    SetLateral,
    Spasm,
    Stimulation,
    TriggerFault,
)

FS = 10000


def whole(case, seconds=1.0):
    return np.hstack([chunk.data for chunk in case.chunks(seconds)])


def sweep(data, case, k, channel, samples=400):
    start = case.triggers[k].sample
    return data[case.info.names.index(channel), start : start + samples]


def peak_to_peak(data, case, channel):
    return np.array([np.ptp(sweep(data, case, k, channel)) for k in range(len(case.triggers))])


NOISY = scenario("noisy", minutes=0.6, fs=2000.0, rate=2.3)
NOISY = replace(NOISY, seconds=4, events=(Spasm(1.0, 2.0), Cautery(2.4, 2.6, noted=True), Movement(3.2)))


@given(seconds=st.floats(1e-4, 1.5))
def test_the_length_of_chunks_changes_no_sample_no_trigger_and_no_note(seconds):
    case = simulate_case(NOISY, 5)

    chunks = list(case.chunks(max(seconds, 2e-3)))

    np.testing.assert_array_equal(np.hstack([c.data for c in chunks]), whole(case))
    assert all(c.data.flags.c_contiguous and c.valid.flags.c_contiguous for c in chunks)
    assert [c.start for c in chunks[1:]] == [c.stop for c in chunks[:-1]]
    assert tuple(t for c in chunks for t in c.triggers) == case.triggers
    assert tuple(n for c in chunks for n in c.notes) == case.notes


def test_iterating_a_case_gives_tenths_of_a_second():
    assert [c.n_samples for c in simulate_case(NOISY, 5)] == [200] * 40


def test_a_case_is_its_script_and_its_seed():
    one, again, other = (whole(simulate_case(NOISY, seed)) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_any_second_stands_alone():
    case = simulate_case(NOISY, 1)

    np.testing.assert_array_equal(case.volts(3), simulate_case(NOISY, 1).volts(3))


def test_without_noise_a_sweep_is_the_exact_waveform_at_its_subsample_latency(bare):
    case = simulate_case(bare(), 1)
    data = whole(case)
    index, volleys = case.responses["zygomatic>OrbOculi"]

    for k in range(len(index)):
        times = (case.triggers[k].sample + np.arange(400)) / FS - case.stimuli[k].time
        expected = volleys.at(times)[k]
        np.testing.assert_allclose(sweep(data, case, k, "OrbOculi"), expected, atol=1e-9)


def test_the_same_case_at_another_rate_agrees_where_the_samples_coincide(bare):
    slow, fast = (whole(simulate_case(bare(fs=fs, seconds=2), 1)) for fs in (5000.0, 20000.0))

    np.testing.assert_allclose(slow, fast[:, ::4], atol=2e-9)


def test_a_step_of_the_gain_takes_effect_at_its_moment(bare):
    case = simulate_case(bare(SetLateral(2.0, 0.0), SetLateral(3.0, 0.5)), 1)
    size = peak_to_peak(whole(case), case, "Mentalis")
    time = np.array([t.sample for t in case.triggers]) / FS

    np.testing.assert_allclose(size[(time >= 2.0) & (time < 3.0)], 0.0, atol=1e-9)
    np.testing.assert_allclose(size[time >= 3.0] / size[0], 0.5, rtol=0.01)


def test_a_ramp_of_the_gain_starts_from_what_an_unfinished_ramp_has_reached(bare):
    script = bare(SetLateral(1.0, 0.0, over=2.0), SetLateral(2.0, 1.0, over=1.0), seconds=5)
    case = simulate_case(script, 1)
    size = peak_to_peak(whole(case), case, "Mentalis")
    time = np.array([s.time for s in case.stimuli])

    expected = np.interp(time, [1.0, 2.0, 3.0], [1.0, 0.5, 1.0])
    np.testing.assert_allclose(size / size[0], expected, rtol=0.02)


def test_a_derivation_can_be_lost_alone():
    script = replace(
        scenario("quiet", minutes=0.6, fs=2000.0, rate=2.3),
        seconds=3,
        events=(SetLateral(0.0, 0.0, "zygomatic>Mentalis"),),
    )
    case = simulate_case(script, 1)

    assert not case.responses["zygomatic>Mentalis"][1].size.any()
    assert case.responses["zygomatic>OrbOris"][1].size.any()


def test_an_intermittent_response_answers_the_said_fraction_of_stimuli(bare):
    case = simulate_case(bare(SetLateral(0.0, 1.0, probability=0.6), seconds=400), 1)
    answered = case.responses["zygomatic>Mentalis"][1].size.any(axis=1)

    assert np.mean(answered) == pytest.approx(0.6, abs=0.05)


def test_losing_the_response_changes_nothing_else():
    lost, kept = (
        simulate_case(scenario(name, minutes=0.6, fs=2000.0, rate=2.3), 1)
        for name in ("lost-at-decompression", "persisting")
    )

    np.testing.assert_array_equal(lost.volts(15), kept.volts(15))
    difference = lost.volts(25) - kept.volts(25)
    assert np.any(difference)
    assert np.mean(np.abs(difference) > 1e-9) < 0.2


def test_crosstalk_is_an_attenuated_copy_without_delay(bare):
    face = replace(bare().face, lateral={}, crosstalk={("OrbOculi", "Mentalis"): 0.08})
    data = whole(simulate_case(bare(face=face), 1))

    np.testing.assert_allclose(data[1], 0.08 * data[0], atol=2e-9)


def test_the_f_wave_is_heard_in_its_own_muscle_only(bare):
    face = replace(bare().face, direct={}, lateral={}, late={"zygomatic>OrbOculi": FWave(persistence=0.9)})
    case = simulate_case(bare(face=face), 1)
    data = whole(case)

    assert np.abs(data[0]).max() > 10e-6
    assert not data[1].any()
    assert not case.responses


def test_background_is_as_the_face_has_it(bare):
    face = replace(
        bare().face,
        direct={},
        lateral={},
        background={"OrbOculi": MotorUnits(), "Mentalis": Interference(7e-6)},
    )
    data = whole(simulate_case(bare(face=face, seconds=10), 1))

    assert 5e-6 < np.abs(data[0]).max() < 200e-6
    assert np.mean(np.abs(data[0]) < 1e-7) > 0.3
    assert np.std(data[1]) == pytest.approx(7e-6, rel=0.05)


def test_white_noise_has_the_amplifiers_density(bare):
    data = whole(simulate_case(bare(amplifier=Amplifier(fs=FS, noise=30e-9), stimulations=()), 1))

    assert np.std(data) == pytest.approx(30e-9 * np.sqrt(FS / 2), rel=0.02)


def test_a_relaxant_takes_m_wave_and_lateral_spread_alike_and_gives_them_back(bare):
    relaxant = Relaxant(2.0, remaining=0.1, onset=1.0, hold=2.0, recovery=2.0)
    case = simulate_case(bare(relaxant, seconds=9), 1)
    data = whole(case)
    m, lsr = (peak_to_peak(data, case, channel) for channel in ("OrbOculi", "Mentalis"))
    time = np.array([s.time for s in case.stimuli])

    np.testing.assert_allclose(m / m[0], np.interp(time, [2, 3, 5, 7], [1, 0.1, 0.1, 1]), rtol=0.02)
    np.testing.assert_allclose(lsr / lsr[0], m / m[0], rtol=0.02)
    assert case.notes[0].event == "relaxant"


def test_a_relaxant_without_recovery_lasts(bare):
    case = simulate_case(bare(Relaxant(1.0, 0.0, onset=0.5, hold=0.5, recovery=None, noted=False)), 1)

    assert not whole(case)[:, 3 * FS :].any()
    assert not case.notes


def test_a_lower_current_recruits_less_and_is_marked(bare):
    case = simulate_case(bare(Intensity(2.0, "zygomatic", 4.0), Intensity(2.0, "mandibular", 1.0)), 1)
    m = peak_to_peak(whole(case), case, "OrbOculi")

    assert m[-1] / m[0] == pytest.approx(0.5, rel=0.02)
    assert [case.triggers[k].attributes["mA"] for k in (0, -1)] == ["50", "4"]


def test_a_pause_holds_neither_stimuli_nor_marks(bare):
    case = simulate_case(bare(Pause(1.0, 3.0), Pause(0.0, 9.0, "mandibular")), 1)

    assert all(not 1.0 <= s.time < 3.0 for s in case.stimuli)
    assert len(case.stimuli) == len(case.triggers) == 4


def test_a_missed_stimulus_has_a_mark_and_nothing_else(bare):
    case = simulate_case(bare(TriggerFault(1.0, 2.0, "missed stimulus")), 1)
    size = peak_to_peak(whole(case), case, "OrbOculi")

    assert [s.delivered for s in case.stimuli] == [k not in (2, 3) for k in range(len(case.stimuli))]
    assert not size[2:4].any()
    assert size[[0, 1, 4]].min() > 1e-3


def test_a_missed_mark_leaves_a_response_unmarked(bare):
    faulty, sound = simulate_case(bare(TriggerFault(1.0, 2.0, "missed mark")), 1), simulate_case(bare(), 1)

    np.testing.assert_array_equal(whole(faulty), whole(sound))
    assert len(faulty.triggers) == len(sound.triggers) - 2


def test_a_double_mark_adds_a_mark_behind_the_true_one(bare):
    case = simulate_case(bare(TriggerFault(1.0, 1.5, "double mark", gap=3e-3)), 1)
    samples = [t.sample for t in case.triggers]

    assert samples[3] - samples[2] == 30
    assert sum(not s.delivered for s in case.stimuli) == 1


def test_faults_of_another_site_or_below_their_probability_do_nothing(bare):
    faults = (
        TriggerFault(0.0, 4.0, "missed mark", site="mandibular"),
        TriggerFault(0.0, 4.0, "missed mark", probability=0.0),
    )

    assert simulate_case(bare(*faults), 1).triggers == simulate_case(bare(), 1).triggers


def test_jitter_moves_marks_and_not_stimuli(bare):
    script = bare()
    jittery = replace(script, seconds=200, room=replace(script.room, trigger_jitter=1e-3))
    case = simulate_case(jittery, 1)
    late = np.array([s.sample / FS - s.time for s in case.stimuli])

    assert np.std(late) == pytest.approx(1e-3, rel=0.1)
    assert np.diff([s.time for s in case.stimuli]).std() < 1e-9


def test_the_artefact_follows_the_current_and_the_distance(bare):
    room = Room(
        artefact=StimulusArtefact(pulse=2e-3, tails=()),
        reach={("zygomatic", "OrbOculi"): 1.0, ("zygomatic", "Mentalis"): 0.3},
        mains=Mains(0.0),
        drift=bare().room.drift,
    )
    case = simulate_case(bare(room=room, stimulations=(Stimulation("zygomatic", ma=20.0),), seconds=1), 1)
    start = case.triggers[0].sample

    np.testing.assert_allclose(case.volts(0)[:, start], [4e-3, 1.2e-3])
    np.testing.assert_allclose(case.volts(0)[:, start + 5], 0.0)


def test_a_large_response_is_clipped_at_the_rails_and_marked_invalid(bare):
    face = replace(bare().face, direct={"zygomatic>OrbOculi": MWave(size=40e-3)})
    chunks = list(simulate_case(bare(face=face), 1).chunks(1.0))
    data, valid = np.hstack([c.data for c in chunks]), np.hstack([c.valid for c in chunks])

    assert data.min() == pytest.approx(-10e-3, rel=1e-12)
    assert data.max() == pytest.approx(10e-3, rel=1e-12)
    np.testing.assert_array_equal(valid, np.abs(data) < 10e-3 * (1 - 1e-9))
    assert valid[1].all()


def test_cautery_covers_all_channels_for_its_span_and_is_noted(bare):
    case = simulate_case(bare(Cautery(1.2, 1.7, noted=True), Cautery(2.0, 2.1)), 1)
    data = whole(case)

    assert np.all(np.std(data[:, 12000:17000], axis=1) > 5e-3)
    assert not data[:, 10500:12000].any()
    assert [(n.event, n.sample) for n in case.notes] == [("cautery-on", 12000), ("cautery-off", 17000)]


@pytest.mark.parametrize(("kind", "least", "most"), [("mains", 2e-3, 20e-3), ("flat", 0.0, 5e-6)])
def test_a_loose_electrode_harms_its_own_channel_for_its_span(bare, kind, least, most):
    data = whole(simulate_case(bare(ElectrodeOff(1.25, 2.5, "OrbOculi", kind)), 1))
    sound = whole(simulate_case(bare(), 1))

    assert least <= np.ptp(data[0, 12500:25000]) <= most
    np.testing.assert_array_equal(data[1], sound[1])
    np.testing.assert_array_equal(data[0, 25000:], sound[0, 25000:])


def test_a_movement_of_all_electrodes_pulls_each_its_own_way(bare):
    data = whole(simulate_case(bare(Movement(2.0), Movement(3.0, "Mentalis", 1e-3), stimulations=()), 1))

    assert not data[:, :20000].any()
    assert np.all(np.ptp(data[:, 20000:30000], axis=1) > 10e-6)
    assert not np.allclose(data[0, 20000:], data[1, 20000:])


def test_notes_become_known_when_they_are_written(bare):
    case = simulate_case(bare(Noted(1.5, "teflon-in", {"vessel": "AICA"}), Noted(9.0, "closure")), 1)

    assert [(n.sample, n.accepted, n.event) for n in case.notes] == [
        (15000, 15000, "teflon-in"),
        (39999, 39999, "closure"),
    ]
    assert case.notes[0].attributes == {"vessel": "AICA"}


@pytest.mark.parametrize("fs", [0.0, 10000.5, 1999.0])
def test_a_rate_that_is_not_whole_or_too_low_is_refused(fs):
    with pytest.raises(ValueError, match=r"whole sampling rate of at least 2000 Hz, got fs="):
        Amplifier(fs=fs)


def test_a_converter_of_12_bits_is_refused():
    with pytest.raises(ValueError, match="16 or 24 bits here, got bits=12"):
        Amplifier(fs=FS, bits=12)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            SetLateral(1.0, 0.0, "zygomatic>Frontalis"),
            "no lateral spread 'zygomatic>Frontalis' in this face, only zyg",
        ),
        (ElectrodeOff(1.0, 2.0, "Nose"), "no channel 'Nose' in this face, only OrbOculi, Mentalis"),
        (Movement(1.0, "Nose"), "no channel 'Nose'"),
    ],
)
def test_an_event_of_something_the_face_does_not_have_is_refused(bare, event, message):
    with pytest.raises(ValueError, match=message):
        bare(event)


def test_a_case_of_broken_seconds_is_refused(bare):
    with pytest.raises(ValueError, match=r"whole seconds, got seconds=1.5"):
        bare(seconds=1.5)


def test_unknown_kinds_are_refused_with_the_choices():
    with pytest.raises(ValueError, match="missed stimulus, missed mark, double mark, got kind='late'"):
        TriggerFault(0.0, 1.0, "late")
    with pytest.raises(ValueError, match='"mains" or "flat", got kind=\'open\''):
        ElectrodeOff(0.0, 1.0, "Mentalis", "open")
