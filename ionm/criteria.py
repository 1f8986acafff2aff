"""When a change of hearing is a warning: published criteria, and the default ladder, by name.

A criterion is a table. Each level is entered when all clauses of any one of its sets are met, on so many
updates in a row, and is left when all clauses of its exit are met. While the signal cannot be judged
nothing is entered or left. A clause whose measure is missing (None) is not met.

Measures, all against the baseline in use:

==================  ==========================================================================
v_shift             wave V later by, in s
v_gain              size of wave V relative to the baseline
v_lost              1.0 if wave V is not there and half of it would have been seen, else 0.0
i_iii               interval I-III longer by, in s
iii_evidence        that wave III is later by 0.5 ms, against half of that
i_shift             wave I later by, in s
warn_evidence       twice the log likelihood ratio of a change that warns against a harmless one
jump_evidence       the same over the newest sweeps alone
watch_evidence      the same for a change that is to be watched
v_shift_low         lower end of the 90 % interval of v_shift, in s
v_gain_high         upper end of the one-sided 90 % interval of v_gain
n1_shift n1_gain    as v_shift, v_gain and v_lost, for N1 of the nerve's own potential
n1_lost
==================  ==========================================================================

Evidence takes the place of a fixed waiting time: it comes at once for a gross change and late for a
doubtful one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Measures = Mapping[str, float | None]


RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

UNITS = {"v_shift": "s", "v_shift_low": "s", "i_iii": "s", "i_shift": "s", "n1_shift": "s"}
"""Of the measures; the others are ratios."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One measure beyond one limit.

    Parameters
    ----------
    measure
        Name, see the table of this module.
    relation
        One of `RELATIONS`.
    limit
        In the measure's unit.
    """

    measure: str
    relation: str
    limit: float

    def met(self, measures: Measures) -> bool:
        """Whether the measure is there and beyond the limit."""
        value = measures.get(self.measure)
        return value is not None and RELATIONS[self.relation](value, self.limit)


@dataclass(frozen=True, slots=True)
class Level:
    """One step of a criterion.

    Parameters
    ----------
    name
        "watch", "warning", "critical".
    priority
        "low", "medium", "high".
    enter
        Sets of clauses: all of one set must be met.
    leave
        All must be met.
    updates
        In a row, both for entering and for leaving.
    """

    name: str
    priority: str
    enter: tuple[tuple[Clause, ...], ...]
    leave: tuple[Clause, ...]
    updates: int = 1

    def entered_by(self, measures: Measures) -> Clause | None:
        """The first clause of the set that is met, or None."""
        return next((some[0] for some in self.enter if all(c.met(measures) for c in some)), None)

    def left_by(self, measures: Measures) -> bool:
        """Whether its exit is met."""
        return all(c.met(measures) for c in self.leave)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A named criterion.

    Parameters
    ----------
    name
        As a protocol calls it.
    source
        Who published it.
    levels
        The mildest first.
    """

    name: str
    source: str
    levels: tuple[Level, ...]

    def start(self) -> RunningCriterion:
        """A fresh run in which nothing stands."""
        return RunningCriterion(self)


@dataclass(frozen=True, slots=True)
class Step:
    """A level was entered or left.

    Parameters
    ----------
    level
        Which.
    raised
        True when entered.
    clause
        What entered it; None when left.
    value
        Of the clause's measure.
    """

    level: Level
    raised: bool
    clause: Clause | None
    value: float | None


class RunningCriterion:
    """A criterion with what stands."""

    def __init__(self, criterion: Criterion) -> None:
        self._levels = criterion.levels
        self._standing = [False] * len(criterion.levels)
        self._count = [0] * len(criterion.levels)

    @property
    def standing(self) -> tuple[Level, ...]:
        """The levels that stand, the mildest first."""
        return tuple(level for level, on in zip(self._levels, self._standing, strict=True) if on)

    def push(self, measures: Measures, *, judged: bool = True) -> list[Step]:
        """Take one update; what is entered and left by it, the mildest first.

        Parameters
        ----------
        measures
            By name; None where it cannot be said.
        judged
            False while the signal cannot be judged: all stays as it is, and counting begins anew.
        """
        steps = []
        for i, level in enumerate(self._levels):
            clause = None if self._standing[i] else level.entered_by(measures)
            met = level.left_by(measures) if self._standing[i] else clause is not None
            self._count[i] = self._count[i] + 1 if met and judged else 0
            if self._count[i] >= level.updates:
                self._standing[i] = not self._standing[i]
                self._count[i] = 0
                steps.append(
                    Step(level, self._standing[i], clause, measures.get(clause.measure) if clause else None)
                )
        return steps


WARN_EVIDENCE, JUMP_EVIDENCE = 5.0, 8.5
"""On the second bank, and on the best window: together 0, 1 and 3 false warnings in 20 h each of noise whose
power falls by frequency to the 0, 1 and 2, at a sweep noise of 1.5 uV (own computation)."""

WATCH_EVIDENCE = 8.0
"""On a bank of half the size: less than one false watch an hour (own computation, 6 h each)."""

ACNS = Criterion(
    "acns",
    "ACNS guideline 11C as quoted by Br J Neurosurg 2022;36:346; called arbitrary by James and Husain 2005",
    (
        Level(
            "warning",
            "medium",
            ((Clause("v_shift", ">=", 1.0e-3),), (Clause("v_gain", "<=", 0.5),)),
            (Clause("v_shift", "<=", 0.9e-3), Clause("v_gain", ">=", 0.55)),
        ),
        Level("critical", "high", ((Clause("v_lost", ">=", 1.0),),), (Clause("v_lost", "<=", 0.0),)),
    ),
)

POLO_2004 = Criterion(
    "polo-2004",
    "Polo, Fischer, Sindou, Marneffe. Neurosurgery 2004;54:97 (thresholds: general knowledge)",
    (
        Level("watch", "low", ((Clause("v_shift", ">=", 0.4e-3),),), (Clause("v_shift", "<=", 0.3e-3),)),
        Level("warning", "medium", ((Clause("v_shift", ">=", 0.6e-3),),), (Clause("v_shift", "<=", 0.5e-3),)),
        Level("critical", "high", ((Clause("v_shift", ">=", 1.0e-3),),), (Clause("v_shift", "<=", 0.9e-3),)),
    ),
)

PARK_2018 = Criterion(
    "park-2018",
    "Park SK et al. Clin Neurophysiol 2018, doi:10.1016/j.clinph.2017.12.032 (latency alone cost no hearing)",
    (
        Level("watch", "low", ((Clause("v_shift", ">=", 1.0e-3),),), (Clause("v_shift", "<=", 0.9e-3),)),
        Level(
            "critical",
            "high",
            ((Clause("v_lost", ">=", 1.0),), (Clause("v_shift", ">=", 1.0e-3), Clause("v_gain", "<=", 0.5))),
            (Clause("v_lost", "<=", 0.0), Clause("v_shift", "<=", 0.9e-3)),
        ),
    ),
)

HATAYAMA_1998 = Criterion(
    "hatayama-1998",
    "Hatayama and Moller. Acta Neurochir 1998;140:681: amplitude, not latency; 40 % lost",
    (Level("warning", "medium", ((Clause("v_gain", "<=", 0.6),),), (Clause("v_gain", ">=", 0.65),)),),
)

PARK_2021 = Criterion(
    "park-2021",
    "Park SK, Joo BE et al. Clin Neurophysiol 2021;132:358: I-III longer by 0.5 ms, wave I by less",
    (
        Level(
            "watch",
            "low",
            ((Clause("i_iii", ">=", 0.5e-3), Clause("i_shift", "<", 0.5e-3)),),
            (Clause("i_iii", "<=", 0.4e-3),),
        ),
    ),
)

# hearing.md 2.5 has 0.65 for the gain's upper limit: 0.2 false warnings an hour at 1.5 uV (own computation)
LADDER = Criterion(
    "ladder",
    "hearing.md 2.5 (our design, after Polo 2004, Park 2018 and 2021); evidence in place of waiting",
    (
        Level(
            "watch",
            "low",
            (
                (Clause("watch_evidence", ">=", WATCH_EVIDENCE),),
                (Clause("v_shift", ">=", 0.4e-3), Clause("v_shift_low", ">=", 0.2e-3)),
                (
                    Clause("i_iii", ">=", 0.5e-3),
                    Clause("i_shift", "<", 0.5e-3),
                    Clause("iii_evidence", ">=", WATCH_EVIDENCE),
                ),
            ),
            (
                Clause("v_shift", "<=", 0.3e-3),
                Clause("v_gain", ">=", 0.75),
                Clause("watch_evidence", "<=", 0.0),
            ),
            updates=2,
        ),
        Level(
            "warning",
            "medium",
            (
                (Clause("warn_evidence", ">=", WARN_EVIDENCE),),
                (Clause("jump_evidence", ">=", JUMP_EVIDENCE),),
                (Clause("v_shift", ">=", 0.6e-3), Clause("v_shift_low", ">=", 0.4e-3)),
                (Clause("v_gain", "<=", 0.5), Clause("v_gain_high", "<=", 0.55)),
            ),
            (
                Clause("v_shift", "<=", 0.5e-3),
                Clause("v_gain", ">=", 0.55),
                Clause("warn_evidence", "<=", 0.0),
            ),
            updates=2,
        ),
        Level(
            "critical",
            "high",
            ((Clause("v_shift", ">=", 1.0e-3), Clause("v_gain", "<=", 0.5)), (Clause("v_lost", ">=", 1.0),)),
            (Clause("v_lost", "<=", 0.0), Clause("v_shift", "<=", 0.9e-3)),
            updates=2,
        ),
    ),
)

CNAP = Criterion(
    "cnap",
    "half of N1 or 0.5 ms (general knowledge); 80 % lost or gone: Li 2023, as quoted by PMC13111521",
    (
        Level(
            "warning",
            "medium",
            ((Clause("n1_gain", "<=", 0.5),), (Clause("n1_shift", ">=", 0.5e-3),)),
            (Clause("n1_gain", ">=", 0.55), Clause("n1_shift", "<=", 0.4e-3)),
            updates=2,
        ),
        Level(
            "critical",
            "high",
            ((Clause("n1_gain", "<=", 0.2),), (Clause("n1_lost", ">=", 1.0),)),
            (Clause("n1_gain", ">=", 0.25), Clause("n1_lost", "<=", 0.0)),
            updates=2,
        ),
    ),
)

CRITERIA = {c.name: c for c in (ACNS, POLO_2004, PARK_2018, HATAYAMA_1998, PARK_2021, LADDER, CNAP)}
"""All, by name."""


def pattern(
    i_shift: float | None, iii_shift: float | None, v_shift: float, least: float = 0.4e-3
) -> str | None:
    """What kind of change the latencies speak of, in s against the baseline.

    Returns
    -------
    str or None
        "all" when wave I comes later too, and no interval grows: ear, tube, temperature or stimulus.
        "nerve" when I-III grows: the eighth nerve is stretched. "brainstem" when III-V grows. "unknown"
        when V is late and the waves before it are not there to tell. None while nothing is late by
        ``least``, the watch level (hearing.md 2.5).
    """
    i_iii = None if i_shift is None or iii_shift is None else iii_shift - i_shift
    iii_v = None if iii_shift is None else v_shift - iii_shift
    if i_iii is not None and i_iii >= least:
        return "nerve"
    if iii_v is not None and iii_v >= least:
        return "brainstem"
    if v_shift < least:
        return None
    if i_shift is not None and i_shift >= 0.5 * v_shift:
        return "all"
    return "unknown"


PER_DEGREE = 0.20e-3
"""Delay of wave V per degree C of cooling, in s (Science 1981;212:356)."""


def corrected(v_shift: float, celsius_then: float, celsius_now: float) -> float:
    """Shift of wave V less what the temperature explains, in s: shown beside the raw one, never judged."""
    return v_shift - PER_DEGREE * (celsius_then - celsius_now)


@dataclass(frozen=True, slots=True)
class Noisiness:
    """When the noise forbids a verdict, and when it allows one again.

    Parameters
    ----------
    hold, release
        Residual noise relative to wave V at baseline (hearing.md 2.5).
    rejected
        Share of sweeps refused above which nothing is judged.
    """

    hold: float = 0.20
    release: float = 0.15
    rejected: float = 0.5

    def holds(self, noise: float, amplitude: float, refused: float, *, held: bool) -> bool:
        """Whether nothing may be judged.

        Parameters
        ----------
        noise
            Residual noise of the printed average, in V.
        amplitude
            Of wave V at baseline, in V.
        refused
            Share of the newest sweeps that was refused.
        held
            Whether it was held before.
        """
        return refused > self.rejected or noise > (self.release if held else self.hold) * amplitude
