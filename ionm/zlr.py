"""The Z-L response as a modality: an artery's wall is stimulated with a probe, facial muscles answer.

A sweep is obtained as that of the LSR is, and by the same path, with a search window of its own.
Nothing is decided beyond the single sweep: no state, no hold, no alarm of the patient. What the sweeps
come to stands in `ionm.zlr_map`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ionm.derivation import Derivation
from ionm.events import ArtefactMark, Event, Measurement, Response, SweepMeasured
from ionm.mains_watch import MainsWatch
from ionm.modality import LsrModality
from ionm.protocols import FOREVER
from ionm.stream import Note, StreamInfo

MODALITY = "zlr"


@dataclass(frozen=True, slots=True)
class ZlrModality:
    """Settings of the Z-L response.

    Parameters
    ----------
    path
        How its sweeps are obtained and tested: the path of the LSR, which cuts them along with its own
        (``mapped`` and ``mapping``).
    """

    path: LsrModality

    @property
    def name(self) -> str:
        """As events name it."""
        return MODALITY

    @property
    def routine(self) -> bool:
        """Mapping is done in some cases only: one without is not said to lack it."""
        return False

    @property
    def channels(self) -> tuple[str, ...]:
        """The recorded channels, in order."""
        return tuple(dict.fromkeys(d.channel for d in self.path.mapped))

    @property
    def sites(self) -> tuple[str, ...]:
        """The stimulated site."""
        return tuple(dict.fromkeys(d.site for d in self.path.mapped))

    def within(self, channels: Sequence[str], sites: Sequence[str] | None) -> ZlrModality | None:
        """What of it these channels and sites can give (None: any site); None if that is nothing."""
        path = self.path.narrowed(channels, sites)
        return replace(self, path=path) if path.mapped else None

    def judge(self, info: StreamInfo, start: int) -> ZlrJudge:
        """A fresh judge, for a session that begins at sample ``start``."""
        del start
        return ZlrJudge(self.path.mapped, info)


class ZlrJudge:
    """What is said of the ZLR: every sweep of every muscle, as it was measured.

    Parameters
    ----------
    derivations
        In the order of the rows of the sweeps.
    info
        The stream.
    """

    deadline = FOREVER

    def __init__(self, derivations: Sequence[Derivation], info: StreamInfo) -> None:
        self._derivations = tuple(derivations)
        self._cautery = False
        self._mains = MainsWatch(MODALITY, info)

    def begin(self, sample: int) -> list[Event]:
        """Nothing stands from the first sample on."""
        del sample
        return []

    def fact(self, fact: SweepMeasured | ArtefactMark) -> list[Event]:
        """Take a fact of the path; marks of artefact have had their say in the measurements."""
        if isinstance(fact, ArtefactMark):
            return []
        rows = zip(self._derivations, fact.measurements, strict=True)
        events: list[Event] = [self._response(fact, row, *pair) for row, pair in enumerate(rows)]
        return events + self._mains.push(fact.sample, fact.sweep.trigger)

    def note(self, note: Note) -> list[Event]:
        """Take a note: while someone has noted cautery, no sweep is judged."""
        if note.event in ("cautery-on", "cautery-off"):
            self._cautery = note.event == "cautery-on"
        return []

    def gap(self, sample: int) -> list[Event]:
        """Nothing is held."""
        del sample
        return []

    def pass_time(self, sample: int) -> list[Event]:
        """Nothing is ever due."""
        del sample
        return []

    def _response(
        self, fact: SweepMeasured, row: int, derivation: Derivation, measurement: Measurement
    ) -> Response:
        shown = replace(measurement, present=None, reason="cautery") if self._cautery else measurement
        return Response(
            sample=fact.sample,
            modality=MODALITY,
            derivation=derivation.name,
            site=derivation.site,
            channel=derivation.channel,
            role=derivation.role,
            trigger=fact.sweep.trigger,
            measurement=shown,
            percent_of_baseline=None,
            sweep=fact.sweep,
            row=row,
        )
