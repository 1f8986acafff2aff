"""How well the LSR is seen, lost and found again: backgrounds x ratios, against what others do.

    python benchmarks/detection.py --quick [--background NAME ...] [--ratio R ...]

Ratio: noise-free peak to peak over the RMS of the stimulus-free background behind the protocol's filter.
--quick prints a table in about a minute: see the README for its columns."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context

from backgrounds import SIMULATED, Background, needles, surrogates
from cells import HEADER, ROWS, Cell, Plan, cell, line, never, rate
from measures import poisson_upper

from ionm.compiled import kernel

RATIOS = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)


def backgrounds() -> tuple[Background, ...]:
    """Simulated ones, surrogates, real ones."""
    return (*SIMULATED, *surrogates(), *needles())


def cells_of(name: str, ratios: tuple[float, ...], cases: int, rms: float, fs: float) -> list[Cell]:
    """All ratios of one background, by the name of the background so that a process can be told."""
    background = next(b for b in backgrounds() if b.name == name)
    plan, found = Plan(), [Cell(name, ratio) for ratio in ratios]
    for number in range(cases if background.seconds is None else min(cases, 2)):
        for one, ratio in zip(found, ratios, strict=True):
            part = cell(background, ratio, range(number, number + 1), plan, rms=rms, fs=fs)
            merge(one, part)
    return found


def merge(one: Cell, other: Cell) -> None:
    """Add one cell's counts to another's."""
    for name, value in vars(other).items():
        if name not in ("background", "ratio"):
            mine = getattr(one, name)
            if isinstance(mine, dict):
                mine.update(value)
            else:
                setattr(one, name, mine + value)


def summary(cells: list[Cell]) -> str:
    """What several cells of one background have in common."""
    real = next(b for b in backgrounds() if b.name == cells[0].background).seconds
    together = ROWS if real is not None else 1  # the rows of a real one are the same stretch
    kinds = [sum(getattr(c, f"false_{key}") for c in cells) for key in ("baseline", "absent", "return")]
    hours = sum(c.hours for c in cells)
    upper = 10 * poisson_upper(sum(kinds)) / hours if hours else float("nan")
    false, n = sum(c.false for c in cells), sum(c.n_gone for c in cells)
    loud, n_loud = sum(c.false_loud for c in cells), sum(c.n_gone_loud for c in cells)
    # the background of a cell is that of the others, so they count once too
    text = [
        f"{'+'.join(map(str, kinds))} in {hours:.2f} h, < {upper:.1f} per 10 h",
        f"{sum(c.false_grade for c in cells)} lower grades without cause",
        f"specificity {rate(n - false, n, together * len(cells))}",
    ]
    if n_loud:
        text.append(f"in loud stretches {rate(n_loud - loud, n_loud, together * len(cells))}")
    if real is not None:
        text.append(f"{real:.1f} s of background")
    return "; ".join(text)


def quick(options: argparse.Namespace) -> None:
    print(
        f"ionm's kernel: {kernel()}; fs {options.fs:g} Hz, background of {options.rms:g} uV RMS, "
        f"{options.cases} cases of {ROWS} rows"
    )
    print(HEADER)
    print("|" + "---|" * (HEADER.count("|") - 1))
    begin = time.perf_counter()
    names = options.background or [b.name for b in backgrounds()]
    jobs = [(name, tuple(options.ratio), options.cases, options.rms * 1e-6, options.fs) for name in names]
    every: list[Cell] = []
    if options.processes > 1:
        with get_context("spawn").Pool(options.processes) as pool:
            results = pool.starmap(cells_of, jobs, chunksize=1)
    else:
        results = (cells_of(*job) for job in jobs)
    for found in results:
        for one in found:
            print(line(one), flush=True)
        every += found
    print(f"\nholds: {dict(sum((c.holds for c in every), every[0].holds - every[0].holds))}")
    print(f"refusals: {dict(sum((c.refusals for c in every), every[0].refusals - every[0].refusals))}")
    print(
        "\nratio >= 6: false entries (wrong baseline + absent + present or reappeared), unheld hours,"
        "\nupper 95 % limit; lower grades without cause; specificity (95 % interval), that in loud stretches"
    )
    for name in names:
        large = [c for c in every if c.background == name and c.ratio >= 6]
        if large:
            print(f"{name}: {summary(large)}")
    if not options.no_never:
        print("\nno response ever: last states, entries of PRESENT, unheld hours")
        for name in names:
            background = next(b for b in backgrounds() if b.name == name)
            ends, wrong, hours = never(background, range(2), 200, rms=options.rms * 1e-6, fs=options.fs)
            print(f"{name}: {dict(ends)}, {wrong} in {hours:.2f} h")
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="the table, on one process unless --processes says more"
    )
    parser.add_argument("--background", nargs="+", choices=[b.name for b in backgrounds()])
    parser.add_argument("--ratio", nargs="+", type=float, default=RATIOS)
    parser.add_argument("--cases", type=int, default=6, help="of 8 rows, per background and ratio (6)")
    parser.add_argument(
        "--rms", type=float, default=10.0, help="of the background behind the filter, in uV (10)"
    )
    parser.add_argument("--fs", type=float, default=10_000.0, help="in Hz (10000)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--no-never", action="store_true", help="leave out the rows that never answer")
    quick(parser.parse_args())


if __name__ == "__main__":
    main()
