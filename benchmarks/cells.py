"""One background at one ratio: the scripted cases, and what is counted in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from backgrounds import Background, Samples
from measures import auc, middle, poisson_upper, proportion
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
        self.amplitude.append(record.values["amplitude"][some] / record.size[some] - 1)
        self.onset.append(record.values["latency"][some] - record.onset[some])
        self.holds.update(record.holds)
        for row in range(there.shape[1]):
            self._row(record, there[:, row], row)

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


HEADER = (
    "| background | ratio | sens | spec | AUC | not judged | loss: median, p95 | return: median, p95 "
    "| false entries (hours; /h <) | held | baseline | amplitude | onset, ms | change point | 90 % interval |"
)


def line(c: Cell) -> str:
    """A cell as a row of the table."""
    there, gone = np.concatenate(c.there), np.concatenate(c.gone)
    amplitude, onset = np.concatenate(c.amplitude), np.concatenate(c.onset) * 1e3
    onset = onset[np.isfinite(onset)]
    wrong = c.false_baseline + c.false_absent + c.false_return
    hours = c.hours
    upper = poisson_upper(wrong) / hours if hours else float("nan")

    def share(part: int, whole: int, digits: int = 1) -> str:
        return f"{100 * part / whole:.{digits}f} %" if whole else "-"

    def delays(values: list[float]) -> str:
        if not values:
            return "-"
        shown = [middle(np.array(values), q) for q in (0.5, 0.95)]
        return ", ".join(f"{v:.0f}" if np.isfinite(v) else "never" for v in shown)

    cells = [
        c.background,
        f"{c.ratio:g}",
        f"{c.hits / c.n_there:.3f}" if c.n_there else "-",
        f"{1 - c.false / c.n_gone:.4f}" if c.n_gone else "-",
        f"{auc(there, gone)[0]:.4f}",
        share(c.unjudged, c.n_there + c.n_gone),
        delays(c.losses),
        delays(c.returns),
        f"{c.false_baseline}+{c.false_absent}+{c.false_return} ({hours:.2f}; {upper:.1f})",
        share(c.held, c.sweeps),
        share(c.certified, c.rows, 0),
        f"{100 * np.median(amplitude):+.1f} %" if amplitude.size else "-",
        f"{np.median(np.abs(onset)):.2f} ({np.median(onset):+.2f})" if onset.size else "-",
        share(sum(c.exact), len(c.exact), 0),
        share(sum(c.covered), len(c.covered), 0),
    ]
    return "| " + " | ".join(cells) + " |"


def never(
    background: Background, cases: range, n_sweeps: int, *, rms: float, fs: float
) -> tuple[Counter[str], int, float]:
    """Rows that never answer: their last states, false entries (a wrong baseline too) and hours."""
    ends: Counter[str] = Counter()
    wrong, sweeps = 0, 0
    for number in cases:
        n = n_sweeps if background.seconds is None else int((background.seconds - LEAD - 0.1) / 0.15)
        real = background.seconds is not None
        case = Case(
            background, np.zeros((n, ROWS)), banks(number, ROWS, fs), rms, fs, 1000 + number,
            0.15 if real else DENSE, 0.0 if real else JITTER,
        )  # fmt: skip
        record = run(case)
        states = ["UNKNOWN"] * ROWS
        for row, _, change in record.changes:
            states[row] = change.state
            wrong += change.state in ("PRESENT", "REAPPEARED")
        ends.update(states)
        sweeps += int((~record.held).sum())
    return ends, wrong, sweeps / RATE / 3600


def rate(hits: int, n: int, together: int = 1) -> str:
    """A share with its interval; ``together`` of the n are the same stretch of background and count once."""
    low, high = proportion(round(hits / together), round(n / together))
    return f"{hits / n:.4f} ({low:.4f} to {high:.4f})"
