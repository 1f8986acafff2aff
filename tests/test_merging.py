"""Several modalities in one session: one order of events, and none changes what another one says."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.events import ArtefactMark, BaselineTaken, Gap, Hold, NoteTaken, Response, StateChange
from ionm.judge import Judge
from ionm.protocol import load
from ionm.protocols import FOREVER
from ionm.session import Session
from ionm.sinks.jsonl import line
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger

FS = 5000.0
MUSCLES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
INFO = StreamInfo(FS, tuple(Channel(name) for name in MUSCLES))
MVD = load("mvd-hfs").modality()
APART = tuple(replace(MVD, derivations=MVD.at(site)) for site in MVD.sites)


def course(n=30_000, gap=0):
    """Both sites in turn, an LSR that is lost at two thirds; the second half comes ``gap`` later."""
    rng = np.random.default_rng(3)
    data = rng.normal(0, 3e-6, (4, n))
    t = np.arange(250) / FS
    triggers = [Trigger(k, MVD.sites[(k // 320) % 2], {"mA": "10"}) for k in range(320, n - 1, 320)]
    for trigger in triggers:
        part = slice(trigger.sample, trigger.sample + 250)
        for d in MVD.at(trigger.site):
            begin, size = (2.5e-3, 5e-4) if d.role == "m_control" else (11e-3, 1e-4)
            if d.role == "m_control" or trigger.sample < 2 * n // 3:
                wave = size * np.sin(2 * np.pi * (t - begin) / 4e-3) * ((t >= begin) & (t < begin + 4e-3))
                row = data[MUSCLES.index(d.channel), part]
                row += wave[: row.size]
    notes = (Note(3000, 3100, "dura-open"), Note(14_500, 14_500, "baseline"))
    whole = Chunk(data, np.isfinite(data), 0, tuple(triggers), notes)
    first, second = whole.cut(0, n // 2), whole.cut(n // 2, n)
    moved = tuple(replace(x, sample=x.sample + gap) for x in second.triggers)
    return [first, Chunk(second.data, second.valid, n // 2 + gap, moved)]


def run(modalities, chunks, follower=None):
    session = Session(modalities, INFO, follower=follower)
    return [e for part in chunks for e in session.push(part)] + session.finish()


def of(events, derivation):
    return [json.dumps(line(e, FS)) for e in events if getattr(e, "derivation", None) == derivation]


@pytest.mark.parametrize("gap", [0, 3000, 80_000])
def test_a_modality_says_the_same_alone_and_beside_another_one(gap):
    stream = course(gap=gap)

    together, beside = run((MVD,), stream), run(APART, stream)

    for d in MVD.derivations:
        assert of(beside, d.name) == of(together, d.name)
        alone = next(run((m,), stream) for m in APART if d in m.derivations)
        assert of(beside, d.name) == of(alone, d.name)
    assert {e.state for e in beside if isinstance(e, StateChange)} >= {"PRESENT", "ABSENT"}
    assert sum(isinstance(e, Gap) for e in beside) == (gap > 0)
    assert sum(isinstance(e, NoteTaken) for e in beside) == 2


@settings(max_examples=15)
@given(st.lists(st.integers(0, 15_000), max_size=30))
def test_any_partition_gives_several_modalities_the_same_events(borders):
    stream = course(gap=60_000)
    edges = [0, *sorted(borders)]
    cut = [stream[0].cut(a, b) for a, b in zip(edges, [*edges[1:], 15_000], strict=True)]

    events = run(APART, [*cut, stream[1]])

    assert [line(e, FS) for e in events] == [line(e, FS) for e in run(APART, stream)]
    assert [e.sample for e in events] == sorted(e.sample for e in events)


def test_a_session_of_no_modality_takes_notes_and_tells_gaps():
    events = run((), course(gap=10))

    assert [type(e) for e in events] == [NoteTaken, NoteTaken, Gap]


@dataclass(frozen=True)
class Fact:
    sample: int
    name: str


class Sayer:
    """A judge that says what it is given, and something of its own every ``period`` samples."""

    def __init__(self, name, period):
        self._name, self._period = name, period
        self.deadline = period or FOREVER

    def says(self, sample, what):
        return [BaselineTaken(sample, self._name, "", accepted=True, reason=what, values={})]

    def begin(self, sample):
        return self.says(sample, "begin")

    def fact(self, fact):
        return self.says(fact.sample, "mark" if isinstance(fact, ArtefactMark) else fact.name)

    def note(self, note):
        return self.says(note.accepted, note.event)

    def gap(self, sample):
        return self.says(sample, "gap")

    def pass_time(self, sample):
        events = []
        while self.deadline < sample:
            events += self.says(self.deadline, "due")
            self.deadline += self._period
        return events


@dataclass(frozen=True)
class Saying:
    name: str
    period: int = 0
    sites: tuple[str, ...] = ()

    def judge(self, info, start):
        del info, start
        return Sayer(self.name, self.period)


def said(events):
    return [(e.sample, e.modality, e.reason) for e in events if isinstance(e, BaselineTaken)]


def test_what_begins_begins_in_the_order_of_the_modalities():
    judge = Judge((Saying("a"), Saying("b")), INFO, 7)

    assert said(judge.begin(7)) == [(7, "a", "begin"), (7, "b", "begin")]


def test_facts_are_merged_by_sample_then_marks_first_then_by_modality_and_notes_last():
    judge = Judge((Saying("a"), Saying("b")), INFO, 0)
    facts = [
        [Fact(5, "one"), Fact(9, "two")],
        [Fact(4, "three"), ArtefactMark(9, "Mentalis", "cautery", active=True), Fact(9, "four")],
    ]

    events = judge.push(facts, [Note(3, 9, "dura-open")], 20)

    assert said(events) == [
        (4, "b", "three"),
        (5, "a", "one"),
        (9, "b", "mark"),
        (9, "a", "two"),
        (9, "b", "four"),
        (9, "a", "dura-open"),
        (9, "b", "dura-open"),
    ]
    assert [type(e) for e in events].index(NoteTaken) == 5


def test_a_gap_is_told_once_and_first():
    judge = Judge((Saying("a"), Saying("b")), INFO, 0)

    events = judge.push([[Fact(9, "one")], []], [], 9, Gap(9, 4, 9))

    assert isinstance(events[0], Gap)
    assert said(events) == [(9, "a", "gap"), (9, "b", "gap"), (9, "a", "one")]


@pytest.mark.parametrize("stops", [[21], [5, 10, 11, 21], list(range(22))])
def test_the_passing_of_time_comes_in_its_order_whatever_the_modality(stops):
    judge = Judge((Saying("slow", 10), Saying("quick", 4)), INFO, 0)

    events = [e for stop in stops for e in judge.push([[], []], [], stop)]

    assert said(events) == [
        (4, "quick", "due"),
        (8, "quick", "due"),
        (10, "slow", "due"),
        (12, "quick", "due"),
        (16, "quick", "due"),
        (20, "slow", "due"),
        (20, "quick", "due"),
    ]


class Echo:
    """A follower that answers every loss, and says something of its own 50 samples later."""

    def __init__(self):
        self.seen = []
        self.deadline = FOREVER

    def start(self, info, start):
        del info, start
        return self

    def follow(self, event):
        self.seen.append(event)
        if isinstance(event, StateChange) and event.state == "ABSENT":
            self.deadline = event.sample + 50
            return [Hold(event.sample, event.derivation, active=True, reason="echo", reasons=())]
        return []

    def pass_time(self, sample):
        assert self.deadline < sample
        at, self.deadline = self.deadline, FOREVER
        return [Hold(at, "echo", active=False, reason="later", reasons=())]

    def finish(self, sample):
        return [Hold(sample, "echo", active=False, reason="end", reasons=())]


def test_a_follower_sees_every_event_in_order_and_its_own_come_right_behind():
    stream, echo = course(), Echo()

    events = run(APART, stream, echo)

    own = [e for e in events if isinstance(e, Hold) and e.reason in ("echo", "later", "end")]
    plain = run(APART, stream)
    assert [line(e, FS) for e in events if e not in own] == [line(e, FS) for e in plain]
    assert [line(e, FS) for e in echo.seen] == [line(e, FS) for e in plain]
    losses = [i for i, e in enumerate(events) if isinstance(e, StateChange) and e.state == "ABSENT"]
    assert len(losses) == 4
    assert all(events[i + 1].reason == "echo" for i in losses)
    assert [e.reason for e in own if e.derivation == "echo"][-1] == "end"
    later = [e.sample for e in own if e.reason == "later"]
    assert later
    assert [e.sample for e in events] == sorted(e.sample for e in events)


def test_a_follower_sees_what_the_session_says_by_itself():
    echo = Echo()
    session = Session(APART, INFO, follower=echo)
    session.push(Chunk(np.zeros((4, 10)), np.ones((4, 10), dtype=bool), 0))

    events = session.push(Chunk(np.zeros((4, 10)), np.ones((4, 10), dtype=bool), 10, (Trigger(5, "probe"),)))

    (late,) = (e for e in events if isinstance(e, NoteTaken))
    assert late.note.event == "late-trigger"
    assert late in echo.seen


def test_a_follower_does_not_depend_on_the_cutting():
    stream = course()
    single = [stream[0].cut(a, a + 50) for a in range(0, 15_000, 50)] + [stream[1]]

    cut, whole = run(APART, single, Echo()), run(APART, stream, Echo())

    assert [line(e, FS) for e in cut] == [line(e, FS) for e in whole]


def test_modalities_with_equal_paths_share_a_running_one():
    started = []

    @dataclass(frozen=True)
    class Counted:
        spec: object

        def start(self, info):
            started.append(self)
            return self.spec.start(info)

    @dataclass(frozen=True)
    class Shared:
        path: Counted
        own: object
        name = "lsr"

        @property
        def sites(self):
            return self.own.sites

        def judge(self, info, start):
            return self.own.judge(info, start)

    stream = course()
    shared = tuple(Shared(Counted(MVD), own) for own in APART)

    events = run(shared, stream)

    assert started == [Counted(MVD)]
    assert [line(e, FS) for e in events] == [line(e, FS) for e in run(APART, stream)]


def test_every_stimulus_of_a_shared_site_is_told_by_each_of_its_modalities():
    stream = course()

    events = run((APART[0], APART[0]), stream)

    seen = [(e.trigger.sample, e.derivation) for e in events if isinstance(e, Response)]
    assert len(seen) == 2 * len(set(seen))
