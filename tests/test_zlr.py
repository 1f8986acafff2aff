"""Stimulated arteries from marks to the map: what conducts, from which current on, before and after."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console as Screen

from ionm.events import ArtefactMark, Measurement, NoteTaken, Response, Sweep, SweepMeasured
from ionm.modality import LsrModality
from ionm.protocol import load
from ionm.protocols import FOREVER
from ionm.session import Session
from ionm.simulate import scenario, simulate_case, truth
from ionm.sinks import mapping
from ionm.sinks.console import Console
from ionm.sinks.jsonl import line
from ionm.sinks.report import Heading, Report
from ionm.sinks.summary import Summary
from ionm.stream import Channel, Note, StreamInfo, Trigger
from ionm.zlr import MODALITY, ZlrModality
from ionm.zlr_map import NAMELESS, ZlrMap

MVD = load("mvd-hfs")
LSR, ZLR, _ = MVD.modalities()
CASE = simulate_case(scenario("mapped", minutes=1.2, fs=10_000.0, rate=2.3), 4)
FS = CASE.info.fs


def events_of(modalities, seconds=0.5, case=CASE):
    session = Session(modalities, case.info)
    return [e for part in case.chunks(seconds) for e in session.push(part)] + session.finish()


EVENTS = events_of(MVD.fit(CASE.info, None)[0][:2])
PROBED = [e for e in EVENTS if isinstance(e, Response) and e.modality == MODALITY]


# the modality


def test_the_protocol_maps_all_muscles_with_a_window_of_its_own():
    assert isinstance(ZLR, ZlrModality)
    assert (ZLR.name, ZLR.sites, ZLR.routine) == ("zlr", ("probe",), False)
    assert ZLR.channels == ("Mentalis", "OrbOris", "OrbOculi", "Frontalis")
    assert ZLR.path.mapping.window == (4e-3, 15e-3)
    assert ZLR.path == LSR
    assert LSR.routine
    assert {"probe", "zygomatic", "click"} <= set(MVD.sites)


def test_a_recording_without_a_probe_is_not_said_to_lack_it():
    info = StreamInfo(1e4, tuple(Channel(name) for name in ZLR.channels))

    found, missing = MVD.fit(info, ["zygomatic", "mandibular"])

    assert [m.name for m in found] == ["lsr", "free_run"]
    assert missing == ()
    assert [m.name for m in MVD.fit(info, ["probe"])[0]] == ["zlr", "free_run"]
    live, _ = MVD.fit(info, None)
    assert [m.name for m in live] == ["lsr", "zlr", "free_run"]
    assert live[0].path == live[1].path
    assert MVD.fit(StreamInfo(1e4, (Channel("OrbOris"),)), ["probe"])[0][0].channels == ("OrbOris",)


def test_the_lsr_says_the_same_beside_the_map():
    plain = [line(e, FS) for e in events_of((LSR,))]

    assert [line(e, FS) for e in EVENTS if getattr(e, "modality", "") != MODALITY] == plain


def test_any_cutting_gives_the_same_lines():
    def written(events):
        return [json.dumps(line(e, FS)) for e in events]

    modalities = (ZLR,)

    assert written(events_of(modalities, 0.0173)) == written(events_of(modalities, 1.0))


def test_every_probe_stimulus_gives_one_line_a_muscle():
    stimuli = [t for t in CASE.triggers if t.site == "probe"]

    assert [(e.trigger.sample, e.channel) for e in PROBED] == [
        (t.sample, muscle) for t in stimuli for muscle in ZLR.channels
    ]
    keys = line(PROBED[0], FS)
    assert (keys["modality"], keys["derivation"], keys["role"]) == ("zlr", "probe>Mentalis", "zlr")
    assert keys["stimulus"]["target"] == "AICA"
    assert keys["percent_of_baseline"] is None


def test_presence_and_onset_are_those_of_the_truth():
    answers = {s["trigger_sample"]: s["responses"] for s in truth(CASE)["stimuli"] if s["site"] == "probe"}

    judged = [e for e in PROBED if e.measurement.present is not None]
    hits, wrong, errors = 0, 0, []
    for e in judged:
        true = answers[e.trigger.sample].get(e.derivation, {"peak_to_peak_uv": 0.0})
        there = true["peak_to_peak_uv"] > 60
        hits += there and bool(e.measurement.present)
        wrong += bool(e.measurement.present) and not there
        if there and e.measurement.latency is not None:
            errors.append(abs(e.measurement.latency * 1e3 - true["onset_ms"]))
    assert np.median(errors) < 0.15
    assert hits >= 11  # of 4 stimuli in 3 muscles
    assert wrong <= 3  # of 84
    assert len(judged) >= 90


# the judge


def fact(sample=500, present=True, channels=2, attributes=None):
    trigger = Trigger(
        sample - 500, "probe", {"mA": "0.5", "target": "AICA"} if attributes is None else attributes
    )
    rows = np.zeros((channels, 4))
    sweep = Sweep(sample, trigger, rows, np.ones(rows.shape, dtype=bool), 1)
    return SweepMeasured(sample, sweep, (Measurement(present, 1e-4, 7e-3, 8e-3),) * channels)


def judge():
    path = replace(ZLR.path, mapped=ZLR.path.mapped[:2])
    return ZlrModality(path).judge(CASE.info, 0)


def test_nothing_stands_falls_due_or_is_held():
    made = judge()

    assert made.begin(0) == made.gap(10) == made.pass_time(10**9) == []
    assert made.deadline == FOREVER
    assert made.fact(ArtefactMark(5, "Mentalis", "cautery", active=True)) == []


def test_while_cautery_is_noted_no_sweep_is_judged():
    made = judge()

    assert made.note(Note(1, 1, "cautery-on")) == []
    during = made.fact(fact(1000))
    made.note(Note(2000, 2000, "cautery-off"))
    made.note(Note(2001, 2001, "irrigation"))
    after = made.fact(fact(3000))

    assert {(e.measurement.present, e.measurement.reason) for e in during} == {(None, "cautery")}
    assert {e.measurement.present for e in after} == {True}


def test_a_probe_in_step_with_the_mains_is_told():
    made = judge()

    alarms = [e for k in range(20) for e in made.fact(fact(500 + 5000 * k))[2:]]

    assert [(a.modality, a.site, a.criterion) for a in alarms] == [("zlr", "probe", "mains_locked")]


# the map


def seen(sample, present, *, channel="Mentalis", **attributes):
    (response, *_) = judge().fact(fact(sample + 500, present, attributes=attributes))
    return replace(response, channel=channel)


def mapped(*items):
    made = ZlrMap()
    for item in items:
        made.note(item) if isinstance(item, Note) else made.response(item)
    return made.records()


def test_each_artery_and_place_has_its_record_whatever_the_case_of_its_letters():
    records = mapped(
        seen(1, True, mA="0.5", target="AICA"),
        seen(2, True, mA="0.5", target="aica"),
        seen(3, False, mA="0.5", target="AICA", site="Loop"),
        seen(4, False, mA="0.8", target="AICA", site="loop"),
        seen(5, False, mA="0.5", target="PICA"),
    )

    assert [(r.target, r.place, [c.ma for c in r.currents]) for r in records] == [
        ("AICA", None, [0.5]),
        ("AICA", "Loop", [0.5, 0.8]),
        ("PICA", None, [0.5]),
    ]


def test_a_stimulus_without_artery_or_current_is_kept_as_such():
    (record,) = mapped(seen(1, True), seen(2, True, mA="0.5"))

    assert record.target == NAMELESS
    assert [c.ma for c in record.currents] == [0.5, None]


@pytest.mark.parametrize(
    ("event", "vessel", "after"),
    [
        ("vessel-lifted", "AICA", True),
        ("teflon-in", "VA+aica", True),
        ("vessel-lifted", None, True),
        ("vessel-lifted", "PICA", False),
        ("vessel-released", "AICA", False),
        ("teflon-out", "AICA", False),
        ("dura-open", None, False),
    ],
)
def test_an_artery_is_decompressed_by_the_newest_act_on_it(event, vessel, after):
    note = Note(100, 100, event, {"vessel": vessel} if vessel else {})

    (record,) = mapped(note, seen(200, True, mA="0.5", target="AICA"))

    assert record.after is after


def test_a_late_note_divides_the_sweeps_where_the_act_was():
    records = mapped(
        seen(1000, True, mA="0.5", target="AICA"),
        seen(3000, False, mA="0.5", target="AICA"),
        Note(2000, 9000, "teflon-in", {"vessel": "AICA"}),
    )

    assert [(r.after, r.currents[0].answers[0].responses) for r in records] == [(False, 1), (True, 0)]


def test_what_is_let_back_is_on_the_nerve_again():
    lift, release = Note(100, 100, "vessel-lifted", {"vessel": "AICA"}), Note(300, 300, "vessel-released")

    records = mapped(release, lift, *(seen(t, True, mA="0.5", target="AICA") for t in (50, 200, 400)))

    assert [r.after for r in records] == [False, True]


# table and words


def whole(events=EVENTS):
    tracked = [d.name for d in LSR.derivations if d.role == "lsr"]
    summary = Summary(FS, tracked)
    for event in events:
        summary.write(event)
    return summary.close(CASE.n_samples, {})


def test_the_map_of_the_case_tags_the_artery_that_conducts_until_it_is_lifted():
    table = {(r["target"], r["decompressed"]): r for r in whole()["zlr"]}

    assert set(table) == {("AICA", False), ("PICA", False), ("AICA", True)}
    hit = table["AICA", False]
    assert (hit["threshold_ma"], hit["largest_ma"], hit["site"]) == (0.5, 0.5, None)
    assert (hit["responses"], hit["sweeps"]) == (4, 4)
    assert set(hit["muscles"]) == {"OrbOculi", "OrbOris", "Mentalis"}
    assert 6.0 < hit["latency_ms"] < 8.5
    assert hit["earliest_ms"] <= hit["latency_ms"] <= hit["latest_ms"]
    for key in (("PICA", False), ("AICA", True)):
        assert (table[key]["threshold_ma"], table[key]["muscles"], table[key]["latency_ms"]) == (
            None,
            [],
            None,
        )
    assert [c["ma"] for c in hit["currents"]] == [0.2, 0.5]
    low = hit["currents"][0]["muscles"]["Mentalis"]
    assert (low["present"], low["responses"]) == (False, 0)
    assert json.loads(json.dumps(hit, allow_nan=False)) == hit


def test_the_words_say_what_answers_and_that_it_is_no_criterion():
    said = mapping.lines(whole()["zlr"])

    assert said[0].startswith("AICA, before decompression: ZLR from 0.5 mA (4 of 4), onset ")
    assert said[1:3] == [
        "PICA, before decompression: no ZLR up to 0.5 mA (8 sweeps).",
        "AICA, after decompression: no ZLR up to 0.5 mA (8 sweeps).",
    ]
    assert "no criterion of adequacy" in said[3]
    assert "13 only (Son 2018)" in said[3]
    assert mapping.lines([]) == []


def test_son_2018_a_zlr_that_persists_changes_no_verdict_on_the_lsr():
    without = whole([e for e in EVENTS if getattr(e, "modality", "") != MODALITY])

    assert without["zlr"] == []
    assert whole()["derivations"] == without["derivations"]


def test_sweeps_that_cannot_be_judged_and_currents_that_nobody_marked_are_said():
    unseen = mapped(seen(1, None, mA="0.5", target="VA", site="tandem"))
    unmarked = mapped(*(seen(t, True, target="VA") for t in (1, 2)))
    silent = mapped(seen(1, False, target="VA"))

    said = [mapping.lines([mapping.entry(r) for r in found])[0] for found in (unseen, unmarked, silent)]

    assert said[0] == "VA (tandem), before decompression: cannot be judged: no valid sweep."
    assert said[1] == "VA, before decompression: ZLR (2 of 2), onset 7.0 ms (7.0 to 7.0), in Mentalis."
    assert said[2] == "VA, before decompression: no ZLR (1 sweeps)."


def test_screen_and_report_show_the_map():
    screen = Screen(file=io.StringIO(), record=True, width=200)
    tracked = [d.name for d in LSR.derivations if d.role == "lsr"]
    console = Console(screen, FS, tracked)
    assert isinstance(LSR, LsrModality)
    report = Report(LSR, FS, Heading("case 7", "mvd-hfs", "Decompression", "0" * 16, "9.9.9"))
    for event in EVENTS:
        console.write(event)
        report.write(event)

    console.close(whole())
    page, text = report.close(whole()), screen.export_text()

    assert "AICA, before decompression: ZLR from 0.5 mA" in text
    assert mapping.CAVEAT in text
    assert "Stimulated arteries (ZLR)" in page
    assert mapping.CAVEAT in page


def test_notes_of_the_case_are_taken_once():
    assert sum(isinstance(e, NoteTaken) for e in EVENTS) == len(CASE.notes)
