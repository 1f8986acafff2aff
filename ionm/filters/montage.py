"""Derivations from recorded channels: each output channel is a weighted sum of inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionm.errors import SetupError
from ionm.protocols import RunningFilter
from ionm.stream import Channel, Chunk, StreamInfo


@dataclass(frozen=True, slots=True)
class Derived:
    """One output channel.

    Parameters
    ----------
    name
        Its name.
    terms
        Pairs of input channel and weight: ``(("A", 1.0), ("B", -1.0))`` is A minus B.
    kind
        As `Channel.kind`.
    """

    name: str
    terms: tuple[tuple[str, float], ...]
    kind: str = "emg"

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError(f"derived channel {self.name!r} needs at least one term")


@dataclass(frozen=True, slots=True)
class Montage:
    """Output channels made from input channels, in order.

    A derived sample is valid only where all its inputs are. A plain copy of one channel keeps
    the amplifier's rails; a sum has none.
    """

    channels: tuple[Derived, ...]

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running montage; `SetupError` names a channel that the stream lacks."""
        return _RunningMontage(self._rows(info))

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream of derived channels."""
        rows = self._rows(info)
        channels = []
        for derived, terms in zip(self.channels, rows, strict=True):
            copy = len(terms) == 1 and terms[0][1] == 1.0
            rails = info.channels[terms[0][0]].rails if copy else None
            channels.append(Channel(derived.name, derived.kind, rails))
        return StreamInfo(info.fs, tuple(channels), info.segmented)

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Zero: a montage does not delay."""
        del info, frequency
        return 0.0

    def _rows(self, info: StreamInfo) -> tuple[tuple[tuple[int, float], ...], ...]:
        index = {name: i for i, name in enumerate(info.names)}
        for derived in self.channels:
            for name, _ in derived.terms:
                if name not in index:
                    raise SetupError(
                        f"channel {derived.name!r} needs {name!r}; the stream has {', '.join(info.names)}"
                    )
        return tuple(tuple((index[n], w) for n, w in derived.terms) for derived in self.channels)


class _RunningMontage:
    def __init__(self, rows: tuple[tuple[tuple[int, float], ...], ...]) -> None:
        self._rows = rows
        # a plain selection of channels is one indexing step, and none when it changes nothing
        plain = all(len(terms) == 1 and terms[0][1] == 1.0 for terms in rows)
        self._select = np.array([terms[0][0] for terms in rows]) if plain else None

    def push(self, chunk: Chunk) -> Chunk:
        if self._select is not None:
            if np.array_equal(self._select, np.arange(chunk.data.shape[0])):
                return chunk
            data, valid = chunk.data[self._select], chunk.valid[self._select]
        else:
            data = np.empty((len(self._rows), chunk.n_samples))
            valid = np.ones(data.shape, dtype=bool)
            for row, terms in enumerate(self._rows):
                total = np.zeros(chunk.n_samples)
                for channel, weight in terms:
                    total += weight * chunk.data[channel]
                    valid[row] &= chunk.valid[channel]
                data[row] = total
        return Chunk(data, valid, chunk.start, chunk.triggers, chunk.notes)
