"""Opening a recording: which format, which channels, which stimuli and notes."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from ionm.annotations import SITES
from ionm.errors import InputError
from ionm.sources.edf import EdfReader
from ionm.sources.header import is_edf
from ionm.sources.marks import Translation, count_unknown, rising_edges
from ionm.sources.mne_reader import MneReader
from ionm.sources.names import Naming, distinct, kind_of
from ionm.sources.reader import Reader, Segment
from ionm.sources.recording import Recording
from ionm.sources.sweeps import SweepTable, is_sweep_table
from ionm.stream import Channel, Note, StreamInfo, Trigger

# Sampling rates outside these bounds, in Hz, are errors of a header, not of physiology.
_RATES = (1.0, 1e6)
# Formats whose recordings are folders: CTF, EGI, MEF.
_FOLDERS = (".ds", ".mff", ".mefd")


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
    translate = Translation(marks or {})
    path = Path(path)
    reader = _reader(path)
    naming = Naming(aliases or {}, channels)
    problems: list[str] = []
    rows, info = _select(path, reader, naming, problems)
    segments = reader.segments(info.fs)
    if not segments:
        raise InputError(f"{path}: holds no samples")
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
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and path.suffix.lower() in _FOLDERS:
            return MneReader(path)
        if not stat.S_ISREG(mode):
            raise InputError(f"{path}: is a folder or device, expected a recording")
        with path.open("rb") as file:
            head = file.read(256)
        if not head:
            raise InputError(f"{path}: is empty, expected a recording")
        if is_edf(head):
            return EdfReader(path)
        _refuse_known(path, head)
        if is_sweep_table(path, head):
            return SweepTable(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from error
    return MneReader(path)


def _refuse_known(path: Path, head: bytes) -> None:
    """Formats that ionm knows by name but does not replay."""
    if head.startswith(b"XDF:"):
        raise InputError(
            f"{path}: is an XDF file, which is not read yet; export its stream to EDF+ or BDF+ "
            "(with EEGLAB's XDF plug-in, or pyxdf and mne)"
        )
    if b"Marker Amplitude Mode" in head:
        raise InputError(f"{path}: holds stored averages, which cannot be replayed; expected a recording")
    if path.suffix.lower() in (".edf", ".bdf"):
        raise InputError(
            f"{path}: does not begin as an EDF or BDF file, expected '0       ' or 0xFF 'BIOSEMI', "
            f"got {head[:8]!r}"
        )


def _select(
    path: Path, reader: Reader, naming: Naming, problems: list[str]
) -> tuple[tuple[int, ...], StreamInfo]:
    """The rows to read, all of one rate, and the stream they form."""
    names = distinct([naming.name(row.label) for row in reader.rows])
    wanted = [row for row, name in enumerate(names) if naming.wants(name)]
    if not wanted:
        have = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        asked = ", ".join(naming.wanted)
        raise InputError(
            f"{path}: has none of the protocol's channels {asked}, only {have} (aliases can rename)"
        )
    for row in wanted:
        fault = reader.fault(row)
        if fault is not None:
            raise InputError(f"{path}: channel {reader.rows[row].label!r}: {fault}")
    fs = max(reader.rows[row].fs for row in wanted)
    if not _RATES[0] <= fs <= _RATES[1]:
        raise InputError(f"{path}: sampling rate is {fs:g} Hz, expected {_RATES[0]:g} to {_RATES[1]:g} Hz")
    odd: dict[str, list[str]] = {}
    rows, channels = [], []
    for row in wanted:
        stored, name = reader.rows[row], names[row]
        if stored.fs != fs:
            reason = f"left out: sampled at {stored.fs:g} Hz, the others at {fs:g} Hz"
            odd.setdefault(reason, []).append(name)
            continue
        kind = stored.kind if stored.kind == "trigger" else kind_of(name) or stored.kind
        if stored.unit and kind != "trigger":
            reason = (
                f"{stored.unit}: taken as V" if kind in ("emg", "eeg") else f"{stored.unit}: kept as stored"
            )
            odd.setdefault(reason, []).append(name)
        rows.append(row)
        channels.append(Channel(name, kind or ("misc" if stored.unit else "eeg"), stored.rails))
    problems.extend(f"{', '.join(who)}: {reason}" for reason, who in odd.items())
    return tuple(rows), StreamInfo(fs, tuple(channels), reader.segmented)


def _place(
    annotations: Sequence[tuple[int, str]],
    translate: Translation,
    segments: Sequence[Segment],
    problems: list[str],
) -> tuple[tuple[Trigger, ...], tuple[Note, ...]]:
    """Stimuli and notes at their samples, from annotations in order."""
    triggers, notes = [], []
    outside = 0
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
            notes.append(Note(max(0, min(sample, accepted)), accepted, mark.name, mark.attributes))
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
