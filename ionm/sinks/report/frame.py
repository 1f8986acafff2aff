"""The frame of a picture over time: the axis of the case, and its notes above and through the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ionm.sinks.report.drawing import GREY, PAPER, RULE, SMALL, WIDTH, drawable, figure, width_of
from ionm.sinks.verdict import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Label = tuple[float, int, str]
"""A note: its time in s, its number in the table of notes, and its text."""

_LANE = 0.15  # height of a lane of note labels, in inches
_LANES = 7  # most lanes of note labels


def frame(
    names: Sequence[str], row: float, notes: Sequence[Label], seconds: float
) -> tuple[Figure, list[Axes], float]:
    """A picture with labelled notes above a row of a given height, in inches, for each name.

    Returns the picture, the rows' axes, and the width of the axes, in inches.
    """
    left = min(2.6, 0.2 + max(width_of(drawable(name), SMALL * 1.12) for name in names))  # bold is wider
    inches = WIDTH - left - 0.45
    labels = placed(notes, seconds, inches)
    lanes = 1 + max((lane for lane, _, _, _ in labels), default=-1)
    above, below, between = 0.1 + _LANE * lanes, 0.42, 0.22 if row > 1 else 0.06
    height = above + below + len(names) * (row + between)
    picture = figure(height)
    rows = []
    for k in range(len(names)):
        bottom = height - above - (k + 1) * (row + between)
        axes = picture.add_axes((left / WIDTH, bottom / height, inches / WIDTH, row / height))
        axes.set_xlim(0, seconds)
        _time_axis(axes, seconds, labelled=k == len(names) - 1)
        rows.append(axes)
    band = picture.add_axes((left / WIDTH, 1 - above / height, inches / WIDTH, above / height))
    band.set(xlim=(0, seconds), ylim=(0, above))
    band.axis("off")
    _draw_notes(band, rows, notes, labels)
    return picture, rows, inches


def _time_axis(axes: Axes, seconds: float, *, labelled: bool) -> None:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((s for s in steps if seconds / s <= 12), 14400)
    ticks = np.arange(0, seconds + 1e-9, step)
    axes.set_xticks(ticks, [clock(t) for t in ticks] if labelled else [""] * len(ticks))
    axes.tick_params(axis="x", length=2 if labelled else 0)
    axes.grid(axis="x", color=RULE, lw=0.5, zorder=0)
    axes.set_axisbelow(True)
    if labelled:
        axes.set_xlabel("time from the begin of the recording, " + ("h:mm:ss" if seconds >= 3600 else "m:ss"))


def placed(notes: Sequence[Label], seconds: float, inches: float) -> list[tuple[int, float, float, str]]:
    """(lane, time, left edge in s, text) of the notes' labels.

    No label overlaps another, nor the line of another unless the end of the case pushes it aside:
    of two that are near each other the earlier stands higher. Where the lanes are too few all
    labels are shortened to the notes' numbers, and where they are still too few some are left out.
    """
    per_inch = seconds / inches
    found: list[tuple[int, float, float, str]] = []
    for texts in ([f"{n} {drawable(text)}" for _, n, text in notes], [str(n) for _, n, _ in notes]):
        found = []
        for (t, _, _), text in reversed(list(zip(notes, texts, strict=True))):
            width = (width_of(text, SMALL) + 0.1) * per_inch
            left = max(0.0, min(t, seconds + 0.4 * per_inch - width))
            lane = 1 + max(
                (lane for lane, at, start, _ in found if min(at, start) < left + width), default=-1
            )
            if lane < _LANES:
                found.append((lane, t, left, text))
        if len(found) == len(notes):
            break
    return found


def _draw_notes(
    band: Axes, rows: Sequence[Axes], notes: Sequence[Label], labels: Sequence[tuple[int, float, float, str]]
) -> None:
    for lane, t, left, text in labels:
        y = 0.04 + lane * _LANE
        band.plot([t, t], [0, y + 0.1], color=GREY, lw=0.6, clip_on=False)
        band.text(
            left, y, f" {text}", fontsize=SMALL, va="bottom", bbox={"fc": PAPER, "ec": "none", "pad": 0}
        )
    for t, _, _ in notes:
        for k, axes in enumerate(rows):
            axes.axvline(t, color=GREY, lw=0.6, zorder=1.5)
            if k:  # across the space between the rows
                axes.plot(
                    [t, t], [1, 1.2], transform=axes.get_xaxis_transform(), color=GREY, lw=0.6, clip_on=False
                )
