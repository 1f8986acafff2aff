"""The timeline: every derivation's states, and below them its holds with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ionm.sinks.report.course import Course
from ionm.sinks.report.drawing import FAINT, HELD, INK, PAPER, SMALL, STATES, drawable, width_of
from ionm.sinks.report.frame import Label, frame
from ionm.sinks.verdict import briefly, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def timeline(
    courses: Mapping[str, Course],
    notes: Sequence[Label],
    gaps: Sequence[tuple[int, int]],
    fs: float,
    stop: int,
) -> Figure:
    """Draw states and holds against time, one lane per derivation.

    Parameters
    ----------
    courses
        By derivation.
    notes
        In order.
    gaps
        (first missing sample, end).
    fs
        Sampling rate, in Hz.
    stop
        End of the case, in samples.
    """
    picture, rows, inches = frame(list(courses), 0.5, notes, stop / fs)
    for axes, (name, course) in zip(rows, courses.items(), strict=True):
        for first, end, state in course.state_spans(stop):
            sign, colour = STATES[state]
            axes.broken_barh(
                [(first / fs, (end - first) / fs)], (0.52, 0.46), fc=colour, ec=PAPER, lw=0.6, zorder=2
            )
            texts = [f"{sign} {state.replace('_', ' ')}", sign]
            text = _fitting(texts, inches * (end - first) / stop)
            _write(axes, (first + end) / 2 / fs, 0.75, text, color=PAPER)
        for first, end, reasons in course.hold_spans(stop):
            box = [(first / fs, (end - first) / fs)]
            axes.broken_barh(box, (0.04, 0.4), fc=HELD, ec=FAINT, hatch="/////", lw=0.5, zorder=2)
            texts = [in_words(reasons), " + ".join(map(briefly, reasons)), briefly(reasons[-1])]
            text = _fitting(texts, inches * (end - first) / stop)
            _write(axes, (first + end) / 2 / fs, 0.24, text, bbox={"fc": PAPER, "ec": "none", "pad": 0.6})
        for first, end in gaps:
            axes.axvspan(first / fs, end / fs, fc=PAPER, ec=INK, hatch="xxxx", lw=0.6, zorder=7)
        axes.set(ylim=(0, 1), yticks=[])
        axes.spines["left"].set_visible(False)
        at: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "center", "fontsize": SMALL}
        axes.text(-0.008, 0.5, drawable(name), fontweight="bold", **at)
    return picture


def _fitting(texts: Sequence[str], room: float) -> str:
    """The first of the texts that fits into a room in inches; an empty one if none does."""
    return next((text for text in texts if width_of(text, SMALL) + 0.06 <= room), "")


def _write(axes: Axes, x: float, y: float, text: str, **look: Any) -> None:
    if text:
        axes.text(x, y, text, ha="center", va="center_baseline", fontsize=SMALL, zorder=6, **look)
