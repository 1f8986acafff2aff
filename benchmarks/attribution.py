"""Wrong names and named losses over randomly scripted operations, at the level of sweeps.

    python benchmarks/attribution.py [--cases 1080] [--seed 1]

Each operation (operations.py) is played as sweeps: responses and backgrounds that passed the protocol's own
blanking, filters and cutter are added up with the gains of the moment, then go through the public per-site
tests, the judge and the naming of vessels, as in a session. Drawn for each operation: background, ratio
(noise-free peak to peak at baseline over RMS behind the filter), shapes, interval, drift of LSR and M-wave,
lags of the notes.

A name is wrong if it holds a vessel that did not take that derivation's LSR, in the derivation's last line. A
loss is attributable if the act on one vessel took it (or the acts on two, one after the other) and a note of
each lies within the span of the rules; it counts as named if exactly those are.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from backgrounds import SIMULATED, Samples
from measures import proportion
from numpy.typing import NDArray
from operations import KINDS, Operation, draw
from responses import VARIETIES, bank, shapes
from sweep_level import DENSE, LEAD, Case, Content, cut

from ionm.events import ArtefactMark, Attribution, Sweep, SweepMeasured
from ionm.filters.chain import Chain
from ionm.judge import Judge
from ionm.manoeuvres import AFTER, BEFORE
from ionm.modality import REFERENCE_FREQUENCY, SiteTests
from ionm.protocol import load
from ionm.simulate import MWave
from ionm.simulate.seeds import generator
from ionm.stream import Channel, Note, StreamInfo, Trigger
from ionm.sweeps import Sweeps
from ionm.vessel import Vessels

FS = 10_000.0
POOL = 400  # sweeps of each kind to draw from
RMS = 5e-6  # V, of the background
BACKGROUNDS = tuple(
    b for b in SIMULATED if b.name in ("white", "pink", "dense EMG", "sparse units", "mains", "drift")
)
MODALITY = load("mvd-hfs").modality()
INFO = StreamInfo(FS, tuple(Channel(name) for name in MODALITY.channels))
LSR = [d for site in MODALITY.sites for d in MODALITY.at(site) if d.role == "lsr"]
INDEX = {d.name: k for k, d in enumerate(LSR)}
MARKED = ("cautery", "foreign_stimulus")  # faults that the path itself would find


def _filtered(row: Samples, marks: NDArray[np.int64]) -> Samples:
    """Sweeps of one channel behind the protocol's filters: shape (n_marks, n_samples), in V."""
    nothing = np.zeros((marks.size, 1))
    made = Content(np.array([row, np.zeros(row.size)]), marks, nothing, nothing, nothing.astype(bool))
    return np.array([sweep.data[0] for sweep in cut(Case(BACKGROUNDS[0], nothing, [], fs=FS), made)])


def _marks(n: int) -> NDArray[np.int64]:
    return np.round((LEAD + DENSE * np.arange(n)) * FS).astype(np.int64)


@cache
def noise(background: int) -> Samples:
    """Sweeps of background alone, with an RMS of 1 V."""
    marks = _marks(POOL)
    raw, _ = BACKGROUNDS[background].raw(1, int(marks[-1]) + round(0.06 * FS), FS, 7)
    sweeps = _filtered(raw[0], marks)
    return sweeps / np.sqrt(np.mean(sweeps**2))


@cache
def responses(shape: int, variety: int) -> Samples:
    """Noise-free LSRs of 1 V on average."""
    return _placed(bank(shape, variety, FS, 1, POOL).data)


@cache
def m_waves() -> Samples:
    """Noise-free M-waves."""
    times = np.arange(round(0.05 * FS)) / FS
    return _placed(MWave().volleys(np.ones(POOL), generator(1, "m-waves")).at(times))


def _placed(waves: Samples) -> Samples:
    marks = _marks(len(waves))
    row = np.zeros(int(marks[-1]) + round(0.06 * FS))
    for mark, wave in zip(marks, waves, strict=True):
        row[mark : mark + wave.size] += wave
    return _filtered(row, marks)


def course(steps: list[tuple[float, float, float]], times: Samples) -> Samples:
    """A level over time that goes, from each (time, level, ramp) on, to that level."""
    level = np.ones(times.size)
    for begin, value, ramp in sorted(steps):
        share = np.clip((times - begin) / max(ramp, 1e-9), 0.0, 1.0)
        before = np.interp(begin, times, level)
        level = np.where(times > begin, before + (value - before) * share, level)
    return level


@dataclass
class Patient:
    """What is drawn for one operation beside what happens in it."""

    interval: float  # s between two stimuli at a site
    background: int
    kinds: list[tuple[int, int]]  # (shape, variety) of each LSR
    sizes: list[float]  # of each LSR, in V
    waves: list[tuple[float, float]]  # (size, phase) of each LSR's slow drift
    weakening: float  # of the M-control over the case

    @classmethod
    def drawn(cls, op: Operation, rng: np.random.Generator) -> Patient:
        """Its ratio is 10 to 80 (50 to 400 uV in 5 uV); where a part is to go at least 16: the rest shows."""
        ratio = np.exp(rng.uniform(np.log(16.0 if op.kind == "additive" else 10.0), np.log(80.0)))
        return cls(
            float(rng.uniform(0.5, 2.0)),
            int(rng.integers(len(BACKGROUNDS))),
            [(int(rng.integers(len(shapes()))), int(rng.integers(len(VARIETIES)))) for _ in LSR],
            [float(RMS * ratio * rng.uniform(1.0, 1.5)) for _ in LSR],
            [(float(rng.uniform(-0.1, 0.1)), float(rng.uniform(0, 6))) for _ in LSR],
            float(rng.uniform(-0.05, 0.05)),
        )


def sweeps(op: Operation, patient: Patient, rng: np.random.Generator) -> Iterator[tuple[Sweep, str | None]]:
    """Every sweep of an operation, in order, with the fault that it lies in."""
    wanted = {s: tuple(d.channel for d in MODALITY.at(s)) for s in MODALITY.sites}
    zero = Sweeps(*MODALITY.sweep, wanted).start(INFO).zero
    times = np.arange(0.0, op.seconds, patient.interval)
    part = times / op.seconds
    control = course(op.controls, times) * (1 + patient.weakening * part)
    size = [
        patient.sizes[k]
        * course([(t, g, r) for t, d, g, r in op.gains if d in (None, k)], times)
        * (1 + patient.waves[k][0] * np.sin(np.pi * part + patient.waves[k][1]))
        for k in range(len(LSR))
    ]
    ground = noise(patient.background)
    for i, begin in enumerate(times.tolist()):
        fault = next((reason for first, end, reason in op.faults if first <= begin < end), None)
        ma = next((value for since, value in reversed(op.currents) if since <= begin), 10.0)
        reached = 0.0 if fault == "missed" else float(np.clip((ma - 4.0) / 6.0, 0.0, 1.15))
        for place, site in enumerate(MODALITY.sites):
            at = begin + 0.5 + place * patient.interval / 2 + rng.uniform(-0.01, 0.01)
            rows = MODALITY.at(site)
            data = RMS * ground[rng.integers(0, POOL, len(rows))]
            for row, d in enumerate(rows):
                if d.role == "m_control":
                    data[row] += control[i] * min(reached, 1.0) * m_waves()[rng.integers(POOL)]
                elif d.name in INDEX:
                    k = INDEX[d.name]
                    level = size[k][i] * control[i] * reached
                    data[row] += level * responses(*patient.kinds[k])[rng.integers(POOL)]
            trigger = Trigger(round(at * FS), site, {"mA": f"{ma:g}"})
            known = trigger.sample + data.shape[1] - zero - 1
            if fault != "pause":
                yield Sweep(known, trigger, data, np.ones(data.shape, bool), zero), fault


def play(op: Operation, seed: int, number: int) -> dict[int, Attribution]:
    """The last attribution of each derivation."""
    rng = np.random.default_rng([seed, number, 1])
    patient = Patient.drawn(op, rng)
    delay = Chain(MODALITY.filters).delay(INFO, REFERENCE_FREQUENCY)
    wanted = {s: tuple(d.channel for d in MODALITY.at(s)) for s in MODALITY.sites}
    tests = {
        site: SiteTests(MODALITY.at(site), MODALITY, Sweeps(*MODALITY.sweep, wanted).start(INFO), FS, delay)
        for site in MODALITY.sites
    }
    court = Judge((MODALITY,), INFO, 0, Vessels().start(INFO, 0))
    court.begin(0)
    notes = [Note(round(n.at * FS), round(n.accepted * FS), n.event, n.attributes) for n in op.notes]
    channels = dict.fromkeys(d.channel for d in LSR)
    found: dict[int, Attribution] = {}
    off = False
    for sweep, fault in sweeps(op, patient, rng):
        facts: list[SweepMeasured | ArtefactMark] = []
        if (fault == "electrode_off") is not off:
            off = not off
            facts += [ArtefactMark(sweep.sample - 1, name, "electrode_off", off) for name in channels]
        reason = fault if fault in MARKED or fault == "electrode_off" else None
        measured = tests[sweep.trigger.site].push(sweep, [reason] * len(sweep.data))
        taken = [n for n in notes if n.accepted <= sweep.sample]
        notes = notes[len(taken) :]
        known = [*facts, SweepMeasured(sweep.sample, sweep, measured)]
        for event in court.push([known], taken, sweep.sample + 1):
            if isinstance(event, Attribution):
                found[INDEX[event.derivation]] = event
    return found


def noted(op: Operation, derivation: int, vessels: frozenset[str]) -> bool:
    """Whether near each fall of a derivation a note of its vessel lies within the rules' span."""
    return all(
        any(
            begin - BEFORE <= n.at <= begin + ramp + AFTER
            and set(n.attributes.get("vessel", "").split("+")) & vessels
            for n in op.notes
        )
        for begin, d, _, ramp in op.gains
        if d == derivation
    )


def tally(op: Operation, found: dict[int, Attribution], counts: Counter[str]) -> list[str]:
    """Count one operation; what was wrong or not named in it, in words."""
    told, wrong_here = [], False
    for k, d in enumerate(LSR):
        said, truth = found.get(k), op.truth.get(k)
        name = frozenset(said.vessel.split("+")) if said and said.vessel else frozenset()
        wrong = bool(name - (truth or frozenset()))
        wrong_here |= wrong
        counts["derivations"] += 1
        counts["wrong derivations"] += wrong
        possible = op.attributable and truth is not None and noted(op, k, truth)
        if possible:
            counts["attributable"] += 1
            counts["named"] += name == truth
            counts["part"] += bool(name) and name < truth
            counts["unseen"] += said is None  # the LSR was held, or never elicited: no state changed
            counts[f"role {said.role}" if said else "no line"] += 1
        if wrong or (possible and name != truth):
            why = said.evidence["reason"] if said else "no change of state"
            told.append(f"{op.kind} {d.name}: truth {truth}, said {said and said.vessel} ({why})")
    counts["operations"] += 1
    counts["wrong operations"] += wrong_here
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=60 * len(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="say what was wrong or not named")
    options = parser.parse_args()
    begin = time.perf_counter()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for number in range(options.cases):
        op = draw(number, options.seed, len(LSR))
        for text in tally(op, play(op, options.seed, number), counts[op.kind]):
            if options.verbose:
                print(number, text)
    total = sum(counts.values(), Counter())
    print("| kind | operations | with a wrong name | attributable losses | named | part | not seen | roles |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, c in [*counts.items(), ("all", total)]:
        share = f"{100 * c['named'] / c['attributable']:.1f} %" if c["attributable"] else "-"
        roles = ", ".join(f"{key[5:]} {n}" for key, n in c.items() if key.startswith("role"))
        print(
            f"| {kind.replace('_', ' ')} | {c['operations']} | {c['wrong operations']} | {c['attributable']} "
            f"| {share} | {c['part']} | {c['unseen']} | {roles or '-'} |"
        )
    for unit in ("operations", "derivations"):
        wrong, n = total[f"wrong {unit}"], total[unit]
        limit = 100 * proportion(wrong, n, 0.9)[1]
        print(f"wrong names: {wrong} of {n} {unit}, one-sided 95 % limit {limit:.2f} %")
    for what, n in (("all", total["attributable"]), ("those seen", total["attributable"] - total["unseen"])):
        low, high = proportion(total["named"], n)
        share = total["named"] / max(n, 1)
        print(f"named: {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f}) of {what}, {n} losses")
    print(f"seed {options.seed}, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
