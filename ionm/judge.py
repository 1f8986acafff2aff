"""The one judge: facts of all modalities and notes in, in the order in which they became known; verdicts out.

What is decided about one modality stands in its own judge (`ionm.protocols.ModalityJudge`); here
the facts of all of them are merged on the sample clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ionm.events import ArtefactMark, Event, Gap, Hold, NoteTaken, SweepMeasured
from ionm.protocols import FOREVER, Modality, RunningFollower, Tallying
from ionm.stream import Note, StreamInfo

MARK, MEASURED, NOTE = 0, 1, 2
"""Ranks at one sample: marks of artefact, what was measured, notes."""


class Judge:
    """Everything that is decided in one session.

    Parameters
    ----------
    modalities
        What is monitored; at one sample and rank, the facts of an earlier one come first.
    info
        The stream that their paths see.
    start
        The session's first sample.
    follower
        What follows from the events of all of them (which vessel did it); None for nothing.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        info: StreamInfo,
        start: int,
        follower: RunningFollower | None = None,
    ) -> None:
        self._judges = [modality.judge(info, start) for modality in modalities]
        self._names = [modality.name for modality in modalities]
        self._sites = [frozenset(modality.sites) for modality in modalities]
        self._follower = follower
        self._due = -1  # the passing of time alone decides nothing up to this sample

    def begin(self, sample: int) -> list[Event]:
        """What stands from the first sample on."""
        return self._followed([e for judge in self._judges for e in judge.begin(sample)])

    def tell(self, events: list[Event]) -> list[Event]:
        """What the session has to say by itself, with what follows from it."""
        return self._followed(events)

    def push(
        self, facts: Sequence[Sequence[Any]], notes: Sequence[Note], stop: int, gap: Gap | None = None
    ) -> list[Event]:
        """Decide on everything that became known before sample ``stop``.

        At one sample marks come before what was measured, that before notes, and the passing of
        time comes last.

        Parameters
        ----------
        facts
            Those of each modality's path, in their order; of sweeps, it is given those at its sites.
        notes
            In order of ``accepted``.
        stop
            The first sample that has not come yet.
        gap
            Samples that never came; it is told first.
        """
        if not notes and gap is None and not any(facts):
            return self._pass_time(stop) if stop > self._due else []
        known: list[tuple[int, int, int, Any]] = [
            (fact.sample, MARK if isinstance(fact, ArtefactMark) else MEASURED, place, fact)
            for place, (found, sites) in enumerate(zip(facts, self._sites, strict=True))
            for fact in found
            if not isinstance(fact, SweepMeasured) or fact.sweep.trigger.site in sites
        ]
        known += [(note.accepted, NOTE, 0, note) for note in notes]
        if len(known) > 1:
            known.sort(key=lambda item: item[:3])
        events = self._gap(gap) if gap is not None else []
        for sample, rank, place, item in known:
            if sample > self._due:
                events += self._pass_time(sample)
            events += self._note(item) if rank == NOTE else self._followed(self._judges[place].fact(item))
            self._due = -1  # what was decided may have moved a deadline
        if stop > self._due:
            events += self._pass_time(stop)
        return events

    def finish(self, facts: Sequence[Sequence[Any]], stop: int) -> list[Event]:
        """Take what the end of the recording leaves: sweeps that it cut short hold nothing."""
        events = [e for e in self.push(facts, (), stop) if not (isinstance(e, Hold) and e.reason == "gap")]
        return events + list(self._follower.finish(stop)) if self._follower else events

    def tallies(self, sample: int) -> dict[str, dict[str, Any]]:
        """What modalities have added up by themselves up to a sample, in plain values."""
        judges = zip(self._names, self._judges, strict=True)
        return {name: judge.tally(sample) for name, judge in judges if isinstance(judge, Tallying)}

    def _gap(self, gap: Gap) -> list[Event]:
        events = self._pass_time(gap.sample) if gap.sample > self._due else []
        self._due = -1
        return events + self._followed([gap, *(e for j in self._judges for e in j.gap(gap.sample))])

    def _note(self, note: Note) -> list[Event]:
        taken = NoteTaken(note.accepted, note)
        return self._followed([taken, *(e for judge in self._judges for e in judge.note(note))])

    def _pass_time(self, sample: int) -> list[Event]:
        """Let everything happen that is due before ``sample``, the earliest first."""
        events: list[Event] = []
        while True:
            due = min((judge.deadline for judge in self._judges), default=FOREVER)
            if self._follower is not None and self._follower.deadline < min(due, sample):
                events += self._follower.pass_time(self._follower.deadline + 1)
                continue
            if due >= sample:
                break
            first = next(judge for judge in self._judges if judge.deadline == due)
            events += self._followed(first.pass_time(due + 1))
        self._due = due if self._follower is None else min(due, self._follower.deadline)
        return events

    def _followed(self, events: list[Event]) -> list[Event]:
        """Events, each with what follows from it."""
        if self._follower is None:
            return events
        return [e for event in events for e in (event, *self._follower.follow(event))]
