"""Trains in the activity of one muscle: A-trains, repetition (B-trains, tonic firing), C-trains.

What defines the classes (facial.md 3.1: Romstöck 2000, Prell 2007, where named general knowledge):

========  ==========================================================================================
A-train   sudden begin and end, monotonous, 60 to 210 Hz, low amplitude, 30 ms to several seconds
B-train   single elements (spikes or bursts) that follow each other within 0.5 s, regular or not
tonic     a B-train of one unit that fires regularly with one amplitude: light anaesthesia, contraction
C-train   continuous, irregular, overlapping potentials for longer than a burst (0.5 s)
========  ==========================================================================================

All times are in cells of the grid (`ionm.detectors.activity`), about 1 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ionm.detectors.activity import Element
from ionm.stream import Samples

BAND = (58.8, 214.0)
"""Frequency of an A-train, in Hz: 60 to 210 (general knowledge after Romstöck 2000), 2 % wider."""

WINDOW = 80
"""Cells looked at for a rhythm: almost five periods of 60 Hz; two windows in a row hold a train of 50 ms."""

MAINS = (50.0, 60.0)


MAINS_OFF = 0.02
"""Share by which the period of hum in one window may be off (ours)."""


def is_mains(frequency: float) -> bool:
    """Whether a frequency, in Hz, is that of the mains."""
    return any(abs(frequency - base) <= MAINS_OFF * base for base in MAINS)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A train as far as it is known; times in cells.

    Parameters
    ----------
    pattern
        "a_train", "b_train", "tonic" or "c_train".
    onset, end
        First cell, and the cell behind the last; ``end`` is None while it goes on.
    peak
        In V; 0.0 where the caller knows it better.
    frequency
        Per cell.
    regularity
        Coefficient of variation.
    elements
        "spikes" or "bursts".
    blind
        How many of its cells were blind and bridged.
    """

    pattern: str
    onset: int
    end: int | None
    peak: float = 0.0
    frequency: float | None = None
    regularity: float | None = None
    elements: str | None = None
    blind: int = 0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A rhythm in one window: frequency in Hz, first and last cell of it, usual and largest peak in V."""

    frequency: float
    first: int
    last: int
    height: float
    peak: float


def rhythm(
    peaks: list[float], first: int, frequency: float, *, period: float, floor: float, begun: bool
) -> Rhythm | None:
    """The stretch of a window whose every period holds a potential of about the same height.

    The height is the second of four quarters of the window, so that a single larger unit does not set it.
    None unless four potentials and 30 cells show it: three may stand at equal distances by chance.

    Parameters
    ----------
    peaks
        Largest absolute value of each cell, in V; the window.
    first
        Number of its first cell.
    frequency
        In Hz.
    period
        In cells.
    floor
        What is smaller shows nothing, in V.
    begun
        Whether it goes on: then a potential may be lost in noise. What begins must begin suddenly.
    """
    pause = (2.5 if begun else 1.5) * period
    quarter = len(peaks) // 4
    height = sorted(max(peaks[i * quarter : (i + 1) * quarter]) for i in range(4))[2]
    limit = max(0.5 * height, floor)
    strong = [i for i, value in enumerate(peaks) if value >= limit]
    if not strong:
        return None
    best = run = (strong[0], strong[0])
    for i in strong[1:]:
        run = (run[0], i) if i - run[1] <= pause else (i, i)
        if run[1] - run[0] > best[1] - best[0]:
            best = run
    if best[1] - best[0] < max(2.7 * period, SHORTEST):
        return None
    before = peaks[max(best[0] - BEFORE, 0) : best[0]]
    if not begun and before and max(before) > SUDDEN * height:
        return None
    peak = max(peaks[best[0] : best[1] + 1])
    return Rhythm(frequency, first + best[0], first + best[1], height, peak)


BEFORE, SUDDEN = 15, 0.7
"""Cells before an A-train in which nothing reaches this share of its height: it begins suddenly (ours)."""

SHORTEST = 30
"""Cells a rhythm must last in a window."""


HALF = 8
"""Samples of the slow signal, 4 ms, on either side of the peak that make the shape of a potential."""


def potential(slow: Samples, at: int) -> Samples | None:
    """The shape of the potential at a sample of the slow signal, in V; None if it reaches beyond it."""
    first = max(at - 2, 0)
    near = np.abs(slow[first : at + 4])
    if not len(near):
        return None
    middle = first + int(near.argmax())
    if middle - HALF < 0 or middle + HALF >= len(slow):
        return None
    return slow[middle - HALF : middle + HALF + 1].copy()


def likeness(shape: Samples, unit: Samples, noise: float) -> float:
    """Correlation of a potential with that of a unit at the best of three delays.

    The energy of the noise (RMS in V) is taken out of the potential's, so that a discharge of the unit gives
    about 1.0 whatever the noise.
    """
    best = -math.inf
    for a, b in ((shape, unit), (shape[1:], unit[:-1]), (shape[:-1], unit[1:])):
        best = max(best, float(np.add.reduce(a * b)))
    energy, expected = float(np.add.reduce(shape * shape)), float(np.add.reduce(unit * unit))
    product = max(energy - len(shape) * noise * noise, 0.25 * energy) * expected
    return best / math.sqrt(product) if product > 0 else 0.0


class ATrain:
    """The A-train of one channel, fed a window every block until it is recognised, then every second one.

    Two windows in a row make a train, three without the rhythm end it. A train whose frequency stays within
    `MAINS_TOLERANCE` of a multiple of the mains' is not told before it left it; if it never does for
    `MAINS_CELLS`, it is mains.
    """

    ENOUGH = 2
    MISSES = 3  # 60 ms, as a train that goes on is looked at every 20 ms
    JUMP = 0.15  # "monotonous": a window may differ by this share from the mean so far
    MAINS_TOLERANCE = 0.012  # share of the frequency: what a window of 80 ms may be off by
    MAINS_DEVIATION = 0.005  # share of the frequency by which a tone's windows differ: muscles vary more
    MAINS_CELLS = 1000  # about 1 s: "stationary for longer than 1 s" (facial.md 3.3)

    def __init__(self, rate: float) -> None:
        self._rate = rate  # cells a second
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self.onset: int | None = None
        self.told = False
        self.last = 0
        self.frequency = 0.0  # mean, in Hz
        self.height = 0.0  # mean, in V
        self._count, self._square, self._missed = 0, 0.0, 0

    @property
    def recognised(self) -> bool:
        """Whether there is a train, told or not."""
        return self.onset is not None and self._count >= self.ENOUGH

    def covers(self, element: Element) -> bool:
        """Whether half of an element or more belongs to the train."""
        if self.onset is None or not self.recognised:
            return False
        inside = min(element.end, self.last + WINDOW) - max(element.onset, self.onset)
        return 2 * inside >= element.cells

    def suspect(self) -> bool:
        """Whether it may be mains."""
        nearest = min(abs(self.frequency - base * round(self.frequency / base)) for base in MAINS)
        near = nearest <= self.MAINS_TOLERANCE * self.frequency
        return near and self._deviation() <= self.MAINS_DEVIATION * self.frequency

    def _deviation(self) -> float:
        return math.sqrt(max(self._square / self._count - self.frequency**2, 0.0))

    def halved(self, frequency: float) -> bool:
        """Whether a frequency is half the train's."""
        return abs(2.0 * frequency / self.frequency - 1.0) <= self.JUMP

    @property
    def regularity(self) -> float:
        """Coefficient of variation of the windows' frequencies."""
        return self._deviation() / self.frequency

    def take(self, found: Rhythm, since: int) -> None:
        """A window with a rhythm; ``since`` is the first cell of the present activity."""
        if self.onset is not None and abs(found.frequency / self.frequency - 1.0) > self.JUMP:
            if self.recognised:
                self.miss()
                return
            self.clear()
        if self.onset is None:
            period = self._rate / found.frequency
            # in a quiet muscle the activity's begin is the train's, to the cell
            self.onset = since if abs(found.first - since) <= 1.5 * period else found.first
        self._count += 1
        self._square += found.frequency**2
        self.frequency += (found.frequency - self.frequency) / self._count
        self.height += (found.height - self.height) / self._count
        self.last, self._missed = max(self.last, found.last), 0

    def miss(self) -> None:
        """A window that was seen and shows no such rhythm."""
        self._missed += 1
        if not self.recognised:
            self.clear()

    @property
    def over(self) -> bool:
        """Whether it ended at ``last``."""
        return self._missed >= self.MISSES


class Repetition:
    """Elements of one channel that follow each other: B-trains and tonic firing.

    The *leading unit* are the elements at least half as large as the largest recent one. Eight of them whose
    intervals and sizes hardly vary are tonic firing; it lasts while a next one comes at about its time. Five
    or more elements otherwise are a B-train.
    """

    PAUSE = 500  # cells: the class's longest interval between elements
    LEAST = 5
    LEADING = 8
    REGULAR = 0.2  # coefficient of variation of intervals: voluntary firing has 0.1 to 0.2 (known)
    ALIKE = 0.3  # the same of sizes
    EARLY, LATE = 0.65, 1.5  # of the usual interval: window of the next discharge
    SMALLER = 0.5  # of the largest: what is smaller is another unit
    LIKENESS = 0.7  # correlation of the potentials of one unit (our choice)
    SIZES = (0.6, 1.6)  # of the usual size
    INTRUDERS = 2  # foreign potentials of that size or more in three usual intervals end tonic firing

    def __init__(self, spike: int) -> None:
        self._spike = spike  # longest spike, in cells
        self._recent: list[Element] = []
        self._clear()

    def _clear(self) -> None:
        self._pattern: str | None = None
        self._run: list[Element] = []  # not yet told
        self._onset = self._end = 0
        self._peak = 0.0
        self._count, self._bursts = 0, 0
        self._gaps, self._gap_sum, self._gap_square = 0, 0.0, 0.0
        self._newest = 0  # cell of the newest peak
        self._ends: list[int] = []  # of the newest elements
        self._interval = self._size = 0.0  # of tonic firing
        self._unit: Samples | None = None
        self._strange: list[Element] = []

    @property
    def busy(self) -> bool:
        """Whether a run goes on."""
        return self._count > 0

    def take(self, element: Element) -> tuple[list[Stretch], list[Element]]:
        """A new element: trains that began or ended, and single spikes."""
        told, singles = self.until(element.onset)
        self._recent = [e for e in self._recent[-15:] if element.onset - e.end <= 4 * self.PAUSE]
        self._recent.append(element)
        if self._pattern == "tonic":
            return told + self._follow(element), singles
        if self._pattern is None:
            self._run.append(element)
        self._count_in(element)
        leading = self._leading()
        regular = self._regular(leading)
        if regular:
            told += self._begin_tonic(regular)
        elif self._pattern is None and (len(leading) == self.LEADING or self._count >= 2 * self.LEADING):
            self._run = []
            self._pattern = "b_train"
            told.append(self._stretch(ended=False))
        return told, singles

    def until(self, cell: int) -> tuple[list[Stretch], list[Element]]:
        """What a pause up to this cell ends."""
        if self._pattern == "tonic":
            if cell - self._newest > (1.0 + self.LATE) * self._interval:
                return self._end_tonic(), []
            return [], []
        if not self._count or cell - self._end <= self.PAUSE:
            return [], []
        return self.end()

    def end(self, cell: int | None = None) -> tuple[list[Stretch], list[Element]]:
        """The run is over: a train that was told, or one that was not, or single elements.

        A train that was told is cut at ``cell``, where it proved to be something else.
        """
        if cell is not None:
            self._end = max(min(self._end, cell), self._onset)
        told: list[Stretch] = []
        singles: list[Element] = []
        if self._pattern is not None:
            told = [self._stretch(ended=True)]
        elif self._count >= self.LEAST:
            self._pattern = "b_train"
            told = [self._stretch(ended=False), self._stretch(ended=True)]
        else:
            singles = self._run
        self._clear()
        self._recent = []
        return told, singles

    def _count_in(self, element: Element) -> None:
        if self._count:
            gap = element.at - self._newest
            self._gaps, self._gap_sum, self._gap_square = (
                self._gaps + 1, self._gap_sum + gap, self._gap_square + gap * gap,
            )  # fmt: skip
        else:
            self._onset = element.onset
        self._count += 1
        self._bursts += element.cells > self._spike
        self._peak = max(self._peak, element.peak)
        self._newest, self._end = element.at, element.end
        self._ends = [*self._ends[-7:], element.end]

    def _stretch(self, *, ended: bool) -> Stretch:
        mean = self._gap_sum / self._gaps if self._gaps else 0.0
        spread = math.sqrt(max(self._gap_square / self._gaps - mean * mean, 0.0)) if self._gaps else 0.0
        return Stretch(
            self._pattern or "b_train",
            self._onset,
            self._end if ended else None,
            self._peak,
            1.0 / mean if mean else None,
            spread / mean if mean else None,
            "bursts" if 2 * self._bursts > self._count else "spikes",
        )

    def _leading(self) -> list[Element]:
        """The newest elements that may be a leading unit's."""
        largest = max(e.peak for e in self._recent[-self.LEADING :])
        return [e for e in self._recent if e.peak >= self.SMALLER * largest][-self.LEADING :]

    def _regular(self, leading: list[Element]) -> list[Element]:
        """Those of them that are one unit's if they are regular, else nothing."""
        if len(leading) < self.LEADING or leading[-1] is not self._recent[-1]:
            return []
        gaps = [b.at - a.at for a, b in pairwise(leading)]
        usual = sorted(gaps)[len(gaps) // 2]
        beats = [max(round(gap / usual), 1) for gap in gaps]  # the unit may miss a beat
        single = [gap / beat for gap, beat in zip(gaps, beats, strict=True)]
        if max(beats) > 2 or beats.count(2) > 1 or max(gaps) > self.PAUSE:
            return []
        if _variation(single) > self.REGULAR:
            return []
        if _variation([e.peak for e in leading]) > self.ALIKE:
            return []
        unit = _mean_shape(leading)
        same = [e for e in leading if self._same(e, unit)]
        return same if len(same) >= self.LEADING - 1 else []

    def _same(self, element: Element, unit: Samples | None) -> bool:
        """Whether an element is a discharge of the unit of this shape."""
        if element.shape is None or unit is None:
            return False
        return likeness(element.shape, unit, element.noise) >= self.LIKENESS

    def _begin_tonic(self, leading: list[Element]) -> list[Stretch]:
        told: list[Stretch] = []
        if self._pattern == "b_train":
            earlier = [e for e in self._recent if e.at < leading[0].at]
            few = len(earlier) < self.LEAST and (not earlier or earlier[0].onset <= self._onset)
            self._end = self._onset if few else earlier[-1].end  # too few for a train of their own
            told.append(self._stretch(ended=True))
        self._clear()
        self._pattern = "tonic"
        for element in leading:
            self._count_in(element)
        gaps = sorted(b.at - a.at for a, b in pairwise(leading))
        self._interval = float(gaps[len(gaps) // 2])
        self._size = sorted(e.peak for e in leading)[len(leading) // 2]
        self._unit = _mean_shape(leading)
        return [*told, self._stretch(ended=False)]

    def expects(self, element: Element) -> bool:
        """Whether an element is the next discharge of tonic firing, or a smaller unit beside it."""
        if self._pattern != "tonic":
            return False
        smallest, largest = self.SIZES
        if element.peak < smallest * self._size:
            return True
        late = (element.at - self._newest) / self._interval
        alike = element.peak <= largest * self._size and self._same(element, self._unit)
        return alike and self.EARLY <= late <= 1.0 + self.LATE  # the unit may miss once

    def _follow(self, element: Element) -> list[Stretch]:
        """One more element during tonic firing: the next discharge, a smaller unit, or a stranger."""
        if not self.expects(element):
            self._strange.append(element)
        elif element.peak >= self.SIZES[0] * self._size:
            gap = element.at - self._newest
            self._count_in(element)
            if gap <= self.LATE * self._interval:
                self._interval += 0.2 * (gap - self._interval)
            self._size += 0.2 * (element.peak - self._size)
        self._strange = [e for e in self._strange if element.at - e.at <= 3.0 * self._interval]
        return self._end_tonic() if len(self._strange) >= self.INTRUDERS else []

    def _end_tonic(self) -> list[Stretch]:
        """Tonic firing is over; what disturbed it begins a run of its own."""
        strange = self._strange
        if len(strange) >= self.INTRUDERS:  # what looked like discharges among the strangers was chance
            self._end = max([end for end in self._ends if end <= strange[0].onset], default=self._end)
        ended = self._stretch(ended=True)
        self._clear()
        self._recent = list(strange)
        self._run = list(strange)
        for element in strange:
            self._count_in(element)
        return [ended]


def _mean_shape(elements: list[Element]) -> Samples | None:
    """The mean potential of some elements; None if one is not known."""
    shapes = [e.shape for e in elements if e.shape is not None]
    if len(shapes) < len(elements):
        return None
    total = shapes[0].copy()
    for shape in shapes[1:]:
        total += shape
    return total / len(shapes)


def _variation(values: list[float] | list[int]) -> float:
    """Coefficient of variation of numbers above zero."""
    total = square = 0.0
    for value in values:
        total += value
        square += value * value
    mean = total / len(values)
    return math.sqrt(max(square / len(values) - mean * mean, 0.0)) / mean
