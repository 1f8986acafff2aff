"""What is true in a simulated case: states, responses, artefacts, notes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ionm.simulate.case import SimulatedCase
from ionm.simulate.script import (
    OWN_MUSCLE,
    Cautery,
    ElectrodeOff,
    Movement,
    Pause,
    Relaxant,
    Script,
    Spasm,
    TriggerFault,
)
from ionm.simulate.stimuli import lateral_gain, probability_at
from ionm.simulate.trains import PatternTruth
from ionm.simulate.waves import Volleys
from ionm.stream import Samples

VERSION = 1
"""Of the truth's layout: raised when a key changes its meaning."""

_STEP = 20e-6  # s: a response of 0.45 ms width is measured to 2e-4 of its size
_END = 0.06  # s after the stimulus


def measure(volleys: Volleys) -> tuple[Samples, Samples, Samples]:
    """Size and latencies of noise-free responses.

    Parameters
    ----------
    volleys
        Onsets in s after the stimulus, before 60 ms.

    Returns
    -------
    tuple of Samples
        Each of shape (n_responses,): peak-to-peak in V; onset in s, where the response first
        reaches 5 % of its peak-to-peak; peak in s, where its absolute value is largest. The last
        two are nan where there is no response.
    """
    times = np.arange(0.0, _END, _STEP)
    count = len(volleys.onset)
    size, onset, peak = np.zeros(count), np.full(count, np.nan), np.full(count, np.nan)
    present = np.flatnonzero(np.any(volleys.size != 0, axis=1))
    for some in np.array_split(present, len(present) // 200 + 1):
        part = Volleys(volleys.onset[some], volleys.size[some], volleys.width[some], volleys.order)
        waves = part.at(times)
        size[some] = np.ptp(waves, axis=1)
        high = np.abs(waves) / (0.05 * size[some, None])
        peak[some] = times[np.argmax(high, axis=1)]
        first = np.argmax(high >= 1.0, axis=1)
        rows = np.arange(len(some))
        before, after = high[rows, first - 1], high[rows, first]
        onset[some] = times[first] - _STEP * (after - 1.0) / (after - before)
    return size, onset, peak


def truth(case: SimulatedCase) -> dict[str, Any]:
    """The truth of a case, as plain numbers, lists and texts for a JSON file.

    Returns
    -------
    dict
        ``version scenario seed fs n_samples side channels``;

        ``derivations``: by name, its ``role`` (m_control, lsr, spare or zlr) and, for an lsr,
        ``intervals`` of constant or steadily changing truth: ``start_sample stop_sample state``
        (present or absent) ``gain_start gain_stop probability``;

        ``stimuli``: ``trigger_sample`` (null if the mark is missing) ``time_s`` (when the current
        flowed) ``site ma delivered responses``, of a probe ``attributes``; the responses by derivation:
        ``peak_to_peak_uv onset_ms peak_ms``, counted from the current, crosstalk and F-wave left
        out; a derivation that does not answer is left out;

        ``spans``: ``kind start_sample stop_sample channels`` of artefacts, spasm, relaxant,
        pauses and trigger faults;

        ``patterns``, if any are scripted: ``channel pattern onset_s offset_s frequency_hz peak_uv``;

        ``notes``: ``sample event attributes``.
    """
    script, fs = case.script, case.info.fs
    sites = list(dict.fromkeys(stimulation.site for stimulation in script.stimulations))
    derivations: dict[str, Any] = {}
    for site in sites:
        for muscle in script.face.muscles:
            name = f"{site}>{muscle}"
            if name in script.face.lateral:
                derivations[name] = {"role": "lsr", "intervals": _intervals(script, name)}
            else:
                role = "m_control" if OWN_MUSCLE.get(site) == muscle else "spare"
                derivations[name] = {"role": role}
    if script.probes:
        derivations |= {f"probe>{muscle}": {"role": "zlr"} for muscle in script.face.muscles}
    answers: list[dict[str, Any]] = [{} for _ in case.stimuli]
    for full, (index, volleys) in case.responses.items():
        site, muscle = full.split(">")
        name = f"{site.partition('/')[0]}>{muscle}"
        for i, size, onset, peak in zip(index, *measure(volleys), strict=True):
            if size > 0:
                answers[i][name] = {
                    "peak_to_peak_uv": round(float(size) * 1e6, 4),
                    "onset_ms": round(float(onset) * 1e3, 4),
                    "peak_ms": round(float(peak) * 1e3, 4),
                }
    return {
        "version": VERSION,
        "scenario": script.name,
        "seed": case.seed,
        "fs": fs,
        "n_samples": case.n_samples,
        "side": script.side,
        "channels": list(case.info.names),
        "derivations": derivations,
        "stimuli": [
            {
                "trigger_sample": stimulus.sample,
                "time_s": round(stimulus.time, 9),
                "site": stimulus.site,
                "ma": stimulus.ma,
                "delivered": stimulus.delivered,
                "responses": responses,
                **({"attributes": {**stimulus.attributes}} if stimulus.attributes else {}),
            }
            for stimulus, responses in zip(case.stimuli, answers, strict=True)
        ],
        "spans": _spans(script),
        **({"patterns": [_pattern(*found) for found in case.patterns]} if case.patterns else {}),
        "notes": [{"sample": n.sample, "event": n.event, "attributes": {**n.attributes}} for n in case.notes],
    }


def _pattern(channel: str, truth: PatternTruth) -> dict[str, Any]:
    return {
        "channel": channel,
        "pattern": truth.pattern,
        "onset_s": round(truth.onset, 6),
        "offset_s": round(truth.offset, 6),
        "frequency_hz": None if truth.frequency is None else round(truth.frequency, 4),
        "peak_uv": round(truth.peak * 1e6, 4),
    }


def _intervals(script: Script, derivation: str) -> list[dict[str, Any]]:
    """The stretches over which a lateral spread's gain is constant or changes steadily."""
    last = int(script.seconds * script.amplifier.fs)
    points, gains = lateral_gain(script, derivation)
    found: list[dict[str, Any]] = []
    for begin, end, gain, later in zip(points[:-1], points[1:], gains[:-1], gains[1:], strict=True):
        # the interval holds the samples k with begin <= k / fs < end
        start = min(int(np.ceil(round(begin * script.amplifier.fs, 6))), last)
        stop = last if np.isinf(end) else min(int(np.ceil(round(end * script.amplifier.fs, 6))), last)
        if stop <= start:
            continue
        entry = {
            "start_sample": start,
            "stop_sample": stop,
            "state": "absent" if gain == 0 and later == 0 else "present",
            "gain_start": float(gain),
            "gain_stop": float(later),
            "probability": float(probability_at(script, derivation, np.array([begin]))[0]),
        }
        steady = ("state", "gain_start", "gain_stop", "probability")
        before = found[-1] if found else {}
        if gain == later and all(before.get(key) == entry[key] for key in steady):
            before["stop_sample"] = stop
        else:
            found.append(entry)
    return found


def _spans(script: Script) -> list[dict[str, Any]]:
    """Where something other than the nerve shaped the signal."""
    fs, everything = script.amplifier.fs, script.face.muscles
    last = int(script.seconds * fs)
    found: list[dict[str, Any]] = []

    def add(kind: str, begin: float, end: float, channels: tuple[str, ...]) -> None:
        start, stop = min(round(begin * fs), last), min(round(end * fs), last)
        span = {"kind": kind, "start_sample": start, "stop_sample": stop, "channels": list(channels)}
        if stop > start:
            found.append(span)

    for event in script.events:
        if isinstance(event, Cautery):
            add("cautery", event.begin, event.end, everything)
        elif isinstance(event, ElectrodeOff):
            add("electrode_off", event.begin, event.end, (event.channel,))
        elif isinstance(event, Movement):
            add("movement", event.at, event.at + 1.0, (event.channel,) if event.channel else everything)
        elif isinstance(event, Spasm):
            add("spasm", event.begin, event.end, everything)
        elif isinstance(event, Pause):
            add("pause", event.begin, event.end, everything)
        elif isinstance(event, TriggerFault):
            add(event.kind.replace(" ", "_"), event.begin, event.end, everything)
        elif isinstance(event, Relaxant):
            recovery = np.inf if event.recovery is None else event.recovery
            end = min(event.at + event.onset + event.hold + recovery, float(script.seconds))
            add("relaxant", event.at, end, everything)
    return sorted(found, key=lambda span: (span["start_sample"], span["kind"]))
