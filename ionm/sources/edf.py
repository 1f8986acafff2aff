"""EDF, EDF+, BDF and BDF+ files, read directly.

Libraries join the records of a discontinuous file (EDF+D) and drop texts that then lie outside.
EDF+D is the standard's own layout for intraoperative recordings, one record per stimulus (EDF+
specification 3.5), so every record keeps its own start time here. Samples are read in blocks,
never mapped or loaded whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ionm.errors import InputError
from ionm.sources.header import Signal, read_header
from ionm.sources.reader import Codes, Row, Segment
from ionm.sources.tals import Tals
from ionm.stream import Samples

# Records up to this size are read whole, larger ones signal by signal, in bytes.
_WHOLE_RECORD = 1 << 20
# The annotations of one record take kilobytes; more than this, in bytes, is a damaged header.
_MAX_TALS = 1 << 22
# More than one a millisecond for a quarter of an hour is no annotated recording.
_MAX_ANNOTATIONS = 1_000_000
# BioSemi's 16 trigger lines; the bits above them are the amplifier's status.
_TRIGGER_LINES = 0xFFFF

# Onsets may be written to the millisecond only, in s.
_ROUNDING = 0.5e-3
# A symmetric range may be off by a step of 8 bits; "-3276.8" to "3276.7" is.
_ASYMMETRY = 1 / 256
# A stretch recorded around one stimulus is at most this long, in s; longer ones are a paused recording.
_LONGEST_STRETCH = 2.0

_KINDS = {"EMG": "emg", "EEG": "eeg", "EP": "eeg"}
_TRIGGERS = ("status", "trigger")


class EdfReader:
    """An EDF, EDF+, BDF or BDF+ file (see `ionm.sources.reader.Reader`).

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If the header contradicts itself or the file, or an EDF+D record has no start time,
        overlaps its predecessor or lies before it.
    """

    suggested_protocol = None

    def __init__(self, path: Path) -> None:
        self._header = read_header(path)
        self._signals = [signal for signal in self._header.signals if not signal.is_annotations]
        self._tals = self._read_tals()
        self.rows = tuple(self._row(signal) for signal in self._signals)
        first = self._tals.onsets[0] if self._tals.onsets else math.nan
        begin = 0.0 if math.isnan(first) else first
        discontinuous = self._header.variant.endswith("+D")
        self._runs = self._find_runs() if discontinuous else ((0, begin, self._header.n_records),)
        holes = len(self._runs) > 1
        longest = max((count for _, _, count in self._runs), default=0) * self._header.duration
        # one stretch around each stimulus; a recording that was only paused has gaps instead
        self.segmented = holes and longest <= _LONGEST_STRETCH
        # a recording without holes starts at sample 0, one with holes keeps the file's own clock
        self._zero = 0.0 if holes else begin

    @property
    def description(self) -> str:
        """Format and device."""
        return ", ".join(filter(None, (self._header.variant, self._header.equipment)))

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What is missing or odd."""
        unreadable = self._tals.unreadable
        texts = (f"{unreadable} annotation lists are unreadable and left out",) if unreadable else ()
        return self._header.problems + texts

    def segments(self, fs: float) -> tuple[Segment, ...]:
        """The runs of joined records, each at the sample nearest to its true onset."""
        length = round(fs * self._header.duration)
        return tuple(
            Segment(round((onset - self._zero) * fs), first * length, count * length)
            for first, onset, count in self._runs
        )

    def annotations(self, fs: float) -> list[tuple[int, str]]:
        """Every text at the sample nearest to its true onset."""
        return [(round((onset - self._zero) * fs), text) for onset, text in self._tals.texts]

    def read(self, rows: Sequence[int], start: int, stop: int) -> Samples:
        """Samples in V: step times gain plus offset, then times V per unit, in this order."""
        out = np.empty((len(rows), stop - start))
        for i, steps in enumerate(self._steps(rows, start, stop)):
            signal = self._signals[rows[i]]
            np.multiply(steps, signal.gain, out=out[i])
            out[i] += signal.offset
            out[i] *= signal.volts or 1.0
        return out

    def codes(self, row: int, start: int, stop: int) -> Codes:
        """The trigger lines: raw steps in BDF, whole units in EDF; the low 16 bits."""
        steps = next(self._steps([row], start, stop)).astype(np.float64)
        signal = self._signals[row]
        if self._header.sample_bytes == 2:
            steps = np.rint(steps * signal.gain + signal.offset)
        return steps.astype(np.int64) & _TRIGGER_LINES

    def fault(self, row: int) -> str | None:
        """Why a row cannot be read; None when it can."""
        return self._signals[row].fault()

    def _row(self, signal: Signal) -> Row:
        """What the header says about one signal."""
        prefix = signal.label.partition(" ")[0].upper()
        kind = "trigger" if signal.label.casefold() in _TRIGGERS else _KINDS.get(prefix, "")
        unit = "" if signal.volts else f"not in V but {signal.unit!r}" if signal.unit else "without a unit"
        rails = None if kind == "trigger" else _rails(signal)
        return Row(signal.label, signal.samples / self._header.duration, kind, rails, unit)

    def _steps(self, rows: Sequence[int], start: int, stop: int) -> Iterator[NDArray[np.integer]]:
        """Stored steps of rows of one rate, one array per row."""
        length = self._signals[rows[0]].samples if rows else 1
        first, last = start // length, -(-stop // length)
        size = self._header.record_samples
        if size * self._header.sample_bytes <= _WHOLE_RECORD:
            records = self._records(first, last)
            for row in rows:
                at = self._signals[row].position
                steps = self._unpack(records[:, at : at + length])
                yield steps[start - first * length : stop - first * length]
            return
        for row in rows:
            at = self._signals[row].position
            pieces = [np.empty(0, f"V{self._header.sample_bytes}")]
            for record in range(first, last):
                low, high = max(start - record * length, 0), min(stop - record * length, length)
                pieces.append(self._load(record * size + at + low, high - low))
            yield self._unpack(np.concatenate(pieces))

    def _records(self, first: int, last: int) -> NDArray[np.void]:
        """Whole records, shape (n_records, samples of all signals), not yet decoded."""
        size = self._header.record_samples
        return self._load(first * size, (last - first) * size).reshape(-1, size)

    def _load(self, first: int, count: int) -> NDArray[np.void]:
        """``count`` undecoded samples from the ``first`` one after the header."""
        width = self._header.sample_bytes
        try:
            samples = np.fromfile(
                self._header.path, f"V{width}", count, offset=self._header.start + first * width
            )
        except OSError as error:
            raise InputError(f"{self._header.path}: cannot be read ({error})") from error
        if len(samples) < count:
            raise InputError(f"{self._header.path}: became shorter while it was read")
        return samples

    def _unpack(self, samples: NDArray[np.void]) -> NDArray[np.integer]:
        """Undecoded samples as whole numbers, flat."""
        flat = np.ascontiguousarray(samples).reshape(-1)
        if self._header.sample_bytes == 2:
            return flat.view("<i2")
        words = np.zeros((len(flat), 4), np.uint8)
        words[:, 1:] = flat.view(np.uint8).reshape(-1, 3)
        steps: NDArray[np.integer] = words.view("<i4").reshape(-1) >> 8
        return steps

    def _read_tals(self) -> Tals:
        """All annotation lists, without reading what lies between them."""
        header, found = self._header, Tals()
        width, size = header.sample_bytes, header.record_samples
        places = [(s.position * width, s.samples * width) for s in header.signals if s.is_annotations]
        if sum(length for _, length in places) > _MAX_TALS:
            raise InputError(f"{header.path}: a record has more than {_MAX_TALS >> 20} MB of annotations")
        with header.path.open("rb") as file:
            for record in range(header.n_records if places else 0):
                lists = []
                for at, length in places:
                    file.seek(header.start + record * size * width + at)
                    lists.append(file.read(length))
                found.add_record(lists)
                if len(found.texts) > _MAX_ANNOTATIONS:
                    raise InputError(f"{header.path}: has more than {_MAX_ANNOTATIONS} annotations")
        return found

    def _find_runs(self) -> tuple[tuple[int, float, int], ...]:
        """Runs of joined records: first record, onset (s), number of records.

        Records are joined when one begins where the last one ended, to within a sample or what
        rounding to the millisecond may move it.
        """
        path, duration = self._header.path, self._header.duration
        onsets = self._tals.onsets
        if not onsets:
            raise InputError(f"{path}: EDF+D needs an annotation signal with the start of every record")
        tolerance = max(_ROUNDING, duration / max(signal.samples for signal in self._signals))
        runs = []
        first = 0
        for record, onset in enumerate([*onsets, math.inf]):
            if not onset >= 0:
                got = "has no start time" if math.isnan(onset) else f"begins at {onset:g} s"
                raise InputError(f"{path}: record {record + 1} {got}, expected +seconds")
            due = onsets[first] + (record - first) * duration
            if abs(onset - due) <= tolerance or record == 0:
                continue
            if onset < due:
                raise InputError(
                    f"{path}: record {record + 1} begins at {onset:g} s, "
                    f"before the one before it ends ({due:g} s)"
                )
            runs.append((first, onsets[first], record - first))
            first = record
        return tuple(runs)


def _rails(signal: Signal) -> tuple[float, float] | None:
    """The amplifier's limits in V, to the bit as `EdfReader.read` gives them; None when unknown.

    Writers that know no amplifier state the range of the samples themselves, whose ends are
    peaks, not rails. A real range is symmetric about zero, a range of samples hardly ever.
    """
    low, high = signal.physical
    if signal.fault() or signal.volts is None or abs(low + high) > _ASYMMETRY * abs(high - low):
        return None
    ends = sorted((end * signal.gain + signal.offset) * signal.volts for end in signal.digital)
    return ends[0], ends[1]
