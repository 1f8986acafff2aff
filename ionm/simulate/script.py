"""The words a simulated case is written in: a face, an amplifier, and what happens when.

All times are in s from the start of the case. A script says what is true; what a detector makes
of it is not its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ionm.simulate.arteries import Artery, Probe
from ionm.simulate.emg import Interference, MotorUnits
from ionm.simulate.facial_nerve import FWave, LateralSpread, MWave
from ionm.simulate.operating_room import Drift, Mains, StimulusArtefact
from ionm.simulate.trains import Pattern
from ionm.stream import Samples

Counts = NDArray[np.int64]

OWN_MUSCLE = {"zygomatic": "OrbOculi", "mandibular": "Mentalis"}
"""The muscle of the stimulated branch: role ``m_control``."""

CONTROLS = ("Masseter",)
"""Muscles of another nerve: a spasm of the face leaves them alone."""


@dataclass(frozen=True, slots=True)
class Face:
    """One side of a face: which muscle answers which site, and how they sound in each other's channel.

    Parameters
    ----------
    muscles
        Recorded muscles, one channel each, in order.
    direct
        M-waves, by derivation ("zygomatic>OrbOculi").
    lateral
        Lateral spread responses, by derivation; gain 1 unless the script changes it.
    late
        F-waves, by derivation of the site's own muscle.
    background
        Ongoing activity, by muscle; a muscle left out is silent.
    crosstalk
        Fraction of everything muscle a does that is heard, without delay, in the channel of muscle
        b, by (a, b): volume conduction.
    """

    muscles: tuple[str, ...]
    direct: Mapping[str, MWave]
    lateral: Mapping[str, LateralSpread]
    late: Mapping[str, FWave]
    background: Mapping[str, MotorUnits | Interference]
    crosstalk: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Amplifier:
    """How the channels are recorded.

    Parameters
    ----------
    fs
        Sampling rate, in Hz; whole, and at least 2000 to hold the EMG's band.
    rails
        The converter's end, in V: the range is -rails to +rails.
    bits
        Of the converter: 16 gives steps of 0.31 uV at +-10 mV, 24 of 1.2 nV.
    noise
        White noise of amplifier and needles, in V per root Hz: 30 nV (general knowledge; 5 kOhm
        alone make 9 nV), 2.1 uV rms at 10 kHz sampling.
    """

    fs: float
    rails: float = 10e-3
    bits: int = 16
    noise: float = 30e-9

    def __post_init__(self) -> None:
        if self.fs != int(self.fs) or self.fs < 2000:
            raise ValueError(f"need a whole sampling rate of at least 2000 Hz, got fs={self.fs:g} Hz")
        if self.bits not in (16, 24):
            raise ValueError(f"converters have 16 or 24 bits here, got bits={self.bits}")

    @property
    def top(self) -> int:
        """The count at the upper rail; the lower one is its negative, so that zero is exact."""
        return int(2 ** (self.bits - 1)) - 1

    def volts(self, counts: Counts) -> Samples:
        """What counts stand for, in V: by way of uV, as a recording in uV is read."""
        microvolts = self.rails * 1e6 * 2 / (2 * self.top)
        return counts.astype(np.float64) * microvolts * 1e-6


@dataclass(frozen=True, slots=True)
class Room:
    """What the operating room adds all the time.

    Parameters
    ----------
    artefact
        Of the stimulus, at 10 mA on the nearest channel.
    reach
        Size of the artefact on each channel relative to the nearest, by (site, channel); 0.5 if
        left out.
    mains
        Hum.
    drift
        Of the electrodes.
    trigger_jitter
        Standard deviation of the mark against the stimulus, in s; the mark's own rounding to a
        sample comes on top.
    """

    artefact: StimulusArtefact = field(default_factory=StimulusArtefact)
    reach: Mapping[tuple[str, str], float] = field(default_factory=dict)
    mains: Mains = field(default_factory=Mains)
    drift: Drift = field(default_factory=Drift)
    trigger_jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Stimulation:
    """A site stimulated at a steady rate.

    Parameters
    ----------
    site
        "zygomatic", "mandibular" ...
    rate
        In Hz; 1.1 by default, since divisors of the mains lock its phase into the average.
    begin
        Of the first stimulus, in s.
    ma
        Current, in mA.
    """

    site: str
    rate: float = 1.1
    begin: float = 0.5
    ma: float = 12.0


@dataclass(frozen=True, slots=True)
class SetLateral:
    """From ``at`` on, over ``over`` s, the lateral spread of a derivation goes to this gain.

    Parameters
    ----------
    at
        Begin, in s.
    gain
        1 as at the start, 0 absent.
    derivation
        "zygomatic>Mentalis"; None for all.
    over
        Length of the linear ramp, in s; 0 for a step.
    probability
        Fraction of stimuli that are answered while the gain is not 0; holds from ``at`` on.
    """

    at: float
    gain: float
    derivation: str | None = None
    over: float = 0.0
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Noted:
    """A note of the technologist, written into the recording as ``note/<event>``."""

    at: float
    event: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cautery:
    """Monopolar cautery on all channels from ``begin`` to ``end``; with notes if someone writes them."""

    begin: float
    end: float
    noted: bool = False


@dataclass(frozen=True, slots=True)
class ElectrodeOff:
    """A channel's electrode has come off from ``begin`` to ``end``: "mains" or "flat"."""

    begin: float
    end: float
    channel: str
    kind: str = "mains"

    def __post_init__(self) -> None:
        if self.kind not in ("mains", "flat"):
            raise ValueError(f'an electrode that is off shows "mains" or "flat", got kind={self.kind!r}')


@dataclass(frozen=True, slots=True)
class Movement:
    """A tap or pull at ``at`` on one channel, or on all (None); ``size`` in V."""

    at: float
    channel: str | None = None
    size: float = 1.5e-3


@dataclass(frozen=True, slots=True)
class Relaxant:
    """A neuromuscular blocker: every muscle's answer falls to ``remaining`` and comes back.

    Parameters
    ----------
    at
        Given, in s.
    remaining
        Fraction of the muscle fibres that still answer at full effect.
    onset
        From ``at`` to full effect, in s: minutes in theatre.
    hold
        Full effect, in s.
    recovery
        Back to 1, in s; None: not within the case.
    noted
        Whether someone writes ``note/relaxant``.
    """

    at: float
    remaining: float
    onset: float = 90.0
    hold: float = 600.0
    recovery: float | None = 900.0
    noted: bool = True


@dataclass(frozen=True, slots=True)
class Intensity:
    """From ``at`` on the site is stimulated with ``ma`` mA."""

    at: float
    site: str
    ma: float


@dataclass(frozen=True, slots=True)
class Pause:
    """No stimulus, and no mark, from ``begin`` to ``end``; one site or all (None)."""

    begin: float
    end: float
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Spasm:
    """Spontaneous spasm in all muscles of the face from ``begin`` to ``end``."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Irritation:
    """A muscle does something on its own: a pattern of free-run EMG, its times those of the case."""

    muscle: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class TriggerFault:
    """Marks and stimuli that disagree from ``begin`` to ``end``.

    Parameters
    ----------
    begin, end
        In s.
    kind
        "missed stimulus": a mark, no stimulus. "missed mark": a stimulus, no mark. "double mark":
        a second mark after the true one.
    probability
        Per stimulus.
    site
        One site or all (None).
    gap
        From the true mark to the second one, in s.
    """

    begin: float
    end: float
    kind: str
    probability: float = 1.0
    site: str | None = None
    gap: float = 3e-3

    def __post_init__(self) -> None:
        kinds = ("missed stimulus", "missed mark", "double mark")
        if self.kind not in kinds:
            raise ValueError(f"a trigger fault is one of {', '.join(kinds)}, got kind={self.kind!r}")


Event = (
    SetLateral
    | Noted
    | Cautery
    | ElectrodeOff
    | Movement
    | Relaxant
    | Intensity
    | Pause
    | Spasm
    | Irritation
    | TriggerFault
)


@dataclass(frozen=True, slots=True)
class Script:
    """A whole case.

    Parameters
    ----------
    name
        Of the scenario.
    seconds
        Length; whole.
    face, amplifier, room
        Who, with what, where.
    stimulations
        Sites and rates.
    events
        What happens.
    side
        "L" or "R".
    arteries
        Those near the nerve.
    probes
        When their walls are stimulated.
    """

    name: str
    seconds: int
    face: Face
    amplifier: Amplifier
    stimulations: tuple[Stimulation, ...]
    events: tuple[Event, ...] = ()
    room: Room = field(default_factory=Room)
    side: str = "L"
    arteries: tuple[Artery, ...] = ()
    probes: tuple[Probe, ...] = ()

    def __post_init__(self) -> None:
        if self.seconds < 1 or self.seconds != int(self.seconds):
            raise ValueError(f"a case lasts whole seconds, got seconds={self.seconds!r}")
        for event in self.events:
            derivation = event.derivation if isinstance(event, SetLateral) else None
            if derivation is not None and derivation not in self.face.lateral:
                known = ", ".join(self.face.lateral)
                raise ValueError(f"no lateral spread {derivation!r} in this face, only {known}")
            channel = event.channel if isinstance(event, (ElectrodeOff, Movement)) else None
            channel = event.muscle if isinstance(event, Irritation) else channel
            if channel is not None and channel not in self.face.muscles:
                raise ValueError(f"no channel {channel!r} in this face, only {', '.join(self.face.muscles)}")
