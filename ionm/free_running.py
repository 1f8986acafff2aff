"""Free-run EMG as a modality: what the muscles do on their own, followed between the stimuli.

    chunk > marks of artefact > clipping > blanking > filters > findings

The path is its own, with a band of its own, and depends on samples, stimuli and what someone notes of
cautery and drill, never on a verdict. It restarts after a gap: what went on ends there, and the noise is
learnt afresh. What is decided stands in `ionm.free_run_judge`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ionm.detectors.artefact import Artefact
from ionm.detectors.free_run import FreeRun
from ionm.errors import SetupError
from ionm.events import ArtefactMark, Finding, Watched
from ionm.filters.blanking import Blanking, LookAhead
from ionm.filters.chain import Chain
from ionm.filters.clipping import Clipping
from ionm.free_run_judge import MODALITY, NOTED, FreeRunJudge
from ionm.protocols import Filter
from ionm.stream import Chunk, Note, StreamInfo

Fact = Finding | ArtefactMark | Watched


@dataclass(frozen=True, slots=True)
class FreeRunning:
    """Settings of free-run EMG.

    Parameters
    ----------
    muscles
        Channels that are watched: facial muscles on the side of the case.
    controls
        Channels that tell an artefact from a muscle: another nerve's, or the other side's.
    filters
        After the blanking, in order.
    blanking
        Which samples the stimulus blinds before the filters see them.
    detector
        What is found, and what of it stimuli blind.
    artefact
        The marks of artefact; only channels of this modality are looked at.
    risk
        Whether traintime may be read as a risk (`ionm.detectors.traintime`): in schwannoma surgery only.
    """

    muscles: tuple[str, ...]
    controls: tuple[str, ...]
    filters: tuple[Filter, ...]
    blanking: Blanking
    detector: FreeRun = field(default_factory=FreeRun)
    artefact: Artefact = field(default_factory=Artefact)
    risk: bool = False

    @property
    def path(self) -> FreeRunning:
        """Itself."""
        return self

    @property
    def name(self) -> str:
        """As events name it."""
        return MODALITY

    @property
    def routine(self) -> bool:
        """A muscle that is not recorded is missed where its response is."""
        return False

    @property
    def channels(self) -> tuple[str, ...]:
        """The recorded channels, in order."""
        return (*self.muscles, *self.controls)

    @property
    def sites(self) -> tuple[str, ...]:
        """None: nothing is stimulated for it."""
        return ()

    def within(self, channels: Sequence[str], sites: Sequence[str] | None) -> FreeRunning | None:
        """What of it these channels can give; None without a muscle to watch.

        Channels of the other side ("R OrbOculi" beside "OrbOculi") become controls.
        """
        del sites
        muscles = tuple(name for name in self.muscles if name in channels)
        known = (*self.muscles, *self.controls)
        controls = tuple(
            name
            for name in channels
            if name in self.controls or (name[:2] in ("L ", "R ") and name[2:] in known)
        )
        return replace(self, muscles=muscles, controls=controls) if muscles else None

    def start(self, info: StreamInfo) -> RunningFreeRunning:
        """A fresh running path; `SetupError` if the settings do not fit the stream."""
        return RunningFreeRunning(self, info)

    def judge(self, info: StreamInfo, start: int) -> FreeRunJudge:
        """A fresh judge, for a session that begins at sample ``start``."""
        del start
        return FreeRunJudge(self.muscles, self.controls, info.fs, risk=self.risk)


class RunningFreeRunning:
    """The path with its memory."""

    def __init__(self, spec: FreeRunning, info: StreamInfo) -> None:
        for name in spec.channels:
            if name not in info.names:
                raise SetupError(
                    f"free-run EMG wants channel {name!r}; the stream has {', '.join(info.names)}"
                )
        chosen = [row for row, name in enumerate(info.names) if name in spec.channels]
        self._rows = None if len(chosen) == info.n_channels else chosen
        self._spec = spec
        self._info = replace(info, channels=tuple(info.channels[row] for row in chosen))
        self._ahead = math.ceil(spec.blanking.before * info.fs)
        self._blinding = _Blinding(self._info.names)
        self._start()

    def _start(self) -> None:
        self._look = LookAhead(self._ahead)
        self._artefact = self._spec.artefact.start(self._info, self._ahead)
        self._clipping = Clipping().start(self._info)
        self._blanking = self._spec.blanking.start(self._info)
        self._filters = Chain(self._spec.filters).start(self._info)
        self._detector = self._spec.detector.start(self._info)
        self._again = self._blinding.restart()

    def push(self, chunk: Chunk) -> list[Fact]:
        """The facts that become known in this chunk, in the order in which they do."""
        if self._rows is not None:
            data, valid = chunk.data[self._rows], chunk.valid[self._rows]
            chunk = Chunk(data, valid, chunk.start, chunk.triggers, chunk.notes)
        return self._process(*self._look.push(chunk))

    def restart(self, sample: int) -> list[Fact]:
        """End what goes on, because the stream broke off before ``sample``, and begin afresh."""
        facts = self._process(self._look.flush(), ()) if self._look.holds else []
        facts += self._detector.close(sample)
        facts.append(Watched(sample, *self._detector.watched))
        self._start()
        return [replace(fact, sample=sample) for fact in facts]

    def _process(self, chunk: Chunk, ahead: tuple[tuple[int, str], ...]) -> list[Fact]:
        marks = self._artefact.push(chunk, ahead)
        filtered = self._filters.push(self._blanking.push(self._clipping.push(chunk), ahead))
        blinding: Sequence[ArtefactMark] = ()
        if marks or chunk.notes or self._again:
            blinding = [*self._again, *self._blinding.take(marks, chunk.notes)]
            self._again = []
        facts: list[Fact] = [*marks, *self._detector.push(filtered, blinding)]
        if len(facts) > 1:
            facts.sort(key=lambda fact: fact.sample)
        return [replace(fact, sample=fact.sample + self._ahead) for fact in facts]


class _Blinding:
    """What blinds each channel, found in the signal or noted by someone: as long as either says so."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._found: set[tuple[str, str]] = set()  # (channel, reason)
        self._noted: set[str] = set()  # reasons

    def take(self, marks: Iterable[ArtefactMark], notes: Iterable[Note]) -> list[ArtefactMark]:
        """Marks that begin or end by marks found and notes of the same chunk, in order."""
        news: list[tuple[int, ArtefactMark | Note]] = [(mark.sample, mark) for mark in marks]
        news += [(note.accepted, note) for note in notes if note.event in NOTED]
        told: list[ArtefactMark] = []
        for sample, item in sorted(news, key=lambda new: new[0]):
            before = self._standing()
            if isinstance(item, ArtefactMark):
                (self._found.add if item.active else self._found.discard)((item.channel, item.reason))
            else:
                reason, active = NOTED[item.event]
                (self._noted.add if active else self._noted.discard)(reason)
            after = self._standing()
            told += [ArtefactMark(sample, *key, active=key in after) for key in sorted(before ^ after)]
        return told

    def restart(self) -> list[ArtefactMark]:
        """Forget what was found; marks for what is noted, from the first sample on."""
        self._found.clear()
        return [ArtefactMark(-1, *key, active=True) for key in sorted(self._standing())]

    def _standing(self) -> set[tuple[str, str]]:
        return self._found | {(name, reason) for name in self._names for reason in self._noted}
