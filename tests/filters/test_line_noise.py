"""The canceller of hum against signals whose hum is known: what it leaves, what it must not touch.

"Left" is the root mean square of the output less the signal without hum, so that what is taken from
the signal counts like what is left of the hum.
"""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ionm.compiled import kernel, kernels, paths
from ionm.errors import SetupError, SignalError
from ionm.filters.chain import Chain
from ionm.filters.highpass import Highpass
from ionm.filters.line_noise import LineNoise, start_on
from ionm.filters.notch import Notch
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk

FS = 20_000.0  # Hz
SPEC = LineNoise(60.0)
ODD = {1: 1.0, 3: 0.35, 5: 0.2, 7: 0.1}
NEEDLE = (
    Path(os.environ.get("IONM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "emg_needle"
)
COMPILED = [
    pytest.param(
        path, marks=pytest.mark.skipif(path not in paths(), reason=f"kernel {path} is not available here")
    )
    for path in ("avx512", "avx2", "sse2", "neon", "c")
]

long = pytest.mark.skipif(
    kernel().startswith("scipy"), reason="takes the twin minutes, and its bits are the compiled form's"
)


def stream(n_channels, fs=FS, *, segmented=False):
    return StreamInfo(fs, tuple(Channel(f"ch{i}") for i in range(n_channels)), segmented)


def turns(seconds, drift="sine", frequency=60.07, fs=FS):
    """Phase of the mains: its frequency wanders by +-0.1 Hz in a minute, or as the simulated grid's does."""
    t = np.arange(round(seconds * fs)) / fs
    rates = {"sine": [(0.1, 60.0)], "grid": [(0.014, p) for p in (17.0, 41.0, 113.0, 290.0)], "steady": []}
    wander = sum(size * np.sin(2 * np.pi * t / period + k) for k, (size, period) in enumerate(rates[drift]))
    return np.cumsum(frequency + wander + 0 * t) / fs


def hum(phase, n_channels=1, parts=None, size=20e-6):
    """Hum in V: its harmonics in other phases in every channel."""
    rng = np.random.default_rng(7)
    rows = []
    for channel in range(n_channels):
        own = size * (rng.uniform(0.5, 1.5) if channel else 1.0)
        waves = [
            own * part * np.sin(2 * np.pi * (k * phase + rng.random()))
            for k, part in (parts or {1: 1.0}).items()
        ]
        rows.append(np.sum(waves, axis=0))
    return np.array(rows)


def noise(shape, rms=5e-6, seed=1):
    """As EMG that reaches up to the band's end."""
    return np.random.default_rng(seed).normal(0, rms, shape)


def interference(shape, rms=5e-6, seed=2):
    """As EMG of 20 to 500 Hz."""
    sos = signal.butter(2, (20.0, 500.0), "bandpass", fs=FS, output="sos")
    shaped = signal.sosfilt(sos, np.random.default_rng(seed).normal(size=shape), axis=-1)
    return rms * shaped / shaped.std(axis=1, keepdims=True)


def cancel(data, spec=SPEC, triggers=(), fs=FS, path=None):
    whole = chunk(data, 0, triggers)
    running = start_on(path, spec, stream(len(data), fs))
    parts = [
        running.push(whole.cut(a, min(a + 8000, whole.n_samples))) for a in range(0, whole.n_samples, 8000)
    ]
    return np.hstack([part.data for part in parts])


def left(out, rest, first, last, fs=FS):
    """In uV, from ``first`` to ``last`` s."""
    part = (out - rest)[:, round(first * fs) : round(last * fs)]
    return 1e6 * np.sqrt(np.mean(part * part))


def marks(seconds, rate, site="zygomatic"):
    return tuple(Trigger(round(k * FS / rate), site) for k in range(1, int(seconds * rate)))


def responses(n_samples, triggers, size):
    """Two phases of ``size`` V peak to peak, 10 to 16 ms after each stimulus."""
    out = np.zeros(n_samples)
    t = np.arange(120) / 120
    wave = np.sin(2 * np.pi * t) * np.hanning(120)
    wave *= size / np.ptp(wave)
    for trigger in triggers:
        at = trigger.sample + 200
        out[at : at + 120] += wave[: max(0, n_samples - at)]
    return out


# what is left


@pytest.mark.parametrize("drift", ["steady", "sine", "grid"])
@pytest.mark.parametrize(("n_channels", "parts"), [(1, {1: 1.0}), (4, ODD)])
def test_of_20_uv_of_drifting_hum_3_nv_are_left_within_2_to_4_s(drift, n_channels, parts):
    wave = hum(turns(8, drift), n_channels, parts)

    out = cancel(wave)

    assert left(out, 0 * wave, 2, 4) < 0.003
    assert left(out, 0 * wave, 3, 8) < 0.001


def test_a_frequency_that_walks_at_random_leaves_6_nv():
    """2 mHz in the root of a second: within 50 ms nobody can foretell more than 0.0016 uV of it."""
    rng = np.random.default_rng(3)
    knots = np.cumsum(rng.normal(0, 2e-3 * np.sqrt(0.02), 500))
    frequency = 60.07 + np.interp(np.arange(round(8 * FS)) / FS, 0.02 * np.arange(500), knots)
    wave = hum(np.cumsum(frequency) / FS, 4, ODD)

    assert left(cancel(wave), 0 * wave, 2, 8) < 0.006


@long
@pytest.mark.parametrize("drift", ["sine", "grid"])
@pytest.mark.parametrize(("n_channels", "parts"), [(1, {1: 1.0}), (8, ODD)])
@pytest.mark.parametrize("seed", [1, 2])
def test_in_5_uv_of_broadband_emg_a_tenth_of_a_microvolt_is_left(drift, n_channels, parts, seed):
    wave = hum(turns(30, drift), n_channels, parts)
    rest = noise(wave.shape, seed=seed)

    out = cancel(wave + rest)

    assert left(out, rest, 4, 6) < 0.15
    assert left(out, rest, 6, 30) < 0.1


@long
def test_in_5_uv_of_emg_below_500_hz_about_a_tenth_is_left_where_16_channels_help():
    """Its density is twenty times that of broadband EMG of 5 uV: one channel alone leaves some 0.25 uV."""
    wave = hum(turns(60, "grid"), 16)
    rest = interference(wave.shape)

    out = cancel(wave + rest)
    alone = cancel((wave + rest)[:1])

    assert left(out, rest, 30, 60) < 0.12
    assert left(alone, rest[:1], 30, 60) < 0.35


@long
@pytest.mark.parametrize("jump", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("rms", "limit"), [(0.0, 0.003), (5e-6, 0.1)])
def test_a_jump_of_the_phase_is_recovered_within_2_s(jump, rms, limit):
    phase = turns(14)
    phase += jump * (np.arange(phase.size) >= 10 * FS)
    wave = hum(phase, 4, ODD)
    rest = noise(wave.shape, rms)

    assert left(cancel(wave + rest), rest, 12, 14) < limit


@pytest.mark.parametrize(("rms", "limit"), [(0.0, 0.003), (5e-6, 0.15)])
def test_a_change_of_the_amplitude_is_recovered_within_2_s(rms, limit):
    wave = hum(turns(14), 4, ODD) * np.where(np.arange(14 * 20_000) < 10 * FS, 1.0, 1.5)
    rest = noise(wave.shape, rms)

    assert left(cancel(wave + rest), rest, 12, 14) < limit


@long
@pytest.mark.parametrize("frequency", [59.5, 59.8, 60.3, 60.5])
def test_half_a_hertz_off_is_found(frequency):
    wave = hum(turns(8, "steady", frequency), 4, ODD)
    rest = noise(wave.shape)

    assert left(cancel(wave), 0 * wave, 5, 8) < 0.003
    assert left(cancel(wave + rest), rest, 6, 8) < 0.15


@pytest.mark.parametrize("frequency", [49.93, 60.07])
def test_auto_finds_the_grid(frequency):
    wave = hum(turns(8, "sine", frequency), 4, ODD)
    rest = noise(wave.shape)

    assert left(cancel(wave, LineNoise()), 0 * wave, 5, 8) < 0.003
    assert left(cancel(wave + rest, LineNoise()), rest, 5, 8) < 0.1


def test_electrode_offset_and_drift_hardly_leak_into_the_hum():
    wave = hum(turns(8), 2, ODD)
    t = np.arange(wave.shape[1]) / FS
    rest = 0.3 + np.array([[200e-6], [-100e-6]]) * np.sin(2 * np.pi * 0.7 * t)

    assert left(cancel(wave + 0.3), 0 * wave + 0.3, 2, 8) < 0.003
    assert left(cancel(wave + rest), rest, 2, 8) < 0.02


@long
def test_nothing_drifts_in_an_hour():
    fs = 2000.0
    t = np.arange(round(3600 * fs)) / fs
    wave = 20e-6 * np.sin(2 * np.pi * np.mod(60.07 * t, 1.0))[np.newaxis]

    out = cancel(wave, LineNoise(60.0, 5), fs=fs)

    assert left(out, 0 * wave, 3590, 3600, fs) < 1e-4


# what must not be touched


@long
@pytest.mark.parametrize("rate", [1.0, 2.0, 3.0, 5.0, 1.1])
@pytest.mark.parametrize("size", [10e-6, 1000e-6])
def test_a_response_locked_to_the_stimulus_changes_by_less_than_a_thousandth(rate, size):
    """Also at rates that divide the mains, where the hum comes in the same phase every time."""
    triggers = marks(12, rate)
    wave = hum(turns(12, "sine", 60.0), 2, ODD)
    rest = np.tile(responses(wave.shape[1], triggers, size), (2, 1))

    out = cancel(wave + rest, triggers=triggers)
    without = cancel(wave, triggers=triggers)

    settled = slice(round(4 * FS), None)
    assert np.abs(out - rest)[:, settled].max() < 1e-3 * size
    assert np.abs(out - without - rest).max() < 1e-9 * size


@long
def test_a_response_keeps_its_size_in_noise():
    """The average of 36 responses, with the canceller and without hum: the same within a thousandth."""
    triggers = marks(40, 1.0)
    wave = hum(turns(40, "steady", 60.0), 2, ODD)
    rest = noise(wave.shape) + responses(wave.shape[1], triggers, 100e-6)

    out = cancel(wave + rest, triggers=triggers)

    cut = [slice(t.sample + 200, t.sample + 320) for t in triggers[3:]]
    with_hum, truth = (np.mean([data[:, c] for c in cut], axis=0) for data in (out, rest))
    assert np.abs(np.ptp(with_hum, axis=1) / np.ptp(truth, axis=1) - 1).max() < 1e-3


@long
def test_a_stimulus_artefact_and_its_tail_move_nothing():
    triggers = marks(12, 5.0)
    wave = hum(turns(12), 2, ODD)
    rest = np.zeros(wave.shape)
    t = np.arange(2000) / FS
    for trigger in triggers:
        rest[:, trigger.sample : trigger.sample + 2000] += 5e-3 * np.exp(-t / 4e-3)

    out = cancel(wave + rest, triggers=triggers)

    assert left(out, rest, 4, 12) < 0.003
    assert left(cancel(wave + rest), rest, 4, 12) > 0.1  # had nobody marked the stimuli


@long
@pytest.mark.parametrize("spec", [SPEC, LineNoise(50.0), LineNoise()])
def test_without_hum_the_samples_leave_as_they_came(spec):
    for rest in (
        noise((16, 400_000)),
        interference((16, 400_000)),
        np.zeros((2, 100_000)),
        np.ones((1, 100_000)),
    ):
        np.testing.assert_array_equal(cancel(rest, spec), rest)


def test_hum_that_ends_is_not_taken_away_any_more():
    wave = hum(turns(10), 2, ODD)
    wave[:, round(6 * FS) :] = 0.0
    rest = noise(wave.shape)

    out = cancel(wave + rest)

    np.testing.assert_array_equal(out[:, round(8 * FS) :], rest[:, round(8 * FS) :])


def test_through_three_seconds_of_cautery_the_hum_is_remembered():
    wave = hum(turns(16), 4, ODD)
    rest = noise(wave.shape)
    rest[:, round(8 * FS) : round(11 * FS)] += noise((4, round(3 * FS)), 15e-3, seed=5)

    out = cancel(wave + rest)

    assert left(out, rest, 8, 11) < 1.0
    assert left(out, rest, 12, 16) < 0.15


def test_what_is_invalid_teaches_nothing():
    """The same cautery, marked: the outcome does not depend on it at all."""
    wave = hum(turns(12), 2, ODD)
    data = wave + noise(wave.shape)
    valid = np.ones(data.shape, dtype=bool)
    valid[:, round(5 * FS) : round(7 * FS)] = False
    outs = []
    for loud in (1e-2, np.nan):
        wild = data.copy()
        wild[~valid] = loud
        outs.append(SPEC.start(stream(2)).push(Chunk(wild, valid, 0)))

    np.testing.assert_array_equal(outs[0].data, outs[1].data)
    assert left(outs[0].data[:, round(7 * FS) :], (data - wave)[:, round(7 * FS) :], 0, 5) < 0.2


@long
def test_clicks_freeze_nothing_and_other_stimuli_in_quick_succession_end_the_hums_subtraction():
    wave = hum(turns(18, "steady"))
    clicks, shocks = marks(18, 30.0, "click"), tuple(t for t in marks(18, 30.0) if t.sample > 6 * FS)

    heard, shocked = cancel(wave, triggers=clicks), cancel(wave, triggers=shocks)

    assert left(heard, 0 * wave, 2, 18) < 0.003
    assert left(shocked, 0 * wave, 6, 15) < 0.003  # foretold
    np.testing.assert_array_equal(shocked[:, round(16.5 * FS) :], wave[:, round(16.5 * FS) :])


@long
@pytest.mark.skipif(not NEEDLE.exists(), reason="the open recordings are not on this machine")
@pytest.mark.parametrize("name", ["healthy", "neuropathy", "myopathy"])
def test_in_real_emg_the_hum_goes_and_the_emg_stays(name):
    counts = np.fromfile(NEEDLE / f"emg_{name}.dat", "<i2").astype(float)
    rest = signal.resample_poly(counts - counts.mean(), 5, 1)[np.newaxis]  # 4 to 20 kHz
    rest *= 5e-6 / rest.std()
    seconds = rest.shape[1] / FS
    wave = hum(turns(seconds, "sine"), 1, ODD)[:, : rest.shape[1]]

    np.testing.assert_array_equal(cancel(rest), rest)
    assert left(cancel(wave + rest), rest[:, : wave.shape[1]], 4, seconds) < 0.5


# how it behaves as a filter


@st.composite
def recordings(draw):
    """Hum, noise and every kind of harm at 2 kHz, stimuli, and where to cut it all."""
    n_channels, n_samples = draw(st.integers(1, 5)), draw(st.integers(0, 3000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.sampled_from([-320, -5, 0, 90]))
    wave = np.sin(2 * np.pi * 60.1 * np.arange(n_samples) / 2000.0)
    data = scale * (wave + rng.normal(0, 0.1, (n_channels, n_samples)))
    valid = np.ones(data.shape, dtype=bool)
    for _ in range(draw(st.integers(0, 4))):
        row, a = rng.integers(n_channels), rng.integers(0, n_samples + 1)
        harm = draw(st.sampled_from([False, np.nan, np.inf, -1.1e100]))
        run = slice(a, a + draw(st.sampled_from([1, 8, 200])))
        if harm is False:
            valid[row, run] = False
        else:
            data[row, run] = harm
    triggers = [Trigger(int(t), draw(st.sampled_from(["zygomatic", "click"]))) for t in sorted(rng.integers(0, n_samples, 3))] if n_samples else []  # fmt: skip  # noqa: E501
    cuts = draw(st.lists(st.integers(0, n_samples), max_size=12))
    start = draw(st.sampled_from([0, 7, 12_345]))
    triggers = [Trigger(t.sample + start, t.site) for t in triggers]
    return Chunk(data, valid, start, tuple(triggers)), [start + c for c in cuts]


@pytest.mark.parametrize("path", [*COMPILED, "scipy"])
@settings(max_examples=25)
@given(recording=recordings(), auto=st.booleans())
def test_every_path_and_every_cutting_gives_the_bits_of_the_twin(path, recording, auto):
    whole, cuts = recording
    spec, info = LineNoise("auto" if auto else 60.0, 5), stream(len(whole.data), 2000.0)
    running = start_on(path, spec, info)

    parts = [running.push(whole.cut(a, b)) for a, b in pairwise([whole.start, *sorted(cuts), whole.stop])]

    expected = start_on("scipy", spec, info).push(whole)
    out = np.hstack([part.data for part in parts])
    np.testing.assert_array_equal(out.view(np.uint64), expected.data.view(np.uint64))
    np.testing.assert_array_equal(np.hstack([part.valid for part in parts]), expected.valid)
    assert tuple(t for part in parts for t in part.triggers) == whole.triggers
    assert np.isfinite(out).all()


@pytest.mark.parametrize("path", COMPILED)
@pytest.mark.parametrize("fs", [2000.0, 5000.0, 20_000.0])
def test_seconds_of_hum_give_the_bits_of_the_twin(path, fs):
    phase = turns(4, "sine", 60.07, fs)
    phase += 0.2 * (np.arange(phase.size) >= 3 * fs)
    wave = hum(phase, 3, {1: 1.0, 3: 0.35, 5: 0.2})
    data = wave + noise(wave.shape)
    triggers = tuple(Trigger(round(k * fs / 3.3), "zygomatic") for k in range(3, 9))
    spec = LineNoise("auto", 5)

    out = cancel(data, spec, triggers, fs, path)

    np.testing.assert_array_equal(out, cancel(data, spec, triggers, fs, "scipy"))
    assert left(out, data - wave, 2.5, 3, fs) < 1.0


@pytest.mark.parametrize("path", [*COMPILED, "scipy"])
def test_a_gap_is_a_fresh_start(path):
    wave = hum(turns(2), 2, ODD)
    running = start_on(path, SPEC, stream(2))
    running.push(chunk(wave))

    after = running.push(chunk(wave, start=100_000))

    fresh = start_on(path, SPEC, stream(2)).push(chunk(wave, start=7))
    np.testing.assert_array_equal(after.data, fresh.data)


@pytest.mark.parametrize("path", [*COMPILED, "scipy"])
@pytest.mark.parametrize("harm", [np.nan, np.inf, -1e300])
def test_a_bad_sample_holds_its_own_channel_and_hardly_moves_the_common_clock(path, harm):
    wave = hum(turns(4), 4, ODD)
    data = wave + noise(wave.shape)
    hurt = data.copy()
    at = round(3 * FS)
    hurt[1, at : at + 3] = harm

    clean = start_on(path, SPEC, stream(4)).push(chunk(data))
    out = start_on(path, SPEC, stream(4)).push(Chunk(hurt, np.ones(hurt.shape, dtype=bool), 0))

    assert np.isfinite(out.data).all()
    np.testing.assert_array_equal(np.argwhere(~out.valid), [[1, at], [1, at + 1], [1, at + 2]])
    np.testing.assert_array_equal(out.data[1, at : at + 3], out.data[1, at - 1])
    np.testing.assert_array_equal(out.data[:, :at], clean.data[:, :at])
    assert np.abs(out.data - clean.data)[[0, 2, 3], at:].max() < 0.2e-6


@pytest.mark.parametrize("path", [*COMPILED, "scipy"])
def test_what_is_no_sample_passes_on_and_the_input_stays_as_it_was(path):
    data, valid = np.ones((2, 50)), np.ones((2, 50), dtype=bool)
    data.flags.writeable = valid.flags.writeable = False
    given_chunk = Chunk(data, valid, 40, (Trigger(41, "zygomatic"),), (Note(42, 42, "baseline"),))
    running = start_on(path, SPEC, stream(2))

    out = running.push(given_chunk)
    empty = running.push(chunk(np.empty((2, 0)), start=90))

    assert (out.start, out.triggers, out.notes) == (40, given_chunk.triggers, given_chunk.notes)
    assert out.valid is valid
    assert empty.data.shape == (2, 0)


@pytest.mark.parametrize("path", [*COMPILED, "scipy"])
@pytest.mark.parametrize(
    ("data", "valid", "message"),
    [
        (np.ones((2, 4)), np.ones((2, 4), bool), r"expected data of shape \(3, n_samples\), got \(2, 4\)"),
        (np.ones((3, 4)), np.ones((3, 5), bool), r"expected valid of shape \(3, 4\), got \(3, 5\)"),
        (np.ones((3, 4), np.float32), np.ones((3, 4), bool), "expected data of float64, got "),
    ],
)
def test_arrays_that_are_not_the_streams_are_refused(path, data, valid, message):
    with pytest.raises(SignalError, match=f"^{message}.*, at sample 40$"):
        start_on(path, SPEC, stream(3)).push(Chunk(data, valid, 40))


def test_it_comes_first_in_a_chain():
    wave = hum(turns(6), 2, ODD)
    rest = noise(wave.shape)
    chain = Chain((SPEC, Highpass(10.0), Notch(180.0, 2.0)))

    out = chain.start(stream(2)).push(chunk(wave + rest))

    truth = Chain(chain.filters[1:]).start(stream(2)).push(chunk(rest))
    assert left(out.data, truth.data, 4, 6) < 0.15
    assert SPEC.output(stream(2)) == stream(2)
    assert SPEC.delay(stream(2), 100.0) == 0.0


def test_a_segmented_stream_passes_as_it_is():
    given_chunk = chunk(hum(turns(1)))

    assert SPEC.start(stream(1, segmented=True)).push(given_chunk) is given_chunk


def test_harmonics_beyond_half_the_rate_are_refused():
    with pytest.raises(
        SetupError, match=r"harmonic 9 of the mains, 540 Hz, must lie below 500.0 Hz, half of fs"
    ):
        LineNoise().start(stream(1, 1000.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequency": 16.7}, r'need frequency "auto" or 40 to 70 Hz, got frequency=16.7'),
        ({"frequency": float("nan")}, "got frequency=nan"),
        ({"harmonics": 0}, "need 1 to 32 harmonics, got harmonics=0"),
        ({"harmonics": 2.5}, "got harmonics=2.5"),
        ({"freeze": -0.1}, r"need 0 <= freeze <= 1 s, got freeze=-0.1 s"),
        ({"freeze": float("nan")}, "got freeze=nan s"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LineNoise(**settings)


@pytest.mark.skipif(kernels is None, reason="no compiled kernel here")
def test_the_compiled_canceller_refuses_what_is_no_chunk_and_sizes_that_do_not_fit():
    one = np.array([60.0]).tobytes()

    running = kernels.Canceller(2, FS, one, 9, 1000, 32, "c")
    with pytest.raises(TypeError, match=r"^expected a Chunk, got <class 'numpy.ndarray'>$"):
        running.push(np.ones((2, 3)), ())
    with pytest.raises(TypeError, match=r"^push takes 2 arguments, got 1$"):
        running.push(chunk(np.ones((2, 3))))
    for arguments in [
        (-1, FS, one, 9, 1000, 32, "c"),
        (2, 0.0, one, 9, 1000, 32, "c"),
        (2, FS, b"", 9, 1000, 32, "c"),
        (2, FS, one[:-1], 9, 1000, 32, "c"),
        (2, FS, one * 5, 9, 1000, 32, "c"),
        (2, FS, one, 33, 1000, 32, "c"),
        (2, FS, one, 9, -1, 32, "c"),
        (2, FS, one, 9, 1000, 20, "c"),
        (2, FS, one, 9, 1000, 32, "abacus"),
    ]:
        with pytest.raises(
            ValueError, match=r"sizes of a canceller do not fit together|no path 'abacus' here"
        ):
            kernels.Canceller(*arguments)
    with pytest.raises(TypeError, match="takes no keywords"):
        kernels.Canceller(2, FS, one, 9, 1000, 32, path="c")
