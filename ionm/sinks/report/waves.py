"""One column of waves in the picture of stacked sweeps: a row per stimulus, one scale for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionm.sinks.report.course import Wave
from ionm.sinks.report.drawing import BLACK, FAINT, MISS, WINDOW, drawable, nice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 100e-6
"""Amplitude, in V, that is drawn as large as a baseline where nothing larger is there (our choice:
noise shall look small)."""

WIDEST = 8.0
"""Rows to which a wave is cut off on both sides, so that a movement does not hide its neighbours."""

NARROWEST = 1.0
"""The same for sweeps from which nothing was decided."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One column of waves.

    Parameters
    ----------
    title
        Above it.
    times
        Shape (n_samples,), in ms after the stimulus.
    window
        Where the response is looked for, in ms.
    """

    title: str
    times: NDArray[np.float64]
    window: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The waves of one panel.

    Parameters
    ----------
    panel
        What it shows.
    waves
        One per row, oldest first; None where there is none.
    mean
        The baseline's average; None without one.
    colours
        One per row; `FAINT` for sweeps from which nothing was decided.
    marks
        (onset, peak) of the response in each row, in ms, NaN for none; None to mark nothing.
    volts_per_row
        The scale.
    """

    panel: Panel
    waves: Sequence[Wave | None]
    mean: Wave | None
    colours: Sequence[str]
    marks: Sequence[tuple[float, float]] | None
    volts_per_row: float

    def height(self, k: int, wave: Wave) -> NDArray[np.float64]:
        """Where a wave of row ``k`` runs, in rows from the top."""
        most = NARROWEST if self.colours[k] == FAINT else WIDEST
        return np.asarray(k - np.clip((wave - _middle(wave)) / self.volts_per_row, -most, most), np.float64)


def largest(panel: Panel, waves: Sequence[Wave | None]) -> float:
    """What most waves do not exceed peak to peak in the window, in V, but at least `FLOOR`."""
    inside = (panel.times >= panel.window[0]) & (panel.times < panel.window[1])
    seen = [w[inside & np.isfinite(w)] for w in waves if w is not None]
    heights = [float(np.ptp(wave)) for wave in seen if wave.size]
    return max(float(np.percentile(heights, 95)), FLOOR) if heights else FLOOR


def draw(axes: Axes, column: Column, span: tuple[float, float], mean_at: float) -> None:
    """Draw a column between the rows of ``span`` (lower, upper), with the average at row ``mean_at``."""
    from matplotlib.collections import LineCollection

    panel, times = column.panel, column.panel.times
    axes.axvspan(*panel.window, color=WINDOW, lw=0, zorder=0)
    rows = [(k, wave) for k, wave in enumerate(column.waves) if wave is not None]
    lines = [np.column_stack([times, column.height(k, wave)]) for k, wave in rows]
    inks = [column.colours[k] for k, _ in rows]
    axes.add_collection(LineCollection(lines, colors=inks, linewidths=0.7, zorder=3), autolim=False)
    if column.mean is not None:
        y = mean_at - (column.mean - _middle(column.mean)) / column.volts_per_row
        axes.plot(times, y, color=BLACK, lw=1.4, zorder=4)
    if column.marks is not None:
        _mark(axes, column, column.marks)
    _scale_bar(axes, column, span[0] - 0.6)
    axes.set(xlim=(times[0], times[-1]), ylim=span, yticks=[])
    axes.set_xlabel("ms after the stimulus")
    axes.set_title(drawable(panel.title), fontsize=9, fontweight="bold", pad=6)
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)


def _middle(wave: Wave) -> float:
    there = wave[np.isfinite(wave)]
    return float(np.median(there)) if there.size else 0.0


def _mark(axes: Axes, column: Column, marks: Sequence[tuple[float, float]]) -> None:
    """A tick at each onset and a dot at each peak."""
    times = column.panel.times
    for which, (sign, size) in enumerate((("|", 5.0), ("o", 2.6))):
        x, y = [], []
        for k, (mark, wave) in enumerate(zip(marks, column.waves, strict=True)):
            if wave is None or not times[0] <= mark[which] <= times[-1]:
                continue
            x.append(mark[which])
            y.append(column.height(k, wave)[int(np.argmin(np.abs(times - mark[which])))])
        axes.plot(x, y, sign, ms=size, color=MISS, mew=0.9, zorder=6)


def _scale_bar(axes: Axes, column: Column, foot: float) -> None:
    microvolts = nice(column.volts_per_row * 3.2e6)  # about three rows high
    rise = microvolts * 1e-6 / column.volts_per_row
    width = float(np.ptp(column.panel.times))
    x = float(column.panel.times[-1]) - 0.02 * width
    axes.plot([x, x], [foot, foot - rise], color=BLACK, lw=1.6, zorder=5, solid_capstyle="butt")
    label = f"{microvolts / 1000:g} mV" if microvolts >= 1000 else f"{microvolts:g} µV"
    axes.text(x - 0.02 * width, foot - rise / 2, label, ha="right", va="center", zorder=5)
