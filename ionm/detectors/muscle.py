"""One muscle's free-run activity: which pattern an element, a rhythm and a pause belong to.

An A-train takes precedence over the elements it covers, a C-train over single elements, a spasm over all
but A-trains. Bursts are always told, spikes only when they belong to nothing longer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from ionm.detectors.activity import Element, Segmenter
from ionm.detectors.trains import ATrain, Repetition, Rhythm, Stretch

Tell = Callable[[Stretch], None]
"""Takes what a muscle does; see `Stretch`."""

C_PAUSE = 100  # cells; a C-train is continuous: a longer pause ends it (our choice)
C_SHARE = 0.85  # share of the longest burst's time that activity fills in a C-train (our choice)
C_LOOK_BACK = 1000  # cells
C_HUM = 40  # cells that a window of hum may lie back when a C-train would begin (our choice)
C_GAP = 30  # cells: a pause that is a little longer than the one that parts elements is none
SPASM_PAUSE = 1000  # cells without a synchronous element that end a spasm (our choice)
LONGEST_UNSEEN = 300  # cells; an A-train is bridged through stimulus frames, not through more
YOUNG = 150  # cells; what is younger when an artefact is recognised is taken to be it


class Muscle:
    """What goes on in one channel.

    Parameters
    ----------
    rate
        Cells a second.
    spike, burst
        Longest of each, in cells.
    """

    def __init__(self, rate: float, spike: int, burst: int) -> None:
        self.segments = Segmenter()
        self.a_train = ATrain(rate)
        self._repetition = Repetition(spike)
        self._rate, self._spike, self._burst = rate, spike, burst
        self._a_peak = 0.0
        self._tone = False  # the present rhythm is an artefact, told as such
        self._c_train: Element | None = None
        self._continuous_as = "c_train"  # what it is told as
        self._hum = -(10**9)  # end of the newest window that was hum
        self._recent: list[Element] = []  # what a C-train may be made of
        self._spasm: Element | None = None

    @property
    def busy(self) -> bool:
        """Whether anything goes on that later blocks may end."""
        return bool(
            self.segments.open or self.a_train.onset is not None or self._repetition.busy
            or self._c_train or self._spasm
        )  # fmt: skip

    def wants_rhythm(self, end: int, *, every: bool) -> bool:
        """Whether the window before this cell may hold a rhythm; ``every`` in every second block."""
        if self.a_train.onset is not None:
            return every or not self.a_train.recognised
        return end - self.segments.last <= 30 and self.segments.last - self.segments.since >= 25

    def rhythm(self, found: Rhythm | None, end: int, tell: Tell, *, together: bool, seen: bool) -> None:
        """What the window before ``end`` shows; ``together`` with most channels; ``seen`` unless blind."""
        train = self.a_train
        if found is not None:
            if train.onset is None:
                self._a_peak = 0.0
            train.take(found, self.segments.since)
            self._a_peak = max(self._a_peak, found.peak)
        elif train.onset is not None and (seen or end - train.last > LONGEST_UNSEEN):
            train.miss()
        if train.onset is None:
            return
        if train.recognised and not self._tone:
            if together or (train.suspect() and train.last - train.onset >= train.MAINS_CELLS):
                if train.told:  # it was no A-train
                    tell(self._a_stretch(train.onset))
                self._tone = train.told = True
                tell(self._a_stretch(None))
            elif not train.told and not train.suspect():
                train.told = True
                tell(self._a_stretch(None))
        if train.over:
            self._end_a_train(tell)

    def hum(self, end: int) -> None:
        """The window before this cell is hum: what is continuous with it is a loose electrode."""
        self._hum = end

    def _end_a_train(self, tell: Tell) -> None:
        train = self.a_train
        if not train.told:
            tell(self._a_stretch(None))
        end = train.last + 1
        if 0 <= self.segments.last - train.last <= 1.5 * self._rate / train.frequency:
            end = self.segments.last + 1  # in a quiet muscle the activity's end is the train's
        tell(self._a_stretch(end))
        self._tone = False
        train.clear()

    def _a_stretch(self, end: int | None) -> Stretch:
        train = self.a_train
        pattern = "artefact" if self._tone else "a_train"
        return Stretch(
            pattern, train.onset or 0, end, self._a_peak, train.frequency / self._rate, train.regularity
        )

    def take(self, element: Element, synchronous: str | None, since: int, tell: Tell) -> None:
        """An element that ended; ``since``, in a spasm, is the begin of its first burst."""
        if self.a_train.covers(element):
            return
        if synchronous == "artefact":
            tell(Stretch("artefact", element.onset, element.end, element.peak))
            return
        if synchronous == "spasm" or (self._spasm and element.onset - self._spasm.end <= self._burst):
            if self._spasm is None:
                self._end_repetition(tell)
                self._spasm = Element(since, element.end, element.peak, element.at)
                tell(Stretch("spasm", since, None, element.peak))
            elif synchronous == "spasm":
                self._spasm.end = element.end
            self._spasm.peak = max(self._spasm.peak, element.peak)
            return
        if element.cells > self._burst:
            if self._c_train is None:
                self._begin_c_train(element, tell)
        elif element.cells > self._spike and not self._repetition.expects(element):
            tell(Stretch("burst", element.onset, element.end, element.peak, blind=element.blind))
        if self._c_train is not None:
            self._c_train.end = element.end
            self._c_train.peak = max(self._c_train.peak, element.peak)
            return
        self._recent = [e for e in self._recent if element.end - e.end <= C_LOOK_BACK]
        self._recent.append(element)
        self._repeat(self._repetition.take(element), tell)

    def _repeat(self, news: tuple[list[Stretch], list[Element]], tell: Tell) -> None:
        stretches, singles = news
        for element in singles:
            if element.cells <= self._spike:
                tell(Stretch("spike", element.onset, element.end, element.peak))
        for stretch in stretches:
            tell(stretch)

    def _end_repetition(self, tell: Tell) -> None:
        self._repeat(self._repetition.end(), tell)

    def advance(self, end: int, tell: Tell) -> None:
        """Nothing more happened before this cell."""
        element = self.segments.open
        if self._spasm is not None and end - self._spasm.end > SPASM_PAUSE:
            tell(Stretch("spasm", self._spasm.onset, self._spasm.end, self._spasm.peak))
            self._spasm = None
        if self._c_train is not None:
            pause = end - (element.end if element is not None else self._c_train.end)
            if pause > C_PAUSE:
                self._end_c_train(tell)
        elif self._spasm is None and (element is None or not self.a_train.covers(element)):
            first = self._continuous(end)
            if first is not None:
                self._begin_c_train(first, tell)
        # an element that goes on began before: it may join what it follows
        self._repeat(self._repetition.until(end if element is None else min(end, element.onset)), tell)

    def _continuous(self, end: int) -> Element | None:
        """The first element of an activity that has filled more than the longest burst."""
        element = self.segments.open
        parts = [*self._recent, element] if element is not None else self._recent
        if not parts or parts[-1].end - parts[0].onset < self._burst:
            return None
        begin = parts[-1].end - self._burst
        filled = max(parts[-1].end - max(parts[-1].onset, begin), 0) - parts[-1].blind
        for part, following in pairwise(parts):
            pause = following.onset - part.end
            filled += max((following.onset if pause <= C_GAP else part.end) - max(part.onset, begin), 0)
        if filled < C_SHARE * self._burst or end - parts[-1].end > C_GAP:
            return None
        first = parts[-1]
        for part in reversed(parts):
            if first.onset - part.end > C_GAP:
                break
            first = part
        return first

    def _begin_c_train(self, first: Element, tell: Tell) -> None:
        self._repeat((self._repetition.end(first.onset)[0], []), tell)
        newest = self.segments.open or first
        self._c_train = Element(first.onset, max(first.end, newest.end), first.peak, first.at)
        self._recent = []
        self._continuous_as = "artefact" if newest.end - self._hum <= C_HUM else "c_train"
        tell(Stretch(self._continuous_as, first.onset, None, first.peak))

    def _end_c_train(self, tell: Tell) -> None:
        train = self._c_train
        if train is not None:
            tell(Stretch(self._continuous_as, train.onset, train.end, train.peak))
        self._c_train = None

    def drop(self, cell: int, tell: Tell, *, young: int = YOUNG) -> None:
        """An artefact was recognised at this cell: end what is older than ``young``, withdraw what is not."""
        self.segments.drop()
        train = self.a_train
        if train.onset is not None:
            if train.told:
                withdrawn = cell - train.onset < young
                tell(self._a_stretch(train.onset if withdrawn else min(train.last + 1, cell)))
            self._tone = False
            train.clear()
        if self._c_train is not None:
            withdrawn = cell - self._c_train.onset < young
            self._c_train.end = self._c_train.onset if withdrawn else min(self._c_train.end, cell)
            self._end_c_train(tell)
        if self._spasm is not None:
            tell(Stretch("spasm", self._spasm.onset, self._spasm.end, self._spasm.peak))
            self._spasm = None
        self._repeat((self._repetition.end()[0], []), tell)
