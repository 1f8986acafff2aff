"""The amplitude trend: each derivation's LSR over the case, with its M-control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ionm.sinks.report.course import Course
from ionm.sinks.report.drawing import CONTROL, GREY, HELD, MISS, RULE, SMALL, STATES, drawable
from ionm.sinks.report.frame import Label, frame
from ionm.sinks.report.points import Points
from ionm.states import NEAR_ABSENT_BELOW, REDUCED_BELOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHEST = 200.0
"""Percent of baseline above which points are drawn at the upper edge."""

LEAST = 120.0
"""Percent of baseline that the axis reaches at least."""


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
        In order.
    fs
        Sampling rate, in Hz.
    stop
        End of the case, in samples.
    """
    picture, rows, _ = frame(list(courses), 1.45, notes, stop / fs)
    for axes, (name, course) in zip(rows, courses.items(), strict=True):
        for begin, end, _ in course.hold_spans(stop):
            axes.axvspan(begin / fs, end / fs, facecolor=HELD, edgecolor=RULE, hatch="////", lw=0, zorder=0)
        _row(axes, course.points, controls.get(name), fs)
        axes.text(0.004, 1.0, drawable(name), transform=axes.transAxes, va="bottom", fontweight="bold")
    return picture


def _row(axes: Axes, points: Points, control: Points | None, fs: float) -> None:
    t, found = points.triggers / fs, points.present == 1
    if found.any() and not np.isfinite(points.percents).any():  # an LSR without a baseline has no percent
        values = points.amplitudes * 1e6
        highest = float(np.nanmax(values))
        axes.set_ylabel("µV (no LSR baseline)", fontsize=SMALL)
    else:
        values = np.minimum(points.percents, HIGHEST)
        highest = float(np.nanmax(values, initial=LEAST))
        axes.set_ylabel("% of baseline", fontsize=SMALL)
        axes.set_yticks([level for level in (0, 50, 100, 150, 200) if level <= highest])
        _thresholds(axes)
        if control is not None:
            percents = np.minimum(control.percents, highest)
            axes.plot(control.triggers / fs, percents, color=CONTROL, lw=0.8, zorder=2)
    axes.plot(t[found], values[found], "o", ms=2.6, mew=0, color=STATES["PRESENT"][1], zorder=4)
    for what, sign, size, colour in ((0, "|", 5, MISS), (-1, "x", 3, GREY)):
        at = t[points.present == what]
        axes.plot(at, np.full(len(at), -0.1 * highest), sign, ms=size, mew=0.7, color=colour, zorder=4)
    axes.axhline(0, color=RULE, lw=0.8, zorder=1)
    axes.set_ylim(-0.2 * highest, 1.06 * highest)


def _thresholds(axes: Axes) -> None:
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    for level in (REDUCED_BELOW, NEAR_ABSENT_BELOW):
        axes.axhline(level, color=GREY, lw=0.7, ls=(0, (4, 3)), zorder=1)
        axes.text(1.004, level, f"{level:g} %", **place)
