"""Filters in a row; neighbouring recursive filters run as one cascade.

One cascade costs one call and settles as one filter. The samples are those of the single
filters in a row (to rounding: each section starts from the steady state of its own input).
"""

from __future__ import annotations

from dataclasses import dataclass

from ionm.filters.sos import Recursive, fuse
from ionm.protocols import Filter, RunningFilter
from ionm.stream import Chunk, StreamInfo


@dataclass(frozen=True, slots=True)
class Chain:
    """Filters in a row.

    Parameters
    ----------
    filters
        In the order in which the samples pass them. May be empty.
    """

    filters: tuple[Filter, ...] = ()

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running chain; `SetupError` if a filter does not fit the stream."""
        running = []
        for part in self._fused(info):
            running.append(part.start(info))
            info = part.output(info)
        return _RunningChain(tuple(running))

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream that comes out."""
        for part in self.filters:
            info = part.output(info)
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Group delay at ``frequency`` (Hz), in s: the sum of the filters' delays."""
        return sum(part.delay(info, frequency) for part in self.filters)

    def _fused(self, info: StreamInfo) -> list[Filter]:
        parts: list[Filter] = []
        recursive: list[Recursive] = []
        for part in (*self.filters, None):
            if isinstance(part, Recursive):
                recursive.append(part)
                continue
            if recursive:
                parts.append(fuse(recursive, info))
                recursive = []
            if part is not None:
                parts.append(part)
        return parts


class _RunningChain:
    def __init__(self, running: tuple[RunningFilter, ...]) -> None:
        self._running = running

    def push(self, chunk: Chunk) -> Chunk:
        for running in self._running:
            chunk = running.push(chunk)
        return chunk
