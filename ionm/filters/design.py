"""What the designs of recursive filters share: each is run as a cascade of sections."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ionm.filters.sos import Section, Sos
from ionm.protocols import RunningFilter
from ionm.stream import StreamInfo


class Design(ABC):
    """A filter that says which cascade it is on a stream; how that is run is the same for all."""

    __slots__ = ()
    hold: float

    @abstractmethod
    def sections(self, info: StreamInfo) -> tuple[Section, ...]:
        """The cascade for this stream; `SetupError` if the settings do not fit it."""

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running filter; `SetupError` if the settings do not fit the stream."""
        return self._cascade(info).start(info)

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream that comes out: ``info``."""
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Group delay at ``frequency`` (Hz), in s."""
        return self._cascade(info).delay(info, frequency)

    def _cascade(self, info: StreamInfo) -> Sos:
        return Sos(self.sections(info), self.hold)
