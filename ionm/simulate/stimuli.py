"""Which stimuli a scripted case delivers, when, and which of them are marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ionm.simulate.script import Intensity, Pause, Relaxant, Script, SetLateral, Stimulation, TriggerFault
from ionm.simulate.seeds import generator
from ionm.stream import Samples


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One stimulus or mark of a case.

    Parameters
    ----------
    time
        When the current flows, in s; the mark's own time if none flows.
    site, ma
        Where, and how much in mA.
    sample
        Of the mark; None if it is missing.
    delivered
        Whether current flowed.
    attributes
        What the mark says beside the current and the side.
    """

    time: float
    site: str
    ma: float
    sample: int | None
    delivered: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)


def stimuli(script: Script, seed: int) -> tuple[Stimulus, ...]:
    """Every stimulus and every mark of a case, in order of time."""
    found = []
    for stimulation in script.stimulations:
        rng = generator(seed, "stimuli", stimulation.site)
        count = int((script.seconds - 0.1 - stimulation.begin) * stimulation.rate) + 1
        late = script.room.trigger_jitter * rng.standard_normal(max(count, 0))
        chance = rng.random(max(count, 0))
        for k in range(count):
            time = stimulation.begin + k / stimulation.rate
            found += _one(script, stimulation, time, float(late[k]), float(chance[k]))
    fs = script.amplifier.fs
    for probe in script.probes:
        for k in range(probe.count):
            time = probe.begin + k / probe.rate
            found.append(Stimulus(time, "probe", probe.ma, round(time * fs), attributes=probe.marks))
    return tuple(sorted(found, key=lambda stimulus: stimulus.time))


def _one(script: Script, planned: Stimulation, time: float, late: float, chance: float) -> list[Stimulus]:
    """A stimulus as the script's pauses, intensities and faults leave it."""
    fs, site, ma = script.amplifier.fs, planned.site, planned.ma
    fault = None
    for event in script.events:
        if isinstance(event, Intensity) and event.site == site and event.at <= time:
            ma = event.ma
        if not isinstance(event, Pause | TriggerFault) or event.site not in {None, site}:
            continue
        if event.begin <= time < event.end:
            if isinstance(event, Pause):
                return []
            if chance < event.probability:
                fault = event
    mark = round((time + late) * fs)
    if fault is None:
        return [Stimulus(time, site, ma, mark)]
    if fault.kind == "missed stimulus":
        return [Stimulus(time, site, ma, mark, delivered=False)]
    if fault.kind == "missed mark":
        return [Stimulus(time, site, ma, None)]
    second = mark + max(round(fault.gap * fs), 1)
    return [Stimulus(time, site, ma, mark), Stimulus(second / fs, site, ma, second, delivered=False)]


def lateral_gain(script: Script, derivation: str) -> tuple[Samples, Samples]:
    """Breakpoints of a lateral spread's gain: times in s and gains, to be joined by straight lines."""
    times, gains = [0.0], [1.0]
    events = [e for e in script.events if isinstance(e, SetLateral) and e.derivation in (None, derivation)]
    for event in sorted(events, key=lambda e: e.at):
        before = float(np.interp(event.at, times, gains))
        kept = [k for k, time in enumerate(times) if time <= event.at]
        times, gains = [times[k] for k in kept], [gains[k] for k in kept]
        times += [event.at, event.at + event.over]
        gains += [before, event.gain]
    return np.array([*times, np.inf]), np.array([*gains, gains[-1]])


def gain_at(script: Script, derivation: str, times: Samples) -> Samples:
    """The scripted gain of a lateral spread at times in s; at a step, the new value."""
    points, gains = lateral_gain(script, derivation)
    k = np.searchsorted(points, times, side="right") - 1
    span = points[k + 1] - points[k]
    part = np.where(np.isfinite(span), (times - points[k]) / np.where(span > 0, span, 1.0), 0.0)
    return gains[k] + part * (gains[k + 1] - gains[k])


def probability_at(script: Script, derivation: str, times: Samples) -> Samples:
    """The scripted fraction of answered stimuli at times in s."""
    out = np.ones(len(times))
    events = [e for e in script.events if isinstance(e, SetLateral) and e.derivation in (None, derivation)]
    for event in sorted(events, key=lambda e: e.at):
        out[times >= event.at] = event.probability
    return out


def relaxation_at(script: Script, times: Samples) -> Samples:
    """The fraction of muscle fibres that answer at times in s, given the script's relaxants."""
    out = np.ones(len(times))
    for event in script.events:
        if isinstance(event, Relaxant):
            full = event.at + event.onset
            points, values = [event.at, full, full + event.hold], [1.0, event.remaining, event.remaining]
            if event.recovery is not None:
                points.append(full + event.hold + event.recovery)
                values.append(1.0)
            out *= np.interp(times, points, values)
    return out
