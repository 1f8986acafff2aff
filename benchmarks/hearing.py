"""How fast and how falsely the brainstem potential warns, and what it costs.

    python benchmarks/hearing.py [--hours 20] [--steps 150] [--colour 0|1|2 ...] [--cost]

Everything runs as in a case: a simulated stream (20 kHz, one ear, 43.9 clicks/s, sweep noise 1.5 uV, wave
V 0.54 uV from peak to trough, both after the filter) > band-pass > sweeps > averages > the default ladder.
A baseline of two minutes is taken from the same stream. False alarms are counted per hour of an
undisturbed stream, with the upper 95 % limit of a Poisson count; an episode is one alarm raised.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from ionm.averaging import Averaging
from ionm.bench import Times, machine
from ionm.criteria import LADDER, Noisiness, RunningCriterion
from ionm.detectors.baep import AverageMeasured, Baep, RunningBaep
from ionm.detectors.comparison import Comparison
from ionm.detectors.reference import Reference
from ionm.filters.bandpass import Bandpass
from ionm.filters.chain import Chain
from ionm.simulate.auditory import Baep as Potential
from ionm.simulate.auditory import Wave
from ionm.simulate.hearing import HearingScript, Injury, Noise, SimulatedHearing
from ionm.sweeps import Layout, Sweeps

COLOURS = (0.0, 1.0, 2.0)
BASELINE = 125.0  # s
SPEC = Baep(Averaging((11e-3, 18e-3), (0.8e-3, 19e-3), 40e-6))
BAND = Bandpass(100.0, 3000.0)
# brings wave V, at 43.9/s and after both passes of the filter, to 0.54 uV
LOUDER = 1.2
ONE = ("Cz-A1",)
PER_BASELINE = 10


def patient() -> Potential:
    usual = Potential()
    waves = {
        name: Wave(w.latency, LOUDER * w.size, w.width, w.trough, w.behind, w.trough_width)
        for name, w in usual.waves.items()
    }
    return Potential(waves, usual.tube, LOUDER * usual.pedestal)


def noise(exponent: float) -> Noise:
    # what both passes of the filter leave of 100 to 3000 Hz is 1.5 uV
    return Noise(1.5e-6 * {0.0: 1.09, 1.0: 1.07, 2.0: 1.12}[exponent], exponent)


@dataclass
class Watcher:
    """The path and the ladder of one derivation, without a session."""

    running: RunningBaep
    reference: Reference | str = "none yet"

    def __post_init__(self) -> None:
        self.ladder: RunningCriterion = LADDER.start()
        self.limits = Noisiness()
        self.held = False
        self.comparison: Comparison | None = None

    def push(self, fact: AverageMeasured) -> list[str]:
        if isinstance(self.reference, str):
            return []
        wave = self.reference.waves["V"]
        assert wave is not None
        self.held = self.limits.holds(fact.averages[-1].noise, wave.amplitude, 0.0, held=self.held)
        if self.comparison is None:
            self.comparison = Comparison(self.reference)
        measures = self.comparison.push(fact).measures
        steps = self.ladder.push(measures, judged=not self.held)
        return [step.level.name for step in steps if step.raised]


def facts(script: HearingScript, seed: int) -> Iterator[tuple[float, AverageMeasured, RunningBaep]]:
    simulated = SimulatedHearing(script, seed)
    info = simulated.info
    cutter = Sweeps(-0.002, 0.020, {"click": ("Cz-A1",)}).start(info)
    layout = Layout((0,), None, cutter.zero, cutter.length, info.fs, 0.0)
    running = SPEC.start(layout, BAND.sections(info))
    filters = Chain((BAND,)).start(info)
    for chunk in simulated.chunks(0.25):
        for sweep in cutter.push(filters.push(chunk)):
            for fact in running.push(sweep.sample, sweep.trigger.sample, sweep.data, sweep.valid, (None,)):
                yield sweep.sample / info.fs, fact, running


def false_alarms(exponent: float, hours: float, seed: int) -> Counter[str]:
    """Alarms raised in an undisturbed stream, cut into cases of an hour with a baseline each."""
    found: Counter[str] = Counter()
    for hour in range(math.ceil(hours)):
        seconds = int(BASELINE + 3600 * min(1.0, hours - hour)) + 1
        script = HearingScript(seconds, baep=patient(), noise=noise(exponent), channels=ONE)
        watcher: Watcher | None = None
        for at, fact, running in facts(script, 1000 * seed + hour):
            if watcher is None:
                watcher = Watcher(running)
            if isinstance(watcher.reference, str) and at >= BASELINE:
                watcher.reference = running.certify(0)
            found.update(watcher.push(fact))
    return found


def times_to_alarm(exponent: float, injury: Injury, steps: int, seed: int) -> dict[str, list[float]]:
    """Seconds from the injury to each level; inf if never. A baseline serves `PER_BASELINE` injuries."""
    found: dict[str, list[float]] = {"watch": [], "warning": [], "critical": []}
    lasting, rest = injury.over + 20.0, 35.0
    for case in range(math.ceil(steps / PER_BASELINE)):
        begins, events = [], []
        for k in range(min(PER_BASELINE, steps - case * PER_BASELINE)):
            # the injury begins at any phase of a block
            at = BASELINE + 4.0 + k * (lasting + rest) + 0.25 * ((k * 0.618) % 1.0)
            begins.append(at)
            events += [replace(injury, at=at), Injury(at + lasting, 0.0, 1.0, injury.waves)]
        seconds = int(begins[-1] + lasting) + 1
        script = HearingScript(seconds, tuple(events), baep=patient(), noise=noise(exponent), channels=ONE)
        watcher: Watcher | None = None
        number, first = -1, list[dict[str, float]]()
        for now, fact, running in facts(script, 100_000 * seed + case):
            if watcher is None:
                watcher = Watcher(running)
            if isinstance(watcher.reference, str) and now >= BASELINE:
                watcher.reference = running.certify(0)
            if number + 1 < len(begins) and now >= begins[number + 1]:
                number += 1
                first.append({})
                watcher.ladder = LADDER.start()  # what stood before is forgotten
            for name in watcher.push(fact):
                if number >= 0 and now < begins[number] + lasting:
                    first[number].setdefault(name, now - begins[number])
        for level, values in found.items():
            values += [one.get(level, math.inf) for one in first]
    return found


def upper(count: int, hours: float) -> float:
    """Upper 95 % limit of a rate per hour."""
    return float(chi2.ppf(0.95, 2 * (count + 1))) / 2 / hours


INJURIES = {
    "V +1.0 ms, x 0.7": Injury(0.0, 1.0e-3, 0.7, ("IV", "V")),
    "wave V lost": Injury(0.0, 0.0, 0.0, ("IV", "V")),
    "III to V lost": Injury(0.0, 0.0, 0.0, ("III", "IV", "V")),
    "stretch: III to V +1.0 ms, x 0.6": Injury(0.0, 1.0e-3, 0.6, ("III", "IV", "V")),
}


def cost() -> None:
    """Two ears, four rows in all, 43.9 clicks/s each, chunks of 5 ms."""
    script = HearingScript(int(BASELINE) + 13, ears=("L", "R"), baep=patient(), noise=noise(1.0))
    simulated = SimulatedHearing(script, 5)
    info = simulated.info
    cutter = Sweeps(-0.002, 0.020, {"click": info.names}).start(info)
    layout = Layout((0, 1), None, cutter.zero, cutter.length, info.fs, 0.0)
    ears = {ear: SPEC.start(layout, BAND.sections(info)) for ear in "LR"}
    watchers = {(ear, row): Watcher(ears[ear]) for ear in "LR" for row in (0, 1)}
    filters = Chain((BAND,)).start(info)
    idle, sweep_only, update = [], [], []
    for chunk in simulated.chunks(0.005):
        begin = time.perf_counter()
        kind = idle
        for sweep in cutter.push(filters.push(chunk)):
            ear = sweep.trigger.attributes["ear"]
            kind = sweep_only if kind is idle else kind
            for fact in ears[ear].push(
                sweep.sample, sweep.trigger.sample, sweep.data, sweep.valid, (None, None)
            ):
                kind = update
                watchers[ear, fact.row].push(fact)
        took = time.perf_counter() - begin
        if chunk.start / info.fs > BASELINE + 1:
            kind.append(took)
        elif chunk.start / info.fs > BASELINE:
            for (ear, row), watcher in watchers.items():
                if isinstance(watcher.reference, str):
                    watcher.reference = ears[ear].certify(row)
    everything = idle + sweep_only + update
    print(f"all chunks of 5 ms:            {Times.of(everything)}")
    print(f"without a sweep:               {Times.of(idle)}")
    print(f"with a sweep:                  {Times.of(sweep_only)}")
    print(f"with an update of two rows:    {Times.of(update)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--ramps", type=int, default=10)
    parser.add_argument(
        "--colour", type=int, nargs="*", choices=range(len(COLOURS)), default=range(len(COLOURS))
    )
    parser.add_argument("--cost", action="store_true", help="only what it costs per chunk")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    if options.cost:
        cost()
        return
    for which in options.colour:
        exponent = COLOURS[which]
        print(f"\nnoise power falling by frequency to the {exponent:g}")
        for name, injury in INJURIES.items():
            found = times_to_alarm(exponent, injury, options.steps, options.seed)
            shown = ", ".join(
                f"{level} {np.median(values):.1f} / {np.quantile(values, 0.95, method='lower'):.1f} s"
                for level, values in found.items()
                if level != "critical"
            )
            print(f"  {name}: median / p95: {shown}", flush=True)
        ramp = Injury(0.0, 1.2e-3, 0.8, ("III", "IV", "V"), over=300.0)
        found = times_to_alarm(exponent, ramp, options.ramps, options.seed)
        for level in ("watch", "warning"):
            shifts = [min(t / 300.0, 1.0) * 1.2 for t in found[level]]
            middle, latest = np.median(shifts), max(shifts)
            print(f"  ramp to 1.2 ms in 5 min: {level} at {middle:.2f} ms, latest {latest:.2f} ms")
        count = false_alarms(exponent, options.hours, options.seed)
        for level in ("watch", "warning", "critical"):
            print(
                f"  false {level}: {count[level]} in {options.hours:g} h, "
                f"upper 95 % limit {upper(count[level], options.hours):.2f} an hour",
                flush=True,
            )


if __name__ == "__main__":
    main()
