"""Naming the vessel: which act a fall of the LSR goes with, in one of Mooij's roles, or that none is.

A pure consumer of the session's own events. Per derivation with role ``lsr``:

1. A *fall* is a change to a lower grade or to ABSENT, or a step of the amplitude within one state; changes
   that follow each other within `SUSTAINED` are one fall. What explains it is decided in `ionm.drop`,
   how falls add up and are taken back in `ionm.attributor`.
2. It is reported when it is first known, and again whenever the answer changes: when it has stood for
   `SUSTAINED`, when a note comes late, when something forbids to attribute it.
3. Falls add up: the part that went with one vessel and the rest that went with another name both.
4. A return (REAPPEARED, or a grade up past the middle of the fall) takes the name back: attribution starts
   afresh. If the return followed the letting go of the named vessel, a later fall with it scores higher.
   That is evidence where it happens; it is never required, and nothing here asks for it.
5. Only the M-control is a control: that another branch falls at the same time is no reason for doubt.

The roles are Mooij's (Mooij 2001, facial.md 2.1: guiding in 25 of 74 cases, confirming in 39). The published
abstract does not print how they were defined; these definitions, in terms of the data, are ours:

guiding
    The LSR told which act it was: it outlasted a decompressive act on another vessel and went, wholly or for
    its rest, with this one; or it went with this vessel, came back, and went with it again.
confirming
    The first vessel that was decompressed: the LSR went as expected.
indirect
    It went with an act on that vessel that is not its decompression: it was dissected or let go.
inconclusive
    Acts on two vessels, or a nearer opening act, lie within the span; none is named.
not_attributable
    No act explains it, or something else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ionm.attributor import Attributor
from ionm.events import Attribution, BaselineTaken, Event, Hold, NoteTaken, Response, StateChange
from ionm.manoeuvres import Notebook
from ionm.protocols import FOREVER
from ionm.stream import StreamInfo


@dataclass(frozen=True, slots=True)
class Vessels:
    """The naming of vessels in a session (an `ionm.protocols.Follower`)."""

    def start(self, info: StreamInfo, start: int) -> RunningVessels:  # noqa: ARG002
        """A fresh running one."""
        return RunningVessels(info.fs)


class RunningVessels:
    """One notebook for the case, and one attributor for each derivation that has a state."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._notebook = Notebook(fs)
        self._attributors: dict[str, Attributor] = {}

    @property
    def deadline(self) -> int:
        """No fall is known to be sustained before the sample after this one."""
        return min((a.deadline for a in self._attributors.values()), default=FOREVER)

    def follow(self, event: Event) -> Sequence[Attribution]:
        """What follows from one event; events come in their order."""
        match event:
            case Response():
                return self._response(event)
            case StateChange() | Hold() | BaselineTaken():
                attributor = self._attributors.get(event.derivation)
                return attributor.push(event) if attributor is not None else ()
            case NoteTaken():
                self._notebook.take(event.note)
                return [a for one in self._attributors.values() for a in one.push(event)]
            case _:
                return ()

    def _response(self, response: Response) -> Sequence[Attribution]:
        if response.role == "lsr":
            name = response.derivation
            if name not in self._attributors:
                self._attributors[name] = Attributor(name, response.site, self._fs, self._notebook)
            return self._attributors[name].push(response)
        if response.role == "m_control":
            for attributor in self._attributors.values():
                if attributor.site == response.site:
                    attributor.control(response)
        return ()

    def pass_time(self, sample: int) -> Sequence[Attribution]:
        """Falls that turn out to be sustained before ``sample``, the earliest first."""
        said: list[Attribution] = []
        while (due := self.deadline) < sample:
            first = next(a for a in self._attributors.values() if a.deadline == due)
            said += first.sustain(due)
        return said

    def finish(self, sample: int) -> Sequence[Attribution]:  # noqa: ARG002
        """Nothing is said at the end: what has not stood long enough is not made to."""
        return ()
