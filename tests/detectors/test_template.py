"""The patient's template: learnt from sweeps made by hand, searched for, compiled and not."""

import math

import numpy as np
import pytest
from detectors.traces_by_hand import BIN, GRID, SIGMA, response, traces
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.compiled import kernels
from ionm.detectors.learning import eliminate, learn
from ionm.detectors.template import FARTHEST, Matcher, parabola


def matcher(template, form=Matcher):
    return form(template.whitener, template.nuisance, template.shapes, template.costs, GRID.reach.start, 16)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_the_template_is_the_response(rng):
    template = learn(traces(rng, [300e-6] * 20))

    wanted = 300e-6 * response()[GRID.reach]
    assert np.abs(template.response - wanted).max() < 0.03 * 300e-6
    assert template.scale == pytest.approx(1.0, abs=0.03)
    assert all(template.hits)


def test_a_template_of_faint_responses_states_how_small_they_look():
    """Noise in a template makes every response look smaller than it: the scale takes that back."""
    gains = []
    for seed in range(12):
        template = learn(traces(np.random.default_rng(seed), [60e-6] * 20))
        fresh = traces(np.random.default_rng(100 + seed), [60e-6] * 40)
        read = matcher(template)
        middle = len(template.lags) // 2
        values = [read.read(t.values, t.background, 0.0).values[middle] for t in fresh]
        gains.append(np.mean(values) / (template.sizes[middle] * template.scale))

    assert np.mean(gains) == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("delay", [-0.6e-3, 0.0, 0.4e-3])
def test_a_response_that_moved_is_found_where_it_is(rng, delay):
    template = learn(traces(rng, [200e-6] * 20))
    (late,) = traces(rng, [200e-6], delays=[delay])

    found = matcher(template).read(late.values, late.background, 0.0)

    assert (template.lags[0] + parabola(found.values, found.best)[0]) * BIN == pytest.approx(
        delay, abs=0.05e-3
    )


def test_jitter_at_the_baseline_does_not_smear_the_template(rng):
    delays = rng.uniform(-0.4e-3, 0.4e-3, 20)
    template = learn(traces(rng, [300e-6] * 20, delays=delays))

    assert np.ptp(template.response) == pytest.approx(300e-6, rel=0.05)
    shifts = np.array(template.shifts) * BIN
    assert np.std(shifts - shifts.mean() - (delays - delays.mean())) < 0.05e-3


def test_sweeps_that_miss_are_left_out(rng):
    sizes = [250e-6, 0.0] * 10
    template = learn(traces(rng, sizes))

    assert template.hits == tuple(size > 0 for size in sizes)
    assert np.ptp(template.response) == pytest.approx(250e-6, rel=0.06)


def test_tails_and_offsets_are_no_part_of_a_match(rng):
    template = learn(traces(rng, [200e-6] * 20))
    read = matcher(template)
    (plain,) = traces(np.random.default_rng(9), [0.0])
    after = np.maximum(GRID.times, 0.0)
    tail = (
        np.where(GRID.times > 0, 1e-3 * np.exp(-after / 3e-3) - 0.2e-3 * np.exp(-after / 0.7e-3), 0) + 50e-6
    )
    spoilt = (np.frombuffer(plain.values) + tail).tobytes()

    clean = read.read(plain.values, plain.background, SIGMA**2)
    dirty = read.read(spoilt, plain.background, SIGMA**2)

    assert dirty.values == pytest.approx(clean.values, abs=0.05 * SIGMA)


def test_matches_of_noise_are_alike_in_the_window_and_in_the_background():
    """The null is the patient's own: both have the same distribution, in coloured noise too."""
    colour = np.exp(-np.arange(30) / 6.0)
    template = learn(traces(np.random.default_rng(1), [100e-6] * 20, colour=colour))
    read = matcher(template)
    found = [
        read.read(t.values, t.background, 0.0)
        for t in traces(np.random.default_rng(2), [0.0] * 600, colour=colour)
    ]
    window = np.array([f.statistic for f in found])
    nulls = np.concatenate([f.matches for f in found])

    for share in (0.5, 0.9, 0.97):
        beyond = np.mean(window > np.quantile(nulls, share))
        assert beyond == pytest.approx(1 - share, abs=3.5 * math.sqrt(share * (1 - share) / 600))


def test_a_burst_beside_the_template_makes_a_match_less_certain(rng):
    template = learn(traces(rng, [200e-6] * 20))
    read = matcher(template)
    (sweep,) = traces(rng, [60e-6])
    burst = np.frombuffer(sweep.values).copy()
    burst[580:600] += 80e-6 * np.sin(np.arange(20))

    alone = read.read(sweep.values, sweep.background, SIGMA**2)
    beside = read.read(burst.tobytes(), sweep.background, SIGMA**2)

    assert beside.statistic < 0.8 * alone.statistic


def test_a_background_too_short_to_know_gives_no_template(rng):
    short = [t._replace(background=(10, 60)) for t in traces(rng, [200e-6] * 20)]

    assert learn(short) is None


def test_a_flat_channel_gives_no_template():
    (sweep,) = traces(np.random.default_rng(1), [0.0])
    flat = sweep._replace(values=bytes(len(sweep.values)), data=np.zeros_like(sweep.data))

    assert learn([flat] * 20) is None


def test_a_lag_costs_at_most_so_much(rng):
    template = learn(traces(rng, [200e-6] * 20))

    assert template.costs[len(template.lags) // 2] == 0
    assert max(template.costs) <= FARTHEST


@pytest.mark.skipif(kernels is None, reason="no compiled kernel on this machine")
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    size=st.sampled_from([0.0, 1e-6, 1e-4, 1e-2]),
    background=st.sampled_from([(10, 490), (10, 130), (300, 412), (0, 0), (10, 60)]),
    past=st.sampled_from([0.0, 1e-10, 1e-6]),
)
def test_the_compiled_matcher_gives_the_same_bits(seed, size, background, past):
    template = learn(traces(np.random.default_rng(seed % 3), [200e-6] * 20))
    (trace,) = traces(np.random.default_rng(seed), [size])

    python, compiled = (matcher(template, form) for form in (Matcher, kernels.Matcher))

    assert compiled.read(trace.values, background, past) == python.read(trace.values, background, past)


@pytest.mark.skipif(kernels is None, reason="no compiled kernel on this machine")
@pytest.mark.parametrize(
    "broken", [(b"", (0, 10), 0.0), (b"\0" * 80, (0, 10), 0.0), (b"\0" * 6000, (-1, 10), 0.0)]
)
def test_the_compiled_matcher_refuses_what_does_not_fit(rng, broken):
    compiled = matcher(learn(traces(rng, [200e-6] * 20)), kernels.Matcher)

    with pytest.raises((ValueError, TypeError)):
        compiled.read(*broken)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40), columns=st.integers(0, 9), seed=st.integers(0, 2**20))
def test_elimination_solves_and_is_compiled_to_the_same_bits(n, columns, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    matrix, right = root @ root.T + np.eye(n), rng.standard_normal((n, columns))
    work = np.hstack([matrix, right])
    again = work.copy()

    eliminate(work)

    assert matrix @ work[:, n:] == pytest.approx(right, abs=1e-8)
    if kernels is not None:
        kernels.eliminate(again)
        assert np.array_equal(work[:, n:], again[:, n:])


@pytest.mark.parametrize(("at", "height"), [(1.0, 3.0), (1.3, 2.0), (0.6, 5.0)])
def test_the_parabola_finds_the_peak_of_a_parabola(at, height):
    values = [height - 2 * (x - at) ** 2 for x in (0, 1, 2)]

    assert parabola(values, 1) == pytest.approx((at, height))


def test_the_parabola_keeps_to_the_edge_and_to_a_straight_line():
    assert parabola([3.0, 2.0, 1.0], 0) == (0.0, 3.0)
    assert parabola([1.0, 2.0, 3.0], 1) == (1.0, 2.0)
