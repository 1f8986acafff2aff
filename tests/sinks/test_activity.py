"""Free-run EMG as lines, in words, on the screen and in the report."""

import base64
import io
import json
import re

import pytest
from PIL import Image
from rich.console import Console as Screen

from ionm.events import ChannelHold, Finding
from ionm.protocol import load
from ionm.sinks import activity
from ionm.sinks.console import Console
from ionm.sinks.jsonl import line
from ionm.sinks.report import Heading, Report
from ionm.sinks.report.activity import LOOKS, Activity, Spans
from ionm.sinks.summary import Summary

FS = 1000.0
TRAIN = Finding(2510, "Mentalis", "a_train", False, 2000, 2500, 1.5e-4, 120.4, 0.05, 0.1, traintime=0.75)
BEGUN = Finding(2100, "Mentalis", "a_train", True, 2000, None, 1.5e-4, 121.0, traintime=0.35)
B_TRAIN = Finding(9000, "OrbOris", "b_train", False, 5000, 8000, 9e-5, 4.2, 0.4, elements="bursts")
SPIKE = Finding(9100, "R Mentalis", "spike", False, 9000, 9005, 8e-5, control=True)
HELD = ChannelHold(9500, "free_run", "Mentalis", True, "cautery", ("cautery",))
EVENTS = [BEGUN, TRAIN, B_TRAIN, SPIKE, HELD]
NOTHING = {"findings": {}, "blind_share": None}


def tally(seconds=0.5, clustered=0.0, risk=None, blind=0.1):
    facts = {"traintime_s": seconds, "traintime_clustered_s": clustered, "findings": {"a_train": 1}}
    muscles = {"Mentalis": {**facts, "blind_share": blind}}
    muscles["OrbOris"] = {"traintime_s": 0.0, "traintime_clustered_s": 0.0, **NOTHING, "blind_share": 0.25}
    return {
        "traintime_s": seconds,
        "traintime_risk": risk,
        "findings": {"a_train": 1, "burst": 2, "tonic": 1},
        "muscles": muscles,
        "controls": {"R <b>Mentalis": {**NOTHING, "findings": {"spike": 1}}},
    }


# lines


def test_a_finding_is_one_line_with_its_published_keys():
    assert line(TRAIN, FS) == {
        "kind": "finding",
        "sample": 2510,
        "t": 2.51,
        "modality": "free_run",
        "channel": "Mentalis",
        "role": "muscle",
        "pattern": "a_train",
        "active": False,
        "onset_s": 2.0,
        "offset_s": 2.5,
        "peak_uv": pytest.approx(150.0),
        "frequency_hz": 120.4,
        "regularity": 0.05,
        "elements": None,
        "bridged_share": 0.1,
        "traintime_s": 0.75,
    }
    assert line(BEGUN, FS)["offset_s"] is None
    assert line(SPIKE, FS)["role"] == "control"
    assert line(B_TRAIN, FS)["elements"] == "bursts"


def test_the_hold_of_a_channel_is_a_hold_with_a_channel():
    keys = line(HELD, FS)

    assert (keys["kind"], keys["channel"], keys["derivation"]) == ("hold", "Mentalis", None)
    assert (keys["active"], keys["reason"], keys["reasons"]) == (True, "cautery", ["cautery"])
    assert json.loads(json.dumps(keys)) == keys


# words


def test_findings_are_told_in_words():
    assert activity.told(BEGUN, FS) == "A-train goes on, 121 Hz, peak 150 µV"
    assert activity.told(TRAIN, FS) == "A-train, 500 ms, 120 Hz, peak 150 µV; traintime 0.75 s"
    assert activity.told(B_TRAIN, FS) == "B-train of bursts, 3.00 s, 4 Hz, peak 90 µV"
    withdrawn = Finding(2600, "Mentalis", "a_train", False, 2000, 2000, 1e-4)
    assert activity.told(withdrawn, FS) == "A-train withdrawn: it was an artefact"


def test_the_case_is_told_with_what_must_stand_beside_traintime():
    assert activity.lines(None) == []
    said, caveat = activity.lines(tally())
    assert said == (
        "Free-run EMG: 2 bursts, 1 A-train, 1 stretch of tonic firing. Traintime 0.50 s (Mentalis 0.50 s); "
        "10 to 25 % of the time could not be seen."
    )
    assert caveat == activity.NO_RISK
    assert len(activity.lines(tally(seconds=0.0))) == 1


def test_a_risk_is_a_place_on_a_curve_and_clusters_stand_apart():
    said, caveat = activity.lines(tally(clustered=1.5, risk=0.25, blind=None))

    assert "25 % of the way up the curve of the risk" in said
    assert "apart from it 1.50 s on most muscles within 3 s (Rampp 2019)" in said
    assert "; 25 % of the time" in said
    assert caveat == activity.RISK


def test_a_silent_case_says_that_nothing_was_found():
    assert activity.counts({}) == "nothing was found"


# the screen and the report


def test_the_screen_shows_all_but_spikes():
    screen = Screen(file=io.StringIO(), record=True, width=200)
    console = Console(screen, FS, [])
    for event in EVENTS:
        console.write(event)
    summary = Summary(FS, [])
    console.close(summary.close(10_000, {}, {"free_run": tally()}))

    text = screen.export_text()
    assert "EMG Mentalis" in text
    assert "A-train, 500 ms, 120 Hz" in text
    assert "held: cautery" in text
    assert "spike" not in text
    assert activity.NO_RISK in text


def page_of(tallies):
    spec = load("mvd-hfs").modality()
    report = Report(spec, FS, Heading("c", "p", "t", "0" * 16, "9"))
    summary = Summary(FS, [d.name for d in spec.derivations if d.role == "lsr"])
    for event in EVENTS:
        report.write(event)
        summary.write(event)
    return report.close(summary.close(10_000, {}, tallies))


def test_the_report_has_a_table_and_a_picture_and_escapes_names():
    page = page_of({"free_run": tally()})

    assert "<h2>Free-run EMG</h2>" in page
    assert activity.NO_RISK in page
    assert "R &lt;b&gt;Mentalis" in page
    assert "<b>Mentalis</b></td>" in page
    (source,) = re.findall(r'src="data:image/png;base64,([^"]*)" alt="Findings of free-run', page)
    picture = Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    red = tuple(int(LOOKS["a_train"][1][i : i + 2], 16) for i in (1, 3, 5))
    assert any(sum(abs(a - b) for a, b in zip(red, colour, strict=True)) < 12 for colour in colours)


def test_a_case_without_free_run_emg_says_nothing_of_it():
    assert "Free-run EMG" not in page_of(None)


def test_a_report_of_a_day_stays_small_and_loses_no_time_span():
    spans = Spans()
    for k in range(100_000):
        spans.push(1000 * k, 1000 * k + 20)

    assert len(spans.spans) <= Spans.MOST
    assert spans.spans[0][0] == 0
    assert spans.spans[-1][1] == 99_999_020


def test_a_hold_that_stands_at_the_end_reaches_to_it():
    kept = Activity()
    kept.take(HELD)
    kept.take(ChannelHold(9600, "free_run", "Mentalis", True, "saturation", ("cautery", "saturation")))

    assert kept.held("Mentalis", 12_000) == [(9500, 12_000)]
    kept.take(ChannelHold(9900, "free_run", "Mentalis", False, "saturation", ()))
    assert kept.held("Mentalis", 12_000) == [(9500, 9900)]
    assert kept.found("Mentalis") == {}
