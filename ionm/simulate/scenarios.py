"""Ready scripts, by name: what may happen to a lateral spread response in an operation.

Moments are fractions of the case, so each scenario can last as long as one likes; short ones need a
higher rate of stimulation for a baseline of 20 sweeps per site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from ionm.simulate.arteries import Artery, probe_series
from ionm.simulate.emg import Interference, MotorUnits
from ionm.simulate.faces import usual_face, usual_room, with_spares
from ionm.simulate.operating_room import Drift, Mains, StimulusArtefact
from ionm.simulate.script import (
    OWN_MUSCLE,
    Amplifier,
    Cautery,
    ElectrodeOff,
    Event,
    Intensity,
    Irritation,
    Movement,
    Noted,
    Pause,
    Relaxant,
    Script,
    SetLateral,
    Spasm,
    Stimulation,
    TriggerFault,
)
from ionm.simulate.trains import Pattern

_BASELINE = 0.3  # of the case, when someone notes the baseline


class _Timeline:
    """Moments of a scenario as fractions of its length."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __call__(self, fraction: float) -> float:
        return fraction * self.seconds

    def short(self, fraction: float, at_most: float) -> float:
        """A length that grows with the case up to ``at_most`` s."""
        return min(fraction * self.seconds, at_most)


def _opening(t: _Timeline) -> list[Event]:
    """What every case begins with."""
    return [
        Noted(0.1, "case", {"side": "L"}),
        Noted(t(_BASELINE), "baseline", {"modality": "lsr"}),
        Noted(t(0.34), "dura-open"),
        Noted(t(0.38), "csf-drained"),
        Noted(t(0.44), "arachnoid-open"),
    ]


def _lost_at_decompression(script: Script, t: _Timeline) -> Script:
    """The usual case: the response goes within a stimulus or two when the vessel is lifted off."""
    lift = t(0.55)
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(lift, "vessel-lifted", {"vessel": "AICA"}),
            SetLateral(lift + t.short(0.01, 1.0), 0.0),
            Noted(lift + t.short(0.08, 40.0), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _lost_early(script: Script, t: _Timeline) -> Script:
    """The response goes while cerebrospinal fluid drains, before any decompression (25 to 55 % of cases)."""
    return replace(
        script,
        events=(
            *_opening(t),
            SetLateral(t(0.39), 0.0, over=t.short(0.03, 20.0)),
            Noted(t(0.6), "vessel-lifted", {"vessel": "AICA"}),
            Noted(t(0.68), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _persisting(script: Script, t: _Timeline) -> Script:
    """The response stays, a little smaller, whatever is done."""
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.55), "vessel-lifted", {"vessel": "AICA"}),
            SetLateral(t(0.56), 0.8, over=t.short(0.1, 30.0)),
            Noted(t(0.65), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _reappearing(script: Script, t: _Timeline) -> Script:
    """Lost when the vessel is lifted, back when it is let go, lost again with the Teflon."""
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.48), "vessel-lifted", {"vessel": "PICA"}),
            SetLateral(t(0.49), 0.0),
            Noted(t(0.62), "vessel-released", {"vessel": "PICA"}),
            SetLateral(t(0.63), 0.7, over=t.short(0.02, 5.0)),
            Noted(t(0.77), "teflon-in", {"vessel": "PICA"}),
            SetLateral(t(0.78), 0.0),
            Noted(t(0.95), "closure"),
        ),
    )


def _never_elicited(script: Script, t: _Timeline) -> Script:
    """No lateral spread, but all that imitates one: a 3 mV M-wave, 8 % crosstalk, long artefact tails."""
    face = script.face
    face = replace(
        face,
        direct={
            f"{site}>{muscle}": replace(face.direct[f"{site}>{muscle}"], size=3e-3, tail=0.07)
            for site, muscle in OWN_MUSCLE.items()
        },
        crosstalk=dict.fromkeys(face.crosstalk, 0.08),
    )
    room = replace(script.room, artefact=StimulusArtefact(tails=((1e-3, 0.5e-3), (0.3e-3, 4.0e-3))))
    return replace(
        script,
        face=face,
        room=room,
        events=(
            SetLateral(0.0, 0.0),
            *_opening(t),
            Noted(t(0.55), "vessel-lifted", {"vessel": "AICA"}),
            Noted(t(0.65), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _cannot_judge(script: Script, t: _Timeline) -> Script:
    """The response stays unseen: cautery, a loose electrode, relaxant, and no stimuli at the end."""
    paralysis = Relaxant(
        t(0.55), remaining=0.02, onset=t.short(0.05, 90.0), hold=t(0.08), recovery=t.short(0.07, 600.0)
    )
    return replace(
        script,
        events=(
            *_opening(t),
            Cautery(t(0.36), t(0.36) + t.short(0.05, 20.0), noted=True),
            ElectrodeOff(t(0.44), t(0.53), "Mentalis"),
            paralysis,
            Pause(t(0.78), float(script.seconds)),
        ),
    )


def _two_step(script: Script, t: _Timeline) -> Script:
    """Two vessels: part of the response goes with the first, the rest with the second."""
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.5), "vessel-lifted", {"vessel": "VA"}),
            SetLateral(t(0.5) + t.short(0.01, 1.0), 0.35),
            Noted(t(0.55), "teflon-in", {"vessel": "VA"}),
            Noted(t(0.7), "vessel-lifted", {"vessel": "AICA"}),
            SetLateral(t(0.7) + t.short(0.01, 1.0), 0.0),
            Noted(t(0.75), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _intermittent(script: Script, t: _Timeline) -> Script:
    """Six stimuli of ten are answered until the vessel is lifted."""
    return replace(
        script,
        events=(
            SetLateral(0.0, 1.0, probability=0.6),
            *_opening(t),
            Noted(t(0.6), "vessel-lifted", {"vessel": "AICA"}),
            SetLateral(t(0.61), 0.0),
            Noted(t(0.7), "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _volatile(script: Script, t: _Timeline) -> Script:
    """A volatile agent lowers the response dose by dose and leaves the M-wave (Yang LN 2022)."""
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.5), "mac", {"value": "0.5"}),
            SetLateral(t(0.5), 0.7, over=t.short(0.1, 600.0)),
            Noted(t(0.7), "mac", {"value": "1"}),
            SetLateral(t(0.7), 0.4, over=t.short(0.1, 600.0)),
        ),
    )


def _tandem(script: Script, t: _Timeline) -> Script:
    """One vessel pushes another onto the nerve: both are lifted together, and the response goes."""
    lift = t(0.6)
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(lift, "vessel-lifted", {"vessel": "VA+AICA"}),
            SetLateral(lift + t.short(0.01, 1.0), 0.0),
            Noted(lift + t.short(0.08, 40.0), "teflon-in", {"vessel": "VA+AICA"}),
            Noted(t(0.92), "closure"),
        ),
    )


def _delayed(script: Script, t: _Timeline) -> Script:
    """The response outlasts the decompression and goes long after the last act, with nothing done."""
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.5), "vessel-lifted", {"vessel": "AICA"}),
            Noted(t(0.54), "teflon-in", {"vessel": "AICA"}),
            SetLateral(t(0.8), 0.0),
            Noted(t(0.95), "closure"),
        ),
    )


def _lagging(script: Script, t: _Timeline) -> Script:
    """Lost when a vessel is lifted that is the second to be lifted; each note is written after the act."""
    lag = t.short(0.04, 20.0)
    return replace(
        script,
        events=(
            *_opening(t),
            Noted(t(0.5) + lag, "vessel-lifted", {"vessel": "PICA"}),
            SetLateral(t(0.75), 0.0),
            Noted(t(0.75) + lag, "vessel-lifted", {"vessel": "AICA"}),
            Noted(t(0.8) + lag, "teflon-in", {"vessel": "AICA"}),
            Noted(t(0.95), "closure"),
        ),
    )


def _quiet(script: Script, t: _Timeline) -> Script:
    """Lost at decompression in a silent face and a clean room."""
    lost = _lost_at_decompression(script, t)
    face = replace(lost.face, background={}, crosstalk={})
    return replace(lost, face=face, room=replace(lost.room, mains=Mains(size=0.3e-6), drift=Drift(size=5e-6)))


def _noisy(script: Script, t: _Timeline) -> Script:
    """Lost at decompression amid hum, active muscles, spasms, cautery, taps and faulty marks."""
    lost = _lost_at_decompression(script, t)
    active: dict[str, MotorUnits | Interference] = {
        "Frontalis": Interference(rms=6e-6),
        "OrbOculi": MotorUnits(units=7, size=25e-6),
        "OrbOris": Interference(rms=8e-6),
        "Mentalis": MotorUnits(units=6, size=20e-6),
    }
    events = (
        *lost.events,
        Spasm(t(0.14), t(0.14) + t.short(0.03, 8.0)),
        Spasm(t(0.47), t(0.47) + t.short(0.04, 12.0)),
        Cautery(t(0.40), t(0.40) + t.short(0.03, 15.0)),
        Movement(t(0.25)),
        Movement(t(0.66), "Mentalis", 3e-3),
        TriggerFault(t(0.2), t(0.3), "missed stimulus", 0.08),
        TriggerFault(t(0.44), t(0.5), "missed mark", 0.1),
        TriggerFault(t(0.7), t(0.8), "double mark", 0.1),
    )
    room = replace(lost.room, mains=Mains(size=20e-6), drift=Drift(size=150e-6), trigger_jitter=30e-6)
    return replace(lost, face=replace(lost.face, background=active), room=room, events=events)


def _mapped(script: Script, t: _Timeline) -> Script:
    """Two arteries are mapped with a probe before and after the one that conducts is lifted."""
    lost = _lost_at_decompression(script, t)
    currents = (0.2, 0.5)
    runs = [
        *probe_series(t(0.46), "AICA", currents, count=4),
        *probe_series(t(0.46) + 8.0, "PICA", currents, count=4),
        *probe_series(t(0.8), "AICA", currents, count=4),
    ]
    paused = [Pause(run.begin - 0.3, run.begin + run.count / run.rate + 0.3) for run in runs]
    return replace(
        lost,
        events=(*lost.events, *paused),
        arteries=(Artery("AICA", until=t(0.55)),),
        probes=tuple(runs),
    )


def _irritation(script: Script, t: _Timeline) -> Script:
    """The nerve is irritated: a spasm, then bursts, A-trains, a B- and a C-train around the decompression."""
    lost = _lost_at_decompression(script, t)

    def does(muscle: str, pattern: str, at: float, seconds: float, rate: float | None = None) -> Irritation:
        return Irritation(muscle, Pattern(pattern, t(at), seconds, 150e-6, rate))

    return replace(
        lost,
        events=(
            *lost.events,
            Spasm(t(0.40), t(0.40) + t.short(0.1, 8.0)),
            does("Mentalis", "burst", 0.52, 0.08),
            does("OrbOris", "burst", 0.535, 0.12),
            does("Mentalis", "a_train", 0.56, 1.5, 120.0),
            does("Frontalis", "burst", 0.60, 0.1),
            does("OrbOculi", "a_train", 0.64, 2.5, 85.0),
            does("OrbOris", "a_train", 0.72, 0.6, 180.0),
            does("OrbOculi", "b_train_spikes", 0.78, 3.0, 6.0),
            does("Mentalis", "a_train", 0.86, 0.3, 100.0),
            does("OrbOris", "c_train", 0.87, 2.0),
        ),
    )


def _intensity(script: Script, t: _Timeline) -> Script:
    """The current is lowered below the response's threshold, then raised above the baseline's."""
    return replace(
        script,
        events=(
            *_opening(t),
            *(Intensity(t(0.5), s.site, 4.5) for s in script.stimulations),
            *(Intensity(t(0.65), s.site, s.ma) for s in script.stimulations),
            *(Intensity(t(0.8), s.site, 20.0) for s in script.stimulations),
        ),
    )


_SCENARIOS: Mapping[str, Callable[[Script, _Timeline], Script]] = MappingProxyType(
    {
        "lost-at-decompression": _lost_at_decompression,
        "lost-early": _lost_early,
        "persisting": _persisting,
        "reappearing": _reappearing,
        "never-elicited": _never_elicited,
        "cannot-judge": _cannot_judge,
        "two-step": _two_step,
        "tandem": _tandem,
        "delayed": _delayed,
        "lagging": _lagging,
        "intermittent": _intermittent,
        "intensity": _intensity,
        "irritation": _irritation,
        "mapped": _mapped,
        "volatile": _volatile,
        "quiet": _quiet,
        "noisy": _noisy,
    }
)


def scenarios() -> dict[str, str]:
    """What `scenario` knows: name and one line about it."""
    return {name: (make.__doc__ or "").strip() for name, make in _SCENARIOS.items()}


def scenario(name: str, *, minutes: float, fs: float, rate: float = 1.1, spares: bool = False) -> Script:
    """A ready script.

    Parameters
    ----------
    name
        One of `scenarios`.
    minutes
        Length, rounded up to whole seconds.
    fs
        Sampling rate, in Hz.
    rate
        Of stimulation per site, in Hz; the two sites alternate. 1.1 does not divide the mains.
    spares
        Also record Nasalis and Masseter.

    Raises
    ------
    ValueError
        If the name is unknown, or the case is too short for 20 sweeps per site before its baseline.
    """
    if name not in _SCENARIOS:
        raise ValueError(f"no scenario {name!r}, only {', '.join(_SCENARIOS)}")
    seconds = -int(-minutes * 60 // 1)
    if (seconds * _BASELINE - 0.5 - 0.5 / rate) * rate < 20:
        least = (20.5 / rate + 0.5) / _BASELINE / 60
        raise ValueError(
            f"20 sweeps of {rate:g} Hz before the baseline need {least:.2f} minutes or more, got {minutes:g}"
        )
    script = Script(
        name=name,
        seconds=seconds,
        face=with_spares(usual_face()) if spares else usual_face(),
        amplifier=Amplifier(fs=fs),
        stimulations=(
            Stimulation("zygomatic", rate, begin=0.5),
            Stimulation("mandibular", rate, begin=0.5 + 0.5 / rate, ma=10.0),
        ),
        room=usual_room(),
    )
    return _SCENARIOS[name](script, _Timeline(seconds))
