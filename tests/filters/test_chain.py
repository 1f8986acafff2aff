"""Filters in a row against scipy and theory, and what the whole path leaves of an artefact."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ionm.errors import SetupError
from ionm.events import Response
from ionm.filters.chain import Chain
from ionm.filters.clipping import Clipping
from ionm.filters.highpass import Highpass
from ionm.filters.lowpass import Lowpass
from ionm.filters.montage import Derived, Montage
from ionm.protocol import load
from ionm.session import Session
from ionm.stream import Channel, Chunk, StreamInfo, Trigger, chunk

MUSCLES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
MVD = load("mvd-hfs").modality()


def info(fs, names=MUSCLES):
    return StreamInfo(fs, tuple(Channel(name) for name in names))


@pytest.mark.parametrize("fs", [5000.0, 10_000.0, 20_000.0, 30_000.0])
def test_the_protocols_chain_is_scipys_cascade(fs):
    data = np.random.default_rng(1).normal(size=(4, 5000))
    sos = np.concatenate(
        [signal.butter(2, 10, "highpass", output="sos", fs=fs), signal.butter(2, 2000, output="sos", fs=fs)]
    )
    zi = signal.sosfilt_zi(sos)[:, np.newaxis] * data[:, :1]

    out = Chain(MVD.filters).start(info(fs)).push(chunk(data)).data

    np.testing.assert_array_equal(out, signal.sosfilt(sos, data, axis=-1, zi=zi)[0])


@pytest.mark.parametrize("fs", [5000.0, 20_000.0])
def test_gain_and_delay_of_the_protocols_chain_are_those_of_theory(fs):
    """Butterworth: |H|^2 = 1 / (1 + (f/fc)^(2n)), on frequencies warped by the bilinear transform."""
    n, chain = 1 << 16, Chain(MVD.filters)
    impulse = np.zeros((4, n + 1))
    impulse[:, 1] = 1.0
    out = chain.start(info(fs)).push(chunk(impulse)).data[0, 1:]
    response = np.fft.rfft(out)
    frequencies = np.fft.rfftfreq(n, 1 / fs)
    warp = lambda f: np.tan(np.pi * np.asarray(f) / fs)  # noqa: E731

    for wanted in (3.0, 10.0, 100.0, 250.0, 1000.0, 2000.0, 2400.0):
        k = int(np.argmin(np.abs(frequencies - wanted)))
        low, high = warp(10.0) / warp(frequencies[k]), warp(frequencies[k]) / warp(2000.0)
        assert abs(response[k]) == pytest.approx(1 / np.sqrt((1 + low**4) * (1 + high**4)), rel=1e-3)
        slope = -np.angle(response[k + 1] / response[k - 1]) / (
            2 * np.pi * (frequencies[k + 1] - frequencies[k - 1])
        )
        assert chain.delay(info(fs), frequencies[k]) == pytest.approx(slope, rel=0.02, abs=2e-7)


def test_an_empty_chain_passes_everything_on():
    given = chunk(np.ones((4, 10)))

    assert Chain().start(info(1e4)).push(given) is given
    assert Chain().output(info(1e4)) == info(1e4)
    assert Chain().delay(info(1e4), 100.0) == 0


def test_a_chain_hands_the_stream_from_filter_to_filter():
    rename = Montage((Derived("D", (("OrbOris", 2.0),)),))
    chain = Chain((Highpass(10.0), rename, Clipping(), Lowpass(2000.0), Highpass(20.0)))
    data = np.random.default_rng(3).normal(size=(4, 500))

    out = chain.start(info(1e4)).push(chunk(data))

    first = Chain((Highpass(10.0),)).start(info(1e4)).push(chunk(data))
    doubled = Chunk(2 * first.data[2:3], first.valid[2:3], 0)
    second = Chain((Lowpass(2000.0), Highpass(20.0))).start(info(1e4, ("D",))).push(doubled)
    np.testing.assert_array_equal(out.data, second.data)
    assert chain.output(info(1e4)).names == ("D",)
    parts = (Highpass(10.0), Lowpass(2000.0), Highpass(20.0))
    assert chain.delay(info(1e4), 300.0) == pytest.approx(sum(p.delay(info(1e4), 300.0) for p in parts))


def test_a_chain_refuses_what_its_filters_refuse():
    with pytest.raises(SetupError, match="must lie below 2000"):
        Chain((Highpass(10.0), Lowpass(2000.0))).start(info(4000.0))


@settings(max_examples=40)
@given(borders=st.lists(st.integers(0, 600), max_size=20), holes=st.lists(st.integers(0, 599), max_size=5))
def test_any_cutting_gives_the_same_bits(borders, holes):
    data = np.random.default_rng(4).normal(size=(4, 600))
    for at in holes:
        data[at % 4, at : at + at % 130] = np.nan
    whole = Chain(MVD.filters).start(info(5000.0)).push(chunk(data))
    running = Chain(MVD.filters).start(info(5000.0))

    parts = [running.push(chunk(data[:, a:b], start=a)) for a, b in pairwise([0, *sorted(borders), 600])]

    np.testing.assert_array_equal(np.concatenate([p.data for p in parts], axis=1), whole.data)
    np.testing.assert_array_equal(np.concatenate([p.valid for p in parts], axis=1), whole.valid)


# the whole path: what an artefact of 5 mV leaves where the response is looked for


def artefact(fs, n_samples, stimuli, *, tau, early=0.0, tail=1e-3, pulse=5e-3):
    """A pulse of 0.2 ms and an exponential tail that begins with its end, in V; ``early`` in s."""
    t = (np.arange(n_samples)[np.newaxis, :] - np.array(stimuli)[:, np.newaxis]) / fs + early
    during = (t > -1e-9) & (t < 0.2e-3 - 1e-9)
    after = t >= 0.2e-3 - 1e-9
    waves = np.where(during, pulse, 0.0) + np.where(
        after, tail * np.exp(-np.maximum(t - 0.2e-3, 0) / tau), 0.0
    )
    return waves.sum(axis=0)


def sweeps_of(data, fs, stimuli, site="zygomatic"):
    session = Session((MVD,), info(fs))
    triggers = tuple(Trigger(at, site, {"mA": "10"}) for at in stimuli)
    events = session.push(Chunk(data, np.isfinite(data), 0, triggers)) + session.finish()
    return [e for e in events if isinstance(e, Response)]


def window(fs, response, begin, end):
    sweep = response.sweep
    return sweep.data[response.row, sweep.zero + round(begin * fs) : sweep.zero + round(end * fs)]


@pytest.mark.parametrize("fs", [10_000.0, 20_000.0])
@pytest.mark.parametrize("early", [0.0, 0.5e-4, 1e-4])
def test_a_5_mv_artefact_leaves_less_than_2_uv_where_the_response_is_looked_for(fs, early):
    stimuli = [round(fs * (0.5 + 0.5 * k)) for k in range(8)]
    n = round(fs * 5)
    data = np.tile(artefact(fs, n, stimuli, tau=0.5e-3, early=early), (4, 1))

    for response in sweeps_of(data, fs, stimuli):
        if response.role == "lsr":
            assert np.abs(window(fs, response, 8e-3, 20e-3)).max() < 2e-6


@pytest.mark.parametrize("fs", [10_000.0, 20_000.0])
def test_the_same_holds_on_top_of_mains_hum(fs):
    """The difference that the artefact makes, over 20 uV of 50 Hz; both are masked alike."""
    stimuli = [round(fs * (0.5 + 0.503 * k)) for k in range(8)]
    n = round(fs * 5)
    hum = np.tile(20e-6 * np.sin(2 * np.pi * 50 * np.arange(n) / fs), (4, 1))
    with_artefact = sweeps_of(hum + artefact(fs, n, stimuli, tau=0.5e-3), fs, stimuli)
    without = sweeps_of(hum, fs, stimuli)

    for loud, quiet in zip(with_artefact, without, strict=True):
        if loud.role == "lsr":
            left = window(fs, loud, 8e-3, 20e-3) - window(fs, quiet, 8e-3, 20e-3)
            assert np.abs(left).max() < 2e-6


def lateral(fs, at, n):
    """One period of a sine, onset 11 ms, 5 ms long; 1 V peak to peak."""
    t = (np.arange(n) - at) / fs - 11e-3
    return np.where((t >= 0) & (t < 5e-3), 0.5 * np.sin(2 * np.pi * t / 5e-3), 0.0)


@pytest.mark.parametrize("size", [10e-6, 100e-6, 1000e-6])
def test_an_lsr_repeated_a_thousand_times_is_not_eaten(size):
    """Identical in 1000 sweeps, with artefact and a background that repeats with them."""
    fs, step, count = 10_000.0, 2000, 1000
    period = np.random.default_rng(5).normal(0, 1e-6, (4, step))
    one = size * lateral(fs, 1200, step) + artefact(fs, step, [1200], tau=0.5e-3)
    data = np.tile(period + one, count)
    stimuli = [1200 + step * k for k in range(count)]

    responses = [r for r in sweeps_of(data, fs, stimuli) if r.channel == "Mentalis"]

    assert len(responses) == count
    settled = responses[5:]
    first, last = (np.ptp(window(fs, r, 8e-3, 20e-3)) for r in (settled[0], settled[-1]))
    assert last == pytest.approx(first, rel=0.01)
    np.testing.assert_allclose(
        window(fs, settled[-1], 8e-3, 20e-3), window(fs, settled[0], 8e-3, 20e-3), atol=size / 1000
    )
    if size > 20e-6:  # above the protocol's floor
        assert all(r.measurement.present for r in responses)
        amplitudes = [r.measurement.amplitude for r in settled]
        assert max(amplitudes) / min(amplitudes) < 1.01
        assert amplitudes[-1] == pytest.approx(size, rel=0.03)


def m_wave(fs, at, n):
    """Biphasic, onset 2.5 ms, 4 ms long; 1 V peak to peak."""
    t = (np.arange(n) - at) / fs - 2.5e-3
    return np.where((t >= 0) & (t < 4e-3), 0.5 * np.sin(2 * np.pi * t / 4e-3), 0.0)


@pytest.mark.parametrize("fs", [10_000.0, 20_000.0])
def test_the_m_wave_is_kept_on_the_m_control(fs):
    """Against the filtered signal without artefact and without any mask."""
    n, stimuli = round(fs * 5), [round(fs * (0.5 + 0.5 * k)) for k in range(8)]
    clean = np.tile(sum(2e-3 * m_wave(fs, at, n) for at in stimuli), (4, 1))
    free = Chain(MVD.filters).start(info(fs)).push(chunk(clean)).data[0]

    for response in sweeps_of(clean + artefact(fs, n, stimuli, tau=0.1e-3), fs, stimuli):
        if response.role == "m_control":
            at = response.trigger.sample
            wanted = np.ptp(free[at + round(2.5e-3 * fs) : at + round(9e-3 * fs)])
            assert np.ptp(window(fs, response, 2.5e-3, 9e-3)) == pytest.approx(wanted, rel=0.01)


def test_overlapping_masks_of_two_sites_keep_both_from_the_filters():
    """A mandibular stimulus 1 ms after the zygomatic one: no artefact of either in any channel."""
    fs, n = 10_000.0, 30_000
    data = np.tile(artefact(fs, n, [15_000, 15_010], tau=0.2e-3), (4, 1))
    session = Session((MVD,), info(fs))
    marks = (Trigger(15_000, "zygomatic"), Trigger(15_010, "mandibular"))

    events = session.push(Chunk(data, np.isfinite(data), 0, marks)) + session.finish()

    for response in (e for e in events if isinstance(e, Response)):
        assert np.abs(window(fs, response, 8e-3, 20e-3)).max() < 2e-6
        assert response.measurement.reason == "foreign_stimulus"


def test_a_mask_across_a_gap_ends_with_the_stream_and_begins_afresh():
    fs, n = 10_000.0, 20_000
    data = np.random.default_rng(6).normal(0, 1e-6, (4, n))
    data[:, 9_990:] += 5e-3  # the artefact is cut by the gap; what follows has another offset
    session = Session((MVD,), info(fs))
    session.push(Chunk(data[:, :10_000], np.isfinite(data[:, :10_000]), 0, (Trigger(9_990, "zygomatic"),)))
    after = (Trigger(35_000, "zygomatic"),)

    events = (
        session.push(Chunk(data[:, 10_000:], np.isfinite(data[:, 10_000:]), 30_000, after)) + session.finish()
    )

    cut, whole = (
        [e for e in events if isinstance(e, Response) and e.trigger.sample == at] for at in (9_990, 35_000)
    )
    assert {e.measurement.reason for e in cut} == {"gap"}
    for response in whole:
        assert np.abs(window(fs, response, 8e-3, 20e-3)).max() < 10e-6
