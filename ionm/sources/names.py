"""What a recording's channels are called in a protocol, and what they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

MUSCLES = ("Frontalis", "OrbOculi", "Nasalis", "OrbOris", "Mentalis", "Platysma", "Masseter")
HEARING = ("Cz-A1", "Cz-A2", "CNAP")

# Signal types that EDF+ puts before a label (EDF+ specification, "standard texts").
_TYPES = ("EMG", "EEG", "ECG", "EOG", "ERG", "MEG", "MCG", "EP", "TEMP", "RESP", "SAO2")


class Naming:
    """The protocol's name for every channel of a recording.

    Upper and lower case do not matter; a side in front ("L ", "R ") is kept; a signal type in
    front ("EMG ") is dropped.

    Parameters
    ----------
    aliases
        Recording's name to protocol's name.
    wanted
        The protocol's names, without side (either side is meant) or with it; None for all.
    """

    def __init__(self, aliases: Mapping[str, str], wanted: Sequence[str] | None) -> None:
        self._aliases = {key.casefold(): value for key, value in aliases.items()}
        self._wanted = wanted
        self.wanted = tuple(wanted or ())
        known = (*MUSCLES, *HEARING, *(wanted or ()))
        self._spelling = {name.casefold(): name for name in known}

    def name(self, label: str) -> str:
        """The protocol's name for a channel; its own where the protocol has none."""
        plain = _without_type(label)
        for text in (label, plain):
            side, base = split_side(text)
            for key, kept in ((text, ""), (base, side)):
                known = self._aliases.get(key.casefold()) or self._spelling.get(key.casefold())
                if known is not None:
                    return kept + known
        return plain

    def wants(self, name: str) -> bool:
        """Whether a channel of this (protocol's) name is to be read."""
        return self._wanted is None or name in self._wanted or split_side(name)[1] in self._wanted


def split_side(name: str) -> tuple[str, str]:
    """A name as its side and the rest, ("L ", "OrbOculi"); ("", name) where no side is given."""
    if name[:2].upper() in ("L ", "R "):
        return name[0].upper() + " ", name[2:].strip()
    return "", name


def kind_of(name: str) -> str | None:
    """What a channel of this name carries, "emg" or "eeg"; None where the name does not say."""
    base = split_side(name)[1]
    return "emg" if base in MUSCLES else "eeg" if base in HEARING else None


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names that differ: those that occur twice or more are numbered, "EMG-0", "EMG-1"."""
    total, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        numbered.append(f"{name}-{seen[name]}" if total[name] > 1 else name)
        seen[name] += 1
    return tuple(numbered) if len(set(numbered)) == len(numbered) else distinct(numbered)


def _without_type(label: str) -> str:
    """A label without the signal type in front, unless only a number is left ("EMG 1")."""
    kind, _, rest = label.partition(" ")
    rest = rest.strip()
    return rest if kind.upper() in _TYPES and rest and not rest[0].isdigit() else label
