"""The report of a case: one HTML page with words, tables and pictures, and nothing outside it.

Everything that comes from a recording is untrusted text: the template escapes it, and the
pictures draw it letter by letter (`ionm.sinks.report.drawing`). matplotlib and jinja2 are loaded
when the report is written, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ionm.events import BaselineTaken, Event
from ionm.modality import LsrModality
from ionm.sinks import activity, mapping, naming, verdict
from ionm.sinks.report.activity import LOOKS
from ionm.sinks.report.case import Case
from ionm.sinks.report.drawing import CONTROL, STATES
from ionm.sinks.report.manoeuvres import manoeuvres
from ionm.sinks.report.pictures import answers, pictures
from ionm.sinks.report.points import Points


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
        self._case = Case(modality, fs)
        self._heading = heading

    def write(self, item: Event) -> None:
        """Take one event."""
        self._case.write(item)

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
        case, free_run = self._case, summary["free_run"]
        watched = [] if free_run is None else [*free_run["muscles"], *free_run["controls"]]
        page = environment.get_template("page.html").render(
            heading=self._heading,
            summary=summary,
            overall=_overall(case, summary),
            sentences=_sentences(case, summary),
            states=STATES,
            table=[_line(case, name, facts) for name, facts in summary["derivations"].items()],
            pictures=pictures(case, max(1, round(summary["duration_s"] * case.fs)), watched),
            notes=[(n.sample / case.fs, n.event, _attributes(n.attributes)) for n in case.notes],
            followed=case.followed,
            manoeuvres=manoeuvres(case),
            baselines=_baselines(case),
            settings=_settings(case, self._heading),
            free_run=free_run,
            free_run_said=None if free_run is None else activity.traintime(free_run),
            free_run_caveat=None if free_run is None else activity.caveat(free_run),
            patterns=[(activity.PATTERNS[name], name, *look) for name, look in LOOKS.items()],
            zlr=[(record, mapping.sentence(record)) for record in summary["zlr"]],
            zlr_caveat=mapping.CAVEAT,
            control_colour=CONTROL,
            titrated=case.titrated,
        )
        return page + "\n"


def _overall(case: Case, summary: Mapping[str, Any]) -> str:
    judged = {n: facts for n, facts in summary["derivations"].items() if n not in case.titrated}
    if len(judged) == len(summary["derivations"]):
        return verdict.overall(summary)
    varied = "the stimulus varied from sweep to sweep: amplitude is shown against its strength"
    if not judged:
        return f"{varied.capitalize()}, no state is judged."
    said = verdict.overall({**summary, "derivations": judged})
    return f"{said} In {', '.join(case.titrated)} {varied}."


def _sentences(case: Case, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = []
    named = {line["derivation"]: naming.sentence(line) for line in summary["attributions"]}
    for name in case.courses:
        if name in case.titrated:
            said += [(title, _titrated(points)) for title, points in answers(case, name)]
        else:
            course = verdict.course(summary["derivations"][name], summary["notes"])
            said.append((name, f"{course} {named.get(name, '')}".rstrip()))
    return list(dict.fromkeys(said))


def _titrated(points: Points) -> str:
    judged = points.present >= 0
    amplitudes = [float(a) if np.isfinite(a) else None for a in points.amplitudes[judged]]
    return verdict.titration(points.strengths[judged].tolist(), amplitudes, points.unit)


def _line(case: Case, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the table of derivations."""
    sign, colour = STATES[facts["final_state"]]
    return {
        "name": name,
        "sign": sign,
        "colour": colour,
        "state": facts["final_state"].replace("_", " "),
        "control": case.m_controls[name][0] if name in case.m_controls else None,
        "held_now": verdict.in_words(facts["held_at_end"]),
        "held": [(verdict.briefly(reason), seconds) for reason, seconds in sorted(facts["held_s"].items())],
        **facts,
    }


def _attributes(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in attributes.items())


def _baselines(case: Case) -> list[tuple[str, float, BaselineTaken]]:
    taken = [(b.sample / case.fs, name, b) for name, c in case.courses.items() for b in c.baselines]
    return [(name, t, baseline) for t, name, baseline in sorted(taken, key=lambda item: item[:2])]


def _settings(case: Case, heading: Heading) -> list[tuple[str, str]]:
    m = case.modality
    settings = [
        ("Protocol", f"{heading.protocol} ({heading.protocol_title})"),
        ("Protocol hash", heading.protocol_hash),
        ("Sampling rate", f"{case.fs:g} Hz"),
        ("Filters (causal)", "; ".join(_filter(f) for f in m.filters) or "none"),
        ("Sweep", _milliseconds(m.sweep)),
        ("LSR: window", _milliseconds(m.response.window)),
        ("LSR: hidden after the stimulus", f"{m.response.clean_from * 1e3:g} ms"),
        ("LSR: false responses in noise", f"{m.response.alpha * 100:g} % of sweeps"),
        ("LSR: smallest amplitude called a response", f"{m.response.floor * 1e6:g} µV"),
    ]
    if case.m_controls:
        settings.append(("M-control: window", _milliseconds(m.m_wave.window)))
    return settings


def _milliseconds(window: tuple[float, float]) -> str:
    return f"{window[0] * 1e3:g} to {window[1] * 1e3:g} ms"


def _filter(spec: Any) -> str:
    """A filter in words: "Highpass 10 Hz, order 2"; its whole spec where it has no such settings."""
    settings = {field.name for field in fields(spec)}
    if {"cutoff", "order"} <= settings:
        return f"{type(spec).__name__} {spec.cutoff:g} Hz, order {spec.order}"
    return repr(spec)
