"""The map of a case: one record for each artery, place on it, and side of its decompression.

A ZLR tells which vessel conducts to the nerve. It is no criterion of adequacy: after a decompression
that abolished the LSR in 19 of 19 patients, the ZLR was gone in 13 only (Son 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

from ionm.detectors.zlr import Current, threshold
from ionm.events import Measurement, Response
from ionm.manoeuvres import Act, Kind, act_of
from ionm.stream import Note

NAMELESS = "artery not named"
"""The target of stimuli whose mark names none."""


@dataclass(frozen=True, slots=True)
class Record:
    """What stimulating one place of one artery showed.

    Parameters
    ----------
    target
        The artery, as the marks name it.
    place
        Where on it (``site`` of the mark); None if they do not say.
    after
        Whether the artery had been taken off the nerve.
    currents
        Every current tried, the lowest first.
    """

    target: str
    place: str | None
    after: bool
    currents: tuple[Current, ...]

    @property
    def threshold(self) -> Current | None:
        """The lowest current that some muscle answers."""
        return threshold(self.currents)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One sweep of one muscle; places are compared without case, as arteries are."""

    sample: int
    target: str
    place: str | None
    ma: float | None
    muscle: str
    measurement: Measurement


class ZlrMap:
    """The map with its memory: every sweep, because a note may come later than what it tells of."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._acts: list[Act] = []

    def response(self, response: Response) -> None:
        """Take one sweep of one muscle."""
        marks, trigger = response.trigger.attributes, response.trigger
        target = marks.get("target", "").strip() or NAMELESS
        place = marks.get("site", "").strip() or None
        self._seen.append(
            _Seen(trigger.sample, target, place, trigger.number("mA"), response.channel, response.measurement)
        )

    def note(self, note: Note) -> None:
        """Take a note: one of them may tell that an artery was taken off the nerve, or let back."""
        act = act_of(note)
        if act is not None and act.kind in (Kind.DECOMPRESSIVE, Kind.UNDOING):
            self._acts.append(act)
            self._acts.sort(key=lambda a: a.sample)

    def records(self) -> list[Record]:
        """One for each artery, place and side of its decompression, in the order of their first stimulus."""
        grouped: dict[tuple[str, str | None, bool], list[_Seen]] = {}
        for seen in self._seen:
            place = seen.place.casefold() if seen.place else None
            key = (seen.target.casefold(), place, self._is_off(seen))
            grouped.setdefault(key, []).append(seen)
        return [
            Record(found[0].target, found[0].place, off, _currents(found))
            for (_, _, off), found in grouped.items()
        ]

    def _is_off(self, seen: _Seen) -> bool:
        """Whether the newest act on this artery, or on one not named, took it off the nerve."""
        own = _parts(seen.target)
        before = [
            act
            for act in self._acts
            if act.sample <= seen.sample and (act.vessel is None or own & _parts(act.vessel))
        ]
        return bool(before) and before[-1].kind is Kind.DECOMPRESSIVE


def _parts(vessel: str) -> set[str]:
    """The arteries of a compound name such as VA+AICA."""
    return {part.strip().casefold() for part in vessel.split("+")}


def _currents(found: list[_Seen]) -> tuple[Current, ...]:
    tried = sorted({seen.ma for seen in found if seen.ma is not None})
    unsaid = [None] if any(seen.ma is None for seen in found) else []
    currents = []
    for ma in [*tried, *unsaid]:
        measured: dict[str, list[Measurement]] = {}
        for seen in found:
            if seen.ma == ma:
                measured.setdefault(seen.muscle, []).append(seen.measurement)
        currents.append(Current.of(ma, measured))
    return tuple(currents)
