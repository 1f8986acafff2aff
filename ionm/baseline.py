"""The case's reference for one derivation: twenty valid sweeps under one stimulus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from statistics import median

from ionm.detectors.learning import learn
from ionm.detectors.lsr import SHALLOW, Lsr
from ionm.detectors.recognition import Recognition, replicates
from ionm.detectors.template import Template, Trace
from ionm.detectors.waveform import turn
from ionm.events import Measurement
from ionm.quality import bet
from ionm.stream import Trigger

N_SWEEPS = 20
"""Valid sweeps of a baseline (design: twenty; at 1 Hz that is 20 s of stable recording)."""

KEYS = ("side", "mA", "width", "pulses", "isi", "V", "intensity")
"""What a stimulus must share with the baseline to be compared with it."""

LEAST_REPLICATES = 5
"""Responses needed among the twenty before an LSR counts as elicited (a quarter; house rules ask
for three reproducible sweeps of five, general knowledge, facial.md 1.6)."""

CERTAIN = math.log(1e3)
"""Evidence, as the logarithm of the odds against noise, for an elicited LSR (our choice: one wrong
baseline in a thousand derivations without an LSR)."""

DOUBTFUL = math.log(20)
"""Evidence for a common response from which on "not elicited" is not said (our choice: five percent)."""

HALVES = 5
"""Single sweeps' worth of evidence in what the halves have in common, at least: in white noise they certify
an LSR of half the amplitude that a single sweep shows, in others of less (benchmarks/detection.py)."""

AVERAGED = 0.5
"""Share of the floor that a response common to all sweeps must reach: its mean has hardly any noise in it,
and what M-wave and artefact leave there stays below 10 uV (our choice)."""

LARGEST_LIMIT = 100e-6
"""Detection limit above which "not elicited" is not said, in V: most LSRs are 50 to 500 uV
(general knowledge, facial.md 1.4)."""

SOUND_M = 0.9
"""Share of the twenty sweeps in which the M-control must answer to be one: else an LSR is judged without it,
and "not elicited" is not said (our choice)."""


class Strength(Enum):
    """How a stimulus compares with that of the baseline."""

    SAME = "same"
    BELOW = "below"
    ABOVE = "above"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stimulus:
    """What identifies a stimulus: its attributes among `KEYS`, numbers in one way of writing."""

    values: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, trigger: Trigger) -> Stimulus:
        """The identity of one trigger's stimulus."""
        return cls(tuple((k, _written(trigger.attributes[k])) for k in KEYS if k in trigger.attributes))

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.values) or "unspecified"

    def against(self, other: Stimulus) -> Strength:
        """How this stimulus compares with another: by current, then by the length of its train.

        Stimuli that differ in anything else, a side say, cannot be compared.
        """
        if self == other:
            return Strength.SAME
        here, there = dict(self.values), dict(other.values)
        if any(here.get(k) != there.get(k) for k in KEYS if k not in ("mA", "pulses", "isi")):
            return Strength.OTHER
        try:
            for key, usual in (("mA", "nan"), ("pulses", "1")):
                now, then = float(here.get(key, usual)), float(there.get(key, usual))
                if now != then and here.get(key) != there.get(key):
                    return Strength.BELOW if now < then else Strength.ABOVE if now > then else Strength.OTHER
        except ValueError:
            return Strength.OTHER
        return Strength.SAME if here.get("isi") == there.get("isi") else Strength.OTHER


def _written(value: str) -> str:
    """A number as `repr` writes it, so that 10, 10.0 and 1e1 are the same; a text as it is."""
    try:
        return f"{float(value):.12g}"
    except ValueError:
        return value


@dataclass(frozen=True, slots=True)
class ValidSweep:
    """What a baseline keeps of one valid sweep."""

    trigger: Trigger
    measurement: Measurement
    m_control: Measurement | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """An accepted baseline.

    Parameters
    ----------
    stimulus
        What it holds for.
    elicited
        Whether there was an LSR.
    amplitude
        Median of the responses, in V; None if not elicited.
    latency
        Median onset, in s; None if not elicited.
    m_amplitude
        Median of the M-control, in V; None without one.
    hits, sweeps
        Responses among the valid sweeps.
    m_hits
        Sweeps in which the M-control answered.
    interval
        Median time between its stimuli, in samples (annotated, not compared).
    evidence
        That its sweeps hold a common response, as the logarithm of the odds against noise.
    template
        What the response looks like; None if not elicited, or if the background is too short to learn it.
    """

    stimulus: Stimulus
    elicited: bool
    amplitude: float | None
    latency: float | None
    m_amplitude: float | None
    hits: int
    sweeps: int
    interval: float
    evidence: float
    m_hits: int = 0
    template: Template | None = field(default=None, repr=False, compare=False)


def certify(sweeps: Sequence[ValidSweep], test: Lsr) -> Baseline | str:
    """A baseline from the newest valid sweeps, or the reason why they cannot be one.

    Parameters
    ----------
    sweeps
        Valid sweeps of one derivation, oldest first; the last `N_SWEEPS` are used.
    test
        The test that they passed.
    """
    newest = list(sweeps)[-N_SWEEPS:]
    if len(newest) < N_SWEEPS:
        return f"only {len(newest)} valid sweeps, need {N_SWEEPS}"
    stimuli = list(dict.fromkeys(Stimulus.of(s.trigger) for s in newest))
    if len(stimuli) > 4:
        return f"the stimulus varied: {len(stimuli)} of them, {stimuli[0]} to {stimuli[-1]}"
    if len(stimuli) > 1:
        return f"the stimulus varied: {'; '.join(map(str, stimuli))}"
    present = [s.measurement for s in newest if s.measurement.present]
    single = math.fsum(bet(s.measurement.chance) for s in newest)
    enough = len(present) >= LEAST_REPLICATES and single >= CERTAIN
    common, template = _common(newest, test, ask=not enough)
    evidence = max(single, common)
    m_present = [
        s.m_control.amplitude for s in newest if s.m_control is not None and s.m_control.amplitude is not None
    ]
    sound = len(m_present) >= SOUND_M * len(newest)
    m_amplitude = median(m_present) if sound else None
    triggers = [s.trigger.sample for s in newest]
    interval = median(b - a for a, b in pairwise(triggers))
    stimulus = stimuli[0]
    elicited = enough or common >= CERTAIN
    if elicited:
        amplitudes = [m.amplitude for m in present if m.amplitude is not None]
        latencies = [m.latency for m in present if m.latency is not None]
        return Baseline(
            stimulus,
            elicited,
            median(amplitudes) if amplitudes else None,
            median(latencies) if latencies else None,
            m_amplitude,
            len(present),
            N_SWEEPS,
            interval,
            evidence,
            len(m_present),
            template,
        )
    if len(present) > 1 or common >= DOUBTFUL:
        return f"weak: a response in {len(present)} of {N_SWEEPS} sweeps"
    limit = median(s.measurement.detection_limit or 0.0 for s in newest) / math.sqrt(HALVES)
    if limit > LARGEST_LIMIT:
        return f"noise: a response below {limit * 1e6:.0f} uV would not be seen"
    if all(s.m_control is None for s in newest):
        return "no LSR, and no M-control to show that the stimulus arrived"
    if not sound:
        return f"no LSR, and the M-control answered in {len(m_present)} of {N_SWEEPS} sweeps only"
    return Baseline(
        stimulus,
        elicited,
        None,
        None,
        m_amplitude,
        len(present),
        N_SWEEPS,
        interval,
        evidence,
        len(m_present),
    )


def _common(sweeps: Sequence[ValidSweep], test: Lsr, *, ask: bool) -> tuple[float, Template | None]:
    """Evidence for a response that all sweeps have in common, large enough to be one, and its template.

    Without ``ask`` only the template: single sweeps were evidence enough.
    """
    traces = [s.measurement.trace for s in sweeps if isinstance(s.measurement.trace, Trace)]
    template = learn(traces) if len(traces) == len(sweeps) else None
    if template is None or not ask:
        return 0.0, template
    found = turn(template.response)
    if found.swing < AVERAGED * test.floor or found.prominence < SHALLOW * found.swing:
        return 0.0, template
    if Recognition(template, traces, test.alpha).amplitude < AVERAGED * test.floor:
        return 0.0, template  # its swing was that of the noise in it
    return replicates(traces, template, test.alpha), template
