"""Replay a recording through exactly the live path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ionm.errors import InputError, SetupError
from ionm.events import Event
from ionm.filters.montage import Montage
from ionm.modality import LsrModality
from ionm.protocol import Protocol, load
from ionm.protocols import Modality
from ionm.session import Session
from ionm.sources import Recording, open_recording
from ionm.vessel import Vessels

DEFAULT_PROTOCOL = "mvd-hfs"

SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A recording with the protocol it is replayed under.

    Parameters
    ----------
    recording, protocol
        As opened.
    side
        Side of the case, "L", "R" or None.
    montage
        Makes the protocol's channels from the recording's; None if they are its own.
    modalities
        What of the protocol the recording can give.
    missing
        What it lacks, one text each.
    """

    recording: Recording
    protocol: Protocol
    side: str | None
    montage: Montage | None
    modalities: tuple[Modality, ...]
    missing: tuple[str, ...]

    @property
    def lsr(self) -> LsrModality:
        """The LSR, as far as the recording has it; without derivations if it has none."""
        found = [modality for modality in self.modalities if isinstance(modality, LsrModality)]
        return found[0] if found else replace(self.protocol.modality(), derivations=())

    def events(
        self,
        chunk_seconds: float,
        passed: Callable[[int], object] | None = None,
        ended: Callable[[dict[str, dict[str, Any]]], object] | None = None,
    ) -> Iterator[list[Event]]:
        """The events of each chunk in turn, and at last those of the end.

        Parameters
        ----------
        chunk_seconds
            Chunk length, in s; ``math.inf`` for the whole recording at once.
        passed
            Called with the sample index reached after each chunk.
        ended
            Called with what the modalities added up, behind the last event (`Session.tallies`).

        Raises
        ------
        InputError
            If no sample of the protocol's channels is a number.
        """
        session = Session(self.modalities, self.recording.info, self.montage, Vessels())
        any_valid = False
        for chunk in self.recording.chunks(chunk_seconds):
            any_valid = any_valid or bool(chunk.valid.any())
            yield session.push(chunk)
            if passed is not None:
                passed(chunk.stop)
        if not any_valid:
            raise InputError(f"{self.recording.path}: no channel holds a single number, expected samples")
        yield session.finish()
        if ended is not None:
            ended(session.tallies())


def prepare(path: Path, protocol_name: str | None, side: str | None) -> Replay:
    """Open a recording and fit a protocol to it.

    Parameters
    ----------
    path
        The recording.
    protocol_name
        Shipped protocol or path; None for the one that suits the file, or `DEFAULT_PROTOCOL`.
    side
        "L" or "R"; None takes what a ``note/case/side=...`` says.

    Raises
    ------
    InputError
        If the recording or the protocol cannot be used.
    """
    protocol = load(protocol_name) if protocol_name else None
    if protocol is None:
        protocol = load(_suggested(path))
    recording = open_recording(
        path, channels=protocol.channels, aliases=protocol.aliases, marks=protocol.marks
    )
    side = side or _noted_side(recording)
    try:
        montage = protocol.derived(recording.info, side)
        info = montage.output(recording.info) if montage else recording.info
        modalities, missing = protocol.fit(info, recording.sites)
        Session(modalities, recording.info, montage)
    except SetupError as error:
        raise InputError(f"{path}: {error}{_unknown(recording)}") from error
    return Replay(recording, protocol, side, montage, modalities, missing)


def _suggested(path: Path) -> str:
    return open_recording(path).suggested_protocol or DEFAULT_PROTOCOL


def _noted_side(recording: Recording) -> str | None:
    said = [n.attributes["side"] for n in recording.notes if n.event == "case" and "side" in n.attributes]
    sides = {SIDES.get(text.strip().casefold()) for text in said}
    if not sides:
        return None
    if len(sides) > 1 or None in sides:
        raise InputError(
            f"{recording.path}: its notes give the side of the case as {', '.join(map(repr, said))}, "
            "expected L or R throughout; say which with --side"
        )
    return sides.pop()


def _unknown(recording: Recording) -> str:
    """What marks there are that the protocol does not map, for a recording without stimuli."""
    if recording.triggers or not recording.unmapped:
        return ""
    texts = ", ".join(repr(text) for text in list(recording.unmapped)[:5])
    return f" (its marks are {texts}; a protocol's [marks] can map them)"
