"""One background at one ratio: the scripted cases, and what is counted in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from backgrounds import Background, Samples
from numpy.typing import NDArray
from responses import VARIETIES, Bank, bank, shapes
from sweep_level import DENSE, JITTER, LEAD, RATE, Case, Record, run

from ionm.events import StateChange

ROWS = 8
BASELINE = 20  # sweeps; states are counted from here on
GONE = ("ABSENT", "NOT_ELICITED")


@dataclass(frozen=True)
class Plan:
    """How long things last, in sweeps: the response is there, lost, and back.

    ``wait``: more sweeps before the loss, drawn up to this many for each row.
    """

    before: int = 45
    wait: int = 6
    absent: int = 45
    after: int = 35

    def levels(self, ratio: float, rows: int, rng: np.random.Generator) -> Samples:
        """Shape (n_sweeps, rows)."""
        n = self.before + self.wait + self.absent + self.after
        levels = np.full((n, rows), ratio)
        for row in range(rows):
            first = self.before + int(rng.integers(0, self.wait + 1))
            levels[first : first + self.absent, row] = 0.0
        return levels


def banks(case: int, rows: int, fs: float) -> list[Bank]:
    """A bank per row; over ten cases every shape meets every variety about equally often."""
    n = len(shapes())
    return [
        bank((case + row) % n, (row + 2 * case + case // n) % len(VARIETIES), fs, 1) for row in range(rows)
    ]


def case_of(
    background: Background, ratio: float, number: int, plan: Plan, *, rms: float, fs: float, rows: int = ROWS
) -> Case:
    """Case ``number`` of a cell. A real background is cut end to end and lasts as long as it is."""
    rng = np.random.default_rng([number, 17])
    if background.seconds is None:
        levels = plan.levels(ratio, rows, rng)
        return Case(background, levels, banks(number, rows, fs), rms, fs, number, DENSE, JITTER)
    length = 0.15  # s: the protocol's sweep
    n = int((background.seconds - LEAD - 0.1) / length)
    before = 30  # one baseline, and ten more
    absent = (n - before - plan.wait) // 2
    fitted = Plan(before, plan.wait, absent, n - before - plan.wait - absent)
    return Case(
        background, fitted.levels(ratio, rows, rng), banks(number, rows, fs), rms, fs, number, length, 0.0
    )


@dataclass(eq=False)
class Cell:
    """What was counted; times in s, amplitudes relative to the truth, delays in sweeps (inf: not stated)."""

    background: str
    ratio: float
    there: list[Samples] = field(default_factory=list)  # scores of sweeps with a response
    gone: list[Samples] = field(default_factory=list)
    hits: int = 0
    n_there: int = 0
    false: int = 0
    n_gone: int = 0
    false_loud: int = 0  # among sweeps with something loud in the search window
    n_gone_loud: int = 0
    unjudged: int = 0
    losses: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)  # the loss is dated to the first sweep without response
    covered: list[bool] = field(default_factory=list)  # the stated interval holds the moment
    false_baseline: int = 0  # PRESENT without a response, or NOT_ELICITED with one
    false_absent: int = 0
    false_return: int = 0
    false_grade: int = 0
    sweeps: int = 0
    held: int = 0
    rows: int = 0
    certified: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    holds: Counter[str] = field(default_factory=Counter)
    amplitude: list[Samples] = field(default_factory=list)
    onset: list[Samples] = field(default_factory=list)
    amplitude_covered: list[NDArray[np.bool_]] = field(default_factory=list)  # by 1.96 stated standard errors
    onset_covered: list[NDArray[np.bool_]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # which entries were false, to find them again

    @property
    def hours(self) -> float:
        """Unheld ones behind the baseline."""
        return (self.sweeps - self.held) / RATE / 3600

    def add(self, record: Record) -> None:
        """Count one case."""
        there = record.levels > 0
        after = np.zeros(there.shape, bool)
        after[BASELINE:] = True
        p_value = record.values["p_value"]
        score = -np.log(np.where(np.isfinite(p_value), np.maximum(p_value, 1e-300), 1.0))
        found, unjudged = record.present == 1, record.present == -1
        self.there.append(score[there & after])
        self.gone.append(score[~there & after])
        self.hits += int(found[there & after].sum())
        self.n_there += int((there & after).sum())
        self.false += int(found[~there & after].sum())
        self.n_gone += int((~there & after).sum())
        self.false_loud += int(found[~there & after & record.loud].sum())
        self.n_gone_loud += int((~there & after & record.loud).sum())
        self.unjudged += int(unjudged[after].sum())
        some = found & there & after
        values = {name: found[some] for name, found in record.values.items()}
        self.amplitude.append(values["amplitude"] / record.size[some] - 1)
        self.onset.append(values["latency"] - record.onset[some])
        for covered, off, error in (
            (self.amplitude_covered, values["amplitude"] - record.size[some], values["amplitude_error"]),
            (self.onset_covered, self.onset[-1], values["latency_error"]),
        ):
            covered.append(np.abs(off[np.isfinite(error)]) <= 1.96 * error[np.isfinite(error)])
        self.holds.update(record.holds)
        for row in range(there.shape[1]):
            self._row(record, there[:, row], row)

    def merge(self, other: Cell) -> None:
        """Add the counts of another cell."""
        for name, value in vars(other).items():
            if name not in ("background", "ratio"):
                setattr(self, name, getattr(self, name) + value)

    def _row(self, record: Record, there: NDArray[np.bool_], row: int) -> None:
        """Count one row's states."""
        self.rows += 1
        accepted = [(i, e) for r, i, e in record.baselines if r == row and e.accepted]
        self.refusals.update(
            e.reason.split(":")[0] for r, _, e in record.baselines if r == row and not e.accepted
        )
        changes = [(i, e) for r, i, e in record.changes if r == row]
        begin = accepted[0][0] if accepted else len(there)
        self.sweeps += len(there) - begin
        self.held += int(record.held[begin:, row].sum())
        wrong = bool(accepted) and bool(accepted[0][1].values.get("elicited")) != bool(
            there[: begin + 1].mean() > 0.5
        )
        for i, change in changes:
            self._count_false(
                change, there=bool(there[i]), taken=any(i == k for k, _ in accepted), wrong=wrong
            )
        lost = np.flatnonzero(np.diff(there.astype(int)) == -1) + 1
        back = np.flatnonzero(np.diff(there.astype(int)) == 1) + 1
        if not lost.size or not accepted or wrong or begin >= lost[0]:
            return
        self.certified += 1
        for first in lost:
            end = back[back > first][0] if (back > first).any() else len(there)
            stated = [(i, e) for i, e in changes if first <= i < end and e.state == "ABSENT"]
            self.losses.append(stated[0][0] - first + 1 if stated else np.inf)
            if stated:
                self._date(record, stated[0][1], first)
                later = [i for i, e in changes if i >= end and e.state == "REAPPEARED"]
                if end < len(there):
                    self.returns.append(later[0] - end + 1 if later else np.inf)

    def _date(self, record: Record, change: StateChange, first: int) -> None:
        triggers = record.triggers
        self.exact.append(change.since == triggers[first])
        interval = getattr(change, "interval", None)
        if interval is not None:
            rng = np.random.default_rng([int(triggers[first]), first])
            moment = rng.uniform(triggers[first - 1], triggers[first])
            self.covered.append(bool(interval[0] <= moment <= interval[1]))

    def _count_false(self, change: StateChange, *, there: bool, taken: bool, wrong: bool) -> None:
        if taken:
            self.false_baseline += wrong
        elif change.state in GONE:
            self.false_absent += there
        elif change.previous in GONE:
            self.false_return += not there
        else:
            self.false_grade += there and change.state != "PRESENT"


def cell(background: Background, ratio: float, cases: range, plan: Plan, *, rms: float, fs: float) -> Cell:
    """Run the cases of one cell."""
    found = Cell(background.name, ratio)
    for number in cases:
        found.add(run(case_of(background, ratio, number, plan, rms=rms, fs=fs)))
    return found
