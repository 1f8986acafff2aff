"""What all pictures of a report share: colours, letters, and how one becomes part of the page.

Texts that come from a recording are drawn as they are: "$" starts no formula, and a character
that the font lacks becomes a box. Nothing here depends on the user's matplotlib settings, on the
date or on global state, so the same case gives the same bytes.
"""

from __future__ import annotations

import base64
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 10.0
"""Width of every picture, in inches; a point in it is about 1.4 pixels of the page."""

DPI = 170
"""Fine enough for print: the page is 7 inches wide there, so 240 dots to the inch."""

INK, GREY, FAINT, RULE = "#22303c", "#7d8890", "#b9c1c7", "#dde2e6"
CONTROL = "#7a5aa6"
"""Colour of everything that is the M-control."""

WINDOW = "#f3f6f9"
"""Shade of the window in which a response is looked for."""

HELD = "#f4f4f4"
"""Shade of a time in which the state is held."""

MISS = "#c0392b"
"""Colour of a miss, and of what was found on a sweep."""

PAPER, BLACK = "#ffffff", "#000000"

STATES = {
    "UNKNOWN": ("?", "#8a949b"),
    "NOT_ELICITED": ("–", "#7a6a58"),
    "PRESENT": ("●", "#1f6fb2"),
    "REDUCED": ("◐", "#b97a00"),
    "NEAR_ABSENT": ("◔", "#b5541c"),
    "ABSENT": ("○", "#22805a"),
    "REAPPEARED": ("▲", "#b3186d"),
}
"""Sign and colour of each state: never the colour alone."""

SMALL = 7.0
"""Size of labels, in points."""

UNJUDGED = "×"
LONGEST = 40
"""Letters of a text from a recording that are drawn."""


@contextmanager
def plain_settings() -> Iterator[None]:
    """The settings matplotlib comes with, whatever the user's are, and no formulas."""
    import matplotlib as mpl

    settings: Any = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    settings |= {
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": 8.0,
        "text.parse_math": False,
        "text.color": INK,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "hatch.linewidth": 0.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings):
        yield


def figure(height: float) -> Figure:
    """An empty picture of a height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), dpi=DPI)


def as_source(picture: Figure) -> str:
    """A picture as the source of an ``img``: no file, no date, no version in it.

    With the palette it is a fifth as large, and the eye sees no difference.
    """
    from PIL import Image

    raw = io.BytesIO()
    picture.savefig(raw, format="rgba", dpi=DPI)
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    pixels = Image.frombytes("RGBA", picture.canvas.get_width_height(), raw.getvalue()).convert("RGB")
    buffer = io.BytesIO()
    pixels.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _palette() -> list[int]:
    """Every colour that is drawn, and its shades at the edges of lines; nothing else is nearly white."""
    flat, lines = (
        [PAPER, WINDOW, HELD, RULE],
        [INK, GREY, FAINT, CONTROL, MISS, BLACK, *(c for _, c in STATES.values())],
    )
    share = np.linspace(0, 0.9, (256 - len(flat)) // len(lines))[:, np.newaxis, np.newaxis]
    shades = (1 - share) * _red_green_blue(lines) + share * 255
    return [int(value) for value in np.rint(np.concatenate([_red_green_blue(flat).ravel(), shades.ravel()]))]


def _red_green_blue(colours: Sequence[str]) -> NDArray[np.int64]:
    return np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours])


@cache
def _letters() -> frozenset[int]:
    import matplotlib as mpl
    from matplotlib.font_manager import get_font

    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(get_font(str(path)).get_charmap())


def drawable(text: str) -> str:
    """A text from a recording, cut to `LONGEST` letters of the font, on one line."""
    shown = "".join(
        " " if unicodedata.category(c)[0] in "CZ" else c if ord(c) in _letters() else "□" for c in text
    )
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


@lru_cache(4096)
def width_of(text: str, size: float) -> float:
    """Width of a text of a font size in points, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    return (
        float(TextPath((0, 0), text, size=size, prop=FontProperties(family="DejaVu Sans")).get_extents().x1)
        / 72
    )


def fitting(text: str, size: float, room: float) -> str:
    """A text as it can be drawn with a font size in points, cut to a room in inches."""
    shown = drawable(text)
    if width_of(shown, size) <= room:
        return shown
    while shown and width_of(shown + "…", size) > room:
        shown = shown[:-1]
    return shown + "…"


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in their order, at least ``least`` apart, from ``low`` to ``high``.

    Where there is no room for that, the places are even.
    """
    n = len(wanted)
    if n and (n - 1) * least > high - low:
        return [low + (high - low) * k / (n - 1) for k in range(n)]
    placed: list[float] = []
    for k, place in enumerate(wanted):
        first = low if not placed else placed[-1] + least
        placed.append(min(max(place, first), high - (n - 1 - k) * least))
    return placed


def nice(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20 ... that does not exceed a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value)
