"""Replaying a recording: any file becomes the same stream of chunks a live source gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionm.sources.reader import Reader, Segment
from ionm.stream import Chunk, Note, Samples, StreamInfo, Trigger

# Chunk length when nobody asks for one, in s: long enough that reading costs nothing per chunk.
DEFAULT_CHUNK = 0.5
# Samples of all channels that are read ahead, whatever the chunk length (32 MB as float64).
_READ_AHEAD = 1 << 22
# Read ahead at most this long, in s.
_READ_AHEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording, opened: everything but the samples is known, the samples are still on disk.

    Iterating gives `Chunk`s; any chunk length gives the same samples, stimuli and notes, and it
    can be iterated any number of times.

    Parameters
    ----------
    path
        The file.
    description
        Format and device.
    info
        The stream.
    segments
        The stretches that hold samples; a single one from sample 0 for a continuous recording.
    triggers
        Every stimulus that has a sample, in order.
    notes
        Every note, in order of ``accepted``. A note outside the samples is accepted at the next
        sample there is.
    annotations
        Every text and trigger code as found, with its sample index, in order.
    unmapped
        How often each text or trigger code occurs that is neither in the grammar nor mapped.
    problems
        What is missing or odd, one line each.
    suggested_protocol
        The shipped protocol that fits this kind of file; None when it could be any.
    """

    path: Path
    description: str
    info: StreamInfo
    segments: tuple[Segment, ...]
    triggers: tuple[Trigger, ...]
    notes: tuple[Note, ...]
    annotations: tuple[tuple[int, str], ...]
    unmapped: Mapping[str, int]
    problems: tuple[str, ...]
    suggested_protocol: str | None
    _reader: Reader
    _rows: tuple[int, ...]

    @property
    def n_samples(self) -> int:
        """Samples of each channel, without what lies between the segments."""
        return sum(segment.n_samples for segment in self.segments)

    @property
    def stop(self) -> int:
        """Index on the clock of the first sample after the recording."""
        return self.segments[-1].stop

    @property
    def duration(self) -> float:
        """From the first sample to the end of the last one, in s."""
        return self.stop / self.info.fs

    @property
    def sites(self) -> tuple[str, ...]:
        """The stimulated sites, in order of their first stimulus."""
        return tuple(dict.fromkeys(trigger.site for trigger in self.triggers))

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks()

    def chunks(self, seconds: float = DEFAULT_CHUNK) -> Iterator[Chunk]:
        """The recording in chunks of about this length.

        Boundaries lie at ``floor(k * seconds * fs + 1/2)`` from a segment's first sample, so
        nothing drifts; chunks shorter than a sample are now and then empty.

        Parameters
        ----------
        seconds
            Chunk length, in s; ``math.inf`` gives one chunk for each segment.

        Raises
        ------
        ValueError
            If the length is not positive.
        InputError
            If the file can no longer be read.
        """
        if not seconds > 0:
            raise ValueError(f"need a chunk length > 0 s, got {seconds:g} s")
        trigger = note = 0
        for segment in self.segments:
            for start, stop, data in self._cut(segment, seconds * self.info.fs):
                first_trigger, first_note = trigger, note
                while trigger < len(self.triggers) and self.triggers[trigger].sample < stop:
                    trigger += 1
                while note < len(self.notes) and self.notes[note].accepted < stop:
                    note += 1
                yield Chunk(
                    data,
                    np.isfinite(data),
                    start,
                    self.triggers[first_trigger:trigger],
                    self.notes[first_note:note],
                )

    def _cut(self, segment: Segment, step: float) -> Iterator[tuple[int, int, Samples]]:
        """Start, stop (on the clock) and samples of every chunk; reads ahead in larger blocks."""
        ahead = min(_READ_AHEAD // max(len(self._rows), 1), round(_READ_AHEAD_SECONDS * self.info.fs))
        block, block_start, block_stop = np.empty((len(self._rows), 0)), 0, 0
        a = k = 0
        while a < segment.n_samples:
            k += 1
            due = k * step
            b = segment.n_samples if due >= segment.n_samples else math.floor(due + 0.5)
            if b > block_stop:
                block_start, block_stop = a, min(max(b, a + ahead), segment.n_samples)
                block = self._reader.read(self._rows, segment.offset + a, segment.offset + block_stop)
            data = np.ascontiguousarray(block[:, a - block_start : b - block_start])
            yield segment.start + a, segment.start + b, data
            a = b
