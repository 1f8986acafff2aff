"""What is decided about the lateral spread response: its facts and the case's notes in, verdicts out.

What is decided about one derivation stands in `ionm.branch`; here each fact finds its derivations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ionm.baseline import Stimulus
from ionm.branch import Branch
from ionm.derivation import Derivation
from ionm.detectors.lsr import Lsr
from ionm.events import ArtefactMark, Event, Measurement, Response, SweepMeasured
from ionm.mains_watch import MainsWatch
from ionm.protocols import FOREVER
from ionm.stream import Note, StreamInfo
from ionm.tracking import MODALITY


class LsrJudge:
    """Everything that is decided about the LSR in one session.

    Parameters
    ----------
    derivations
        In the order of the rows of their sites' sweeps.
    test
        The test that the responses passed.
    info
        The stream.
    start
        The session's first sample.
    """

    def __init__(self, derivations: Sequence[Derivation], test: Lsr, info: StreamInfo, start: int) -> None:
        controlled = {d.site for d in derivations if d.role == "m_control"}
        self._branches = {
            d.name: Branch(d, test, info.fs, start, has_control=d.site in controlled)
            for d in derivations
            if d.role == "lsr"
        }
        self._at: dict[str, list[tuple[Derivation, Branch | None]]] = {d.site: [] for d in derivations}
        for d in derivations:
            self._at[d.site].append((d, self._branches.get(d.name)))
        # per site, the newest stimulus's attributes and its identity
        self._seen: dict[str, tuple[Mapping[str, str], Stimulus]] = {
            site: ({}, Stimulus(())) for site in self._at
        }
        self._mains = MainsWatch(MODALITY, info)

    @property
    def deadline(self) -> int:
        """No derivation falls silent before the sample after this one."""
        return min((b.deadline for b in self._branches.values() if not b.silent), default=FOREVER)

    def begin(self, sample: int) -> list[Event]:
        """What stands from the first sample on: no baseline yet."""
        return [e for branch in self._branches.values() for e in branch.hold("no_baseline", sample)]

    def pass_time(self, sample: int) -> list[Event]:
        """Let derivations without a valid sweep fall silent, up to ``sample``."""
        due = sorted(
            (b.deadline, name) for name, b in self._branches.items() if b.deadline < sample and not b.silent
        )
        return [e for deadline, name in due for e in self._branches[name].fall_silent(deadline)]

    def gap(self, sample: int) -> list[Event]:
        """Samples are missing up to ``sample``."""
        return [e for branch in self._branches.values() for e in branch.hold("gap", sample)]

    def fact(self, fact: SweepMeasured | ArtefactMark) -> list[Event]:
        """Take a fact of the path."""
        return self._sweep(fact) if isinstance(fact, SweepMeasured) else self._mark(fact)

    def note(self, note: Note) -> list[Event]:
        """Take a note."""
        events: list[Event] = []
        for branch in self._branches.values():
            if note.event == "baseline" and note.attributes.get("modality", MODALITY) == MODALITY:
                events += branch.take_baseline(note.accepted, "note/baseline")
            elif note.event in ("bolus", "relaxant", "tof"):
                events += branch.drug(note)
            elif note.event in ("cautery-on", "cautery-off"):
                on = note.event == "cautery-on"
                events += branch.mark(ArtefactMark(note.accepted, "note", "cautery", on))
        return events

    def _mark(self, mark: ArtefactMark) -> list[Event]:
        touched = [b for b in self._branches.values() if b.derivation.channel == mark.channel]
        return [e for b in touched for e in b.mark(mark)]

    def _sweep(self, fact: SweepMeasured) -> list[Event]:
        events: list[Event] = []
        sweep, trigger = fact.sweep, fact.sweep.trigger
        rows = self._at[trigger.site]
        if trigger.attributes != self._seen[trigger.site][0]:
            self._seen[trigger.site] = trigger.attributes, Stimulus.of(trigger)
        stimulus = self._seen[trigger.site][1]
        control = None
        for (derivation, _), measurement in zip(rows, fact.measurements, strict=True):
            if derivation.role == "m_control":
                control = measurement
        for row, ((derivation, branch), measurement) in enumerate(zip(rows, fact.measurements, strict=True)):
            shown, percent, above = measurement, None, False
            verdicts: list[Event] = []
            if branch is not None:
                shown, percent, above, verdicts = branch.sweep(
                    fact.sample, trigger, stimulus, measurement, control
                )
            elif derivation.role == "m_control":
                percent = self._percent_of_m(trigger.site, measurement)
            events.append(
                Response(
                    fact.sample,
                    MODALITY,
                    derivation.name,
                    trigger.site,
                    derivation.channel,
                    derivation.role,
                    trigger,
                    shown,
                    percent,
                    sweep,
                    row,
                    above,
                )
            )
            events += verdicts
        return events + self._mains.push(fact.sample, trigger)

    def _percent_of_m(self, site: str, measurement: Measurement) -> float | None:
        if measurement.amplitude is None:
            return None
        for _, branch in self._at[site]:
            if branch is not None and branch.baseline is not None and branch.baseline.m_amplitude is not None:
                return 100 * measurement.amplitude / branch.baseline.m_amplitude
        return None
