"""The guard before every EDF and BDF file: read the header, believe nothing.

Field layout: Kemp B, et al. A simple format for exchange of digitized polygraphic recordings.
Electroencephalogr Clin Neurophysiol 1992;82:391-3; EDF+: Kemp B, Olivan J. European data format
'plus' (EDF+). Clin Neurophysiol 2003;114:1755-61. BDF (BioSemi) is the same with 24-bit samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ionm.errors import InputError

# A number that fills its eight characters, "0.033333", may be off by this share.
_LAST_DIGIT = 2e-5
# A plausible upper bound: the largest amplifiers in use have a few hundred channels.
MAX_SIGNALS = 4096

# Volts per unit; the three micro signs are Latin-1, Greek read as Latin-1 bytes, and Shift-JIS.
_VOLTS = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "µv": 1e-6, "\u03bcv": 1e-6, "\x83\xcav": 1e-6, "nv": 1e-9}


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of the header.

    Parameters
    ----------
    label, unit
        As written, without padding.
    physical
        Physical minimum and maximum, in ``unit``.
    digital
        Digital minimum and maximum.
    samples
        Samples in each record.
    position
        Where they begin in a record, counted in samples of all signals.
    """

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    samples: int
    position: int

    @property
    def is_annotations(self) -> bool:
        """Whether it holds texts instead of samples."""
        return self.label in ("EDF Annotations", "BDF Annotations")

    @property
    def volts(self) -> float | None:
        """V per ``unit``; None when the unit is missing or not a voltage."""
        return _VOLTS.get(self.unit.casefold())

    @property
    def gain(self) -> float:
        """Units per step."""
        return (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0])

    @property
    def offset(self) -> float:
        """Units at digital zero."""
        return self.physical[0] - self.digital[0] * self.gain

    def fault(self) -> str | None:
        """Why its samples cannot be turned into units; None when they can."""
        if not self.digital[0] < self.digital[1]:
            return f"digital minimum {self.digital[0]:g} must lie below digital maximum {self.digital[1]:g}"
        if self.physical[0] == self.physical[1]:
            return f"physical minimum and maximum are both {self.physical[0]:g}, they must differ"
        if not (math.isfinite(self.gain) and math.isfinite(self.offset) and self.gain):
            return f"physical range {self.physical[0]:g} to {self.physical[1]:g} is too wide or too narrow"
        return None


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, after it was found consistent with itself and with the file's size.

    Parameters
    ----------
    path
        The file.
    variant
        "EDF", "EDF+C", "EDF+D", "BDF", "BDF+C" or "BDF+D".
    equipment
        The EDF+ equipment field, "" when absent.
    sample_bytes
        2 (EDF) or 3 (BDF).
    start
        Where the first record begins, in bytes.
    n_records
        Whole records in the file.
    duration
        Length of a record, in s.
    signals
        In order, annotations included.
    problems
        What does not agree but does no harm, one line each.
    """

    path: Path
    variant: str
    equipment: str
    sample_bytes: int
    start: int
    n_records: int
    duration: float
    signals: tuple[Signal, ...]
    problems: tuple[str, ...]

    @property
    def record_samples(self) -> int:
        """Samples of all signals in one record."""
        last = self.signals[-1]
        return last.position + last.samples


class _Fields:
    """The fixed-width text fields of a header, taken one after the other."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self._content = content
        self._at = 0

    def text(self, width: int) -> str:
        """The next field, without padding."""
        field = self._content[self._at : self._at + width]
        self._at += width
        return field.decode("latin-1").strip(" \0")

    def number(self, width: int, name: str) -> float:
        """The next field as a finite number."""
        text = self.text(width)
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{self.path}: {name} is {text!r} in the header, expected a number")
        return value

    def whole(self, width: int, name: str) -> int:
        """The next field as a whole number."""
        value = self.number(width, name)
        if value != int(value):
            raise InputError(f"{self.path}: {name} is {value:g} in the header, expected a whole number")
        return int(value)


def is_edf(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (at least 8 bytes) is EDF, EDF+, BDF or BDF+."""
    return head[:8].rstrip() == b"0" or head[:8] == b"\xffBIOSEMI"


def read_header(path: Path) -> Header:
    """Read and check the header of an EDF, EDF+, BDF or BDF+ file.

    Accepted: a record count of -1 (never closed), fewer whole records than announced
    (truncated), both named in ``problems``. Per-signal scales are checked by `Signal.fault`,
    since only the signals that are read need one.

    Raises
    ------
    InputError
        Naming the field, its value and what would be right.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(256)
        if len(fixed) < 256:
            raise InputError(f"{path}: the file ends after {len(fixed)} bytes, inside its 256-byte header")
        fields = _Fields(path, fixed)
        sample_bytes = 3 if fixed[0] == 0xFF else 2
        fields.text(88)
        recording = fields.text(80)
        fields.text(16)
        start = fields.whole(8, "header length")
        reserved = fields.text(44)
        announced = fields.whole(8, "number of records")
        width = len(fixed[244:252].decode("latin-1").strip())
        duration = fields.number(8, "record duration")
        n_signals = fields.whole(4, "number of signals")
        if not 1 <= n_signals <= MAX_SIGNALS:
            raise InputError(f"{path}: number of signals is {n_signals}, expected 1 to {MAX_SIGNALS}")
        if start != 256 * (n_signals + 1):
            due = 256 * (n_signals + 1)
            raise InputError(f"{path}: header length is {start} bytes, but {n_signals} signals need {due}")
        rest = file.read(256 * n_signals)
    if len(rest) < 256 * n_signals:
        raise InputError(f"{path}: the file ends after {size} bytes, inside its {start}-byte header")
    signals = _signals(_Fields(path, rest), n_signals)
    if all(signal.is_annotations for signal in signals):
        raise InputError(f"{path}: holds annotations only, expected at least one signal")
    if not duration > 0:
        raise InputError(f"{path}: record duration is {duration:g} s, expected more than 0 s")
    if width == 8:
        duration = _uncut(duration, max(s.samples for s in signals if not s.is_annotations))
    n_records, problems = _whole_records(path, size - start, announced, signals, sample_bytes)
    plus = reserved[3:5] if reserved[3:5] in ("+C", "+D") else ""
    equipment = recording.split()[4:5] if plus and recording.startswith("Startdate") else []
    return Header(
        path,
        ("BDF" if sample_bytes == 3 else "EDF") + plus,
        "".join(equipment).replace("_", " ").strip("X"),
        sample_bytes,
        start,
        n_records,
        duration,
        signals,
        problems,
    )


def _signals(fields: _Fields, n_signals: int) -> tuple[Signal, ...]:
    """The signals, from fields that are stored field by field, not signal by signal."""
    each = range(n_signals)
    labels = ["".join(c if c.isprintable() else "?" for c in fields.text(16)) for _ in each]
    names = [f'"{label}" (signal {i + 1})' for i, label in enumerate(labels)]
    fields.text(80 * n_signals)
    units = [fields.text(8) for _ in each]
    physical_min = [fields.number(8, f"physical minimum of {name}") for name in names]
    physical_max = [fields.number(8, f"physical maximum of {name}") for name in names]
    digital_min = [fields.number(8, f"digital minimum of {name}") for name in names]
    digital_max = [fields.number(8, f"digital maximum of {name}") for name in names]
    fields.text(80 * n_signals)
    signals = []
    position = 0
    for i, name in enumerate(names):
        samples = fields.whole(8, f"samples per record of {name}")
        if samples < 1:
            raise InputError(f"{fields.path}: samples per record of {name} is {samples}, expected at least 1")
        physical = (physical_min[i], physical_max[i])
        signals.append(
            Signal(labels[i], units[i], physical, (digital_min[i], digital_max[i]), samples, position)
        )
        position += samples
    return tuple(signals)


def _uncut(duration: float, samples: int) -> float:
    """A record's duration that its eight characters had no room for.

    1000 samples in "0.033333" s are 30 kHz, not 30000.3 Hz.
    """
    rate = round(samples / duration)
    return samples / rate if rate and abs(samples / rate - duration) < _LAST_DIGIT * duration else duration


def _whole_records(
    path: Path, n_bytes: int, announced: int, signals: tuple[Signal, ...], sample_bytes: int
) -> tuple[int, tuple[str, ...]]:
    """How many whole records lie in the file, and what does not agree with the announced number."""
    record = sample_bytes * sum(signal.samples for signal in signals)
    whole, left = divmod(n_bytes, record)
    if announced != -1 and announced < 1:
        raise InputError(f"{path}: number of records is {announced}, expected at least 1, or -1 if unknown")
    if whole == 0:
        raise InputError(f"{path}: holds no whole record: a record is {record} bytes, only {n_bytes} follow")
    if announced == -1:
        return whole, (f"the recording was never closed (record count -1): {whole} records are whole",)
    if announced > whole:
        return whole, (f"the recording is truncated: {whole} of {announced} records are whole",)
    if announced < whole:
        raise InputError(
            f"{path}: the header announces {announced} records, but {whole} follow; "
            f"expected {whole}, or -1 if unknown"
        )
    return whole, (f"{left} bytes after the last record are ignored",) if left else ()
