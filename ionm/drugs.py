"""What drugs do to the judging of an LSR: a bolus delays, a complete block holds, the rest is told.

Only the M-control says that the muscle cannot answer. Twitches of a limb follow those of the face by
minutes (Choe 2013: 3.4 min at onset, 18.7 min at recovery), so they count only where nothing better is
there: a train of four without a twitch, or a derivation without M-control.
"""

from __future__ import annotations

from ionm.stream import Note

BOLUS = 300.0
"""Longest that a bolus holds a new loss, in s (design: five minutes)."""

ANSWERS = 3
"""Twitches of four from which on every face answered (Choe 2013: at more than two all responded)."""


class Drugs:
    """What was given, as the notes say."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._until = -1  # a bolus holds new losses up to this sample
        self.held = False  # a loss is held for a bolus

    def take(self, note: Note, *, has_control: bool) -> tuple[str | None, str | None]:
        """The reason for a hold that begins with a note, and the one that ends with it."""
        if note.event == "bolus":
            self._until = max(self._until, note.sample + round(BOLUS * self._fs))
        elif note.event == "relaxant" and not has_control:
            return "relaxant", None
        elif note.event == "tof":
            count = _count(note)
            if count == 0 or (count is not None and count < ANSWERS and not has_control):
                return "relaxant", None
            if count is not None:
                return None, "relaxant"
        return None, None

    def near(self, sample: int) -> bool:
        """Whether a bolus may explain a loss that is found now."""
        return sample < self._until

    def over(self, sample: int, *, answered: bool) -> tuple[str, ...]:
        """The hold of a bolus, once it is over: its time has passed, or the LSR answered."""
        if self.held and (answered or sample >= self._until):
            self.held = False
            return ("bolus",)
        return ()


def _count(note: Note) -> int | None:
    """Twitches of a train of four, if the note says so."""
    try:
        return int(float(note.attributes.get("count", "")))
    except (ValueError, OverflowError):
        return None
