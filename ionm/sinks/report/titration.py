"""The picture for stimuli that vary from sweep to sweep: amplitude against stimulus strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ionm.sinks.report.drawing import CONTROL, GREY, MISS, RULE, STATES, drawable, figure
from ionm.sinks.report.points import Points

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def titration(responses: Sequence[tuple[str, Points]]) -> Figure:
    """Draw each response's amplitude against the strength of its stimulus, one row each.

    Parameters
    ----------
    responses
        (title, numbers): the late response first, then the direct one.
    """
    picture = figure(0.5 + 2.3 * len(responses))
    grid = picture.subplots(len(responses), 1, sharex=True, squeeze=False)
    looks = (("o", STATES["PRESENT"][1]), ("s", CONTROL))
    for k, (axes, (title, points)) in enumerate(zip(grid[:, 0], responses, strict=True)):
        sign, colour = looks[min(k, 1)]
        found, missed, unjudged = (points.present == value for value in (1, 0, -1))
        values, x = points.amplitudes * 1e6, points.strengths
        largest = float(np.nanmax(values)) if found.any() else 100.0
        base = -0.09 * largest
        axes.plot(x[found], values[found], sign, ms=4, mew=0, color=colour)
        axes.plot(x[missed], np.full(missed.sum(), base), "|", ms=6, mew=0.9, color=MISS)
        axes.plot(x[unjudged], np.full(unjudged.sum(), base), "x", ms=4, mew=0.8, color=GREY)
        axes.axhline(0, color=RULE, lw=0.8, zorder=0)
        axes.grid(axis="x", color=RULE, lw=0.5)
        axes.set_axisbelow(True)
        axes.set(ylim=(-0.18 * largest, 1.1 * largest), ylabel="amplitude, µV")
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 1.1 * largest])
        axes.set_title(drawable(title), loc="left", fontsize=9, fontweight="bold")
    unit = responses[0][1].unit
    grid[-1, 0].set_xlabel(f"stimulus strength, {unit}" if unit else "stimulus strength, as marked")
    picture.tight_layout()
    return picture
