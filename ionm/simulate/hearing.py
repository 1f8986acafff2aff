"""A simulated hearing case: clicks to either ear, two channels, coloured noise, and what goes wrong.

The stream is made in seconds that stand alone, as in `ionm.simulate.case`. Clicks lie on whole samples
(the stimulator and the amplifier share a clock), so a response is computed once per state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ionm.simulate import operating_room
from ionm.simulate.auditory import NAMES, Baep, Condition, State, contralateral
from ionm.simulate.seeds import generator
from ionm.stream import Channel, Chunk, Note, Samples, StreamInfo, Trigger

CHANNELS = {"L": "Cz-A1", "R": "Cz-A2"}
"""The channel of each ear's own side."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Ongoing activity of brain and muscle, each Gaussian with its own colour.

    Parameters
    ----------
    rms
        Of both together between 100 and 3000 Hz, in V: 1 to 2 uV under anaesthesia (hearing.md 4.13).
    exponent
        Power of the brain's part falls by frequency to this exponent: 0 white, 1, 2.
    muscle
        Share of the power in that band that is muscle: white there.
    """

    rms: float = 1.5e-6
    exponent: float = 1.0
    muscle: float = 0.0

    def second(self, fs: float, seed: int, channel: str, number: int) -> Samples:
        """Second ``number`` of one channel, in V: stretches of 2 s, faded into each other."""
        n = round(fs)
        fade = np.sin(np.pi / 2 * (np.arange(n) + 0.5) / n)
        first = _stretch(self, fs, seed, channel, number - 1)[n:]
        second = _stretch(self, fs, seed, channel, number)[:n]
        return np.asarray(first * fade[::-1] + second * fade)


@lru_cache(maxsize=4)
def _gains(noise: Noise, fs: float, n: int) -> Samples:
    """What makes n samples of this noise from a spectrum of unit white noise."""
    f = np.fft.rfftfreq(n, 1 / fs)
    band = (f >= 100.0) & (f <= 3000.0)
    # below 10 Hz no steeper: electrodes and high-pass see to that
    brain = np.maximum(f, 10.0) ** -noise.exponent
    brain *= (1 - noise.muscle) / np.sum(brain[band])
    muscle = np.where(f >= 20.0, 1.0, 0.0) * noise.muscle / np.count_nonzero(band)
    return np.asarray(noise.rms * np.sqrt(brain + muscle) * n / 2)


@lru_cache(maxsize=4)
def _stretch(noise: Noise, fs: float, seed: int, channel: str, number: int) -> Samples:
    n = 2 * round(fs)
    white = generator(seed, "hearing", channel, number + 1).standard_normal((2, n // 2 + 1))
    return np.asarray(np.fft.irfft((white[0] + 1j * white[1]) * _gains(noise, fs, n), n))


@dataclass(frozen=True, slots=True)
class Injury:
    """From ``at`` on, over ``over`` s, waves of an ear go to this shift and gain, and stay there.

    Parameters
    ----------
    at
        Begin, in s.
    shift
        Added to their latency, in s.
    gain
        1 as at the start, 0 lost.
    waves
        Which. The nerve stretched: III, IV and V; the brainstem: IV and V; the ear: all.
    over
        Length of the linear ramp, in s; 0 for a step.
    ear
        "L" or "R".
    """

    at: float
    shift: float = 0.0
    gain: float = 1.0
    waves: tuple[str, ...] = ("III", "IV", "V")
    over: float = 0.0
    ear: str = "L"


@dataclass(frozen=True, slots=True)
class TubeOut:
    """From ``at`` to ``until``, in s, the earphone's tube is out: clicks are marked, none is heard."""

    at: float
    until: float
    ear: str = "L"


@dataclass(frozen=True, slots=True)
class Temperature:
    """From ``at`` on, over ``over`` s, the brain goes to this temperature in degrees C."""

    at: float
    celsius: float
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class NoClicks:
    """From ``at`` to ``until``, in s, no click is given and none is marked."""

    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill from ``at`` to ``until``, in s.

    It adds muscle-like noise of ``rms`` V, and bone conducts it to both ears, where it masks the
    clicks: waves come later and smaller while it runs (hearing.md 7.1; the sizes are general knowledge).
    """

    at: float
    until: float
    rms: float = 4e-6
    shift: float = 0.3e-3
    gain: float = 0.6


@dataclass(frozen=True, slots=True)
class Burn:
    """Cautery from ``at`` to ``until``, in s."""

    at: float
    until: float


Happening = Injury | TubeOut | Temperature | NoClicks | Drill | Burn


@dataclass(frozen=True, slots=True)
class HearingScript:
    """A hearing case.

    Parameters
    ----------
    seconds
        Length; whole.
    events
        What happens, in order of time.
    ears
        Stimulated ears, in turn: with two, each has ``rate`` clicks per s.
    rate, level
        Clicks per s and ear; dB nHL.
    fs
        Whole, in Hz.
    baep, noise
        Patient.
    polarity
        "rarefaction", "condensation" or "alternating".
    artefact
        Of the click's coil on the ear's own channel, in V; follows the polarity, over within 0.8 ms.
    rails
        End of the converter, in V.
    channels
        Which of `CHANNELS` are recorded.
    """

    seconds: int
    events: tuple[Happening, ...] = ()
    ears: tuple[str, ...] = ("L",)
    rate: float = 43.9
    level: float = 80.0
    fs: float = 20_000.0
    baep: Baep = field(default_factory=Baep)
    noise: Noise = field(default_factory=Noise)
    polarity: str = "alternating"
    artefact: float = 5e-6
    rails: float = 1e-3
    channels: tuple[str, ...] = ("Cz-A1", "Cz-A2")

    def __post_init__(self) -> None:
        unknown = set(self.channels) - set(CHANNELS.values())
        if unknown:
            raise ValueError(f"channels are {', '.join(CHANNELS.values())}, got {', '.join(sorted(unknown))}")
        if self.fs != int(self.fs):
            raise ValueError(f"need a whole rate of samples, got fs={self.fs:g} Hz")
        kinds = ("rarefaction", "condensation", "alternating")
        if self.polarity not in kinds:
            raise ValueError(f"a click's polarity is one of {', '.join(kinds)}, got {self.polarity!r}")


class SimulatedHearing:
    """A scripted hearing case as a source of chunks.

    Parameters
    ----------
    script
        What happens.
    seed
        Of everything random, not negative.

    Attributes
    ----------
    info : StreamInfo
        Rate, and the channels of both ears.
    triggers
        Site "click" with ear, polarity, level and rate, in order.
    """

    def __init__(self, script: HearingScript, seed: int) -> None:
        self.script = script
        self.seed = seed
        rails = (-script.rails, script.rails)
        self.info = StreamInfo(script.fs, tuple(Channel(name, "eeg", rails) for name in script.channels))
        self.triggers = tuple(self._clicks())
        self._samples = np.array([t.sample for t in self.triggers])
        self._sides = {
            (ear, side): script.baep if ear == side else contralateral(script.baep)
            for ear in CHANNELS
            for side in CHANNELS
        }
        self._length = round(0.02 * script.fs)  # s: beyond it every wave is over
        self._known: dict[tuple[str, tuple[tuple[str, tuple[float, float]], ...]], Samples] = {}

    def _clicks(self) -> Iterator[Trigger]:
        script = self.script
        silent = [(e.at, e.until) for e in script.events if isinstance(e, NoClicks)]
        polarities = ("rarefaction", "condensation")
        per_second = script.rate * len(script.ears)
        for k in range(int((script.seconds - 0.1) * per_second)):
            # the first click after 50 ms, so that its prestimulus is there
            sample = round((0.05 + k / per_second) * script.fs)
            number, which = divmod(k, len(script.ears))
            if any(a <= sample / script.fs < b for a, b in silent):
                continue
            polarity = polarities[number % 2] if script.polarity == "alternating" else script.polarity
            yield Trigger(
                sample,
                "click",
                {
                    "ear": script.ears[which],
                    "polarity": polarity,
                    "level": f"{script.level:g}",
                    "rate": f"{script.rate:g}",
                },
            )

    def state(self, ear: str, time: float) -> State:
        """The truth: shift (s) and gain of an ear's waves at a time in s, against the usual condition."""
        script = self.script
        celsius = 37.0
        shifts, gains = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 1.0)
        for event in script.events:
            if isinstance(event, Temperature):
                celsius += (event.celsius - celsius) * _share(time, event.at, event.over)
            elif isinstance(event, Injury) and event.ear == ear:
                share = _share(time, event.at, event.over)
                for name in event.waves:
                    shifts[name] += (event.shift - shifts[name]) * share
                    gains[name] += (event.gain - gains[name]) * share
        for event in script.events:
            if isinstance(event, TubeOut) and event.ear == ear and event.at <= time < event.until:
                gains = dict.fromkeys(NAMES, 0.0)
            elif isinstance(event, Drill) and event.at <= time < event.until:
                shifts = {name: shift + event.shift for name, shift in shifts.items()}
                gains = {name: gain * event.gain for name, gain in gains.items()}
        condition = Condition(script.rate, script.level, celsius)
        found = {}
        for name in NAMES:
            shift, gain = condition.of(name)
            found[name] = (shift + shifts[name], gain * gains[name])
        return found

    def truth(self) -> list[Mapping[str, Any]]:
        """What happens, in the words of the events, times in s."""
        return [
            {"kind": type(e).__name__, **{k: getattr(e, k) for k in e.__dataclass_fields__}}
            for e in self.script.events
        ]

    def volts(self, number: int) -> Samples:
        """Second ``number`` before the converter: shape (n_channels, fs), in V, within the rails."""
        script, fs = self.script, self.script.fs
        n = round(fs)
        start = number * n
        times = (start + np.arange(n)) / fs
        out = np.stack([script.noise.second(fs, self.seed, name, number) for name in self.info.names])
        first, last = np.searchsorted(self._samples, (start - self._length, start + n))
        for trigger in self.triggers[first:last]:
            self._respond(out, trigger, trigger.sample - start)
        for event in script.events:
            if isinstance(event, Drill) and event.at < times[-1] and event.until > times[0]:
                rng = generator(self.seed, "drill", number)
                out += (
                    event.rms * rng.standard_normal(out.shape) * ((times >= event.at) & (times < event.until))
                )
            elif isinstance(event, Burn) and event.at <= times[-1] and event.until + 2.0 > times[0]:
                for row in range(len(out)):
                    left = generator(self.seed, "burn", round(event.until * 1e3)).uniform(-5e-3, 5e-3)
                    rng = generator(self.seed, "burn", "sparks", number)
                    out[row] += operating_room.cautery(times, event.at, event.until, left=left, rng=rng)
        return np.clip(out, -script.rails, script.rails)

    def _respond(self, out: Samples, trigger: Trigger, at: int) -> None:
        """Add one click's response and artefact to both channels, in place, from column ``at`` on."""
        ear = trigger.attributes["ear"]
        state = self.state(ear, trigger.sample / self.script.fs)
        first, last = max(at, 0), min(at + self._length, out.shape[1])
        for row, name in enumerate(self.info.names):
            side = next(side for side, channel in CHANNELS.items() if channel == name)
            response = self._response((ear, side), state)
            out[row, first:last] += response[first - at : last - at]
        if CHANNELS[ear] not in self.info.names:
            return
        own = self.info.names.index(CHANNELS[ear])
        sign = -1.0 if trigger.attributes["polarity"] == "condensation" else 1.0
        length = round(0.8e-3 * self.script.fs)
        decay = np.exp(-np.arange(length) / (0.12e-3 * self.script.fs))
        end = min(at + length, out.shape[1])
        if first < end:
            out[own, first:end] += sign * self.script.artefact * decay[first - at : end - at]

    def _response(self, who: tuple[str, str], state: State) -> Samples:
        key = ("".join(who), tuple(state.items()))
        if key not in self._known:
            if len(self._known) > 64:
                self._known.clear()  # a ramp has a state per click; only the newest are asked for again
            times = np.arange(self._length) / self.script.fs
            self._known[key] = self._sides[who].at(times, state)
        return self._known[key]

    @property
    def notes(self) -> tuple[Note, ...]:
        """Cautery and drill as someone would note them, in order."""
        last = self.script.seconds * round(self.script.fs) - 1
        written = []
        for event in self.script.events:
            if isinstance(event, (Burn, Drill)):
                name = "cautery" if isinstance(event, Burn) else "drill"
                written += [(event.at, f"{name}-on"), (event.until, f"{name}-off")]
        samples = sorted((min(round(at * self.script.fs), last), name) for at, name in written)
        return tuple(Note(sample, sample, name) for sample, name in samples)

    def chunks(self, seconds: float) -> Iterator[Chunk]:
        """The case in chunks of this length in s, each within one second of the case."""
        length = max(round(seconds * self.info.fs), 1)
        notes = self.notes
        for number in range(self.script.seconds):
            data = self.volts(number)
            valid = np.abs(data) < self.script.rails
            start = number * data.shape[1]
            first, last = np.searchsorted(self._samples, (start, start + data.shape[1]))
            clicks = self.triggers[first:last]
            for begin in range(start, start + data.shape[1], length):
                end = min(begin + length, start + data.shape[1])
                part = slice(begin - start, end - start)
                yield Chunk(
                    np.ascontiguousarray(data[:, part]),
                    np.ascontiguousarray(valid[:, part]),
                    begin,
                    tuple(t for t in clicks if begin <= t.sample < end),
                    tuple(note for note in notes if begin <= note.accepted < end),
                )

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks(0.1)


def _share(time: float, at: float, over: float) -> float:
    """How much of a change has come about: 0 before ``at``, 1 from ``at + over`` on."""
    if time < at:
        return 0.0
    return 1.0 if over <= 0 else min((time - at) / over, 1.0)
