"""Mask the stimulus artefact before any recursive filter sees it.

An unmasked 5 mV artefact leaves a fake "LSR" of about 100 uV behind a 30 Hz high-pass
(`facial.md` 6.3, computed). In the stream the last sample before the mask is held and marked
invalid, so that a recursive filter holds its state too; interpolation is for cut sweeps only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ionm.errors import SetupError
from ionm.stream import Chunk, Flags, Samples, StreamInfo


@dataclass(frozen=True, slots=True)
class Mask:
    """When one site's stimulus blinds which channels.

    Parameters
    ----------
    site
        The stimulated site, or "*" for every site without a mask of its own.
    until
        End of the mask after the stimulus, in s; 0 for no mask at all.
    channels
        The channels it holds for; None for all that no other mask of this site names.
    """

    site: str
    until: float
    channels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.until <= 0.1:
            raise ValueError(f"need 0 <= until <= 0.1 s, got until={self.until:g} s for site {self.site!r}")


@dataclass(frozen=True, slots=True)
class Blanking:
    """Hold the last sample through the stimulus artefact.

    Parameters
    ----------
    masks
        One or more per site. A site without a mask (and no "*") is not masked.
    before
        How far the artefact may begin before its mark (trigger jitter), in s. The session
        looks ahead by as much, so that a mark is known before its mask begins.
    """

    masks: tuple[Mask, ...]
    before: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.before <= 0.01:
            raise ValueError(f"need 0 <= before <= 0.01 s, got before={self.before:g} s")
        keys = [(m.site, name) for m in self.masks for name in (m.channels or ("*",))]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"two masks for site {key[0]!r} and channel {key[1]!r}")

    def start(self, info: StreamInfo) -> RunningBlanking:
        """A fresh running mask; `SetupError` names a channel that the stream lacks."""
        for mask in self.masks:
            for name in mask.channels or ():
                if name not in info.names:
                    there = ", ".join(info.names)
                    raise SetupError(
                        f"mask of site {mask.site!r} names channel {name!r}; the stream has {there}"
                    )
        return RunningBlanking(self, info)

    def output(self, info: StreamInfo) -> StreamInfo:
        """The same stream."""
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Zero."""
        del info, frequency
        return 0.0

    def lengths(self, site: str, info: StreamInfo) -> list[int]:
        """Per channel, how many samples after the stimulus are masked (0: none)."""
        own = [m for m in self.masks if m.site == site] or [m for m in self.masks if m.site == "*"]
        default = [m.until for m in own if m.channels is None]
        lengths = []
        for name in info.names:
            named = [m.until for m in own if m.channels is not None and name in m.channels]
            until = (named or default or [0.0])[0]
            lengths.append(info.samples(until))
        return lengths


class RunningBlanking:
    """The mask with its memory, for each group of channels that are always masked alike."""

    def __init__(self, spec: Blanking, info: StreamInfo) -> None:
        self._before = math.ceil(spec.before * info.fs)
        self._spec, self._info = spec, info
        named = {mask.site: spec.lengths(mask.site, info) for mask in spec.masks}
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in range(info.n_channels):
            alike.setdefault(tuple(lengths[row] for lengths in named.values()), []).append(row)
        self._groups = [_Group(rows) for rows in alike.values()]
        self._lengths: dict[str, list[int]] = {}
        self._previous: Samples | None = None  # newest chunk's samples
        self._latest = -1  # every mask so far has ended before this sample

    def push(self, chunk: Chunk, ahead: tuple[tuple[int, str], ...] = ()) -> Chunk:
        """Mask one chunk; ``ahead`` holds (sample, site) of stimuli just behind its end."""
        if not chunk.n_samples:
            return chunk
        if not chunk.triggers and not ahead and chunk.start >= self._latest:
            self._previous = chunk.data
            return chunk
        data, valid = chunk.data.copy(), chunk.valid.copy()
        stimuli = [(t.sample, t.site) for t in chunk.triggers]
        stimuli += [s for s in ahead if s[0] - self._before < chunk.stop]
        for number, group in enumerate(self._groups):
            if self._previous is not None:
                group.last = self._previous[group.rows, -1]
            masks = [(sample - self._before, sample + self._length(site)[number]) for sample, site in stimuli]
            group.mask(data, valid, chunk.start, [m for m in masks if m[1] > m[0] + self._before])
            self._latest = max(self._latest, group.until)
        self._previous = data
        return Chunk(data, valid, chunk.start, chunk.triggers, chunk.notes)

    def _length(self, site: str) -> list[int]:
        """How many samples after this site's stimulus each group is masked."""
        if site not in self._lengths:
            lengths = self._spec.lengths(site, self._info)
            self._lengths[site] = [lengths[group.rows[0]] for group in self._groups]
        return self._lengths[site]


class _Group:
    """Channels that are always masked alike."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows
        self.until = 0  # first sample after the newest mask
        self.last = np.zeros(len(rows))  # newest sample that was not masked, or what was held for it

    def mask(self, data: Samples, valid: Flags, start: int, masks: list[tuple[int, int]]) -> None:
        """Hold the last sample from each mask's begin to its end, in place."""
        stop = start + data.shape[1]
        free = start  # what lies before is done
        for begin, end in ((start, self.until), *masks):
            self.until = max(self.until, end)
            first, last = max(begin, free) - start, min(end, stop) - start
            if first < last:
                held = data[self.rows, first - 1] if first else self.last
                data[self.rows, first:last] = held[:, np.newaxis]
                valid[self.rows, first:last] = False
                free = last + start


class LookAhead:
    """Hold a stream back by a few samples, so that a mask can begin before its stimulus.

    Parameters
    ----------
    n_samples
        How far the stream is held back.
    """

    def __init__(self, n_samples: int) -> None:
        self._n = n_samples
        self._held: Chunk | None = None

    @property
    def holds(self) -> bool:
        """Whether samples are held back."""
        return self._held is not None

    def flush(self) -> Chunk:
        """The samples that are held back, when nothing can follow them."""
        if self._held is None:
            raise ValueError("nothing is held back")
        held, self._held = self._held, None
        return held

    def push(self, chunk: Chunk) -> tuple[Chunk, tuple[tuple[int, str], ...]]:
        """The samples that are now released, and (sample, site) of the stimuli still held back."""
        if self._n == 0:
            return chunk, ()
        data, valid, start = chunk.data, chunk.valid, chunk.start
        triggers, notes = chunk.triggers, chunk.notes
        held = self._held
        if held is not None:
            data = np.concatenate((held.data, data), axis=1)
            valid = np.concatenate((held.valid, valid), axis=1)
            start, triggers, notes = held.start, held.triggers + triggers, held.notes + notes
        cut = max(data.shape[1] - self._n, 0)
        border = start + cut
        waiting = tuple(t for t in triggers if t.sample >= border) if triggers else ()
        later = tuple(n for n in notes if n.accepted >= border) if notes else ()
        self._held = Chunk(data[:, cut:], valid[:, cut:], border, waiting, later)
        ready = triggers[: len(triggers) - len(waiting)], notes[: len(notes) - len(later)]
        return Chunk(data[:, :cut], valid[:, :cut], start, *ready), tuple((t.sample, t.site) for t in waiting)


def interpolate(data: Samples, masked: Flags) -> Samples:
    """Draw a straight line across the masked samples of cut sweeps.

    Parameters
    ----------
    data
        Shape (n_rows, n_samples), in V.
    masked
        Same shape, True where the artefact was masked.

    Returns
    -------
    ndarray
        A copy, shape (n_rows, n_samples): masked samples between two unmasked ones lie on the
        line between them, those at an end repeat the nearest unmasked one. A row without any
        unmasked sample is returned as it is.
    """
    out = data.copy()
    index = np.arange(data.shape[1])
    for row in range(data.shape[0]):
        kept = ~masked[row]
        if kept.any() and not kept.all():
            out[row, ~kept] = np.interp(index[~kept], index[kept], data[row, kept])
    return out
