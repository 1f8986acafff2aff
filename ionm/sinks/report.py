"""The report of a case: one HTML page with words, tables and pictures, and nothing outside it.

Everything that comes from a recording is untrusted text: the template escapes it, and the
pictures draw it letter by letter (`ionm.sinks.report_drawing`). matplotlib and jinja2 are loaded
when the report is written, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ionm.events import BaselineTaken, Event, Gap, Hold, NoteTaken, Response, StateChange
from ionm.modality import Derivation, LsrModality
from ionm.sinks import verdict
from ionm.sinks.report_course import Course, Points, Trace
from ionm.sinks.report_drawing import CONTROL, STATES, as_source, plain_settings
from ionm.sinks.report_stack import Panel, Row, stack
from ionm.sinks.report_times import Label, timeline, trend
from ionm.sinks.report_titration import titration

BEFORE, AFTER = 0.1, 0.25
"""Shares of a window that are drawn before and after it (before it lie M-waves of neighbours)."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a report says of the case before its first sweep.

    Parameters
    ----------
    recording
        Its name.
    protocol, protocol_title, protocol_hash
        As the protocol says them.
    version
        Of this software.
    side
        "L", "R" or None.
    description
        Format and device of the recording.
    missing, problems
        What the recording lacks of the protocol, and what is odd about it.
    """

    recording: str
    protocol: str
    protocol_title: str
    protocol_hash: str
    version: str
    side: str | None = None
    description: str = ""
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Report:
    """A sink that gathers a case and writes it up.

    Parameters
    ----------
    modality
        What was recorded and how it was judged.
    fs
        Sampling rate, in Hz.
    heading
        What stands above the report.
    """

    def __init__(self, modality: LsrModality, fs: float, heading: Heading) -> None:
        self._modality, self._fs, self._heading = modality, fs, heading
        self._stretch = self._around(modality.response.window)
        self._control_stretch = self._around(modality.m_wave.window)
        self._courses = {d.name: self._course(d) for d in modality.derivations if d.role == "lsr"}
        self._controls = {d.site: (d, Points()) for d in modality.derivations if d.role == "m_control"}
        self._notes: list[tuple[int, str, Mapping[str, str]]] = []
        self._gaps: list[tuple[int, int]] = []

    def _around(self, window: tuple[float, float]) -> tuple[int, int]:
        length = window[1] - window[0]
        begin, end = self._modality.sweep
        stretch = max(begin, window[0] - BEFORE * length), min(end, window[1] + AFTER * length)
        return round(stretch[0] * self._fs), round(stretch[1] * self._fs)

    def _course(self, derivation: Derivation) -> Course:
        roles = [d.role for d in self._modality.at(derivation.site)]
        control = roles.index("m_control") if "m_control" in roles else None
        return Course(self._stretch, self._control_stretch, control)

    def write(self, item: Event) -> None:
        """Take one event."""
        match item:
            case Response():
                if item.derivation in self._courses:
                    self._courses[item.derivation].respond(item)
                elif item.role == "m_control":
                    self._controls[item.site][1].push(item)
            case StateChange() | Hold() | BaselineTaken():
                self._courses[item.derivation].take(item)
            case NoteTaken():
                self._notes.append((item.note.sample, item.note.event, item.note.attributes))
            case Gap():
                self._gaps.append((item.start, item.stop))

    def close(self, summary: Mapping[str, Any]) -> str:
        """The page, for a case that came to ``summary`` (see `ionm.sinks.summary`)."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["clock"] = verdict.clock
        titrated = [name for name, course in self._courses.items() if course.points.titrated]
        with plain_settings():
            pictures = self._pictures(summary, titrated)
        page = environment.get_template("report.html").render(
            heading=self._heading,
            summary=summary,
            overall=self._overall(summary, titrated),
            sentences=self._sentences(summary, titrated),
            states=STATES,
            table=[self._line(name, summary) for name in self._courses],
            pictures=pictures,
            notes=[self._note(*note) for note in self._sorted_notes()],
            baselines=self._baselines(),
            settings=self._settings(),
            control_colour=CONTROL,
            titrated=titrated,
        )
        return page + "\n"

    # words

    def _overall(self, summary: Mapping[str, Any], titrated: Sequence[str]) -> str:
        if titrated:
            return "The stimulus varied from sweep to sweep: amplitude is shown against strength, and no state is judged."
        return verdict.overall(summary)

    def _sentences(self, summary: Mapping[str, Any], titrated: Sequence[str]) -> list[tuple[str, str]]:
        said = []
        for name, course in self._courses.items():
            if name not in titrated:
                said.append((name, verdict.course(summary["derivations"][name], summary["notes"])))
                continue
            said += [(what, _titrated(points)) for what, points in self._titration(name, course)]
        return list(dict.fromkeys(said))

    def _line(self, name: str, summary: Mapping[str, Any]) -> dict[str, Any]:
        facts = summary["derivations"][name]
        sign, colour = STATES[facts["final_state"]]
        return {
            "name": name,
            "sign": sign,
            "colour": colour,
            "state": facts["final_state"].replace("_", " "),
            "control": self._control_of(name)[0],
            "held_now": verdict.in_words(facts["held_at_end"]),
            "held": [(verdict.briefly(reason), s) for reason, s in sorted(facts["held_s"].items())],
            **facts,
        }

    def _sorted_notes(self) -> list[tuple[int, str, Mapping[str, str]]]:
        return sorted(self._notes, key=lambda note: note[0])

    def _note(self, sample: int, event: str, attributes: Mapping[str, str]) -> tuple[float, str, str]:
        return sample / self._fs, event, ", ".join(f"{key} = {value}" for key, value in attributes.items())

    def _baselines(self) -> list[tuple[str, float, BaselineTaken]]:
        taken = [
            (b.sample / self._fs, name, b) for name, course in self._courses.items() for b in course.baselines
        ]
        return [(name, t, b) for t, name, b in sorted(taken, key=lambda item: item[:2])]

    def _settings(self) -> list[tuple[str, str]]:
        m = self._modality
        control = any(d.role == "m_control" for d in m.derivations)
        filters = "; ".join(_filter(f) for f in m.filters) or "none"
        settings = [
            ("Protocol", f"{self._heading.protocol} ({self._heading.protocol_title})"),
            ("Protocol hash", self._heading.protocol_hash),
            ("Sampling rate", f"{self._fs:g} Hz"),
            ("Filters (causal)", filters),
            ("Sweep", _milliseconds(m.sweep)),
            ("LSR window", _milliseconds(m.response.window)),
            ("LSR: samples hidden after the stimulus", f"{m.response.clean_from * 1e3:g} ms"),
            ("LSR: false responses in noise", f"{m.response.alpha * 100:g} % of sweeps"),
            ("LSR: smallest amplitude", f"{m.response.floor * 1e6:g} µV"),
        ]
        if control:
            settings.append(("M-control window", _milliseconds(m.m_wave.window)))
        return settings

    # pictures

    def _control_of(self, name: str) -> tuple[str | None, Points | None]:
        site = next(d.site for d in self._modality.derivations if d.name == name)
        derivation, points = self._controls.get(site, (None, None))
        return (None if derivation is None else derivation.name), points

    def _pictures(self, summary: Mapping[str, Any], titrated: Sequence[str]) -> dict[str, Any]:
        stop = max(1, round(summary["duration_s"] * self._fs))
        labels = [
            (sample / self._fs, number, verdict.note_in_words(event, attributes))
            for number, (sample, event, attributes) in enumerate(self._sorted_notes(), 1)
            if event != "case"
        ]
        shown = {name: course for name, course in self._courses.items() if course.stack.traces}
        over_time = {name: course for name, course in shown.items() if name not in titrated}
        controls = {name: points for name in shown if (points := self._control_of(name)[1]) is not None}
        times = None
        if over_time:
            times = {
                "trend": as_source(trend(over_time, controls, labels, self._fs, stop)),
                "timeline": as_source(timeline(over_time, labels, self._gaps, self._fs, stop)),
            }
        return {
            "times": times,
            "titrations": [
                (name, as_source(titration(self._titration(name, shown[name])))) for name in titrated
            ],
            "stacks": [
                (
                    name,
                    len(course.stack.traces),
                    as_source(self._stack(name, course, labels, name in titrated)),
                )
                for name, course in shown.items()
            ],
        }

    def _titration(self, name: str, course: Course) -> list[tuple[str, Points]]:
        control, points = self._control_of(name)
        late = [(f"{name}, late response", course.points)]
        return late if control is None or points is None else [*late, (f"{control}, direct response", points)]

    def _stack(self, name: str, course: Course, notes: Sequence[Label], titrated: bool) -> Any:  # noqa: FBT001
        control, points = self._control_of(name)
        panels = (
            Panel(name, self._times(self._stretch), _in_ms(self._modality.response.window)),
            None
            if control is None
            else Panel(
                f"{control} (M-control)",
                self._times(self._control_stretch),
                _in_ms(self._modality.m_wave.window),
            ),
        )
        traces = course.stack.traces
        if titrated:
            rows = _titration_rows(traces, course.points, points)
            return stack(rows, panels, None, (), (None, None))
        short = (traces[-1].trigger - traces[0].trigger) / self._fs < len(traces)  # several a second
        rows = [
            Row(
                t,
                _when(t.trigger / self._fs, tenths=short),
                course.state_at(t.trigger),
                _briefly(course.reason_at(t)),
            )
            for t in traces
        ]
        lines = [(round(t * self._fs), f"{number} {text}") for t, number, text in notes]
        return stack(rows, panels, course.average, lines, _baseline_amplitudes(course))

    def _times(self, stretch: tuple[int, int]) -> Any:
        return np.arange(*stretch) / self._fs * 1e3


def _when(seconds: float, *, tenths: bool) -> str:
    return verdict.clock(seconds) + (f".{int(seconds * 10) % 10}" if tenths else "")


def _briefly(reason: str | None) -> str | None:
    return None if reason is None else verdict.briefly(reason)


def _titration_rows(traces: Sequence[Trace], late: Points, direct: Points | None) -> list[Row]:
    marks = {}
    for k, points in enumerate((late, direct)):
        if points is not None:
            found = zip(points.triggers, points.onsets * 1e3, points.peaks * 1e3, strict=True)
            marks[k] = {int(trigger): (float(onset), float(peak)) for trigger, onset, peak in found}
    strengths = dict(zip(late.triggers.tolist(), late.strengths.tolist(), strict=True))
    nothing = (float("nan"), float("nan"))
    return [
        Row(
            trace,
            f"{strengths[trace.trigger]:#.3g} {late.unit}".rstrip(),
            None,
            _briefly(trace.measurement.reason) if trace.measurement.present is None else None,
            (marks[0].get(trace.trigger, nothing), marks.get(1, {}).get(trace.trigger, nothing)),
        )
        for trace in traces
    ]


def _titrated(points: Points) -> str:
    judged = points.present >= 0
    amplitudes = [float(a) if np.isfinite(a) else None for a in points.amplitudes[judged]]
    return verdict.titration(points.strengths[judged].tolist(), amplitudes, points.unit)


def _baseline_amplitudes(course: Course) -> tuple[float | None, float | None]:
    """Of the LSR and the M-control at the newest accepted baseline, in V."""
    values = next((b.values for b in reversed(course.baselines) if b.accepted), {})
    found = []
    for key in ("amplitude_uv", "m_amplitude_uv"):
        value = values.get(key)
        found.append(value * 1e-6 if isinstance(value, float) else None)
    return found[0], found[1]


def _in_ms(window: tuple[float, float]) -> tuple[float, float]:
    return window[0] * 1e3, window[1] * 1e3


def _milliseconds(window: tuple[float, float]) -> str:
    return f"{window[0] * 1e3:g} to {window[1] * 1e3:g} ms"


def _filter(spec: Any) -> str:
    """A filter in words: "Highpass 10 Hz, order 2"; its whole spec where it has no such settings."""
    settings = {field.name for field in fields(spec)}
    if {"cutoff", "order"} <= settings:
        return f"{type(spec).__name__} {spec.cutoff:g} Hz, order {spec.order}"
    return repr(spec)
