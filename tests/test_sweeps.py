"""Sweeps are cut to the sample, whole or not, wherever chunks end."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.errors import SetupError
from ionm.stream import Channel, Chunk, StreamInfo, Trigger
from ionm.sweeps import Layout, Sweeps

FS = 20_000.0
INFO = StreamInfo(FS, (Channel("OrbOculi"), Channel("Mentalis"), Channel("OrbOris")))
SPEC = Sweeps(-0.002, 0.005, {"zygomatic": ("Mentalis", "OrbOculi"), "mandibular": ("OrbOris",)})
ZERO, LENGTH = 40, 140
DAY = 24 * 3600 * 20_000


def stream(n, start=0, triggers=()):
    """Every sample tells its channel and its index (exactly: below 2**53)."""
    index = np.arange(start, start + n, dtype=np.float64)
    data = np.stack([index, index + 0.25, index + 0.5])
    valid = np.ones(data.shape, dtype=bool)
    valid[1] = (np.arange(start, start + n) % 7) != 0
    return Chunk(data, valid, start, tuple(triggers))


def cut_sweeps(chunks, spec=SPEC, *, end=True):
    running = spec.start(INFO)
    sweeps = [sweep for part in chunks for sweep in running.push(part)]
    if end:
        sweeps += running.abandon(chunks[-1].stop - 1)
    return sweeps


def split(whole, borders):
    edges = [0, *sorted(borders), whole.n_samples]
    return [whole.cut(whole.start + a, whole.start + b) for a, b in pairwise(edges)]


def bits(sweeps):
    return [(s.sample, s.trigger, s.zero, s.data.tobytes(), s.valid.tobytes(), s.data.shape) for s in sweeps]


def test_a_sweep_holds_exactly_the_samples_around_its_stimulus():
    (sweep,) = cut_sweeps([stream(1000, triggers=[Trigger(500, "zygomatic")])])

    index = np.arange(500 - ZERO, 500 - ZERO + LENGTH)
    np.testing.assert_array_equal(sweep.data, [index + 0.25, index])
    np.testing.assert_array_equal(sweep.valid, [index % 7 != 0, np.ones(LENGTH)])
    assert (sweep.zero, sweep.sample) == (ZERO, 500 + 99)


@pytest.mark.parametrize("start", [0, DAY, 2**45])
@settings(max_examples=60)
@given(data=st.data())
def test_any_cutting_gives_the_same_sweeps(start, data):
    n = 1500
    places = st.lists(st.integers(0, n - 1), min_size=1, max_size=12)
    sites = st.sampled_from(["zygomatic", "mandibular", "click"])
    triggers = [Trigger(start + at, data.draw(sites)) for at in sorted(data.draw(places))]
    whole = stream(n, start, triggers)
    at_marks = [t.sample - start + d for t in triggers for d in (0, 1) if t.sample - start + d <= n]
    borders = data.draw(st.lists(st.integers(0, n) | st.sampled_from(at_marks), max_size=60))

    expected = cut_sweeps([whole])

    assert bits(cut_sweeps(split(whole, borders))) == bits(expected)
    assert [s.trigger for s in expected] == [t for t in triggers if t.site != "click"]
    for sweep in expected:
        index = sweep.trigger.sample - ZERO + np.arange(LENGTH)
        there = (index >= start) & (index < start + n)
        plain = {"zygomatic": [index + 0.25, index], "mandibular": [index + 0.5]}[sweep.trigger.site]
        np.testing.assert_array_equal(sweep.data, np.where(there, plain, 0.0))
        assert not sweep.valid[:, ~there].any()


def test_single_samples_give_the_same_sweeps():
    whole = stream(
        700, DAY, [Trigger(DAY + at, "zygomatic") for at in (0, 39, 40, 41, 300, 301, 599, 600, 601, 699)]
    )

    assert bits(cut_sweeps(split(whole, range(700)))) == bits(cut_sweeps([whole]))


def test_a_sweep_is_known_with_its_last_sample_and_not_before():
    running = SPEC.start(INFO)
    whole = stream(700, triggers=[Trigger(500, "zygomatic")])

    assert running.push(whole.cut(0, 599)) == []
    (sweep,) = running.push(whole.cut(599, 600))
    assert sweep.sample == 599


def test_the_first_stimulus_lacks_what_lies_before_the_stream():
    (sweep,) = cut_sweeps([stream(500, 1000, [Trigger(1010, "mandibular")])])

    assert not sweep.valid[:, : ZERO - 10].any()
    assert sweep.valid[:, ZERO - 10 :].all()
    np.testing.assert_array_equal(sweep.data[0, ZERO - 10 :], np.arange(1000, 1110) + 0.5)


def test_an_abandoned_sweep_keeps_what_came():
    running = SPEC.start(INFO)
    assert running.push(stream(560, triggers=[Trigger(500, "mandibular"), Trigger(550, "mandibular")])) == []

    first, second = running.abandon(700)

    assert (first.sample, second.sample) == (700, 700)
    assert [s.trigger.sample for s in (first, second)] == [500, 550]
    assert first.valid[0].sum() == ZERO + 60
    assert second.valid[0].sum() == ZERO + 10
    assert running.abandon(701) == []


def test_double_stimuli_give_a_sweep_each_in_order():
    triggers = [
        Trigger(500, "zygomatic", {"mA": "1"}),
        Trigger(500, "zygomatic", {"mA": "2"}),
        Trigger(500, "mandibular"),
    ]

    sweeps = cut_sweeps([stream(1000, triggers=triggers)])

    assert [s.trigger for s in sweeps] == triggers


def test_overlapping_stimuli_of_several_sites_do_not_disturb_each_other():
    triggers = [Trigger(400 + 20 * i, ("zygomatic", "mandibular")[i % 2]) for i in range(10)]

    sweeps = cut_sweeps([stream(1000, triggers=triggers)])

    assert [s.trigger for s in sweeps] == triggers
    assert all(
        s.data[0, ZERO] == s.trigger.sample + (0.25 if s.trigger.site == "zygomatic" else 0.5) for s in sweeps
    )


def test_sweeps_own_their_samples():
    running = SPEC.start(INFO)
    (sweep,) = running.push(stream(1000, triggers=[Trigger(500, "zygomatic")]))
    before = sweep.data.copy()

    running.push(stream(100_000, 1000))

    np.testing.assert_array_equal(sweep.data, before)


def test_memory_stays_bounded_over_a_long_stream():
    running = SPEC.start(INFO)
    part, count = stream(400), 0
    for k in range(3000):
        begin = DAY + 400 * k
        part = Chunk(
            part.data, part.valid, begin, (Trigger(begin + 399, "zygomatic"),) if k % 10 == 0 else ()
        )
        count += len(running.push(part))

    assert count == 300
    assert running._data.shape[1] <= 4 * LENGTH + 2 * 400
    assert running._pending == []


def test_one_large_chunk_after_small_ones_is_cut_as_well():
    whole = stream(50_000, triggers=[Trigger(at, "zygomatic") for at in range(100, 49_900, 700)])

    assert bits(cut_sweeps(split(whole, [1, 150, 151]))) == bits(cut_sweeps([whole]))


@pytest.mark.parametrize(("begin", "end"), [(0.001, 0.005), (-0.002, 0.0), (0.0, -0.1), (float("nan"), 1.0)])
def test_a_sweep_must_hold_its_stimulus(begin, end):
    with pytest.raises(ValueError, match="need begin <= 0 < end"):
        Sweeps(begin, end, {})


def test_a_sweep_names_the_channel_that_the_stream_lacks():
    with pytest.raises(
        SetupError, match="sweeps of site 'trunk' need Nasalis; the stream has OrbOculi, Mentalis, OrbOris"
    ):
        Sweeps(-0.1, 0.1, {"trunk": ("Nasalis", "Mentalis")}).start(INFO)


def test_columns_of_a_stretch_are_whole_samples_relative_to_the_stimulus():
    layout = Layout((0,), None, ZERO, LENGTH, FS, 0.0)

    assert layout.columns((0.0, 0.005)) == slice(40, 140)
    assert layout.columns((-0.002, -0.0001)) == slice(0, 38)


@pytest.mark.parametrize("stretch", [(-0.0021, 0.0), (0.0, 0.0051), (0.001, 0.00105), (0.002, 0.001)])
def test_a_stretch_outside_the_sweep_is_refused(stretch):
    layout = Layout((0,), None, ZERO, LENGTH, FS, 0.0)

    with pytest.raises(SetupError, match="a sweep from -2 to 5 ms does not hold the stretch from"):
        layout.columns(stretch)
