"""What drugs do to the judging of an LSR: a bolus delays, a complete block holds, the rest is told.

Only the M-control says that the muscle cannot answer. Twitches of a limb follow those of the face by
minutes (Choe 2013: 3.4 min at onset, 18.7 min at recovery), so they count only where nothing better is
there: a train of four without a twitch, or a derivation without M-control.
"""

from __future__ import annotations

from collections import deque

from ionm.stream import Note

BOLUS = 300.0
"""Longest that a bolus holds a new loss, in s (design: five minutes)."""

ONSET = 300.0
"""Time from a relaxant's note to its effect on the face, in s: until then answers prove nothing (Choe 2013:
facial EMG follows the limb's twitches by 3.4 +- 1.3 min at onset)."""

ANSWERS = 3
"""Twitches of four from which on every face answered (Choe 2013: at more than two all responded)."""


ANSWERED = 3
"""Responses among five valid sweeps that show that the muscle answers, whatever was given (house rules ask
for three of five, general knowledge, facial.md 1.6)."""


class Drugs:
    """What was given, as the notes say."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._until = -1  # a bolus holds new losses up to this sample
        self._holding: list[str] = []  # of "bolus" and "relaxant"
        self._acts = -1  # a relaxant acts from this sample on
        self._answers: deque[bool] = deque(maxlen=5)  # since the newest of them began

    def take(self, note: Note, *, has_control: bool) -> tuple[str | None, str | None]:
        """The reason for a hold that begins with a note, and the one that ends with it."""
        if note.event == "bolus":
            self._until = max(self._until, note.sample + round(BOLUS * self._fs))
        elif note.event == "relaxant" and not has_control:
            self._acts = note.sample + round(ONSET * self._fs)
            return self._begin("relaxant"), None
        elif note.event == "tof":
            count = _count(note)
            if count == 0 or (count is not None and count < ANSWERS and not has_control):
                return self._begin("relaxant"), None
            if count is not None:
                self._holding = [reason for reason in self._holding if reason != "relaxant"]
                return None, "relaxant"
        return None, None

    def near(self, sample: int) -> bool:
        """Whether a bolus may explain a loss that is found now."""
        return sample < self._until

    def delay(self) -> str:
        """Hold a loss because of a bolus; the reason."""
        return self._begin("bolus")

    def over(self, sample: int, *, present: bool) -> tuple[str, ...]:
        """Take a valid sweep; the holds that it ends.

        A bolus's time has passed, or the LSR answered: no paralysed muscle does.
        """
        self._answers.append(present)
        answered = sum(self._answers) >= ANSWERED
        over = tuple(
            reason
            for reason in self._holding
            if (answered and (reason == "bolus" or sample >= self._acts))
            or (reason == "bolus" and sample >= self._until)
        )
        self._holding = [reason for reason in self._holding if reason not in over]
        return over

    def _begin(self, reason: str) -> str:
        if reason not in self._holding:
            self._holding.append(reason)
        self._answers.clear()
        return reason


def _count(note: Note) -> int | None:
    """Twitches of a train of four, if the note says so."""
    text = note.attributes.get("count", "")
    return int(text) if text in ("0", "1", "2", "3", "4") else None
