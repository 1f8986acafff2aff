"""The compiled forms give the bits of their Python twins, and refuse what would lead them out of an array."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ionm.compiled import fastest, kernels
from ionm.detectors.background import Background
from ionm.detectors.lsr import RunningLsr
from ionm.detectors.swing import Geometry, Reading, Swings
from ionm.detectors.tail import orthonormal, tails
from ionm.detectors.waveform import LANES, Course, extent, whole
from ionm.events import Sweep
from ionm.protocol import load
from ionm.quality import NullTail
from ionm.stream import Trigger
from ionm.sweeps import Layout

compiled_only = pytest.mark.skipif(kernels is None, reason="no compiled kernel here")

# V; zeros of both signs, the smallest numbers there are, and as much as the filters let through
SPECIAL = st.sampled_from(
    [0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e-160, 1e-12, 1e-5, -1e-5, 1.0, 1e100, -1e100]
)
SAMPLES = st.one_of(SPECIAL, st.floats(-1e-3, 1e-3))


def bits(value):
    """Everything in a result, floats by their bits."""
    if isinstance(value, tuple | list):
        return [bits(part) for part in value]
    return value.hex() if isinstance(value, float) else value


@st.composite
def traces(draw, n_rows, n):
    """Rows of a sweep: noise, a walk, a constant, silence, or special values anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = []
    for _ in range(n_rows):
        kind = draw(st.sampled_from(["noise", "walk", "constant", "special"]))
        if kind == "constant":
            rows.append(np.full(n, draw(SAMPLES)))
        elif kind == "special":
            rows.append(draw(arrays(np.float64, n, elements=SPECIAL, fill=SPECIAL)))
        else:
            noise = draw(st.sampled_from([1e-300, 1e-6, 1e90])) * rng.normal(size=n)
            rows.append(np.cumsum(noise) if kind == "walk" else noise)
    return np.array(rows)


@st.composite
def readings(draw):
    """A geometry, a sweep for it, its background and its M-control."""
    size, n_bins = draw(st.integers(1, 20)), draw(st.integers(4, 60))
    offset, half = draw(st.integers(0, 30)), draw(st.integers(1, 4))
    n_rows = draw(st.integers(1, 4))
    fit_first = draw(st.integers(0, n_bins - 3))
    fit = slice(fit_first, draw(st.integers(fit_first + 2, n_bins - 1)))
    window_first = draw(st.integers(1, n_bins - 1))
    window = slice(window_first, draw(st.integers(window_first + 1, n_bins)))
    times = (np.arange(n_bins) - draw(st.integers(0, n_bins))) * 0.25e-3
    times -= times[fit.start] if times[fit.start] < 0 else 0.0  # a tail is fitted after the stimulus
    raw = tails(times, draw(st.sampled_from([(), (1e-3,), (1e-3, 4e-3)])), 0.0, None)
    everywhere = np.ascontiguousarray(orthonormal(raw, fit) @ raw)
    judged = tuple(draw(st.lists(st.integers(0, n_rows - 1), max_size=3)))
    least = draw(st.sampled_from([0.0, 1e-9, 1e-6]))
    on_fit = np.ascontiguousarray(everywhere[:, fit])
    g = Geometry(judged, size, offset, n_bins, half, window, fit, on_fit, everywhere, least)
    first, width = draw(st.integers(0, n_bins - 1)), draw(st.integers(1, n_bins))
    background = (first, width, draw(st.integers(0, (n_bins - first) // width)))
    reference = draw(st.none() | st.integers(0, n_rows - 1))
    return g, draw(traces(n_rows, offset + n_bins * size + draw(st.integers(0, 5)))), background, reference


@compiled_only
@settings(max_examples=400)
@given(readings())
def test_a_sweep_is_read_to_the_same_bits(case):
    geometry, data, background, reference = case

    found = kernels.Swings(geometry).read(data, background, reference)

    assert bits(found) == bits(Swings(geometry).read(data, background, reference))
    assert all(type(reading) is Reading for reading in found)


@compiled_only
@given(readings(), st.data())
def test_a_copy_of_the_m_control_is_taken_away_to_the_same_bits(case, draw):
    geometry, data, background, _ = case
    share = draw.draw(st.floats(-0.6, 0.6))
    m = np.random.default_rng(draw.draw(st.integers(0, 99))).normal(size=data.shape[1])
    data = np.vstack([share * m, m])
    geometry = geometry._replace(rows=(0,))

    found = kernels.Swings(geometry).read(data, background, 1)

    assert bits(found) == bits(Swings(geometry).read(data, background, 1))


@st.composite
def courses(draw):
    n, first = draw(st.integers(1, 80)), draw(st.integers(0, 20))
    n_rows, n_decays = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    decays = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n_decays, n))
    lead = draw(st.integers(0, n - 1))
    stop = draw(st.integers(lead + 1, n))
    course = (slice(first, first + n), lead, stop, draw(st.integers(0, 30)), decays)
    share = st.floats(-0.5, 0.5)
    copy = draw(st.none() | st.tuples(st.integers(0, n_rows - 1), share, SAMPLES))
    weights = tuple(draw(SAMPLES) for _ in range(n_decays))
    noise = draw(st.sampled_from([0.0, 1e-160, 1e-6, 1e-5, 0.5, 1e100]))
    data = draw(traces(n_rows, first + n + draw(st.integers(0, 3))))
    return course, (data, draw(st.integers(0, n_rows - 1)), draw(SAMPLES), copy, weights, noise)


@compiled_only
@settings(max_examples=400)
@given(courses())
def test_a_response_has_its_shape_to_the_same_bits(case):
    course, arguments = case

    assert bits(kernels.Course(*course).shape(*arguments)) == bits(Course(*course).shape(*arguments))


@compiled_only
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_response_in_noise_has_its_onset_to_the_same_bits(noise, sign):
    rng, t = np.random.default_rng(5), np.arange(360)
    for _ in range(100):
        begin, duration = rng.integers(60, 200), rng.integers(20, 120)
        u = (t - begin) / duration
        response = sign * np.where((u >= 0) & (u < 1), np.sin(2 * np.pi * u), 0.0)
        course = (slice(0, 360), int(rng.integers(60)), int(rng.integers(240, 361)), 20, np.zeros((0, 360)))
        arguments = (np.array([response + noise * rng.normal(size=360)]), 0, 0.0, None, (), noise)

        found = kernels.Course(*course).shape(*arguments)

        assert bits(found) == bits(Course(*course).shape(*arguments))


@compiled_only
@given(st.data())
def test_extents_and_validity_are_found_to_the_same_bits(draw):
    n_rows, n = draw.draw(st.integers(1, 3)), draw.draw(st.integers(1, 10 * LANES))
    data, row = draw.draw(traces(n_rows, n)), draw.draw(st.integers(0, n_rows - 1))
    first = draw.draw(st.integers(0, n - 1))
    columns, length = slice(first, draw.draw(st.integers(first + 1, n))), draw.draw(st.integers(1, n))
    valid = draw.draw(arrays(np.bool_, (n_rows, n), elements=st.booleans(), fill=st.just(value=True)))
    rows = tuple(draw.draw(st.lists(st.integers(0, n_rows - 1), max_size=3)))

    assert bits(kernels.extent(data, row, columns, length)) == bits(extent(data, row, columns, length))
    assert kernels.whole(valid, rows, columns) is whole(valid, rows, columns)


STATISTICS = st.floats(1e-9, 1e9)


@compiled_only
@given(st.integers(1, 40), st.lists(st.lists(STATISTICS, max_size=30)), STATISTICS)
def test_the_tail_of_chance_is_learnt_to_the_same_bits(capacity, batches, value):
    fast, twin = kernels.NullTail(capacity), NullTail(capacity)
    for batch in batches:
        fast.extend(batch)
        twin.extend(batch)

        assert len(fast) == len(twin)
        for x in (0.0, value, *batch):
            assert bits(fast.p_value(x)) == bits(twin.p_value(x))
        assert bits(fast.median()) == bits(twin.median())
        assert bits(fast.threshold(0.01)) == bits(twin.threshold(0.01))


def reading(*stretches):
    """A reading with a background of (prominence, energy, range)."""
    prominences, energies, ranges = zip(*stretches, strict=True) if stretches else ((), (), ())
    return Reading(0.0, None, (), 0.0, tuple(prominences), tuple(energies), tuple(ranges), b"")


SIZES = st.one_of(st.just(0.0), st.floats(1e-20, 1e-3), st.floats(1e-6, 1e3))


@compiled_only
@given(st.lists(st.lists(st.tuples(SIZES, SIZES, SIZES), max_size=6), max_size=40), SIZES)
def test_a_background_is_followed_to_the_same_bits(sweeps, size):
    fast, twin = kernels.Background(), Background()
    for sweep in sweeps:
        read = reading(*sweep)

        assert bits(fast.noise(read)) == bits(twin.noise(read))
        assert bits(fast.chance(size, 1.5)) == bits(twin.chance(size, 1.5))
        assert bits(fast.threshold(0.01, 1.5)) == bits(twin.threshold(0.01, 1.5))
        assert bits(fast.amplitude(size)) == bits(twin.amplitude(size))


@compiled_only
def test_a_whole_case_is_measured_alike_on_both_paths(monkeypatch):
    modality, fs, zero, length = load("mvd-hfs").modality(), 20_000.0, 2000, 3000
    layout, control = Layout((0, 1), 2, zero, length, fs, 1e-4), Layout((2,), None, zero, length, fs, 1e-4)
    rng, t = np.random.default_rng(11), (np.arange(length) - zero) / fs
    m = 1e-3 * np.where(abs(t - 4e-3) < 2e-3, np.sin((t - 4e-3) * 1.5e3), 0.0)
    lsr = 1e-4 * np.where(abs(t - 12e-3) < 2e-3, np.cos((t - 12e-3) * 1.5e3), 0.0)
    sweeps = []
    for k in range(60):
        data = 5e-6 * rng.normal(size=(3, length)) + 1e-2
        data[:2] += 0.05 * m + (lsr if k % 3 else 0.0) + 1e-4 * np.exp(-np.maximum(t, 0) / 2e-3) * (t > 0)
        data[2] += m
        valid = np.ones((3, length), dtype=bool)
        if k % 7 == 0:
            valid[k % 3, rng.integers(length) :] = False
        sweeps.append(Sweep(length - 1, Trigger(zero, "zygomatic"), data, valid, zero))

    def measured():
        test, m_wave = modality.response.start(layout), modality.m_wave.start(control)
        reasons = [None, None, "cautery"]
        return [(test.push(s, [None, reasons[k % 3]]), m_wave.push(s, None)) for k, s in enumerate(sweeps)]

    monkeypatch.delenv("IONM_KERNEL", raising=False)
    fast = measured()
    monkeypatch.setenv("IONM_KERNEL", "scipy")

    assert measured() == fast
    assert {m.present for rows, _ in fast for m in rows} == {True, False, None}
    assert any(m.present for _, m in fast)


def test_the_scipy_path_takes_no_compiled_form(monkeypatch):
    monkeypatch.setenv("IONM_KERNEL", "scipy")

    assert fastest(Swings) is Swings
    assert fastest(whole) is whole
    running = load("mvd-hfs").modality().response.start(Layout((0,), None, 2000, 3000, 20_000.0, 0.0))
    assert isinstance(running, RunningLsr)
    assert isinstance(running._swings, Swings)


def test_without_a_compiler_the_python_forms_do_the_work(monkeypatch):
    monkeypatch.setattr("ionm.compiled.kernels", None)

    assert fastest(NullTail) is NullTail


GEOMETRY = Geometry((0,), 2, 0, 10, 1, slice(5, 9), slice(2, 4), np.ones((1, 2)), np.ones((1, 10)), 0.0)


@compiled_only
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bin": 0}, ValueError, "sizes of a geometry do not fit together"),
        ({"n_bins": 2**60}, ValueError, "sizes of a geometry do not fit together"),
        ({"window": slice(0, 3)}, ValueError, "need a bin before the window"),
        ({"window": slice(5, 11)}, IndexError, r"columns slice\(5, 11, None\) of 10"),
        ({"fit": slice(4, 4)}, IndexError, r"columns slice\(4, 4, None\) of 10"),
        ({"fit": None}, TypeError, "need columns as a slice, got None"),
        ({"rows": (-1,)}, IndexError, "row -1"),
        ({"basis": np.ones((3, 2))}, ValueError, "need as many decays on all bins as on the fit, at most 2"),
        ({"decays": np.ones((1, 9))}, ValueError, r"need decays of float64, shape \(n_decays, 10\)"),
        ({"basis": np.ones((1, 2), dtype=np.float32)}, ValueError, "need decays of float64"),
    ],
)
def test_a_geometry_that_leads_out_of_a_sweep_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        kernels.Swings(GEOMETRY._replace(**changes))


@compiled_only
@pytest.mark.parametrize(
    ("data", "background", "reference", "error", "message"),
    [
        (np.ones((1, 19)), (0, 1, 0), None, ValueError, "the sweep does not fit the geometry"),
        (np.ones((1, 20)), (0, 4, 3), None, ValueError, "the sweep does not fit the geometry"),
        (np.ones((1, 20)), (0, 0, 0), None, ValueError, "the sweep does not fit the geometry"),
        (np.ones((1, 20)), (0, 1, 0), 1, IndexError, "row 1 of a sweep of 1 rows"),
        (np.ones((0, 20)), (0, 1, 0), None, IndexError, "row 0 of a sweep of 0 rows"),
        (np.ones((1, 40))[:, ::2], (0, 1, 0), None, ValueError, "whose samples lie side by side"),
        (np.ones((1, 20), dtype=np.float32), (0, 1, 0), None, ValueError, "rows of type 'd'"),
    ],
)
def test_a_sweep_that_does_not_fit_is_refused(data, background, reference, error, message):
    with pytest.raises(error, match=message):
        kernels.Swings(GEOMETRY).read(data, background, reference)


@compiled_only
def test_what_is_no_stretch_of_a_sweep_is_refused():
    data, valid, part = np.ones((1, 20)), np.ones((1, 20), dtype=bool), slice(0, 10)
    course = kernels.Course(part, 0, 10, 3, np.ones((1, 10)))

    with pytest.raises(IndexError, match=r"columns slice\(0, 21, None\) of 20"):
        kernels.extent(data, 0, slice(0, 21), 1)
    with pytest.raises(ValueError, match=r"rows of type '\?'"):
        kernels.whole(data, (0,), part)
    with pytest.raises(TypeError, match="need rows as a tuple, got 0"):
        kernels.whole(valid, 0, part)
    with pytest.raises(
        ValueError, match="need 0 <= lead < stop <= 10 and rest >= 0, got lead=10, stop=10, rest=3"
    ):
        kernels.Course(part, 10, 10, 3, np.ones((1, 10)))
    with pytest.raises(ValueError, match="need 10 columns and a tuple of 1 weights"):
        course.shape(data, 0, 0.0, None, (), 1.0)
    with pytest.raises(ValueError, match=r"need a copy as \(row, share, level\)"):
        course.shape(data, 0, 0.0, (1, 0.5, 0.0), (0.0,), 1.0)
    with pytest.raises(TypeError, match="shape takes 6 arguments, got 1"):
        course.shape(data)
    with pytest.raises(ValueError, match="need a capacity of at least 1, got 0"):
        kernels.NullTail(0)
    with pytest.raises(ValueError, match="need a statistic above zero"):
        kernels.NullTail().extend([math.nan])
    with pytest.raises(ValueError, match="need as many swings and ranges as energies"):
        kernels.Background().noise(reading((1.0, 1.0, 1.0))._replace(ranges=()))
    for make in (kernels.Swings, kernels.Course, kernels.Background):
        with pytest.raises(TypeError, match="takes no keywords"):
            make(size=1)
