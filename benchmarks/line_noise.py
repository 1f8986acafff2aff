"""The canceller of mains hum: what it leaves of the hum, what it takes from the signal, what it costs.

    .venv/bin/python benchmarks/line_noise.py

Residual: root mean square, over time and channels, of the output less the signal without hum, so that what is
taken from the EMG counts like what is left of the hum. `SCENARIOS` makes the signals, for peers too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from scipy import signal

from ionm.compiled import kernel, paths
from ionm.filters.line_noise import LineNoise, start_on
from ionm.stream import Channel, Chunk, Samples, StreamInfo, Trigger, chunk

HERE = Path(__file__).parent
FS = 20_000.0  # Hz
SPANS = ((0, 1), (1, 2), (2, 4), (4, 6), (6, 10), (10, 12), (12, 20), (20, 40), (40, 60))  # s
ODD = {1: 1.0, 3: 0.35, 5: 0.2, 7: 0.1}


@dataclass(frozen=True)
class Scenario:
    """Hum and everything else, in V, shape (n_channels, n_samples), and the stimuli."""

    hum: Samples
    rest: Samples
    triggers: tuple[Trigger, ...] = ()

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(FS, tuple(Channel(f"ch{i}") for i in range(len(self.hum))))

    def chunks(self, n_samples: int = 100) -> Iterable[Chunk]:
        whole = chunk(self.hum + self.rest, 0, self.triggers)
        for a in range(0, whole.n_samples, n_samples):
            yield whole.cut(a, min(a + n_samples, whole.n_samples))


def phase(seconds: float, drift: str, *, frequency: float = 60.07, seed: int = 0) -> Samples:
    """Phase of the fundamental in turns, one value per sample.

    drift: "steady"; "sine", +-0.1 Hz in a minute; "grid", slow sines of together 0.02 Hz as ionm.simulate has
    them; "walk", a frequency that walks at random by 2 mHz in the root of a second.
    """
    rng = np.random.default_rng([seed, 1])
    n = round(seconds * FS)
    t = np.arange(n) / FS
    f = np.full(n, frequency)
    if drift == "sine":
        f += 0.1 * np.sin(2 * np.pi * (t / 60 + rng.random()))
    elif drift == "grid":
        for period in (17.0, 41.0, 113.0, 290.0):  # s
            f += 0.02 / np.sqrt(2) * np.sin(2 * np.pi * (t / period + rng.random()))
    elif drift == "walk":
        knots = np.arange(0, seconds + 0.02, 0.02)
        f += np.interp(t, knots, np.cumsum(rng.normal(0, 2e-3 * np.sqrt(0.02), knots.size)))
    elif drift != "steady":
        raise ValueError(f"no drift {drift!r}")
    return rng.random() + np.cumsum(f) / FS


def hum(
    turns: Samples,
    n_channels: int,
    *,
    size: float = 20e-6,
    parts: dict[int, float] | None = None,
    seed: int = 0,
) -> Samples:
    """Hum of amplitude ``size`` (V) in the first channel, 0.5 to 1.5 of it in the others."""
    rng = np.random.default_rng([seed, 2])
    out = np.zeros((n_channels, turns.size))
    for channel in range(n_channels):
        own = size * (rng.uniform(0.5, 1.5) if channel else 1.0)
        for k, part in (parts or {1: 1.0}).items():
            out[channel] += own * part * np.sin(2 * np.pi * (k * turns + rng.random()))
    return out


def emg(seconds: float, n_channels: int, kind: str, *, rms: float = 5e-6, seed: int = 0) -> Samples:
    """Noise of an RMS in V: "none", "white" (to 10 kHz) or "emg" (20 to 500 Hz, as ionm.simulate has it)."""
    n = round(seconds * FS)
    white = np.random.default_rng([seed, 3]).standard_normal((n_channels, n + round(FS)))
    if kind == "emg":
        white = signal.sosfilt(
            signal.butter(2, (20.0, 500.0), "bandpass", fs=FS, output="sos"), white, axis=-1
        )
    elif kind == "none":
        return np.zeros((n_channels, n))
    elif kind != "white":
        raise ValueError(f"no noise {kind!r}")
    return rms * (white / white.std(axis=1, keepdims=True))[:, -n:]


def stimuli(seconds: float, rate: float) -> tuple[Trigger, ...]:
    return tuple(Trigger(round(k * FS / rate), "zygomatic") for k in range(1, int(seconds * rate)))


def response(seconds: float, triggers: tuple[Trigger, ...], size: float) -> Samples:
    """A stimulus-locked response, one row: two phases of ``size`` V peak to peak from 10 to 16 ms."""
    out = np.zeros(round(seconds * FS))
    t = np.arange(round(0.006 * FS)) / 0.006 / FS
    wave = 0.5 * size * np.sin(2 * np.pi * t) * np.hanning(t.size) / 0.77
    for trigger in triggers:
        at = trigger.sample + round(0.010 * FS)
        if at + wave.size <= out.size:
            out[at : at + wave.size] += wave
    return out


def plain(
    drift: str, noise: str, n_channels: int, parts: dict[int, float] | None = None, seed: int = 0
) -> Scenario:
    seconds = 60.0
    return Scenario(
        hum(phase(seconds, drift, seed=seed), n_channels, parts=parts, seed=seed),
        emg(seconds, n_channels, noise, seed=seed),
    )


def jump(noise: str, n_channels: int, parts: dict[int, float] | None = None) -> Scenario:
    """The phase jumps by a quarter of a turn at 10 s."""
    turns = phase(20.0, "sine")
    turns += 0.25 * (np.arange(turns.size) >= 10.0 * FS)
    return Scenario(hum(turns, n_channels, parts=parts), emg(20.0, n_channels, noise))


def stimulated(rate: float, size: float, noise: str = "none") -> Scenario:
    """Stimuli with a response, at a rate that may divide the mains, and stimulus artefacts of 5 mV."""
    marks = stimuli(20.0, rate)
    rest = emg(20.0, 4, noise) + response(20.0, marks, size)
    for mark in marks:
        rest[:, mark.sample : mark.sample + round(0.2e-3 * FS)] += 5e-3
    return Scenario(hum(phase(20.0, "steady", frequency=60.0), 4, parts=ODD), rest, marks)


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    **{
        f"{n} ch, {len(parts)} harmonic{'s' * (len(parts) > 1)}, {drift}, {noise}": (
            lambda n=n, parts=parts, drift=drift, noise=noise: plain(drift, noise, n, parts)
        )
        for noise in ("none", "white", "emg")
        for n, parts in ((1, {1: 1.0}), (8, ODD))
        for drift in ("steady", "sine", "grid", "walk")
    },
    "phase jumps at 10 s, no noise": lambda: jump("none", 4, ODD),
    "phase jumps at 10 s, white": lambda: jump("white", 4, ODD),
    "phase jumps at 10 s, emg": lambda: jump("emg", 4, ODD),
    "stimuli 5/s and artefacts, no noise": lambda: stimulated(5.0, 100e-6),
    "no hum, emg": lambda: Scenario(np.zeros((8, round(60 * FS))), emg(60.0, 8, "emg")),
}


def residual(scenario: Scenario, spec: LineNoise | None = None) -> Samples:
    """The output less the signal without hum, in V."""
    running = start_on(None, spec or LineNoise(60.0), scenario.info)
    out = np.hstack([running.push(part).data for part in scenario.chunks(8192)])
    return out - scenario.rest


def rms_uv(left: Samples, first: float, last: float) -> float:
    """Root mean square between two times in s, in uV."""
    part = left[:, round(first * FS) : round(last * FS)]
    return float(np.sqrt(np.mean(part * part)) * 1e6)


def cost(
    path: str | None, n_channels: int = 16, n_samples: int = 100, rounds: int = 2000
) -> tuple[float, float]:
    """Median and p99 of one push in us, with hum in nine harmonics."""
    parts = {k: 1.0 / k for k in range(1, 10)}
    turns = phase((rounds + 200) * n_samples / FS, "sine")
    scenario = Scenario(hum(turns, n_channels, parts=parts), emg(turns.size / FS, n_channels, "emg"))
    running = start_on(path, LineNoise(60.0), scenario.info)
    times = []
    for part in scenario.chunks(n_samples):
        begin = perf_counter_ns()
        running.push(part)
        times.append((perf_counter_ns() - begin) / 1e3)
    return float(np.median(times[200:])), float(np.percentile(times[200:], 99))


def plot(everything: dict[str, Samples], file: Path) -> None:
    """Residual of every scenario over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    groups = {"no noise": "none", "5 uV white noise": "white", "5 uV EMG, 20 to 500 Hz": "emg"}
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    for axis, (title, noise) in zip(axes.flat, groups.items(), strict=False):
        for name, left in everything.items():
            if name.endswith(f", {noise}") and " ch, " in name:
                draw(axis, left, name.rsplit(", ", 1)[0])
        axis.set_title(title)
    for name, left in everything.items():
        if " ch, " not in name and left.any():
            draw(axes[1, 1], left, name)
    axes[1, 1].set_title("jumps and stimuli")
    limits = {0: 0.003, 1: 0.1, 2: 0.1}
    for at, axis in enumerate(axes.flat):
        if at in limits:
            axis.axhline(limits[at], color="0.3", linewidth=1, linestyle=":")
        axis.set(xlabel="time (s)", ylabel="residual, RMS in 0.25 s (uV)", yscale="log", ylim=(1e-6, 40))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=6)
    figure.suptitle("20 uV of 60 Hz hum: what is left of it, and taken with it", fontsize=11)
    figure.savefig(file, dpi=90)


def draw(axis: object, left: Samples, label: str) -> None:
    n = round(0.25 * FS)
    blocks = left[:, : left.shape[1] // n * n].reshape(len(left), -1, n)
    times = (np.arange(blocks.shape[1]) + 0.5) * 0.25
    axis.plot(times, np.sqrt(np.mean(blocks * blocks, axis=(0, 2))) * 1e6, linewidth=0.9, label=label)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=HERE, help="where line_noise.md and line_noise.png go")
    options = parser.parse_args()

    heads = [f"{a}-{b} s" for a, b in SPANS]
    lines = [
        "# Canceller of mains hum",
        "",
        f"Kernel in use: {kernel()}. Residual of 20 uV of hum, RMS in uV:",
        "",
        "| scenario | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(SPANS),
    ]
    everything = {}
    for name, make in SCENARIOS.items():
        left = everything[name] = residual(make())
        seconds = left.shape[1] / FS
        cells = [f"{rms_uv(left, a, b):.4f}" if b <= seconds else "" for a, b in SPANS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| kernel | 16 channels x 5 ms, median, us | p99, us |", "|---|---|---|"]
    for path in paths():
        median, p99 = cost(path, rounds=2000 if path != "scipy" else 300)
        lines.append(f"| {path} | {median:.1f} | {p99:.1f} |")
    (options.output / "line_noise.md").write_text("\n".join(lines) + "\n")
    plot(everything, options.output / "line_noise.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
