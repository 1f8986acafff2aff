"""The detector and the judge on sweeps of known content, without a stream around them.

    python benchmarks/sweep_level.py [--ratio 6] [--background white] [--sweeps 400]

A case is a script of levels, one per sweep and row, in a background. Its samples pass the protocol's own
blanking, filters and cutter in one chunk, then the public per-site tests (`ionm.modality.SiteTests`) and the
judge (`ionm.judge.Judge`) sweep by sweep, as in a session. Two things differ from a stream: the background is
cut every 175 ms, with the jitter of real stimuli, while the triggers say that the stimuli came about twice a
second (this spares the samples between two sweeps, which nobody looks at); and there is no search for
artefacts, since there are none. Every sweep has a sound M-control, so that nothing is held for its sake.
`stream` in detection.py runs the same cases through a whole `Session`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import msgspec
import numpy as np
from backgrounds import SIMULATED, Background, Flags, Samples
from numpy.typing import NDArray
from responses import Bank

from ionm.events import BaselineTaken, Event, Hold, Response, StateChange, Sweep, SweepMeasured
from ionm.filters.chain import Chain
from ionm.judge import Judge
from ionm.modality import REFERENCE_FREQUENCY, LsrModality, SiteTests
from ionm.protocol import load
from ionm.simulate import MWave
from ionm.simulate.seeds import generator
from ionm.stream import Channel, Chunk, StreamInfo, Trigger
from ionm.sweeps import RunningSweeps, Sweeps

SITE, CONTROL = "zygomatic", "OrbOculi"
RATE = 2.0  # stimuli a second that the triggers tell
DENSE = 0.175  # s between two stimuli in the samples
JITTER = 0.02  # s: uniform, either way; 50 Hz turns by a full cycle, and nothing locks to the stimulus
PIECE = 4096  # samples, of stretches that stay in the processor's cache
LEAD = 0.5  # s before the first stimulus: the filters settle, the sweep begins
FLAGS = {None: -1, False: 0, True: 1}


@dataclass(frozen=True, eq=False)
class Setting:
    """The protocol for a number of rows that are all tested alike, beside one M-control."""

    modality: LsrModality
    info: StreamInfo
    names: tuple[str, ...]  # of the tested derivations

    @property
    def delay(self) -> float:
        """Of the filters, in s."""
        return Chain(self.modality.filters).delay(self.info, REFERENCE_FREQUENCY)


@cache
def setting(rows: int, fs: float, protocol: str = "mvd-hfs") -> Setting:
    """``mvd-hfs`` with as many LSR derivations at one site as rows are wanted."""
    loaded = load(protocol)
    channels = (*(f"row {row}" for row in range(rows)), CONTROL)
    first = next(d for d in loaded.lsr.derivation if d.site == SITE and d.role == "lsr")
    control = next(d for d in loaded.lsr.derivation if d.site == SITE and d.role == "m_control")
    tables = [msgspec.structs.replace(first, muscle=name) for name in channels[:-1]]
    lsr = msgspec.structs.replace(loaded.lsr, derivation=[*tables, control])
    modality = msgspec.structs.replace(loaded, lsr=lsr, zlr=None).modality()
    info = StreamInfo(fs, tuple(Channel(name) for name in channels))
    return Setting(modality, info, tuple(f"{SITE}>{name}" for name in channels[:-1]))


@dataclass(frozen=True, eq=False)
class Case:
    """What is to happen.

    Parameters
    ----------
    background
        What sounds all the time.
    levels
        Shape (n_sweeps, n_rows): ratio of the response to the background's RMS, 0 for no response.
    banks
        One per row.
    rms
        Of the background behind the protocol's filter, in V.
    fs
        In Hz.
    seed
        Of everything random.
    interval, jitter
        Between two stimuli in the samples, in s.
    """

    background: Background
    levels: Samples
    banks: Sequence[Bank]
    rms: float = 10e-6
    fs: float = 10_000.0
    seed: int = 0
    interval: float = DENSE
    jitter: float = JITTER


@dataclass(frozen=True, eq=False)
class Content:
    """The samples of a case before any filter, and their truth.

    Parameters
    ----------
    data
        Shape (n_rows + 1, n_samples), in V; the M-control is last.
    marks
        Shape (n_sweeps,): sample of each stimulus.
    size
        Shape (n_sweeps, n_rows): peak to peak of the response, in V; 0 where there is none.
    onset
        Same shape, in s after the stimulus.
    loud
        Same shape: whether something loud sounds in the search window.
    """

    data: Samples
    marks: NDArray[np.int64]
    size: Samples
    onset: Samples
    loud: Flags


@dataclass(eq=False)
class Record:
    """What came of a case; arrays have shape (n_sweeps, n_rows).

    ``present``: 1 there, 0 not, -1 not judged. ``held``: the derivation's state is frozen after this sweep,
    for another reason than that there is no baseline. ``changes``, ``baselines``: (row, sweep, event)."""

    levels: Samples
    size: Samples
    onset: Samples
    loud: Flags
    present: NDArray[np.int8]
    values: dict[str, Samples]
    held: Flags
    triggers: NDArray[np.int64]
    changes: list[tuple[int, int, StateChange]] = field(default_factory=list)
    baselines: list[tuple[int, int, BaselineTaken]] = field(default_factory=list)
    holds: dict[str, int] = field(default_factory=dict)  # how often each reason came
    sweeps: Samples | None = None  # (n_sweeps, n_rows, n_samples), where they were kept
    zero: int = 0  # their column of the stimulus
    seed: int = 0


VALUES = (
    *("statistic", "p_value", "noise", "detection_limit"),
    *("amplitude", "latency", "amplitude_error", "latency_error"),
)


def content(case: Case) -> Content:
    """Make the samples of a case."""
    n_sweeps, rows = case.levels.shape
    fs, place = case.fs, setting(rows, case.fs)
    rng = generator(case.seed, "case")
    times = LEAD + case.interval * np.arange(n_sweeps) + case.jitter * rng.uniform(-0.5, 0.5, n_sweeps)
    marks = np.round(times * fs).astype(np.int64)
    n = int(marks[-1]) + round(0.06 * fs)
    sound, loud = _sound(case.background, rows, n, fs, case.seed)
    data = sound.copy()
    data[:rows] *= case.rms
    size, onset = np.zeros((n_sweeps, rows)), np.full((n_sweeps, rows), np.nan)
    for row, bank in enumerate(case.banks):
        drawn = rng.integers(0, len(bank.data), n_sweeps)
        for sweep in np.flatnonzero(case.levels[:, row]):
            k, mark = drawn[sweep], marks[sweep]
            level = case.levels[sweep, row] * case.rms
            data[row, mark : mark + bank.data.shape[1]] += level * bank.data[k]
            size[sweep, row], onset[sweep, row] = level * bank.size[k], bank.onset[k]
    m_waves = _m_waves(fs)
    for mark, k in zip(marks, rng.integers(0, len(m_waves), n_sweeps), strict=True):
        data[rows, mark : mark + m_waves.shape[1]] += m_waves[k]
    first, last = (round(t * fs) for t in place.modality.response.window)
    heard = np.array([loud[:, mark + first : mark + last].any(axis=1) for mark in marks])
    return Content(data, marks, size, onset, heard)


@lru_cache(maxsize=1)
def _sound(background: Background, rows: int, n: int, fs: float, seed: int) -> tuple[Samples, Flags]:
    """The background in all rows, with an RMS of 1 V behind the filters, the M-control's channel, and flags.

    The last one is remembered, so that all ratios of a case cost one background.
    """
    raw, loud = background.raw(rows, n, fs, seed)
    data = np.empty((rows + 1, n))
    data[rows] = 1.3e-6 * generator(seed, "control").standard_normal(n)  # V: an amplifier's noise to 2 kHz
    data[:rows] = raw
    data[:rows] /= _rms(setting(rows, fs), data, loud)[:, None]
    return data, loud


def _rms(place: Setting, data: Samples, loud: Flags) -> Samples:
    """Of each tested row behind the filters, where nothing loud sounds."""
    running, rows = Chain(place.modality.filters).start(place.info), len(loud)
    squares, counts = np.zeros(rows), np.zeros(rows)
    for start in range(0, data.shape[1], PIECE):
        piece = data[:, start : start + PIECE]
        filtered = running.push(Chunk(np.ascontiguousarray(piece), np.ones(piece.shape, bool), start)).data
        if start:  # the filters have settled
            quiet = ~loud[:, start : start + PIECE]
            squares += np.sum(filtered[:rows] ** 2, axis=1, where=quiet)
            counts += np.count_nonzero(quiet, axis=1)
    return np.sqrt(squares / counts)


@cache
def _m_waves(fs: float) -> Samples:
    """Fifty M-waves of 1.5 mV, in V, from the mark on."""
    volleys = MWave().volleys(np.ones(50), generator(1, "m-waves"))
    return volleys.at(np.arange(round(0.05 * fs)) / fs)


def cut(case: Case, made: Content) -> list[Sweep]:
    """The sweeps of a case, as the path of a session would cut them."""
    rows = case.levels.shape[1]
    place = setting(rows, case.fs)
    modality, info = place.modality, place.info
    blanking, filters = modality.blanking.start(info), Chain(modality.filters).start(info)
    cutter, found, start = _cutter(place), [], 0
    for several in np.array_split(made.marks, -(-made.marks.size // 4)):
        stop = int(several[-1]) + cutter.length - cutter.zero  # where the last of these sweeps ends
        data = np.ascontiguousarray(made.data[:, start:stop])
        triggers = tuple(Trigger(int(mark), SITE, {"mA": "10"}) for mark in several)
        chunk = Chunk(data, np.ones(data.shape, bool), start, triggers)
        found += cutter.push(filters.push(blanking.push(chunk)))
        start = stop
    return found


def _cutter(place: Setting) -> RunningSweeps:
    modality = place.modality
    wanted = {SITE: tuple(d.channel for d in modality.at(SITE))}
    return Sweeps(*modality.sweep, wanted).start(place.info)


def run(case: Case, *, keep: bool = False) -> Record:
    """Take a case through the tests and the judge; ``keep`` keeps the filtered sweeps."""
    made = content(case)
    sweeps = cut(case, made)
    record = judge(case, made, sweeps)
    if keep:
        record.sweeps = np.array([sweep.data[: case.levels.shape[1]] for sweep in sweeps])
        record.zero = sweeps[0].zero
    return record


def judge(case: Case, made: Content, sweeps: Sequence[Sweep]) -> Record:
    """Take cut sweeps through the tests and the judge; their triggers are told as about two a second."""
    n_sweeps, rows = case.levels.shape
    place, fs = setting(rows, case.fs), case.fs
    modality = place.modality
    tests = SiteTests(modality.at(SITE), modality, _cutter(place), fs, place.delay)
    court = Judge((modality,), place.info, 0)
    rng = generator(case.seed, "triggers")
    told = np.round(fs * (np.arange(n_sweeps) + 1 + rng.uniform(-0.05, 0.05, n_sweeps)) / RATE).astype(
        np.int64
    )
    attributes = {"mA": "10"}
    reasons = [None] * (rows + 1)
    collector = Collector(case, made, told)
    court.begin(0)
    for i, (seen, trigger) in enumerate(zip(sweeps, told.tolist(), strict=True)):
        known = trigger + seen.data.shape[1] - seen.zero - 1
        sweep = replace(seen, sample=known, trigger=Trigger(trigger, SITE, attributes))
        fact = SweepMeasured(known, sweep, tests.push(sweep, reasons))
        collector.take(court.push([[fact]], (), known + 1), i)
    return collector.record


class Collector:
    """Sorts the events of a case by row and sweep.

    Parameters
    ----------
    case, made
        What was to happen and did.
    triggers
        Shape (n_sweeps,): the sample of each stimulus that events tell.
    """

    def __init__(self, case: Case, made: Content, triggers: NDArray[np.int64]) -> None:
        shape = case.levels.shape
        self.record = Record(
            case.levels, made.size, made.onset, made.loud,
            np.zeros(shape, np.int8), {name: np.full(shape, np.nan) for name in VALUES},
            np.zeros(shape, bool), triggers, seed=case.seed,
        )  # fmt: skip
        self._row_of = {name: row for row, name in enumerate(setting(shape[1], case.fs).names)}
        self._standing: list[tuple[str, ...]] = [()] * shape[1]

    def take(self, events: Sequence[Event], i: int) -> None:
        """Events that became known with sweep ``i``."""
        record, row_of = self.record, self._row_of
        for event in events:
            if isinstance(event, Response):
                row = row_of.get(event.derivation)
                if row is not None:
                    m = event.measurement
                    record.present[i, row] = FLAGS[m.present]
                    for name in VALUES:
                        value = getattr(m, name, None)  # earlier detectors state no errors
                        if value is not None:
                            record.values[name][i, row] = value
            elif isinstance(event, StateChange):
                record.changes.append((row_of[event.derivation], i, event))
            elif isinstance(event, Hold):
                self._standing[row_of[event.derivation]] = event.reasons
                if event.active and event.reason != "no_baseline":
                    record.holds[event.reason] = record.holds.get(event.reason, 0) + 1
            elif isinstance(event, BaselineTaken):
                record.baselines.append((row_of[event.derivation], i, event))
        for row, why in enumerate(self._standing):
            if why and why != ("no_baseline",):
                record.held[i, row] = True


def main() -> None:
    from responses import bank

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--background", default="white", choices=[b.name for b in SIMULATED])
    parser.add_argument("--ratio", type=float, default=6.0)
    parser.add_argument(
        "--sweeps", type=int, default=400, help="per row; the response is lost for the middle third"
    )
    parser.add_argument("--rows", type=int, default=8)
    options = parser.parse_args()
    levels = np.full((options.sweeps, options.rows), options.ratio)
    levels[options.sweeps // 3 : 2 * options.sweeps // 3] = 0.0
    background = next(b for b in SIMULATED if b.name == options.background)
    case = Case(background, levels, [bank(row, row, 10_000.0, 1) for row in range(options.rows)])
    begin = time.perf_counter()
    made = content(case)
    between = time.perf_counter()
    sweeps = cut(case, made)
    then = time.perf_counter()
    record = judge(case, made, sweeps)
    end = time.perf_counter()
    each = 1e6 / levels.size
    print(
        f"us per sweep and derivation: {(end - begin) * each:.0f} "
        f"(samples {(between - begin) * each:.0f}, filter and cut {(then - between) * each:.0f}, "
        f"tests and judge {(end - then) * each:.0f})"
    )
    there, found = levels > 0, record.present == 1
    print(f"present: {found[there].mean():.3f} of those there, {found[~there].mean():.3f} of those not")
    for row, sweep, change in record.changes:
        since = np.searchsorted(record.triggers, change.since)
        print(f"row {row} sweep {sweep}: {change.previous} > {change.state} since sweep {since}")


if __name__ == "__main__":
    main()
