"""A sample at the amplifier's rail is not a measurement: mark it invalid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.protocols import RunningFilter
from ionm.stream import Chunk, StreamInfo


@dataclass(frozen=True, slots=True)
class Clipping:
    """Mark samples at or beyond the rails that the source states (`Channel.rails`).

    Channels without rails pass as they are. The samples themselves are not changed.
    """

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running filter."""
        return _RunningClipping(info)

    def output(self, info: StreamInfo) -> StreamInfo:
        """The same stream."""
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Zero."""
        del info, frequency
        return 0.0


class _RunningClipping:
    def __init__(self, info: StreamInfo) -> None:
        rails = [channel.rails or (-np.inf, np.inf) for channel in info.channels]
        self._low = np.array([low for low, _ in rails])[:, np.newaxis]
        self._high = np.array([high for _, high in rails])[:, np.newaxis]
        # no sample smaller than this can be at a rail
        self._safe = min((min(-low, high) for low, high in rails), default=np.inf)

    def push(self, chunk: Chunk) -> Chunk:
        if self._safe == np.inf or not chunk.n_samples or np.abs(chunk.data).max() < self._safe:
            return chunk
        with np.errstate(invalid="ignore"):
            inside = (chunk.data > self._low) & (chunk.data < self._high)
        inside |= ~chunk.valid
        if inside.all():
            return chunk
        return Chunk(chunk.data, chunk.valid & inside, chunk.start, chunk.triggers, chunk.notes)
