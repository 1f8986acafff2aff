"""A running case: chunks in, events out. No file, no clock, no thread.

The invariants of ionm:

1. The sample index is the only clock.
2. Cutting the stream differently never changes an event, in no bit.
3. Filters are causal, keep sample count and start, and pass on ``valid``.
4. The stimulus artefact is masked before any recursive filter; no notch on stimulus-locked sweeps.
5. A NaN, clipped or missing sample harms its own channel for its own duration only.
6. A gap restarts signal paths; baselines, states and alarms outlive it; an event says so.
7. A chunk is recorded before the session sees it, a human act is committed before.
8. Nothing is decided from data that cannot be judged: a hold takes the place of a verdict.
9. Every state can show its evidence: sweeps, statistic, limits, settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ionm.errors import SignalError
from ionm.events import Event, Gap, NoteTaken
from ionm.filters.montage import Montage
from ionm.judge import Judge
from ionm.protocols import Follower, Modality, Path
from ionm.stream import Chunk, Note, StreamInfo

GRID = 8192
"""Long chunks are cut at multiples of this many samples, so that memory does not depend on them."""


class Session:
    """One case under way.

    Parameters
    ----------
    modalities
        What is monitored. Their channels must all be in the stream (`ionm.protocol.Protocol.fit`).
        At one sample, the events of an earlier one come first.
    info
        The stream.
    montage
        Makes the modalities' channels from the stream's; None if they are the stream's own.
    follower
        What follows from the events of all modalities; None for nothing.

    Raises
    ------
    SetupError
        If the settings do not fit the stream.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        info: StreamInfo,
        montage: Montage | None = None,
        follower: Follower | None = None,
    ) -> None:
        self._info = info
        self._montage = montage.start(info) if montage else None
        self._derived = montage.output(info) if montage else info
        self._modalities = tuple(modalities)
        paths: list[Path] = []
        for modality in modalities:
            if modality.path not in paths:
                paths.append(modality.path)
        self._paths = [path.start(self._derived) for path in paths]
        self._serves = [paths.index(modality.path) for modality in modalities]
        self._follower = follower
        self._judge: Judge | None = None
        self._n_channels = info.n_channels
        self._next = 0

    def push(self, chunk: Chunk) -> list[Event]:
        """Take the next chunk; what became known by it, in order.

        Raises
        ------
        SignalError
            If the chunk's shape is wrong, it begins before the last one ended, or its stimuli or
            notes are out of order or lie behind its end. The session is then as it was before.
        """
        self._check(chunk)
        events: list[Event] = []
        if self._judge is None:
            following = self._follower.start(self._derived, chunk.start) if self._follower else None
            self._judge = Judge(self._modalities, self._derived, chunk.start, following)
            self._next = chunk.start
            events += self._judge.begin(chunk.start)
        if chunk.start > self._next:
            events += self._break(self._judge, chunk.start)
        if chunk.triggers or chunk.notes:
            chunk, late = self._late(chunk)
            events += self._judge.tell(late)
        position = chunk.start
        while position < chunk.stop:
            border = min(chunk.stop, (position // GRID + 1) * GRID)
            piece = chunk if position == chunk.start and border == chunk.stop else chunk.cut(position, border)
            derived = self._montage.push(piece) if self._montage else piece
            facts = [path.push(derived) for path in self._paths]
            events += self._judge.push([facts[i] for i in self._serves], piece.notes, border)
            position = border
        self._next = chunk.stop
        return events

    def finish(self) -> list[Event]:
        """End the case: what the last, incomplete sweeps still show."""
        if self._judge is None:
            return []
        last = max(self._next - 1, 0)
        facts = [path.restart(last) for path in self._paths]
        return self._judge.finish([facts[i] for i in self._serves], self._next)

    def tallies(self) -> dict[str, dict[str, Any]]:
        """By modality, what it has added up by itself so far, in plain values; most add up nothing."""
        return {} if self._judge is None else self._judge.tallies(max(self._next - 1, 0))

    def _check(self, chunk: Chunk) -> None:
        """Refuse what breaks the promise of a stream, before anything is done with it."""
        shape = chunk.data.shape
        if (
            len(shape) == 2
            and shape[0] == self._n_channels
            and chunk.valid.shape == shape
            and chunk.start == self._next
            and not chunk.triggers
            and not chunk.notes
        ):
            return
        expected = (self._info.n_channels, *chunk.data.shape[1:2])
        if chunk.data.ndim != 2 or chunk.data.shape != expected or chunk.valid.shape != expected:
            raise SignalError(
                f"expected samples and flags of shape ({self._info.n_channels}, n_samples), "
                f"got {chunk.data.shape} and {chunk.valid.shape} at sample {chunk.start}"
            )
        if self._judge is not None and chunk.start < self._next:
            raise SignalError(
                f"the chunk begins at sample {chunk.start}, before the last one ended at {self._next}"
            )
        for marks in ([t.sample for t in chunk.triggers], [n.accepted for n in chunk.notes]):
            for before, after in pairwise(marks):
                if after < before:
                    raise SignalError(
                        f"marks must be in order, got one at sample {after} after one at {before}"
                    )
            if marks and marks[-1] >= chunk.stop:
                raise SignalError(f"a mark at sample {marks[-1]} lies behind the chunk's end at {chunk.stop}")

    def _break(self, judge: Judge, start: int) -> list[Event]:
        gap = Gap(start, self._next, start)
        facts = [path.restart(start) for path in self._paths]
        served = [facts[i] for i in self._serves]
        return judge.push(served, (), start, None if self._info.segmented else gap)

    def _late(self, chunk: Chunk) -> tuple[Chunk, list[Event]]:
        """Take out what came too late to be applied, and say so."""
        marks = [t.sample for t in chunk.triggers] + [n.accepted for n in chunk.notes]
        if not marks or min(marks) >= chunk.start:
            return chunk, []
        events: list[Event] = []
        for trigger in chunk.triggers:
            if trigger.sample < chunk.start:
                note = Note(trigger.sample, chunk.start, "late-trigger", {"site": trigger.site})
                events.append(NoteTaken(chunk.start, note))
        kept = tuple(t for t in chunk.triggers if t.sample >= chunk.start)
        notes = tuple(replace(n, accepted=max(n.accepted, chunk.start)) for n in chunk.notes)
        return Chunk(chunk.data, chunk.valid, chunk.start, kept, notes), events
