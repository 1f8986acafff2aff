"""A session gives the same events, to the last bit, however its stream is cut into chunks."""

import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ionm.compiled import paths
from ionm.errors import SetupError, SignalError
from ionm.events import Gap, Hold, NoteTaken, Response, StateChange
from ionm.filters.montage import Derived, Montage
from ionm.protocol import load
from ionm.session import GRID, Session
from ionm.sinks.jsonl import line
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk

FS = 5000.0
MUSCLES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
RAIL = 5e-3  # V
INFO = StreamInfo(FS, tuple(Channel(name, rails=(-RAIL, RAIL)) for name in MUSCLES))
MVD = load("mvd-hfs").modality()
ROWS = {
    "zygomatic": ("OrbOculi", ("Mentalis", "OrbOris")),
    "mandibular": ("Mentalis", ("OrbOculi", "Frontalis")),
}


def hump(t, begin, duration):
    """One period of a sine that begins at ``begin``, both in s."""
    inside = (t >= begin) & (t < begin + duration)
    return np.where(inside, np.sin(2 * np.pi * (t - begin) / duration), 0.0)


def record(seed, n_samples, triggers, lost_from=np.inf):
    """Background, artefact, M-waves and (before ``lost_from``) lateral spread, shape (4, n_samples)."""
    rng = np.random.default_rng(seed)
    data = rng.normal(0.0, 5e-6, (4, n_samples)) + 1e-3 * rng.normal(size=(4, 1))
    t = np.arange(250) / FS  # 50 ms
    for trigger in triggers:
        control, answering = ROWS.get(trigger.site, ("", ()))
        last = min(trigger.sample + t.size, n_samples)
        part = slice(trigger.sample, last)
        for row, name in enumerate(MUSCLES):
            wave = 3e-3 * np.exp(-t / 0.5e-3)
            if name == control:
                wave = wave + 1e-3 * hump(t, 2.5e-3, 4e-3)
            if name in answering and trigger.sample < lost_from:
                wave = wave + rng.uniform(0.7, 1.3) * 2e-4 * hump(t, 11e-3, 5e-3)
            data[row, part] += wave[: last - trigger.sample]
    return data


def alternating(n_samples, step):
    """Stimuli of the two sites in turn."""
    sites = ("zygomatic", "mandibular")
    marks = range(step, n_samples - 1, step)
    return [Trigger(sample, sites[i % 2], {"mA": "10"}) for i, sample in enumerate(marks)]


def take(stream, start, stop):
    """The part of a stream from ``start`` up to ``stop``, with the marks that fall in it."""
    return stream.cut(stream.start + start, stream.start + stop)


def cut(stream, borders):
    """A stream as chunks, cut at ``borders`` (relative to its start); equal borders give empty chunks."""
    edges = [0, *sorted(borders), stream.n_samples]
    return [take(stream, a, b) for a, b in pairwise(edges)]


def run(chunks, modality=MVD, info=INFO, montage=None):
    session = Session((modality,), info, montage)
    events = [event for part in chunks for event in session.push(part)]
    return events + session.finish()


def exact(events):
    """Everything that an event holds, floats to the last bit, samples of sweeps too."""
    lines = []
    for event in events:
        text = json.dumps(line(event, FS), allow_nan=False)
        if isinstance(event, Response):
            sweep = event.sweep
            text += f" {sweep.data.tobytes().hex()} {sweep.valid.tobytes().hex()} {event.row} {sweep.zero}"
        lines.append(text)
    return lines


@st.composite
def streams(draw):
    """Stretches of one stream, with everything that may happen in an operating room."""
    n = draw(st.integers(2, 4)) * 5000
    step = draw(st.integers(280, 420) | st.integers(600, 900))  # dense, or with room for marks of artefact
    triggers = alternating(n, step)
    places = st.integers(0, n - 1)
    for sample in draw(st.lists(places, max_size=4)):
        triggers.append(
            Trigger(sample, draw(st.sampled_from(["zygomatic", "mandibular", "click", "tes"])), {"mA": "10"})
        )
    if draw(st.booleans()):
        triggers.append(triggers[len(triggers) // 2])  # a double trigger
    edge = draw(st.sampled_from([None, 0, 1, n - 1]))
    if edge is not None:
        triggers.append(Trigger(edge, "zygomatic", {"mA": "10"}))
    current = draw(st.sampled_from(["10", "8", "12"]))
    last_third = 2 * n // 3
    triggers = [replace(t, attributes={"mA": current}) if t.sample > last_third else t for t in triggers]
    triggers.sort(key=lambda t: t.sample)
    data = record(
        draw(st.integers(0, 2**32 - 1)), n, triggers, lost_from=n * draw(st.sampled_from([0.7, 2.0]))
    )

    rng = np.random.default_rng(n + step)
    runs = st.lists(st.tuples(st.integers(0, 3), places, st.integers(1, 900)), max_size=3)
    for row, first, length in draw(runs):
        data[row, first : first + length] = np.nan
    for row, first, length in draw(runs):
        data[row, first : first + length] = RAIL * draw(st.sampled_from([-1, 1, 2]))
    for row, first, length in draw(runs):
        data[row, first : first + length] = 1e-4  # an electrode that has come off
    for _, first, length in draw(runs):  # cautery: on every channel, often beyond the rails
        part = data[:, first : first + draw(st.sampled_from([1, 5])) * length]
        part += rng.normal(0, draw(st.sampled_from([2e-4, 3e-3])), part.shape)
    np.clip(data, -RAIL, RAIL, out=data)

    events = st.sampled_from(["baseline", "dura-open", "cautery-on", "cautery-off"])
    notes = [Note(max(0, at - 7), at, draw(events)) for at in draw(st.lists(places, max_size=5))]
    notes.sort(key=lambda note: note.accepted)
    start = draw(st.sampled_from([0, 1, GRID - 1, 24 * 3600 * 5000]))
    triggers = tuple(replace(t, sample=t.sample + start) for t in triggers)
    notes = tuple(replace(x, sample=x.sample + start, accepted=x.accepted + start) for x in notes)
    whole = Chunk(data, np.isfinite(data), start, triggers, notes)

    stretches, begin = [], 0
    for first, length in sorted(
        draw(st.lists(st.tuples(places, st.sampled_from([1, 40, 3000, 80_000])), max_size=2))
    ):
        if begin < first:
            stretches.append(take(whole, begin, first))
            begin = min(n, first + min(length, n - first))
            if length > n:  # so long a gap that the stimuli are missed: what follows comes later
                late = take(whole, begin, n)
                stretches.append(moved(late, length))
                return stretches
    return [*stretches, take(whole, begin, n)]


def moved(stream, k):
    """The same stream, ``k`` samples later."""
    triggers = tuple(replace(t, sample=t.sample + k) for t in stream.triggers)
    notes = tuple(replace(x, sample=x.sample + k, accepted=x.accepted + k) for x in stream.notes)
    return Chunk(stream.data, stream.valid, stream.start + k, triggers, notes)


@st.composite
def partitions(draw, stretches):
    """Each stretch cut anywhere: at marks and beside them, empty, in single samples."""
    chunks = []
    for stretch in stretches:
        n = stretch.n_samples
        marks = [t.sample - stretch.start for t in stretch.triggers] + [
            x.accepted - stretch.start for x in stretch.notes
        ]
        near = [max(0, min(n, m + d)) for m in marks for d in (0, 1)]
        borders = draw(st.lists(st.integers(0, n) | st.sampled_from(near or [0]), max_size=40))
        at = draw(st.integers(0, n))
        borders += list(range(at, min(n, at + draw(st.integers(0, 300)))))  # one-sample chunks
        if near and draw(st.booleans()):
            borders += near
        chunks += cut(stretch, borders)
    return chunks


@settings(max_examples=60, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
@given(st.data())
def test_any_partition_gives_the_same_events_bit_for_bit(data):
    stretches = data.draw(streams())
    chunks = data.draw(partitions(stretches))

    assert exact(run(chunks)) == exact(run(stretches))


def busy(n=15_000, start=0, seed=5):
    """Three seconds of both sites, an LSR that goes, one rail, one NaN run and one note."""
    triggers = alternating(n, 320)
    data = record(seed, n, triggers, lost_from=0.7 * n)
    data[2, 9000:9050] = np.nan
    data[1, 9400:9460] = RAIL
    notes = (Note(11_990, 12_000, "vessel-lifted", {"vessel": "AICA"}),)
    return moved(Chunk(data, np.isfinite(data), 0, tuple(triggers), notes), start)


COURSE = [busy(20_000), moved(busy(20_000, seed=8), 40_000)]
COURSE_EVENTS = exact(run(COURSE))


@settings(max_examples=30)
@given(st.data())
def test_any_partition_of_a_course_with_loss_gap_and_return_gives_the_same_events(data):
    assert exact(run(data.draw(partitions(COURSE)))) == COURSE_EVENTS


def test_single_samples_give_the_same_events_bit_for_bit():
    stream = take(busy(), 8900, 12_900)

    assert exact(run(cut(stream, range(4000)))) == exact(run([stream]))


def test_the_reason_of_a_sweep_does_not_depend_on_the_cutting_where_two_coincide():
    n, triggers = 12_000, alternating(12_000, 320)
    data = record(1, n, triggers)
    data[:, 10_000:10_400] += np.random.default_rng(0).normal(0, 3e-3, (4, 400))
    data[1, 10_150:10_300] = RAIL
    stream = Chunk(data, np.isfinite(data), 0, tuple(triggers), ())

    whole = exact(run([stream]))

    assert any('"cautery"' in text for text in whole)
    for step in (7, 33, 64, 1000):
        assert exact(run(cut(stream, range(0, n, step)))) == whole


@pytest.mark.parametrize("path", paths())
def test_every_compiled_path_gives_the_same_events_bit_for_bit(path, monkeypatch):
    monkeypatch.setenv("IONM_KERNEL", path)

    assert exact(run(COURSE)) == COURSE_EVENTS


def test_the_simulated_stream_shows_responses_and_their_loss():
    events = run([busy(20_000)])

    states = [(e.derivation, e.state) for e in events if isinstance(e, StateChange)]
    assert {state for _, state in states} >= {"PRESENT", "ABSENT"}
    assert {name for name, _ in states} == {d.name for d in MVD.derivations if d.role == "lsr"}
    assert any(e.measurement.reason == "saturation" for e in events if isinstance(e, Response))


@pytest.mark.parametrize("k", [1, 77, GRID, 24 * 3600 * 5000 + 3])
def test_a_later_start_shifts_every_sample_and_nothing_else(k):
    def unshifted(event, k):
        keys = line(event, FS)
        del keys["t"]
        for name in ("sample", "trigger_sample", "since_sample", "note_sample", "start", "stop"):
            if name in keys:
                keys[name] -= k
        if keys.get("interval"):
            keys["interval"] = [sample - k for sample in keys["interval"]]
        return keys

    first = [busy(), moved(busy(), 20_000)]
    second = [moved(part, k) for part in first]

    assert [unshifted(e, k) for e in run(second)] == [unshifted(e, 0) for e in run(first)]


def test_permuted_channels_give_the_same_events():
    stream = busy()
    order = [2, 0, 3, 1]
    info = StreamInfo(FS, tuple(INFO.channels[i] for i in order))
    data = np.ascontiguousarray(stream.data[order])
    permuted = Chunk(data, np.isfinite(data), stream.start, stream.triggers, stream.notes)

    assert exact(run([permuted], info=info)) == exact(run([stream]))


def test_a_montage_that_copies_and_renames_changes_nothing():
    stream = busy()
    info = StreamInfo(FS, tuple(replace(c, name=f"L {c.name}") for c in INFO.channels))
    montage = Montage(tuple(Derived(name, ((f"L {name}", 1.0),)) for name in reversed(MUSCLES)))

    assert exact(run([stream], info=info, montage=montage)) == exact(run([stream]))


def test_inputs_are_not_written_to():
    stream = busy()
    stream.data.setflags(write=False)
    stream.valid.setflags(write=False)
    before = stream.data.copy()

    events = run(cut(stream, range(0, 15_000, 331)))

    assert len(events) > 100
    np.testing.assert_array_equal(stream.data, before)


def test_two_sessions_share_nothing():
    stream, other = busy(seed=5), busy(seed=6)
    expected = exact(run([stream]))
    first, second = Session((MVD,), INFO), Session((MVD,), INFO)

    events = []
    for part, noise in zip(
        cut(stream, range(0, 15_000, 500)), cut(other, range(0, 15_000, 500)), strict=True
    ):
        events += first.push(part)
        second.push(noise)

    assert exact(events + first.finish()) == expected


def test_a_channel_without_samples_leaves_the_others_as_they_are():
    stream = busy()
    data = stream.data.copy()
    data[3] = np.nan  # Frontalis never comes
    broken = Chunk(data, np.isfinite(data), 0, stream.triggers, stream.notes)

    def of_zygomatic(events):
        kept = [e for e in events if (getattr(e, "derivation", None) or "").startswith("zygomatic")]
        return exact(kept)

    assert of_zygomatic(run([broken])) == of_zygomatic(run([stream]))
    frontalis = [e for e in run([broken]) if isinstance(e, Response) and e.channel == "Frontalis"]
    assert {e.measurement.present for e in frontalis} == {None}


def test_a_nan_harms_its_own_channel_and_sweeps_only():
    clean = busy()
    data = clean.data.copy()
    first = clean.triggers[20].sample  # a zygomatic stimulus
    data[1, first + 60] = np.nan  # one sample of Mentalis, inside the window
    spoilt = Chunk(data, np.isfinite(data), 0, clean.triggers, clean.notes)

    changed = {
        (e.trigger.sample, e.channel)
        for e, f in zip(responses(run([clean])), responses(run([spoilt])), strict=True)
        if e.measurement.present != f.measurement.present
    }

    assert changed == {(first, "Mentalis")}


def responses(events):
    return [e for e in events if isinstance(e, Response)]


def test_every_stimulus_gives_one_response_a_derivation_in_order():
    stream = busy()
    stretches = [stream, moved(busy(seed=9), 50_000)]

    found = [(e.trigger.sample, e.derivation) for e in responses(run(stretches))]

    expected = [(t.sample, d.name) for part in stretches for t in part.triggers for d in MVD.at(t.site)]
    assert found == expected


def test_samples_of_events_never_go_back():
    events = run([*cut(busy(), range(0, 15_000, 777)), moved(busy(seed=9), 80_000)])

    samples = [event.sample for event in events]
    assert samples == sorted(samples)


def test_a_gap_is_told_and_holds_until_the_next_valid_sweep():
    events = run([busy(15_000), moved(busy(15_000, seed=8), 20_000)])

    gap = next(e for e in events if isinstance(e, Gap))
    holds = [e for e in events if isinstance(e, Hold) and e.derivation == "zygomatic>Mentalis"]
    assert (gap.sample, gap.start, gap.stop) == (20_000, 15_000, 20_000)
    after = [(e.active, e.reason) for e in holds if e.sample >= 20_000]
    assert after[:2] == [(True, "gap"), (False, "gap")]


def test_the_stretches_of_a_segmented_recording_are_no_gaps():
    info = replace(INFO, segmented=True)
    parts = [take(busy(), a, a + 640) for a in range(0, 14_000, 1280)]

    events = run(parts, info=info)

    assert not any(isinstance(e, Gap) for e in events)


def test_states_outlive_a_gap():
    events = run([busy(20_000), moved(busy(20_000, seed=8), 40_000)])

    changes = [e for e in events if isinstance(e, StateChange) and e.derivation == "zygomatic>Mentalis"]
    gone = next(e for e in changes if e.state == "ABSENT")
    back = next(e for e in changes if e.sample > 40_000)
    assert gone.sample < 20_000
    assert (back.state, back.previous) == ("REAPPEARED", "ABSENT")
    assert back.since > 40_000


def test_ten_seconds_of_silence_are_told_at_their_sample_whatever_the_chunks():
    quiet = chunk(np.random.default_rng(1).normal(0, 5e-6, (4, 60_000)))

    for parts in ([quiet], cut(quiet, [49_999, 50_000, 50_000, 50_001])):
        silent = [e for e in run(parts) if isinstance(e, Hold) and e.reason == "no_stimulus"]
        assert {e.sample for e in silent} == {50_000}
        assert len(silent) == 4


def test_a_chunk_that_begins_too_early_is_refused():
    session = Session((MVD,), INFO)
    session.push(chunk(np.zeros((4, 100))))

    with pytest.raises(SignalError, match="begins at sample 99, before the last one ended at 100"):
        session.push(chunk(np.zeros((4, 10)), start=99))


@pytest.mark.parametrize("shape", [(3, 10), (5, 10), (0, 10)])
def test_a_chunk_of_the_wrong_number_of_channels_is_refused(shape):
    with pytest.raises(SignalError, match=r"expected samples and flags of shape \(4, n_samples\)"):
        Session((MVD,), INFO).push(chunk(np.zeros(shape)))


def test_flags_of_another_shape_are_refused():
    with pytest.raises(SignalError, match="at sample 7"):
        Session((MVD,), INFO).push(Chunk(np.zeros((4, 10)), np.ones((4, 9), dtype=bool), 7))


def test_samples_without_channels_are_refused():
    with pytest.raises(SignalError, match="shape"):
        Session((MVD,), INFO).push(Chunk(np.zeros(10), np.ones(10, dtype=bool), 0))


def test_a_mark_behind_its_chunk_is_refused_and_nothing_happens():
    session = Session((MVD,), INFO)
    session.push(chunk(np.zeros((4, 100))))
    wrong = chunk(np.zeros((4, 10)), start=200, triggers=[Trigger(210, "zygomatic")])

    with pytest.raises(SignalError, match="a mark at sample 210 lies behind the chunk's end at 210"):
        session.push(wrong)

    events = session.push(replace(wrong, triggers=()))
    assert isinstance(events[0], Gap)


def test_a_late_trigger_is_told_and_not_applied():
    session = Session((MVD,), INFO)
    session.push(chunk(np.zeros((4, 100))))

    events = session.push(chunk(np.zeros((4, 2000)), start=100, triggers=[Trigger(90, "zygomatic")]))

    (late,) = (e for e in events if isinstance(e, NoteTaken))
    assert (late.sample, late.note.event, late.note.sample) == (100, "late-trigger", 90)
    assert late.note.attributes == {"site": "zygomatic"}
    assert not responses(events + session.finish())


def test_a_late_note_acts_where_it_is_accepted():
    session = Session((MVD,), INFO)
    session.push(chunk(np.zeros((4, 100))))

    events = session.push(chunk(np.zeros((4, 10)), start=100, notes=[Note(50, 60, "dura-open")]))

    (taken,) = (e for e in events if isinstance(e, NoteTaken))
    assert (taken.sample, taken.note.sample, taken.note.accepted) == (100, 50, 100)


def test_marks_out_of_order_are_refused():
    stream = busy()

    with pytest.raises(
        SignalError, match="marks must be in order, got one at sample 14400 after one at 14720"
    ):
        Session((MVD,), INFO).push(replace(stream, triggers=tuple(reversed(stream.triggers))))


def test_finishing_shows_the_last_incomplete_sweep():
    n = 15_000
    triggers = (*alternating(n, 320), Trigger(n - 30, "zygomatic", {"mA": "10"}))
    data = record(3, n, triggers)
    session = Session((MVD,), INFO)
    session.push(Chunk(data, np.isfinite(data), 0, triggers))

    last = responses(session.finish())[-3:]

    assert {e.trigger.sample for e in last} == {n - 30}
    assert {e.measurement.reason for e in last} == {"gap"}
    assert {e.sample for e in last} == {n - 1}


def test_a_session_without_chunks_ends_without_events():
    assert Session((MVD,), INFO).finish() == []


def test_a_session_names_the_channel_that_the_stream_lacks():
    with pytest.raises(SetupError, match="Frontalis"):
        Session((MVD,), StreamInfo(FS, INFO.channels[:3]))


def test_another_stimulus_in_the_background_behind_the_window_blinds_it():
    """A second site answers from 28 ms on; the stretch before the stimulus is spoilt by a NaN."""
    n, triggers = 15_000, alternating(15_000, 640)
    at = triggers[-3].sample
    site = triggers[-3].site
    other = "mandibular" if site == "zygomatic" else "zygomatic"
    extra = sorted([*triggers, Trigger(at + 140, other, {"mA": "10"})], key=lambda t: t.sample)
    data = record(4, n, extra)
    data[:, at - 20] = np.nan  # in both stretches before the stimulus

    seen = [
        e for e in responses(run([Chunk(data, np.isfinite(data), 0, tuple(extra))])) if e.trigger.sample == at
    ]
    lateral = [e.measurement for e in seen if e.role == "lsr"]

    assert all(m.noise is not None and m.noise < 10e-6 for m in lateral)
    assert all(m.present for m in lateral)


def test_what_is_remembered_does_not_grow_with_the_stream():
    """Stimuli that are never cut, and clipping without a sweep, must be forgotten again."""
    session, n = Session((MVD,), INFO), GRID // 2
    noise = np.random.default_rng(1).normal(0, 5e-6, (4, n))
    noise[2, ::50] = RAIL
    grown = []
    tracemalloc.start()
    for k in range(40):
        marks = [Trigger(n * k + at, "tes") for at in range(0, n, 500)]
        session.push(chunk(noise, start=n * k, triggers=marks))
        grown.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    assert grown[-1] - grown[9] < 20_000  # bytes; the clipped runs alone would be 300 000


def test_a_nan_does_not_spread_where_no_filter_holds_it_back():
    """A recording whose device has filtered already: M-wave and reflex, both read from one channel each."""
    modality = replace(load("m-h-reflex").modality(), sweep=(-0.02, 0.06))
    info = StreamInfo(FS, (Channel("M"), Channel("H")))
    n, triggers = 20_000, [Trigger(400 * k, "trunk", {"mA": "10"}) for k in range(1, 49)]
    data = np.random.default_rng(3).normal(0, 5e-6, (2, n))
    t = np.arange(350) / FS
    for trigger in triggers:
        data[0, trigger.sample : trigger.sample + 350] += 1e-3 * hump(t, 8e-3, 6e-3)
        data[1, trigger.sample : trigger.sample + 350] += 1e-4 * hump(t, 36e-3, 8e-3)
    clean = run([Chunk(data, np.isfinite(data), 0, tuple(triggers))], modality, info)
    for row, k in ((0, 20), (1, 30)):
        data[row, triggers[k].sample - 50] = np.nan  # before the stimulus, outside every stretch that is read
    spoilt = run([Chunk(data, np.isfinite(data), 0, tuple(triggers))], modality, info)

    def found(events):
        return [(e.trigger.sample, e.channel, e.measurement.present) for e in responses(events)]

    assert found(spoilt) == found(clean)
    assert all(present for _, _, present in found(clean)[2:])
