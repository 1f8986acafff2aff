"""The picture of stacked sweeps: a derivation's answers over the case, its M-control beside them.

Oldest on top, newest at the bottom, the baseline's average pinned above; every row is one
stimulus, and the same row on the right is the M-control of that stimulus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ionm.sinks.report.course import Trace, Wave
from ionm.sinks.report.drawing import (
    CONTROL,
    FAINT,
    GREY,
    INK,
    SMALL,
    STATES,
    UNJUDGED,
    WIDTH,
    drawable,
    figure,
    fitting,
    spread,
)
from ionm.sinks.report.waves import FLOOR, Column, Panel, draw, largest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PITCH = 0.075
"""Height of a row, in inches, where the page has room."""

TALLEST = 9.4
"""Height of the picture, in inches: with its caption it fits a printed page."""

LABEL_PITCH = 0.15
"""Least distance of labels, in inches."""

ROWS_HIGH = 6.0
"""Rows that a response as large as the baseline spans, at most."""

# Places in the picture, as shares of its width: times | signs | sweeps | states | M-control | notes.
_SIGNS, _SWEEPS, _STATES, _CONTROL, _NOTES = 0.075, 0.105, 0.505, 0.645, 0.835


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One stimulus.

    Parameters
    ----------
    trace
        Its sweep.
    label
        At the left side: time or strength.
    state
        State that it belongs to; None where there are no states.
    reason
        Why it is not judged, in words; None where it is.
    marks
        (onset, peak) of the response and of the M-control, in ms, to be drawn; NaN for none.
    """

    trace: Trace
    label: str
    state: str | None
    reason: str | None
    marks: tuple[tuple[float, float], tuple[float, float]] | None = None


def stack(
    rows: Sequence[Row],
    panels: tuple[Panel, Panel | None],
    average: tuple[Wave, Wave | None] | None,
    notes: Sequence[tuple[int, str]],
    scales: tuple[float | None, float | None],
) -> Figure:
    """Draw the sweeps of one derivation.

    Parameters
    ----------
    rows
        Oldest first, at least one.
    panels
        The derivation's and the M-control's.
    average
        The baseline's average waves.
    notes
        (sample, text), in order: thin lines between the sweeps before and after.
    scales
        Amplitudes at baseline, in V, where known.
    """
    n = len(rows)
    rows_high = min(ROWS_HIGH, max(1.5, n / 8))
    above = rows_high * (0.6 if average is None else 1.9)  # rows for the first wave, and the average's
    below = 1.0 + 0.8 * rows_high  # rows for the last wave and the scale bar
    all_rows = n + above + below
    pitch = min(PITCH * 2, (TALLEST - 1.0) / all_rows, max(PITCH, 3.2 / all_rows))
    height = 1.0 + pitch * all_rows
    picture = figure(height)
    bottom, top = 0.55 / height, 1 - 0.45 / height
    span = (n - 0.5 + below, -0.5 - above)
    mean_at = -0.5 - above / 2
    colours = [_colour(row) for row in rows]
    for index, panel in enumerate(panels):
        if panel is None:
            continue
        left, right = ((_SWEEPS, _STATES - 0.005), (_CONTROL, _NOTES - 0.01))[index]
        axes = picture.add_axes((left, bottom, right - left, top - bottom))
        column = _column(index, panel, rows, None if average is None else average[index])
        scale = max(scales[index] or 0.0, FLOOR) if scales[index] else largest(panel, _sound(column, rows))
        draw(axes, replace(column, volts_per_row=scale / rows_high), span, mean_at)
        for sample, _ in notes:
            axes.axhline(_between(rows, sample), color=INK, lw=0.5, ls=(0, (1, 2)), zorder=1)
    side = picture.add_axes((0, bottom, 1, top - bottom), zorder=-1)
    side.set(xlim=(0, 1), ylim=span)
    side.axis("off")
    _signs(side, rows, colours)
    _times(side, rows, pitch)
    _states(side, rows, colours, pitch)
    _notes(side, [(_between(rows, sample), text) for sample, text in notes], span, pitch)
    if average is not None:
        side.text(_SIGNS, mean_at, "baseline", ha="right", va="center", fontweight="bold")
    return picture


def _colour(row: Row) -> str:
    if row.reason is not None:
        return FAINT
    if row.state is None:
        return STATES["PRESENT"][1] if row.trace.measurement.present else INK
    return STATES[row.state][1]


def _column(index: int, panel: Panel, rows: Sequence[Row], mean: Wave | None) -> Column:
    """The derivation's waves (index 0) or the M-control's (1), without a scale yet."""
    waves = [row.trace.wave if index == 0 else row.trace.control for row in rows]
    colours = [
        FAINT if index and row.reason is not None else CONTROL if index else _colour(row) for row in rows
    ]
    marks = [row.marks[index] for row in rows if row.marks is not None]
    return Column(panel, waves, mean, colours, marks if len(marks) == len(rows) else None, FLOOR)


def _sound(column: Column, rows: Sequence[Row]) -> list[Wave | None]:
    return [wave for wave, row in zip(column.waves, rows, strict=True) if row.reason is None]


def _between(rows: Sequence[Row], sample: int) -> float:
    """Where a note lies: between the last row before it and the first after it."""
    return sum(row.trace.trigger <= sample for row in rows) - 0.5


def _signs(side: Axes, rows: Sequence[Row], colours: Sequence[str]) -> None:
    """A sign for each row: filled = a response, open = none, cross = cannot be judged."""
    for present, style in ((True, "o"), (False, "o"), (None, "x")):
        at = [k for k, row in enumerate(rows) if row.trace.measurement.present is present]
        ink = [GREY if colours[k] == FAINT else colours[k] for k in at]
        face = {True: ink, False: "none", None: ink}[present]
        edges: dict[str, Any] = {} if present is None else {"edgecolors": ink}
        side.scatter(
            [(_SIGNS + _SWEEPS) / 2] * len(at), at, s=7, marker=style, c=face, linewidths=0.6, **edges
        )


def _times(side: Axes, rows: Sequence[Row], per_row: float) -> None:
    every = max(1, int(np.ceil(LABEL_PITCH / per_row)))
    for k in range(0, len(rows), every):
        side.text(_SIGNS, k, drawable(rows[k].label), ha="right", va="center", fontsize=7.5)


def _blocks(rows: Sequence[Row], colours: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """(first row, last row, text, colour) of each run of rows with one state or one reason."""
    blocks: list[tuple[int, int, str, str]] = []
    for k, row in enumerate(rows):
        if row.reason is not None:
            text, colour = f"{UNJUDGED} {row.reason}", GREY
        elif row.state is not None:
            text, colour = f"{STATES[row.state][0]} {row.state.replace('_', ' ')}", colours[k]
        else:
            continue
        if blocks and blocks[-1][1] == k - 1 and blocks[-1][2] == text:
            blocks[-1] = (blocks[-1][0], k, text, colour)
        else:
            blocks.append((k, k, text, colour))
    return blocks


def _states(side: Axes, rows: Sequence[Row], colours: Sequence[str], per_row: float) -> None:
    blocks = _blocks(rows, colours)
    room = int(len(rows) * per_row / LABEL_PITCH) or 1
    named = sorted(sorted(blocks, key=lambda b: b[0] - b[1])[:room])  # the longest ones, where room is short
    places = spread([(a + b) / 2 for a, b, _, _ in named], LABEL_PITCH / per_row, 0, max(len(rows) - 1, 0))
    for first, last, _, colour in blocks:
        side.plot([_STATES + 0.006] * 2, [first - 0.4, last + 0.4], color=colour, lw=3, solid_capstyle="butt")
    for (first, last, text, colour), place in zip(named, places, strict=True):
        side.plot([_STATES + 0.009, _STATES + 0.016], [(first + last) / 2, place], color=colour, lw=0.6)
        side.text(
            _STATES + 0.019,
            place,
            fitting(text, SMALL * 1.1, (_CONTROL - _STATES - 0.03) * WIDTH),
            va="center",
            fontsize=SMALL,
            color=colour,
            fontweight="bold",
        )


def _notes(side: Axes, notes: Sequence[tuple[float, str]], span: tuple[float, float], per_row: float) -> None:
    """The notes' texts, each near its line; where many are close together some texts are left out."""
    step, last = LABEL_PITCH / per_row, span[1]
    room = (0.99 - _NOTES - 0.005) * WIDTH
    for y, text in notes:
        place = max(y, last + step)
        if place - y > 2 * step or place > span[0]:
            continue
        last = place
        side.plot([_NOTES - 0.01, _NOTES + 0.002], [y, place], color=INK, lw=0.5, ls=(0, (1, 2)))
        side.text(_NOTES + 0.005, place, fitting(text, SMALL, room), va="center", fontsize=SMALL)
