"""From a recording's texts and trigger codes to stimuli and notes.

A protocol's ``marks`` translate another device's marks into the grammar of `ionm.annotations`:
``{"S  1": "stim/zygomatic/mA=10", "Status=4": "stim/mandibular"}``. A key is a text, or a
trigger channel and its code joined by "=".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ionm.annotations import Mark, parse
from ionm.errors import InputError
from ionm.sources.reader import Reader

# Codes are scanned in blocks of this many samples.
_BLOCK = 1 << 20


class Translation:
    """What a text means, by the grammar or by a protocol's table.

    Parameters
    ----------
    marks
        Text, or "channel=code", to a mark of the grammar. Upper and lower case and the number
        of blanks do not matter. A BrainVision mark matches with or without its type in front:
        "Stimulus/S  1" or "S  1".

    Raises
    ------
    InputError
        If a value is not a mark of the grammar.
    """

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._table: dict[str, Mark] = {}
        for key, value in marks.items():
            mark = parse(value)
            if mark is None:
                raise InputError(f"mark {key!r} is mapped to {value!r}, expected stim/<site> or note/<event>")
            self._table[_plain(key)] = mark

    def __call__(self, text: str) -> Mark | None:
        """The mark a text stands for; None when neither grammar nor table knows it."""
        plain = _plain(text)
        return self._table.get(plain) or self._table.get(plain.partition("/")[2]) or parse(text)

    def channels(self) -> set[str]:
        """What stands before a "=" in the keys, in lower case: names of trigger channels."""
        return {key.rpartition("=")[0] for key in self._table if "=" in key}


def rising_edges(reader: Reader, row: int, fs: float) -> Iterator[tuple[int, str]]:
    """Every rise of a trigger channel's code, as sample index and "channel=code".

    A code counts at the first sample where it is higher than the one before; a code that stands
    at the first sample of the recording has no known beginning and does not count.

    Parameters
    ----------
    reader, row
        The open file and the trigger channel's row.
    fs
        Rate of the clock, in Hz; the channel may have its own.
    """
    label, own = reader.rows[row].label, reader.rows[row].fs
    before: int | None = None
    for segment in reader.segments(own):
        for a in range(0, segment.n_samples, _BLOCK):
            b = min(a + _BLOCK, segment.n_samples)
            codes = reader.codes(row, segment.offset + a, segment.offset + b)
            last = codes[0] if before is None else before
            for k in np.flatnonzero(np.diff(codes, prepend=last) > 0):
                sample = segment.start + a + int(k)
                yield (sample if own == fs else round(sample * fs / own)), f"{label}={codes[k]}"
            before = int(codes[-1])


def count_unknown(texts: Iterable[str], translate: Translation) -> dict[str, int]:
    """How often each text occurs that means nothing here, most frequent first."""
    counts: dict[str, int] = {}
    for text in texts:
        if translate(text) is None:
            counts[text] = counts.get(text, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _plain(text: str) -> str:
    """A text without what people and devices vary: case and blanks."""
    return " ".join(text.split()).casefold()
