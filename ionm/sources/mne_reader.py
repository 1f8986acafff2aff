"""Every other format that MNE reads: BrainVision, FIF, GDF, EEGLAB, CNT, Nihon Kohden, Nicolet ..."""

from __future__ import annotations

import configparser
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np

from ionm.errors import InputError
from ionm.sources.reader import Codes, Row, Segment
from ionm.stream import Samples

# What MNE's readers and the parsers under them raise on damaged or unexpected files.
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    ParseError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    configparser.Error,
    struct.error,
    zlib.error,
)

_KINDS = {"emg": "emg", "eeg": "eeg", "ecog": "eeg", "seeg": "eeg", "dbs": "eeg", "stim": "trigger"}
_IN_VOLTS = ("emg", "eeg", "ecog", "seeg", "dbs", "eog", "ecg", "bio")
# A part of the header that cannot be opened by itself: where the recording is.
_COMPANIONS = {".vmrk": ".vhdr", ".amrk": ".ahdr", ".head": ".data", ".fdt": ".set"}
# The lowest and highest bits of a trigger word that are lines, as for EDF (see `ionm.sources.edf`).
_TRIGGER_LINES = 0xFFFF
_READABLE = "EDF, BDF, a CSV sweep table or a recording of a format that MNE knows"
# MNE wants its own naming scheme for FIF files; nothing is missing when a name differs.
_IRRELEVANT = "does not conform to MNE naming conventions"


class MneReader:
    """A recording opened by MNE, read in blocks (see `ionm.sources.reader.Reader`).

    Parameters
    ----------
    path
        The file that MNE's own readers want: the ``.vhdr`` of a BrainVision set.

    Raises
    ------
    InputError
        If MNE does not know the format or cannot read the file.
    """

    segmented = False
    suggested_protocol = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[str] = []
        self._refuse_companion()
        with self._guard():
            self._raw = _open(path)
            self._fs = float(self._raw.info["sfreq"])
            self.rows = tuple(
                _row(label, kind, self._fs)
                for label, kind in zip(self._raw.ch_names, self._raw.get_channel_types(), strict=True)
            )
            self.description = type(self._raw).__name__.removeprefix("Raw") + _device(self._raw)
            self._notes_precision()
        # what MNE only warns of while reading becomes known here
        self.read(range(len(self.rows)), 0, min(int(self._raw.n_times), 1000))

    def segments(self, fs: float) -> tuple[Segment, ...]:
        """The recording without the stretches that were skipped while acquiring."""
        runs, start, stop = [], 0, int(self._raw.n_times)
        annotations = self._raw.annotations
        for onset, duration, text in zip(
            annotations.onset, annotations.duration, annotations.description, strict=True
        ):
            if text == "BAD_ACQ_SKIP" and np.isfinite(onset) and np.isfinite(duration):
                skip = round((onset - self._raw.first_time) * fs)
                runs.append((start, min(skip, stop)))
                start = max(start, skip + round(duration * fs))
        runs.append((start, stop))
        return tuple(Segment(a, a, b - a) for a, b in runs if b > a)

    def annotations(self, fs: float) -> list[tuple[int, str]]:
        """Every text at the nearest sample, counted from the first sample of the data."""
        annotations = self._raw.annotations
        return [
            (round((onset - self._raw.first_time) * fs), " ".join(str(text).splitlines()))
            for onset, text in zip(annotations.onset, annotations.description, strict=True)
            if np.isfinite(onset)
        ]

    def read(self, rows: Sequence[int], start: int, stop: int) -> Samples:
        """Samples in V (what MNE scales to V), others as stored."""
        with self._guard():
            samples: Samples = self._raw.get_data(picks=list(rows), start=start, stop=stop)
        return np.ascontiguousarray(samples, dtype=np.float64)

    def codes(self, row: int, start: int, stop: int) -> Codes:
        """The low 16 bits of a trigger channel."""
        codes: Codes = np.rint(np.nan_to_num(self.read([row], start, stop)[0])).astype(np.int64)
        return codes & _TRIGGER_LINES

    def fault(self, row: int) -> str | None:
        """MNE has checked the scales: None."""
        del row
        return None

    def _refuse_companion(self) -> None:
        """A file that belongs to another one is named as such."""
        path = self._path
        main = _COMPANIONS.get(path.suffix.lower())
        if path.suffix.lower() == ".eeg" and path.with_suffix(".vhdr").exists():
            main = ".vhdr"
        if main is not None:
            raise InputError(f"{path}: is a part of a recording, open {path.with_suffix(main).name} instead")

    def _notes_precision(self) -> None:
        """FIF stores onsets in single precision, which late in a long file is coarser than a sample."""
        onsets = self._raw.annotations.onset
        if self._path.name.lower().endswith((".fif", ".fif.gz")) and len(onsets):
            step = float(np.spacing(np.float32(np.max(np.abs(onsets)))))
            if step * self._fs > 1:
                self.problems.append(
                    f"FIF stores annotation times in steps of {step * 1e3:.2g} ms here, coarser than a sample"
                )

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turns MNE's failures into one line and its warnings into problems."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except BaseException as error:
                # MNE raises the bare class for a FIF tag of unknown type
                if not (isinstance(error, _FAILURES) or type(error) is Exception):
                    raise
                reason = _one_line(error) or type(error).__name__
                raise InputError(f"{self._path}: cannot be read as {_READABLE} ({reason})") from error
        for line in dict.fromkeys(_one_line(warning.message) for warning in caught):
            if _IRRELEVANT not in line and line not in self.problems:
                self.problems.append(line)


def _open(path: Path) -> Any:
    """The recording as MNE's Raw object, its samples still on disk."""
    import mne

    options: dict[str, Any] = {"ch_type": "eeg"} if path.suffix.lower() == ".data" else {}
    read: Callable[..., Any] = mne.io.read_raw
    with mne.use_log_level("warning"):
        return read(path, preload=False, **options)


def _row(label: str, kind: str, fs: float) -> Row:
    """One channel by MNE's type."""
    unit = "" if kind in _IN_VOLTS else f"not in V but of type {kind}"
    return Row(label, fs, _KINDS.get(kind, "misc"), None, unit)


def _device(raw: Any) -> str:
    """The device, where the file names one."""
    known = raw.info.get("device_info") or {}
    device = known.get("model") or known.get("type")
    return f", {device}" if device else ""


def _one_line(what: object) -> str:
    """A message without line breaks, short enough for one line."""
    return " ".join(str(what).split())[:300]
