"""Cut the stream around its stimuli: integer samples, every stimulus gives exactly one sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ionm.errors import SetupError
from ionm.events import Sweep
from ionm.stream import Chunk, Samples, StreamInfo, Trigger


@dataclass(frozen=True, slots=True)
class Layout:
    """How the sweeps of one site are laid out for a detector.

    Parameters
    ----------
    rows
        The rows that it judges.
    reference
        Row of the M-control, or None.
    zero, length
        Column of the stimulus, number of columns.
    fs
        Sampling rate, in Hz.
    delay
        Delay of the filters before it, in s; latencies are corrected for it.
    seen
        What a trace of the sweep's length, in V, looks like behind those filters; None: as it is.
    """

    rows: tuple[int, ...]
    reference: int | None
    zero: int
    length: int
    fs: float
    delay: float
    seen: Callable[[Samples], Samples] | None = field(default=None, compare=False)

    def columns(self, stretch: tuple[float, float]) -> slice:
        """The columns of a stretch (s relative to the stimulus); `SetupError` if it is not all there."""
        first, last = (self.zero + round(t * self.fs) for t in stretch)
        if first < 0 or last > self.length or last - first < 2:
            begin, end = -self.zero / self.fs, (self.length - self.zero) / self.fs
            raise SetupError(
                f"a sweep from {begin * 1e3:g} to {end * 1e3:g} ms "
                f"does not hold the stretch from {stretch[0] * 1e3:g} to {stretch[1] * 1e3:g} ms"
            )
        return slice(first, last)


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Which stretch around a stimulus is a sweep.

    Parameters
    ----------
    begin, end
        Begin and end (exclusive) relative to the stimulus, in s; what lies before it is the
        prestimulus.
    rows
        Per site, the channels (by name, in order) that its sweeps hold. A stimulus at a site
        that is not named is not cut.
    """

    begin: float
    end: float
    rows: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if not self.begin <= 0 < self.end:
            raise ValueError(f"need begin <= 0 < end, got begin={self.begin:g} s, end={self.end:g} s")

    def start(self, info: StreamInfo) -> RunningSweeps:
        """A fresh cutter; `SetupError` names a channel that the stream lacks."""
        index = {name: i for i, name in enumerate(info.names)}
        rows = {}
        for site, names in self.rows.items():
            missing = [name for name in names if name not in index]
            if missing:
                there = ", ".join(info.names)
                raise SetupError(f"sweeps of site {site!r} need {', '.join(missing)}; the stream has {there}")
            rows[site] = np.array([index[name] for name in names], dtype=np.intp)
        return RunningSweeps(info.samples(self.begin), info.samples(self.end), rows)


class RunningSweeps:
    """The cutter with its memory: the newest samples and the stimuli whose sweep is not complete.

    ``zero`` is the column of the stimulus, ``length`` the number of columns of every sweep.
    """

    def __init__(self, start: int, stop: int, rows: dict[str, NDArray[np.intp]]) -> None:
        self.zero = -start
        self.length = stop - start
        self._after = stop
        # only channels that some site wants are kept
        self._kept = np.unique(np.concatenate([*rows.values(), np.zeros(0, dtype=np.intp)]))
        self._rows = {site: np.searchsorted(self._kept, wanted).tolist() for site, wanted in rows.items()}
        self._pending: list[Trigger] = []
        # samples [begin, begin + used) of the stream stand in columns [0, used)
        capacity = 4 * self.length
        self._data = np.zeros((self._kept.size, capacity))
        self._valid = np.zeros((self._kept.size, capacity), dtype=bool)
        self._begin: int | None = None
        self._used = 0

    def push(self, chunk: Chunk) -> list[Sweep]:
        """The sweeps that this chunk completes, in the order of their stimuli."""
        if self._begin is None:
            self._begin = chunk.start
        self._append(chunk)
        if chunk.triggers:
            self._pending.extend(t for t in chunk.triggers if t.site in self._rows)
        done = []
        while self._pending and self._pending[0].sample + self._after <= chunk.stop:
            trigger = self._pending.pop(0)
            done.append(self._cut(trigger, trigger.sample + self._after - 1))
        return done

    def abandon(self, sample: int) -> list[Sweep]:
        """The incomplete sweeps as far as they came, because of a gap or the end; known at ``sample``."""
        given_up = [self._cut(trigger, sample) for trigger in self._pending]
        self._pending.clear()
        return given_up

    def _append(self, chunk: Chunk) -> None:
        n = chunk.n_samples
        if self._used + n > self._data.shape[1]:
            keep = min(self._used, self.length)
            drop = self._used - keep
            if keep + n > self._data.shape[1]:
                grown = np.zeros((self._data.shape[0], 2 * (keep + n)))
                grown_valid = np.zeros(grown.shape, dtype=bool)
            else:
                grown, grown_valid = self._data, self._valid
            grown[:, :keep] = self._data[:, drop : self._used].copy()
            grown_valid[:, :keep] = self._valid[:, drop : self._used].copy()
            self._data, self._valid = grown, grown_valid
            self._begin = (self._begin or 0) + drop
            self._used = keep
        self._data[:, self._used : self._used + n] = chunk.data[self._kept]
        self._valid[:, self._used : self._used + n] = chunk.valid[self._kept]
        self._used += n

    def _cut(self, trigger: Trigger, sample: int) -> Sweep:
        rows = self._rows[trigger.site]
        first = trigger.sample - self.zero - (self._begin or 0)
        last = first + self.length
        if first >= 0 and last <= self._used:
            data = np.empty((len(rows), self.length))
            valid = np.empty((len(rows), self.length), dtype=bool)
            for place, row in enumerate(rows):
                data[place] = self._data[row, first:last]
                valid[place] = self._valid[row, first:last]
            return Sweep(sample, trigger, data, valid, self.zero)
        # the stream began, ended or broke off inside this sweep: what never came is not valid
        data, valid = np.zeros((len(rows), self.length)), np.zeros((len(rows), self.length), dtype=bool)
        a, b = max(first, 0), min(last, self._used)
        data[:, a - first : b - first] = self._data[rows, a:b]
        valid[:, a - first : b - first] = self._valid[rows, a:b]
        return Sweep(sample, trigger, data, valid, self.zero)
