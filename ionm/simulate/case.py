"""A simulated case: the stream of a scripted operation, made block by block, and its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ionm.simulate import operating_room
from ionm.simulate.emg import Interference, spasm
from ionm.simulate.script import (
    CONTROLS,
    Cautery,
    Counts,
    ElectrodeOff,
    Irritation,
    Movement,
    Noted,
    Relaxant,
    Script,
    Spasm,
)
from ionm.simulate.seeds import generator
from ionm.simulate.stimuli import Stimulus, gain_at, probability_at, relaxation_at, stimuli
from ionm.simulate.trains import PatternTruth
from ionm.simulate.waves import Train, Volleys, trains
from ionm.stream import Channel, Chunk, Note, Samples, StreamInfo, Trigger


class SimulatedCase:
    """A scripted case as a source of chunks.

    Nothing of the signal is kept: blocks of one second are made when they are asked for, each
    standing alone, so an hours-long case needs the memory of its list of discharges only, and any
    stretch is the same however it is reached.

    Parameters
    ----------
    script
        What happens.
    seed
        Of everything random, not negative.

    Attributes
    ----------
    info : StreamInfo
        Rate and channels (the face's muscles) with the amplifier's rails.
    stimuli : tuple of Stimulus
        Every stimulus and mark, in order of time.
    responses : dict of str to (array of int, Volleys)
        By derivation: the stimuli it answers, as indices into ``stimuli``, and its own response to
        each (crosstalk and F-waves not counted), onsets in s after the stimulus. What is answered to a
        stimulated artery stands under "probe/AICA>Mentalis".
    patterns : list of (str, PatternTruth)
        Muscle and truth of every scripted pattern of free-run EMG, in order of the script.
    triggers, notes
        What is written into the recording, in order.
    """

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self.seed = seed
        low, high = script.amplifier.volts(np.array([-script.amplifier.top, script.amplifier.top]))
        rails = (float(low), float(high))
        channels = tuple(Channel(name, "emg", rails) for name in script.face.muscles)
        self.info = StreamInfo(float(script.amplifier.fs), channels)
        self.stimuli = stimuli(script, seed)
        self._stimulus_times = np.array([stimulus.time for stimulus in self.stimuli])
        self.triggers = tuple(
            sorted(
                (
                    Trigger(s.sample, s.site, {"mA": f"{s.ma:g}", "side": script.side, **s.attributes})
                    for s in self.stimuli
                    if s.sample is not None and 0 <= s.sample < self.n_samples
                ),
                key=lambda trigger: trigger.sample,
            )
        )
        self.notes = _notes(script)
        self.responses: dict[str, tuple[Counts, Volleys]] = {}
        self.patterns: list[tuple[str, PatternTruth]] = []
        self._activity: dict[str, list[Volleys]] = {name: [] for name in script.face.muscles}
        self._answer()
        self._conduct()
        self._go_on()
        self._trains: dict[str, list[Train]] = {name: trains(parts) for name, parts in self._activity.items()}

    @property
    def n_samples(self) -> int:
        """Length of the case, in samples."""
        return int(self.script.seconds * self.script.amplifier.fs)

    def _answer(self) -> None:
        """Make the responses of all derivations to all delivered stimuli."""
        face = self.script.face
        for site in dict.fromkeys(s.site for s in self.stimuli):
            answered = [i for i, s in enumerate(self.stimuli) if s.site == site and s.delivered]
            index = np.array(answered, dtype=np.int64)
            times = np.array([self.stimuli[i].time for i in index])
            ma = np.array([self.stimuli[i].ma for i in index])
            able = relaxation_at(self.script, times)
            for muscle in face.muscles:
                name = f"{site}>{muscle}"
                for kind, answer in (("direct", face.direct), ("late", face.late), ("lateral", face.lateral)):
                    response = answer.get(name)
                    if response is None:
                        continue
                    level = able * response.recruitment.level(ma)
                    rng = generator(self.seed, kind, name)
                    if kind == "lateral":
                        chance = rng.random(len(times))
                        level = level * gain_at(self.script, name, times)
                        level = level * (chance < probability_at(self.script, name, times))
                    volleys = response.volleys(level, rng)
                    self._activity[muscle].append(volleys.delayed(times))
                    if kind != "late":
                        self.responses[name] = (index, volleys)

    def _conduct(self) -> None:
        """Make the responses of the muscles to stimulated arteries, while those touch the nerve."""
        for artery in self.script.arteries:
            probed = [
                i
                for i, s in enumerate(self.stimuli)
                if s.site == "probe" and s.attributes["target"] == artery.name and s.time < artery.until
            ]
            index = np.array(probed, dtype=np.int64)
            times = np.array([self.stimuli[i].time for i in probed])
            ma = np.array([self.stimuli[i].ma for i in probed])
            able = relaxation_at(self.script, times)
            for muscle, response in artery.answers.items():
                name = f"probe/{artery.name}>{muscle}"
                level = able * response.recruitment.level(ma)
                volleys = response.volleys(level, generator(self.seed, "zlr", name))
                self._activity[muscle].append(volleys.delayed(times))
                self.responses[name] = (index, volleys)

    def _go_on(self) -> None:
        """Add what the muscles do on their own."""
        script = self.script
        spans = [(event.begin, event.end) for event in script.events if isinstance(event, Spasm)]
        facial = tuple(muscle for muscle in script.face.muscles if muscle not in CONTROLS)
        own = {muscle: [volleys] for muscle, volleys in spasm(spans, facial, self.seed).items()}
        for number, event in enumerate(script.events):
            if isinstance(event, Irritation):
                rng = generator(self.seed, "irritation", event.muscle, number)
                volleys, truth = event.pattern.volleys(rng)
                own.setdefault(event.muscle, []).append(volleys)
                self.patterns.append((event.muscle, truth))
        for muscle in script.face.muscles:
            background = script.face.background.get(muscle)
            parts = own.get(muscle, [])
            if background is not None and not isinstance(background, Interference):
                parts.append(background.volleys(float(script.seconds), self.seed, muscle))
            for part in parts:
                size = part.size * relaxation_at(script, part.onset[:, 0])[:, None]
                self._activity[muscle].append(Volleys(part.onset, size, part.width, part.order))

    def volts(self, number: int) -> Samples:
        """Second ``number`` before the converter: shape (n_channels, fs), in V, within the rails."""
        script, info = self.script, self.info
        fs, n = info.fs, int(info.fs)
        start = number * n
        times = np.arange(start, start + n) / fs
        muscles = np.zeros((info.n_channels, n))
        for row, name in enumerate(info.names):
            for train in self._trains[name]:
                train.add_to(muscles[row], fs, start)
            background = script.face.background.get(name)
            if isinstance(background, Interference):
                able = relaxation_at(script, times)
                muscles[row] += able * background.block(fs, self.seed, name, number, n)
        out = muscles.copy()
        for (source, target), fraction in script.face.crosstalk.items():
            out[info.names.index(target)] += fraction * muscles[info.names.index(source)]
        out += script.room.mains.at(times, self.seed, info.names)
        noise = script.amplifier.noise * np.sqrt(fs / 2)
        for row, name in enumerate(info.names):
            rng = generator(self.seed, "channel", name, number)
            out[row] += noise * rng.standard_normal(n)
            out[row] += script.room.drift.at(times, self.seed, name)
            self._disturb(out[row], times, name, rng)
        rail = script.amplifier.rails
        return np.clip(out, -rail, rail)

    def _disturb(self, row: Samples, times: Samples, name: str, rng: np.random.Generator) -> None:
        """Put the operating room's passing events on one channel, in place."""
        script, room = self.script, self.script.room
        begin, end = float(times[0]), float(times[-1] + 1 / self.info.fs)
        for event in script.events:
            if (
                isinstance(event, ElectrodeOff)
                and event.channel == name
                and event.begin < end < event.end + 1.0
            ):
                hum = operating_room.Mains(1.0, room.mains.frequency).at(times, self.seed, (name,))[0]
                loose = operating_room.electrode_off(times, hum, event.kind, rng)
                row[:] = np.where((times >= event.begin) & (times < event.end), loose, row)
        for stimulus in self.stimuli_between(begin - room.artefact.length, end):
            size = stimulus.ma / 10.0 * room.reach.get((stimulus.site, name), 0.5)
            first, last = np.searchsorted(times, (stimulus.time, stimulus.time + room.artefact.length))
            row[first:last] += size * room.artefact.at(times[first:last] - stimulus.time)
        for event in script.events:
            if isinstance(event, Movement) and event.channel in (None, name) and begin - 4.0 < event.at < end:
                # each electrode is pulled its own way
                pull = generator(self.seed, "movement", name, round(event.at * 1e3)).uniform(-1.0, 1.0)
                size = event.size * (pull if event.channel is None else 1.0)
                row += operating_room.movement(times, event.at, size)
            elif isinstance(event, Cautery) and event.begin < end and begin - 2.0 < event.end:
                left = generator(self.seed, "cautery", name, round(event.end * 1e3)).uniform(-5e-3, 5e-3)
                row += operating_room.cautery(times, event.begin, event.end, left=left, rng=rng)

    def stimuli_between(self, begin: float, end: float) -> list[Stimulus]:
        """Delivered stimuli with ``begin <= time < end``, in s."""
        first, last = np.searchsorted(self._stimulus_times, (begin, end))
        return [s for s in self.stimuli[first:last] if s.delivered]

    def counts(self, number: int, bits: int | None = None) -> Counts:
        """Second ``number`` as the converter gives it: shape (n_channels, fs), whole counts."""
        bits = bits or self.script.amplifier.bits
        top = 2 ** (bits - 1) - 1
        whole: Samples = np.rint(self.volts(number) * (top / self.script.amplifier.rails))
        return whole.astype(np.int64)

    def chunks(self, seconds: float) -> Iterator[Chunk]:
        """The case in chunks of this length in s, each within one second of the case.

        The samples are those the converter gives, in V, equal to the bit to those that
        `ionm.sources` reads from the case's recording; samples at a rail are not valid.
        """
        length = max(round(seconds * self.info.fs), 1)
        script, top = self.script, self.script.amplifier.top
        for number in range(script.seconds):
            counts = self.counts(number)
            start = number * counts.shape[1]
            stop = start + counts.shape[1]
            for begin in range(start, stop, length):
                end = min(begin + length, stop)
                part = counts[:, begin - start : end - start]
                yield Chunk(
                    np.ascontiguousarray(script.amplifier.volts(part)),
                    np.ascontiguousarray(np.abs(part) < top),
                    begin,
                    tuple(t for t in self.triggers if begin <= t.sample < end),
                    tuple(n for n in self.notes if begin <= n.accepted < end),
                )

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks(0.1)


def simulate_case(script: Script, seed: int) -> SimulatedCase:
    """The case a script and a seed describe: a source of chunks with known truth.

    Parameters
    ----------
    script
        What happens; see `scenario` for the ready ones.
    seed
        Of everything random, not negative.
    """
    return SimulatedCase(script, seed)


def _notes(script: Script) -> tuple[Note, ...]:
    """What someone wrote down during the case, in order."""
    fs, last = script.amplifier.fs, int(script.seconds * script.amplifier.fs) - 1
    written: list[tuple[float, str, Mapping[str, str]]] = []
    for event in script.events:
        if isinstance(event, Noted):
            written.append((event.at, event.event, event.attributes))
        elif isinstance(event, Cautery) and event.noted:
            written += [(event.begin, "cautery-on", {}), (event.end, "cautery-off", {})]
        elif isinstance(event, Relaxant) and event.noted:
            written.append((event.at, "relaxant", {"drug": "rocuronium"}))
    notes = [(min(round(at * fs), last), event, attributes) for at, event, attributes in written]
    notes.sort(key=lambda note: note[0])
    return tuple(Note(sample, sample, event, dict(attributes)) for sample, event, attributes in notes)
