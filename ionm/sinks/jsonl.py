"""Events as JSON, one object a line: the same bytes for any cutting of the stream.

Names and units are those of the published interface: microvolts and milliseconds, with the unit
in the name; what is absent is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
from ionm.sinks.whole_file import WholeFile

SCHEMA = 1


def line(event: Event, fs: float) -> dict[str, Any]:
    """One event as its published keys.

    Parameters
    ----------
    event
        The event.
    fs
        Sampling rate, in Hz.
    """
    return {"kind": _kind(event), "sample": event.sample, "t": event.sample / fs, **_keys(event, fs)}


def _kind(event: Event) -> str:
    match event:
        case Response():
            return "response"
        case StateChange():
            return "state"
        case Hold() | ChannelHold():
            return "hold"
        case Finding():
            return "finding"
        case BaselineTaken():
            return "baseline"
        case NoteTaken():
            return "note"
        case Alarm():
            return "alarm"
        case Attribution():
            return "attribution"
        case Gap():
            return "gap"


def _keys(event: Event, fs: float) -> Mapping[str, Any]:
    match event:
        case Response():
            return _response(event)
        case StateChange():
            return {
                "modality": event.modality,
                "derivation": event.derivation,
                "state": str(event.state),
                "previous": str(event.previous),
                "since_sample": event.since,
                "percent_of_baseline": event.percent_of_baseline,
                "detection_limit_percent": event.detection_limit_percent,
                "reason": event.reason,
                "interval": None if event.interval is None else list(event.interval),
            }
        case Hold():
            return {
                "derivation": event.derivation,
                "active": event.active,
                "reason": event.reason,
                "reasons": list(event.reasons),
            }
        case ChannelHold():
            return {
                "modality": event.modality,
                "derivation": None,
                "channel": event.channel,
                "active": event.active,
                "reason": event.reason,
                "reasons": list(event.reasons),
            }
        case Finding():
            return finding(event, fs)
        case BaselineTaken():
            return {
                "modality": event.modality,
                "derivation": event.derivation,
                "accepted": event.accepted,
                "reason": event.reason,
                "values": dict(event.values),
            }
        case NoteTaken():
            note = event.note
            return {"event": note.event, "note_sample": note.sample, "attributes": dict(note.attributes)}
        case Attribution():
            return attribution(event)
        case Alarm():
            return alarm(event)
        case Gap():
            return {"start": event.start, "stop": event.stop}


def attribution(event: Attribution) -> dict[str, Any]:
    """An attribution's own keys."""
    return {
        "derivation": event.derivation,
        "vessel": event.vessel,
        "manoeuvre": event.manoeuvre,
        "role": event.role,
        "score": event.score,
        "evidence": dict(event.evidence),
    }


def finding(event: Finding, fs: float) -> dict[str, Any]:
    """A finding's own keys; an A-train has the traintime of its muscle so far, its own included."""
    return {
        "modality": "free_run",
        "channel": event.channel,
        "role": "control" if event.control else "muscle",
        "pattern": event.pattern,
        "active": event.active,
        "onset_s": event.onset / fs,
        "offset_s": None if event.offset is None else event.offset / fs,
        "peak_uv": event.peak * 1e6,
        "frequency_hz": event.frequency,
        "regularity": event.regularity,
        "elements": event.elements,
        "bridged_share": event.blind,
        "traintime_s": event.traintime,
    }


def alarm(event: Alarm) -> dict[str, Any]:
    """An alarm's own keys."""
    return {
        "modality": event.modality,
        "derivation": event.derivation,
        "site": event.site,
        "raised": event.raised,
        "class": event.category,
        "priority": event.priority,
        "criterion": event.criterion,
        "value": event.value,
        "limit": event.limit,
        "unit": event.unit,
        "reason": event.reason,
    }


def _response(event: Response) -> Mapping[str, Any]:
    m = event.measurement
    return {
        "modality": event.modality,
        "derivation": event.derivation,
        "site": event.site,
        "channel": event.channel,
        "role": event.role,
        "trigger_sample": event.trigger.sample,
        "present": m.present,
        "amplitude_uv": _scaled(m.amplitude, 1e6),
        "amplitude_error_uv": _scaled(m.amplitude_error, 1e6),
        "latency_ms": _scaled(m.latency, 1e3),
        "latency_error_ms": _scaled(m.latency_error, 1e3),
        "peak_latency_ms": _scaled(m.peak_latency, 1e3),
        "area_uvms": _rounded(m.area, 1e9, 2),
        "duration_ms": _rounded(m.duration, 1e3, 3),
        "turns": m.turns,
        "percent_of_baseline": event.percent_of_baseline,
        "above_baseline": event.above_baseline,
        "statistic": m.statistic,
        "p_value": m.p_value,
        "noise_uv": _scaled(m.noise, 1e6),
        "detection_limit_uv": _scaled(m.detection_limit, 1e6),
        "reason": m.reason,
        "stimulus": dict(event.trigger.attributes),
    }


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _rounded(value: float | None, factor: float, digits: int) -> float | None:
    """For what depends on where a trace is said to end: more digits would say nothing."""
    return None if value is None else round(value * factor, digits)


class JsonLines:
    """Write events to a file that appears under its name only when it is whole.

    Parameters
    ----------
    path
        The file.
    fs
        Sampling rate, in Hz.
    header
        Further keys of the first line: channels, protocol hash, version.
    """

    def __init__(self, path: Path, fs: float, header: Mapping[str, Any]) -> None:
        self._file = WholeFile(path)
        self._fs = fs
        self._put({"kind": "header", "sample": 0, "t": 0.0, "schema": SCHEMA, "fs": fs, **header})

    def write(self, item: Event) -> None:
        """Take one event."""
        self._put(line(item, self._fs))

    def _put(self, keys: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(keys, ensure_ascii=False, allow_nan=False) + "\n")

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)
