"""The mask of the stimulus artefact: where it lies, what it holds, at any cutting of the stream."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.errors import SetupError
from ionm.filters.blanking import Blanking, LookAhead, Mask, interpolate
from ionm.stream import Channel, Chunk, StreamInfo, Trigger

FS = 10_000.0
INFO = StreamInfo(FS, (Channel("OrbOculi"), Channel("Mentalis"), Channel("OrbOris")))
MASKS = (
    Mask("*", 2.5e-3),
    Mask("click", 0.0),
    Mask("zygomatic", 2.5e-3),
    Mask("zygomatic", 1e-3, ("OrbOculi",)),
    Mask("mandibular", 1e-3, ("Mentalis",)),
)
LENGTHS = {  # samples per channel, by hand
    "zygomatic": (10, 25, 25),
    "mandibular": (0, 10, 0),
    "click": (0, 0, 0),
    "tes": (25, 25, 25),
}


def ramp(n, start=0, triggers=()):
    data = np.arange(3 * n, dtype=np.float64).reshape(3, n) + 1
    return Chunk(data, np.ones(data.shape, dtype=bool), start, tuple(triggers))


def split(whole, borders):
    edges = [0, *sorted(borders), whole.n_samples]
    return [whole.cut(whole.start + a, whole.start + b) for a, b in pairwise(edges)]


def mask(chunks, spec, info=INFO):
    """The whole masked stream, through the look-ahead that the path uses."""
    look = LookAhead(int(np.ceil(spec.before * info.fs)))
    running = spec.start(info)
    parts = [running.push(*look.push(part)) for part in chunks]
    if look.holds:
        parts.append(running.push(look.flush()))
    assert [p.start for p in parts[1:]] == [p.stop for p in parts[:-1]]
    data = np.concatenate([p.data for p in parts], axis=1)
    valid = np.concatenate([p.valid for p in parts], axis=1)
    marks = [t for p in parts for t in p.triggers]
    return data, valid, marks


def expected(whole, before):
    """The same, sample by sample: the newest unmasked sample is held, 0 before there is any."""
    data, valid = whole.data.copy(), whole.valid.copy()
    for row in range(data.shape[0]):
        masked = np.zeros(whole.n_samples, dtype=bool)
        for trigger in whole.triggers:
            length = LENGTHS[trigger.site][row]
            if length:
                at = trigger.sample - whole.start
                masked[max(0, at - before) : at + length] = True
        last = 0.0
        for k in range(whole.n_samples):
            if masked[k]:
                data[row, k], valid[row, k] = last, False
            else:
                last = data[row, k]
    return data, valid


@pytest.mark.parametrize("start", [0, 123_456])
@pytest.mark.parametrize("before", [0, 1, 3])
@settings(max_examples=80)
@given(data=st.data())
def test_any_cutting_masks_the_same_samples(start, before, data):
    n = 300
    places = data.draw(st.lists(st.integers(0, n - 1), max_size=8))
    triggers = [Trigger(start + at, data.draw(st.sampled_from(sorted(LENGTHS)))) for at in sorted(places)]
    whole = ramp(n, start, triggers)
    for first in data.draw(st.lists(st.integers(0, n - 1), max_size=3)):
        whole.data[1, first : first + 5] = np.nan
    valid = np.isfinite(whole.data)
    whole = Chunk(whole.data, valid, start, whole.triggers)
    near = [at + d for at in places for d in (-3, -1, 0, 1, 10, 25) if 0 <= at + d <= n]
    borders = data.draw(st.lists(st.integers(0, n) | st.sampled_from(near or [0]), max_size=30))

    got, flags, marks = mask(split(whole, borders), Blanking(MASKS, before / FS))

    held, good = expected(whole, before)
    np.testing.assert_array_equal(got, held)
    np.testing.assert_array_equal(flags, good)
    assert tuple(marks) == whole.triggers


def test_single_samples_are_masked_the_same():
    whole = ramp(200, 0, [Trigger(50, "zygomatic"), Trigger(60, "tes"), Trigger(150, "mandibular")])

    got, flags, _ = mask(split(whole, range(200)), Blanking(MASKS, 3e-4))

    held, good = expected(whole, 3)
    np.testing.assert_array_equal(got, held)
    np.testing.assert_array_equal(flags, good)


def test_a_late_mark_does_not_let_the_artefact_begin_before_its_mask():
    """The artefact begins 0.1 ms (one sample) before its mark."""
    data = np.zeros((3, 100))
    data[:, 49:60] = 5e-3
    whole = Chunk(data, np.ones(data.shape, dtype=bool), 0, (Trigger(50, "tes"),))

    got, _, _ = mask([whole], Blanking(MASKS, 1e-4))

    assert not got.any()


def test_a_chunk_without_a_mask_is_passed_on_as_it_is():
    running = Blanking(MASKS).start(INFO)
    plain = ramp(100, 0, [Trigger(50, "click")])

    assert running.push(ramp(10, 0)).data is not None
    np.testing.assert_array_equal(running.push(plain).data, plain.data)


def test_the_input_is_not_written_to():
    whole = ramp(100, 0, [Trigger(50, "tes")])
    whole.data.setflags(write=False)
    whole.valid.setflags(write=False)

    got, _, _ = mask([whole], Blanking(MASKS, 1e-4))

    assert (got != whole.data).any()


def test_a_fresh_start_remembers_no_mask():
    spec = Blanking(MASKS)
    first = spec.start(INFO)
    first.push(ramp(100, 0, [Trigger(99, "tes")]))

    after = spec.start(INFO).push(ramp(50, 100))

    assert after.valid.all()
    assert not first.push(ramp(50, 100)).valid[:, :24].any()


def test_a_nan_before_the_mask_is_held_and_stays_invalid():
    data = np.ones((3, 60))
    data[0, 29] = np.nan
    whole = Chunk(data, np.isfinite(data), 0, (Trigger(30, "tes"),))

    got, flags, _ = mask([whole], Blanking(MASKS))

    assert not flags[:, 30:55].any()
    assert flags[:, 55:].all()
    assert np.isnan(got[0, 30:55]).all()
    assert not np.isnan(got[1:]).any()


def test_the_lengths_follow_the_sites_own_masks():
    spec = Blanking(MASKS)

    for site, lengths in LENGTHS.items():
        assert spec.lengths(site, INFO) == list(lengths)


def test_blanking_changes_neither_stream_nor_delay():
    spec = Blanking(MASKS)

    assert spec.output(INFO) is INFO
    assert spec.delay(INFO, 100.0) == 0.0


def test_a_mask_names_the_channel_that_the_stream_lacks():
    with pytest.raises(
        SetupError, match="mask of site 'buccal' names channel 'Nasalis'; the stream has OrbOculi"
    ):
        Blanking((Mask("buccal", 1e-3, ("Nasalis",)),)).start(INFO)


@pytest.mark.parametrize("until", [-1e-3, 0.2, float("nan"), float("inf")])
def test_a_mask_of_no_sensible_length_is_refused(until):
    with pytest.raises(ValueError, match=r"need 0 <= until <= 0\.1 s"):
        Mask("tes", until)


@pytest.mark.parametrize("before", [-1e-3, 0.02, float("nan")])
def test_a_mask_that_begins_much_too_early_is_refused(before):
    with pytest.raises(ValueError, match=r"need 0 <= before <= 0\.01 s"):
        Blanking(MASKS, before)


def test_two_masks_for_the_same_site_and_channel_are_refused():
    with pytest.raises(ValueError, match="two masks for site 'tes' and channel 'Mentalis'"):
        Blanking((Mask("tes", 1e-3, ("Mentalis",)), Mask("tes", 2e-3, ("OrbOris", "Mentalis"))))


def test_a_look_ahead_that_holds_nothing_has_nothing_to_give():
    with pytest.raises(ValueError, match="nothing is held back"):
        LookAhead(3).flush()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), max_size=20), st.integers(0, 6))
def test_a_look_ahead_loses_and_doubles_nothing(borders, n):
    whole = ramp(40, 7, [Trigger(7 + at, "tes") for at in range(0, 40, 3)])
    look = LookAhead(n)

    parts = []
    for part in split(whole, borders):
        released, ahead = look.push(part)
        assert all(released.stop <= sample < released.stop + n for sample, _ in ahead)
        parts.append(released)
    if look.holds:
        parts.append(look.flush())

    np.testing.assert_array_equal(np.concatenate([p.data for p in parts], axis=1), whole.data)
    assert [t for p in parts for t in p.triggers] == list(whole.triggers)


def test_cut_sweeps_are_interpolated_across_the_mask():
    data = np.array([[0.0, 1.0, 9.0, 9.0, 9.0, 5.0, 6.0], [9.0, 9.0, 2.0, 3.0, 4.0, 9.0, 9.0], [1.0] * 7])
    masked = np.array([[0, 0, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 1, 1], [1] * 7], dtype=bool)
    before = data.copy()

    got = interpolate(data, masked)

    np.testing.assert_array_equal(got, [[0, 1, 2, 3, 4, 5, 6], [2, 2, 2, 3, 4, 4, 4], [1] * 7])
    np.testing.assert_array_equal(data, before)
