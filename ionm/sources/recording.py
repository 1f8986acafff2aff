"""Replaying a recording: any file becomes the same stream of chunks a live source gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionm.annotations import SITES
from ionm.errors import InputError
from ionm.sources.edf import EdfReader
from ionm.sources.header import is_edf
from ionm.sources.marks import Translation, count_unknown, rising_edges
from ionm.sources.mne_reader import MneReader
from ionm.sources.names import Naming, distinct, kind_of
from ionm.sources.reader import Reader, Segment
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger

# Chunk length when nobody asks for one, in s: long enough that reading costs nothing per chunk.
DEFAULT_CHUNK = 0.5
# Samples of all channels that are read ahead, whatever the chunk length (32 MB as float64).
_READ_AHEAD = 1 << 22
# Read ahead at most this long, in s.
_READ_AHEAD_SECONDS = 2.0
# Sampling rates outside these bounds, in Hz, are errors of a header, not of physiology.
_RATES = (1.0, 1e6)


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

    def _cut(self, segment: Segment, step: float) -> Iterator[tuple[int, int, np.ndarray]]:
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


def open_recording(
    path: str | Path,
    *,
    channels: Sequence[str] | None = None,
    aliases: Mapping[str, str] | None = None,
    marks: Mapping[str, str] | None = None,
    trigger_channels: Sequence[str] = (),
) -> Recording:
    """Open a recording of any format, without loading its samples.

    EDF, EDF+ (continuous or one record per stimulus), BDF and BDF+ are read directly, the
    documented CSV sweep tables too, every other format through MNE.

    Parameters
    ----------
    path
        The file; for a recording of several files the one that names the others (``.vhdr``).
    channels
        The protocol's names of the channels to read, with or without side; None reads all. The
        stream's rate is the highest among them; channels of a lower rate are left out and
        named in ``problems`` (they are never resampled).
    aliases
        The recording's channel name to the protocol's.
    marks
        Another device's texts, or "channel=code" of a trigger channel, to the grammar of
        `ionm.annotations`.
    trigger_channels
        Trigger channels whose codes are counted in ``unmapped`` although no mark names them.

    Raises
    ------
    InputError
        If the file is missing, damaged, of no known format or holds none of ``channels``, or if
        ``marks`` holds something else than marks.
    """
    path = Path(path)
    translate = Translation(marks or {})
    reader = _reader(path)
    naming = Naming(aliases or {}, channels)
    problems: list[str] = []
    rows, info = _select(path, reader, naming, problems)
    segments = reader.segments(info.fs)
    scanned = translate.channels() | {name.casefold() for name in trigger_channels}
    annotations = reader.annotations(info.fs)
    for row, stored in enumerate(reader.rows):
        if stored.label.casefold() in scanned:
            annotations.extend(rising_edges(reader, row, info.fs))
    annotations.sort(key=lambda annotation: annotation[0])
    triggers, notes = _place(annotations, translate, segments, problems)
    return Recording(
        path,
        reader.description,
        info,
        segments,
        triggers,
        notes,
        tuple(annotations),
        count_unknown((text for _, text in annotations), translate),
        (*reader.problems, *problems),
        reader.suggested_protocol,
        reader,
        rows,
    )


def _reader(path: Path) -> Reader:
    """The reader for a file, by its content first and its name second."""
    try:
        if path.is_dir() and path.suffix.lower() not in (".ds", ".mff", ".mefd"):
            raise InputError(f"{path}: is a folder, expected a recording")
        if not path.is_dir():
            with path.open("rb") as file:
                head = file.read(256)
            if not head:
                raise InputError(f"{path}: is empty, expected a recording")
            if is_edf(head):
                return EdfReader(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from error
    return MneReader(path)


def _select(
    path: Path, reader: Reader, naming: Naming, problems: list[str]
) -> tuple[tuple[int, ...], StreamInfo]:
    """The rows to read, all of one rate, and the stream they form."""
    names = distinct([naming.name(row.label) for row in reader.rows])
    wanted = [row for row, name in enumerate(names) if naming.wants(name)]
    if not wanted:
        have = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        raise InputError(f"{path}: has none of the protocol's channels, only {have} (aliases can rename)")
    for row in wanted:
        fault = reader.fault(row)
        if fault is not None:
            raise InputError(f"{path}: channel {reader.rows[row].label!r}: {fault}")
    fs = max(reader.rows[row].fs for row in wanted)
    if not _RATES[0] <= fs <= _RATES[1]:
        raise InputError(f"{path}: sampling rate is {fs:g} Hz, expected {_RATES[0]:g} to {_RATES[1]:g} Hz")
    rows, chosen = [], []
    for row in wanted:
        stored = reader.rows[row]
        if stored.fs != fs:
            problems.append(
                f"channel {names[row]} is left out: sampled at {stored.fs:g} Hz, the others at {fs:g} Hz"
            )
            continue
        kind = stored.kind if stored.kind == "trigger" else kind_of(names[row]) or stored.kind
        if stored.unit and kind != "trigger":
            taken = "taken as V" if kind in ("emg", "eeg") else "kept as stored"
            problems.append(f"channel {names[row]} is {stored.unit}, not in V: {taken}")
        rows.append(row)
        chosen.append(Channel(names[row], kind or ("misc" if stored.unit else "eeg"), stored.rails))
    return tuple(rows), StreamInfo(fs, tuple(chosen), reader.segmented)


def _place(
    annotations: Sequence[tuple[int, str]],
    translate: Translation,
    segments: Sequence[Segment],
    problems: list[str],
) -> tuple[tuple[Trigger, ...], tuple[Note, ...]]:
    """Stimuli and notes at their samples, from annotations in order."""
    triggers, notes, outside = [], [], 0
    unknown: dict[str, int] = {}
    at = 0
    for sample, text in annotations:
        mark = translate(text)
        if mark is None:
            continue
        while at < len(segments) - 1 and sample >= segments[at].stop:
            at += 1
        segment = segments[at]
        accepted = min(max(sample, segment.start), segment.stop - 1)
        if mark.kind == "note":
            notes.append(Note(min(sample, accepted), accepted, mark.name, mark.attributes))
        elif sample != accepted:
            outside += 1
        else:
            triggers.append(Trigger(sample, mark.name, mark.attributes))
            if mark.name not in SITES:
                unknown[mark.name] = unknown.get(mark.name, 0) + 1
    if outside:
        problems.append(f"{outside} stimuli lie where nothing was recorded and are left out")
    problems.extend(f"site {site!r} is not a known one ({n} stimuli)" for site, n in unknown.items())
    return tuple(triggers), tuple(notes)
