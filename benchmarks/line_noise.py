"""Cancellers of mains against each other: what they leave, how soon, and what they do to a response.

    sh benchmarks/setup_peers.sh && benchmarks/.venv/bin/python benchmarks/line_noise.py

16 channels at 20 kHz in chunks of 5 ms; hum of 10 to 30 uV (and 0.3 and 0.2 of it at the second and third
harmonic, each channel in its own phase) at 60.07 Hz that drifts by 0.02 Hz in 20 s. All cancellers are told
60 Hz and four harmonics. What is left is the output less what the input holds beside the hum, so that what a
canceller takes from the signal counts as well. ezmsg's "subtract" assumes one phase on all channels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np
from peers import Peer, ezmsg_canceller

from ionm.simulate import Interference, LateralSpread
from ionm.stream import Samples

FS, CHANNELS, CHUNK = 20_000.0, 16, 100
LINE, HARMONICS = 60.0, 4
Make = Callable[[], Peer]

# each makes a fresh one
CANCELLERS: tuple[Make, ...] = (
    lambda: ezmsg_canceller(LINE, HARMONICS, FS),
    lambda: ezmsg_canceller(LINE, HARMONICS, FS, cancel_method="subtract"),
    lambda: ezmsg_canceller(LINE, HARMONICS, FS, adapt_time_constant=0.5, freq_time_constant=1.0),
    lambda: ezmsg_canceller(
        LINE, HARMONICS, FS, cancel_method="subtract", adapt_time_constant=0.5, freq_time_constant=1.0
    ),
)


def hum(seconds: float, jump_at: float | None = None) -> Samples:
    """Hum on all channels, in V; its phase may jump by a quarter of a turn."""
    times = np.arange(round(seconds * FS)) / FS
    phase = 2 * np.pi * (60.07 * times - 0.02 * 20 / (2 * np.pi) * np.cos(2 * np.pi * times / 20))
    if jump_at is not None:
        phase[times >= jump_at] += np.pi / 2
    rng = np.random.default_rng(1)
    size, shift = rng.uniform(0.5, 1.5, (CHANNELS, 1)), rng.uniform(-0.5, 0.5, (CHANNELS, 3, 1))
    waves = [part * np.sin(k * phase + shift[:, k - 1]) for k, part in ((1, 1.0), (2, 0.3), (3, 0.2))]
    return 20e-6 * size * np.sum(waves, axis=0)


def emg(seconds: float) -> Samples:
    length = round(seconds * FS)
    return np.array([Interference(5e-6).block(FS, 1, f"ch{i}", 0, length) for i in range(CHANNELS)])


def responses(seconds: float, rate: float) -> tuple[Samples, list[int]]:
    """The same response of 100 uV to every stimulus, on all channels, and its stimuli."""
    shape = LateralSpread(size=100e-6, jitter=0.0, variation=0.0, after_discharge=0.0)
    wave = shape.volleys(np.ones(1), np.random.default_rng(1)).at(np.arange(round(0.04 * FS)) / FS)[0]
    out = np.zeros(round(seconds * FS))
    marks = [round(t * FS) for t in np.arange(0.5, seconds - 0.1, 1 / rate)]
    for mark in marks:
        out[mark : mark + wave.size] += wave
    return np.tile(out, (CHANNELS, 1)), marks


def through(peer: Peer, data: Samples) -> Samples:
    chunks = (data[:, a : a + CHUNK] for a in range(0, data.shape[1], CHUNK))
    return np.hstack([peer.unwrap(peer.step(peer.wrap(chunk))) for chunk in chunks])


def rms(data: Samples, begin: float, end: float) -> float:
    """Of the worst channel, in uV."""
    part = data[:, round(begin * FS) : round(end * FS)]
    return float(np.sqrt(np.mean(part**2, axis=1)).max() * 1e6)


def recovery(left: Samples, at: float, limit: float) -> str:
    """How long after ``at`` the worst channel's RMS over 0.1 s stays below ``limit`` uV."""
    steps = np.arange(at, left.shape[1] / FS - 0.1, 0.1)
    loud = [t for t in steps if rms(left, t, t + 0.1) > limit]
    return (
        f"{max(loud) + 0.1 - at:.1f} s" if loud and max(loud) < steps[-1] - 0.05 else "not" if loud else "0 s"
    )


def change(out: Samples, clean: Samples, marks: list[int], after: float) -> float:
    """Largest change of the averaged response, in percent of its peak to peak."""
    late = [m for m in marks if m > after * FS]
    window = np.arange(round(0.005 * FS), round(0.03 * FS))
    mean = [np.mean([x[:, m + window] for m in late], axis=0) for x in (out, clean)]
    level = [m - m[:, :1] for m in mean]
    return float(100 * np.max(np.abs(level[0] - level[1])) / np.ptp(level[1]))


def cost(peer: Peer, data: Samples) -> float:
    """Median time of a chunk, in us; messages are made outside the clock."""
    times = []
    for start in range(0, data.shape[1], CHUNK):
        message: Any = peer.wrap(data[:, start : start + CHUNK])
        begin = perf_counter_ns()
        peer.step(message)
        times.append((perf_counter_ns() - begin) / 1e3)
    return float(np.median(times))


def row(make: Make, seconds: float) -> list[str]:
    line, jumped, noise = hum(seconds), hum(seconds, seconds / 2), emg(seconds)
    quiet = through(make(), line)
    noisy = through(make(), line + noise) - noise
    alone = through(make(), noise) - noise
    cells = [make().name]
    cells.append(", ".join(f"{rms(quiet, a, b):.3g}" for a, b in ((0, 1), (1, 2), (2, 4), (4, seconds))))
    cells += [f"{rms(noisy, 4, seconds):.3g}", f"{rms(alone, 4, seconds):.3g}"]
    cells.append(recovery(through(make(), jumped), seconds / 2, 0.3))
    for rate in (2.3, 2.0):  # 2 Hz divides 60 Hz
        clean, marks = responses(seconds, rate)
        cells.append(f"{change(through(make(), clean + line), clean, marks, seconds / 2):.2f}")
        cells.append(f"{change(through(make(), clean), clean, marks, seconds / 2):.2f}")
    cells.append(f"{cost(make(), line + noise):.0f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="of every test (12)")
    options = parser.parse_args()
    header = (
        "| canceller | left of the hum, uV RMS, in 0-1, 1-2, 2-4, 4- s | left in 5 uV of EMG "
        "| taken from EMG alone "
        "| phase jump: below 0.3 uV after | response at 2.3 Hz changed by, % | without hum "
        "| response at 2 Hz changed by, % | without hum | us per chunk |"
    )
    print(header)
    print("|" + "---|" * (header.count("|") - 1))
    for make in CANCELLERS:
        print("| " + " | ".join(row(make, options.seconds)) + " |", flush=True)


if __name__ == "__main__":
    main()
