"""How well free-run EMG is told apart, and what it costs.

    python benchmarks/free_run.py [--quick]

Simulated patterns (`ionm.simulate.trains`) are mixed into backgrounds: noise, surrogates of the shared rodent
and human sweeps, and the three shared needle records, brought from 4 to 10 kHz by `resample_poly`. Every
background is band-passed (30 to 1000 Hz, as the detector's input) and brought to an RMS of 15 uV, so that a
pattern's peak over the background's RMS is the same thing everywhere; peaks lie between 5 and 30 times the
RMS (75 to 450 uV), drawn evenly on the logarithm. A-trains last 50 ms to 3 s. The rest of a C-train lies
far below its peak: below ten times the RMS what is continuous cannot be seen as such, so the confusion is
given for small and for large peaks.

The needle records are muscles at work: their own potentials are spikes, bursts and trains, rightly told so.
So the confusion of all classes is counted where the background is quiet; on the needle records A-trains only.
A pattern counts as found if findings of its class cover half of it or, if they are shorter, lie within it;
an A-train finding is false if less than half of it lies in a simulated A-train. Intervals: 95 %, Wilson.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from backgrounds import SIMULATED, Background, needles, surrogates
from latency import chunks

from ionm.bench import machine
from ionm.detectors.free_run import FreeRun
from ionm.events import Finding
from ionm.filters.bandpass import Bandpass
from ionm.protocol import load
from ionm.simulate.seeds import generator
from ionm.simulate.trains import Pattern, PatternTruth
from ionm.stream import Channel, Chunk, StreamInfo, chunk

FS = 10_000.0  # Hz
RMS = 15e-6  # V
BAND = Bandpass(30.0, 1000.0)  # Hz
CLASSES = ("spike", "burst", "a_train", "b_train", "c_train", "tonic")
LENGTHS = {  # s
    "spike": (0.02, 0.02), "burst": (0.03, 0.4), "a_train": (0.05, 3.0), "b_train_spikes": (2.0, 6.0),
    "b_train_bursts": (3.0, 6.0), "c_train": (0.7, 3.0), "tonic": (2.0, 6.0),
}  # fmt: skip


def wilson(hits: int, n: int) -> str:
    """Share with its 95 % interval."""
    if not n:
        return "-"
    p, z = hits / n, 1.959964
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return f"{p:.3f} ({low:.3f}-{high:.3f}) {hits}/{n}"


@dataclass
class Score:
    """Counts over many channels."""

    confusion: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    false: Counter[str] = field(default_factory=Counter)  # findings of a class away from any pattern
    claims: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    onset: list[float] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)
    frequency: list[float] = field(default_factory=list)
    time: list[tuple[float, float]] = field(default_factory=list)  # traintime: found, true
    seconds: float = 0.0

    def add(self, truths: list[PatternTruth], findings: list[Finding], seconds: float) -> None:
        """One channel."""
        done = [f for f in findings if f.offset is not None and f.offset > f.onset]
        spans = [(f, f.onset / FS, f.offset / FS) for f in done]
        self.seconds += seconds
        for truth in truths:
            if truth.pattern == "a_train" and truth.offset - truth.onset < 0.05:
                continue  # s: too short to count, either way
            name = truth.pattern.split("_spikes")[0].split("_bursts")[0]
            self.confusion[name][label(truth, spans)] += 1
        for f, begin, end in spans:
            inside = [t for t in truths if t.onset - 0.03 < end and begin < t.offset + 0.03]
            if not inside:
                self.false[f.pattern] += 1
            best = max(inside, key=lambda t: min(end, t.offset) - max(begin, t.onset), default=None)
            covered = min(end, best.offset) - max(begin, best.onset) if best else 0.0
            # the elements of a B-train are told too, as what they are
            right = best is not None and (best.pattern.startswith(f.pattern) or f.pattern in best.pattern)
            right = right and covered >= 0.5 * (end - begin)
            self.claims[f.pattern].append(right)
        found = true = 0.0
        for truth in truths:
            if truth.pattern != "a_train":
                continue
            true += truth.offset - truth.onset
            own = [
                s for s in spans if s[0].pattern == "a_train" and s[1] < truth.offset and truth.onset < s[2]
            ]
            if own:
                self.onset.append(own[0][1] - truth.onset)
                self.offset.append(own[-1][2] - truth.offset)
                self.frequency.append(own[0][0].frequency / truth.frequency - 1.0)
        found = sum(end - begin for f, begin, end in spans if f.pattern == "a_train")
        self.time.append((found, true))


def label(truth: PatternTruth, spans: list[tuple[Finding, float, float]]) -> str:
    """The class that the detector gave to a pattern."""
    length = truth.offset - truth.onset
    cover: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for f, begin, end in spans:
        overlap = min(end, truth.offset + 0.01) - max(begin, truth.onset - 0.01)
        if overlap > 0:
            cover[f.pattern] += overlap
            count[f.pattern] += 1
    for train in ("a_train", "c_train", "tonic", "b_train", "spasm", "artefact"):
        if cover[train] >= 0.5 * length:
            return train
    if not cover:
        return "missed"
    return max(cover, key=lambda name: cover[name])


def channel(
    background: Background, patterns: tuple[str, ...], seed: int, seconds: float, peaks: tuple[float, float]
) -> tuple[np.ndarray, list[PatternTruth]]:
    """Filtered samples with patterns 1.2 s apart or more (A-trains alone: 0.6 s), and the truth."""
    rng = generator(seed, "free run", background.name)
    n = round(seconds * FS)
    data, loud = background.raw(1, n, FS, seed)
    quiet = BAND.start(StreamInfo(FS, (Channel("x"),))).push(chunk(data)).data[0]
    quiet = quiet * (RMS / float(np.std(quiet[~loud[0]][round(0.5 * FS) :])))
    added, truths = np.zeros(n), []
    now = 1.0
    while True:
        name = str(rng.choice(patterns))
        low, high = LENGTHS[name]
        length = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        if now + length + 1.5 > seconds:
            break
        peak = RMS * float(np.exp(rng.uniform(*np.log(peaks))))
        truths.append(Pattern(name, now, length, peak).add_to(added, FS, rng))
        now += length + float(rng.uniform(1.2, 2.0) if len(patterns) > 1 else rng.uniform(0.6, 1.2))
    return quiet + added, truths


def detect(data: np.ndarray) -> list[Finding]:
    """Findings in channels of shape (n_channels, n_samples), each by itself."""
    info = StreamInfo(FS, tuple(Channel(f"c{i}") for i in range(len(data))))
    return FreeRun().start(info).push(chunk(data))


def score(
    background: Background, patterns: tuple[str, ...], channels: int, seconds: float,
    peaks: tuple[float, float] = (5.0, 30.0),
) -> Score:  # fmt: skip
    """Patterns in one background."""
    total = Score()
    for seed in range(channels):
        data, truths = channel(background, patterns, seed, seconds, peaks)
        total.add(truths, detect(data[None]), seconds)
    return total


def merged(scores: list[Score]) -> Score:
    """All counts together."""
    total = Score()
    for one in scores:
        for name, row in one.confusion.items():
            total.confusion[name].update(row)
        for name, claims in one.claims.items():
            total.claims[name] += claims
        total.false.update(one.false)
        for name in ("onset", "offset", "frequency", "time"):
            getattr(total, name).extend(getattr(one, name))
        total.seconds += one.seconds
    return total


def spread(values: list[float]) -> str:
    """Median and the middle 90 %, of errors in ms."""
    if not values:
        return "-"
    low, middle, high = (1e3 * v for v in np.quantile(values, (0.05, 0.5, 0.95)))
    return f"{middle:+.1f} ms ({low:+.1f} to {high:+.1f})"


def confusion(total: Score) -> None:
    """The table and what follows from it."""
    columns = (*CLASSES, "spasm", "artefact", "missed")
    print(f"{'truth':8}" + "".join(f"{c:>9}" for c in columns))
    right = everything = 0
    for name in CLASSES:
        row = total.confusion[name]
        print(f"{name:8}" + "".join(f"{row[c]:9d}" for c in columns))
        right, everything = right + row[name], everything + sum(row.values())
    print(f"accuracy {wilson(right, everything)}")
    for name in CLASSES:
        row, claims = total.confusion[name], total.claims[name]
        print(f"  {name:8} sensitivity {wilson(row[name], sum(row.values()))}"
              f"  precision {wilson(sum(claims), len(claims))}")  # fmt: skip


def a_trains(title: str, total: Score) -> None:
    """One line about A-trains."""
    row, claims = total.confusion["a_train"], total.claims["a_train"]
    found, true = (sum(t[i] for t in total.time) for i in (0, 1))
    print(f"{title:18} sens {wilson(row['a_train'], sum(row.values()))}"
          f"  prec {wilson(sum(claims), len(claims))}"
          f"  onset {spread(total.onset)}  end {spread(total.offset)}  time {100 * (found / true - 1):+.1f} %"
          f"  f {100 * float(np.median(np.abs(total.frequency or [np.nan]))):.1f} %")  # fmt: skip


def needle_records() -> None:
    """The records as they are: no A-train, the regular trains, the bursts."""
    for background in needles():
        n = round(background.seconds * 4000.0)
        raw = background.raw(1, n, 4000.0, 0)[0] * 1e-6
        info = StreamInfo(4000.0, (Channel("needle"),))
        data = BAND.start(info).push(chunk(raw))
        findings = [f for f in FreeRun().start(info).push(data) if not f.active and f.offset > f.onset]
        print(background.name, dict(Counter(f.pattern for f in findings)))
        for f in findings:
            if f.pattern in {"tonic", "a_train"}:
                print(f"  {f.pattern} {f.onset / 4000:.3f} to {f.offset / 4000:.3f} s, {f.frequency:.1f} Hz, "
                      f"peak {f.peak * 1e6:.0f} uV, variation {f.regularity:.2f}")  # fmt: skip


def cost() -> None:
    """CPU time per 5 ms chunk of 16 channels at 20 kHz."""
    fs, n = 20_000.0, 16
    info = StreamInfo(fs, tuple(Channel(f"c{i}") for i in range(n)))
    for title, active, pattern in (
        ("quiet", 0, "a_train"), ("2 channels in an A-train", 2, "a_train"),
        ("16 channels in an A-train", 16, "a_train"), ("16 channels in a C-train", 16, "c_train"),
    ):  # fmt: skip
        white = generator(1, "cost").standard_normal((n, round(20 * fs)))
        data = BAND.start(info).push(chunk(white)).data  # as the detector gets it
        data *= 5e-6 / np.std(data)
        for row in range(active):
            Pattern(pattern, 1.0, 18.5, 150e-6).add_to(data[row], fs, generator(row, "cost"))
        valid = np.ones(data.shape, dtype=bool)
        running, took = FreeRun().start(info), []
        for start in range(0, data.shape[1], 100):
            part = Chunk(
                np.ascontiguousarray(data[:, start : start + 100]), valid[:, start : start + 100], start
            )
            before = time.thread_time_ns()
            running.push(part)
            took.append(time.thread_time_ns() - before)
        us = np.array(took[400:]) / 1e3
        print(
            f"{title:26} median {np.median(us):.1f}, mean {us.mean():.1f}, p99 {np.quantile(us, 0.99):.1f} us"
        )


def path_cost() -> None:
    """CPU time that the modality adds per 5 ms chunk: 16 watched channels of a case, stimuli and all."""
    info, cut = chunks(1.1, 16, 5e-3)
    *_, spec = load("mvd-hfs").modalities()
    running = replace(spec, muscles=info.names, controls=()).start(info)
    took = []
    for part in cut:
        before = time.thread_time_ns()
        running.push(part)
        took.append(time.thread_time_ns() - before)
    us = np.array(took[400:]) / 1e3
    print(
        f"{'whole path, a case':26} median {np.median(us):.1f}, mean {us.mean():.1f}, "
        f"p99 {np.quantile(us, 0.99):.1f} us"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the patterns")
    channels = 4 if parser.parse_args().quick else 16
    print(machine())
    everything = tuple(LENGTHS)
    simulated = [b for b in SIMULATED if b.name in {"white", "pink", "dense EMG", "mains"}]
    quiet = [*simulated, *surrogates()]
    for peaks in ((5.0, 10.0), (10.0, 30.0)):
        print(
            f"\nall classes, {len(quiet)} quiet backgrounds, peaks {peaks[0]:g} to {peaks[1]:g} times the RMS"
        )
        whole = merged([score(b, everything, channels, 60.0, peaks) for b in quiet])
        confusion(whole)
        print(f"findings away from any pattern, in {whole.seconds / 3600:.2f} h: {dict(whole.false)}")
    print("\nA-trains alone")
    for background in (*SIMULATED, *surrogates(), *needles()):
        seconds = min(30.0, (background.seconds or 30.0) - 0.1)
        a_trains(background.name, score(background, ("a_train",), channels, seconds))
    print("\nneedle records as they are")
    needle_records()
    print("\ncost of 16 channels, 20 kHz, chunks of 5 ms")
    cost()
    path_cost()


if __name__ == "__main__":
    main()
