"""Which pictures a case gets: over time, against stimulus strength, and its stacked sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from ionm.sinks.report.activity import activity
from ionm.sinks.report.case import Case
from ionm.sinks.report.course import Course, Trace
from ionm.sinks.report.drawing import as_source, plain_settings
from ionm.sinks.report.frame import Label
from ionm.sinks.report.points import Points
from ionm.sinks.report.stack import Row, stack
from ionm.sinks.report.timeline import timeline
from ionm.sinks.report.titration import titration
from ionm.sinks.report.trend import trend
from ionm.sinks.report.waves import Panel
from ionm.sinks.verdict import briefly, clock, note_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Pictures:
    """Sources of ``img`` elements.

    Parameters
    ----------
    trend, timeline
        None if no derivation can be shown over time.
    activity
        Free-run EMG; None if it was not followed.
    titrations
        By derivation.
    stacks
        By derivation: how many sweeps, and the picture.
    """

    trend: str | None
    timeline: str | None
    activity: str | None
    titrations: Mapping[str, str]
    stacks: Mapping[str, tuple[int, str]]


def pictures(case: Case, stop: int, watched: Sequence[str]) -> Pictures:
    """Draw a case that ended before sample ``stop``; ``watched`` are the channels of free-run EMG."""
    shown = {name: course for name, course in case.courses.items() if course.stack.traces}
    over_time = {name: course for name, course in shown.items() if name not in case.titrated}
    controls = {name: points for name, (_, points) in case.m_controls.items()}
    notes = [
        (note.sample / case.fs, number, note_in_words(note.event, note.attributes))
        for number, note in enumerate(case.notes, 1)
        if note.event != "case"
    ]
    with plain_settings():
        return Pictures(
            as_source(trend(over_time, controls, notes, case.fs, stop)) if over_time else None,
            as_source(timeline(over_time, notes, case.gaps, case.fs, stop)) if over_time else None,
            as_source(activity(case.activity, watched, notes, case.fs, stop)) if watched else None,
            {name: as_source(titration(answers(case, name))) for name in case.titrated},
            {name: (len(c.stack.traces), as_source(_stack(case, name, notes))) for name, c in shown.items()},
        )


def answers(case: Case, name: str) -> list[tuple[str, Points]]:
    """Title and numbers of a derivation's response, and of the direct one where there is an M-control."""
    late = [(f"{name}, late response", case.courses[name].points)]
    if name not in case.m_controls:
        return late
    control, points = case.m_controls[name]
    return [*late, (f"{control}, direct response", points)]


def _stack(case: Case, name: str, notes: Sequence[Label]) -> Figure:
    m, (times, control_times) = case.modality, case.times
    control, points = case.m_controls.get(name, (None, None))
    first = Panel(name, times, _in_ms(m.response.window))
    second = (
        None if control is None else Panel(f"{control} (M-control)", control_times, _in_ms(m.m_wave.window))
    )
    course = case.courses[name]
    if name in case.titrated:
        return stack(_titrated_rows(course, points), (first, second), None, (), (None, None))
    lines = [(round(t * case.fs), f"{number} {text}") for t, number, text in notes]
    return stack(_rows(course, case.fs), (first, second), course.average, lines, _at_baseline(course))


def _rows(course: Course, fs: float) -> list[Row]:
    traces = course.stack.traces
    several_a_second = (traces[-1].trigger - traces[0].trigger) / fs < len(traces)
    return [
        Row(
            trace,
            _when(trace.trigger / fs, tenths=several_a_second),
            course.state_at(trace.trigger),
            _briefly(course.reason_at(trace)),
        )
        for trace in traces
    ]


def _titrated_rows(course: Course, direct: Points | None) -> list[Row]:
    late = course.points
    strengths = dict(zip(late.triggers.tolist(), late.strengths.tolist(), strict=True))
    late_marks, direct_marks = _marks(late), {} if direct is None else _marks(direct)

    def row(trace: Trace) -> Row:
        unjudged = trace.measurement.present is None
        reason = _briefly(trace.measurement.reason or "cannot be judged") if unjudged else None
        label = f"{strengths[trace.trigger]:#.3g} {late.unit}".rstrip()
        marks = late_marks[trace.trigger], direct_marks.get(trace.trigger, (nan, nan))
        return Row(trace, label, None, reason, marks)

    return [row(trace) for trace in course.stack.traces]


def _marks(points: Points) -> dict[int, tuple[float, float]]:
    """(onset, peak) in ms, by stimulus."""
    found = zip(points.triggers.tolist(), points.onsets * 1e3, points.peaks * 1e3, strict=True)
    return {trigger: (float(onset), float(peak)) for trigger, onset, peak in found}


def _at_baseline(course: Course) -> tuple[float | None, float | None]:
    """Amplitude of the LSR and of the M-control at the newest accepted baseline, in V."""
    values = next((b.values for b in reversed(course.baselines) if b.accepted), {})
    late, direct = (values.get(key) for key in ("amplitude_uv", "m_amplitude_uv"))
    return late * 1e-6 if isinstance(late, float) else None, direct * 1e-6 if isinstance(
        direct, float
    ) else None


def _when(seconds: float, *, tenths: bool) -> str:
    return clock(seconds) + (f".{int(seconds * 10) % 10}" if tenths else "")


def _briefly(reason: str | None) -> str | None:
    return None if reason is None else briefly(reason)


def _in_ms(window: tuple[float, float]) -> tuple[float, float]:
    return window[0] * 1e3, window[1] * 1e3
