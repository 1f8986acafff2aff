"""Free-run EMG from samples to verdicts: what is found between stimuli, what is held, what is added up."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.detectors.free_run import FreeRun
from ionm.errors import SetupError
from ionm.events import ArtefactMark, ChannelHold, Finding, Gap, NoteTaken, Watched
from ionm.filters.bandpass import Bandpass
from ionm.filters.blanking import Blanking, Mask
from ionm.free_running import FreeRunning
from ionm.protocols import FOREVER
from ionm.session import Session
from ionm.simulate.trains import Pattern
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger

FS = 5000.0
NAMES = ("OrbOculi", "Mentalis", "Cz-A1", "Masseter")
INFO = StreamInfo(FS, tuple(Channel(name) for name in NAMES))
SPEC = FreeRunning(
    ("OrbOculi", "Mentalis"),
    ("Masseter",),
    (Bandpass(30.0, 1000.0, 2),),
    Blanking((Mask("*", 2.5e-3), Mask("click", 0.0)), 1e-4),
)
TRAINS = (
    (1, "a_train", 1.5, 0.3),
    (0, "burst", 0.55, 0.1),
    (3, "a_train", 2.2, 0.3),
    (0, "a_train", 2.75, 0.5),
)
"""Channel, pattern, begin and length in s; the last is cut by the gap."""

BREAK = 15_000  # sample at which the stream breaks off


def quiet(seconds, seed=1):
    return np.random.default_rng(seed).normal(0, 3e-6, (4, round(seconds * FS)))


def stimulated(data, every=1450, first=600):
    """Stimuli with a 5 mV artefact, an M-wave of 2 mV and an LSR of 0.3 mV on every muscle."""
    t = np.arange(250) / FS
    wave = np.where(t < 0.4e-3, 5e-3, 1e-3 * np.exp(-t / 0.6e-3))
    for begin, size in ((2.5e-3, 1e-3), (10e-3, 1.5e-4)):
        wave += size * np.sin(2 * np.pi * (t - begin) / 5e-3) * ((t >= begin) & (t < begin + 5e-3))
    triggers = []
    for k in range(first, data.shape[1] - 1, every):
        triggers.append(Trigger(k, "zygomatic", {"mA": "12"}))
        part = data[:, k : k + 250]
        part += wave[: part.shape[1]]
    return triggers


def put(data, row, pattern, begin, seconds):
    frequency = 120.0 if pattern == "a_train" else None
    rng = np.random.default_rng(row)
    return Pattern(pattern, begin, seconds, 80e-6, frequency).add_to(data[row], FS, rng)


def course(gap=10_000):
    """Three seconds of stimuli, patterns and cautery (noted late), a gap, and two seconds more."""
    data = quiet(5.0)
    for train in TRAINS:
        put(data, *train)
    triggers = stimulated(data)
    data[:, 11_000:11_900] += np.random.default_rng(9).normal(0, 4e-3, (4, 900))
    data[0, 18_000] = np.nan
    notes = (Note(11_000, 11_500, "cautery-on"), Note(12_500, 13_000, "cautery-off"))
    whole = Chunk(data, np.isfinite(data), 0, tuple(triggers), notes)
    first, second = whole.cut(0, BREAK), whole.cut(BREAK, data.shape[1])
    moved = tuple(replace(x, sample=x.sample + gap) for x in second.triggers)
    return [first, Chunk(second.data, second.valid, BREAK + gap, moved)]


def run(chunks, spec=SPEC, info=INFO):
    session = Session((spec,), info)
    return [e for part in chunks for e in session.push(part)] + session.finish(), session.tallies()


STREAM = course()
EVENTS, TALLIES = run(STREAM)
FOUND = [e for e in EVENTS if isinstance(e, Finding)]
ENDED = [f for f in FOUND if not f.active and f.offset > f.onset]


def of_one(data, triggers=(), notes=(), spec=SPEC):
    return run([Chunk(data, np.isfinite(data), 0, tuple(triggers), tuple(notes))], spec)


# the path


@settings(max_examples=15)
@given(st.lists(st.integers(0, BREAK), max_size=30))
def test_no_cutting_changes_a_bit(borders):
    edges = [0, *sorted(borders), BREAK]
    cut = [STREAM[0].cut(a, b) for a, b in pairwise(edges)]

    events, tallies = run([*cut, STREAM[1]])

    assert events == EVENTS
    assert tallies == TALLIES
    assert [e.sample for e in events] == sorted(e.sample for e in events)


def test_artefact_m_wave_and_lsr_are_never_a_finding():
    data = quiet(20.0)
    triggers = stimulated(data, every=430)

    events, tallies = of_one(data, triggers)

    assert events == []
    assert 0.45 < tallies["free_run"]["muscles"]["Mentalis"]["blind_share"] < 0.55  # 42 of 86 ms


def test_without_frames_and_mask_they_would_be():
    data = quiet(5.0)
    triggers = stimulated(data)
    seeing = replace(SPEC, blanking=Blanking(()), detector=FreeRun(frames=()))

    assert len([e for e in of_one(data, triggers, spec=seeing)[0] if isinstance(e, Finding)]) > 10


def test_what_goes_on_between_stimuli_is_found_with_its_begin_and_its_end():
    (mentalis,) = [f for f in ENDED if f.channel == "Mentalis"]
    (burst,) = [f for f in ENDED if f.pattern == "burst"]

    assert mentalis.pattern == "a_train"
    assert mentalis.frequency == pytest.approx(120.0, rel=0.06)
    assert (mentalis.onset / FS, mentalis.offset / FS) == (
        pytest.approx(1.5, abs=0.02),
        pytest.approx(1.8, abs=0.02),
    )
    assert (burst.channel, burst.onset / FS) == ("OrbOculi", pytest.approx(0.55, abs=0.01))
    assert max(f.peak for f in ENDED) < 120e-6  # and no M-wave is part of it


def test_a_gap_ends_what_goes_on_and_the_path_begins_afresh():
    train, again = [f for f in FOUND if f.pattern == "a_train" and f.channel == "OrbOculi" and not f.active]
    told = next(i for i, e in enumerate(EVENTS) if isinstance(e, Gap))

    assert train.sample == BREAK + 10_000
    assert 14_500 <= train.offset <= BREAK
    assert train in EVENTS[told:]
    assert again.onset >= BREAK + 10_000


def test_the_end_of_the_case_ends_what_goes_on():
    data = quiet(3.0)
    put(data, 1, "a_train", 2.5, 0.6)

    events, tallies = of_one(data)

    assert [(e.pattern, e.active) for e in events] == [("a_train", True), ("a_train", False)]
    assert events[-1].sample == 14_999
    assert tallies["free_run"]["traintime_s"] == pytest.approx(0.5, abs=0.03)


def test_other_channels_of_the_stream_are_not_looked_at():
    data = quiet(3.0)
    put(data, 2, "a_train", 1.0, 0.5)

    assert of_one(data)[0] == []
    assert set(TALLIES["free_run"]["muscles"]) == {"OrbOculi", "Mentalis"}
    assert set(TALLIES["free_run"]["controls"]) == {"Masseter"}


def test_a_stream_that_lacks_a_channel_is_refused():
    with pytest.raises(SetupError, match="free-run EMG wants channel 'Mentalis'; the stream has OrbOculi"):
        SPEC.start(StreamInfo(FS, (Channel("OrbOculi"), Channel("Masseter"))))


def test_it_fits_what_is_recorded_and_takes_the_other_side_for_controls():
    assert SPEC.within(("Mentalis", "Cz-A1"), ()).channels == ("Mentalis",)
    assert SPEC.within(("Masseter",), None) is None
    both = SPEC.within(("Mentalis", "R Mentalis", "R OrbOculi", "R Cz-A1"), None)
    assert (both.muscles, both.controls) == (("Mentalis",), ("R Mentalis", "R OrbOculi"))
    assert (SPEC.name, SPEC.sites, SPEC.routine) == ("free_run", (), False)
    assert SPEC.path is SPEC


# holds


def holds(events, channel="Mentalis"):
    return [(e.sample / FS, e.reasons) for e in events if isinstance(e, ChannelHold) and e.channel == channel]


def test_a_channel_is_held_while_cautery_is_seen_or_noted():
    begun, ended = holds(EVENTS)

    assert begun == (pytest.approx(2.22, abs=0.05), ("cautery",))
    assert ended == (pytest.approx(13_000 / FS), ())
    assert {name for name in NAMES if holds(EVENTS, name)} == {"OrbOculi", "Mentalis", "Masseter"}
    assert not any(11_000 < f.onset < 13_000 for f in ENDED)


def test_what_happens_while_someone_notes_cautery_or_drill_is_not_found():
    data = quiet(4.0)
    put(data, 1, "a_train", 2.0, 0.5)
    notes = (Note(5000, 5000, "drill-on"), Note(15_000, 15_000, "drill-off"))

    events, tallies = of_one(data, notes=notes)

    assert holds(events) == [(1.0, ("drill",)), (3.0, ())]
    assert not any(isinstance(e, Finding) for e in events)
    assert tallies["free_run"]["muscles"]["Mentalis"]["blind_share"] == pytest.approx(0.5, abs=0.03)
    assert sum(isinstance(e, NoteTaken) for e in events) == 2


def test_what_is_noted_blinds_behind_a_gap_too():
    data = quiet(4.0)
    put(data, 1, "a_train", 3.0, 0.5)
    notes = (Note(5000, 5000, "cautery-on"),)
    whole = Chunk(data, np.isfinite(data), 0, (), notes)
    second = whole.cut(10_000, 20_000)

    events, _ = run([whole.cut(0, 10_000), Chunk(second.data, second.valid, 12_000)])

    assert holds(events) == [(1.0, ("cautery",))]
    assert not any(isinstance(e, Finding) for e in events)


def test_a_flat_channel_is_held_alone_and_a_gap_lifts_what_was_seen():
    data = quiet(3.0)
    data[1, 5000:] = 0.0
    whole = Chunk(data, np.isfinite(data), 0)
    tail = quiet(1.0, seed=2)

    events, _ = run([whole, Chunk(tail, np.isfinite(tail), 20_000)])

    (begun, reasons), lifted = holds(events)
    assert (begun, reasons) == (pytest.approx(1.1, abs=0.05), ("electrode_off",))
    assert lifted == (4.0, ())
    assert not holds(events, "OrbOculi")


def test_a_case_that_ends_held_is_not_said_to_be_judged_again():
    data = quiet(3.0)
    data[1, 5000:] = 0.0

    assert holds(of_one(data)[0])[-1][1] == ("electrode_off",)


# the judge


def finding(channel, onset, offset, *, active=False, pattern="a_train"):
    sample = onset if offset is None else offset
    return Finding(sample, channel, pattern, active, onset, offset, 1e-4)


def trained(spec=SPEC):
    judge = spec.judge(INFO, 0)
    for channel in ("Mentalis", "Masseter"):
        judge.fact(finding(channel, 5000, None, active=True))
        said = judge.fact(finding(channel, 5000, 10_000))
    return judge, said


def test_traintime_is_that_of_the_muscles_and_each_train_tells_it():
    judge, (control,) = trained()
    judge.fact(finding("Mentalis", 40_000, None, active=True))
    (second,) = judge.fact(finding("Mentalis", 40_000, 45_000))

    assert control.control
    assert control.traintime is None
    assert second.traintime == pytest.approx(2.0)
    tally = judge.tally(50_000)
    assert tally["traintime_s"] == tally["muscles"]["Mentalis"]["traintime_s"] == pytest.approx(2.0)
    assert tally["findings"] == {"a_train": 2}
    assert tally["controls"]["Masseter"]["findings"] == {"a_train": 1}
    assert tally["controls"]["Masseter"].keys() == {"findings", "blind_share"}


def test_a_risk_is_only_read_where_the_protocol_allows_it():
    assert trained()[0].tally(50_000)["traintime_risk"] is None
    assert 0.3 < trained(replace(SPEC, risk=True))[0].tally(50_000)["traintime_risk"] < 0.5


def test_what_is_withdrawn_counts_as_nothing():
    judge = SPEC.judge(INFO, 0)

    judge.fact(finding("Mentalis", 5000, None, active=True))
    judge.fact(finding("Mentalis", 5000, 5000))

    tally = judge.tally(9000)
    assert (tally["traintime_s"], tally["findings"]) == (0.0, {})


def test_the_time_seen_is_added_up_over_gaps():
    judge = SPEC.judge(INFO, 0)
    seen = {"OrbOculi": 3.0, "Mentalis": 1.0, "Masseter": 4.0}

    assert judge.tally(0)["muscles"]["OrbOculi"]["blind_share"] is None
    assert judge.fact(Watched(100, 4.0, seen)) == judge.fact(Watched(200, 4.0, seen)) == []
    shares = [facts["blind_share"] for facts in judge.tally(200)["muscles"].values()]
    assert shares == [0.25, 0.75]


def test_two_reasons_are_one_hold_and_a_mark_told_twice_is_one():
    judge = SPEC.judge(INFO, 0)
    assert judge.begin(0) == judge.pass_time(10**9) == judge.gap(5) == []
    assert judge.deadline == FOREVER

    said = [
        judge.fact(ArtefactMark(10, "Mentalis", "saturation", active=True)),
        judge.fact(ArtefactMark(11, "Mentalis", "saturation", active=True)),
        judge.fact(ArtefactMark(20, "Mentalis", "cautery", active=True)),
        [e for e in judge.note(Note(30, 30, "cautery-on")) if e.channel == "Mentalis"],
        judge.fact(ArtefactMark(40, "Mentalis", "cautery", active=False)),
        judge.fact(ArtefactMark(50, "Mentalis", "saturation", active=False)),
        [e for e in judge.note(Note(60, 60, "cautery-off")) if e.channel == "Mentalis"],
        judge.note(Note(70, 70, "text")),
    ]

    assert [[(e.active, e.reason, e.reasons) for e in events] for events in said] == [
        [(True, "saturation", ("saturation",))],
        [],
        [(True, "cautery", ("saturation", "cautery"))],
        [],
        [],
        [(True, "cautery", ("cautery",))],
        [(False, "cautery", ())],
        [],
    ]


def test_the_tallies_are_plain_values():
    assert json.loads(json.dumps(TALLIES)) == TALLIES
    assert Session((SPEC,), INFO).tallies() == {}
    assert Session((), INFO).push(STREAM[0]) is not None
