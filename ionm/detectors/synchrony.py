"""What several channels do in the same moment: the spasm of one side, artefacts, tones."""

from __future__ import annotations

from ionm.detectors.activity import Element

BRANCHES = {
    "Frontalis": "temporal",
    "OrbOculi": "zygomatic",
    "Nasalis": "buccal",
    "OrbOris": "buccal",
    "Mentalis": "mandibular",
    "Platysma": "cervical",
}
"""The facial nerve's branch to each muscle; a channel of any other name is a control."""


class Synchrony:
    """Remembers when each channel's elements began.

    A spasm strikes the muscles of several branches of one side at once, again and again
    (facial.md 6.1: spontaneous spasm is labelled, not rejected); a control channel does not take part. What
    begins on every channel, a control included, is no muscle.
    """

    TOGETHER = 10  # cells: the branches differ by some ms, and bursts do not begin sharply (our choice)
    SAME = 3  # cells: an artefact is there at once
    AGAIN = 3  # synchronous elements ...
    WITHIN = 2000  # ... in so many cells make a spasm (our choice) ...
    MOST = 0.75  # ... if no fewer of all elements in them are: units that fire alone meet by chance (ours)
    TONE = 0.03  # share by which the frequencies of one tone differ between channels
    SHARE = 0.75  # share of the channels that carry a tone

    def __init__(self, names: tuple[str, ...]) -> None:
        split = [name.split(" ", 1) if name[:2] in {"L ", "R "} else ["", name] for name in names]
        self._side = [side for side, _ in split]
        self._branch = [BRANCHES.get(muscle) for _, muscle in split]
        self._has_control = None in self._branch
        sides = {
            side: {b for s, b in zip(self._side, self._branch, strict=True) if s == side and b}
            for side in self._side
        }
        # at least two branches, and at least half of those that are recorded
        self._needed = [max(2, (len(sides[side]) + 1) // 2) for side in self._side]
        self._onsets: list[list[int]] = [[] for _ in names]
        self._struck: list[list[int]] = [[] for _ in names]  # onsets of synchronous elements
        self._alone: list[list[int]] = [[] for _ in names]  # and of the others

    def take(self, row: int, element: Element) -> None:
        """An element that ended."""
        self._onsets[row] = [*self._onsets[row][-7:], element.onset]

    def of(self, row: int, element: Element, going_on: list[Element | None]) -> str | None:
        """Whether it is "spasm", "artefact" or None; ``going_on`` holds each channel's open element."""
        if self._branch[row] is None and not self._has_control:
            return None
        delays = [self._delay(other, element.onset, going_on[other]) for other in range(len(self._onsets))]
        if self._has_control and len(delays) >= 3 and max(delays) <= self.SAME:
            return "artefact"
        near = [i for i, delay in enumerate(delays) if delay <= self.TOGETHER]
        mine = {self._branch[i] for i in near if self._side[i] == self._side[row]}
        for kept in (self._struck, self._alone):
            kept[row] = [at for at in kept[row] if element.onset - at <= self.WITHIN][-15:]
        if None in mine or len(mine) < self._needed[row]:
            self._alone[row].append(element.onset)
            return None
        struck, alone = self._struck[row], self._alone[row]
        struck.append(element.onset)
        often = len(struck) >= self.AGAIN and len(struck) >= self.MOST * (len(struck) + len(alone))
        return "spasm" if often else None

    def since(self, row: int) -> int:
        """Begin of the synchronous elements that make the present spasm."""
        return self._struck[row][0]

    def _delay(self, row: int, onset: int, going_on: Element | None) -> int:
        """How far the nearest begin in a channel is away, in cells."""
        near = [abs(at - onset) for at in self._onsets[row]]
        if going_on is not None:
            near.append(abs(going_on.onset - onset))
        return min(near, default=10**9)

    def tone(self, frequencies: dict[int, float]) -> set[int]:
        """Channels that carry one tone together (a drill, mains); ``frequencies`` by channel, in Hz."""
        needed = max(3, -int(-self.SHARE * len(self._onsets) // 1))
        if len(frequencies) < needed:
            return set()
        ordered = sorted(frequencies.items(), key=lambda item: item[1])
        for first in range(len(ordered) - needed + 1):
            lowest = ordered[first][1]
            same = {row for row, frequency in ordered[first:] if frequency <= lowest * (1.0 + self.TONE)}
            if len(same) >= needed:
                return same
        return set()
