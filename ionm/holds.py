"""What keeps one derivation from being judged: its standing reasons, in the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence

from ionm.events import ArtefactMark, Event, Hold

BY_SWEEP = (
    "m_control_lost",
    "foreign_stimulus",
    "gap",
    "saturation",
    "electrode_off",
    "cautery",
    "no_stimulus",
)
"""Reasons that the next valid sweep takes back, unless a mark still stands."""

BY_STIMULUS = ("intensity_low", "no_baseline")
"""Reasons that a sweep gives by its stimulus alone: it may still be part of a new baseline."""


class Holds:
    """The holds of one derivation: one begins with its first reason and ends with its last."""

    def __init__(self, derivation: str) -> None:
        self._derivation = derivation
        self.reasons: list[str] = []
        self.marks: list[tuple[str, str]] = []  # (who, reason) of artefacts that stand

    def begin(self, reason: str, sample: int) -> list[Event]:
        """A reason not to judge began."""
        if reason in self.reasons:
            return []
        self.reasons.append(reason)
        return [self._event(sample, reason)]

    def end(self, gone: Sequence[str], sample: int) -> list[Event]:
        """Reasons that no longer stand."""
        ended = [r for r in self.reasons if r in gone]
        if not ended:
            return []
        self.reasons = [r for r in self.reasons if r not in gone]
        return [self._event(sample, self.reasons[-1] if self.reasons else ended[-1])]

    def mark(self, mark: ArtefactMark) -> bool:
        """An artefact began or ended on the derivation's channel; True if it began.

        The hold of one that ended stays until a sweep shows that the derivation can be judged again.
        """
        key = (mark.channel, mark.reason)
        if mark.active and key not in self.marks:
            self.marks.append(key)
        elif not mark.active and key in self.marks:
            self.marks.remove(key)
        return mark.active

    def valid(self, sample: int, *, has_baseline: bool) -> list[Event]:
        """A valid sweep came: what it takes back."""
        if not self.reasons:
            return []
        standing = [reason for _, reason in self.marks]
        taken_back = (*BY_SWEEP, *BY_STIMULUS) if has_baseline else BY_SWEEP
        return self.end([r for r in taken_back if r not in standing], sample)

    def _event(self, sample: int, reason: str) -> Hold:
        return Hold(sample, self._derivation, bool(self.reasons), reason, tuple(self.reasons))
