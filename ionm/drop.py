"""One fall of the LSR, and what it is due to as far as the notes and the M-control tell.

An act is named for a fall only if nothing else explains it:

1. No stimulus of another strength, no hold, no drug and no change of the M-control lies near it.
2. Acts on exactly one vessel lie within `ionm.manoeuvres.BEFORE` and `AFTER` of it.
3. No opening act (dura, fluid, arachnoid) lies nearer.
4. A fall to a lower grade is a step, not a slow drift across its border.

How far the named act bears the fall is its *support*: nearness x sustained x M-control. With several
candidates it is shared out by nearness; what is left over is the unattributable part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ionm.levels import SMALLEST
from ionm.manoeuvres import Act, Candidate, Kind, Notebook, heaviest

SUSTAINED = 60.0
"""How long a fall must stand without return before it counts as sustained, in s (design)."""

NEW = 0.5
"""Support of a fall that was only just seen; it grows to 1 within `SUSTAINED` (our choice)."""

M_STEADY = 0.75
"""Least share of its level, and of its baseline, that the M-control must keep (our choice: half of the way
to being lost)."""

M_UNKNOWN = 0.8
"""Support without an M-control: nothing shows that stimulus and muscle are sound (our choice)."""

INDIRECT = 0.5
"""Support of an act that is not the vessel's decompression (our choice)."""


@dataclass(frozen=True, slots=True)
class Around:
    """Levels before and after a fall, in percent of baseline; None where unknown, or nothing is left."""

    before: float | None
    after: float | None
    control_before: float | None
    control_after: float | None

    @property
    def size(self) -> float:
        """By how much the LSR fell; it is whole (100) while no sweep since the baseline was seen."""
        return max((100.0 if self.before is None else self.before) - (self.after or 0.0), 0.0)

    @property
    def is_drift(self) -> bool:
        """Whether the fall is too small for a step."""
        return self.size < (1 - SMALLEST) * (100.0 if self.before is None else self.before)


@dataclass(slots=True)
class Drop:
    """A fall of the LSR: the changes of one derivation that follow each other within `SUSTAINED`.

    Parameters
    ----------
    first, second
        Its moment lies after the first and not after the second sample.
    due
        Sample at which it will have stood for `SUSTAINED`, as far as that can be known by then.
    state
        The state it led to; None for a step within one state.
    levels
        Before and after.
    limit
        Detection limit, in percent of baseline, where the LSR is absent.
    sustained
        Whether it has stood.
    """

    first: int
    second: int
    due: int
    state: str | None
    levels: Around
    limit: float | None = None
    sustained: bool = False

    @property
    def size(self) -> float:
        """By how much the LSR fell, in percent of baseline."""
        return self.levels.size

    def undone_by(self, level: float) -> bool:
        """Whether a later level is back above the middle of this fall."""
        return level > (self.levels.after or 0.0) + self.size / 2

    def goes_below(self, level: float) -> bool:
        """Whether a level is a step below what this fall has left."""
        return self.levels.after is None or level < SMALLEST * self.levels.after

    def go_on(self, first: int, second: int, state: str | None, limit: float | None, due: int) -> None:
        """The LSR falls on before it has stood: it is one fall, and its time starts afresh."""
        self.first, self.second = min(self.first, first), max(self.second, second)
        self.state, self.limit = state or self.state, limit
        self.due, self.sustained = due, False

    def vanish(self, limit: float | None) -> None:
        """What little a fall had left is gone too: nothing new to explain."""
        self.state, self.limit = "ABSENT", limit
        self.levels = replace(self.levels, after=None)

    def see(self, now: Around) -> None:
        """Take the levels after the fall as they are seen now; None where no sweep is remembered."""
        if now.after is not None or self.state == "ABSENT":
            self.levels = replace(self.levels, after=now.after)
        if now.control_after is not None:
            self.levels = replace(self.levels, control_after=now.control_after)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one fall is due to.

    Parameters
    ----------
    act
        The named act; None if none is named.
    reason
        Why none is named: "two_vessels" (inconclusive), or why nothing can be attributed; None if one is.
    masses
        Share of the evidence for each vessel (by `Act.key`).
    candidates
        The acts near it.
    excluded
        (reason, sample) of everything that forbids to name an act.
    """

    act: Act | None
    reason: str | None
    masses: dict[str | None, float] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    excluded: tuple[tuple[str, int], ...] = ()

    @property
    def lag(self) -> float | None:
        """Time from the named act's note to the fall, in s."""
        return next((c.lag for c in self.candidates if c.act is self.act), None)


def explain(
    drop: Drop,
    notebook: Notebook,
    faults: Sequence[tuple[str, int]],
    stood: float,
    reversed_keys: frozenset[str | None],
) -> Explanation:
    """What a fall is due to.

    Parameters
    ----------
    drop
        The fall.
    notebook
        Acts and drugs noted so far.
    faults
        (reason, sample) of holds and changed stimuli near it.
    stood
        How long it has stood, in s.
    reversed_keys
        Vessels whose letting go has brought the LSR back before.
    """
    near = tuple(notebook.near(drop.first, drop.second))
    excluded = [*faults, *((event, sample) for sample, event in notebook.drugs(drop.first, drop.second))]
    if _mirrored(drop.levels):
        excluded.append(("m_control", drop.second))
    if excluded:
        return Explanation(None, excluded[0][0], {}, near, tuple(excluded))
    if drop.state != "ABSENT" and drop.levels.is_drift:
        return Explanation(None, "gradual", {}, near)
    on_vessels = [c for c in near if c.act.kind is not Kind.OPENING]
    decompressing = any(a.kind is Kind.DECOMPRESSIVE and a.sample <= drop.second for a in notebook.acts)
    if not on_vessels:
        return Explanation(None, "no_manoeuvre" if decompressing else "before_decompression", {}, near)
    sound = (NEW + (1 - NEW) * min(stood / SUSTAINED, 1.0)) * _steadiness(drop.levels)
    masses = _masses(near, sound, reversed_keys)
    opening = [c for c in near if c.act.kind is Kind.OPENING]
    if opening and heaviest(opening).weight > heaviest(on_vessels).weight:
        started = any(a.kind is Kind.DECOMPRESSIVE and a.sample < drop.first for a in notebook.acts)
        return Explanation(None, "opening" if started else "before_decompression", masses, near)
    named = {c.act.key for c in on_vessels if c.act.key is not None}
    if len(named) > 1:
        return Explanation(None, "two_vessels", masses, near)
    own = [c for c in on_vessels if c.act.key in named] or on_vessels
    return Explanation(heaviest(_decisive(own)).act, None, masses, near)


def _masses(
    near: Sequence[Candidate], sound: float, reversed_keys: frozenset[str | None]
) -> dict[str | None, float]:
    """The share of each vessel: the support of its nearest act, shared with all others by nearness."""
    opening = [c for c in near if c.act.kind is Kind.OPENING]
    on_vessels = [c for c in near if c.act.kind is not Kind.OPENING]
    best = {
        key: heaviest(_decisive([c for c in on_vessels if c.act.key == key]))
        for key in dict.fromkeys(c.act.key for c in on_vessels)
    }
    total = sum(c.weight for c in best.values()) + (heaviest(opening).weight if opening else 0.0)
    found = {}
    for key, candidate in best.items():
        support = candidate.weight * sound
        if candidate.act.kind is not Kind.DECOMPRESSIVE:
            support *= INDIRECT
        if key is not None and key in reversed_keys:
            support = 1 - (1 - support) / 2
        found[key] = support * candidate.weight / total
    return found


def _decisive(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """The decompressive acts among them; all, if there are none."""
    return [c for c in candidates if c.act.kind is Kind.DECOMPRESSIVE] or candidates


def _steadiness(levels: Around) -> float:
    """What the M-control kept of its level, at most 1."""
    if levels.control_before is None or levels.control_after is None or levels.control_before <= 0:
        return M_UNKNOWN
    return min(levels.control_after / levels.control_before, 1.0)


def _mirrored(levels: Around) -> bool:
    """Whether the M-control fell too, or had fallen already."""
    if levels.control_before is None or levels.control_after is None:
        return False
    return levels.control_after < M_STEADY * max(levels.control_before, 100.0)


def listed(candidates: Sequence[Candidate]) -> list[dict[str, object]]:
    """Acts as evidence."""
    return [
        {"vessel": c.act.vessel, "manoeuvre": c.act.event, "note_sample": c.act.sample, "lag_s": c.lag}
        for c in candidates
    ]


def as_evidence(drop: Drop, found: Explanation) -> dict[str, object]:
    """One fall as evidence, in plain values."""
    return {
        "vessel": None if found.act is None else found.act.vessel,
        "manoeuvre": None if found.act is None else found.act.event,
        "note_sample": None if found.act is None else found.act.sample,
        "reason": found.reason,
        "interval": [drop.first, drop.second],
        "before_percent": drop.levels.before,
        "after_percent": drop.levels.after,
        "m_before_percent": drop.levels.control_before,
        "m_after_percent": drop.levels.control_after,
        "sustained": drop.sustained,
        "acts": listed(found.candidates),
        "excluded": [{"reason": reason, "sample": sample} for reason, sample in found.excluded],
    }
