"""What a case came to: one object, gathered from its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

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
from ionm.sinks import mapping
from ionm.sinks.jsonl import alarm, attribution
from ionm.zlr_map import ZlrMap


class Summary:
    """A sink that gathers.

    Parameters
    ----------
    fs
        Sampling rate, in Hz.
    derivations
        Names of the derivations with role ``lsr``.
    """

    def __init__(self, fs: float, derivations: Sequence[str]) -> None:
        self._fs = fs
        self.derivations = {name: _Course(fs) for name in derivations}
        self._notes: list[dict[str, Any]] = []
        self._gaps: list[tuple[int, int]] = []
        self._alarms: list[dict[str, Any]] = []
        self._zlr = ZlrMap()
        self._attributions: dict[str, dict[str, Any]] = {}

    def write(self, item: Event) -> None:
        """Take one event."""
        match item:
            case Response():
                if item.derivation in self.derivations:
                    self.derivations[item.derivation].response(item)
                elif item.role == "zlr":
                    self._zlr.response(item)
            case StateChange() | Hold() | BaselineTaken():
                if item.derivation in self.derivations:
                    self.derivations[item.derivation].take(item)
            case NoteTaken():
                note = item.note
                self._zlr.note(note)
                self._notes.append(
                    {"event": note.event, "t": note.sample / self._fs, "attributes": dict(note.attributes)}
                )
            case Attribution():
                self._attributions[item.derivation] = {"t": item.sample / self._fs, **attribution(item)}
            case Alarm():
                self._alarms.append({"t": item.sample / self._fs, **alarm(item)})
            case Gap():
                self._gaps.append((item.start, item.stop))
            case Finding() | ChannelHold():
                pass  # added up by the judge of free-run EMG

    def close(
        self, stop: int, facts: Mapping[str, Any], tallies: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, Any]:
        """The summary of a case that ended before sample ``stop``.

        Parameters
        ----------
        stop
            In samples.
        facts
            What is put in front.
        tallies
            By modality, what it added up itself (`ionm.session.Session.tallies`).
        """
        return {
            "stimuli": {},
            **facts,
            "duration_s": stop / self._fs,
            "gaps": [{"start": start, "stop": end} for start, end in self._gaps],
            "derivations": {name: course.close(stop) for name, course in self.derivations.items()},
            "free_run": (tallies or {}).get("free_run"),
            "zlr": [mapping.entry(record) for record in self._zlr.records()],
            "notes": self._notes,
            "alarms": self._alarms,
            "attributions": list(self._attributions.values()),
        }


class _Course:
    """The course of one derivation."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self.state = "UNKNOWN"
        self.since: int | None = None
        self.baseline: dict[str, Any] | None = None
        self.refused: list[str] = []
        self.changes: list[StateChange] = []
        self.held: dict[str, float] = {}
        self.standing: dict[str, int] = {}
        self.recent: list[Response] = []
        self.last_valid: int | None = None
        self.present_above = 0  # responses to stimuli stronger than the baseline's
        self.confirmed_at: float | None = None  # current at which the newest such stimulus met silence

    def response(self, response: Response) -> None:
        if response.above_baseline:
            self._challenge(response)
        elif response.measurement.present is not None:
            self.recent = [*self.recent, response][-5:]
            self.last_valid = response.sample

    def _challenge(self, response: Response) -> None:
        """Note what a stimulus stronger than the baseline's shows."""
        if response.measurement.present:
            self.present_above += 1
            self.confirmed_at = None
        elif response.measurement.present is False and self.state == "ABSENT":
            self.confirmed_at = response.trigger.number("mA")

    def take(self, event: StateChange | Hold | BaselineTaken) -> None:
        match event:
            case StateChange():
                self.state, self.since = str(event.state), event.since
                self.changes.append(event)
            case BaselineTaken():
                if event.accepted:
                    self.baseline = dict(event.values)
                else:
                    self.refused.append(event.reason)
            case Hold():
                self._hold(event)

    def _hold(self, event: Hold) -> None:
        for reason in set(self.standing) - set(event.reasons):
            begun = self.standing.pop(reason)
            self.held[reason] = self.held.get(reason, 0.0) + (event.sample - begun) / self._fs
        for reason in event.reasons:
            self.standing.setdefault(reason, event.sample)

    def amplitude_uv(self) -> float | None:
        """Median amplitude of the last five judged sweeps, in uV; None if most show no response."""
        amplitudes = [r.measurement.amplitude or 0.0 for r in self.recent]
        now = median(amplitudes) if amplitudes else 0.0
        return now * 1e6 if now > 0 else None

    def close(self, stop: int) -> dict[str, Any]:
        held = dict(self.held)
        for reason, begun in self.standing.items():
            held[reason] = held.get(reason, 0.0) + (stop - begun) / self._fs
        losses = [c for c in self.changes if c.state == "ABSENT"]
        amplitude = self.amplitude_uv()
        base = self.baseline["amplitude_uv"] if self.baseline else None
        return {
            "baseline": self.baseline,
            "baselines_refused": self.refused,
            "final_state": self.state,
            "since_s": None if self.since is None else self.since / self._fs,
            "held_at_end": list(self.standing),
            "amplitude_uv": amplitude,
            "percent_of_baseline": 100 * amplitude / base if amplitude and base else None,
            "detection_limit_percent": losses[-1].detection_limit_percent if losses else None,
            "lost_s": losses[0].since / self._fs if losses else None,
            "losses_s": [c.since / self._fs for c in losses],
            "reappearances_s": [c.since / self._fs for c in self.changes if c.state == "REAPPEARED"],
            "held_s": held,
            "present_above_baseline": self.present_above,
            "confirmed_at_ma": self.confirmed_at,
            "last_valid_s": None if self.last_valid is None else self.last_valid / self._fs,
        }
