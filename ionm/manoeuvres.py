"""What the notes of a case say was done, as far as it bears on naming a vessel.

A note is written by a busy person: the act it stands for may lie seconds before or after it. So an act
is a candidate for a change of the LSR if its note lies from `BEFORE` before to `AFTER` after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ionm.stream import Note

BEFORE = 60.0
"""How long before a change a note may lie that explains it, in s (design: from 60 s before ...)."""

AFTER = 30.0
"""How long after a change a note may lie that explains it, in s (... to 30 s after: typed notes lag)."""

TAU_BEFORE = 40.0
"""Decay of the weight of a note before the change, in s (facial.md 2.1 proposes 20 to 60 s)."""

TAU_AFTER = 20.0
"""Decay of the weight of a note after the change, in s (the short end of the same: a lag of typing)."""


class Kind(Enum):
    """What an act is for."""

    DECOMPRESSIVE = "decompressive"
    """Moves a vessel off the nerve or holds it off."""
    UNDOING = "undoing"
    """Lets a vessel back, or takes out what held it off."""
    ON_VESSEL = "on_vessel"
    """Anything else that is done to a named vessel: it is dissected, say."""
    OPENING = "opening"
    """On the way to the nerve: dura, cerebrospinal fluid, arachnoid. A quarter to a half of all LSRs go
    here (facial.md 1.7), and no vessel can be named for it."""


_KINDS = {
    "vessel-lifted": Kind.DECOMPRESSIVE,
    "teflon-in": Kind.DECOMPRESSIVE,
    "vessel-released": Kind.UNDOING,
    "teflon-out": Kind.UNDOING,
    "dura-open": Kind.OPENING,
    "csf-drained": Kind.OPENING,
    "arachnoid-open": Kind.OPENING,
}

DRUGS = {"bolus": 300.0, "relaxant": 300.0, "tof": 300.0, "mac": 600.0}
"""How long a drug, or a changed reading of its effect, bars attribution, in s. A bolus: the design's
5 min; a relaxant sets in within 5 min, later the M-control tells (facial.md 1.8); a volatile agent needs
about 10 min to equilibrate (general knowledge) and lowers the LSR beyond that (Yang LN 2022: seen at 15
and 30 min), but slowly, so that what coincides with an act later than this is not its doing."""


@dataclass(frozen=True, slots=True)
class Act:
    """A manoeuvre as its note tells it; ``vessel`` is None where the note does not say."""

    sample: int
    event: str
    vessel: str | None
    kind: Kind

    @property
    def key(self) -> str | None:
        """The vessel for comparison: without case, and with the parts of a compound name in one order."""
        if self.vessel is None:
            return None
        return "+".join(sorted(part.strip().casefold() for part in self.vessel.split("+")))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An act near a change.

    Parameters
    ----------
    act
        The act.
    lag
        Time from its note to the change, in s: negative where the note came after it, 0 within the
        change's own uncertainty.
    weight
        How near: the mean of `nearness` over where the change may lie.
    """

    act: Act
    lag: float
    weight: float


def act_of(note: Note) -> Act | None:
    """The manoeuvre a note tells of; None if it tells of none that could touch the LSR's source."""
    vessel = note.attributes.get("vessel", "").strip() or None
    kind = _KINDS.get(note.event)
    if vessel is not None and kind in (None, Kind.OPENING):
        kind = Kind.ON_VESSEL
    return None if kind is None else Act(note.sample, note.event, vessel, kind)


class Notebook:
    """The acts and drugs of a case, in the order of their samples.

    Parameters
    ----------
    fs
        Sampling rate, in Hz.
    """

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self.acts: list[Act] = []
        self._drugs: list[tuple[int, str]] = []
        self._readings: dict[str, list[tuple[int, str]]] = {"tof": [], "mac": []}

    def take(self, note: Note) -> None:
        """Write a note down."""
        act = act_of(note)
        if act is not None:
            self.acts.append(act)
            self.acts.sort(key=lambda a: a.sample)
        if note.event in self._readings:
            readings = self._readings[note.event]
            readings.append((note.sample, _reading(note)))
            readings.sort(key=lambda reading: reading[0])
        elif note.event in DRUGS:
            self._drugs.append((note.sample, note.event))

    def near(self, first: int, second: int) -> list[Candidate]:
        """Acts that a change after sample ``first`` and up to ``second`` may be due to, oldest first."""
        earliest, latest = first - BEFORE * self._fs, second + AFTER * self._fs
        return [self._candidate(a, first, second) for a in self.acts if earliest <= a.sample <= latest]

    def _candidate(self, act: Act, first: int, second: int) -> Candidate:
        shortest, longest = (first - act.sample) / self._fs, (second - act.sample) / self._fs
        lag = max(shortest, 0.0) + min(longest, 0.0)  # one of them is 0
        if longest > shortest:
            return Candidate(act, lag, (_area(longest) - _area(shortest)) / (longest - shortest))
        return Candidate(act, lag, nearness(lag))

    def drugs(self, first: int, second: int) -> list[tuple[int, str]]:
        """(sample, event) of what was given, or read to have changed, near such a change."""
        given = sorted(self._drugs + [(s, event) for event in self._readings for s in self._changes(event)])
        latest = second + AFTER * self._fs
        return [(s, event) for s, event in given if first - DRUGS[event] * self._fs <= s <= latest]

    def _changes(self, event: str) -> list[int]:
        """Where a reading differs from the one before it.

        The first train-of-four is no change: the M-control shows what the muscle can do. The first
        concentration of a volatile agent is one, unless it is 0: no control shows it.
        """
        readings = self._readings[event]
        if not readings:
            return []
        last = "0" if event == "mac" else readings[0][1]
        changes = []
        for sample, value in readings:
            if _differ(value, last):
                changes.append(sample)
                last = value
        return changes


FLICKER = 0.1
"""Smallest difference of two readings of an agent that is a change, in MAC (our choice: monitors print
tenths); twitches are whole numbers."""


def _differ(value: str, last: str) -> bool:
    try:
        return abs(float(value) - float(last)) >= FLICKER - 1e-9
    except ValueError:
        return value != last


def _reading(note: Note) -> str:
    """What a reading says, numbers in one way of writing."""
    key = {"tof": "count", "mac": "value"}[note.event]
    text = note.attributes.get(key, next(iter(note.attributes.values()), ""))
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def nearness(lag: float) -> float:
    """Weight of an act whose note lies ``lag`` s before a change (negative: after it).

    Examples
    --------
    >>> nearness(0.0), round(nearness(40.0), 3), round(nearness(-20.0), 3)
    (1.0, 0.368, 0.368)
    """
    return math.exp(-lag / TAU_BEFORE) if lag >= 0 else math.exp(lag / TAU_AFTER)


def _area(lag: float) -> float:
    """Antiderivative of `nearness`."""
    return -TAU_BEFORE * (nearness(lag) - 1.0) if lag >= 0 else TAU_AFTER * (nearness(lag) - 1.0)


def heaviest(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate nearest to the change; of equals the later one."""
    return max(candidates, key=lambda c: (c.weight, c.act.sample))
