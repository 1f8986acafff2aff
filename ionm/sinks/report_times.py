"""The pictures over the time of a case: the amplitude trend, and the timeline of states and holds.

Both have the same time axis and the same band of notes above, so that they can be read together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ionm.sinks.report_course import Course, Points
from ionm.sinks.report_drawing import (
    CONTROL,
    FAINT,
    GREY,
    HELD,
    INK,
    MISS,
    RULE,
    STATES,
    WIDTH,
    drawable,
    figure,
    width_of,
)
from ionm.sinks.verdict import briefly, clock, in_words
from ionm.states import NEAR_ABSENT_BELOW, REDUCED_BELOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Label = tuple[float, int, str]
"""A note: its time in s, its number in the table of notes, and its text."""

_LANE = 0.15  # height of a lane of note labels, in inches
_LANES = 7  # most lanes of note labels
_FONT = 7.0  # of labels, in points

HIGHEST = 200.0
"""Percent of baseline above which points are drawn at the upper edge."""


def trend(
    courses: Mapping[str, Course],
    controls: Mapping[str, Points],
    notes: Sequence[Label],
    fs: float,
    stop: int,
) -> Figure:
    """Draw amplitude in percent of baseline against time, one row per derivation.

    Parameters
    ----------
    courses
        By derivation.
    controls
        The M-control's numbers, by the derivation they belong to.
    notes
        Times in s, numbers and texts, in order.
    stop
        End of the case, in samples.
    """
    picture, rows, _ = _frame(list(courses), 1.45, notes, stop / fs)
    for axes, (name, course) in zip(rows, courses.items(), strict=True):
        points = course.points
        t = points.triggers / fs
        for begin, end, _ in course.hold_spans(stop):
            axes.axvspan(begin / fs, end / fs, facecolor=HELD, edgecolor=RULE, hatch="////", lw=0, zorder=0)
        control = controls.get(name)
        share = np.isfinite(points.percents).any()
        values, top = (points.percents, HIGHEST) if share else (points.amplitudes * 1e6, np.inf)
        highest = float(np.nanmax(values)) if np.isfinite(values).any() else 100.0
        if share or not np.isfinite(values).any():
            highest = min(max(highest, 120.0), top)
            for level, text in (
                (REDUCED_BELOW, f"{REDUCED_BELOW:g} %"),
                (NEAR_ABSENT_BELOW, f"{NEAR_ABSENT_BELOW:g} %"),
            ):
                axes.axhline(level, color=GREY, lw=0.7, ls=(0, (4, 3)), zorder=1)
                axes.text(
                    1.004, level, text, transform=axes.get_yaxis_transform(), va="center", fontsize=_FONT
                )
            if control is not None and np.isfinite(control.percents).any():
                axes.plot(
                    control.triggers / fs,
                    np.minimum(control.percents, highest),
                    color=CONTROL,
                    lw=0.8,
                    zorder=2,
                )
        found = points.present == 1
        axes.plot(
            t[found],
            np.minimum(values[found], highest),
            "o",
            ms=2.6,
            mew=0,
            color=STATES["PRESENT"][1],
            zorder=4,
        )
        base = -0.1 * highest
        missed, unjudged = points.present == 0, points.present < 0
        axes.plot(t[missed], np.full(missed.sum(), base), "|", ms=5, mew=0.8, color=MISS, zorder=4)
        axes.plot(t[unjudged], np.full(unjudged.sum(), base), "x", ms=3, mew=0.6, color=GREY, zorder=4)
        axes.axhline(0, color=RULE, lw=0.8, zorder=1)
        axes.set_ylim(-0.2 * highest, 1.06 * highest)
        axes.set_ylabel(
            "% of baseline" if share or not np.isfinite(values).any() else "µV (no LSR baseline)",
            fontsize=_FONT,
        )
        if share:
            axes.set_yticks([0, 50, 100, *([150, 200] if highest > 150 else [])])
        axes.text(0.004, 1.0, drawable(name), transform=axes.transAxes, va="bottom", fontweight="bold")
    return picture


def timeline(
    courses: Mapping[str, Course],
    notes: Sequence[Label],
    gaps: Sequence[tuple[int, int]],
    fs: float,
    stop: int,
) -> Figure:
    """Draw the states (above) and the holds with their reasons (below) of every derivation.

    Parameters
    ----------
    courses
        By derivation.
    notes
        Times in s, numbers and texts, in order.
    gaps
        (first missing sample, end).
    stop
        End of the case, in samples.
    """
    picture, rows, inches = _frame(list(courses), 0.5, notes, stop / fs)
    per_second = inches * fs / stop
    for axes, (name, course) in zip(rows, courses.items(), strict=True):
        for first, end, state in course.state_spans(stop):
            sign, colour = STATES[state]
            axes.broken_barh(
                [(first / fs, (end - first) / fs)],
                (0.52, 0.46),
                facecolor=colour,
                edgecolor="white",
                lw=0.6,
                zorder=2,
            )
            text = f"{sign} {state.replace('_', ' ')}"
            _write(axes, (first + end) / 2 / fs, 0.75, (text, sign), (end - first) / fs * per_second, "white")
        for first, end, reasons in course.hold_spans(stop):
            axes.broken_barh(
                [(first / fs, (end - first) / fs)],
                (0.04, 0.4),
                facecolor=HELD,
                edgecolor=FAINT,
                hatch="/////",
                lw=0.5,
                zorder=2,
            )
            text = in_words(reasons)
            _write(
                axes,
                (first + end) / 2 / fs,
                0.24,
                (text, " + ".join(map(briefly, reasons)), briefly(reasons[-1])),
                (end - first) / fs * per_second,
                INK,
            )
        for first, end in gaps:
            axes.axvspan(
                first / fs, end / fs, facecolor="white", edgecolor=INK, hatch="xxxx", lw=0.6, zorder=5
            )
        axes.set(ylim=(0, 1), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.text(
            -0.008,
            0.5,
            drawable(name),
            transform=axes.transAxes,
            ha="right",
            va="center",
            fontweight="bold",
            fontsize=_FONT,
        )
    return picture


def _frame(
    names: Sequence[str], row: float, notes: Sequence[Label], seconds: float
) -> tuple[Figure, list[Axes], float]:
    """A picture with labelled notes above a row of a given height, in inches, for each name.

    Returns the picture, the rows' axes, and the width of the axes, in inches.
    """
    left = min(2.6, 0.2 + max(width_of(drawable(name), _FONT * 1.12) for name in names))  # bold is wider
    inches = WIDTH - left - 0.45
    labels = _placed(notes, seconds, inches)
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


def _placed(notes: Sequence[Label], seconds: float, inches: float) -> list[tuple[int, float, float, str]]:
    """(lane, time, left edge in s, text) of the notes' labels.

    No label overlaps another nor the line of another: of two that are near each other the earlier
    stands higher. Where the lanes are too few all labels are shortened to the notes' numbers, and
    where they are still too few some are left out.
    """
    per_inch = seconds / inches
    placed: list[tuple[int, float, float, str]] = []
    for texts in ([f"{n} {drawable(text)}" for _, n, text in notes], [str(n) for _, n, _ in notes]):
        placed = []
        for (t, _, _), text in reversed(list(zip(notes, texts, strict=True))):
            width = (width_of(text, _FONT) + 0.1) * per_inch
            left = max(0.0, min(t, seconds + 0.4 * per_inch - width))
            lane = 1 + max(
                (lane for lane, at, start, _ in placed if min(at, start) < left + width), default=-1
            )
            if lane < _LANES:
                placed.append((lane, t, left, text))
        if len(placed) == len(notes):
            break
    return placed


def _draw_notes(
    band: Axes, rows: Sequence[Axes], notes: Sequence[Label], labels: Sequence[tuple[int, float, float, str]]
) -> None:
    for lane, t, left, text in labels:
        y = 0.04 + lane * _LANE
        band.plot([t, t], [0, y + 0.1], color=GREY, lw=0.6, clip_on=False)
        band.text(left, y, f" {text}", fontsize=_FONT, va="bottom")
    for t, _, _ in notes:
        for k, axes in enumerate(rows):
            axes.axvline(t, color=GREY, lw=0.6, zorder=1.5)
            if k:  # across the space between the rows
                axes.plot(
                    [t, t], [1, 1.2], transform=axes.get_xaxis_transform(), color=GREY, lw=0.6, clip_on=False
                )


def _write(axes: Axes, x: float, y: float, texts: Sequence[str], room: float, colour: str) -> None:
    """Write the first of the texts that fits into a room in inches, or nothing."""
    for text in texts:
        if width_of(text, _FONT) + 0.06 <= room:
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6} if colour == INK else None
            axes.text(
                x,
                y,
                text,
                ha="center",
                va="center_baseline",
                fontsize=_FONT,
                color=colour,
                bbox=box,
                zorder=6,
            )
            return
