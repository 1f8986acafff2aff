"""A replay for people: what happens as it happens, then every sweep as one sign, then a table."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console as Screen
from rich.table import Table
from rich.text import Text

from ionm.events import (
    Alarm,
    Attribution,
    BaselineTaken,
    ChannelHold,
    Event,
    Finding,
    Gap,
    Hold,
    NoteTaken,
    Response,
    StateChange,
)
from ionm.sinks import activity, mapping, naming, verdict
from ionm.sinks.jsonl import attribution
from ionm.stream import Note

SIGNS = {True: "#", False: ".", None: "?"}
LINE = 60
"""Sweeps on one line of signs."""

LONGEST = 40
"""Lines of signs a derivation gets; in a longer case one sign stands for several sweeps."""


class Console:
    """A sink that prints.

    Parameters
    ----------
    screen
        Where to.
    fs
        Sampling rate, in Hz.
    derivations
        The derivations to follow sweep by sweep, in order.
    measured
        Whether to print what every sweep measures: for short recordings of single sweeps.
    """

    def __init__(
        self, screen: Screen, fs: float, derivations: Sequence[str], *, measured: bool = False
    ) -> None:
        self._measured = measured
        self._screen = screen
        self._fs = fs
        self._sweeps: dict[str, list[tuple[int, bool | None]]] = {name: [] for name in derivations}

    def write(self, item: Event) -> None:
        """Take one event."""
        match item:
            case Response():
                if self._measured:
                    self._say(item.sample, item.derivation, _response_in_words(item), "")
                if item.derivation in self._sweeps:
                    self._sweeps[item.derivation].append((item.trigger.sample, item.measurement.present))
            case StateChange():
                self._say(item.sample, item.derivation, _state_in_words(item, self._fs), "bold")
            case Hold() | ChannelHold():
                text = (
                    f"held: {', '.join(item.reasons)}"
                    if item.active
                    else f"judged again ({item.reason} over)"
                )
                who = item.derivation if isinstance(item, Hold) else f"EMG {item.channel}"
                self._say(item.sample, who, text, "yellow")
            case Finding():
                if item.pattern != "spike":  # they would bury everything else
                    self._say(item.sample, f"EMG {item.channel}", activity.told(item, self._fs), "blue")
            case BaselineTaken():
                taken = "baseline taken" if item.accepted else "baseline refused"
                self._say(item.sample, item.derivation, f"{taken}: {item.reason}", "dim")
            case NoteTaken():
                self._say(item.sample, "note", _note_in_words(item.note), "cyan")
            case Attribution():
                said = printable(naming.sentence(attribution(item)))
                self._say(item.sample, item.derivation, said, "magenta")
            case Alarm():
                who = item.derivation or item.site or item.modality
                self._say(item.sample, who, _alarm_in_words(item), "red")
            case Gap():
                lost = (item.stop - item.start) / self._fs
                self._say(item.sample, "gap", f"{lost * 1e3:.1f} ms of samples never came", "red")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Print the sweeps and the table of the whole case."""
        self._print_sweeps()
        self._print_table(summary["derivations"])
        for named in summary["attributions"]:
            text = f"{named['derivation']}: {naming.sentence(named)}"
            self._screen.print(Text(printable(text)), soft_wrap=True)
        for text in activity.lines(summary["free_run"]) + mapping.lines(summary["zlr"]):
            self._screen.print(Text(printable(text)), soft_wrap=True)
        self._screen.print(Text(f"\n{verdict.overall(summary)}", "bold"))

    def _say(self, sample: int, who: str, what: str, style: str) -> None:
        line = Text(f"{clock(sample / self._fs):>9}  {who:<22} ")
        line.append(what, style)
        self._screen.print(line, soft_wrap=True)

    def _print_sweeps(self) -> None:
        self._screen.print("\nSweep by sweep (# response, . none, ? cannot be judged):", highlight=False)
        for name, sweeps in self._sweeps.items():
            each = max(1, -(-len(sweeps) // (LINE * LONGEST)))
            note = f" (each sign: {each} sweeps, any response shown)" if each > 1 else ""
            self._screen.print(Text(f"{name}{note}", "bold"))
            for first in range(0, len(sweeps), LINE * each):
                line = sweeps[first : first + LINE * each]
                signs = "".join(_sign(line[i : i + each]) for i in range(0, len(line), each))
                self._screen.print(Text(f"{clock(line[0][0] / self._fs):>9}  {signs}"), soft_wrap=True)

    def _print_table(self, derivations: Mapping[str, Any]) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("derivation", no_wrap=True)
        for title in ("baseline uV", "onset ms", "now uV", "percent"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("since", justify="right", no_wrap=True)
        table.add_column("held")
        for name, course in derivations.items():
            baseline = course["baseline"] or {}
            held = ", ".join(f"{reason} {seconds:.0f} s" for reason, seconds in course["held_s"].items())
            now = f"now: {', '.join(course['held_at_end'])}; " if course["held_at_end"] else ""
            table.add_row(
                name,
                _number(baseline.get("amplitude_uv"), 0),
                _number(baseline.get("latency_ms"), 1),
                _number(course["amplitude_uv"], 0),
                _percent(course),
                course["final_state"],
                "-" if course["since_s"] is None else clock(course["since_s"]),
                Text(now + held),
            )
        self._screen.print()
        self._screen.print(table)


def clock(seconds: float) -> str:
    """A time of the recording, "1:40.5" or "1:02:03.5"."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def _response_in_words(response: Response) -> str:
    m = response.measurement
    stimulus = " ".join(f"{key}={value}" for key, value in response.trigger.attributes.items())
    if m.present is None:
        found = f"cannot be judged: {m.reason}"
    elif m.amplitude is None or m.latency is None or m.peak_latency is None:
        found = "no response"
    else:
        found = (
            f"{m.amplitude * 1e6:.0f} uV, onset {m.latency * 1e3:.2f} ms, peak {m.peak_latency * 1e3:.2f} ms"
        )
    return printable(f"{stimulus:<16} {found}")


def _state_in_words(change: StateChange, fs: float) -> str:
    text = f"{change.previous} -> {change.state}, since {clock(change.since / fs)}"
    if change.percent_of_baseline is not None:
        text += f", {change.percent_of_baseline:.0f} % of baseline"
    if change.state == "ABSENT" and change.detection_limit_percent is not None:
        text += f"; a response of {change.detection_limit_percent:.0f} % of baseline would be seen"
    return text


def _alarm_in_words(alarm: Alarm) -> str:
    told = f"{alarm.category} alarm ({alarm.priority})" if alarm.raised else f"{alarm.category} alarm over"
    return printable(f"{told}: {alarm.reason}")


def _note_in_words(note: Note) -> str:
    return printable(" ".join([note.event, *(f"{key}={value}" for key, value in note.attributes.items())]))


def printable(text: str) -> str:
    """Untrusted text without what would steer a terminal: control and direction characters become "?"."""
    return "".join("?" if unicodedata.category(letter) in ("Cc", "Cf") else letter for letter in text)


def _sign(sweeps: Sequence[tuple[int, bool | None]]) -> str:
    shown = {present for _, present in sweeps}
    return SIGNS[True] if True in shown else SIGNS[False] if False in shown else SIGNS[None]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(course: Mapping[str, Any]) -> str:
    if course["percent_of_baseline"] is not None:
        return f"{course['percent_of_baseline']:.0f} %"
    limit = course["detection_limit_percent"]
    return f"< {limit:.0f} %" if course["final_state"] == "ABSENT" and limit is not None else "-"
