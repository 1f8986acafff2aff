"""How soon a change is told, at how many false alarms: ionm's states against every rule of the comparators.

A rule is a comparator's score, a limit and a number of sweeps in a row that it takes to change its mind; all
limits and numbers are tried, on the very cases that are counted. ionm runs at its defaults: one point.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from backgrounds import Background, Flags, Samples
from cells import Plan, case_of
from comparators import BASELINE
from measures import middle, poisson_upper
from sweep_level import RATE, Case, Record, run
from versus import OURS, all_scores, best_variants


@dataclass(frozen=True)
class Point:
    """An operating point of a rule: false entries an hour, and the delays of changes in sweeps."""

    false: int
    hours: float
    median: float
    late: float  # the 95th percentile
    setting: str

    @property
    def per_hour(self) -> float:
        return self.false / self.hours if self.hours else float("inf")

    @property
    def upper(self) -> float:
        """95 % limit of the false entries an hour."""
        return poisson_upper(self.false) / self.hours if self.hours else float("inf")


RUNS = (1, 2, 3, 4, 5, 6, 8, 10, 15)
BLOCK = 120  # sweeps there, gone, there ...


def coming_and_going(
    background: Background, ratio: float, number: int, *, rms: float, fs: float, blocks: int = 5
) -> Case:
    """The response comes and goes in blocks of a minute, after a baseline."""
    plan = Plan(BASELINE + BLOCK, 0, BLOCK, BLOCK)
    case = case_of(background, ratio, number, plan, rms=rms, fs=fs)
    if background.seconds is not None:
        raise ValueError(
            f"{background.name}: lasts {background.seconds:.0f} s, too short for false alarms an hour"
        )
    levels = np.full((BASELINE + BLOCK * blocks, case.levels.shape[1]), ratio)
    for block in range(1, blocks, 2):
        begin = BASELINE + block * BLOCK
        levels[begin : begin + BLOCK] = 0.0
    return Case(background, levels, case.banks, rms, fs, number, case.interval, case.jitter)


def follow(above: Flags, run_length: int) -> Flags:
    """States of a rule that asks for so many sweeps in a row to change its mind; it begins with "there"."""
    n = len(above)
    index = np.arange(n)[:, None]
    last_below = np.maximum.accumulate(np.where(above, -1, index), axis=0)
    last_above = np.maximum.accumulate(np.where(above, index, -1), axis=0)
    up, down = index - last_below >= run_length, index - last_above >= run_length
    changed = np.maximum.accumulate(np.where(up | down, index, -1), axis=0)
    state = np.take_along_axis(up, np.maximum(changed, 0), axis=0)
    return np.where(changed < 0, True, state)  # noqa: FBT003


@dataclass(eq=False)
class Tally:
    """False entries, and the delays of losses and returns, in sweeps (inf: not told)."""

    false: int = 0
    sweeps: int = 0
    losses: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def add(self, states: Flags, truth: Flags, counted: Flags) -> None:
        """Count one case; ``counted``: the sweeps that make the hours."""
        entered = np.zeros(states.shape, bool)
        entered[1:] = states[1:] != states[:-1]
        self.false += int((entered & (states != truth)).sum())
        self.sweeps += int(counted.sum())
        for row in range(truth.shape[1]):
            changes = np.flatnonzero(np.diff(truth[:, row].astype(int))) + 1
            for first, end in zip(changes, [*changes[1:], len(truth)], strict=True):
                right = np.flatnonzero(states[first:end, row] == truth[first, row])
                kind = self.returns if truth[first, row] else self.losses
                kind.append(float(right[0] + 1) if right.size else np.inf)

    def point(self, setting: str) -> Point:
        """The slower of losses and returns counts."""
        both = [np.array(self.losses), np.array(self.returns)]
        median, late = (max(middle(times, share) for times in both) for share in (0.5, 0.95))
        return Point(self.false, self.sweeps / RATE / 3600, median, late, setting)


def rule_points(series: list[tuple[Samples, Flags]], thresholds: int = 40) -> list[Point]:
    """Every threshold and run length of one score."""
    baseline = np.concatenate([score[BASELINE:].ravel() for score, _ in series])
    points = []
    for limit in np.unique(np.quantile(baseline, np.linspace(0.01, 0.99, thresholds))):
        for length in RUNS:
            tally = Tally()
            for score, truth in series:
                states = follow(score >= limit, length)
                states[:BASELINE] = True
                counted = np.zeros(truth.shape, bool)
                counted[BASELINE:] = True
                tally.add(states, truth, counted)
            points.append(tally.point(f"{limit:.3g}, {length} in a row"))
    return points


def our_point(records: list[Record]) -> Point:
    """ionm at its own settings: what its states do; held time is no unheld hour."""
    tally = Tally()
    for record in records:
        truth = record.levels > 0
        states, counted = np.ones(truth.shape, bool), ~record.held
        for row in range(truth.shape[1]):
            begin = [i for r, i, e in record.baselines if r == row and e.accepted]
            counted[: begin[0] + 1 if begin else None, row] = False
            for r, i, change in record.changes:
                if r == row:
                    states[i:, row] = change.state not in ("ABSENT", "NOT_ELICITED")
        tally.add(states, truth, counted)
    return tally.point("default settings")


def delay_points(
    background: Background, ratio: float, cases: int, training: int, *, rms: float, fs: float
) -> dict[str, list[Point]]:
    """Points of ionm's default settings (one) and of every rule."""
    chosen = best_variants(background, ratio, training, rms=rms, fs=fs)
    series: dict[str, list[tuple[Samples, Flags]]] = {}
    records = []
    for number in range(cases):
        record = run(coming_and_going(background, ratio, number, rms=rms, fs=fs), keep=True)
        for (name, _), score in all_scores(record, fs, chosen).items():
            series.setdefault(name, []).append((score, record.levels > 0))
        record.sweeps = None
        records.append(record)
    found = {OURS: [our_point(records)]}
    for name, parts in series.items():
        found[f"{name}, in a row" if name == OURS else name] = rule_points(parts)
    return found


def soonest(points: list[Point], per_hour: float) -> Point | None:
    """The point with the least 95th percentile among those with at most so many false entries."""
    allowed = [p for p in points if p.per_hour <= per_hour]
    return min(allowed, key=lambda p: (p.late, p.median, p.false), default=None)
