"""Simulated cases as files: EDF+ or BDF+, continuous or one data record per stimulus, and their truth.

The files are written record by record, so length costs no memory, to a temporary name that is
renamed at the end: a file that stops half-way never bears the name.

References
----------
Kemp B, Olivan J. European data format 'plus' (EDF+), an EDF alike standard format for the exchange
of physiological data. Clin Neurophysiol 2003;114:1755-1761.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ionm.annotations import format_mark
from ionm.errors import InputError
from ionm.simulate.case import SimulatedCase
from ionm.simulate.script import Counts
from ionm.simulate.truth import truth

_RECORD_BYTES = 61440  # the specification's largest data record


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name only when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        opened = part.open("wb")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_truth(case: SimulatedCase, path: str | Path) -> None:
    """Write the truth of a case as JSON; by custom beside ``OUT.edf`` as ``OUT.truth.json``."""
    with _whole(Path(path)) as file:
        file.write(json.dumps(truth(case), separators=(",", ":")).encode() + b"\n")


def write_edf(
    case: SimulatedCase, path: str | Path, *, progress: Callable[[int], object] | None = None
) -> None:
    """Write a case as a continuous recording: EDF+C with 16 bits, or BDF+C with 24 if the name ends in .bdf.

    The physical range is the amplifier's rails (a step is 0.31 uV at +-10 mV and 16 bits). Stimuli
    and notes are annotations ``stim/...`` and ``note/...`` whose onset, times fs, is exactly their
    sample.

    Parameters
    ----------
    case
        The case.
    path
        Ends in .edf or .bdf.
    progress
        Called with the number of seconds written, after each.

    Raises
    ------
    InputError
        If nothing can be written there.
    ValueError
        If no record of at least 10 ms holds whole samples and stays below the format's 61440 bytes.
    """
    path = Path(path)
    layout = _Layout(case, path, "C")
    per_second = layout.per_second()
    n = int(case.info.fs) // per_second
    lists = layout.lists([record * n for record in range(case.script.seconds * per_second)], n)
    width = max(len(entry) for entry in lists)
    with _whole(path) as file:
        width = layout.header(file, len(lists), n, width)
        for number in range(case.script.seconds):
            counts = case.counts(number, layout.bits)
            for part in range(per_second):
                file.write(layout.encode(counts[:, part * n : (part + 1) * n]))
                file.write(lists[number * per_second + part].ljust(width, b"\0"))
            if progress is not None:
                progress(number + 1)


def write_edf_segments(case: SimulatedCase, path: str | Path, pre: float, post: float) -> None:
    """Write one data record per stimulus: EDF+D, the specification's layout for intraoperative monitoring.

    Each record's first time-stamped list holds its true onset, the next ones the stimulus and the
    notes since the record before. A mark that falls into the record before it (a double trigger)
    is written there; it has no record of its own, since records must not overlap.

    Parameters
    ----------
    case
        The case.
    path
        Ends in .edf or .bdf.
    pre, post
        What a record holds before and after its stimulus, in s.

    Raises
    ------
    InputError
        If nothing can be written there.
    ValueError
        If a record would last over 1 s, if there is no stimulus, or if the first record would start
        beyond the first second (the header's start time is the whole second in which it starts).
    """
    path = Path(path)
    layout = _Layout(case, path, "D")
    before, n = case.info.samples(pre), case.info.samples(pre) + case.info.samples(post)
    if pre < 0 or post < 0 or not 0 < n <= case.info.fs:
        raise ValueError(f"a record lasts up to 1 s around its stimulus, got pre={pre:g} s, post={post:g} s")
    starts: list[int] = []
    for trigger in case.triggers:
        start = trigger.sample - before
        if start >= (starts[-1] + n if starts else 0) and start + n <= case.n_samples:
            starts.append(start)
    if not starts or starts[0] >= case.info.fs:
        first = f"{starts[0] / case.info.fs:g} s" if starts else "none"
        raise ValueError(f"the first record must start within the first second of the case, got {first}")
    lists = layout.lists(starts, n)
    width = max(len(entry) for entry in lists)
    fs = int(case.info.fs)
    with _whole(path) as file:
        width = layout.header(file, len(lists), n, width)
        number, held = -1, np.zeros((case.info.n_channels, 0), dtype=np.int64)
        for start, entry in zip(starts, lists, strict=True):
            while (number + 1) * fs < start + n:  # `held` are the two seconds up to and with `number`
                number += 1
                held = np.hstack([held[:, -fs:], case.counts(number, layout.bits)])
            offset = start - ((number + 1) * fs - held.shape[1])
            file.write(layout.encode(held[:, offset : offset + n]))
            file.write(entry.ljust(width, b"\0"))


def _marks(case: SimulatedCase) -> list[tuple[int, bytes]]:
    """Sample and time-stamped list of every stimulus and note, in order."""
    texts = [(t.sample, format_mark("stim", t.site, t.attributes)) for t in case.triggers]
    texts += [(n.sample, format_mark("note", n.event, n.attributes)) for n in case.notes]
    texts.sort(key=lambda mark: mark[0])
    return [(sample, _stamped(sample, case.info.fs, text)) for sample, text in texts]


def _stamped(sample: int, fs: float, text: str) -> bytes:
    """One time-stamped annotation list; nine decimals tell samples apart at any rate below 100 MHz."""
    seconds = f"{sample / fs:+.9f}".rstrip("0").rstrip(".")
    return f"{seconds}\x14{text}\x14\0".encode()


class _Layout:
    """The bytes of an EDF+ or BDF+ file of one case."""

    def __init__(self, case: SimulatedCase, path: Path, kind: str) -> None:
        if path.suffix.lower() not in (".edf", ".bdf"):
            raise ValueError(f"a recording is written as .edf or .bdf, got {path.name!r}")
        self.case = case
        self.bdf = path.suffix.lower() == ".bdf"
        self.bits = 24 if self.bdf else 16
        self.kind = kind

    def per_second(self) -> int:
        """The smallest number of records a second that keeps within the largest record."""
        fs, channels = int(self.case.info.fs), self.case.info.n_channels
        for count in (1, 2, 4, 5, 10, 20, 25, 50, 100):
            if fs % count == 0 and channels * (fs // count) * self.bits // 8 <= _RECORD_BYTES:
                return count
        raise ValueError(f"{channels} channels at fs={fs} Hz do not fit records of {_RECORD_BYTES} bytes")

    def lists(self, starts: list[int], n: int) -> list[bytes]:
        """Per record of ``n`` samples, its annotations: its own time, then the marks since the last one."""
        marks = _marks(self.case)
        ends = np.searchsorted([sample for sample, _ in marks], [start + n for start in starts])
        ends[-1] = len(marks)
        begins = [0, *ends[:-1]]
        return [
            _stamped(start, self.case.info.fs, "") + b"".join(mark for _, mark in marks[begin:end])
            for start, begin, end in zip(starts, begins, ends, strict=True)
        ]

    def encode(self, counts: Counts) -> bytes:
        """Samples of one record, channel after channel, little-endian."""
        if not self.bdf:
            return counts.astype("<i2").tobytes()
        return counts.astype("<i4")[..., None].view(np.uint8)[..., :3].tobytes()

    def header(self, file: IO[bytes], records: int, n: int, width: int) -> int:
        """Write the header; returns the annotations' bytes per record, padded to whole samples."""
        info, size = self.case.info, self.bits // 8
        samples = -(-width // size)
        name = "BDF" if self.bdf else "EDF"
        top = 2 ** (self.bits - 1) - 1
        rail = f"{self.case.script.amplifier.rails * 1e6:g}"
        rows = info.n_channels + 1
        text = "" if self.bdf else "0".ljust(8)
        text += "X X X X".ljust(80) + "Startdate 01-JAN-2000 X X ionm_simulation".ljust(80)
        text += "01.01.00" + "00.00.00" + str(256 * (rows + 1)).ljust(8) + f"{name}+{self.kind}".ljust(44)
        text += str(records).ljust(8) + f"{n / info.fs:.7g}".ljust(8) + str(rows).ljust(4)
        columns = [
            (16, [*info.names, f"{name} Annotations"]),
            (80, ["needle pair"] * info.n_channels + [""]),
            (8, ["uV"] * info.n_channels + [""]),
            (8, [f"-{rail}"] * info.n_channels + ["-1"]),
            (8, [rail] * info.n_channels + ["1"]),
            (8, [str(-top)] * info.n_channels + [str(-top - 1)]),
            (8, [str(top)] * rows),
            (80, [""] * rows),
            (8, [str(n)] * info.n_channels + [str(samples)]),
            (32, [""] * rows),
        ]
        for length, values in columns:
            for value in values:
                if len(value) > length:
                    raise ValueError(f"the format holds {length} characters here, got {value!r}")
                text += value.ljust(length)
        file.write((b"\xffBIOSEMI" if self.bdf else b"") + text.encode("ascii"))
        return samples * size
