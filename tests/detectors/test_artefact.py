"""Marks of artefact: cautery, an electrode off, saturation; and what must not be taken for one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ionm.detectors.artefact import Artefact
from ionm.stream import Channel, Chunk, StreamInfo, Trigger, chunk

FS = 10_000.0
RAIL = 5e-3
NAMES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
INFO = StreamInfo(FS, tuple(Channel(name, rails=(-RAIL, RAIL)) for name in NAMES))
SPEC = Artefact()
BLOCK = round(SPEC.block * FS)


def quiet(seconds, seed=1, rms=5e-6):
    return np.random.default_rng(seed).normal(0, rms, (4, round(seconds * FS)))


def marks_of(data, triggers=(), borders=()):
    running = SPEC.start(INFO)
    whole = Chunk(data, np.isfinite(data), 0, tuple(triggers))
    edges = [0, *sorted(borders), whole.n_samples]
    return [mark for a, b in pairwise(edges) for mark in running.push(whole.cut(a, b))]


def told(marks):
    return [(mark.channel, mark.reason, mark.active) for mark in marks]


def burst(data, begin, end, rms, rows=slice(None)):
    part = data[rows, round(begin * FS) : round(end * FS)]
    part += np.random.default_rng(9).normal(0, rms, part.shape)
    return data


def test_cautery_is_broadband_and_loud_on_most_channels_at_once():
    marks = marks_of(burst(quiet(4), 2.0, 2.5, 300e-6))

    assert told(marks) == [(n, "cautery", True) for n in NAMES] + [(n, "cautery", False) for n in NAMES]
    begun, ended = marks[0].sample / FS, marks[-1].sample / FS
    assert 2.0 < begun <= 2.0 + 2 * SPEC.block
    assert 2.5 + SPEC.hang <= ended + SPEC.block
    assert ended <= 2.5 + SPEC.hang + 2 * SPEC.block


def test_three_of_four_channels_are_enough_for_cautery_and_two_are_not():
    assert told(marks_of(burst(quiet(3), 2.0, 2.3, 300e-6, slice(3))))
    assert not marks_of(burst(quiet(3), 2.0, 2.3, 300e-6, slice(2)))


def test_loud_emg_on_every_channel_is_no_cautery():
    data = quiet(6)
    emg = signal.sosfilt(
        signal.butter(2, [30, 500], "bandpass", output="sos", fs=FS), quiet(2, seed=3, rms=1.0)
    )
    data[:, 20_000:40_000] += 300e-6 * emg / emg.std()

    assert marks_of(data) == []


def test_noise_hum_and_drift_are_no_artefact():
    t = np.arange(60_000) / FS
    hum = 100e-6 * np.sin(2 * np.pi * 50 * t) + 2e-3 * np.sin(2 * np.pi * 0.3 * t)

    assert marks_of(quiet(6) + hum) == []


def test_a_stimulus_with_its_artefact_and_m_wave_is_no_artefact():
    data = quiet(6)
    triggers = [Trigger(at, "zygomatic") for at in range(3_000, 59_000, 1000)]
    for trigger in triggers:
        data[:, trigger.sample - 1 : trigger.sample + 2] += 4e-3
        data[:, trigger.sample + 25 : trigger.sample + 65] += 2e-3 * np.sin(np.arange(40) / 40 * 2 * np.pi)

    marks = SPEC.start(INFO, ahead=1).push(Chunk(data, np.isfinite(data), 0, tuple(triggers)))

    assert marks == []


@pytest.mark.parametrize("value", [0.0, 1e-3, np.nan])
def test_a_flat_or_missing_channel_is_an_electrode_off_after_a_tenth_of_a_second(value):
    data = quiet(4)
    data[1, 20_000:30_000] = value

    marks = marks_of(data)

    assert told(marks) == [("Mentalis", "electrode_off", True), ("Mentalis", "electrode_off", False)]
    assert 2.1 - 2 * SPEC.block <= marks[0].sample / FS <= 2.1 + 2 * SPEC.block
    assert 3.0 + SPEC.hang - SPEC.block <= marks[1].sample / FS <= 3.0 + SPEC.hang + 2 * SPEC.block


def test_a_short_dropout_is_no_electrode_off():
    data = quiet(3)
    data[1, 20_000:20_500] = np.nan

    assert marks_of(data) == []


@pytest.mark.parametrize("rail", [-RAIL, RAIL, 2 * RAIL])
def test_one_sample_at_a_rail_is_saturation_of_its_channel(rail):
    data = quiet(3)
    data[2, 20_010] = rail

    marks = marks_of(data)

    assert told(marks) == [("OrbOris", "saturation", True), ("OrbOris", "saturation", False)]
    assert marks[0].sample == 20_000 + BLOCK - 1


def test_a_channel_stuck_at_its_rail_is_first_saturated_and_then_off():
    data = quiet(3)
    data[0, 10_000:] = RAIL

    assert told(marks_of(data))[:2] == [("OrbOculi", "saturation", True), ("OrbOculi", "electrode_off", True)]


def test_blocks_near_a_stimulus_are_passed_over():
    data = quiet(3)
    data[0, 20_000 : 20_000 + 2 * BLOCK] = RAIL

    near = marks_of(data, [Trigger(20_000 + k * BLOCK, "tes") for k in range(3)])

    assert near == []
    assert marks_of(data) != []


def test_a_mark_is_known_with_the_last_sample_of_its_block():
    running = SPEC.start(INFO)
    data = quiet(1)
    data[3, 5_010] = RAIL
    stop = 5_000 + BLOCK

    assert running.push(chunk(data[:, : stop - 1])) == []
    (mark,) = running.push(chunk(data[:, stop - 1 : stop], start=stop - 1))
    assert mark.sample == stop - 1


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30_000), max_size=40), st.lists(st.integers(0, 29_999), max_size=8))
def test_any_cutting_gives_the_same_marks(borders, stimuli):
    data = burst(quiet(3), 1.0, 1.2, 300e-6)
    data[1, 15_000:18_000] = np.nan
    data[2, 20_000:20_300] = RAIL
    triggers = [Trigger(at, "zygomatic") for at in sorted(stimuli)]

    assert marks_of(data, triggers, borders) == marks_of(data, triggers)


def test_a_nan_does_not_blind_the_detector_afterwards():
    data = quiet(6)
    data[0, 100:200] = np.nan
    data[0, 200] = np.inf

    marks = marks_of(burst(data, 4.0, 4.3, 300e-6))

    assert [m.channel for m in marks if m.reason == "cautery" and m.active] == list(NAMES)


def test_a_level_that_lasts_becomes_the_usual_one():
    """Twice as loud from 2 s on: followed, and cautery is still found after it."""
    data = quiet(14)
    data[:, 20_000:] *= 2
    marks = marks_of(burst(data, 12.0, 12.3, 1e-3))

    assert [m.active for m in marks] == [True] * 4 + [False] * 4


def test_channels_without_rails_are_never_saturated():
    info = StreamInfo(FS, (Channel("A"), Channel("B")))
    data = quiet(1)[:2]
    data[0, 5000] = 1.0

    assert [m for m in SPEC.start(info).push(chunk(data)) if m.reason == "saturation"] == []


@pytest.mark.parametrize(("before", "seen"), [(100, True), (99, False), (-BLOCK, True), (1 - BLOCK, False)])
def test_a_block_is_judged_from_the_end_of_a_stimulus_on(before, seen):
    """Stimuli are passed over for 10 ms (100 samples); the block of the rail begins at 20 000."""
    data = quiet(3)
    data[0, 20_050] = RAIL

    marks = marks_of(data, [Trigger(20_000 - before, "tes")])

    assert bool(marks) == seen
