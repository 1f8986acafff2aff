"""The cascade: equal bits on every path and for every cutting, and harm that stays where it is.

The oracle walks sample by sample in Python; ``scipy.signal.sosfilt`` on the whole array is the
second opinion. Paths that this machine lacks are skipped by name.
"""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ionm.compiled import kernel, kernels, paths
from ionm.errors import SetupError, SignalError
from ionm.filters.bandpass import Bandpass
from ionm.filters.highpass import Highpass
from ionm.filters.notch import Notch
from ionm.filters.sos import HOLD, LARGEST, Sos, fuse, sections_of, start_on
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk

FS = 2000.0  # Hz; the hold is then 20 samples
HOLD_SAMPLES = 20
PATHS = [
    pytest.param(
        path, marks=pytest.mark.skipif(path not in paths(), reason=f"kernel {path} is not available here")
    )
    for path in ("avx512", "avx2", "sse2", "neon", "c", "scipy")
]


def stream(n_channels, *, segmented=False, fs=FS):
    return StreamInfo(fs, tuple(Channel(f"ch{i}") for i in range(n_channels)), segmented)


def cascade(n_sections, seed=0):
    """Random stable sections, settling within some hundred samples."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_sections):
        radius, angle = rng.uniform(0.2, 0.97), rng.uniform(0, np.pi)
        b = rng.normal(size=3)
        rows.append((*b, 1.0, -2 * radius * np.cos(angle), radius**2))
    return Sos(sections_of(rows))


def oracle(spec, info, data, valid):
    """The module's four invariants, sample by sample."""
    zi = signal.sosfilt_zi(np.array(spec.coefficients))
    settling = 0 if info.segmented else spec.settling
    out, flags = np.zeros(data.shape), np.zeros(data.shape, dtype=bool)
    for c in range(data.shape[0]):
        state, last, missing, unsettled = None, 0.0, 0, 0
        for t in range(data.shape[1]):
            x = float(data[c, t])
            if valid[c, t] and abs(x) <= LARGEST:
                if state is None or missing > info.samples(spec.hold):
                    state, unsettled = [[z0 * x, z1 * x] for z0, z1 in zi.tolist()], settling
                missing = 0
                for z, (b0, b1, b2, _, a1, a2) in zip(state, spec.coefficients, strict=True):
                    y = b0 * x + z[0]
                    z[0] = (b1 * x - a1 * y) + z[1]
                    z[1] = b2 * x - a2 * y
                    x = y
                last = x
                flags[c, t] = unsettled == 0
                unsettled = max(0, unsettled - 1)
            else:
                missing += 1
            out[c, t] = last
    return out, flags


def run(spec, info, data, valid, cuts=(), path=None):  # noqa: PLR0917
    """Push the array cut at ``cuts``; the joined samples and flags."""
    running = start_on(path, spec, info)
    edges = [0, *sorted(cuts), data.shape[1]]
    outs = []
    for a, b in pairwise(edges):
        outs.append(running.push(Chunk(data[:, a:b].copy(), valid[:, a:b].copy(), a)))
    return np.hstack([o.data for o in outs]), np.hstack([o.valid for o in outs])


def frozen(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@st.composite
def recordings(draw):
    """Samples and flags with every kind of harm, of 1-19 channels, and where to cut them."""
    n_channels, n_samples = draw(st.integers(1, 19)), draw(st.integers(0, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.sampled_from([-320, -308, -5, 0, 90]))
    data = scale * rng.normal(size=(n_channels, n_samples)) + draw(st.sampled_from([0.0, 0.3]))
    valid = np.ones(data.shape, dtype=bool)
    for _ in range(draw(st.integers(0, 8))):
        a = rng.integers(0, n_samples + 1)
        rows = slice(None) if draw(st.booleans()) else rng.integers(n_channels)
        run_of = slice(a, a + draw(st.sampled_from([1, 2, HOLD_SAMPLES, HOLD_SAMPLES + 1, 60])))
        harm = draw(st.sampled_from([False, np.nan, np.inf, -np.inf, 1.1e100, -1e308]))
        if harm is False:
            valid[rows, run_of] = False
        else:
            data[rows, run_of] = harm
    cuts = draw(st.lists(st.integers(0, n_samples), max_size=12))
    return data, valid, cuts


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60)
@given(recording=recordings(), n_sections=st.integers(1, 9), seed=st.integers(0, 99), segmented=st.booleans())
def test_every_path_and_every_cutting_gives_the_bits_of_the_oracle(
    path, recording, n_sections, seed, segmented
):
    data, valid, cuts = recording
    spec, info = cascade(n_sections, seed), stream(len(data), segmented=segmented)

    out, flags = run(spec, info, data, valid, cuts, path)

    expected, expected_flags = oracle(spec, info, data, valid)
    np.testing.assert_array_equal(out.view(np.uint64), expected.view(np.uint64))
    np.testing.assert_array_equal(flags, expected_flags)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("n_channels", range(1, 20))
@pytest.mark.parametrize("n_samples", [1, 7, 100, 1001])
def test_a_sound_recording_gives_the_bits_of_scipy_on_the_whole_array(path, n_channels, n_samples):
    n_sections = 1 + (n_channels + n_samples) % 9
    rng = np.random.default_rng(n_channels * n_samples)
    data = rng.normal(0.3, 1e-4, (n_channels, n_samples))
    spec, info = cascade(n_sections), stream(n_channels)
    rows = np.array(spec.coefficients)
    cuts = rng.integers(0, n_samples, 5)

    out, _ = run(spec, info, data, np.ones(data.shape, dtype=bool), cuts, path)

    zi = signal.sosfilt_zi(rows)[:, None, :] * data[None, :, :1]
    expected, _ = signal.sosfilt(rows, data, zi=zi)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("path", PATHS)
def test_the_output_is_invalid_for_the_settling_and_its_flags_are_then_the_inputs(path):
    spec, info = Highpass(100.0), stream(3)
    settling = Sos(spec.sections(info)).settling
    running = start_on(path, Sos(spec.sections(info)), info)
    data = np.random.default_rng(1).normal(size=(3, settling + 5))

    first = running.push(chunk(data))
    second = chunk(data, start=data.shape[1])
    passed_on = running.push(second)

    assert settling == 21  # the poles' real part is -100 Hz * 2 pi / sqrt(2): 444 per s, ln(100) / 444 s
    np.testing.assert_array_equal(first.valid, np.arange(settling + 5) >= settling * np.ones((3, 1)))
    assert passed_on.valid is second.valid


@pytest.mark.parametrize("path", PATHS)
def test_a_segmented_stream_has_no_settling(path):
    spec, info = cascade(3), stream(2, segmented=True)
    first = chunk(np.ones((2, 4)))

    out = start_on(path, spec, info).push(first)

    assert out.valid.all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("length", "restarts"), [(HOLD_SAMPLES, False), (HOLD_SAMPLES + 1, True)])
def test_a_channel_starts_afresh_only_after_more_than_the_hold(path, length, restarts):
    spec, info = cascade(4), stream(9)
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=(9, 600)), rng.normal(size=(9, 600))
    lost = np.full((9, length), np.nan)
    data = np.hstack([before, lost, after])

    out, flags = run(spec, info, data, np.ones(data.shape, dtype=bool), (700, 610), path)

    afresh, settled = run(spec, info, after, np.ones(after.shape, dtype=bool), (), path)
    seamless, _ = run(spec, info, np.hstack([before, after]), np.ones((9, 1200), dtype=bool), (), path)
    np.testing.assert_array_equal(out[:, 600 + length :], afresh if restarts else seamless[:, 600:])
    np.testing.assert_array_equal(out[:, 600 : 600 + length], np.repeat(out[:, 599:600], length, axis=1))
    assert not flags[:, 600 : 600 + length].any()
    np.testing.assert_array_equal(flags[:, 600 + length :], settled if restarts else True)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("harm", [np.nan, np.inf, -np.inf, 1e300])
def test_a_bad_sample_harms_its_own_channel_for_its_own_duration(path, harm):
    spec, info = cascade(8), stream(16)
    data = np.random.default_rng(3).normal(size=(16, 1000))
    sound = np.ones(data.shape, dtype=bool)
    hurt = data.copy()
    hurt[5, 700] = harm

    clean, _ = run(spec, info, data, sound, range(0, 1000, 100), path)
    out, flags = run(spec, info, hurt, sound, range(0, 1000, 100), path)

    others = np.arange(16) != 5
    np.testing.assert_array_equal(out[others], clean[others])
    assert np.isfinite(out).all()
    assert flags[others, 700:].all()
    np.testing.assert_array_equal(np.flatnonzero(~flags[5, 650:]), [50])


@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_sample_passes_on_and_the_input_stays_as_it_was(path):
    spec, info = cascade(2), stream(2)
    data, valid = frozen(np.array([[1.0, np.nan], [2.0, 3.0]]), np.array([[True, True], [False, True]]))
    original = data.copy(), valid.copy()
    triggers, notes = (Trigger(41, "zygomatic"),), (Note(41, 41, "baseline"),)

    out = start_on(path, spec, info).push(Chunk(data, valid, 40, triggers, notes))

    assert (out.start, out.triggers, out.notes) == (40, triggers, notes)
    assert out.data.base is not data
    assert (out.data.dtype, out.valid.dtype, out.valid.shape) == (np.float64, np.bool_, (2, 2))
    np.testing.assert_array_equal(data, original[0])
    np.testing.assert_array_equal(valid, original[1])


@pytest.mark.parametrize("path", PATHS)
def test_empty_chunks_change_nothing_and_pass_their_flags_on(path):
    running = start_on(path, cascade(3), stream(3))
    empty = chunk(np.empty((3, 0)), start=0)

    before = running.push(empty)
    first = running.push(chunk(np.ones((3, 5))))
    between = running.push(chunk(np.empty((3, 0)), start=5))

    assert before.data.shape == between.data.shape == (3, 0)
    assert before.valid is empty.valid
    np.testing.assert_array_equal(
        first.data, start_on(path, cascade(3), stream(3)).push(chunk(np.ones((3, 5)))).data
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_chunk_cut_from_a_longer_one_needs_no_copy(path):
    whole = chunk(np.random.default_rng(4).normal(size=(5, 300)))
    spec, info = cascade(3), stream(5)
    running = start_on(path, spec, info)

    parts = [running.push(whole.cut(a, b)) for a, b in ((0, 33), (33, 190), (190, 300))]

    np.testing.assert_array_equal(
        np.hstack([p.data for p in parts]), start_on(path, spec, info).push(whole).data
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_long_chunk_gives_the_bits_of_short_ones(path):
    spec, info = cascade(8), stream(17)
    data = np.random.default_rng(9).normal(size=(17, 3000))
    sound = np.ones(data.shape, dtype=bool)

    whole, _ = run(spec, info, data, sound, (), path)
    cut, _ = run(spec, info, data, sound, range(0, 3000, 250), path)

    assert data.size > 2 * 20_000  # the compiled paths let other threads run from here on
    np.testing.assert_array_equal(whole, cut)


@pytest.mark.parametrize("path", PATHS)
def test_two_starts_share_nothing(path):
    spec, info = cascade(3), stream(2)
    one = start_on(path, spec, info)
    signal_in = chunk(np.random.default_rng(5).normal(size=(2, 50)))
    one.push(signal_in)

    again = start_on(path, spec, info).push(signal_in)

    np.testing.assert_array_equal(again.data, start_on(path, spec, info).push(signal_in).data)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("data", "valid", "message"),
    [
        (np.ones((2, 4)), np.ones((2, 4), bool), r"expected data of shape \(3, n_samples\), got \(2, 4\)"),
        (np.ones(3), np.ones(3, bool), r"expected data of shape \(3, n_samples\), got \(3,\)"),
        (np.ones((3, 4)), np.ones((3, 5), bool), r"expected valid of shape \(3, 4\), got \(3, 5\)"),
        (np.ones((3, 4), np.float32), np.ones((3, 4), bool), "expected data of float64, got "),
        (np.ones((3, 4), ">f8"), np.ones((3, 4), bool), "expected data of float64, got "),
        (np.ones((3, 4)), np.ones((3, 4)), "expected valid of bool, got "),
        ([1.0, 2.0, 3.0], np.ones((3, 1), bool), "expected data of float64, got no array"),
        (np.ones((4, 3)).T, np.ones((3, 4), bool), "expected data whose samples lie side by side"),
        (np.ones((3, 4)), np.ones((4, 3), bool).T, "expected valid whose samples lie side by side"),
    ],
)
def test_arrays_that_are_not_the_streams_are_refused_and_the_state_survives(path, data, valid, message):
    spec, info = cascade(4), stream(3)
    running, unharmed = start_on(path, spec, info), start_on(path, spec, info)
    part = chunk(np.random.default_rng(6).normal(size=(3, 40)))
    running.push(part)
    unharmed.push(part)

    with pytest.raises(SignalError, match=f"^{message}.*, at sample 40$"):
        running.push(Chunk(data, valid, 40))

    np.testing.assert_array_equal(running.push(part).data, unharmed.push(part).data)


@pytest.mark.skipif(len(paths()) == 1, reason="no compiled kernel here")
def test_the_compiled_cascade_refuses_what_is_no_chunk_and_sizes_that_do_not_fit():
    one_section, its_zi = np.array([[1.0, 0, 0, 1, 0, 0]]).tobytes(), np.zeros(2).tobytes()
    settings = (2, 20, 0, LARGEST, "c")

    with pytest.raises(TypeError, match=r"^expected a Chunk, got <class 'numpy.ndarray'>$"):
        kernels.Cascade(one_section, its_zi, *settings).push(np.ones((2, 3)))
    for arguments in [
        (b"", b"", *settings),
        (one_section, its_zi[:-1], *settings),
        (one_section, its_zi * 2, *settings),
        (one_section, its_zi, -1, *settings[1:]),
        (one_section, its_zi, 2, -1, *settings[2:]),
        (one_section, its_zi, *settings[:-1], "abacus"),
    ]:
        with pytest.raises(ValueError, match=r"sizes of a cascade do not fit together|no path 'abacus' here"):
            kernels.Cascade(*arguments)
    with pytest.raises(TypeError, match="takes no keywords"):
        kernels.Cascade(one_section, its_zi, *settings, path="c")


def test_fused_filters_give_the_stages_output_once_both_have_settled():
    info = stream(4, fs=20_000.0)
    filters = [Bandpass(30.0, 3000.0, 4), Notch(60.0, 2.0), Notch(180.0, 2.0)]
    offset, n = 0.3, 60_000
    data = chunk(np.random.default_rng(8).normal(offset, 1e-4, (4, n)))

    fused = fuse(filters, info)
    together = fused.start(info).push(data)
    apart = data
    for part in filters:
        apart = part.start(info).push(apart)

    both = together.valid & apart.valid
    assert fused.settling == Sos(filters[1].sections(info)).settling == 14_659  # ln(100) / (pi * 2 Hz) * fs
    assert both.sum() == apart.valid.sum() < together.valid.sum() == 4 * (n - fused.settling)
    assert np.abs(together.data - apart.data)[both].max() < 0.01 * 1e-4


def test_on_a_segmented_stream_fused_filters_give_the_stages_output_from_the_first_sample():
    info = stream(4, segmented=True, fs=20_000.0)
    filters = [Bandpass(30.0, 3000.0, 4), Notch(60.0, 2.0), Notch(180.0, 2.0)]
    data = chunk(np.random.default_rng(8).normal(0.3, 1e-4, (4, 4000)))

    together = fuse(filters, info).start(info).push(data)
    apart = data
    for part in filters:
        apart = part.start(info).push(apart)

    np.testing.assert_allclose(together.data, apart.data, rtol=0, atol=1e-12 * 0.3)


def test_filters_of_different_holds_are_not_fused():
    with pytest.raises(ValueError, match=r"need filters of one hold, got \[0.01, 0.02\] s"):
        fuse([Highpass(10.0), Highpass(10.0, hold=0.02)], stream(1))


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        ((), "need one or more sections of six coefficients, got ()"),
        (((1.0, 0.0, 0.0),), "need one or more sections of six coefficients"),
        (((1.0, 0.0, float("nan"), 1.0, 0.0, 0.0),), "need finite coefficients"),
        (((1.0, 0.0, 0.0, 2.0, 0.0, 0.0),), "need a0 = 1, got a0=2"),
        (((1.0, 0.0, 0.0, 1.0, -1.0, 0.0),), "need a stable section, got a1=-1, a2=0"),
        (((1.0, 0.0, 0.0, 1.0, 0.0, 1.0),), "need a stable section, got a1=0, a2=1"),
    ],
)
def test_a_cascade_that_cannot_be_right_is_refused(coefficients, message):
    with pytest.raises(ValueError, match=message.replace("()", r"\(\)")):
        Sos(coefficients)


def test_a_cascade_without_poles_settles_at_once():
    assert Sos(((0.5, 0.5, 0.0, 1.0, 0.0, 0.0),)).settling == 0


def test_a_cascade_passes_its_sections_and_stream_on():
    spec, info = cascade(2), stream(1)

    assert spec.sections(info) == spec.coefficients
    assert spec.output(info) is info
    assert spec.hold == HOLD == 0.01


def test_the_kernel_in_use_is_named(monkeypatch):
    monkeypatch.delenv("IONM_KERNEL", raising=False)
    assert kernel() == (paths()[0] if len(paths()) > 1 else "scipy (no compiled kernel)")

    monkeypatch.setattr("ionm.compiled.kernels", None)
    assert paths() == ("scipy",)
    assert kernel() == "scipy (no compiled kernel)"
    assert cascade(2).start(stream(1)).push(chunk(np.ones((1, 3)))).n_samples == 3


def test_the_environment_forces_a_path_or_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("IONM_KERNEL", "scipy")
    assert kernel().startswith("scipy")

    monkeypatch.setenv("IONM_KERNEL", "abacus")
    with pytest.raises(SetupError, match=r"^kernel 'abacus' is not available here, choose among: .*scipy$"):
        cascade(1).start(stream(1))


def test_importing_the_filters_loads_no_scipy():
    modules = "ionm.filters.sos, ionm.filters.bandpass, ionm.filters.notch"
    code = f"import sys, {modules}; assert 'scipy' not in sys.modules"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
