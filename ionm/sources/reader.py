"""What every file format gives: rows of samples, the stretches they were taken in, and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ionm.stream import Samples

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """One signal as the file stores it.

    Parameters
    ----------
    label
        Its name in the file.
    fs
        Its own sampling rate, in Hz.
    kind
        "emg", "eeg", "trigger" or "misc"; "" when the file does not say.
    rails
        Lowest and highest value that can be stored, in V; None when unknown.
    unit
        Why the samples may not be V, "not in V but '%'" or "without a unit"; "" when they are V.
    """

    label: str
    fs: float
    kind: str = ""
    rails: tuple[float, float] | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive samples: where they lie on the clock and where in the file.

    Parameters
    ----------
    start
        Index of the first sample on the stream's clock.
    offset
        Index of the first sample among the stored ones.
    n_samples
        How many.
    """

    start: int
    offset: int
    n_samples: int

    @property
    def stop(self) -> int:
        """Index on the clock of the first sample after the segment."""
        return self.start + self.n_samples


class Reader(Protocol):
    """A file of one format, opened: its header is checked, its samples are still on disk."""

    @property
    def description(self) -> str:
        """Format and device, for people."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What is missing or odd, one line each."""
        ...

    @property
    def rows(self) -> Sequence[Row]:
        """The signals, in the file's order."""
        ...

    @property
    def segmented(self) -> bool:
        """Whether the file holds one stretch around each stimulus (see `ionm.StreamInfo`)."""
        ...

    @property
    def suggested_protocol(self) -> str | None:
        """Name of the shipped protocol that fits the file; None when it could be any."""
        ...

    def segments(self, fs: float) -> tuple[Segment, ...]:
        """The stretches of a row sampled at ``fs`` (Hz), in order, without overlap."""
        ...

    def annotations(self, fs: float) -> list[tuple[int, str]]:
        """Every text with the sample index it marks on a clock of ``fs`` (Hz), in file order."""
        ...

    def read(self, rows: Sequence[int], start: int, stop: int) -> Samples:
        """Stored samples ``start`` to ``stop`` of rows of one rate, shape (n_rows, n_samples), in V."""
        ...

    def codes(self, row: int, start: int, stop: int) -> Codes:
        """Stored samples ``start`` to ``stop`` of a trigger row as whole numbers, shape (n_samples,)."""
        ...

    def fault(self, row: int) -> str | None:
        """Why a row's samples cannot be turned into V; None when they can."""
        ...
