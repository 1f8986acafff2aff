"""How one kind of response is obtained: the path from chunks to facts.

    chunk > marks of artefact > clipping > blanking > filters > sweeps > measurements

A path restarts after a gap; what its detectors have learnt of the background outlives it. It
depends on samples and stimuli only, never on a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ionm.derivation import Derivation
from ionm.detectors.artefact import REASONS, Artefact
from ionm.detectors.lsr import Lsr
from ionm.detectors.m_wave import MWave
from ionm.events import ArtefactMark, Measurement, Sweep, SweepMeasured
from ionm.filters.blanking import Blanking, LookAhead, interpolate
from ionm.filters.chain import Chain
from ionm.filters.clipping import Clipping
from ionm.lsr_judge import LsrJudge
from ionm.protocols import Filter
from ionm.stream import Channel, Chunk, Samples, StreamInfo
from ionm.sweeps import Layout, RunningSweeps, Sweeps
from ionm.tracking import MODALITY

REFERENCE_FREQUENCY = 250.0
"""Frequency, in Hz, at which the filters' delay is read for latencies: the middle of an LSR's
band (phases of 1 to 2 ms)."""


@dataclass(frozen=True, slots=True)
class LsrModality:
    """Settings of the lateral spread response.

    Parameters
    ----------
    derivations
        In the order in which events name them.
    filters
        After the blanking, in order.
    blanking
        Which samples the stimulus blinds.
    sweep
        Begin and end of a sweep around its stimulus, in s.
    response
        The test for roles ``lsr`` and ``spare``.
    m_wave
        The measurement for role ``m_control``.
    artefact
        The marks of artefact.
    harmless
        Sites whose stimuli do not disturb a sweep (the ear's click reaches no facial muscle).
    answer
        How long another site's stimulus disturbs, in s: artefact, M-wave and LSR are over.
    mapped
        Derivations at further sites (role ``zlr``) whose sweeps are cut and tested along with its own:
        one path then serves two modalities.
    mapping
        The test for role ``zlr``; None without ``mapped``.
    """

    derivations: tuple[Derivation, ...]
    filters: tuple[Filter, ...]
    blanking: Blanking
    sweep: tuple[float, float]
    response: Lsr
    m_wave: MWave
    artefact: Artefact = field(default_factory=Artefact)
    harmless: tuple[str, ...] = ("click",)
    answer: float = 0.03
    mapped: tuple[Derivation, ...] = ()
    mapping: Lsr | None = None

    @property
    def path(self) -> LsrModality:
        """Itself."""
        return self

    @property
    def name(self) -> str:
        """As events name it."""
        return MODALITY

    @property
    def routine(self) -> bool:
        """Every case has it."""
        return True

    @property
    def sites(self) -> tuple[str, ...]:
        """The stimulated sites, in order."""
        return tuple(dict.fromkeys(d.site for d in self.derivations))

    @property
    def channels(self) -> tuple[str, ...]:
        """The recorded channels, in order."""
        return tuple(dict.fromkeys(d.channel for d in self.derivations))

    @property
    def cut(self) -> tuple[str, ...]:
        """The sites whose sweeps are cut, in order: its own and those of ``mapped``."""
        return tuple(dict.fromkeys(d.site for d in (*self.derivations, *self.mapped)))

    def at(self, site: str) -> tuple[Derivation, ...]:
        """The derivations of one site: the rows of its sweeps, in order."""
        return tuple(d for d in (*self.derivations, *self.mapped) if d.site == site)

    def test(self, site: str) -> Lsr:
        """The test of the responses to one site."""
        here = any(d.site == site for d in self.mapped)
        return self.mapping if here and self.mapping is not None else self.response

    def within(self, channels: Sequence[str], sites: Sequence[str] | None) -> LsrModality | None:
        """What of it these channels and sites can give (None: any site); None if that is nothing."""
        fitted = self.narrowed(channels, sites)
        return fitted if fitted.derivations else None

    def narrowed(self, channels: Sequence[str], sites: Sequence[str] | None) -> LsrModality:
        """The path with what these channels and sites can give (None: any site), perhaps nothing."""

        def there(derivations: Sequence[Derivation]) -> tuple[Derivation, ...]:
            return tuple(
                d for d in derivations if d.channel in channels and (sites is None or d.site in sites)
            )

        masks = [
            mask
            if mask.channels is None
            else replace(mask, channels=tuple(name for name in mask.channels if name in channels))
            for mask in self.blanking.masks
        ]
        blanking = replace(self.blanking, masks=tuple(mask for mask in masks if mask.channels != ()))
        return replace(
            self, derivations=there(self.derivations), mapped=there(self.mapped), blanking=blanking
        )

    def start(self, info: StreamInfo) -> RunningLsrPath:
        """A fresh running path; `SetupError` if the settings do not fit the stream."""
        return RunningLsrPath(self, info)

    def judge(self, info: StreamInfo, start: int) -> LsrJudge:
        """A fresh judge, for a session that begins at sample ``start``."""
        return LsrJudge(self.derivations, self.response, info, start)


class RunningLsrPath:
    """The path with its memory."""

    def __init__(self, spec: LsrModality, info: StreamInfo) -> None:
        self._spec = spec
        self._info = info
        self._chain = Chain(spec.filters)
        self._sweeps = Sweeps(
            *spec.sweep, {site: tuple(d.channel for d in spec.at(site)) for site in spec.cut}
        )
        self._ahead = math.ceil(spec.blanking.before * info.fs)
        self._start()
        delay = self._chain.delay(info, REFERENCE_FREQUENCY)
        self._tests = {
            site: SiteTests(spec.at(site), spec, self._cutter, info.fs, delay) for site in spec.cut
        }
        self._stimuli: list[int] = []  # those that may disturb a sweep that is still to come
        self._answer = info.samples(spec.answer)
        self._ends = {site: info.samples(spec.test(site).window[1]) for site in spec.cut}
        channels = dict.fromkeys(d.channel for site in spec.cut for d in spec.at(site))
        self._spoilt = {name: _Spoilt(info.samples(spec.artefact.block)) for name in channels}
        m_wave = info.samples(spec.m_wave.window[0])
        # per site and row: where the channel is spoilt, and from where on that matters
        self._rows = {
            site: [
                (self._spoilt[d.channel], m_wave if d.role == "m_control" else first) for d in spec.at(site)
            ]
            for site, first in ((site, info.samples(spec.test(site).clean_from)) for site in spec.cut)
        }

    def _start(self) -> None:
        self._look = LookAhead(self._ahead)
        self._artefact = self._spec.artefact.start(self._info, self._ahead)
        self._clipping = Clipping().start(self._info)
        self._blanking = self._spec.blanking.start(self._info)
        self._filters = self._chain.start(self._info)
        self._cutter = self._sweeps.start(self._info)

    def push(self, chunk: Chunk) -> list[SweepMeasured | ArtefactMark]:
        """The facts that become known in this chunk, in the order in which they do."""
        if chunk.triggers:
            self._stimuli += [t.sample for t in chunk.triggers if t.site not in self._spec.harmless]
        return self._process(*self._look.push(chunk))

    def restart(self, sample: int) -> list[SweepMeasured | ArtefactMark]:
        """Give incomplete sweeps up, because the stream broke off before ``sample``, and begin afresh."""
        facts = self._process(self._look.flush(), ()) if self._look.holds else []
        facts += [self._measure(sweep, sample) for sweep in self._cutter.abandon(sample)]
        for name, spoilt in self._spoilt.items():
            facts += [ArtefactMark(sample, name, reason, active=False) for reason in spoilt.close(sample)]
        self._start()
        return [replace(fact, sample=sample) for fact in facts]

    def _process(
        self, chunk: Chunk, ahead: tuple[tuple[int, str], ...]
    ) -> list[SweepMeasured | ArtefactMark]:
        facts: list[SweepMeasured | ArtefactMark] = []
        self._forget(chunk.start - self._cutter.length - self._answer)
        for mark in self._artefact.push(chunk, ahead):
            known = replace(mark, sample=mark.sample + self._ahead)
            if mark.channel in self._spoilt:
                self._spoilt[mark.channel].mark(known)
                facts.append(known)
        unclipped = self._clipping.push(chunk)
        if unclipped is not chunk:
            self._note_clipping(chunk, unclipped)
        filtered = self._filters.push(self._blanking.push(unclipped, ahead))
        sweeps = self._cutter.push(filtered)
        if not sweeps:
            return facts
        facts += [self._measure(sweep, sweep.sample + self._ahead) for sweep in sweeps]
        if len(facts) > 1:
            facts.sort(key=lambda fact: fact.sample)
        return facts

    def _forget(self, horizon: int) -> None:
        """Drop what lies too far back for any sweep that is still to come."""
        if self._stimuli and self._stimuli[0] <= horizon:
            self._stimuli = [s for s in self._stimuli if s > horizon]
        for spoilt in self._spoilt.values():
            if spoilt.spans:
                spoilt.forget(horizon)

    def _note_clipping(self, chunk: Chunk, unclipped: Chunk) -> None:
        clipped = chunk.valid & ~unclipped.valid
        for row, name in enumerate(self._info.names):
            if name in self._spoilt:
                columns = np.flatnonzero(clipped[row])
                for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
                    if run.size:
                        self._spoilt[name].clip(chunk.start + int(run[0]), chunk.start + int(run[-1]) + 1)

    def _measure(self, sweep: Sweep, known: int) -> SweepMeasured:
        trigger = sweep.trigger
        at, site = trigger.sample, trigger.site
        foreign = False
        if len(self._stimuli) > 1 or site in self._spec.harmless:
            foreign = self._disturbed(sweep)
        reasons: list[str | None] = []
        for row, (spoilt, begin) in enumerate(self._rows[site]):
            spoilt.blind(sweep, row, known)
            reason = spoilt.reason(at + begin, at + self._ends[site], known)
            reasons.append("foreign_stimulus" if foreign else reason)
        return SweepMeasured(known, sweep, self._tests[site].push(self._without_nan(sweep), reasons))

    def _disturbed(self, sweep: Sweep) -> bool:
        """Whether another stimulus falls into the response; one in the background blinds that."""
        trigger, zero = sweep.trigger, sweep.zero
        others = [s - trigger.sample for s in self._stimuli]
        if trigger.site not in self._spec.harmless:
            others.remove(0)
        for other in others:
            first, last = max(0, other + zero), other + zero + self._answer
            if other < 0:
                last = min(last, zero)
            if first < last:
                sweep.valid[:, first:last] = False
        return any(-self._answer < other < self._ends[trigger.site] for other in others)

    def _without_nan(self, sweep: Sweep) -> Sweep:
        """The sweep to measure. Filters let no NaN through; where there are none, it would spread in sums."""
        if self._spec.filters or np.isfinite(sweep.data).all():
            return sweep
        return replace(sweep, data=interpolate(sweep.data, ~np.isfinite(sweep.data)))


class SiteTests:
    """The tests of one site's rows: one M-wave measurement per control, one LSR test for the rest."""

    def __init__(
        self,
        derivations: tuple[Derivation, ...],
        spec: LsrModality,
        cutter: RunningSweeps,
        fs: float,
        delay: float,
    ) -> None:
        controls = [row for row, d in enumerate(derivations) if d.role == "m_control"]
        self._tested = [row for row, d in enumerate(derivations) if d.role != "m_control"]
        place = (cutter.zero, cutter.length, fs, delay)
        filters = Chain(spec.filters)

        def seen(trace: Samples) -> Samples:
            running = filters.start(StreamInfo(fs, (Channel("tail"),)))
            shown: Samples = running.push(
                Chunk(trace[np.newaxis], np.ones((1, trace.size), dtype=bool), 0)
            ).data[0]
            return shown

        self._controls = {row: spec.m_wave.start(Layout((row,), None, *place)) for row in controls}
        reference = controls[0] if controls else None
        self._test = None
        if self._tested:
            test = spec.test(derivations[0].site)
            self._test = test.start(Layout(tuple(self._tested), reference, *place, seen))

    def push(self, sweep: Sweep, reasons: Sequence[str | None]) -> tuple[Measurement, ...]:
        """Measure each row of one sweep; ``reasons``: per row why it cannot be judged, or None."""
        found = {row: control.push(sweep, reasons[row]) for row, control in self._controls.items()}
        if self._test is not None:
            tested = self._test.push(sweep, [reasons[row] for row in self._tested])
            found.update(zip(self._tested, tested, strict=True))
        return tuple(found[row] for row in range(len(reasons)))


class _Spoilt:
    """Where one channel cannot be judged: (reason, first sample, end or None, known at)."""

    def __init__(self, block: int) -> None:
        self._block = block
        self.spans: list[tuple[str, int, int | None, int]] = []

    def mark(self, mark: ArtefactMark) -> None:
        """Take the begin or the end of an artefact."""
        if mark.active:
            self.spans.append((mark.reason, mark.sample - self._block + 1, None, mark.sample))
        else:
            self._end(mark.reason, mark.sample)

    def clip(self, first: int, end: int) -> None:
        """Take a run of clipped samples."""
        self.spans.append(("saturation", first, end, first))

    def close(self, sample: int) -> list[str]:
        """End whatever is still active; the reasons that were."""
        active = [reason for reason, _, end, _ in self.spans if end is None]
        for reason in active:
            self._end(reason, sample)
        return active

    def _end(self, reason: str, sample: int) -> None:
        self.spans = [
            (r, first, sample if r == reason and end is None else end, known)
            for r, first, end, known in self.spans
        ]

    def reason(self, begin: int, end: int, known: int) -> str | None:
        """Why samples from ``begin`` up to ``end`` cannot be judged, as far as ``known`` then.

        Of several reasons the first of `REASONS`: a cause before its effects.
        """
        if not self.spans:
            return None
        found = {
            reason
            for reason, first, stop, since in self.spans
            if since <= known and first < end and (stop is None or stop > begin)
        }
        return min(found, key=REASONS.index, default=None)

    def blind(self, sweep: Sweep, row: int, known: int) -> None:
        """Mark as invalid what of a sweep's prestimulus is spoilt."""
        for _, first, stop, since in self.spans:
            if since <= known:
                a = first - sweep.trigger.sample + sweep.zero
                b = sweep.zero if stop is None else min(stop - sweep.trigger.sample + sweep.zero, sweep.zero)
                if b > 0 and a < b:
                    sweep.valid[row, max(a, 0) : b] = False

    def forget(self, horizon: int) -> None:
        """Drop what ended before ``horizon``."""
        self.spans = [span for span in self.spans if span[2] is None or span[2] > horizon]
