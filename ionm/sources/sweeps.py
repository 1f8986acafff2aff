"""Sweep tables: comma-separated text that holds one stretch around each stimulus.

Two layouts are known, recognised by their first line:

- *long*, one line per sample, with the columns ``recording_index``, ``channel_index``,
  ``stimulus_<unit>``, ``time_point`` (ms, stimulus at 0) and ``amplitude_<unit>``
  (MonStim Plotter's export of recruitment curves);
- *wide*, numbers only: the first line holds each sweep's stimulus intensity, the first column
  the time (ms, stimulus at 0), the rest amplitudes (RecruitmentCurveFitting's layout).

Neither says when a stimulus was given, so sweeps are placed on whole seconds in the order of
the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ionm.annotations import format_mark
from ionm.errors import InputError
from ionm.sources.reader import Codes, Row, Segment
from ionm.stream import Samples

# A table is loaded whole; 100 000 sweeps' worth of text is a mistake, in bytes.
_MAX_BYTES = 64 << 20
_COLUMNS = ("recording_index", "channel_index", "time_point")
_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6}
# A time may lie this far from its place on the sampling grid, in samples (text is rounded).
_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's content: sweeps of shape (n_sweeps, n_channels, n_samples) in V, times in ms."""

    times: Samples
    sweeps: Samples
    stimuli: tuple[str, ...]
    channels: tuple[str, ...]
    protocol: str
    problems: tuple[str, ...]


class SweepTable:
    """A table of sweeps, loaded (see `ionm.sources.reader.Reader`).

    Parameters
    ----------
    path
        The table.

    Raises
    ------
    InputError
        If the table has neither layout, or its times do not form an even grid around 0.
    """

    segmented = True

    def __init__(self, path: Path) -> None:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: is larger than {_MAX_BYTES >> 20} MB, expected a smaller sweep table")
        lines = [line for line in path.read_text("latin-1").removeprefix("ï»¿").splitlines() if line.strip()]
        if not lines:
            raise InputError(f"{path}: holds no text, expected a sweep table")
        table = _long(path, lines) if _COLUMNS[0] in lines[0] else _wide(path, lines)
        fs, lead = _grid(path, table.times)
        n_sweeps, n_channels, n_times = table.sweeps.shape
        self._length = lead + n_times
        self._every = math.ceil(self._length / fs)
        # index 0 is never later than the stimulus: what the table leaves out after it is missing
        padded = np.full((n_channels, n_sweeps, self._length), np.nan)
        padded[:, :, lead:] = table.sweeps.transpose(1, 0, 2)
        self._samples = padded.reshape(n_channels, -1)
        self._stimulus = lead - round(table.times[0] * fs / 1e3)
        self._stimuli = table.stimuli
        self.rows = tuple(Row(label, fs, "emg") for label in table.channels)
        self.description = f"table of {n_sweeps} sweeps without times, placed {self._every} s apart"
        self.problems = table.problems
        self.suggested_protocol = table.protocol

    def segments(self, fs: float) -> tuple[Segment, ...]:
        """One for each sweep."""
        return tuple(
            Segment(round(i * self._every * fs), i * self._length, self._length)
            for i in range(len(self._stimuli))
        )

    def annotations(self, fs: float) -> list[tuple[int, str]]:
        """A stimulus at time 0 of each sweep."""
        return [
            (segment.start + self._stimulus, text)
            for segment, text in zip(self.segments(fs), self._stimuli, strict=True)
        ]

    def read(self, rows: Sequence[int], start: int, stop: int) -> Samples:
        """Samples in V; NaN where the table holds none."""
        return self._samples[list(rows), start:stop]

    def codes(self, row: int, start: int, stop: int) -> Codes:
        """A table has no trigger channel, so no code ever."""
        del row
        return np.zeros(stop - start, np.int64)

    def fault(self, row: int) -> str | None:
        """Every row can be read: None."""
        del row
        return None


def is_sweep_table(path: Path, head: bytes) -> bool:
    """Whether a file that begins with ``head`` claims to be a table."""
    return _COLUMNS[0].encode() in head or path.suffix.lower() == ".csv"


def _long(path: Path, lines: list[str]) -> _Table:
    """One line per sample."""
    names = [name.strip() for name in lines[0].split(",")]
    stimulus = next((name for name in names if name.startswith("stimulus_")), "stimulus_<unit>")
    amplitude = next((name for name in names if name.startswith("amplitude_")), "amplitude_<unit>")
    missing = {*_COLUMNS, stimulus, amplitude} - set(names)
    if missing:
        raise InputError(f"{path}: lacks the column {min(missing)!r} of a sweep table")
    volts = _VOLTS.get(amplitude.partition("_")[2])
    if volts is None:
        raise InputError(
            f"{path}: column {amplitude!r} has an unknown unit, expected one of {', '.join(_VOLTS)}"
        )
    numbers = _numbers(path, lines[1:])
    column = {name: numbers[:, i] for i, name in enumerate(names)}
    recording, channel, time = (column[name] for name in _COLUMNS)
    changes = np.flatnonzero((np.diff(recording) != 0) | (np.diff(channel) != 0))
    n_times = int(changes[0]) + 1 if len(changes) else len(time)
    if len(time) % n_times or (time.reshape(-1, n_times) != time[:n_times]).any():
        raise InputError(f"{path}: its sweeps differ in their times, expected the same {n_times} in each")
    recordings, which = np.unique(recording[::n_times], return_inverse=True)
    channels, row = np.unique(channel[::n_times], return_inverse=True)
    n_sweeps = len(time) // n_times
    if len(recordings) * len(channels) != n_sweeps:
        raise InputError(
            f"{path}: holds {n_sweeps} sweeps, expected one for each of "
            f"{len(recordings)} recordings and {len(channels)} channels"
        )
    sweeps = np.full((len(recordings), len(channels), n_times), np.nan)
    sweeps[which, row] = column[amplitude].reshape(-1, n_times) * volts
    strength = np.empty(len(recordings))
    strength[which] = column[stimulus][::n_times]
    return _Table(
        time[:n_times],
        sweeps,
        _stimuli(strength, stimulus.partition("_")[2]),
        ("EMG",) if len(channels) == 1 else tuple(f"EMG {number:g}" for number in channels),
        "late-response-rodent",
        (),
    )


def _wide(path: Path, lines: list[str]) -> _Table:
    """One column per sweep."""
    numbers = _numbers(path, lines)
    if numbers.shape[1] < 2 or len(numbers) < 3:
        raise InputError(
            f"{path}: has {numbers.shape[1]} columns and {len(numbers)} lines, too few for sweeps"
        )
    return _Table(
        numbers[1:, 0],
        numbers[1:, 1:].T[:, np.newaxis] * _VOLTS["mV"],
        _stimuli(numbers[0, 1:], "intensity"),
        ("EMG",),
        "m-h-reflex",
        ("the table states no unit: amplitudes are taken as mV",),
    )


def _stimuli(strengths: NDArray[np.float64], key: str) -> tuple[str, ...]:
    """The marks of one stimulus per sweep."""
    return tuple(format_mark("stim", "trunk", {key: f"{strength:.9g}"}) for strength in strengths)


def _numbers(path: Path, lines: list[str]) -> NDArray[np.float64]:
    """Lines of comma-separated numbers, shape (n_lines, n_columns)."""
    if not lines:
        raise InputError(f"{path}: holds no line of numbers, expected a sweep table")
    try:
        return np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: is no sweep table of a known layout ({reason})") from error


def _grid(path: Path, times: Samples) -> tuple[float, int]:
    """Sampling rate (Hz) of evenly spaced times (ms), and samples missing between 0 and the first."""
    if len(times) < 2 or not np.isfinite(times).all() or not times[-1] > times[0]:
        raise InputError(f"{path}: its times do not rise, expected at least two, in ms")
    # three decimals remove what rounding of the written times adds
    fs = round((len(times) - 1) / float(times[-1] - times[0]) * 1e3, 3)
    places = (times - times[0]) * fs / 1e3
    if not np.abs(places - np.arange(len(times))).max() < _TOLERANCE:
        raise InputError(f"{path}: its times are not evenly spaced")
    if times[-1] < 0 or times[0] > 1e3:
        span = f"{times[0]:g} to {times[-1]:g} ms"
        raise InputError(f"{path}: times run from {span}, expected sweeps around the stimulus at 0")
    return fs, max(0, round(times[0] * fs / 1e3))
