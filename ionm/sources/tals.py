r"""Time-stamped annotation lists: the texts of EDF+ and BDF+, and the start of every record.

A list reads ``+onset[\x15duration]\x14text\x14text...\x14`` and ends with a zero byte; onsets are
in s from the file's start time. The first list of each record holds that record's own onset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# Longer than any operation by far (three years); onsets beyond it would only overflow.
_MAX_ONSET = 1e8


@dataclass(slots=True)
class Tals:
    """What was found in the annotation signals.

    Parameters
    ----------
    onsets
        Start of every record, in s; NaN where its first list is unreadable.
    texts
        Onset (s) and text of every annotation, in file order.
    unreadable
        How many lists could not be read.
    """

    onsets: list[float] = field(default_factory=list)
    texts: list[tuple[float, str]] = field(default_factory=list)
    unreadable: int = 0

    def add_record(self, signals: list[bytes]) -> None:
        """Take the annotation signals of the next record, as bytes."""
        record_onset = math.nan
        for i, content in enumerate(signals):
            for j, tal in enumerate(content.rstrip(b"\0").split(b"\x14\0")):
                onset, texts = _parse(tal)
                if i == 0 and j == 0:
                    record_onset = onset
                if math.isnan(onset):
                    self.unreadable += bool(tal.strip(b"\0"))
                    continue
                self.texts.extend((onset, text) for text in texts)
        self.onsets.append(record_onset)


def _parse(tal: bytes) -> tuple[float, list[str]]:
    """Onset (s, NaN when unreadable) and texts of one list."""
    head, *texts = tal.lstrip(b"\0").split(b"\x14")
    try:
        onset = float(head.partition(b"\x15")[0])
    except ValueError:
        return math.nan, []
    if head[:1] not in (b"+", b"-") or not abs(onset) <= _MAX_ONSET:
        return math.nan, []
    return onset, [_decode(text) for text in texts if text.strip(b"\0 ")]


def _decode(text: bytes) -> str:
    """UTF-8 as the standard asks, or Latin-1 as some devices write; always on one line."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return " ".join(decoded.replace("\0", " ").splitlines()).strip()
