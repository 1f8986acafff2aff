"""What a part must be able to do to take its place: four tiny contracts.

A spec (`Filter`, `SweepDetector`, `StreamDetector`) is frozen, comparable and printable: it
holds settings only. Its ``start`` checks it against a stream and returns a fresh running object
that holds all the memory. So there is no ``reset``: after a gap, start again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ionm.stream import Chunk, StreamInfo


class Source(Protocol):
    """Where chunks come from."""

    @property
    def info(self) -> StreamInfo:
        """The stream the chunks belong to."""
        ...

    def __iter__(self) -> Iterator[Chunk]: ...


class RunningFilter(Protocol):
    """A filter with its memory."""

    def push(self, chunk: Chunk) -> Chunk:
        """The filtered chunk: as many samples, the same ``start``, triggers and notes."""
        ...


class Filter(Protocol):
    """Settings of a causal filter."""

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running filter; `SetupError` if the settings do not fit the stream."""
        ...

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream that comes out (a montage changes the channels; most return ``info``)."""
        ...

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Group delay at ``frequency`` (Hz), in s."""
        ...


class RunningStreamDetector(Protocol):
    """A detector of ongoing activity with its memory."""

    def push(self, chunk: Chunk) -> Sequence[Any]:
        """Facts that became known in this chunk, each stamped with the sample that completed it."""
        ...


class StreamDetector(Protocol):
    """Settings of a detector of ongoing activity."""

    def start(self, info: StreamInfo) -> RunningStreamDetector:
        """A fresh running detector; `SetupError` if the settings do not fit the stream."""
        ...


class Sink(Protocol):
    """Where events go."""

    def write(self, item: Any) -> None:
        """Take one event."""
        ...
