"""Mask the stimulus artefact before any recursive filter sees it.

An unmasked 5 mV artefact leaves a fake "LSR" of about 100 uV behind a 30 Hz high-pass
(`facial.md` 6.3, computed). In the stream the last sample before the mask is held and marked
invalid, so that a recursive filter holds its state too; interpolation is for cut sweeps only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
                    raise SetupError(f"mask of site {mask.site!r} names channel {name!r}; the stream has {', '.join(info.names)}")
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
    """The mask with its memory: where it ends, and what it holds, for every channel."""

    def __init__(self, spec: Blanking, info: StreamInfo) -> None:
        self._spec = spec
        self._info = info
        self._before = int(np.ceil(spec.before * info.fs))
        self._lengths: dict[str, NDArray[np.int64]] = {}
        self._until = np.zeros(info.n_channels, dtype=np.int64)  # first sample after the newest mask
        self._last = np.zeros(info.n_channels)  # newest unmasked sample
        self._latest = 0

    def push(self, chunk: Chunk, ahead: tuple[tuple[int, str], ...] = ()) -> Chunk:
        """Mask one chunk; ``ahead`` holds (sample, site) of stimuli just behind its end."""
        stimuli = [(t.sample, t.site) for t in chunk.triggers]
        stimuli += [s for s in ahead if s[0] - self._before < chunk.stop]
        if not stimuli and chunk.start >= self._latest:
            if chunk.n_samples:
                self._last = chunk.data[:, -1].copy()
            return chunk
        data, valid = chunk.data.copy(), chunk.valid.copy()
        for channel in range(data.shape[0]):
            self._mask(channel, data[channel], valid[channel], chunk.start, stimuli)
        return Chunk(data, valid, chunk.start, chunk.triggers, chunk.notes)

    def _mask(self, channel: int, data: Samples, valid: Flags, start: int, stimuli: list[tuple[int, str]]) -> None:
        free = start  # everything of this chunk before `free` is already handled
        stop = start + data.size

        def hold(first: int, until: int) -> None:
            nonlocal free
            first, until = max(first, free), min(until, stop)
            if first >= until:
                return
            if first > free:
                self._last[channel] = data[first - start - 1]
            data[first - start : until - start] = self._last[channel]
            valid[first - start : until - start] = False
            free = until

        hold(start, int(self._until[channel]))
        for sample, site in stimuli:
            length = self._length(site)[channel]
            if length == 0:
                continue
            hold(sample - self._before, sample + length)
            self._until[channel] = max(self._until[channel], sample + length)
            self._latest = max(self._latest, sample + length)
        if free < stop:
            self._last[channel] = data[-1]

    def _length(self, site: str) -> NDArray[np.int64]:
        if site not in self._lengths:
            self._lengths[site] = np.array(self._spec.lengths(site, self._info), dtype=np.int64)
        return self._lengths[site]


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
        if self._held is not None:
            held = self._held
            chunk = Chunk(
                np.concatenate((held.data, chunk.data), axis=1),
                np.concatenate((held.valid, chunk.valid), axis=1),
                held.start,
                held.triggers + chunk.triggers,
                held.notes + chunk.notes,
            )
        border = max(chunk.stop - self._n, chunk.start)
        self._held = chunk.cut(border, chunk.stop)
        ahead = tuple((t.sample, t.site) for t in self._held.triggers)
        return chunk.cut(chunk.start, border), ahead


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
