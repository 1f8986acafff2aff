"""Take mains hum away, also from sweeps locked to a stimulus, where a notch may not stand.

A notch rings behind every artefact and M-wave. Here the hum is foretold and subtracted::

    y[c, t] = x[c, t] - Re(sum over k of A[c, k] exp(2 pi i k phase(t))),   k = 1 ... harmonics

One clock (phase, frequency, slope) is common to all channels and harmonics, since one grid drives
them all; a complex amplitude A belongs to each channel and harmonic. Nothing is learnt from a
sample before it has passed, so the delay is zero; nothing is learnt while the patient answers a
stimulus, so a response stays as it was.

**What is seen.** In windows of two periods (33 or 40 ms), weighted by a triangle, the residual is
correlated with every oscillator and the window's own level taken away. The triangle is a moving
average of one period over another: it has double zeros at direct current and at all other
harmonics, so electrode offset and its drift do not leak in. A window runs from the end of one
freeze to the begin of the next or is dropped.

**What is believed.** The clock is a Kalman filter of three states (a phase-locked loop whose
bandwidth follows from the noise: Patapoutian 1999), its measurement the weighted mean phase of
all amplitudes. What the clock explains is turned back; the rest corrects the amplitudes, each by
a Kalman filter of its own, in which the noise is the mean difference of successive windows. Without
noise both follow within a few windows; in noise they average over seconds (clock) and minutes
(amplitudes), so that little of the EMG is taken away with the hum. An outlying window counts less; a
change of the hum is seen as a mean deviation over some windows and taken over at once. An
amplitude is taken away only while it exceeds its uncertainty (5 standard errors): without hum the
samples leave as they came, bit for bit.

**Limits** (own measurements, `benchmarks/line_noise.py`; "left" is the root mean square of the output
less the signal without hum). Nothing is taken away in the first 0.3 s (8 windows); ``auto`` takes up to
2 s more. Locks within 0.5 Hz of the nominal frequency. Of 20 uV without noise less than 0.003 uV are left
2 to 3 s after the start or a jump of the phase, if the frequency drifts smoothly; 0.005 uV if it walks at
random (2 mHz in the root of a second); 200 uV of drift at 0.7 Hz leak 0.02 uV. In noise of one-sided
density S an average over T s leaves the root of S / T at each harmonic, and the clock, which must follow the
grid, averages over a second or two. Hence in 5 uV of EMG that reaches to 10 kHz less than 0.1 uV are
left after 6 s; in 5 uV of EMG of 20 to 500 Hz, whose density is twenty times as high, 0.25 uV with one
channel, and 0.1 uV with sixteen after half a minute. Hum below five standard errors, or too weak in a
window's noise to find the clock by, is let through: 20 uV in needle EMG of 80 uV is not found. During
cautery that nobody marks the hum stays cancelled; the amplifier's recovery may pass for hum for a second.
A step of the frequency (an emergency generator) takes some 10 s in noise. Stimuli in quicker succession
than ``freeze`` + 40 ms leave no window: the hum is foretold for 10 s, then let through. Channels share the
clock, so a bad sample in one moves the others, but within their noise. Segmented streams pass as they
are: a stretch is shorter than the search.

Phases are kept in turns below one and oscillators made anew every few milliseconds: nothing
drifts, however long the stream. The sample grid begins with the stream; after a gap it begins anew.

References
----------
Widrow B et al. Adaptive noise cancelling: principles and applications. Proc IEEE 1975;63:1692-1716.
Patapoutian A. On phase-locked loops and Kalman filters. IEEE Trans Commun 1999;47:670-672.
Levkov C et al. Removal of power-line interference from the ECG: a review of the subtraction
procedure. Biomed Eng Online 2005;4:50 (foretells the hum where the signal is not to be trusted).
Keshtkaran MR, Yang Z. A fast, robust algorithm for power line interference cancellation in neural
recording. J Neural Eng 2014;11:026017 (one frequency, an amplitude per harmonic).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Literal, Protocol

from ionm import compiled
from ionm.errors import SetupError
from ionm.filters.canceller import Canceller, tile_length
from ionm.protocols import RunningFilter
from ionm.stream import Chunk, StreamInfo

GRIDS = (50.0, 60.0)
"""Nominal frequencies of the world's grids, in Hz (general knowledge)."""


@dataclass(frozen=True, slots=True)
class LineNoise:
    """Take mains hum away. Comes first in a chain, behind the blanking.

    A sample that is invalid (or no number) holds the channel's last output and is not valid; nothing
    is learnt of the channel from its window. All other samples stay as valid as they were.

    Parameters
    ----------
    frequency
        Nominal frequency of the mains, in Hz; "auto" looks for 50 and 60 Hz in turn.
    harmonics
        How many multiples of it are taken away, itself included. Nine reach 540 Hz; hum is mostly
        odd harmonics, and rectifiers add even ones (general knowledge).
    freeze
        How long after a stimulus nothing is learnt, in s. Lateral spread and after-discharge are
        over by 50 ms (`facial.md` 1.4).
    harmless
        Sites whose stimuli freeze nothing (the ear's click reaches no facial muscle).
    """

    frequency: float | Literal["auto"] = "auto"
    harmonics: int = 9
    freeze: float = 0.05
    harmless: tuple[str, ...] = ("click",)

    def __post_init__(self) -> None:
        if self.frequency != "auto" and not 40.0 <= self.frequency <= 70.0:
            raise ValueError(f'need frequency "auto" or 40 to 70 Hz, got frequency={self.frequency!r}')
        if not (1 <= self.harmonics <= 32 and self.harmonics % 1 == 0):
            raise ValueError(f"need 1 to 32 harmonics, got harmonics={self.harmonics!r}")
        if not 0 <= self.freeze <= 1:
            raise ValueError(f"need 0 <= freeze <= 1 s, got freeze={self.freeze:g} s")

    @property
    def frequencies(self) -> tuple[float, ...]:
        """The nominal frequencies that are looked for, in Hz."""
        return GRIDS if self.frequency == "auto" else (float(self.frequency),)

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running canceller; `SetupError` if the harmonics do not fit the stream."""
        return start_on(None, self, info)

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream that comes out: ``info``."""
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Zero."""
        del info, frequency
        return 0.0


class RunningCanceller(Protocol):
    """`Canceller` or its compiled form."""

    def push(self, chunk: Chunk, stimuli: tuple[int, ...]) -> Chunk:
        """The chunk without its hum."""
        ...


class _RunningLineNoise:
    def __init__(self, canceller: RunningCanceller, harmless: tuple[str, ...]) -> None:
        self._canceller, self._harmless = canceller, harmless

    def push(self, chunk: Chunk) -> Chunk:
        stimuli = tuple(t.sample for t in chunk.triggers if t.site not in self._harmless)
        return self._canceller.push(chunk, stimuli)


class _Unchanged:
    def push(self, chunk: Chunk) -> Chunk:
        return chunk


def start_on(path: str | None, spec: LineNoise, info: StreamInfo) -> RunningFilter:
    """A fresh running canceller on a chosen path, for tests and benchmarks: the bits are the same.

    Parameters
    ----------
    path
        One of `ionm.compiled.paths`; None takes what IONM_KERNEL says or else the fastest.
    spec
        The settings.
    info
        The stream.

    Raises
    ------
    SetupError
        If the harmonics do not fit the stream, or this machine lacks the path.
    """
    path = compiled.choose(path)
    highest = max(spec.frequencies) * spec.harmonics
    if not highest < info.fs / 2:
        raise SetupError(
            f"harmonic {spec.harmonics} of the mains, {highest:g} Hz, must lie below {info.fs / 2} Hz, "
            f"half of fs={info.fs} Hz"
        )
    if info.segmented:
        return _Unchanged()
    freeze = math.ceil(spec.freeze * info.fs)
    canceller: RunningCanceller
    if compiled.kernels is None or path == "scipy":
        canceller = Canceller(info.n_channels, info.fs, spec.frequencies, spec.harmonics, freeze)
    else:
        frequencies = struct.pack(f"{len(spec.frequencies)}d", *spec.frequencies)
        canceller = compiled.kernels.Canceller(
            info.n_channels, info.fs, frequencies, spec.harmonics, freeze, tile_length(info.fs), path
        )
    return _RunningLineNoise(canceller, spec.harmless)
