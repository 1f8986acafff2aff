"""ionm against the comparators, sweep by sweep: areas under ROC curves, sensitivities at one specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from backgrounds import Background, Flags, Samples
from cells import Plan, case_of
from comparators import BASELINE, METHODS, REFERENCE, Seen, scores
from measures import auc, auc_difference, curve, sensitivity_at
from numpy.typing import NDArray
from sweep_level import Record, run

OURS, OURS_FIVE = "ionm", "ionm, 5 sweeps' evidence"
SINGLE = tuple(m.name for m in METHODS if m.sweeps == 1)
SEVERAL = tuple(m.name for m in METHODS if m.sweeps > 1)
TRAINING = 10_000  # first number of the cases on which variants are chosen
SPECIFICITIES = (0.98, 0.99)


def evidence(record: Record) -> Samples:
    """ionm's score: minus the logarithm of the p-value; 0 where a sweep was not measured."""
    p_value = record.values["p_value"]
    score: Samples = -np.log(np.where(np.isfinite(p_value), np.maximum(p_value, 1e-300), 1.0))
    return score


@dataclass(eq=False)
class Pool:
    """Scores of many sweeps: there and gone, each with the number of the row that they come from."""

    there: list[Samples] = field(default_factory=list)
    gone: list[Samples] = field(default_factory=list)
    there_rows: list[Samples] = field(default_factory=list)
    gone_rows: list[Samples] = field(default_factory=list)

    def add(self, score: Samples, present: Flags, counted: Flags, first_row: int) -> None:
        rows = np.broadcast_to(first_row + np.arange(score.shape[1]), score.shape)
        for values, numbers, some in (
            (self.there, self.there_rows, present & counted),
            (self.gone, self.gone_rows, ~present & counted),
        ):
            values.append(score[some])
            numbers.append(rows[some])

    def joined(self) -> tuple[Samples, Samples, Samples, Samples]:
        return tuple(np.concatenate(x) for x in (self.there, self.gone, self.there_rows, self.gone_rows))


@dataclass(frozen=True, eq=False)
class Standing:
    """One method in one cell."""

    name: str
    variant: str
    area: float
    error: float  # standard error of the area
    sensitivity: tuple[float, ...]  # at `SPECIFICITIES`
    lead: float  # ionm's area less this one's
    lead_error: float
    lead_sensitivity: tuple[tuple[float, float, float], ...]  # ionm's less this one's: it, low, high (95 %)
    roc: tuple[Samples, Samples]
    sweeps: tuple[int, int]  # there, gone
    houses: dict[str, tuple[float, float]]  # sensitivity, specificity at the house rule's limit


def best_variants(
    background: Background, ratio: float, cases: int, *, rms: float, fs: float
) -> dict[str, str]:
    """Per method the variant with the largest area in cases of their own."""
    pools = pooled(background, ratio, range(TRAINING, TRAINING + cases), None, rms=rms, fs=fs)
    chosen: dict[str, tuple[float, str]] = {}
    for (name, variant), pool in pools.items():
        area = auc(*pool.joined()[:2])[0]
        if name not in chosen or area > chosen[name][0]:
            chosen[name] = area, variant
    return {name: variant for name, (_, variant) in chosen.items()}


def pooled(
    background: Background,
    ratio: float,
    cases: range,
    chosen: dict[str, str] | None,
    *,
    rms: float,
    fs: float,
) -> dict[tuple[str, str], Pool]:
    """Scores of every method's variants, or of the chosen ones."""
    pools: dict[tuple[str, str], Pool] = {}
    for number in cases:
        record = run(case_of(background, ratio, number, Plan(), rms=rms, fs=fs), keep=True)
        found = all_scores(record, fs, chosen)
        present = record.levels > 0
        counted = np.zeros(present.shape, bool)
        counted[BASELINE:] = True
        for key, score in found.items():
            pools.setdefault(key, Pool()).add(score, present, counted, number * present.shape[1])
    return pools


def all_scores(record: Record, fs: float, chosen: dict[str, str] | None) -> dict[tuple[str, str], Samples]:
    """ionm's score and those of the comparators."""
    if record.sweeps is None:
        raise ValueError("the case was run without keeping its sweeps")
    own = evidence(record)
    summed = np.cumsum(np.concatenate([np.zeros((5, own.shape[1])), own]), axis=0)
    found = {(OURS, "p-value"): own, (OURS_FIVE, "sum of logarithms"): summed[5:] - summed[:-5]}
    for name, variants in scores(Seen(record.sweeps, record.zero, fs), chosen).items():
        found |= {(name, variant): score for variant, score in variants.items()}
    return found


def standings(
    background: Background,
    ratio: float,
    cases: int,
    training: int,
    *,
    rms: float,
    fs: float,
    draws: int = 200,
) -> list[Standing]:
    """ionm first, then every comparator in its best variant, on the same sweeps."""
    chosen = best_variants(background, ratio, training, rms=rms, fs=fs)
    pools = pooled(background, ratio, range(cases), chosen, rms=rms, fs=fs)
    ours = pools[OURS, "p-value"].joined()
    houses = {m.name: m.limits for m in METHODS}
    found = []
    for (name, variant), pool in pools.items():
        there, gone, there_rows, gone_rows = pool.joined()
        groups = there_rows, gone_rows
        lead, lead_error = auc_difference((ours[0], there), (ours[1], gone), groups)
        found.append(
            Standing(
                name,
                variant,
                *auc(there, gone),
                tuple(sensitivity_at(there, gone, s) for s in SPECIFICITIES),
                lead,
                lead_error,
                tuple(bootstrap(ours, pool.joined(), s, draws) for s in SPECIFICITIES),
                curve(there, gone),
                (len(there), len(gone)),
                {
                    label: (float((there >= limit).mean()), float((gone < limit).mean()))
                    for label, limit in houses.get(name, {}).items()
                    if limit_fits(name, variant)
                },
            )
        )
    return found


def limit_fits(name: str, variant: str) -> bool:
    """Whether the chosen variant's score is in the unit of the house rule's limit."""
    return name != "3 of 5" or "noise" not in variant


def bootstrap(
    ours: Sequence[Samples], theirs: Sequence[Samples], specificity: float, draws: int
) -> tuple[float, float, float]:
    """Difference of the sensitivities at one specificity, with its interval over resampled rows."""
    rng = np.random.default_rng(3)
    rows, there_at = np.unique(ours[2], return_inverse=True)
    gone_at = np.searchsorted(rows, ours[3])
    orders = [np.argsort(gone) for gone in (ours[1], theirs[1])]

    def difference(weights: NDArray[np.int64]) -> float:
        found = []
        there_weights, gone_weights = weights[there_at], weights[gone_at]
        for (there, gone), order in zip((ours[:2], theirs[:2]), orders, strict=True):
            below = np.cumsum(gone_weights[order])
            limit = gone[order[min(np.searchsorted(below, specificity * below[-1]), order.size - 1)]]
            found.append(there_weights[there > limit].sum() / there_weights.sum())
        return float(found[0] - found[1])

    drawn = [
        difference(np.bincount(rng.integers(0, rows.size, rows.size), minlength=rows.size))
        for _ in range(draws)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return difference(np.ones(rows.size, np.int64)), float(low), float(high)


REFERENCES = (REFERENCE.name, OURS_FIVE)
