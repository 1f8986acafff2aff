"""The picture of free-run EMG: when each muscle did what, one lane per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ionm.events import ChannelHold, Finding
from ionm.sinks.report.drawing import FAINT, GREY, HELD, INK, MISS, SMALL, drawable
from ionm.sinks.report.frame import Label, frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Span = tuple[int, int]

LOOKS = {
    "a_train": (3, MISS),
    "b_train": (2, "#b97a00"),
    "c_train": (2, "#7a5aa6"),
    "tonic": (1, "#22805a"),
    "burst": (1, "#1f6fb2"),
    "spike": (1, FAINT),
    "spasm": (0, INK),
    "artefact": (0, GREY),
}
"""Row (from the bottom, 0 to 3) and colour of each pattern in its lane: never the colour alone."""

ROWS = 4


class Spans:
    """Stretches of time in order of their end; neighbours are joined where there are too many of them."""

    MOST = 3000
    """More than a page can tell apart (our choice)."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._near = 1  # samples

    def push(self, first: int, end: int) -> None:
        """Take one stretch."""
        self.spans.append((first, end))
        while len(self.spans) > self.MOST:
            self._near *= 2
            joined: list[Span] = []
            for begin, stop in sorted(self.spans):
                if joined and begin - joined[-1][1] <= self._near:
                    joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
                else:
                    joined.append((begin, stop))
            self.spans = joined


class Activity:
    """What a report keeps of free-run EMG."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Spans] = {}
        self._held: dict[str, Spans] = {}
        self._since: dict[str, int] = {}

    def take(self, item: Finding | ChannelHold) -> None:
        """Take one event."""
        if isinstance(item, Finding):
            if item.offset is not None and item.offset > item.onset:
                key = (item.channel, item.pattern)
                self._found.setdefault(key, Spans()).push(item.onset, item.offset)
        elif item.active:
            self._since.setdefault(item.channel, item.sample)
        else:
            self._held.setdefault(item.channel, Spans()).push(self._since.pop(item.channel), item.sample)

    def found(self, channel: str) -> Mapping[str, Sequence[Span]]:
        """The stretches of each pattern in a channel, in samples."""
        return {pattern: spans.spans for (name, pattern), spans in self._found.items() if name == channel}

    def held(self, channel: str, stop: int) -> list[Span]:
        """When a channel could not be judged, in samples."""
        ended = self._held[channel].spans if channel in self._held else []
        return [*ended, *([(self._since[channel], stop)] if channel in self._since else [])]


def activity(
    gathered: Activity, channels: Sequence[str], notes: Sequence[Label], fs: float, stop: int
) -> Figure:
    """Draw findings against time, one lane per channel; a short one is drawn wide enough to be seen.

    Parameters
    ----------
    gathered
        What was found.
    channels
        The lanes, in order.
    notes
        In order.
    fs
        Sampling rate, in Hz.
    stop
        End of the case, in samples.
    """
    picture, rows, inches = frame(channels, 0.5, notes, stop / fs)
    least = 0.012 * stop / fs / inches  # s: a line of about two pixels
    for axes, name in zip(rows, channels, strict=True):
        for first, end in gathered.held(name, stop):
            axes.broken_barh(
                [(first / fs, (end - first) / fs)], (0, 1), fc=HELD, ec=FAINT, hatch="/////", lw=0.4
            )
        for pattern, spans in gathered.found(name).items():
            row, colour = LOOKS[pattern]
            bars = [(first / fs, max((end - first) / fs, least)) for first, end in spans]
            axes.broken_barh(bars, (row / ROWS + 0.02, 1 / ROWS - 0.04), fc=colour, lw=0, zorder=3)
        axes.set(ylim=(0, 1), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.text(
            -0.008,
            0.5,
            drawable(name),
            transform=axes.transAxes,
            ha="right",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
        )
    return picture
