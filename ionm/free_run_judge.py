"""What is decided about free-run EMG: little. Findings are passed on, time is added up, nothing alarms.

A channel is held while an artefact stands on it, found in the signal or noted by someone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ionm.detectors.traintime import Traintime, risk
from ionm.events import ArtefactMark, ChannelHold, Event, Finding, Watched
from ionm.protocols import FOREVER
from ionm.stream import Note

MODALITY = "free_run"

NOTED = {
    "cautery-on": ("cautery", True),
    "cautery-off": ("cautery", False),
    "drill-on": ("drill", True),
    "drill-off": ("drill", False),
}
"""Notes that hold every channel: the reason, and whether it begins."""


class FreeRunJudge:
    """Everything that is decided about free-run EMG in one session; it outlives gaps.

    Parameters
    ----------
    muscles, controls
        The channels: traintime is that of the muscles.
    fs
        In Hz.
    risk
        Whether traintime may be read as a risk.
    """

    deadline = FOREVER

    def __init__(self, muscles: Sequence[str], controls: Sequence[str], fs: float, *, risk: bool) -> None:
        self._muscles, self._controls = tuple(muscles), tuple(controls)
        self._traintime = Traintime(fs, self._muscles)
        self._risk = risk
        names = (*muscles, *controls)
        self._standing: dict[str, list[tuple[str, str]]] = {name: [] for name in names}  # (who, reason)
        self._found: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._seconds = 0.0
        self._seen = dict.fromkeys(names, 0.0)

    def begin(self, sample: int) -> list[Event]:
        """Nothing stands from the first sample on."""
        del sample
        return []

    def fact(self, fact: Finding | ArtefactMark | Watched) -> list[Event]:
        """Take a fact of the path."""
        match fact:
            case Finding():
                return [self._finding(fact)]
            case ArtefactMark():
                return self._mark(fact.channel, ("signal", fact.reason), fact.sample, active=fact.active)
            case Watched():
                self._seconds += fact.seconds
                for name, seconds in fact.seen.items():
                    self._seen[name] += seconds
                return []

    def note(self, note: Note) -> list[Event]:
        """Take a note: cautery and drill hold every channel."""
        if note.event not in NOTED:
            return []
        reason, active = NOTED[note.event]
        events: list[Event] = []
        for name in self._standing:
            events += self._mark(name, ("note", reason), note.accepted, active=active)
        return events

    def gap(self, sample: int) -> list[Event]:
        """Samples are missing up to ``sample``: what was found in the signal before stands no longer."""
        events: list[Event] = []
        for name, standing in self._standing.items():
            for key in [key for key in standing if key[0] == "signal"]:
                events += self._mark(name, key, sample, active=False)
        return events

    def pass_time(self, sample: int) -> list[Event]:
        """Nothing is ever due."""
        del sample
        return []

    def tally(self, sample: int) -> dict[str, Any]:
        """What it came to up to a sample, in plain values.

        Returns
        -------
        dict
            ``muscles`` and ``controls``, by channel: ``findings`` by pattern and ``blind_share`` (of the time
            up to the newest gap or end; None before), for muscles ``traintime_s`` and
            ``traintime_clustered_s`` too; ``traintime_s`` of all muscles, ``traintime_risk`` (None where it
            must not be read as one), ``findings`` of the muscles by pattern.
        """
        alone, clustered = self._traintime.seconds(sample), self._traintime.clustered(sample)
        muscles = {
            name: {
                "traintime_s": alone[name],
                "traintime_clustered_s": clustered[name],
                **self._channel(name),
            }
            for name in self._muscles
        }
        total = self._traintime.total(sample)
        found = sum((self._found[name] for name in self._muscles), Counter[str]())
        return {
            "traintime_s": total,
            "traintime_risk": risk(total) if self._risk else None,
            "findings": dict(sorted(found.items())),
            "muscles": muscles,
            "controls": {name: self._channel(name) for name in self._controls},
        }

    def _channel(self, name: str) -> dict[str, Any]:
        blind = 1.0 - self._seen[name] / self._seconds if self._seconds else None
        return {"findings": dict(sorted(self._found[name].items())), "blind_share": blind}

    def _finding(self, finding: Finding) -> Finding:
        if finding.channel in self._controls:
            finding = replace(finding, control=True)
        self._traintime.take(finding)
        if finding.offset is not None and finding.offset > finding.onset:
            self._found[finding.channel][finding.pattern] += 1
        if finding.pattern != "a_train" or finding.control:
            return finding
        return replace(finding, traintime=self._traintime.seconds(finding.sample)[finding.channel])

    def _mark(self, channel: str, key: tuple[str, str], sample: int, *, active: bool) -> list[Event]:
        standing = self._standing[channel]
        if active == (key in standing):
            return []
        before = [reason for _, reason in standing]
        (standing.append if active else standing.remove)(key)
        reasons = tuple(dict.fromkeys(reason for _, reason in standing))
        if key[1] in before and key[1] in reasons:
            return []  # someone else says so too
        reason = reasons[-1] if reasons else key[1]
        return [ChannelHold(sample, MODALITY, channel, bool(reasons), reason, reasons)]
