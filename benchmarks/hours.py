"""Many hours at ratios of 6 and more, for what is stated in error: sweep by sweep, and as a stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from backgrounds import Background, Samples
from cells import BASELINE, Cell, banks
from sweep_level import (
    DENSE,
    JITTER,
    RATE,
    SITE,
    Case,
    Collector,
    Content,
    Record,
    content,
    run,
    setting,
)

from ionm.session import Session
from ionm.simulate import StimulusArtefact
from ionm.stream import Chunk, Trigger

RATIOS = (6.0, 6.0, 6.0, 6.0, 8.0, 10.0, 15.0, 20.0)
"""Of the rows: half of the time is spent at the smallest ratio for which the promise holds."""

LONG = 1000  # sweeps of a case: eight minutes
STREAMED = 600  # of a streamed one: five
NEVER = 4  # every fourth case has no response at all


def comings_and_goings(n_sweeps: int, rng: np.random.Generator) -> Samples:
    """Levels: there for the baseline and a while, then gone and back for 60 to 300 sweeps each."""
    levels = np.zeros((n_sweeps, len(RATIOS)))
    for row, ratio in enumerate(RATIOS):
        first, there = 0, True
        while first < n_sweeps:
            length = int(rng.integers(60, 301))
            if there:
                levels[first : first + length, row] = ratio
            first, there = first + length, not there
    return levels


def long_case(background: Background, number: int, n_sweeps: int, *, rms: float, fs: float) -> Case:
    """Case ``number``; every fourth is one without a response."""
    rng = np.random.default_rng([number, 23])
    levels = comings_and_goings(n_sweeps, rng)
    if number % NEVER == NEVER - 1:
        levels[:] = 0.0
    return Case(background, levels, banks(number, len(RATIOS), fs), rms, fs, 50_000 + number, DENSE, JITTER)


def sweep_hours(background: Background, hours: float, *, rms: float, fs: float) -> tuple[Cell, Cell]:
    """At least so many hours of derivations after their baseline: with a response, and without one ever."""
    return _until(background, hours, LONG, run, rms=rms, fs=fs)


def stream_hours(background: Background, hours: float, *, rms: float, fs: float) -> tuple[Cell, Cell]:
    """The same through a `Session`, chunk by chunk; ``hours`` of the stream, with eight derivations in it."""
    return _until(background, hours * len(RATIOS), STREAMED, stream, rms=rms, fs=fs)


def _until(
    background: Background,
    hours: float,
    n_sweeps: int,
    through: Callable[[Case], Record],
    *,
    rms: float,
    fs: float,
) -> tuple[Cell, Cell]:
    ever, never = Cell(background.name, 6.0), Cell(background.name, 0.0)
    told, number = 0.0, 0
    while told < hours:
        case = long_case(background, number, n_sweeps, rms=rms, fs=fs)
        (never if number % NEVER == NEVER - 1 else ever).add(through(case))
        told += (n_sweeps - BASELINE) * len(RATIOS) / RATE / 3600
        number += 1
    return ever, never


def stream(case: Case, *, chunk: float = 0.05, hard: bool = True) -> Record:
    """A case through a whole session, at the rate that its triggers tell.

    Parameters
    ----------
    case
        Its ``interval`` and ``jitter`` are not used: stimuli come twice a second, 5 % early or late.
    chunk
        Length of the chunks, in s.
    hard
        Whether stimuli leave their artefact (5 mV, with a tail of 0.3 mV and 2 ms) and 3 % of the M-wave on
        every channel. Without that the samples are those of the sweep level.
    """
    rows, fs = case.levels.shape[1], case.fs
    timed = Case(
        case.background,
        case.levels,
        case.banks,
        case.rms,
        fs,
        case.seed,
        1 / RATE,
        0.1 / RATE if hard else 0.0,
    )
    made = content(timed)
    if hard:
        _spoil(made, rows, fs)
    place = setting(rows, fs)
    session = Session((place.modality,), place.info)
    collector = Collector(timed, made, made.marks)
    last = made.marks + round(place.modality.sweep[1] * fs) - 1  # sample that completes each sweep
    length, data = round(chunk * fs), made.data
    triggers = [Trigger(int(mark), SITE, {"mA": "10"}) for mark in made.marks]
    waiting = 0
    for start in range(0, data.shape[1], length):
        piece = np.ascontiguousarray(data[:, start : start + length])
        inside = waiting
        while inside < len(triggers) and triggers[inside].sample < start + length:
            inside += 1
        events = session.push(
            Chunk(piece, np.ones(piece.shape, bool), start, tuple(triggers[waiting:inside]))
        )
        waiting = inside
        for event in events:
            i = int(np.searchsorted(last, event.sample, side="right")) - 1
            collector.take([event], max(i, 0))
    return collector.record


def _spoil(made: Content, rows: int, fs: float) -> None:
    """Add what a stimulus leaves on every channel."""
    artefact = StimulusArtefact(tails=((1e-3, 0.5e-3), (0.3e-3, 2e-3)))
    length = round(artefact.length * fs)
    wave = artefact.at(np.arange(length) / fs)
    for mark in made.marks:
        part = made.data[:, mark : mark + length]
        part[:rows] += 0.03 * part[rows] + wave[: part.shape[1]]
        part[rows] += wave[: part.shape[1]]
