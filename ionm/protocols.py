"""What a part must be able to do to take its place: tiny contracts.

A spec (`Filter`, `StreamDetector`, `Modality`, `Follower`) is frozen, comparable and printable: it
holds settings only. Its ``start`` checks it against a stream and returns a fresh running object
that holds all the memory. So there is no ``reset``: after a gap, start again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from ionm.events import Event
from ionm.stream import Chunk, Note, StreamInfo

FOREVER = 1 << 62
"""A deadline that never comes."""


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


class RunningPath(Protocol):
    """The way from chunks to the facts of one modality, with its memory.

    It sees every stimulus, those of other sites too, and knows nothing of any verdict. A fact has
    a ``sample``: the last one that was needed to know it.
    """

    def push(self, chunk: Chunk) -> Sequence[Any]:
        """The facts that became known in this chunk (``chunk.start <= sample < chunk.stop``), in order."""
        ...

    def restart(self, sample: int) -> Sequence[Any]:
        """Give up what is incomplete, because the stream broke off before ``sample``, and begin afresh.

        The facts that this leaves are known at ``sample``.
        """
        ...


class Path(Protocol):
    """Settings of the way from chunks to facts."""

    def start(self, info: StreamInfo) -> RunningPath:
        """A fresh running path; `SetupError` if the settings do not fit the stream."""
        ...


class ModalityJudge(Protocol):
    """What is decided about one modality, with its memory. Everything comes in order of its sample."""

    @property
    def deadline(self) -> int:
        """The passing of time decides nothing before the sample after this one; `FOREVER` for never."""
        ...

    def begin(self, sample: int) -> list[Event]:
        """What stands from the first sample on."""
        ...

    def fact(self, fact: Any) -> list[Event]:
        """Take a fact of the modality's path; of sweeps, those at the modality's own sites."""
        ...

    def note(self, note: Note) -> list[Event]:
        """Take a note; that it was taken is said already."""
        ...

    def gap(self, sample: int) -> list[Event]:
        """Samples are missing up to ``sample``; that they are is said already."""
        ...

    def pass_time(self, sample: int) -> list[Event]:
        """Decide what is due before ``sample``; the deadline moves to ``sample`` or later."""
        ...


@runtime_checkable
class Tallying(Protocol):
    """A modality's judge that adds up what its events alone do not hold."""

    def tally(self, sample: int) -> dict[str, Any]:
        """What it came to up to a sample, in plain values."""
        ...


class Modality(Protocol):
    """Settings of one kind of response: how it is obtained and how it is judged."""

    @property
    def path(self) -> Path:
        """How it is obtained. Modalities with equal paths share a running one: what costs is done once."""
        ...

    @property
    def name(self) -> str:
        """As events name it, "lsr"."""
        ...

    @property
    def routine(self) -> bool:
        """Whether a recording without it is said to lack it."""
        ...

    @property
    def channels(self) -> tuple[str, ...]:
        """The recorded channels, in order."""
        ...

    @property
    def sites(self) -> tuple[str, ...]:
        """The stimulated sites, in order; a site may serve several modalities."""
        ...

    def within(self, channels: Sequence[str], sites: Sequence[str] | None) -> Modality | None:
        """What of it these channels and sites can give (None: any site); None if that is nothing."""
        ...

    def judge(self, info: StreamInfo, start: int) -> ModalityJudge:
        """A fresh judge, for a session that begins at sample ``start``."""
        ...


class RunningFollower(Protocol):
    """What follows from the events of all modalities, with its memory."""

    @property
    def deadline(self) -> int:
        """The passing of time decides nothing before the sample after this one; `FOREVER` for never."""
        ...

    def follow(self, event: Event) -> Sequence[Event]:
        """What follows from one event, known at its sample; events come in their order."""
        ...

    def pass_time(self, sample: int) -> Sequence[Event]:
        """What is due before ``sample``; the deadline moves to ``sample`` or later."""
        ...

    def finish(self, sample: int) -> Sequence[Event]:
        """What is said when the case ends before ``sample``."""
        ...


class Follower(Protocol):
    """Settings of what follows from the events of all modalities."""

    def start(self, info: StreamInfo, start: int) -> RunningFollower:
        """A fresh running follower, for a session that begins at sample ``start``."""
        ...


class Sink(Protocol):
    """Where events go."""

    def write(self, item: Any) -> None:
        """Take one event."""
        ...
