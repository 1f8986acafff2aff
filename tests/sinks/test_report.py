import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ionm.events import (
    BaselineTaken,
    Event,
    Gap,
    Hold,
    Measurement,
    NoteTaken,
    Response,
    StateChange,
    Sweep,
)
from ionm.modality import LsrModality
from ionm.protocol import load
from ionm.sinks.report import Heading, Report
from ionm.sinks.report.course import Course, Stack, Trace
from ionm.sinks.report.drawing import LONGEST, drawable, fitting, nice, spread, width_of
from ionm.sinks.report.frame import placed
from ionm.sinks.report.points import Points
from ionm.sinks.summary import Summary
from ionm.stream import Note, Trigger

FS = 5000.0
EVERY = 5000  # samples between stimuli: 1 s
HOSTILE = "<script>alert('x')</script> $x_$ & 漢字\n"


@dataclass(frozen=True)
class LineFilter:
    """A filter that the report knows nothing of."""

    frequency: float

    def start(self, info: Any) -> Any:
        raise NotImplementedError


def modality() -> LsrModality:
    return load("mvd-hfs").modality()


def sweep(trigger: Trigger, rows: int, amplitude: float) -> Sweep:
    spec = modality()
    zero = round(-spec.sweep[0] * FS)
    length = round((spec.sweep[1] - spec.sweep[0]) * FS)
    times = (np.arange(length) - zero) / FS
    wave = amplitude / 2 * np.sin(2 * np.pi * 400 * times) * (np.abs(times - 11e-3) < 1.25e-3)
    m_wave = 7e-4 * np.sin(2 * np.pi * 300 * times) * (np.abs(times - 3e-3) < 1.7e-3)
    data = np.stack([wave] * (rows - 1) + [m_wave])
    return Sweep(trigger.sample + length - zero - 1, trigger, data, np.ones(data.shape, bool), zero)


def responses(
    number: int, amplitude: float | None, reason: str | None = None, strength: str = "12"
) -> Iterable[Response]:
    """What one zygomatic stimulus gives: two LSRs and the M-control."""
    trigger = Trigger((number + 1) * EVERY, "zygomatic", {"mA": strength})
    rows = modality().at("zygomatic")
    cut = sweep(trigger, len(rows), amplitude or 0.0)
    found = (10e-3, 11e-3) if amplitude is not None else None
    percent = None if amplitude is None else 100 * amplitude / 200e-6
    for row, d in enumerate(rows):
        present = None if reason else amplitude is not None
        m = Measurement(present, amplitude, *(found or (None, None)), 50.0, 1e-6, 3e-6, 20e-6, reason)
        shown = percent
        if d.role == "m_control":
            m, shown = Measurement(True, 1400e-6, 2e-3, 3e-3), 100.0
        yield Response(cut.sample, "lsr", d.name, d.site, d.channel, d.role, trigger, m, shown, cut, row)


def names() -> list[str]:
    return [d.name for d in modality().derivations if d.role == "lsr"]


VALUES = {
    "elicited": True,
    "amplitude_uv": 200.0,
    "latency_ms": 10.0,
    "m_amplitude_uv": 1400.0,
    "responses": 20,
    "sweeps": 20,
    "stimulus": "mA=12",
    "interval_s": 1.0,
}


def note(second: float, event: str, **attributes: str) -> NoteTaken:
    sample = round(second * FS)
    return NoteTaken(sample, Note(sample, sample, event, attributes))


def lost_case(*more: Event) -> list[Event]:
    """Twenty sweeps of baseline, an LSR that is lost at 31 s, cautery from 41 s on to 45 s."""
    events: list[Event] = [Hold(0, n, True, "no_baseline", ("no_baseline",)) for n in names()]
    for number in range(60):
        reason = "cautery" if 40 <= number < 45 else None
        events += responses(number, 200e-6 if number < 30 else None, reason)
        now = events[-1].sample
        for name in names():
            if number == 19 and name.startswith("zygomatic"):
                events.append(BaselineTaken(now, "lsr", name, True, "note/baseline", VALUES))
                events.append(Hold(now, name, False, "no_baseline", ()))
                events.append(StateChange(now, "lsr", name, "PRESENT", "UNKNOWN", EVERY, 100.0, 9.0, "note"))
            elif number == 19:
                events.append(BaselineTaken(now, "lsr", name, False, "only 3 valid sweeps, need 20", {}))
            elif number == 33 and name.startswith("zygomatic"):
                since = 31 * EVERY
                events.append(StateChange(now, "lsr", name, "ABSENT", "PRESENT", since, None, 9.0, "misses"))
            elif number in (40, 45) and name.startswith("zygomatic"):
                reasons = ("cautery",) if number == 40 else ()
                events.append(Hold(now, name, number == 40, "cautery", reasons))
    events += [note(29.5, "vessel-lifted", vessel="AICA"), *more]
    return sorted(events, key=lambda event: event.sample)


def written(
    events: Sequence[Event],
    seconds: float = 62.0,
    recording: str = "case 7",
    spec: LsrModality | None = None,
) -> str:
    heading = Heading(recording, "mvd-hfs", "Decompression", "0123456789abcdef", "9.9.9", "L")
    spec = spec or modality()
    followed = [d.name for d in spec.derivations if d.role == "lsr"]
    report, summary = Report(spec, FS, heading), Summary(FS, followed)
    for event in events:
        report.write(event)
        summary.write(event)
    return report.close(summary.close(round(seconds * FS), {}))


def pictures(page: str) -> list[Image.Image]:
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)).split())


@pytest.fixture(scope="module")
def page() -> str:
    return written(lost_case())


def test_a_report_names_its_case_and_says_that_it_is_no_medical_device(page: str) -> None:
    text = text_of(page)

    assert "case 7" in text
    assert "side left" in text
    assert "ionm 9.9.9" in text
    assert "ionm is research software, not a medical device." in text


def test_a_report_says_when_the_response_was_lost_and_after_which_note(page: str) -> None:
    said = "LSR present at baseline (200 µV), lost at 0:31 (31.0 s), 1.5 s after note vessel-lifted (AICA)"

    assert said in text_of(page)


def test_a_report_says_why_nothing_is_known_of_a_derivation_without_baseline(page: str) -> None:
    assert "no baseline (refused: only 3 valid sweeps, need 20); cannot be judged." in text_of(page)


def test_a_report_needs_nothing_but_itself(page: str) -> None:
    assert not re.findall(r"https?:|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([a-z]+:)', page)) == {"data:"}


def test_a_report_stays_below_five_megabytes(page: str) -> None:
    assert len(page.encode()) < 5e6


def test_a_report_shows_trend_timeline_and_one_stack_for_each_derivation_with_sweeps(page: str) -> None:
    shown = pictures(page)

    assert len(shown) == 4
    assert all(picture.size[0] == 1700 for picture in shown)
    assert len({picture.size[1] for picture in shown}) == 3  # both stacks have the same rows


def test_the_same_events_give_the_same_bytes(page: str) -> None:
    assert written(lost_case()) == page


def test_nothing_from_a_recording_becomes_markup() -> None:
    page = written(lost_case(note(33, "text", text=HOSTILE)), recording=HOSTILE)

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3  # title, heading, table of notes


@pytest.mark.parametrize("text", ["$x_$", "$\\frac$", HOSTILE, "a\x00b\u202e", "", "w" * 500])
def test_no_text_of_a_note_is_taken_for_a_formula_or_breaks_the_picture(text: str) -> None:
    page = written(lost_case(note(33, "text", text=text)))

    assert len(pictures(page)) == 4


def test_the_settings_of_the_user_change_nothing(page: str) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": False}):
        assert written(lost_case()) == page


def test_a_report_leaves_the_settings_of_matplotlib_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)

    written(lost_case())

    assert dict(mpl.rcParams) == before


def test_matplotlib_is_loaded_only_when_a_report_is_written() -> None:
    code = "import sys, ionm.sinks.report; print('matplotlib' in sys.modules, 'jinja2' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


def test_a_case_without_any_sweep_gives_a_report() -> None:
    page = written([Hold(0, name, True, "no_baseline", ("no_baseline",)) for name in names()])

    assert "No sweep was recorded." in page
    assert pictures(page) == []


def test_a_gap_and_many_notes_are_drawn() -> None:
    notes = [note(k / 4, "irrigation") for k in range(240)]

    page = written(lost_case(Gap(round(50 * FS), round(48 * FS), round(50 * FS)), *notes))

    assert len(pictures(page)) == 4


def test_a_stimulus_that_varies_gives_a_titration_instead_of_a_course() -> None:
    events: list[Event] = []
    for number in range(40):
        amplitude = 100e-6 if 10 <= number < 20 else None
        events += responses(number, amplitude, strength=f"{5 + number / 4:g}")

    page = written(events)

    assert "a response in 10 of 40 judged sweeps, at 7.5 to 9.75 mA; largest 100 µV at 9.75 mA." in text_of(
        page
    )
    assert "In zygomatic&gt;Mentalis, zygomatic&gt;OrbOris the stimulus varied from sweep to sweep" in page
    assert len(pictures(page)) == 4  # per derivation a titration and a stack


def test_a_whole_recording_that_is_a_titration_has_no_state() -> None:
    zygomatic = replace(modality(), derivations=modality().at("zygomatic"), filters=(LineFilter(50.0),))
    events = [e for number in range(40) for e in responses(number, None, "noise", strength=f"{number}")]

    page = written(events, spec=zygomatic)

    assert "amplitude is shown against its strength, no state is judged." in text_of(page)
    assert "no baseline, no state: the stimulus varied" in text_of(page)
    assert "LineFilter(frequency=50.0)" in text_of(page)


def test_without_m_control_the_response_stands_alone() -> None:
    spec = replace(modality(), derivations=tuple(d for d in modality().derivations if d.role == "lsr"))
    course = [e for number in range(40) for e in responses(number, 2e-4) if e.role == "lsr"]
    titration = [e for k in range(40) for e in responses(k, 2e-4, strength=f"{k}") if e.role == "lsr"]

    pages = [written(course, spec=spec), written(titration, spec=spec)]

    assert [len(pictures(page)) for page in pages] == [4, 4]
    assert all("M-control: window" not in page for page in pages)


def test_responses_without_a_baseline_are_drawn_in_microvolts() -> None:
    events = [replace(e, percent_of_baseline=None) for number in range(20) for e in responses(number, 2e-4)]

    assert len(pictures(written(events))) == 4


def test_a_stimulus_whose_strength_is_not_marked_is_no_titration() -> None:
    events = [
        replace(e, trigger=Trigger(e.trigger.sample, "zygomatic")) for k in range(20) for e in responses(k, 0)
    ]

    assert "stimulus varied" not in written(events)


def test_a_spare_muscle_is_not_reported() -> None:
    spare = [replace(e, role="spare", derivation="zygomatic>Nasalis") for e in responses(0, 2e-4)]

    assert "Nasalis" not in written(spare)


def test_what_is_too_short_for_its_text_is_drawn_without() -> None:
    assert len(pictures(written(lost_case(), seconds=36_000))) == 4


# what is kept


def trace(number: int) -> Trace:
    return Trace(number, 10 * number, 10 * number + 5, Measurement(True), np.zeros(4, np.float32), None)


@given(st.integers(1, 5000), st.lists(st.integers(0, 4999), max_size=80))
def test_a_stack_never_holds_more_than_it_may(n: int, marked: list[int]) -> None:
    stack = Stack()
    for number in range(n):
        stack.push(trace(number))
        if number in marked:
            stack.pin(10 * number)

    kept = [t.number for t in stack.traces]

    assert len(kept) <= Stack.MOST
    assert kept == sorted(set(kept))
    assert kept[0] == 0


def test_a_stack_thins_evenly() -> None:
    stack = Stack()
    for number in range(10_000):
        stack.push(trace(number))

    assert len({b.number - a.number for a, b in pairwise(stack.traces)}) == 1


def test_a_stack_keeps_the_sweep_at_which_a_state_changed() -> None:
    stack = Stack()
    for number in range(10_000):
        stack.push(trace(number))
        if number == 3337:
            stack.pin(33330)

    assert 3333 in [t.number for t in stack.traces]


def test_a_flickering_state_does_not_fill_the_stack() -> None:
    stack = Stack()
    for number in range(300):
        stack.push(trace(number))
        stack.pin(10 * number)

    assert len(stack.traces) <= Stack.MOST


def test_a_course_of_ten_hours_keeps_few_waves() -> None:
    course = Course((0, 100), (0, 50), 2)
    first = next(iter(responses(0, 200e-6)))

    for _ in range(36_000):
        course.respond(first)

    assert len(course.stack.traces) <= Stack.MOST
    assert len(course.points.amplitudes) == 36_000


def test_a_sweep_during_a_hold_is_not_judged_but_one_before_the_baseline_is() -> None:
    course = Course((0, 10), (0, 10), None)
    course.take(Hold(0, "a>B", True, "no_baseline", ("no_baseline",)))
    course.take(Hold(100, "a>B", True, "noise", ("no_baseline", "noise")))
    course.take(Hold(200, "a>B", False, "noise", ()))

    assert [course.reason_at(trace(number)) for number in (1, 12, 30)] == [None, "noise", None]


def test_states_count_from_their_first_sweep_and_holds_from_when_they_became_known() -> None:
    course = Course((0, 10), (0, 10), None)
    course.take(StateChange(90, "lsr", "a>B", "PRESENT", "UNKNOWN", 50, 100.0, 9.0, ""))
    course.take(StateChange(190, "lsr", "a>B", "ABSENT", "PRESENT", 150, None, 9.0, ""))
    course.take(Hold(160, "a>B", True, "noise", ("noise",)))
    course.take(Hold(170, "a>B", False, "noise", ()))

    assert course.state_spans(300) == [(0, 50, "UNKNOWN"), (50, 150, "PRESENT"), (150, 300, "ABSENT")]
    assert course.hold_spans(300) == [(160, 170, ("noise",))]
    assert [course.state_at(t) for t in (0, 50, 149, 150)] == ["UNKNOWN", "PRESENT", "PRESENT", "ABSENT"]


def test_four_steps_of_current_are_no_titration_and_five_are() -> None:
    found = []
    for steps in (4, 5):
        points = Points()
        for number in range(20):
            points.push(next(iter(responses(number, None, strength=str(number % steps)))))
        found.append(points.titrated)

    assert found == [False, True]


# drawing


@given(st.text(max_size=200))
def test_any_text_is_drawable_on_one_line(text: str) -> None:
    shown = drawable(text)

    assert len(shown) <= LONGEST
    assert "\n" not in shown
    assert all(c.isprintable() for c in shown)


def test_a_letter_that_the_font_lacks_becomes_a_box() -> None:
    assert drawable("µV 漢") == "µV □"


def test_a_text_is_cut_to_its_room() -> None:
    assert fitting("", 7, 0.0) == ""
    assert fitting("vessel-lifted", 7, 5.0) == "vessel-lifted"
    assert fitting("vessel-lifted", 7, 0.4).endswith("…")
    assert width_of(fitting("vessel-lifted", 7, 0.4), 7) <= 0.4


@given(st.lists(st.floats(0, 100), max_size=30).map(sorted), st.floats(0.1, 10))
def test_spread_places_keep_their_distance_where_there_is_room(wanted: list[float], least: float) -> None:
    places = spread(wanted, least, 0, 100)
    room = (len(wanted) - 1) * least <= 100

    assert len(places) == len(wanted)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in places)
    if room:
        assert all(b - a >= least - 1e-9 for a, b in pairwise(places))


@pytest.mark.parametrize(("value", "bar"), [(1.0, 1), (19.9, 10), (20, 20), (64, 50), (999, 500), (0.3, 0.2)])
def test_a_scale_bar_is_one_two_or_five(value: float, bar: float) -> None:
    assert nice(value) == pytest.approx(bar)


@given(st.lists(st.floats(0, 60), max_size=40).map(sorted))
def test_labels_of_notes_overlap_neither_labels_nor_lines(times: list[float]) -> None:
    notes = [(t, k, "vessel-lifted (AICA)") for k, t in enumerate(times)]

    labels = placed(notes, 60.0, 8.0)

    boxes = [(lane, t, left, left + width_of(text, 7.0) * 60 / 8) for lane, t, left, text in labels]
    for (lane, t, left, right), (other, other_t, other_left, other_right) in permutations(boxes, 2):
        assert lane != other or right <= other_left or other_right <= left
        assert lane > other or left < t or not left < other_t < right
