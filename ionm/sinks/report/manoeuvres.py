"""The table of manoeuvres: what each derivation's LSR was before and after every act that was noted.

Where an act is named for a fall, before and after are those of the fall itself: its note may lie seconds off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ionm.manoeuvres import act_of
from ionm.sinks.report.case import Case
from ionm.sinks.report.points import Points

BEFORE, AFTER = 30.0, 60.0
"""Stretches before and after a note whose median is shown, in s (those of the naming itself); they end at
the notes of other acts."""

FEWEST = 3
"""Judged sweeps that a median needs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One act in one derivation: percent of baseline before and after (0: absent), None where not known."""

    before: float | None
    after: float | None
    undone: bool = False
    role: str | None = None

    @property
    def change(self) -> float | None:
        """In percent of what was there before."""
        if self.before is None or self.after is None or self.before <= 0:
            return None
        return 100 * (self.after - self.before) / self.before


@dataclass(frozen=True, slots=True)
class Row:
    """One act: its number in the table of notes, its time in s, and a cell for each derivation."""

    number: int
    t: float
    event: str
    vessel: str | None
    cells: tuple[Cell, ...]


def manoeuvres(case: Case) -> list[Row]:
    """A row for each act, in order of the notes."""
    named = {name: _named(lines) for name, lines in case.attributions.items()}
    acts = [(number, act) for number, note in enumerate(case.notes, 1) if (act := act_of(note)) is not None]
    limits = [-math.inf, *(act.sample for _, act in acts), math.inf]
    rows = []
    for place, (number, act) in enumerate(acts):
        first = max(act.sample - BEFORE * case.fs, limits[place])
        stop = min(act.sample + AFTER * case.fs, limits[place + 2])
        cells = []
        for name in case.followed:
            around = _around(case.courses[name].points, first, act.sample, stop)
            cells.append(named.get(name, {}).get((act.sample, act.event), Cell(*around)))
        rows.append(Row(number, act.sample / case.fs, act.event, act.vessel, tuple(cells)))
    return rows


def _around(points: Points, begin: float, sample: int, end: float) -> tuple[float | None, float | None]:
    """Median percent before and after a sample; a judged sweep without a response counts as 0."""
    judged = points.present >= 0
    triggers = points.triggers[judged]
    percents = np.where(points.present[judged] == 1, points.percents[judged], 0.0)
    found: list[float | None] = []
    for first, stop in ((begin, sample), (sample, end)):
        inside = percents[(triggers >= first) & (triggers < stop)]
        inside = inside[np.isfinite(inside)]
        found.append(float(np.median(inside)) if inside.size >= FEWEST else None)
    return found[0], found[1]


def _named(lines: list[Mapping[str, Any]]) -> dict[tuple[int, str], Cell]:
    """Cells of the acts that one derivation's attributions name or weigh against each other."""
    cells: dict[tuple[int, str], Cell] = {}
    standing: set[tuple[int, str]] = set()
    for line in lines:
        evidence = line["evidence"]
        if evidence["reason"] in ("reappeared", "returned"):
            cells |= {key: _undone(cells[key]) for key in standing}
            standing.clear()
            continue
        weighed = line["role"] == "inconclusive"
        cells = {key: cell for key, cell in cells.items() if key not in standing}
        standing.clear()
        for step in evidence["steps"]:
            newest = step is evidence["steps"][-1]
            levels = step["before_percent"], step["after_percent"] or 0.0
            for act in step["acts"]:
                key = act["note_sample"], act["manoeuvre"]
                if act["note_sample"] == step["note_sample"] and act["manoeuvre"] == step["manoeuvre"]:
                    role = line["role"] if newest else "confirming"
                    cells[key] = Cell(*levels, role=role)
                    standing.add(key)
                elif weighed and newest and act["vessel"] is not None:
                    cells[key] = Cell(*levels, role="inconclusive")
                    standing.add(key)
    return cells


def _undone(cell: Cell) -> Cell:
    return Cell(cell.before, cell.after, undone=True, role=cell.role)
