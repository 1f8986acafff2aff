"""A technical alarm says that a site's stimuli keep step with the mains, and when they do so no longer."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console as Screen

from ionm.events import Alarm, Response
from ionm.mains_watch import MainsWatch
from ionm.protocol import load
from ionm.session import Session
from ionm.sinks.console import Console
from ionm.sinks.jsonl import line
from ionm.sinks.report import Heading, Report
from ionm.sinks.summary import Summary
from ionm.stream import Channel, Chunk, StreamInfo, Trigger

FS = 5000.0
INFO = StreamInfo(FS, tuple(Channel(name) for name in ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")))
MVD = load("mvd-hfs").modality()


def told(times, site="zygomatic", info=INFO, watch=None):
    watch = watch or MainsWatch("lsr", info)
    samples = [round(t * FS) for t in times]
    return [event for s in samples for event in watch.push(s + 250, Trigger(s, site))]


@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0, 10.0])
def test_a_rate_that_divides_the_mains_is_told_once(rate):
    (alarm,) = told(np.arange(100) / rate)

    assert (alarm.raised, alarm.category, alarm.priority) == (True, "technical", "info")
    assert (alarm.criterion, alarm.unit, alarm.site, alarm.derivation) == (
        "mains_locked",
        "Hz",
        "zygomatic",
        None,
    )
    assert alarm.value == pytest.approx(rate)
    assert alarm.limit % rate == 0
    assert alarm.sample == round(19 / rate * FS) + 250


@pytest.mark.parametrize("rate", [1.1, 2.3, 4.7, 5.1])
def test_an_advised_rate_is_not_told(rate):
    assert told(np.arange(100) / rate) == []


def test_it_is_over_when_the_rate_changes_and_told_anew_when_it_changes_back():
    first, second = np.arange(40) / 2.0, 20 + np.arange(1, 41) / 2.3
    times = [*first, *second, *(second[-1] + np.arange(1, 41) / 2.0)]

    alarms = told(times)

    assert [alarm.raised for alarm in alarms] == [True, False, True]
    assert "no longer" in alarms[1].reason
    assert alarms[1].value == pytest.approx(2.3, rel=1e-3)


def test_each_site_is_told_for_itself():
    watch = MainsWatch("lsr", INFO)

    alarms = [*told(np.arange(20) / 2.0, watch=watch), *told(np.arange(20) / 2.3, "mandibular", watch=watch)]
    alarms += told(np.arange(20, 40) / 2.0, "mandibular", watch=watch)

    assert [alarm.site for alarm in alarms] == ["zygomatic", "mandibular"]


def test_a_recording_of_single_sweeps_has_no_clock_to_compare_with():
    assert told(np.arange(100) / 2.0, info=replace(INFO, segmented=True)) == []


def events_of(rate, seconds=14):
    """Both sites at one rate, half a period apart, on plain noise."""
    n = int(seconds * FS)
    times = [(0.4 + k / rate, "zygomatic") for k in range(int((seconds - 1) * rate))]
    times += [(t + 0.5 / rate, "mandibular") for t, _ in times]
    triggers = tuple(Trigger(round(t * FS), site) for t, site in sorted(times))
    data = np.random.default_rng(1).normal(0, 3e-6, (4, n))
    session = Session((MVD,), INFO)
    return session.push(Chunk(data, np.isfinite(data), 0, triggers)) + session.finish()


def test_a_session_tells_it_behind_the_sweep_that_shows_it():
    events = events_of(2.0)

    found = [(i, e) for i, e in enumerate(events) if isinstance(e, Alarm)]
    assert [e.site for _, e in found] == ["zygomatic", "mandibular"]
    for i, alarm in found:
        before = [e for e in events[:i] if isinstance(e, Response)][-1]
        assert (before.sample, before.site) == (alarm.sample, alarm.site)


def test_an_advised_rate_gives_a_session_without_alarms():
    assert not any(isinstance(e, Alarm) for e in events_of(2.3))


def test_line_screen_summary_and_report_all_say_it():
    events = events_of(2.0)
    alarm = next(e for e in events if isinstance(e, Alarm))
    tracked = [d.name for d in MVD.derivations if d.role == "lsr"]
    screen = Screen(file=io.StringIO(), record=True, width=200)
    summary, console = Summary(FS, tracked), Console(screen, FS, tracked)
    report = Report(MVD, FS, Heading("case 7", "mvd-hfs", "Decompression", "0" * 16, "9.9.9"))
    for event in events:
        for sink in (summary, console, report):
            sink.write(event)

    whole = summary.close(round(14 * FS), {})
    keys = line(alarm, FS)
    page = report.close(whole)

    assert json.loads(json.dumps(keys, allow_nan=False)) == keys
    assert (keys["kind"], keys["class"], keys["priority"], keys["site"]) == (
        "alarm",
        "technical",
        "info",
        "zygomatic",
    )
    assert [a["site"] for a in whole["alarms"]] == ["zygomatic", "mandibular"]
    assert "technical alarm (info): stimuli at zygomatic keep step with 50 Hz" in screen.export_text()
    assert "stimuli at mandibular keep step with 50 Hz" in page


def test_the_end_of_an_alarm_is_put_into_words():
    screen = Screen(file=io.StringIO(), record=True, width=200)
    console = Console(screen, FS, [])
    for alarm in told([*np.arange(20) / 2.0, *(10 + np.arange(20) / 2.3)]):
        console.write(alarm)

    assert "technical alarm over: stimuli at zygomatic keep step with 50 Hz no longer" in screen.export_text()
