"""The one judge: facts and notes in, in the order in which they became known; verdicts out.

What is decided about one derivation stands in `ionm.branch`; here the facts of all of them are merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ionm.baseline import Stimulus
from ionm.branch import Branch
from ionm.events import (
    ArtefactMark,
    Event,
    Gap,
    Hold,
    Measurement,
    NoteTaken,
    Response,
    SweepMeasured,
)
from ionm.modality import LsrModality
from ionm.stream import Note, StreamInfo

FOREVER = 1 << 62


class Judge:
    """Everything that is decided about the LSR in one session."""

    def __init__(self, spec: LsrModality, info: StreamInfo, start: int) -> None:
        self._spec = spec
        self._branches = {
            d.name: Branch(d, spec, info.fs, start) for d in spec.derivations if d.role == "lsr"
        }
        self._at = {site: [(d, self._branches.get(d.name)) for d in spec.at(site)] for site in spec.sites}
        # per site, the newest stimulus's attributes and its identity
        self._seen: dict[str, tuple[Mapping[str, str], Stimulus]] = {
            site: ({}, Stimulus(())) for site in spec.sites
        }
        self._due = -1  # no derivation falls silent before this sample

    def begin(self, sample: int) -> list[Event]:
        """What stands from the first sample on: no baseline yet."""
        return [e for branch in self._branches.values() for e in branch.hold("no_baseline", sample)]

    def push(
        self, facts: Sequence[SweepMeasured | ArtefactMark | Gap], notes: Sequence[Note], stop: int
    ) -> list[Event]:
        """Decide on everything that became known before sample ``stop``.

        At one sample a gap comes before marks, marks before sweeps, sweeps before notes, and the
        passing of time comes last.
        """
        if not facts and not notes:
            return self._pass_time(stop) if stop > self._due else []
        known: list[tuple[int, int, SweepMeasured | ArtefactMark | Gap | Note]] = [
            (fact.sample, _RANK[type(fact)], fact) for fact in facts
        ]
        known += [(note.accepted, _RANK[Note], note) for note in notes]
        if len(known) > 1:
            known.sort(key=lambda item: item[:2])
        events: list[Event] = []
        for sample, _, item in known:
            if sample > self._due:
                events += self._pass_time(sample)
            if isinstance(item, SweepMeasured):
                events += self._sweep(item)
            elif isinstance(item, ArtefactMark):
                events += self._mark(item)
            elif isinstance(item, Gap):
                events.append(item)
                events += [e for b in self._branches.values() for e in b.hold("gap", sample)]
            else:
                events += self._note(item)
        if stop > self._due:
            events += self._pass_time(stop)
        return events

    def finish(self, facts: Sequence[SweepMeasured | ArtefactMark | Gap], stop: int) -> list[Event]:
        """Take what the end of the recording leaves: sweeps that it cut short hold nothing."""
        return [e for e in self.push(facts, (), stop) if not (isinstance(e, Hold) and e.reason == "gap")]

    def _pass_time(self, sample: int) -> list[Event]:
        """Let derivations without a valid sweep fall silent, up to ``sample``."""
        due = sorted(
            (b.deadline, name) for name, b in self._branches.items() if b.deadline < sample and not b.silent
        )
        events = [e for deadline, name in due for e in self._branches[name].fall_silent(deadline)]
        self._due = min((b.deadline for b in self._branches.values() if not b.silent), default=FOREVER)
        return events

    def _mark(self, mark: ArtefactMark) -> list[Event]:
        touched = [b for b in self._branches.values() if b.derivation.channel == mark.channel]
        return [e for b in touched for e in b.mark(mark)]

    def _note(self, note: Note) -> list[Event]:
        events: list[Event] = [NoteTaken(note.accepted, note)]
        for branch in self._branches.values():
            if note.event == "baseline" and note.attributes.get("modality", "lsr") == "lsr":
                events += branch.take_baseline(note.accepted, "note/baseline")
            elif note.event in ("cautery-on", "cautery-off"):
                on = note.event == "cautery-on"
                events += branch.mark(ArtefactMark(note.accepted, "note", "cautery", on))
        return events

    def _sweep(self, fact: SweepMeasured) -> list[Event]:
        events: list[Event] = []
        sweep, trigger = fact.sweep, fact.sweep.trigger
        rows = self._at[trigger.site]
        self._due = -1  # a valid sweep moves a deadline
        if trigger.attributes != self._seen[trigger.site][0]:
            self._seen[trigger.site] = trigger.attributes, Stimulus.of(trigger)
        stimulus = self._seen[trigger.site][1]
        control = None
        for (derivation, _), measurement in zip(rows, fact.measurements, strict=True):
            if derivation.role == "m_control":
                control = measurement
        for row, ((derivation, branch), measurement) in enumerate(zip(rows, fact.measurements, strict=True)):
            shown, percent = measurement, None
            verdicts: list[Event] = []
            if branch is not None:
                shown, percent, verdicts = branch.sweep(fact.sample, trigger, stimulus, measurement, control)
            elif derivation.role == "m_control":
                percent = self._percent_of_m(trigger.site, measurement)
            events.append(
                Response(
                    fact.sample,
                    self._spec.name,
                    derivation.name,
                    trigger.site,
                    derivation.channel,
                    derivation.role,
                    trigger,
                    shown,
                    percent,
                    sweep,
                    row,
                    branch is not None and branch.above,
                )
            )
            events += verdicts
        return events

    def _percent_of_m(self, site: str, measurement: Measurement) -> float | None:
        if measurement.amplitude is None:
            return None
        for _, branch in self._at[site]:
            if branch is not None and branch.baseline is not None and branch.baseline.m_amplitude is not None:
                return 100 * measurement.amplitude / branch.baseline.m_amplitude
        return None


_RANK = {Gap: 0, ArtefactMark: 1, SweepMeasured: 2, Note: 3}
