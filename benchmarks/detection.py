"""How well the LSR is seen, lost and found again: backgrounds x ratios, against what others do.

    python benchmarks/detection.py --quick    a table in about a minute
    python benchmarks/detection.py --versus   ionm and the comparators, a line each
    python benchmarks/detection.py            everything, into detection.md and detection.png

Ratio: noise-free peak to peak over the RMS of the stimulus-free background behind the protocol's filter.
--background, --ratio and --cases make any of them smaller; benchmarks/README.md says what the columns are.
"""

# ruff: noqa: E402 (numpy must be told of threads before it is imported)

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy: the processes are the parallel part

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import detection_report as report
import numpy as np
from backgrounds import SIMULATED, Background, needles, surrogates
from cells import ROWS, Cell, Plan, cell
from delays import Point, delay_points
from hours import stream, stream_hours, sweep_hours
from responses import bank
from sweep_level import Case, content, cut, judge
from versus import Standing, standings

from ionm.compiled import kernel

RATIOS = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)
AGAINST = (3.0, 4.0, 6.0, 8.0)  # ratios of the comparison
DELAYS = (4.0, 8.0)  # of the delay curves


def backgrounds() -> tuple[Background, ...]:
    """Simulated ones, surrogates, real ones."""
    return (*SIMULATED, *surrogates(), *needles())


def named(name: str) -> Background:
    return next(b for b in backgrounds() if b.name == name)


@dataclass(eq=False)
class Result:
    """Everything about one background."""

    name: str
    cells: list[Cell] = field(default_factory=list)
    standings: dict[float, list[Standing]] = field(default_factory=dict)
    delays: dict[float, dict[str, list[Point]]] = field(default_factory=dict)
    hours: tuple[Cell, Cell] | None = None
    streamed: tuple[Cell, Cell] | None = None
    never: tuple[Counter[str], int, float] | None = None
    seconds: float = 0.0


def cells_of(background: Background, options: argparse.Namespace) -> list[Cell]:
    """All ratios; one case after the other, so that its background is made once."""
    plan, found = Plan(), [Cell(background.name, ratio) for ratio in options.ratio]
    real = background.seconds is not None
    for number in range(min(options.cases, 2) if real else options.cases):
        for one in found:
            part = cell(
                background, one.ratio, range(number, number + 1), plan, rms=options.rms * 1e-6, fs=options.fs
            )
            one.merge(part)
    return found


def quick_of(name: str, options: argparse.Namespace) -> Result:
    background, begin = named(name), time.perf_counter()
    result = Result(name, cells_of(background, options))
    if not options.no_never:
        result.never = report.never(background, range(2), 200, rms=options.rms * 1e-6, fs=options.fs)
    result.seconds = time.perf_counter() - begin
    return result


def versus_of(name: str, options: argparse.Namespace) -> Result:
    background, begin = named(name), time.perf_counter()
    real = background.seconds is not None
    result, sizes = Result(name), {"rms": options.rms * 1e-6, "fs": options.fs}
    tested, trained = (2, 1) if real else (options.cases, max(options.cases // 2, 1))
    for ratio in (r for r in options.ratio if r in AGAINST):
        result.standings[ratio] = standings(background, ratio, tested, trained, **sizes)
    for ratio in () if real else (r for r in options.ratio if r in DELAYS):
        result.delays[ratio] = delay_points(background, ratio, tested, trained, **sizes)
    result.seconds = time.perf_counter() - begin
    return result


def everything_of(name: str, options: argparse.Namespace) -> Result:
    background, begin = named(name), time.perf_counter()
    sizes = {"rms": options.rms * 1e-6, "fs": options.fs}
    result = versus_of(name, options)
    result.cells = cells_of(background, options)
    result.never = report.never(background, range(2), 200, **sizes)
    if background.seconds is None:
        result.hours = sweep_hours(background, options.hours, **sizes)
        result.streamed = stream_hours(background, options.stream_hours, **sizes)
    result.seconds = time.perf_counter() - begin
    return result


def results(
    work: Callable[[str, argparse.Namespace], Result], options: argparse.Namespace
) -> Iterator[Result]:
    """One result per background, in order, as they are done."""
    names = options.background or [b.name for b in backgrounds()]
    if options.processes > 1:
        with get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
            yield from pool.imap(partial(work, options=options), names, chunksize=1)
    else:
        for name in names:
            yield work(name, options)


def stream_differs(fs: float) -> str:
    """Whether sweeps that skip the stream are measured as those of a stream, bit by bit, in words."""
    levels = np.full((60, ROWS), 8.0)
    levels[40:] = 0.0
    case = Case(SIMULATED[0], levels, [bank(row, row, fs, 1) for row in range(ROWS)], 10e-6, fs, 1, 0.5, 0.0)
    made = content(case)
    skipped, streamed = judge(case, made, cut(case, made)), stream(case, hard=False)
    apart = [
        name
        for name, values in skipped.values.items()
        if not np.array_equal(values, streamed.values[name], equal_nan=True)
    ]
    if apart or not np.array_equal(skipped.present, streamed.present):
        return f"the sweep level does NOT give a stream's measurements: {', '.join(apart)} differ"
    return f"the sweep level gives a stream's measurements bit for bit ({levels.size} sweeps compared)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the detector's own table only")
    parser.add_argument("--versus", action="store_true", help="the comparison only")
    parser.add_argument("--background", nargs="+", choices=[b.name for b in backgrounds()])
    parser.add_argument("--ratio", nargs="+", type=float, default=RATIOS)
    parser.add_argument(
        "--cases", type=int, help="of 8 rows, per background and ratio (6 with --quick, else 12)"
    )
    parser.add_argument("--hours", type=float, default=64.0, help="of derivations for false entries (64)")
    parser.add_argument(
        "--stream-hours", type=float, default=2.0, help="of the stream, 8 derivations in it (2)"
    )
    parser.add_argument(
        "--rms", type=float, default=10.0, help="of the background behind the filter, in uV (10)"
    )
    parser.add_argument("--fs", type=float, default=10_000.0, help="in Hz (10000)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--no-never", action="store_true", help="--quick without the rows that never answer")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="where the report goes")
    options = parser.parse_args()
    options.cases = options.cases or (6 if options.quick else 12)
    begin = time.perf_counter()
    told = [
        f"- command: `python {shlex.join(['benchmarks/detection.py', *sys.argv[1:]])}`",
        f"- ionm's kernel: {kernel()}; protocol mvd-hfs at {options.fs:g} Hz",
        f"- background of {options.rms:g} uV RMS behind the protocol's filter",
        f"- {options.cases} cases of {ROWS} rows per background and ratio, seeds 0 to {options.cases - 1}",
        f"- {stream_differs(options.fs)}",
    ]
    print("\n".join(told))
    if options.quick:
        report.print_quick(results(quick_of, options))
    elif options.versus:
        report.print_versus(results(versus_of, options))
    else:
        found = []
        for result in results(everything_of, options):
            print(f"{result.name}: {result.seconds:.0f} s", file=sys.stderr, flush=True)
            found.append(result)
        told.append(f"- {time.perf_counter() - begin:.0f} s on {options.processes} processes")
        report.write(found, told, options.output)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
